//! Deliveries that are tried again: facts before services (design: the call goes on, the bill is
//! derived later).
//!
//! | a delivery to a service that wants retries | what happens                                  |
//! |--------------------------------------------|-----------------------------------------------|
//! | rolls back                                 | its event is kept in the cell, with an alarm  |
//! | would follow, while one is kept            | its event is kept behind it, in order         |
//! | is due again, and commits                  | the next kept event follows at once           |
//! | is due again, and rolls back               | later again, up to [`TRIES_MAX`] times        |
//! | rolls back once more                       | all its events are given up; the alarm stays, |
//! |                                            | and the entity hears of it (`rolled_back`)    |
//! | has no selector's answer, which had no     | the selector is asked again at once, up to    |
//! | time                                       | [`ASKED_AGAIN_MAX`] times for each event      |
//! | never returns                              | nothing is tried again (`hangs.rs`)           |
//! | rolls back, and the call has no room       | its event is lost, with an alarm              |
//! | commits, and its entity has left the       | what is kept of the activity is dropped, but  |
//! | activity                                   | timers, which are the entity's                |
//!
//! What is kept is a part of the cell: replicated, stored, taken over. A cell with kept events is
//! not over, even when its activities are.
//!
//! Who gets an event is not here (`event_router.rs`).

use crate::cell::Cell;
use crate::commit::{Part, Retry};
use crate::core::Core;
use crate::deployed::place_of;
use crate::event_router::{Audience, Awaiting};
use crate::timers::Due;
use resilee_sbb::{
    CellId, Descriptor, EntityId, Event, EventPayload, OnRollBack, Severity, TimerFired, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a delivery is tried again before it is given up: over four minutes.
const TRIES_MAX: u32 = 10;
/// Time before the first try; it doubles with each one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest time between two tries.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often selectors are asked once more about one event, at once: the call waits for it.
const ASKED_AGAIN_MAX: u32 = 3;
/// Events that are kept for one entity; further ones are lost to it, with an alarm.
const KEPT_EVENTS_MAX: usize = 64;

/// What becomes of an event whose delivery rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retried {
    /// It is delivered again.
    Later,
    /// It was delivered again often enough, with an alarm.
    GivenUp,
    /// Its service does not want that.
    No,
}

/// Who waits behind an alarm: it is cleared with the last of them.
#[derive(Debug, Default)]
pub(crate) struct RetryAlarms {
    waiting: BTreeMap<(String, String), BTreeSet<EntityId>>,
}

impl RetryAlarms {
    /// The alarms that are raised, by source and text, with who waits behind them.
    pub fn raised(&self) -> impl Iterator<Item = ((&str, &str), &BTreeSet<EntityId>)> {
        let waiting = self.waiting.iter();
        waiting.map(|((source, text), who)| ((source.as_str(), text.as_str()), who))
    }
}

impl Retry {
    /// True if an event of the activity is kept, or a timer that has borrowed it.
    pub fn is_about(&self, activity: u32) -> bool {
        self.events.iter().any(|event| event.activity.number == activity)
    }

    /// The first event of the activity that is kept; a timer is none.
    pub fn first_of(&self, activity: u32) -> Option<&Event> {
        let is_timer = |event: &Event| event.event_type == TimerFired::TYPE;
        self.events.iter().find(|it| it.activity.number == activity && !is_timer(it))
    }
}

