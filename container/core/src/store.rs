//! What the core asks of a store: puts and removes of opaque bytes, and journals of records.
//!
//! The engine behind it (sled, or a map in the simulator) is not here.

use resilee_membership::VoterState;
use resilee_sbb::{CellId, Timestamp};
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
}

impl Restored {
    /// True if nothing was stored: a new node, or one that lost its disk.
    pub fn is_empty(&self) -> bool {
        self.voter.is_none() && self.cells.is_empty() && self.tables.is_empty()
    }
}
