//! Cells that only the store of a rejoiner has: the others went on from an older one (a gap).
//!
//! | the rejoiner                           | what happens with the cells of its store           |
//! |----------------------------------------|----------------------------------------------------|
//! | asks for a snapshot                    | they are set aside                                 |
//! | is a member; no gap since it was one   | they are dropped: the others went on with them     |
//! | is a member; there was a gap since     | those that the others neither have nor have a      |
//! |                                        | record of are given to the owner of their cohort   |
//! | applies a commit of such a cell        | it is forgotten: the owner has it                  |
//!
//! | the owner gets such a cell             | what happens                                       |
//! |----------------------------------------|----------------------------------------------------|
//! | and has it, or another one of its call | nothing                                            |
//! | and an orphan waits for it             | commits and wakes it; it hears what it missed      |
//! | and none does                          | commits and wakes it; the adaptor asks its clients |
//!
//! The cell keeps its name, which is the key of its records: if it was billed before, that stands.
//! What was set aside is in memory alone: a rejoiner that dies, or is cut off, before
//! the owner has committed it loses it.

use crate::cell::{Cell, CellInput, apply, check_readable};
use crate::commit::{Change, Commit, Record};
use crate::core::Core;
use crate::frame::Update;
use crate::resource_adaptor::{Adoption, Scope};
use resilee_membership::{MemberInput, PlantedFault};
use resilee_sbb::{CellId, CodecError, CohortId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is set aside.
#[derive(Debug, Default)]
pub(crate) struct Stranded {
    /// Number of the view by which the own store was written; 0: no member wrote it.
    view: u64,
    cells: BTreeMap<CellId, Cell>,
    /// Records that were not held.
    records: Vec<(CellId, Record)>,
}

impl Stranded {
    /// Nothing yet, of a store that a member wrote by the view with this number.
    pub fn of_store(view: u64) -> Self {
        Stranded { view, ..Stranded::default() }
    }

    /// How many cells and records are set aside.
    pub fn len(&self) -> usize {
        self.cells.len() + self.records.len()
    }

    /// The owner has it.
    pub fn forget(&mut self, cell: CellId) {
        self.cells.remove(&cell);
    }
}

impl Core {
    /// Makes room for a snapshot.
    pub(crate) fn set_aside(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let records = std::mem::take(&mut self.unpublished);
        let dropped = self.planted.is(PlantedFault::DropStranded);
        if std::mem::take(&mut self.from_store) && self.stranded.view > 0 && !dropped {
            let calls = cells.into_iter().filter(|(_, cell)| cell.head.scope == Scope::Call);
            self.stranded.cells = calls.collect();
            self.stranded.records = records;
        }
    }

    /// Gives what was set aside, and is missing, to whoever owns it. After each view.
    pub(crate) fn bring_stranded(&mut self, now: Timestamp) {
        if !self.is_member() || self.stranded.cells.is_empty() && self.stranded.records.is_empty() {
            return;
        }
        let since = self.stranded.view;
        if self.gap().is_none_or(|gap| gap.view <= since) {
            self.stranded = Stranded::default();
            return;
        }
        self.offer_stranded_records();
        let mut stranded = std::mem::take(&mut self.stranded.cells);
        stranded.retain(|id, cell| self.is_missing(cell) && !self.is_recorded(*id));
        let mut unowned = BTreeSet::new();
        for (id, cell) in &stranded {
            match self.view.owner(id.cohort).cloned() {
                Some(owner) if owner == self.config.me => self.take_in(now, *id, &cell.snapshot()),
                Some(owner) => {
                    let update = Update::Stranded { id: *id, parts: cell.snapshot() };
                    // A link that takes no more is cut off with the next commit: the view changes.
                    if let Some(link) = self.links.get_mut(&owner.node).filter(|l| l.replicates()) {
                        let _ = link.push(&update, 0);
                    }
                }
                None => drop(unowned.insert(id.cohort)),
            }
        }
        stranded.retain(|id, _| !self.owns(*id));
        self.stranded.cells = stranded;
        if !unowned.is_empty() {
            self.tell_member(MemberInput::Found(unowned));
        }
    }

    /// A record of the own store that was not held is one that the others lack.
    fn offer_stranded_records(&mut self) {
        for (cell, record) in std::mem::take(&mut self.stranded.records) {
            let number = self.gate.next_commit();
            let commit = Commit { records: vec![record.clone()], ..Commit::empty(number, cell) };
            self.replicate(&Update::Commit(commit), number);
            self.gate.behind(number).records.push((cell, record));
        }
    }

    /// A rejoiner has a cell that was missing.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub(crate) fn on_stranded(
        &mut self,
        now: Timestamp,
        id: CellId,
        parts: &[Change],
    ) -> Result<(), CodecError> {
        check_readable(parts)?;
        let mut read = BTreeMap::new();
        apply(&mut read, id, parts)?;
        let wanted = read.get(&id).is_some_and(|cell| self.is_missing(cell));
        if wanted && self.owns(id) {
            self.take_in(now, id, parts);
        }
        Ok(())
    }

    fn is_missing(&self, cell: &Cell) -> bool {
        let known = self.index.contains_key(&cell.head.cell_key());
        let born_here = cell.id.cohort == self.config.me.cohort();
        let fits = cell.head.scope == Scope::Call && cell.id.cohort != CohortId::TABLES;
        fits && !known && !born_here && !self.cells.contains_key(&cell.id)
    }

    /// Goes on with a cell as if it had been taken over just now.
    fn take_in(&mut self, now: Timestamp, id: CellId, parts: &[Change]) {
        let number = self.gate.next_commit();
        let commit = Commit { changes: parts.to_vec(), ..Commit::empty(number, id) };
        if self.apply_changes(id, parts).is_err() {
            return self.count_drop("stranded cell that cannot be read");
        }
        self.store_changes(&commit);
        self.replicate(&Update::Commit(commit.clone()), number);
        self.observe(|| commit.observed());
        let waits =
            self.cells.get(&id).and_then(|cell| self.orphan(cell.head.cell_key())).is_some();
        let adoption = if waits { Adoption::Takeover } else { Adoption::Stranded };
        self.wake(now, id, adoption, number);
        self.migrate_from_the_first_cell(now);
    }

    /// Lets a cell hear what came while nobody had it.
    pub(crate) fn tell_missed(&mut self, now: Timestamp, id: CellId) {
        let waits =
            self.cells.get(&id).and_then(|cell| self.orphan(cell.head.cell_key())).is_some();
        if waits {
            self.enqueue(now, id, CellInput::Missed);
        }
    }

    /// A turn: the adaptor hears of it, and with the same commit nothing waits any more.
    pub(crate) fn hear_missed(&mut self, now: Timestamp, id: CellId) {
        let Some(key) = self.cells.get(&id).map(|cell| cell.head.cell_key()) else { return };
        let Some(orphan) = self.orphan(key) else { return };
        if !self.planted.is(PlantedFault::OrphanStays) {
            let (table, row) = Core::orphan_row(key);
            self.put_row(id, table, row, None);
        }
        self.adaptor_step(now, id, key.adaptor, |adaptor, endpoint| {
            adaptor.missed(endpoint, &orphan.all());
        });
    }
}
