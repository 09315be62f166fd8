//! How a turn of a cell runs: the adaptor's step, then event by event and delivery by delivery,
//! until nothing is left; then the commit.
//!
//! One delivery is out per cell at a time; cells run side by side. A delivery that rolls back
//! drops its changes and effects, and the turn goes on with the next entity: one bad service does
//! not end the call (`retry.rs` has what is tried again).

use crate::cell::{Cell, CellInput};
use crate::commit::{Entity, Part, Record, RowChange};
use crate::core::{Core, DELIVERY_DEADLINE_MS, DELIVERY_GRACE_MS};
use crate::event_router::{Audience, Awaiting, EVENTS_PER_TURN_MAX, Recipient, Routing};
use crate::io::Output;
use crate::management::Notice;
use crate::resource_adaptor::{Adoption, Endpoint, Scope, Steps};
use crate::timers::Due;
use resilee_membership::PlantedFault;
use resilee_sbb::{
    ActivityEnd, ActivityId, CellId, Deliver, DeliveryId, Effect, EntityId, Event, Outcome,
    StateBytes, TimerFired, TimerId, Timestamp,
};
use serde_bytes::ByteBuf;
use std::time::Duration;

impl Core {
    /// Begins a turn with one input; the cell has none running.
    pub(crate) fn begin_turn(&mut self, now: Timestamp, id: CellId, input: CellInput) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.turn = Some(Box::default());
        match input {
            CellInput::Message(ingress) => {
                self.adaptor_step(now, id, |adaptor, endpoint| adaptor.receive(endpoint, &ingress));
            }
            CellInput::AdaptorTimeout(activity) => {
                self.adaptor_step(now, id, |adaptor, endpoint| adaptor.timeout(endpoint, activity));
            }
            CellInput::Timer(entity, timer) => self.fire_timer(id, entity, timer),
            CellInput::Adopt(adoption) => self.adopt_activities(now, id, adoption),
            CellInput::Missed => self.hear_missed(now, id),
            CellInput::Retry(entity) => self.try_again(id, entity),
            CellInput::Quarantine(service) => self.quarantine(id, service),
        }
        self.announce(id);
        self.advance(now, id);
    }

    /// Says, once, that the cell began here.
    fn announce(&mut self, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id).filter(|cell| !cell.announced) else { return };
        cell.announced = true;
        let activity = cell.activities.keys().next().map(|number| cell.activity_id(*number));
        let label = activity.map(|activity| self.adaptor.label(activity)).unwrap_or_default();
        self.outputs.push_back(Output::Notice(Notice::Began { cell: id, label }));
    }

    /// Lets the adaptor do one step in the cell's turn, and takes in what it did.
    pub(crate) fn adaptor_step<R>(
        &mut self,
        now: Timestamp,
        id: CellId,
        step: impl FnOnce(&mut dyn crate::ResourceAdaptor, &mut Endpoint) -> R,
    ) -> Option<R> {
        let next_activity = self.cells.get(&id)?.head.next_activity;
        let node = self.config.me.node.as_str();
        let mut endpoint = Endpoint::new(now, node, id, next_activity);
        let result = step(self.adaptor.as_mut(), &mut endpoint);
        self.absorb(id, endpoint.steps);
        Some(result)
    }

    fn absorb(&mut self, id: CellId, steps: Steps) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        for activity in steps.started {
            cell.head.next_activity = cell.head.next_activity.max(activity.number + 1);
            cell.activities.insert(activity.number, Box::default());
            turn.touched.insert(Part::Head);
        }
        for activity in steps.changed {
            if let Some(known) = cell.activities.get_mut(&activity.number) {
                // Copied: as it grew while it was written, it has room to spare.
                known.state = self.adaptor.marshal(activity).as_slice().to_vec();
                turn.touched.insert(Part::Activity(activity.number));
            }
        }
        turn.events.extend(steps.events.into_iter().map(|event| (event, Audience::All)));
        turn.ended.extend(steps.ended.iter().map(|activity| activity.number));
        if self.planted.is(PlantedFault::SendBeforeTurnEnds) {
            return self.send_at_once(steps.egress);
        }
        turn.egress.extend(steps.egress);
    }

    fn fire_timer(&mut self, id: CellId, entity: EntityId, timer: TimerId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(due) = cell.timers.remove(&(entity.number, timer)) else { return };
        let activity = cell.attachments(entity.number).next();
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.touched.insert(Part::Timer(entity.number, timer));
        if self.planted.is(PlantedFault::TimerStays) {
            cell.timers.insert((entity.number, timer), due);
        }
        if let Some(number) = activity {
            let activity = ActivityId { cell: id, number };
            let event = Event::new(activity, &TimerFired { timer }).expect("plain data");
            if self.planted.is(PlantedFault::FireTimerTwice) {
                turn.events.push_back((event.clone(), Audience::Entity(entity.number)));
            }
            turn.events.push_back((event, Audience::Entity(entity.number)));
        }
    }

    fn adopt_activities(&mut self, now: Timestamp, id: CellId, adoption: Adoption) {
        let Some(cell) = self.cells.get(&id) else { return };
        let states: Vec<_> = cell.activities.iter().map(|(n, a)| (*n, a.state.clone())).collect();
        for (number, state) in states {
            let activity = ActivityId { cell: id, number };
            let adopted = self.adaptor_step(now, id, |adaptor, endpoint| {
                adaptor.adopt(endpoint, activity, &state, adoption)
            });
            if let Some(Err(failure)) = adopted {
                self.raise_alarm(now, "takeover", &format!("activity {activity}: {failure}"));
                let steps = Steps { ended: vec![activity], ..Steps::default() };
                self.absorb(id, steps);
            }
        }
    }

    /// Goes on with the turn until a delivery is out or nothing is left.
    fn advance(&mut self, now: Timestamp, id: CellId) {
        loop {
            let Some(cell) = self.cells.get_mut(&id) else { return };
            let Some(turn) = cell.turn.as_ref() else { return };
            let Some(routing) = turn.current.as_ref() else {
                if !Self::next_event(cell) {
                    return self.end_turn(now, id);
                }
                continue;
            };
            match routing.next(cell, &self.services) {
                Some(Recipient::Entity { entity, .. }) if cell.is_behind_retry(entity) => {
                    self.keep_behind(now, id, entity);
                }
                Some(recipient) => return self.deliver(now, id, recipient),
                None => {
                    if let Some(activity) = Self::end_routing(cell) {
                        self.adaptor_step(now, id, |adaptor, endpoint| {
                            adaptor.event_processing_failed(endpoint, activity);
                        });
                    }
                }
            }
        }
    }

    /// Takes the next event of the turn; false if there is none.
    fn next_event(cell: &mut Cell) -> bool {
        let Some(turn) = cell.turn.as_mut() else { return false };
        if let Some((event, audience)) = turn.events.pop_front() {
            turn.routed += 1;
            if turn.routed <= EVENTS_PER_TURN_MAX {
                turn.current = Some(Routing::new(event, audience));
            }
            return true;
        }
        // The end of an activity is the last event on it.
        let Some(number) = turn.ended.pop_front() else { return false };
        if let Some(activity) = cell.activities.get_mut(&number) {
            activity.ending = true;
            let activity = ActivityId { cell: cell.id, number };
            let event = Event::new(activity, &ActivityEnd {}).expect("plain data");
            turn.current = Some(Routing::new(event, Audience::All));
        }
        true
    }

    /// All entities had the event; its activity, if a delivery of it rolled back.
    fn end_routing(cell: &mut Cell) -> Option<ActivityId> {
        let turn = cell.turn.as_mut()?;
        let routing = turn.current.take()?;
        let number = routing.event.activity.number;
        if cell.activities.get(&number).is_some_and(|activity| activity.ending) {
            turn.touched.insert(Part::Activity(number));
            if let Some(activity) = cell.activities.remove(&number) {
                activity.attached.iter().for_each(|entity| Self::reclaim(cell, *entity));
            }
        }
        routing.failed.then_some(routing.event.activity)
    }

    fn deliver(&mut self, now: Timestamp, id: CellId, recipient: Recipient) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let Some(routing) = turn.current.as_mut() else { return };
        let (service, entity, created) = match recipient {
            Recipient::Entity { service, entity } => {
                (service, entity, !cell.entities.contains_key(&entity))
            }
            Recipient::Root { service } => {
                routing.selected.insert(service);
                let entity = cell.head.next_entity;
                cell.head.next_entity += 1;
                turn.touched.insert(Part::Head);
                (service, entity, true)
            }
        };
        routing.delivered.insert(entity);
        let delivery = DeliveryId(self.next_delivery);
        self.next_delivery += 1;
        turn.awaiting = Some(Awaiting { delivery, service, entity, created });
        let activity = cell.activities.get(&routing.event.activity.number);
        let attributes = activity.map(|activity| &activity.attributes).into_iter().flatten();
        let attributes = attributes.map(|(name, value)| (name.clone(), value.to_vec())).collect();
        let deliver = Deliver {
            id: delivery,
            entity: EntityId { cell: id, number: entity },
            service: self.services[service].name,
            event: routing.event.clone(),
            state: cell.entities.get(&entity).map(|entity| entity.state.clone()),
            attributes,
            tables: self.tables.clone(),
            now,
            seed: delivery.0 ^ id.cohort.0.rotate_left(17) ^ id.number.rotate_left(40),
        };
        self.deliveries.insert(delivery, id);
        let deadline = now + Duration::from_millis(DELIVERY_DEADLINE_MS);
        self.timers.set(Due::Delivery(delivery), Some(deadline));
        self.outputs.push_back(Output::Deliver(Box::new(deliver)));
    }

    pub(crate) fn on_delivery_deadline(&mut self, now: Timestamp, delivery: DeliveryId) {
        let reason = format!("the handler did not return within {DELIVERY_DEADLINE_MS} ms");
        self.outputs.push_back(Output::Abandon { delivery });
        // Others may have waited for the same thread, and are handed to another one now.
        let grace = now + Duration::from_millis(DELIVERY_GRACE_MS);
        for other in self.deliveries.keys().filter(|other| **other != delivery) {
            self.timers.postpone(Due::Delivery(*other), grace);
        }
        self.on_outcome(now, delivery, Outcome::RolledBack { reason, effects: Vec::new() });
    }

    /// The answer to a delivery; a late or repeated one is refused.
    pub(crate) fn on_outcome(&mut self, now: Timestamp, delivery: DeliveryId, outcome: Outcome) {
        let Some(id) = self.deliveries.remove(&delivery) else {
            return self.count_drop("late answer of a handler");
        };
        self.timers.set(Due::Delivery(delivery), None);
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        let Some(awaiting) = turn.awaiting.take_if(|awaiting| awaiting.delivery == delivery) else {
            return;
        };
        match self.verify(id, outcome) {
            Outcome::Delivered { state, effects } => {
                self.count_delivery(awaiting.service, true);
                self.on_delivered(now, id, awaiting, state, effects);
            }
            Outcome::RolledBack { reason, effects } => {
                self.count_delivery(awaiting.service, false);
                self.on_rolled_back(now, id, awaiting, &reason, effects);
            }
        }
        self.advance(now, id);
    }

    /// A delivery that asks for what it may not have is rolled back.
    fn verify(&self, id: CellId, outcome: Outcome) -> Outcome {
        let tables = self.cells.get(&id).is_some_and(|cell| cell.head.scope == Scope::Tables);
        let Outcome::Delivered { state, mut effects } = outcome else { return outcome };
        let writes = |e: &Effect| matches!(e, Effect::PutRow { .. } | Effect::RemoveRow { .. });
        if tables || !effects.iter().any(writes) {
            return Outcome::Delivered { state, effects };
        }
        effects.retain(Effect::survives_roll_back);
        let reason = "a shared table is written outside a cell of the tables' cohort".to_owned();
        Outcome::RolledBack { reason, effects }
    }

    fn count_delivery(&mut self, service: usize, committed: bool) {
        let counters = self.counters.entry(self.services[service].name).or_default();
        match committed {
            true => counters.delivered += 1,
            false => counters.rolled_back += 1,
        }
    }

    fn on_delivered(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        state: StateBytes,
        effects: Vec<Effect>,
    ) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let service = self.services[awaiting.service].name;
        let number = awaiting.entity;
        let Some(routing) = turn.current.as_ref() else { return };
        let activity = routing.event.activity.number;
        let old =
            cell.entities.insert(number, Box::new(Entity { service: service.to_owned(), state }));
        if old.as_ref() != cell.entities.get(&number) {
            turn.touched.insert(Part::Entity(number));
        }
        if awaiting.created
            && let Some(context) = cell.activities.get_mut(&activity)
        {
            context.attached.insert(number);
            turn.touched.insert(Part::Activity(activity));
        }
        let audience = routing.audience;
        for effect in effects {
            self.carry_out(now, id, awaiting, activity, effect);
        }
        if audience == Audience::Retry(number) {
            self.retry_succeeded(id, number);
        }
        if let Some(cell) = self.cells.get_mut(&id) {
            Self::reclaim(cell, number);
        }
    }

    fn on_rolled_back(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        reason: &str,
        effects: Vec<Effect>,
    ) {
        let routing = self.cells.get(&id).and_then(|cell| cell.turn.as_ref()?.current.as_ref());
        let Some(event) = routing.map(|routing| routing.event.clone()) else { return };
        for effect in effects.into_iter().filter(Effect::survives_roll_back) {
            self.carry_out(now, id, awaiting, event.activity.number, effect);
        }
        let service = self.services[awaiting.service].name;
        if !self.retry_later(now, id, awaiting, &event, reason) {
            self.raise_alarm(now, service, &format!("{} rolled back: {reason}", event.event_type));
        }
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        if let Some(routing) = turn.and_then(|turn| turn.current.as_mut()) {
            routing.failed = true;
        }
    }

    fn carry_out(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        context: u32,
        effect: Effect,
    ) {
        let service = self.services[awaiting.service].name;
        let number = awaiting.entity;
        match effect {
            Effect::Command { activity, payload } => {
                let result = self.adaptor_step(now, id, |adaptor, endpoint| {
                    adaptor.command(endpoint, activity, &payload)
                });
                if let Some(Err(failure)) = result {
                    self.raise_alarm(now, service, &format!("command refused: {failure}"));
                }
            }
            Effect::Trace { level, text } => {
                let notice = Notice::Trace { cell: id, service, level, text };
                self.outputs.push_back(Output::Notice(notice));
            }
            Effect::RaiseAlarm { text } => self.raise_alarm(now, service, &text),
            Effect::PutRow { table, key, row } => self.put_row(id, table, key, Some(row)),
            Effect::RemoveRow { table, key } => self.put_row(id, table, key, None),
            Effect::SetTimer { timer, due } => self.set_timer(id, number, timer, Some(due)),
            Effect::CancelTimer { timer } => self.set_timer(id, number, timer, None),
            Effect::Record { .. } | Effect::SetAttribute { .. } | Effect::Detach => {
                let Some(cell) = self.cells.get_mut(&id) else { return };
                if self.planted.is(PlantedFault::RecordTwice) {
                    cell.head.recorded.clear();
                }
                change_context(cell, context, number, effect);
            }
        }
    }

    pub(crate) fn put_row(&mut self, id: CellId, table: String, key: String, row: Option<Vec<u8>>) {
        match &row {
            Some(row) => self.tables.put(&table, &key, row.clone()),
            None => drop(self.tables.remove(&table, &key)),
        }
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        turn.rows.push(RowChange { table, key, row: row.map(ByteBuf::from) });
    }

    fn set_timer(&mut self, id: CellId, entity: u32, timer: TimerId, due: Option<Timestamp>) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let key = (entity, timer);
        let changed = match due {
            Some(due) => cell.timers.insert(key, due) != Some(due),
            None => cell.timers.remove(&key).is_some(),
        };
        let Some(turn) = cell.turn.as_mut().filter(|_| changed) else { return };
        turn.touched.insert(Part::Timer(entity, timer));
        self.timers.set(Due::Sbb(EntityId { cell: id, number: entity }, timer), due);
    }

    /// Removes an entity that is attached to nothing any more, with its timers.
    pub(crate) fn reclaim(cell: &mut Cell, entity: u32) {
        let kept = cell.retries.contains_key(&entity) || cell.attachments(entity).next().is_some();
        if kept || !cell.entities.contains_key(&entity) {
            return;
        }
        let Some(turn) = cell.turn.as_mut() else { return };
        cell.entities.remove(&entity);
        turn.touched.insert(Part::Entity(entity));
        cell.timers.retain(|(owner, timer), _| {
            let kept = *owner != entity;
            if !kept {
                turn.touched.insert(Part::Timer(entity, *timer));
            }
            kept
        });
    }
}

/// Effects on the cell itself.
fn change_context(cell: &mut Cell, context: u32, entity: u32, effect: Effect) {
    let Some(turn) = cell.turn.as_mut() else { return };
    match effect {
        Effect::Record { journal, record } if cell.head.recorded.insert(journal.clone()) => {
            turn.touched.insert(Part::Head);
            turn.records.push(Record { journal, record });
        }
        Effect::SetAttribute { name, value } => {
            if let Some(activity) = cell.activities.get_mut(&context) {
                activity.attributes.insert(name, ByteBuf::from(value));
                turn.touched.insert(Part::Activity(context));
            }
        }
        Effect::Detach => {
            let activity = cell.activities.get_mut(&context);
            if activity.is_some_and(|activity| activity.attached.remove(&entity)) {
                turn.touched.insert(Part::Activity(context));
            }
        }
        _ => {}
    }
}
