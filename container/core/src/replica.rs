//! What the updates of another run change here: the replicas of its cells, rows and records.
//!
//! Which updates are applied is in `frame_updates.rs`.

use crate::cell::{apply, check_readable};
use crate::commit::{Change, Commit, RowChange};
use crate::core::Core;
use crate::frame::Update;
use crate::inspection::Observed;
use crate::io::Output;
use crate::management::Notice;
use crate::store::StoredRecord;
use crate::ties::RootName;
use resilee_membership::{PlantedFault, RunId};
use resilee_sbb::{CellId, CodecError, Timestamp};

impl Core {
    pub(crate) fn apply_update(
        &mut self,
        now: Timestamp,
        from: &RunId,
        update: Update,
    ) -> Result<(), CodecError> {
        match update {
            Update::Commit(commit) => self.apply_commit(now, from, commit),
            Update::Cell { id, parts } => {
                let commit = Commit { changes: parts, ..Commit::empty(0, id) };
                check_readable(&commit.changes)?;
                self.forget_replica(id);
                self.apply_changes(id, &commit.changes)?;
                self.store_changes(&commit);
                Ok(())
            }
            Update::Stranded { id, parts } => self.on_stranded(now, id, &parts),
            Update::Rows(rows) => {
                self.apply_rows(&rows);
                Ok(())
            }
            Update::Records { journal, records } => {
                for StoredRecord { cell, record, .. } in records {
                    let record = crate::commit::Record { journal: journal.clone(), record };
                    self.journal(cell, record);
                }
                Ok(())
            }
            Update::SnapshotEnd => {
                self.observe(|| Observed::SnapshotApplied { from: from.clone() });
                self.joining.iter_mut().for_each(|joining| joining.whole = true);
                self.units.look_again();
                self.outputs.push_back(Output::Notice(Notice::Synced));
                Ok(())
            }
        }
    }

    fn apply_commit(
        &mut self,
        now: Timestamp,
        from: &RunId,
        commit: Commit,
    ) -> Result<(), CodecError> {
        if commit.is_mark() {
            self.applied.insert(from.clone(), commit.number);
            return Ok(());
        }
        let leaves_cell = commit.leaves_its_cell();
        if !leaves_cell {
            // It acts by a view that gives it the cell, and that this node is about to adopt.
            self.let_go(commit.cell);
            self.stranded.forget(commit.cell);
        }
        self.applied.insert(from.clone(), commit.number);
        self.apply_changes(commit.cell, &commit.changes)?;
        self.store_changes(&commit);
        if !self.planted.is(PlantedFault::LoseRows) {
            self.apply_rows(&commit.rows);
        }
        for record in &commit.records {
            self.journal(commit.cell, record.clone());
        }
        if let Some(noted) = &commit.noted
            && !self.planted.is(PlantedFault::LoseNoted)
        {
            self.apply_noted(now, from, noted);
        }
        if commit.over {
            self.forget_replica(commit.cell);
        }
        self.observe(|| Observed::Applied {
            from: from.clone(),
            number: commit.number,
            cell: commit.cell,
            egress: commit.egress.clone(),
            over: commit.over,
            leaves_cell,
            rows: !commit.rows.is_empty(),
        });
        if !commit.egress.is_empty() {
            self.outbox.entry(from.clone()).or_default().insert(commit.number, commit.egress);
        }
        Ok(())
    }

    /// Applies changes of another run, or of the store, and keeps the index.
    pub(crate) fn apply_changes(
        &mut self,
        id: CellId,
        changes: &[Change],
    ) -> Result<(), CodecError> {
        let before = self.cells.get_mut(&id).and_then(|cell| cell.head.root.clone());
        apply(&mut self.cells, id, changes)?;
        if let Some(cell) = self.cells.get_mut(&id) {
            cell.changed_at = self.clock.now();
            self.index.insert(cell.head.cell_key(), id);
            match (&cell.head.root, before) {
                (Some(root), _) => drop(self.words.roots.insert(RootName::clone(root), id)),
                // A handler of it hung.
                (None, Some(root)) if self.words.roots.get(&*root) == Some(&id) => {
                    self.words.roots.remove(&*root);
                }
                (None, _) => {}
            }
        }
        self.note_services_of(id, changes);
        Ok(())
    }

    pub(crate) fn apply_rows(&mut self, rows: &[RowChange]) {
        for RowChange { table, key, row } in rows {
            self.write_row(table, key, row.as_deref().map(Vec::as_slice));
        }
        self.store_rows(rows);
    }

    fn forget_replica(&mut self, id: CellId) {
        let Some(cell) = self.cells.remove(&id) else { return };
        let key = cell.head.cell_key();
        let root = cell.head.root.as_deref();
        if let Some(root) = root.filter(|root| self.words.roots.get(*root) == Some(&id)) {
            self.words.roots.remove(root);
        }
        if self.index.get(&key) == Some(&id) {
            self.index.remove(&key);
        }
        self.remove_stored(id, &cell.parts());
    }
}
