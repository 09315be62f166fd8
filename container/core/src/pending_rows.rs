//! Rows that a turn has written and not committed yet: its own deliveries read them, nobody else.
//!
//! | a row that a delivery writes            | what happens                                      |
//! |-----------------------------------------|---------------------------------------------------|
//! | no other turn has written               | it stands in the turn until the commit            |
//! | others have committed meanwhile         | nothing but traces and alarms is kept; it goes    |
//! |                                         | out again, and the row is its turn's from then on |
//! | another turn that still runs has        | the same, when that turn has ended; those that    |
//! | written, or that goes out again for     | wait for one row get it one after the other       |
//! | the same, and that turn waits, directly | it rolls back like any other: one of them has to  |
//! | or not, for the end of this one         |                                                   |
//!
//! An operator's change of such a row waits, too (`table_changes.rs`). Of a profile table all rows
//! count as one, since unique values and the table's size are about all of them.
//!
//! Rows that others have committed meanwhile are in `conflicts.rs`.

use crate::commit::RowChange;
use crate::conflicts::Read;
use crate::core::Core;
use crate::event_router::Awaiting;
use crate::shared_tables::write;
use resilee_sbb::{CellId, Effect, Outcome, Tables, Timestamp};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Reason of the roll back of a delivery that would wait for a turn which waits for its own.
pub(crate) const DEADLOCK: &str =
    "another turn has written a row that this one writes, and waits for one of this turn's rows";

/// Turns that have written rows, and turns that wait for their end.
#[derive(Debug, Default)]
pub(crate) struct PendingRows {
    /// Cells whose turn goes on with rows that are not committed.
    writers: BTreeSet<CellId>,
    /// Who waits for the end of a turn, by its cell.
    waiting: BTreeMap<CellId, Vec<CellId>>,
}

impl PendingRows {
    /// True if no turn has written a row, and none waits for one that has.
    pub fn is_empty(&self) -> bool {
        self.writers.is_empty() && self.waiting.is_empty()
    }
}

/// A delivery that goes out again when another turn has ended.
#[derive(Debug)]
pub(crate) struct Behind {
    /// The cell whose turn has to end.
    writer: CellId,
    pub awaiting: Awaiting,
    read: Read,
    rows: Rows,
}

/// Tables and keys of rows.
pub(crate) type Rows = BTreeSet<(String, String)>;

impl Core {
    /// A delivery of this cell goes out: until the turn ends, nobody else writes its rows.
    pub(crate) fn note_pending_rows(&mut self, id: CellId) {
        let turn = self.cells.get(&id).and_then(|cell| cell.turn.as_ref());
        if turn.is_some_and(|turn| !turn.rows.is_empty() || !turn.reserved.is_empty()) {
            self.pending_rows.writers.insert(id);
        }
    }