impl Core {
    /// Keeps the event that is being routed behind those of the entity.
    pub(crate) fn keep_behind(&mut self, now: Timestamp, id: CellId, entity: u32) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let service =
            cell.retries.get(&entity).and_then(|it| place_of(&self.services, &it.service));
        let limits = self.config.limits;
        let limits = service.map_or(limits, |place| limits.of_service(&self.services[place]));
        let routed = cell.turn.as_ref().and_then(|turn| turn.current.as_ref());
        let has_room = routed.is_some_and(|it| cell.has_room_for(&it.event, &limits));
        let Some(turn) = cell.turn.as_mut() else { return };
        let Some(routing) = turn.current.as_mut() else { return };
        routing.delivered.insert(entity);
        let Some(retry) = cell.retries.get_mut(&entity) else { return };
        if has_room && retry.events.len() < KEPT_EVENTS_MAX {
            retry.events.push(routing.event.clone());
            turn.touched.insert(Part::Retry(entity));
        } else {
            let text = format!("an event of call {id} is lost: too many wait already");
            let service = retry.service.clone();
            self.raise_alarm(now, Severity::Major, &service, &text);
        }
    }

    /// A delivery rolled back: keeps its event, if its service wants that.
    pub(crate) fn retry_later(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        event: &Event,
        reason: &str,
    ) -> Retried {
        let service = &self.services[awaiting.service];
        if service.on_roll_back != OnRollBack::Retry {
            return Retried::No;
        }
        let (service, entity) = (service.name, awaiting.entity);
        let Some(cell) = self.cells.get_mut(&id) else { return Retried::No };
        if cell.head.quarantined.contains(service) {
            return Retried::No;
        }
        let is_kept = cell.retries.contains_key(&entity);
        let limits = self.config.limits.of_service(&self.services[awaiting.service]);
        if !is_kept && !cell.has_room_for(event, &limits) {
            let text = format!(
                "{} of call {id} is lost, since the call has no room for what is tried again \
                 (limits.cell_bytes_max): {reason}",
                event.event_type
            );
            self.raise_alarm(now, Severity::Major, service, &text);
            return Retried::GivenUp;
        }
        let Some(turn) = cell.turn.as_mut() else { return Retried::No };
        turn.touched.insert(Part::Retry(entity));
        let convergence_name = turn.new_root_name.take().map(String::into_boxed_str);
        let retry = cell.retries.entry(entity).or_insert_with(|| Retry {
            service: service.to_owned(),
            events: vec![event.clone()],
            tries: 0,
            due: now,
            alarm: String::new(),
            convergence_name,
        });
        let old = std::mem::take(&mut retry.alarm);
        retry.tries += 1;
        let given_up = retry.tries > TRIES_MAX;
        let entity_id = EntityId { cell: id, number: entity };
        if given_up {
            let kept = cell.retries.remove(&entity).into_iter().flat_map(|retry| retry.events);
            turn.released.extend(kept.map(|event| event.activity.number));
            self.timers.set(Due::Retry(entity_id), None);
            self.release_retry_alarm(service, &old, entity_id);
            let text = format!(
                "{} of call {id} was given up after {TRIES_MAX} tries: {reason}",
                event.event_type
            );
            self.raise_alarm(now, Severity::Major, service, &text);
            return Retried::GivenUp;
        }
        retry.due = now + wait(retry.tries);
        let text = format!("{} rolled back and is tried again: {reason}", event.event_type);
        retry.alarm.clone_from(&text);
        self.timers.set(Due::Retry(entity_id), Some(retry.due));
        if old != text {
            self.release_retry_alarm(service, &old, entity_id);
        }
        self.raise_retry_alarm(now, service, &text, entity_id);
        Retried::Later
    }

    /// A selector had no time, which is no answer: it is asked again, if its service wants that and
    /// it was not asked too often.
    pub(crate) fn asks_again(&mut self, id: CellId, awaiting: Awaiting) -> bool {
        let wants = self.services[awaiting.service].on_roll_back == OnRollBack::Retry;
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        let routing = turn.and_then(|turn| turn.current.as_mut());
        let Some(routing) = routing.filter(|_| awaiting.selects && wants) else { return false };
        let asks = routing.asked_again < ASKED_AGAIN_MAX;
        if asks {
            routing.asked_again += 1;
            routing.selected.remove(&awaiting.service);
        }
        asks
    }

    /// A kept event was delivered: the next one follows, or the entity is as any other.
    pub(crate) fn retry_succeeded(&mut self, id: CellId, entity: u32) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let Some(retry) = cell.retries.get_mut(&entity) else { return };
        turn.touched.insert(Part::Retry(entity));
        let activity = retry.events.remove(0).activity.number;
        turn.released.insert(activity);
        retry.tries = 0;
        // One that is over has no attachments: what came before its end still goes out. A timer
        // only borrows an activity.
        let known = cell.activities.get(&activity);
        if known.is_some_and(|known| !known.attached.contains(&entity)) {
            let is_timer = |event: &Event| event.event_type == TimerFired::TYPE;
            retry.events.retain(|it| it.activity.number != activity || is_timer(it));
        }
        if let Some(next) = retry.events.first() {
            turn.events.push_back((next.clone(), Audience::Retry(entity)));
            return;
        }
        self.forget_retry(id, entity);
    }

    /// Nothing is kept for the entity any more.
    fn forget_retry(&mut self, id: CellId, entity: u32) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(retry) = cell.retries.remove(&entity) else { return };
        if let Some(turn) = cell.turn.as_mut() {
            turn.released.extend(retry.events.iter().map(|event| event.activity.number));
        }
        let entity = EntityId { cell: id, number: entity };
        self.timers.set(Due::Retry(entity), None);
        self.release_retry_alarm(&retry.service, &retry.alarm, entity);
    }

    /// Entities were removed: nothing is tried again for them.
    pub(crate) fn forget_retries_of(&mut self, id: CellId, removed: &[u32]) {
        for entity in removed {
            let Some(cell) = self.cells.get_mut(&id) else { return };
            if cell.retries.contains_key(entity) {
                if let Some(turn) = cell.turn.as_mut() {
                    turn.touched.insert(Part::Retry(*entity));
                }
                self.forget_retry(id, *entity);
            }
        }
    }

    /// The first kept event of an entity is due again. While its service is not deployed here,
    /// that is no try.
    pub(crate) fn try_again(&mut self, now: Timestamp, id: CellId, entity: u32) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(retry) = cell.retries.get(&entity) else { return };
        if place_of(&self.services, &retry.service).is_none() {
            let entity = EntityId { cell: id, number: entity };
            return self.timers.set(Due::Retry(entity), Some(now + WAIT_MAX));
        }
        let Some(event) = retry.events.first() else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.events.push_back((event.clone(), Audience::Retry(entity)));
    }

    /// The cell is owned here from now on, with what it kept.
    pub(crate) fn adopt_retries(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get(&id) else { return };
        for (number, retry) in cell.retries.clone() {
            let entity = EntityId { cell: id, number };
            self.timers.set(Due::Retry(entity), Some(retry.due));
            self.raise_retry_alarm(now, &retry.service, &retry.alarm, entity);
        }
    }

    /// In a turn: what is kept for an entity is another service's from now on.
    pub(crate) fn hand_retry_over(
        &mut self,
        now: Timestamp,
        id: CellId,
        number: u32,
        retry: &Retry,
        to: &str,
    ) {
        let entity = EntityId { cell: id, number };
        self.release_retry_alarm(&retry.service, &retry.alarm, entity);
        self.raise_retry_alarm(now, to, &retry.alarm, entity);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let (Some(turn), Some(kept)) = (cell.turn.as_mut(), cell.retries.get_mut(&number)) else {
            return;
        };
        kept.service = to.to_owned();
        turn.touched.insert(Part::Retry(number));
    }

    /// The cell is owned elsewhere: so are its alarms.
    pub(crate) fn let_go_retries(&mut self, id: CellId) {
        let Some(cell) = self.cells.get(&id) else { return };
        for (number, retry) in cell.retries.clone() {
            let entity = EntityId { cell: id, number };
            self.timers.set(Due::Retry(entity), None);
            self.release_retry_alarm(&retry.service, &retry.alarm, entity);
        }
    }

    fn raise_retry_alarm(&mut self, now: Timestamp, service: &str, text: &str, entity: EntityId) {
        let key = (service.to_owned(), text.to_owned());
        self.retry_alarms.waiting.entry(key).or_default().insert(entity);
        self.raise_condition(now, Severity::Minor, service, text);
    }

    fn release_retry_alarm(&mut self, service: &str, text: &str, entity: EntityId) {
        let key = (service.to_owned(), text.to_owned());
        let Some(waiting) = self.retry_alarms.waiting.get_mut(&key) else { return };
        waiting.remove(&entity);
        if waiting.is_empty() {
            self.retry_alarms.waiting.remove(&key);
            self.clear_alarm(service, text);
        }
    }
}

