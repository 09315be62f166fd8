//! Deliveries that write a row of a shared table which somebody else wrote while they ran: root
//! cells run side by side, each on a snapshot of the tables, and operators write as well.
//!
//! | a delivery writes a row that            | what happens                                       |
//! |-----------------------------------------|----------------------------------------------------|
//! | is as it was when the delivery went out | it commits                                         |
//! | was written meanwhile                   | nothing but traces and alarms is kept, and it goes |
//! |                                         | out again, with the tables as they are now         |
//! | was so [`CONFLICTS_MAX`] times          | rolls back like any other                          |
//!
//! Rows that it only read are not compared: what it decided by them may be out of date, as any
//! look-up may.

use crate::core::Core;
use crate::deliveries::roll_back;
use crate::event_router::Awaiting;
use resilee_sbb::{CellId, DeliveryId, Effect, Event, Outcome, Tables, Task, Timestamp};

/// How often a delivery goes out again. Each time somebody else got through, so there is no
/// standstill.
const CONFLICTS_MAX: u32 = 10;
/// Reason of the roll back after that.
pub(crate) const GIVEN_UP: &str =
    "rows that it writes were written by others each time, also when it was delivered again";

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

impl Core {
    /// True if a row that a delivery writes is not as it read it: another cell wrote it, or an
    /// operator.
    pub(crate) fn is_outdated(&self, read: &Read, outcome: &Outcome) -> bool {
        let Outcome::Delivered { effects, .. } = outcome else { return false };
        effects.iter().any(|effect| match effect {
            Effect::PutRow { table, key, .. } | Effect::RemoveRow { table, key } => {
                read.tables.get(table, key) != self.tables.get(table, key)
            }
            _ => false,
        })
    }

    /// What it did is undone; it does it again with the rows as they are now.
    pub(crate) fn deliver_anew(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        read: Read,
        outcome: Outcome,
    ) {
        if let Outcome::RolledBack { effects, .. } = roll_back(String::new(), outcome) {
            effects.into_iter().for_each(|effect| self.carry_out(now, id, awaiting, effect));
        }
        let next = DeliveryId(self.next_delivery);
        self.send_out(now, id, awaiting.service, awaiting.entity, read.event, read.task);
        let again = self.deliveries.get_mut(&next).and_then(|out| out.read.as_mut());
        again.into_iter().for_each(|again| again.conflicts = read.conflicts + 1);
    }
}