    /// The tables as the turn of a cell sees them.
    pub(crate) fn tables_in_turn(&self, id: CellId) -> Cow<'_, Tables> {
        let turn = self.cells.get(&id).and_then(|cell| cell.turn.as_ref());
        let rows = turn.map_or(&[][..], |turn| &turn.rows);
        if rows.is_empty() {
            return Cow::Borrowed(&self.tables);
        }
        let mut tables = self.tables.clone();
        for RowChange { table, key, row } in rows {
            write(&mut tables, &self.configured, table, key, row.as_deref().map(Vec::as_slice));
        }
        Cow::Owned(tables)
    }

    /// Another turn that has written a row which this delivery writes.
    pub(crate) fn writer_before(&self, id: CellId, rows: &Rows) -> Option<CellId> {
        let others = self.pending_rows.writers.iter().filter(|writer| **writer != id);
        let writes = |writer: &&CellId| {
            rows.iter().any(|(table, key)| self.has_pending(**writer, table, key)) //
        };
        others.into_iter().find(writes).copied()
    }

    /// True if some turn that runs has written this row.
    pub(crate) fn is_pending(&self, table: &str, key: &str) -> bool {
        self.pending_rows.writers.iter().any(|writer| self.has_pending(*writer, table, key))
    }

    fn has_pending(&self, writer: CellId, table: &str, key: &str) -> bool {
        let turn = self.cells.get(&writer).and_then(|cell| cell.turn.as_ref());
        let as_one = self.tables.profile_table(table).is_some();
        turn.is_some_and(|turn| {
            let same = |of: &str, row: &str| of == table && (as_one || row == key);
            let mut reserved = turn.reserved.iter();
            turn.rows.iter().any(|row| same(&row.table, &row.key))
                || reserved.any(|(of, row)| same(of, row))
        })
    }

    /// True if the turn of `writer` ends only after that of `id`.
    pub(crate) fn waits_for(&self, writer: CellId, id: CellId) -> bool {
        let next = |at: &CellId| {
            let turn = self.cells.get(at).and_then(|cell| cell.turn.as_ref());
            turn.and_then(|turn| turn.behind.as_ref()).map(|behind| behind.writer)
        };
        // Nobody begins to wait where this would close a ring: it comes to an end.
        std::iter::successors(Some(writer), next).any(|at| at == id)
    }

    /// The turn of a cell goes on when that of the writer has ended.
    pub(crate) fn wait_behind(
        &mut self,
        id: CellId,
        awaiting: Awaiting,
        read: Read,
        rows: Rows,
        writer: CellId,
    ) {
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        turn.behind = Some(Box::new(Behind { writer, awaiting, read, rows }));
        self.pending_rows.waiting.entry(writer).or_default().push(id);
    }

    /// The turn of a cell has ended, and its rows are committed.
    pub(crate) fn end_pending_rows(&mut self, now: Timestamp, id: CellId) {
        self.pending_rows.writers.remove(&id);
        for waiting in self.pending_rows.waiting.remove(&id).unwrap_or_default() {
            let turn = self.cells.get_mut(&waiting).and_then(|cell| cell.turn.as_mut());
            let Some(behind) = turn.and_then(|turn| turn.behind.take()) else { continue };
            let Behind { awaiting, read, rows, .. } = *behind;
            if !self.is_still_deployed(awaiting) {
                self.end_undeployed(now, waiting, awaiting);
                continue;
            }
            // One of them goes out with the row, and the others wait for that one.
            match self.writer_before(waiting, &rows) {
                Some(next) if !self.waits_for(next, waiting) => {
                    self.wait_behind(waiting, awaiting, read, rows, next);
                }
                _ => self.send_again(now, waiting, awaiting, read, rows),
            }
        }
    }

    /// The cell belongs to another node, and with it all that write into the tables.
    pub(crate) fn forget_pending_rows(&mut self, id: CellId) {
        self.pending_rows.writers.remove(&id);
        self.pending_rows.waiting.remove(&id);
    }

    /// Turns that wait for the end of one that does not run, in words.
    pub(crate) fn check_pending_rows(&self, found: &mut Vec<String>) {
        for (writer, waiting) in &self.pending_rows.waiting {
            if self.cells.get(writer).is_none_or(|cell| cell.turn.is_none()) {
                found.push(format!("{waiting:?} wait for rows of {writer}, which writes none"));
            }
        }
    }
}

/// The rows that a delivery writes.
pub(crate) fn rows_written(outcome: &Outcome) -> Rows {
    let Outcome::Delivered { effects, .. } = outcome else { return Rows::new() };
    let written = effects.iter().filter_map(written_by);
    written.map(|(table, key)| (table.to_owned(), key.to_owned())).collect()
}

/// Table and key of the row that an effect writes.
pub(crate) fn written_by(effect: &Effect) -> Option<(&str, &str)> {
    match effect {
        Effect::PutRow { table, key, .. } | Effect::RemoveRow { table, key } => Some((table, key)),
        _ => None,
    }
}
