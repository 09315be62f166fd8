//! What a run's store holds when the run starts.

use crate::{NodeName, View};

/// What a run has to start from; see the table in `cold_start.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAtStart {
    /// What a member wrote.
    Used,
    /// No member wrote to it, and it is whole since this run of the node: whatever later runs had
    /// written would be in it.
    Unused {
        /// Incarnation of that run.
        since: u64,
    },
    /// Nothing, and what earlier runs wrote may be lost.
    Nothing,
}

impl StoreAtStart {
    /// There is nothing in it.
    pub fn is_empty(self) -> bool {
        self != StoreAtStart::Used
    }

    /// A node with this store may go on where the members of `view` ended.
    pub(super) fn may_follow(self, view: &View, node: &NodeName) -> bool {
        match self {
            StoreAtStart::Used => view.member(node).is_some(),
            StoreAtStart::Unused { since } => {
                let unused = |run: &crate::RunId| run.node == *node && run.incarnation >= since;
                !view.members.is_empty() && view.members.iter().all(unused)
            }
            StoreAtStart::Nothing => false,
        }
    }
}
