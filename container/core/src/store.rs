//! What the core asks of a store: puts and removes of opaque bytes, and journals of records.
//!
//! The engine behind it (sled, or a map in the simulator) is not here.

use resilee_membership::{NodeName, RunId, StoreAtStart, VoterState};
use resilee_sbb::{CellId, LinkedSbb, Timestamp, encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of the store with keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tree {
    /// Parts of cells, by cell and part.
    Cells,
    /// Rows of shared tables, by table and key.
    Tables,
    /// The voter's state and other single values.
    Meta,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreOp {
    /// Add or replace a value.
    Put {
        /// Where.
        tree: Tree,
        /// Key.
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
        /// Value.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Remove a value, if there is one.
    Remove {
        /// Where.
        tree: Tree,
        /// Key.
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
    },
    /// Remove all values of a tree (a joiner starts from the member's state).
    Clear {
        /// Where.
        tree: Tree,
    },
    /// Append a record to a journal, unless the journal has one of this cell.
    Record {
        /// Journal name.
        journal: String,
        /// Key of the record.
        cell: CellId,
        /// The record.
        #[serde(with = "serde_bytes")]
        record: Vec<u8>,
    },
}

/// Writes that are flushed together, in order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreBatch {
    /// Counts from 1 in each run.
    pub number: u64,
    /// The writes, in order.
    pub ops: Vec<StoreOp>,
}

/// A record as it stands in a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Position in the journal of this node, from 1.
    pub sequence: u64,
    /// Key of the record.
    pub cell: CellId,
    /// The record.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
}

/// Key of the voter's state in [`Tree::Meta`].
pub const VOTER_KEY: &[u8] = b"voter";

/// Key of the [`Progress`] in [`Tree::Meta`]; it is written with each batch of a member.
pub const PROGRESS_KEY: &[u8] = b"progress";

/// How far a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Cluster time of the last batch: a cold start goes on from there at least.
    #[serde(default)]
    pub time: Timestamp,
    /// Incarnation of the run that wrote it: the next one is greater, whatever the clock shows.
    #[serde(default)]
    pub run: u64,
    /// Number of the last commit of each member run that is in the store. Of two stores of one
    /// view, the one with more commits has all that the other has, and begins a cold start.
    #[serde(default)]
    pub commits: Vec<(RunId, u64)>,
    /// The run dropped what it had for a member's snapshot, and was not a member since: what is
    /// in the store is not a state of the cluster.
    #[serde(default)]
    pub joining: bool,
    /// Number of the view by which a member wrote it; 0 if none did.
    #[serde(default)]
    pub view: u64,
    /// Incarnation of the run that made the store: all that was written since then is in it. 0 if
    /// that is not known.
    #[serde(default)]
    pub since: u64,
}

impl Progress {
    /// How it is written.
    pub(crate) fn store_op(&self) -> StoreOp {
        let value = encode(self).expect("plain data can be encoded");
        StoreOp::Put { tree: Tree::Meta, key: PROGRESS_KEY.to_vec(), value }
    }
}

/// What a store held when the node started.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The voter's state, if one was stored.
    pub voter: Option<VoterState>,
    /// How far the store is; nothing of it is zero.
    pub progress: Progress,
    /// [`Tree::Cells`].
    pub cells: Vec<(Vec<u8>, Vec<u8>)>,
    /// [`Tree::Tables`].
    pub tables: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of the journals that have records.
    pub journals: Vec<String>,
    /// What an operator should know of the store: damage, a store that was moved aside. Each is an
    /// alarm as long as the run lasts.
    pub notices: Vec<String>,
    /// Its deployable units ([`crate::units_of`]), compiled.
    pub units: BTreeMap<String, LinkedSbb>,
}

impl Restored {
    /// True if there is nothing to start from: a new node, one that lost its disk, or one that
    /// died while it joined.
    pub fn is_empty(&self) -> bool {
        // What the voter remembers outlives a store, and is nothing to start from.
        let never = self.progress.commits.is_empty();
        (never && self.cells.is_empty() && self.tables.is_empty()) || self.progress.joining
    }

    /// The same as the view protocol asks for it.
    pub fn at_start(&self) -> StoreAtStart {
        match (self.is_empty(), self.progress.since) {
            (false, _) => StoreAtStart::Used,
            (true, 0) => StoreAtStart::Nothing,
            (true, _) if self.progress.joining => StoreAtStart::Nothing,
            (true, since) => StoreAtStart::Unused { since },
        }
    }

    /// Incarnation of the run that made the store, which is `run` if there was none.
    pub(crate) fn since(&self, run: &RunId) -> u64 {
        if self.progress == Progress::default() { run.incarnation } else { self.progress.since }
    }

    /// True if there is no trace of an earlier run, which could not be told from a first start.
    pub fn knows_nothing(&self) -> bool {
        let told = self.voter.is_some() || !self.journals.is_empty() || !self.notices.is_empty();
        self.is_empty() && !self.progress.joining && !told
    }

    /// The next run of the node. It is named by the milliseconds since the epoch, but higher than
    /// any run of the node that the store knows: the wall clock may have been set back.
    pub fn next_run(&self, node: &NodeName, now: Timestamp) -> RunId {
        let voter = self.voter.as_ref();
        let views = voter.iter().flat_map(|voter| voter.vote.iter().chain([&voter.highest]));
        let runs = views.flat_map(|view| view.members.iter().chain(view.cohorts.values()));
        let runs = runs.filter(|run| run.node == *node).map(|run| run.incarnation);
        let known = runs.chain([self.progress.run]).max().unwrap_or_default();
        let incarnation = now.as_millis().max(known + 1);
        RunId { node: node.clone(), incarnation }
    }

    /// How much is in the store, to compare with another store of the same view.
    pub fn commits(&self) -> u64 {
        self.progress.commits.iter().fold(0, |sum, (_, number)| sum.saturating_add(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_membership::View;

    #[test]
    fn a_run_is_later_than_any_that_the_store_knows_even_if_the_clock_was_set_back() {
        let node: NodeName = "server1".parse().unwrap();
        let now = Timestamp::from_millis(1000);
        assert_eq!(Restored::default().next_run(&node, now).incarnation, 1000);
        let run = |node: &NodeName, incarnation| RunId { node: node.clone(), incarnation };
        let other = run(&"server2".parse().unwrap(), 9000);
        let view = View::default().next(vec![run(&node, 5000), other.clone()], &other);
        let vote = view.next(vec![run(&node, 6000), other.clone()], &other);
        let voter = Some(VoterState { highest: view, vote: Some(vote), forgetful: false });
        let restored = Restored { voter, ..Restored::default() };
        assert_eq!(restored.next_run(&node, now), run(&node, 6001));
        let progress = Progress { run: 7000, ..Progress::default() };
        let died_before_any_view = Restored { progress, ..restored };
        assert_eq!(died_before_any_view.next_run(&node, now), run(&node, 7001));
    }
}
