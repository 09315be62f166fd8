//! Deliveries that write a row of a shared table which somebody else wrote while they ran: root
//! cells run side by side, each on a snapshot of the tables, and operators write as well.
//!
//! | a delivery writes a row that            | what happens                                       |
//! |-----------------------------------------|----------------------------------------------------|
//! | is as it was when the delivery went out | it stands in the turn, until its commit            |
//! | was committed by others meanwhile       | nothing but traces and alarms is kept, and it goes |
//! |                                         | out again, with the tables as they are now         |
//! | a turn that still runs has written      | the same, when that turn has ended                 |
//! |                                         | (`pending_rows.rs`)                                |
//! | was so [`CONFLICTS_MAX`] times, since   | rolls back like any other                          |
//! | it writes other rows each time          |                                                    |
//!
//! Rows that it only read are not compared: what it decided by them may be out of date, as any
//! look-up may.

use crate::core::Core;
use crate::deliveries::roll_back;
use crate::event_router::Awaiting;
use crate::pending_rows::Rows;
use resilee_sbb::{CellId, DeliveryId, Event, Outcome, Tables, Task, Timestamp};

/// How often a delivery goes out again. The rows that it wrote are its own from the second time
/// on, so that it gets through unless it writes others then.
const CONFLICTS_MAX: u32 = 10;
/// Reason of the roll back after that.
pub(crate) const GIVEN_UP: &str =
    "it writes rows that others have written, and other ones each time that it is delivered again";

/// What a delivery that may write rows went out with.
#[derive(Debug)]
pub(crate) struct Read {
    tables: Tables,
    event: Event,
    task: Task,
    /// How often the same went out before.
    conflicts: u32,
}

impl Read {
    /// Of a delivery that goes out for the first time.
    pub fn new(tables: &Tables, event: &Event, task: &Task) -> Self {
        Read { tables: tables.clone(), event: event.clone(), task: task.clone(), conflicts: 0 }
    }

    /// True if it went out often enough.
    pub fn is_given_up(&self) -> bool {
        self.conflicts >= CONFLICTS_MAX
    }
}

/// Why a delivery cannot write what it writes.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// A row was committed by others since it went out.
    Outdated,
    /// A row was written by the turn of this cell, which still runs.
    Pending(CellId),
}

impl Core {
    /// What is in the way of the rows that a delivery writes.
    pub(crate) fn conflict(&self, id: CellId, read: &Read, rows: &Rows) -> Option<Conflict> {
        if rows.is_empty() {
            return None;
        }
        let pending = self.writer_before(id, rows).map(Conflict::Pending);
        pending.or_else(|| self.is_outdated(id, read, rows).then_some(Conflict::Outdated))
    }

    /// True if a row that a delivery writes is not as it read it: another cell wrote it, or an
    /// operator.
    fn is_outdated(&self, id: CellId, read: &Read, rows: &Rows) -> bool {
        let tables = self.tables_in_turn(id);
        rows.iter().any(|(table, key)| read.tables.get(table, key) != tables.get(table, key))
    }

    /// What a delivery did is undone.
    pub(crate) fn undo(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        outcome: Outcome,
    ) {
        if let Outcome::RolledBack { effects, .. } | Outcome::Starved { effects, .. } =
            roll_back(String::new(), outcome)
        {
            effects.into_iter().for_each(|effect| self.carry_out(now, id, awaiting, effect));
        }
    }

    /// What was undone is done again with the rows as they are now.
    pub(crate) fn send_again(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        read: Read,
        rows: Rows,
    ) {
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        turn.into_iter().for_each(|turn| turn.reserved.extend(rows.clone()));
        let next = DeliveryId(self.next_delivery);
        self.send_out(now, id, awaiting.service, awaiting.entity, read.event, read.task);
        let again = self.deliveries.get_mut(&next).and_then(|out| out.read.as_mut());
        again.into_iter().for_each(|again| again.conflicts = read.conflicts + 1);
    }
}
