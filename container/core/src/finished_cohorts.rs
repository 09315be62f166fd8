//! Cohorts that the next view may leave out: of dead runs, with nothing left in them.
//!
//! | a cohort that is owned here          | what happens                                        |
//! |--------------------------------------|-----------------------------------------------------|
//! | of a member, or the shared tables'   | nothing: cells are born in it                       |
//! | has a cell, or a record that waits   | nothing                                             |
//! | may have one in a store that is away | nothing (`orphans.rs`)                              |
//! | has none any more                    | the number of the last commit made by now is noted  |
//! | has none, and that commit is held    | the membership is told                              |
//!
//! **Why it is safe.** Cells are born in the cohort of the run that bears them, so that a dead
//! run's cohort only loses cells. Its owner makes the commits that end them, and every member holds
//! those: whoever inherits has no cell without an owner. The next view that the owner proposes
//! leaves the cohort out. A message that names it belongs to a call that is over, and gets the same
//! answer as before: no cell is known.
//!
//! Not here: the voters' side of this rule (`View::may_forget`).

use crate::core::Core;
use resilee_membership::MemberInput;
use resilee_sbb::{CellId, CohortId};
use std::collections::BTreeSet;

impl Core {
    /// Looks for cohorts that ended, and tells the membership of those that are held to be.
    pub(crate) fn note_finished_cohorts(&mut self) {
        if self.forgettable.0 != self.view.number {
            let rows = self.view.cohorts.keys().copied();
            let mine = rows.filter(|cohort| self.view.may_forget(*cohort, &self.config.me));
            self.forgettable = (self.view.number, mine.collect());
        }
        if self.forgettable.1.is_empty() && self.finished_told.is_empty() {
            self.finished.clear();
            return;
        }
        let mine = self.forgettable.1.iter().copied();
        let mut empty: BTreeSet<_> = mine.filter(|cohort| self.is_empty(*cohort)).collect();
        if !empty.is_empty() {
            empty.retain(|cohort| !self.may_be_lost(*cohort));
        }
        let last = self.gate.last_commit();
        self.finished.retain(|cohort, _| empty.contains(cohort));
        for cohort in empty {
            self.finished.entry(cohort).or_insert(last);
        }
        let held = self.gate.held();
        let held: BTreeSet<_> =
            self.finished.iter().filter(|(_, end)| **end <= held).map(|(id, _)| *id).collect();
        if held != self.finished_told {
            self.finished_told.clone_from(&held);
            self.tell_member(MemberInput::Finished(held));
        }
    }

    fn is_empty(&self, cohort: CohortId) -> bool {
        let (first, last) = (CellId { cohort, number: 0 }, CellId { cohort, number: u64::MAX });
        let waits = self.unpublished.iter().any(|(cell, _)| cell.cohort == cohort);
        !waits && self.cells.range(first..=last).next().is_none()
    }
}
