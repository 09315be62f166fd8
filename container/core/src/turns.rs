//! How a turn of a cell runs: the adaptor's step, then event by event and delivery by delivery,
//! until nothing is left; then the commit.
//!
//! One delivery is out per cell at a time; cells run side by side. A delivery that rolls back
//! drops its changes and effects, and the turn goes on with the next entity: one bad service does
//! not end the call (`retry.rs` has what is tried again). Deliveries and their answers are in
//! `deliveries.rs`.

use crate::adaptors::{AdaptorId, of_adaptor};
use crate::alarms::sources;
use crate::cell::{Cell, CellInput};
use crate::cell_bytes::{KEPT_BY_ADAPTORS_MAX, kept_by_adaptors};
use crate::commit::{Activity, Part};
use crate::core::Core;
use crate::event_router::{Audience, Recipient, Routing};
use crate::io::Output;
use crate::management::Notice;
use crate::resource_adaptor::{Adoption, Endpoint, Steps};
use resilee_membership::PlantedFault;
use resilee_sbb::{
    ActivityEnd, ActivityId, CellId, Event, EventPayload, Failure, Severity, Timestamp,
};

/// Why something that a client begins is refused: after two thousand million of them.
const NO_NUMBERS: &str = "activity of an adaptor in a call that has no numbers left";

