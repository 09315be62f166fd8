//! Everything a node waits for, by due time. Setting a timer again moves it.

use crate::adaptors::AdaptorId;
use resilee_sbb::{ActivityId, CellId, DeliveryId, EntityId, TimerId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The adaptor's next time-out of an activity. Not replicated: the survivor's adaptor sets
    /// its own.
    Adaptor(ActivityId),
    /// A timer of an SBB entity. Replicated as a part of its cell.
    Sbb(EntityId, TimerId),
    /// Events that wait for an entity. Replicated as a part of its cell.
    Retry(EntityId),
    /// A suspended event goes on. Replicated as a part of its activity.
    Suspended(ActivityId),
    /// What a cell has to say to others is said again.
    Words(CellId),
    /// The deadline of a delivery.
    Delivery(DeliveryId),
    /// An adaptor goes on looking at its activities.
    Examine(AdaptorId),
    /// Migrations go on.
    Migrate,
    /// A node that serves nothing any more tells the others what it has to tell.
    Told,
}

/// All timers of the cells that this node owns.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Timestamp, Due)>,
    at: BTreeMap<Due, Timestamp>,
}

impl Timers {
    /// Sets or moves; `None` cancels.
    pub fn set(&mut self, due: Due, at: Option<Timestamp>) {
        if let Some(old) = self.at.remove(&due) {
            self.queue.remove(&(old, due));
        }
        if let Some(at) = at {
            self.at.insert(due, at);
            self.queue.insert((at, due));
        }
    }

    /// Sets a timer to `at` unless it is set to an earlier time.
    pub fn hasten(&mut self, due: Due, at: Timestamp) {
        if self.at.get(&due).is_none_or(|set| *set > at) {
            self.set(due, Some(at));
        }
    }

    /// The next timer that is due at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Due> {
        let (at, due) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.set(due, None);
        Some(due)
    }

    /// All that is awaited.
    pub fn all(&self) -> impl Iterator<Item = Due> {
        self.at.keys().copied()
    }

    /// True if it is awaited.
    pub fn is_set(&self, due: Due) -> bool {
        self.at.contains_key(&due)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_set_again_is_moved() {
        let mut timers = Timers::default();
        let (one, two) = (Due::Delivery(DeliveryId(1)), Due::Delivery(DeliveryId(2)));
        timers.set(one, Some(Timestamp::from_millis(10)));
        timers.set(two, Some(Timestamp::from_millis(20)));
        timers.set(one, Some(Timestamp::from_millis(30)));
        assert_eq!(timers.pop(Timestamp::from_millis(15)), None);
        assert_eq!(timers.pop(Timestamp::from_millis(30)), Some(two));
        timers.set(one, None);
        assert_eq!(timers.next(), None);
    }
}
