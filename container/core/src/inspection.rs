//! What a core did inside an input, for whoever checks it from outside (the simulator).
//!
//! Off unless [`Core::watch`] was called; then the list grows until [`Core::observed`] empties it.
//! Nothing in the core reads it. What is in it is what no output says: which commit a message
//! belongs to, and which commits of others are applied.

use crate::cell::Cell;
use crate::core::Core;
use crate::resource_adaptor::{Egress, Scope};
use crate::store::Tree;
use resilee_membership::{RunId, View};
use resilee_sbb::CellId;
use std::collections::BTreeMap;

/// One thing that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A turn ended with a commit.
    Committed {
        /// Counts the commits of this run, from 1.
        number: u64,
        /// The cell of the turn.
        cell: CellId,
        /// What the commit wants sent.
        egress: Vec<Egress>,
        /// Journals that it has a record for.
        journals: Vec<String>,
        /// True if it changes rows of shared tables.
        rows: bool,
        /// True if the cell is over with it.
        over: bool,
    },
    /// A turn ended that changed nothing, or a message was answered outside any cell.
    Said {
        /// The cell of the turn, and of which kind it is.
        cell: Option<(CellId, Scope)>,
        /// What it wants sent.
        egress: Vec<Egress>,
    },
    /// All commits so far are covered by the batch with this number, and by those before it.
    Batch(u64),
    /// A commit of another run is applied here.
    Applied {
        /// Whose.
        from: RunId,
        /// Its number.
        number: u64,
        /// The cell it changed.
        cell: CellId,
        /// What it wants sent, should its run die.
        egress: Vec<Egress>,
        /// True if the cell is over with it.
        over: bool,
        /// True if it changed nothing of that cell: it brought records, or what was counted.
        leaves_cell: bool,
        /// True if it changes rows of shared tables.
        rows: bool,
    },
    /// The last piece of a snapshot is on its way; it has all commits up to this one, or they
    /// went before it.
    SnapshotSent {
        /// To whom.
        to: RunId,
        /// The last commit.
        last_commit: u64,
    },
    /// The last piece of a snapshot is applied here.
    SnapshotApplied {
        /// Whose.
        from: RunId,
    },
    /// All that was held here is dropped: a snapshot will replace it.
    Dropped,
}

/// What a core holds, by tree and key of the store.
pub type Durable = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

impl Core {
    /// From now on what happens inside is kept for [`Core::observed`].
    pub fn watch(&mut self) {
        self.observed.get_or_insert_default();
    }

    /// What happened since this was asked last; nothing without [`Core::watch`].
    pub fn observed(&mut self) -> Vec<Observed> {
        self.observed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The view that this run asks votes for, or asked for last: gates hold for it too.
    pub fn proposing(&self) -> Option<&View> {
        self.proposing.as_ref()
    }

    /// What this core holds of all cells and shared rows, as the store would have it; none while
    /// a turn runs, or effects wait to be held.
    pub fn durable(&self) -> Option<Durable> {
        let unfinished = |cell: &Cell| cell.turn.is_some() || !cell.committed;
        if self.gate.len() > 0 || self.cells.values().any(unfinished) {
            return None;
        }
        let cells = self.cells.values().flat_map(|cell| {
            let part = |part: crate::commit::Part| {
                let value = cell.encode(part)?.into_vec();
                Some(((Tree::Cells, part.store_key(cell.id)), value))
            };
            cell.parts().into_iter().filter_map(part)
        });
        let rows = self.snapshot_rows().into_iter().filter_map(|row| {
            let key = crate::commit::RowChange::store_key(&row.table, &row.key);
            Some(((Tree::Tables, key), row.row?.into_vec()))
        });
        Some(cells.chain(rows).collect())
    }

    /// Keeps what happened, if somebody watches.
    pub(crate) fn observe(&mut self, what: impl FnOnce() -> Observed) {
        if let Some(observed) = &mut self.observed {
            observed.push(what());
        }
    }
}