impl Core {
    /// Begins a turn with one input; the cell has none running.
    pub(crate) fn begin_turn(&mut self, now: Timestamp, id: CellId, input: CellInput) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.turn = Some(Box::default());
        match input {
            CellInput::Message(ingress, _) => {
                self.adaptor_step(now, id, ingress.adaptor, |adaptor, endpoint| {
                    adaptor.receive(endpoint, &ingress);
                });
                let turn = self.cells.get(&id).and_then(|cell| cell.turn.as_ref());
                if turn.is_some_and(|turn| turn.refused) {
                    self.answer_refused(now, &ingress);
                }
            }
            CellInput::AdaptorTimeout(activity) => {
                self.activity_step(now, activity, |adaptor, endpoint| {
                    adaptor.timeout(endpoint, activity);
                });
            }
            CellInput::Timer(entity, timer) => self.fire_timer(now, id, entity, timer),
            CellInput::Adopt(adoption) => self.adopt_activities(now, id, adoption),
            CellInput::Examine(adaptor) => self.examine(now, id, adaptor),
            CellInput::Missed => self.hear_missed(now, id),
            CellInput::Retry(entity) => self.try_again(now, id, entity),
            CellInput::Resume(activity) => self.time_out_suspended(now, id, activity),
            CellInput::Remove(ticket, removal) => self.remove_leftover(now, id, ticket, &removal),
            CellInput::Migrate(from, behind) => self.migrate_next(now, id, from, behind),
            CellInput::Undeployed(service) => self.remove_all_of(id, &service),
            CellInput::Word(word) if word.to_root => self.hear_activity(now, id, *word),
            CellInput::Word(word) => self.hear_root(now, id, *word),
        }
        self.announce(id);
        self.advance(now, id);
    }

    /// Says, once, that the cell began here.
    fn announce(&mut self, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id).filter(|cell| !cell.announced) else { return };
        cell.announced = true;
        let first = cell.activities.iter().find(|(_, activity)| activity.is_adaptors());
        let activity = first.map(|(number, it)| (cell.activity_id(*number), it.adaptor));
        let label =
            activity.and_then(|(activity, of)| Some(self.adaptors.get(of)?.label(activity)));
        let label = label.unwrap_or_default();
        self.outputs.push_back(Output::Notice(Notice::Began { cell: id, label }));
    }

    /// Lets the adaptor of an activity do one step in the turn of its cell; `None` if it is a null
    /// activity, or over, or its adaptor is not deployed.
    pub(crate) fn activity_step<R>(
        &mut self,
        now: Timestamp,
        activity: ActivityId,
        step: impl FnOnce(&mut dyn crate::ResourceAdaptor, &mut Endpoint) -> R,
    ) -> Option<R> {
        let adaptor = self.adaptor_of(activity)?;
        self.adaptor_step(now, activity.cell, adaptor, step)
    }

    /// Lets an adaptor do one step in the cell's turn, and takes in what it did.
    pub(crate) fn adaptor_step<R>(
        &mut self,
        now: Timestamp,
        id: CellId,
        by: AdaptorId,
        step: impl FnOnce(&mut dyn crate::ResourceAdaptor, &mut Endpoint) -> R,
    ) -> Option<R> {
        let next_activity = self.cells.get(&id)?.head.next_activity;
        let node = self.config.me.node.as_str();
        let mut endpoint = Endpoint::new(now, node, id, next_activity);
        let result = step(self.adaptors.get_mut(by)?, &mut endpoint);
        let alarms = std::mem::take(&mut endpoint.steps.alarms);
        let refused = std::mem::take(&mut endpoint.steps.refused);
        self.refuse_beyond_numbers(now, id, &mut endpoint.steps);
        self.absorb(now, id, by, endpoint.steps);
        refused.into_iter().for_each(|reason| self.count_drop(reason));
        for (severity, text) in alarms {
            self.raise_alarm(now, severity, self.adaptors.name(by), &text);
        }
        Some(result)
    }

    /// A cell without numbers stays readable by all: what its adaptor begins there is not, and what
    /// it said in the same step is not said. Whatever is there already goes on, and may end.
    fn refuse_beyond_numbers(&mut self, now: Timestamp, id: CellId, steps: &mut Steps) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if steps.started.is_empty() || !cell.has_no_numbers() {
            return;
        }
        cell.turn.iter_mut().for_each(|turn| turn.refused = true);
        let refused = std::mem::take(&mut steps.started);
        steps.egress.clear();
        steps.ended.retain(|activity| !refused.contains(activity));
        steps.changed.retain(|activity| !refused.contains(activity));
        steps.events.retain(|event| !refused.contains(&event.activity));
        for activity in refused {
            self.adaptors.forget(activity);
            self.count_drop(NO_NUMBERS);
        }
        let text = format!("call {id} has no numbers left for what its adaptor begins: let it end");
        self.raise_alarm(now, Severity::Major, sources::SLEE, &text);
    }

    fn absorb(&mut self, now: Timestamp, id: CellId, by: AdaptorId, steps: Steps) {
        let mut too_much = None;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        for activity in steps.started {
            cell.head.next_activity = cell.head.next_activity.max(activity.number + 1);
            let started = Activity { adaptor: by, ..Activity::default() };
            cell.activities.insert(activity.number, Box::new(started));
            turn.touched.insert(Part::Head);
        }
        for activity in steps.changed {
            let known = cell.activities.get_mut(&activity.number).filter(|it| it.adaptor == by);
            if let (Some(known), Some(adaptor)) = (known, self.adaptors.get(by)) {
                // Copied: as it grew while it was written, it has room to spare.
                let state = adaptor.marshal(activity).as_slice().to_vec();
                let (before, bytes) = (known.state.len(), state.len());
                known.state = state;
                turn.touched.insert(Part::Activity(activity.number));
                // Said once, when it becomes so much.
                let after = kept_by_adaptors(cell.activities.values());
                if after > KEPT_BY_ADAPTORS_MAX
                    && after.saturating_sub(bytes) + before <= KEPT_BY_ADAPTORS_MAX
                {
                    too_much = Some((activity, bytes));
                }
            }
        }
        turn.events.extend(steps.events.into_iter().map(|event| (event, Audience::All)));
        turn.ended.extend(steps.ended.iter().map(|activity| activity.number));
        if self.planted.is(PlantedFault::SendBeforeTurnEnds) {
            self.send_at_once(of_adaptor(by, steps.egress));
        } else {
            turn.egress.extend(of_adaptor(by, steps.egress));
        }
        if let Some((activity, bytes)) = too_much {
            let source = self.adaptors.name(by);
            let text = format!(
                "{source} keeps {bytes} bytes of activity {activity}, more than the \
                 {KEPT_BY_ADAPTORS_MAX} of a call that have room in a frame"
            );
            self.raise_alarm(now, Severity::Major, source, &text);
        }
    }

    fn adopt_activities(&mut self, now: Timestamp, id: CellId, adoption: Adoption) {
        let Some(cell) = self.cells.get(&id) else { return };
        let adopted = cell.activities.iter().filter(|(_, activity)| activity.is_adaptors());
        let states: Vec<_> = adopted.map(|(n, a)| (*n, a.adaptor, a.state.clone())).collect();
        for (number, by, state) in states {
            let activity = ActivityId { cell: id, number };
            let adopted = self.adaptor_step(now, id, by, |adaptor, endpoint| {
                adaptor.adopt(endpoint, activity, &state, adoption)
            });
            let missing = || Err(Failure::new(format!("its adaptor, {}, is not deployed", by.0)));
            if let Err(failure) = adopted.unwrap_or_else(missing) {
                self.raise_alarm(
                    now,
                    Severity::Major,
                    sources::TAKEOVER,
                    &format!("activity {activity}: {failure}"),
                );
                let steps = Steps { ended: vec![activity], ..Steps::default() };
                self.absorb(now, id, by, steps);
            }
        }
    }

    /// Goes on with the turn until a delivery is out or nothing is left.
    pub(crate) fn advance(&mut self, now: Timestamp, id: CellId) {
        loop {
            let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
                return;
            };
            if turn.awaiting.is_some() || turn.behind.is_some() {
                return;
            }
            if let Some(rolled_back) = turn.rolled_back.take() {
                return self.deliver_roll_back(now, id, rolled_back);
            }
            if turn.current.as_ref().is_some_and(|routing| routing.suspended_until.is_some()) {
                self.suspend(id);
            }
            let Some(cell) = self.cells.get(&id) else { return };
            let Some(turn) = cell.turn.as_ref() else { return };
            let Some(routing) = turn.current.as_ref() else {
                self.resume_abandoned(id);
                if !self.next_event(now, id) {
                    if self.tell_unreferenced(now, id) {
                        continue;
                    }
                    if !self.planted.is(PlantedFault::IdleStays) {
                        self.end_idle_null_activities(id);
                    }
                    self.settle_ties(now, id);
                    self.free_hung_root(id);
                    return self.end_turn(now, id);
                }
                continue;
            };
            let entrances = &self.life_cycles.entrances;
            match routing.next(cell, &self.services, entrances, self.planted) {
                Some(Recipient::Entity { entity, .. }) if cell.is_behind_retry(entity) => {
                    self.keep_behind(now, id, entity);
                }
                Some(recipient) => return self.deliver(now, id, recipient),
                None => {
                    let declined = routing.is_declined(cell, &self.services, entrances);
                    let forwarded = self.forward(now, id);
                    let Some(cell) = self.cells.get_mut(&id) else { return };
                    let routed = Self::end_routing(cell, declined && !forwarded);
                    if let Some((by, routing)) = routed {
                        self.tell_routed(now, id, by, &routing, forwarded);
                    }
                }
            }
        }
    }

    /// Takes the next event of the turn; false if there is none.
    fn next_event(&mut self, now: Timestamp, id: CellId) -> bool {
        let Some(cell) = self.cells.get_mut(&id) else { return false };
        if Self::next_resumed(cell, &self.services) {
            return true;
        }
        let Some(turn) = cell.turn.as_mut() else { return false };
        let Some((event, audience)) = turn.events.pop_front() else { return Self::next_end(cell) };
        // An adaptor may be late: a root of the cluster that got it would never hear of the
        // activity's end. What is tried again may outlive its activity.
        if audience.is_all() && !cell.activities.contains_key(&event.activity.number) {
            self.count_drop("event on an activity that is over");
            return true;
        }
        // A timer, and what is tried again, no service has caused in this turn.
        turn.routed += usize::from(audience.is_all());
        let max = self.config.limits.events_per_turn_max;
        if audience.is_all() && turn.routed > max + turn.resumed_events {
            self.lose_event(now, id, &event);
            return true;
        }
        let event = match audience {
            Audience::All | Audience::Founding => self.keep_suspended(now, id, event, audience),
            Audience::Entity(_) | Audience::Retry(_) => Some(event),
        };
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        if let (Some(turn), Some(event)) = (turn, event) {
            turn.current = Some(Routing::new(event, audience));
        }
        true
    }

    /// The turn has caused too many events.
    fn lose_event(&mut self, now: Timestamp, id: CellId, event: &Event) {
        self.count_drop("event beyond those of one turn");
        let text = format!("{} of call {id} is lost: too many events in a turn", event.event_type);
        self.raise_alarm(now, Severity::Major, sources::SLEE, &text);
    }

    /// Takes the next activity of the turn that ends: that is the last event on it.
    fn next_end(cell: &mut Cell) -> bool {
        let Some(turn) = cell.turn.as_mut() else { return false };
        let Some(number) = turn.ended.pop_front() else { return false };
        let Some(activity) = cell.activities.get_mut(&number) else { return true };
        activity.ending = true;
        if let Some(suspended) = activity.suspended.as_mut() {
            suspended.ends = true;
            turn.touched.insert(Part::Activity(number));
            return true;
        }
        let event = Event::new(ActivityId { cell: cell.id, number }, &ActivityEnd {});
        let event = event.expect("plain data can be encoded");
        turn.current = Some(Routing::new(event, Audience::All));
        true
    }

    /// All entities had the event: how it was routed, and the adaptor of its activity. It failed if
    /// a delivery of it rolled back, or if it was declined.
    fn end_routing(cell: &mut Cell, declined: bool) -> Option<(AdaptorId, Routing)> {
        let turn = cell.turn.as_mut()?;
        let mut routing = turn.current.take()?;
        routing.failed |= declined;
        let number = routing.event.activity.number;
        let is_end = routing.event.event_type == ActivityEnd::TYPE;
        let known = cell.activities.get(&number);
        let adaptor = known.filter(|activity| activity.is_adaptors());
        let adaptor = adaptor.map(|activity| activity.adaptor);
        if is_end && known.is_some_and(|activity| activity.ending) {
            turn.touched.insert(Part::Activity(number));
            for entity in cell.activities.remove(&number).into_iter().flat_map(|it| it.attached) {
                cell.forget_mask(entity, number);
                Self::reclaim(cell, entity);
            }
        }
        adaptor.map(|adaptor| (adaptor, routing))
    }
}
