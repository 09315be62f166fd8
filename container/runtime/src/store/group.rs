//! Writes on their way into sled: the last write of each key, tree by tree.
//!
//! Only the order within a key matters, since all of them count or none.

use resilee_core::{StoreOp, Tree};
use std::collections::BTreeMap;

/// Writes to one tree; `None` removes.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes by tree.
#[derive(Debug, Default)]
pub struct Group {
    /// Whether the tree is emptied first, and what is written then.
    pub trees: BTreeMap<Tree, (bool, Writes)>,
}

impl Group {
    /// Adds a write behind those that are there. Records are not for sled.
    pub fn add(&mut self, op: StoreOp) {
        match op {
            StoreOp::Put { tree, key, value } => self.tree(tree).insert(key, Some(value)),
            StoreOp::Remove { tree, key } => self.tree(tree).insert(key, None),
            StoreOp::Clear { tree } => {
                self.trees.insert(tree, (true, Writes::new()));
                None
            }
            StoreOp::Record { .. } => None,
        };
    }

    /// Adds what was written after it.
    pub fn extend(&mut self, later: Group) {
        for (tree, (cleared, writes)) in later.trees {
            if cleared {
                self.add(StoreOp::Clear { tree });
            }
            self.tree(tree).extend(writes);
        }
    }

    fn tree(&mut self, tree: Tree) -> &mut Writes {
        &mut self.trees.entry(tree).or_default().1
    }
}
