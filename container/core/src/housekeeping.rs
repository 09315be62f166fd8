//! Housekeeping: an operator removes what was left over in a cell.
//!
//! | what         | what happens                                                               |
//! |--------------|----------------------------------------------------------------------------|
//! | an activity  | a suspended event of it goes on; it ends: its adaptor tells its clients,   |
//! |              | all that are attached get its end as the last event, and its adaptor       |
//! |              | forgets it                                                                 |
//! | the same, in | its adaptor ends it as if its clients had, which may take a while          |
//! | order        |                                                                            |
//! | an entity    | it and those below it are gone, with attachments, timers, kept events; and |
//! |              | its tree, if nothing of that is attached to anything then                  |
//! | a timer      | it does not fire any more                                                  |
//! | a name       | it is not bound any more; a null activity that only had it ends. One in    |
//! |              | the cluster goes with its mirror: that is the same as removing the mirror  |
//!
//! A removal is a turn of the cell like any other: it waits for the one that runs, and what it
//! changes is one commit, replicated, stored, gated. It finds its owner as changes of shared tables
//! do (`table_changes.rs`), and is answered when its commit is held.

use crate::cell::CellInput;
use crate::core::Core;
use crate::effects::unbind_name;
use crate::io::Output;
use crate::management::{Leftover, Notice, Removal};
use resilee_sbb::{ActivityId, CellId, Timestamp};
use std::collections::BTreeMap;

/// Characters of who wants a removal that reach the log.
const BY_CHARS_MAX: usize = 128;

/// Removals under way in cells of this node.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    next_ticket: u64,
    /// Whether what is to be removed was there, once the removal's turn has begun.
    found: BTreeMap<u64, Option<bool>>,
}

impl Removals {
    /// How many are under way.
    pub fn len(&self) -> usize {
        self.found.len()
    }
}

/// How far a removal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalStage {
    /// It waits for its turn, or that runs.
    Running,
    /// Its turn is over, and so is its commit made.
    Made,
    /// There was nothing to remove.
    NotThere,
}

impl Core {
    /// Puts a removal into the inbox of its cell; its ticket.
    pub(crate) fn begin_removal(&mut self, now: Timestamp, removal: &Removal) -> u64 {
        let removals = &mut self.changes.removals;
        let ticket = removals.next_ticket;
        removals.next_ticket += 1;
        removals.found.insert(ticket, None);
        let input = CellInput::Remove(ticket, Box::new(removal.clone()));
        self.enqueue(now, removal.what.cell(), input);
        ticket
    }

    /// How far it is.
    pub(crate) fn removal_stage(&mut self, cell: CellId, ticket: u64) -> RemovalStage {
        let cell = self.cells.get(&cell);
        let turn = cell.and_then(|cell| cell.turn.as_ref());
        let runs = turn.is_some_and(|turn| turn.removal == Some(ticket));
        match self.changes.removals.found.get(&ticket).copied().flatten() {
            Some(true) if runs => RemovalStage::Running,
            Some(true) => RemovalStage::Made,
            Some(false) => RemovalStage::NotThere,
            // Its cell was over before its turn came.
            None if cell.is_none() => RemovalStage::NotThere,
            None => RemovalStage::Running,
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn forget_removal(&mut self, ticket: u64) {
        self.changes.removals.found.remove(&ticket);
    }

    /// The turn of a removal has begun.
    pub(crate) fn remove_leftover(
        &mut self,
        now: Timestamp,
        id: CellId,
        ticket: u64,
        removal: &Removal,
    ) {
        let is_there = self.is_there(id, &removal.what);
        if let Some(found) = self.changes.removals.found.get_mut(&ticket) {
            *found = Some(is_there);
        }
        if !is_there {
            return;
        }
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        turn.into_iter().for_each(|turn| turn.removal = Some(ticket));
        let by = removal.by.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect();
        let how = if removal.orderly { ", in order" } else { "" };
        let (cell, what) = (id, format!("{} {}{how}", removal.what.kind(), removal.what));
        self.outputs.push_back(Output::Notice(Notice::Removed { cell, what, by }));
        match &removal.what {
            Leftover::Activity(activity) => self.end_leftover(now, *activity, removal.orderly),
            Leftover::Entity(entity) => self.remove_subtree(id, entity.number),
            Leftover::Timer(entity, timer) => self.set_timer(id, entity.number, *timer, None),
            Leftover::Name(activity, name) => {
                let Some(cell) = self.cells.get_mut(&id) else { return };
                match (cell.name_in_cluster().is_some(), cell.turn.as_mut()) {
                    (true, Some(turn)) => turn.ended.push_back(activity.number),
                    _ => unbind_name(cell, activity.number, name),
                }
            }
        }
    }

    fn is_there(&self, id: CellId, what: &Leftover) -> bool {
        let Some(cell) = self.cells.get(&id) else { return false };
        match what {
            Leftover::Activity(activity) => cell.activities.contains_key(&activity.number),
            // What waits to be tried again may be about an entity that was not created yet.
            Leftover::Entity(entity) => {
                cell.entities.contains_key(&entity.number)
                    || cell.retries.contains_key(&entity.number)
            }
            Leftover::Timer(entity, timer) => cell.timers.contains_key(&(entity.number, *timer)),
            Leftover::Name(activity, name) => match cell.name_in_cluster() {
                Some(known) => {
                    let named = cell.named().is_some_and(|(number, _)| number == activity.number);
                    known == name && named
                }
                None => {
                    let activity = cell.activities.get(&activity.number);
                    activity.is_some_and(|activity| activity.names.contains(name))
                }
            },
        }
    }

    fn end_leftover(&mut self, now: Timestamp, activity: ActivityId, orderly: bool) {
        match orderly {
            true => self.resume(activity.cell, activity.number),
            false => self.resume_by_force(activity.cell, activity.number),
        }
        let told = self.activity_step(now, activity, |adaptor, endpoint| match orderly {
            true => adaptor.end(endpoint, activity),
            false => adaptor.removed(endpoint, activity),
        });
        if orderly && told.is_some() {
            return;
        }
        let turn = self.cells.get_mut(&activity.cell).and_then(|cell| cell.turn.as_mut());
        turn.into_iter().for_each(|turn| turn.ended.push_back(activity.number));
    }

    fn remove_subtree(&mut self, id: CellId, entity: u32) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let root = cell.root_of(entity);
        let doomed = cell.subtree(entity);
        cell.remove_entities(&doomed);
        self.forget_retries_of(id, &doomed);
        if let Some(cell) = self.cells.get_mut(&id).filter(|_| root != entity) {
            Self::reclaim(cell, root);
        }
    }
}
