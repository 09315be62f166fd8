//! A group of batches on its way to the disk: the last write of each key, tree by tree.
//!
//! Only the order within a key matters once the group is applied as one transaction.

use resilee_core::Tree;
use std::collections::BTreeMap;

/// Writes to one part of the store; `None` removes.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes by tree.
#[derive(Debug, Default)]
pub struct Group {
    /// Whether the tree is emptied first, and what is written then.
    pub trees: BTreeMap<Tree, (bool, Writes)>,
}

impl Group {
    /// Adds or replaces a value.
    pub fn put(&mut self, tree: Tree, key: Vec<u8>, value: Vec<u8>) {
        self.trees.entry(tree).or_default().1.insert(key, Some(value));
    }

    /// Removes a value.
    pub fn remove(&mut self, tree: Tree, key: Vec<u8>) {
        self.trees.entry(tree).or_default().1.insert(key, None);
    }

    /// Empties a tree.
    pub fn clear(&mut self, tree: Tree) {
        self.trees.insert(tree, (true, Writes::new()));
    }
}
