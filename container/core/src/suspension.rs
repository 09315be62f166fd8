//! Events whose routing is suspended (`javax.slee.EventContext`).
//!
//! | the activity's event | input                 | what happens                      |
//! |----------------------|-----------------------|-----------------------------------|
//! | none                 | a handler suspends it | kept once its transaction commits |
//! | kept                 | another event comes   | kept behind it, in order          |
//! | kept                 | the activity ends     | its end is kept behind them       |
//! | kept                 | a handler resumes it  | routed on, then those behind it   |
//! | kept                 | its time-out          | the same                          |
//! | kept                 | an operator ends the  | the same, and none of the         |
//! |                      | activity by force     | activity is suspended any more    |
//! | kept                 | the last entity in    | routed on: its service could be   |
//! |                      | the cell of who       | removed by then, and nobody else  |
//! |                      | suspended it goes,    | would resume it                   |
//! |                      | for whatever reason   |                                   |
//!
//! It is a part of its activity: replicated, stored, taken over.

use crate::alarms::sources;
use crate::cell::Cell;
use crate::commit::{Part, Suspended};
use crate::core::Core;
use crate::deployed::place_of;
use crate::event_router::{Audience, Routing, Turn};
use crate::timers::Due;
use resilee_membership::PlantedFault;
use resilee_sbb::{ActivityId, CellId, Descriptor, Event, Severity, Timestamp};
use std::collections::BTreeSet;

impl Core {
    /// A handler suspended the event that is being routed, and its transaction has committed.
    pub(crate) fn suspend(&mut self, id: CellId) {
        let services = &self.services;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let Some(until) = turn.current.as_ref().and_then(|routing| routing.suspended_until) else {
            return;
        };
        let Some(routing) = turn.current.take() else { return };
        let number = routing.event.activity.number;
        let Some(activity) = cell.activities.get_mut(&number) else { return };
        activity.suspended = Some(Box::new(Suspended::of(routing, services, until)));
        turn.touched.insert(Part::Activity(number));
        let activity = ActivityId { cell: id, number };
        self.timers.set(Due::Suspended(activity), Some(until));
    }

    /// The time of a suspended event is over, unless it is another one that is suspended by now.
    pub(crate) fn time_out_suspended(&mut self, now: Timestamp, id: CellId, activity: u32) {
        let known = self.cells.get(&id).and_then(|cell| cell.activities.get(&activity));
        let suspended = known.and_then(|activity| activity.suspended.as_ref());
        if suspended.is_some_and(|suspended| suspended.until <= now) {
            self.resume(id, activity);
        }
    }

    /// A suspended event goes on, with the turn's next step.
    pub(crate) fn resume(&mut self, id: CellId, activity: u32) {
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        if !turn.resumed.contains(&activity) {
            turn.resumed.push_back(activity);
        }
        self.timers.set(Due::Suspended(ActivityId { cell: id, number: activity }), None);
    }

    /// What a service has suspended goes on that has no entity in the cell any more. Versions that
    /// did not keep who suspended an event wait for its time.
    pub(crate) fn resume_abandoned(&mut self, id: CellId) {
        let Some(cell) = self.cells.get(&id) else { return };
        let is_there = |service: &str| cell.entities.values().any(|it| it.service == service);
        let abandoned = cell.activities.iter().filter(|(_, activity)| {
            let suspended = activity.suspended.as_ref();
            suspended
                .is_some_and(|it| !it.by.is_empty() && !is_there(&it.by) && !is_there(&it.or_by))
        });
        let abandoned: Vec<_> = abandoned.map(|(number, _)| *number).collect();
        abandoned.into_iter().for_each(|number| self.resume(id, number));
    }

    /// An activity that an operator ends: what is suspended goes on, and is not suspended again.
    pub(crate) fn resume_by_force(&mut self, id: CellId, activity: u32) {
        self.resume(id, activity);
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        turn.into_iter().for_each(|turn| turn.forced.extend([activity]));
    }

