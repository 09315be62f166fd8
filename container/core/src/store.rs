//! What the core asks of a store: puts and removes of opaque bytes, and journals of records.
//!
//! The engine behind it (sled, or a map in the simulator) is not here.

use resilee_membership::{RunId, VoterState};
use resilee_sbb::{CellId, Timestamp, encode};
use serde::{Deserialize, Serialize};

/// A part of the store with keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// Parts of cells, by cell and part.
    Cells,
    /// Rows of shared tables, by table and key.
    Tables,
    /// The voter's state and other single values.
    Meta,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// Add or replace a value.
    Put {
        /// Where.
        tree: Tree,
        /// Key.
        key: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// Remove a value, if there is one.
    Remove {
        /// Where.
        tree: Tree,
        /// Key.
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
    /// True if something waits until it is on disk: messages of a node alone, or a vote.
    pub awaited: bool,
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
    /// What an operator should know of the store: damage, a tail that was cut off. Each is an
    /// alarm as long as the run lasts.
    pub notices: Vec<String>,
}

impl Restored {
    /// True if there is nothing to start from: a new node, one that lost its disk, or one that
    /// died while it joined.
    pub fn is_empty(&self) -> bool {
        let nothing = self.voter.is_none() && self.cells.is_empty() && self.tables.is_empty();
        nothing || self.progress.joining
    }

    /// How much is in the store, to compare with another store of the same view.
    pub fn commits(&self) -> u64 {
        self.progress.commits.iter().fold(0, |sum, (_, number)| sum.saturating_add(*number))
    }
}
