//! What adaptors hear of their events and activities, besides messages and commands.
//!
//! | what happened                                          | the adaptor's                   |
//! |--------------------------------------------------------|---------------------------------|
//! | all services had an event, and one rolled it back; or  | `event_processing_failed`       |
//! | nobody had it, and one that takes nothing now would    |                                 |
//! | have begun with it                                     |                                 |
//! | all services had an event of a type that it asks about | `event_processed`               |
//! | a turn leaves an activity that nobody is attached to,  | `activity_unreferenced`, once a |
//! | if it asks about that                                  | turn                            |
//! | a service starts an activity                           | `start`                         |
//!
//! A root entity of the cluster that an event is forwarded to has it, as far as the adaptor hears:
//! what becomes of it there, it does not hear. Nor does it of what is for one entity only: a timer
//! is none of its events, and of one that is tried again it heard at the first try.
//!
//! Who does not ask pays nothing.

use crate::adaptors::AdaptorId;
use crate::cell::Cell;
use crate::commit::{Activity, Part};
use crate::core::Core;
use crate::event_router::Routing;
use resilee_sbb::{ActivityId, CellId, Failure, Severity, Timestamp};

impl Core {
    /// Nobody is left for an event of an adaptor's activity; `forwarded` to root entities of other
    /// cells, or not.
    pub(crate) fn tell_routed(
        &mut self,
        now: Timestamp,
        id: CellId,
        by: AdaptorId,
        routing: &Routing,
        forwarded: bool,
    ) {
        if !routing.audience.is_all() {
            return;
        }
        let (activity, event_type) = (routing.event.activity, routing.event.event_type.as_str());
        if routing.failed {
            self.adaptor_step(now, id, by, |adaptor, endpoint| {
                adaptor.event_processing_failed(endpoint, activity);
            });
        } else if self.adaptors.get(by).is_some_and(|it| it.asks_about_event(event_type)) {
            let received = forwarded || !routing.delivered.is_empty();
            self.adaptor_step(now, id, by, |adaptor, endpoint| {
                adaptor.event_processed(endpoint, activity, event_type, received);
            });
        }
    }

    /// Tells the adaptor of one activity that nobody is attached to; false if there is none. What
    /// it does then, the turn goes on with.
    pub(crate) fn tell_unreferenced(&mut self, now: Timestamp, id: CellId) -> bool {
        if !self.adaptors.ask_about_references() {
            return false;
        }
        let Some(cell) = self.cells.get_mut(&id) else { return false };
        let asks = |by| self.adaptors.get(by).is_some_and(|it| it.asks_about_references());
        let mut left = cell.activities.iter().filter(|(_, activity)| asks(activity.adaptor));
        let left = left.find(|(number, activity)| is_left(cell, **number, activity));
        let Some((number, by)) = left.map(|(number, activity)| (*number, activity.adaptor)) else {
            return false;
        };
        let Some(turn) = cell.turn.as_mut() else { return false };
        turn.unreferenced.insert(number);
        let activity = ActivityId { cell: id, number };
        self.adaptor_step(now, id, by, |adaptor, endpoint| {
            adaptor.activity_unreferenced(endpoint, activity);
        });
        true
    }

    /// A service starts an activity of an adaptor; one that cannot be started ends at once, so that
    /// whoever attached to it hears of that in any case.
    pub(crate) fn start_activity_of(
        &mut self,
        now: Timestamp,
        id: CellId,
        service: &str,
        adaptor: &str,
        number: u32,
        command: &[u8],
    ) {
        let by = self.adaptors.named(adaptor);
        let is_active = by.is_none_or(|by| self.adaptors.wanted(by).active);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.touched.extend([Part::Head, Part::Activity(number)]);
        cell.head.next_activity = cell.head.next_activity.max(number.saturating_add(1));
        let started = Activity { adaptor: by.unwrap_or_default(), ..Activity::default() };
        cell.activities.insert(number, Box::new(started));
        let activity = ActivityId { cell: id, number };
        let started = by.filter(|_| is_active).and_then(|by| {
            self.adaptor_step(now, id, by, |adaptor, endpoint| {
                adaptor.start(endpoint, activity, command)?;
                endpoint.changed(activity);
                Ok(())
            })
        });
        let missing = || {
            let why = if is_active { "there is no such adaptor here" } else { "it is not active" };
            Err(Failure::new(why))
        };
        let Err(failure) = started.unwrap_or_else(missing) else { return };
        let text = format!("no activity of {adaptor:?} is started: {failure}");
        self.raise_alarm(now, Severity::Minor, service, &text);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        // No adaptor has it.
        cell.activities.get_mut(&number).into_iter().for_each(|activity| activity.null = true);
        cell.turn.iter_mut().for_each(|turn| turn.ended.push_back(number));
    }
}

/// True if this turn leaves the activity without anybody who would hear of it, and nobody was told.
fn is_left(cell: &Cell, number: u32, activity: &Activity) -> bool {
    let Some(turn) = cell.turn.as_ref() else { return false };
    let waits = || cell.retries.values().any(|retry| retry.is_about(number));
    let held = !activity.is_adaptors()
        || cell.ties.values().any(|tie| tie.activity == number)
        || activity.ending
        || !activity.attached.is_empty()
        || !activity.names.is_empty()
        || activity.suspended.is_some();
    let is_new = turn.touched.contains(&Part::Activity(number)) || turn.released.contains(&number);
    !held && is_new && !turn.unreferenced.contains(&number) && !waits()
}