impl Cell {
    /// True if the first event that is kept of an activity begins the entity there: it creates it,
    /// or is an initial event for a root entity that is there.
    pub fn is_to_begin(&self, service: &Descriptor, entity: u32, activity: u32) -> bool {
        let Some(retry) = self.retries.get(&entity) else { return false };
        let is_initial =
            retry.first_of(activity).is_some_and(|event| service.is_initial(&event.event_type));
        !self.entities.contains_key(&entity) || is_initial && self.root_of(entity) == entity
    }

    /// True if the entity's events are kept, and the routed one is not tried again.
    pub fn is_behind_retry(&self, entity: u32) -> bool {
        let current = self.turn.as_ref().and_then(|turn| turn.current.as_ref());
        let audience = current.map(|routing| routing.audience);
        self.retries.contains_key(&entity) && audience != Some(Audience::Retry(entity))
    }

    /// The numbers of the entities of a service for which events of an activity are kept, timers
    /// apart.
    pub fn kept_for(&self, service: &str, activity: u32) -> impl Iterator<Item = u32> {
        let kept = move |(_, retry): &(&u32, &Retry)| {
            retry.service == service && retry.first_of(activity).is_some()
        };
        self.retries.iter().filter(kept).map(|(entity, _)| *entity)
    }
}

impl Cell {
    /// How many root entities of a service are created once their first event is taken.
    pub fn roots_to_come(&self, service: &str) -> u64 {
        let of_service = |(number, retry): &(&u32, &Retry)| {
            retry.service == service && !self.entities.contains_key(number)
        };
        self.retries.iter().filter(of_service).count() as u64
    }

    /// The number of the root entity of a service that will have this name, once its first event
    /// is taken.
    pub fn kept_root(&self, service: &str, convergence_name: &str) -> Option<u32> {
        let named = |(_, retry): &(&u32, &Retry)| {
            retry.service == service && retry.convergence_name.as_deref() == Some(convergence_name)
        };
        self.retries.iter().find(named).map(|(entity, _)| *entity)
    }
}

fn wait(tries: u32) -> Duration {
    let doubled = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(doubled).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_a_minute() {
        let seconds: Vec<_> = (1..=10).map(|tries| wait(tries).as_secs_f32()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
    }
}