    /// Takes the next suspended event that goes on; false if there is none.
    pub(crate) fn next_resumed(cell: &mut Cell, services: &[Descriptor]) -> bool {
        let Some(turn) = cell.turn.as_mut() else { return false };
        let Some(number) = turn.resumed.pop_front() else { return false };
        let Some(activity) = cell.activities.get_mut(&number) else { return true };
        let Some(suspended) = activity.suspended.take() else { return true };
        turn.touched.insert(Part::Activity(number));
        let (routing, queue, ends) = suspended.into_routing(services);
        turn.resumed_events += queue.len();
        for waiting in queue.into_iter().rev() {
            turn.events.push_front(waiting);
        }
        if ends {
            turn.ended.push_front(number);
        }
        turn.current = Some(routing);
        true
    }

    /// Keeps an event behind the suspended one of its activity; gives it back if there is none.
    pub(crate) fn keep_suspended(
        &mut self,
        now: Timestamp,
        id: CellId,
        event: Event,
        audience: Audience,
    ) -> Option<Event> {
        let Some(cell) = self.cells.get_mut(&id) else { return Some(event) };
        let number = event.activity.number;
        if cell.activities.get(&number).is_none_or(|it| it.suspended.is_none()) {
            return Some(event);
        }
        let suspended = cell.activities.get(&number).and_then(|it| it.suspended.as_ref());
        let by = suspended.and_then(|it| place_of(&self.services, &it.by));
        let by = by.and_then(|service| self.services.get(service));
        let limits = by.map_or(self.config.limits, |it| self.config.limits.of_service(it));
        let has_room = cell.has_room_for(&event, &limits);
        let suspended = cell.activities.get_mut(&number).and_then(|it| it.suspended.as_mut());
        let Some(suspended) = suspended else { return Some(event) };
        if has_room && suspended.queue.len() < self.config.limits.suspended_events_max {
            let place = suspended.queue.len();
            suspended.founding.extend((audience == Audience::Founding).then_some(place));
            suspended.queue.push(event);
            touch(cell.turn.as_deref_mut(), number);
        } else {
            let text = format!("an event of call {id} is lost: too many wait for a suspended one");
            self.raise_alarm(now, Severity::Major, sources::SLEE, &text);
            self.count_drop("event behind a suspended one");
        }
        None
    }

    /// The cell is owned here from now on.
    pub(crate) fn adopt_suspended(&mut self, id: CellId) {
        if self.planted.is(PlantedFault::LoseSuspended) {
            return;
        }
        let Some(cell) = self.cells.get(&id) else { return };
        for (number, activity) in &cell.activities {
            if let Some(suspended) = &activity.suspended {
                let activity = cell.activity_id(*number);
                self.timers.set(Due::Suspended(activity), Some(suspended.until));
            }
        }
    }
}

impl Suspended {
    fn of(routing: Routing, services: &[Descriptor], until: Timestamp) -> Self {
        let Routing { event, delivered, selected, served, failed, named, suspended_by, .. } =
            routing;
        let name = |service: &usize| Some(services.get(*service)?.name.to_owned());
        Suspended {
            event,
            delivered,
            selected: selected.iter().filter_map(name).collect(),
            served,
            failed,
            until,
            queue: Vec::new(),
            founding: BTreeSet::new(),
            ends: false,
            named,
            by: suspended_by.to_owned(),
            or_by: String::new(),
        }
    }

    fn into_routing(self, services: &[Descriptor]) -> (Routing, Vec<(Event, Audience)>, bool) {
        let index = |name: &String| place_of(services, name);
        let routing = Routing {
            delivered: self.delivered,
            selected: self.selected.iter().filter_map(index).collect(),
            served: self.served,
            failed: self.failed,
            named: self.named,
            ..Routing::new(self.event, Audience::All)
        };
        let audience = |place| match self.founding.contains(&place) {
            true => Audience::Founding,
            false => Audience::All,
        };
        let queue = self.queue.into_iter().enumerate();
        (routing, queue.map(|(place, event)| (event, audience(place))).collect(), self.ends)
    }
}

fn touch(turn: Option<&mut Turn>, activity: u32) {
    if let Some(turn) = turn {
        turn.touched.insert(Part::Activity(activity));
    }
}
