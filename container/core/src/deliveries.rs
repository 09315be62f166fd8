//! Deliveries: an event goes out to an entity, and an answer comes back.
//!
//! | answer                        | what happens                                              |
//! |-------------------------------|-----------------------------------------------------------|
//! | delivered                     | entities are created, changed, removed; effects follow    |
//! | selected, by a known name     | that root entity is attached, and gets the event          |
//! | selected, by a new name       | a root entity is created by its first delivery            |
//! | selected, by a name of the    | the activity is tied to it (`forwarding.rs`)              |
//! | cluster                       |                                                           |
//! | selected, by the name of one  | the service does not get the event                        |
//! | that had it and is gone       |                                                           |
//! | selected: not initial         | the service does not get the event                        |
//! | rolled back                   | nothing but traces and alarms is kept; then by the        |
//! |                               | service's policy: dropped, tried again, or tree removed   |
//! | rolled back, entity existed,  | it hears of it in a new transaction (`rolled_back`)       |
//! | nothing is tried again        |                                                           |
//! | delivered, but a row that it  | it is delivered again, with the row as it is now          |
//! | writes was written meanwhile  | (`conflicts.rs`, `pending_rows.rs`)                       |
//! | none in time                  | as rolled back; more in `hangs.rs`                        |
//! | of a service that was         | nothing of it is kept (`deployed.rs`)                     |
//! | undeployed meanwhile          |                                                           |

use crate::births::births;
use crate::commit::{Entity, Part};
use crate::conflicts::{Conflict, GIVEN_UP, Read};
use crate::core::Core;
use crate::event_router::{Audience, Awaiting, Recipient, RolledBack};
use crate::io::Output;
use crate::pending_rows::{DEADLOCK, Rows, rows_written};
use crate::resource_adaptor::Scope;
use crate::retry::Retried;
use crate::shared_tables::refuse_rows;
use crate::timers::Due;
use resilee_membership::PlantedFault;
use resilee_sbb::{
    CellId, ContextView, Deliver, DeliveryId, Effect, EntityId, EntityState, Event, OnRollBack,
    Outcome, Severity, Task, Timestamp, cut, is_of_one_cell,
};
use std::collections::BTreeSet;

/// Reason of the roll back of a delivery whose answer names what it may not.
const FORGED: &str = "an entity is created that its tree has no place for";

/// Of what a service fails with so many bytes are kept: they stand in alarms, in what is tried
/// again, and in what the service is told.
const REASON_BYTES_MAX: usize = 1_024;

/// A delivery that is out.
#[derive(Debug)]
pub(crate) struct Out {
    /// Its cell.
    pub cell: CellId,
    /// Since when.
    pub since: Timestamp,
    /// Place of its service, and its name: it may be undeployed meanwhile.
    pub service: usize,
    pub name: &'static str,
    /// What does not return, in words, once it should have.
    pub overdue: Option<String>,
    /// What it read, if it may write rows.
    pub read: Option<Box<Read>>,
}

impl Core {
    /// Hands the routed event to its next recipient.
    pub(crate) fn deliver(&mut self, now: Timestamp, id: CellId, recipient: Recipient) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let known_name = match recipient {
            Recipient::Entity { entity, .. } => cell.name_of_root(entity),
            Recipient::Root { .. } | Recipient::Selector { .. } => None,
        };
        let Some(turn) = cell.turn.as_mut() else { return };
        let Some(routing) = turn.current.as_mut() else { return };
        let event = routing.event.clone();
        if let Audience::Retry(entity) = routing.audience {
            let retry = cell.retries.get(&entity).filter(|_| !cell.entities.contains_key(&entity));
            turn.new_root_name = retry.and_then(|it| it.convergence_name.clone()).map(String::from);
        }
        let (service, entity, task) = match recipient {
            Recipient::Entity { service, entity } => (service, entity, Task::Event),
            Recipient::Root { service } => {
                routing.selected.insert(service);
                let entity = cell.head.next_entity;
                cell.head.next_entity += 1;
                turn.touched.insert(Part::Head);
                if routing.audience == Audience::Founding {
                    turn.new_root_name = cell.head.root.as_ref().map(|root| root.name.clone());
                }
                (service, entity, Task::Event)
            }
            Recipient::Selector { service } => {
                routing.selected.insert(service);
                (service, cell.head.next_entity, Task::Select)
            }
        };
        if task == Task::Event {
            let name = known_name.as_deref().or(turn.new_root_name.as_deref());
            routing.note_served(self.services[service].name, name);
        }
        let fifth = self.next_delivery.is_multiple_of(5);
        let twice = fifth && self.planted.is(PlantedFault::DeliverTwice);
        if task == Task::Event && !twice {
            routing.delivered.insert(entity);
        }
        self.send_out(now, id, service, entity, event, task);
    }

    /// Tells an entity that its event was rolled back.
    pub(crate) fn deliver_roll_back(&mut self, now: Timestamp, id: CellId, what: RolledBack) {
        let task = Task::RolledBack { reason: what.reason };
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        turn.into_iter().for_each(|turn| turn.tells_roll_back = true);
        self.send_out(now, id, what.service, what.entity, what.event, task);
    }

    pub(crate) fn send_out(
        &mut self,
        now: Timestamp,
        id: CellId,
        service: usize,
        entity: u32,
        event: Event,
        task: Task,
    ) {
        self.note_pending_rows(id);
        let tables = self.tables_in_turn(id).into_owned();
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let created = task == Task::Event && !cell.entities.contains_key(&entity);
        let selects = task == Task::Select;
        let delivery = DeliveryId(self.next_delivery);
        self.next_delivery += 1;
        let turn = cell.turn.as_ref();
        let audience = turn.and_then(|turn| turn.current.as_ref()).map(|it| it.audience);
        let is_for_one = audience.is_some_and(|audience| !audience.is_all());
        let mut contexts = cell.context_views();
        // An event that is tried again may be about an activity that is over: it has no attributes.
        let over = ContextView { is_ending: true, ..ContextView::default() };
        let may_write = cell.head.scope == Scope::Tables && !selects;
        let read = may_write.then(|| Box::new(Read::new(&tables, &event, &task)));
        let context = contexts.entry(event.activity.number).or_insert(over);
        if created {
            context.attached.insert(entity);
        }
        let root = cell.root_of(entity);
        let name = self.services[service].name;
        let deliver = Deliver {
            id: delivery,
            task,
            entity: EntityId { cell: id, number: entity },
            service: name,
            event,
            tree: cell.tree_view(root, self.services[service].priority),
            contexts,
            next_entity: cell.head.next_entity.max(entity + 1),
            next_activity: cell.head.next_activity,
            tables,
            trace_levels: self.tracers.levels(),
            limits: self.config.limits.of_service(&self.services[service]).delivery,
            is_for_one,
            now,
            seed: delivery.0
                ^ self.config.me.incarnation.rotate_left(51)
                ^ id.cohort.0.rotate_left(17)
                ^ id.number.rotate_left(40),
        };
        if let Some(turn) = cell.turn.as_mut() {
            turn.read_up_to = self.rows_commit;
            turn.awaiting = Some(Awaiting { delivery, service, name, entity, created, selects });
        }
        let out = Out { cell: id, since: now, service, name, overdue: None, read };
        self.deliveries.insert(delivery, out);
        self.timers.set(Due::Delivery(delivery), Some(now + self.delivery_deadline()));
        self.outputs.push_back(Output::Deliver(Box::new(deliver)));
    }

    /// The answer to a delivery; a late or repeated one is refused. One that is overdue is taken as
    /// long as nobody has said what became of its handler.
    pub(crate) fn on_outcome(&mut self, now: Timestamp, delivery: DeliveryId, outcome: Outcome) {
        match self.deliveries.contains_key(&delivery) {
            true => self.end_delivery(now, delivery, outcome),
            false => self.count_drop("late answer of a handler"),
        }
    }

    /// A delivery is out no more: the turn of its cell goes on.
    pub(crate) fn end_delivery(&mut self, now: Timestamp, delivery: DeliveryId, outcome: Outcome) {
        let Some(out) = self.deliveries.remove(&delivery) else { return };
        let Out { cell: id, read, overdue, .. } = out;
        self.timers.set(Due::Delivery(delivery), None);
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        let Some(awaiting) = turn.awaiting.take_if(|awaiting| awaiting.delivery == delivery) else {
            return;
        };
        if let Some(migration) = turn.migration.take() {
            return self.end_migration(now, id, awaiting, migration, outcome);
        }
        if !self.is_still_deployed(awaiting) {
            return self.end_undeployed(now, id, awaiting);
        }
        let rows = read.as_ref().map_or_else(Rows::new, |_| rows_written(&outcome));
        let outcome = match read.map(|read| (self.conflict(id, &read, &rows), read)) {
            None | Some((None, _)) => self.verify(id, awaiting, outcome),
            Some((Some(_), read)) if read.is_given_up() => roll_back(GIVEN_UP.to_owned(), outcome),
            Some((Some(Conflict::Outdated), read)) => {
                self.undo(now, id, awaiting, outcome);
                return self.send_again(now, id, awaiting, *read, rows);
            }
            Some((Some(Conflict::Pending(writer)), _)) if self.waits_for(writer, id) => {
                roll_back(DEADLOCK.to_owned(), outcome)
            }
            Some((Some(Conflict::Pending(writer)), read)) => {
                self.undo(now, id, awaiting, outcome);
                return self.wait_behind(id, awaiting, *read, rows, writer);
            }
        };
        let is_starved = matches!(outcome, Outcome::Starved { .. });
        match outcome {
            Outcome::Delivered { entities, removed, effects } => {
                self.count_delivery(awaiting.service, true);
                self.on_delivered(now, id, awaiting, entities, &removed, effects);
            }
            Outcome::Selected { convergence_name, effects } => {
                self.on_selected(now, id, awaiting, convergence_name, effects);
            }
            Outcome::Starved { effects, .. } if self.asks_again(id, awaiting) => {
                let stays = effects.into_iter().filter(Effect::survives_roll_back);
                stays.for_each(|effect| self.carry_out(now, id, awaiting, effect));
            }
            Outcome::RolledBack { reason, effects } | Outcome::Starved { reason, effects } => {
                let reason = cut(reason, REASON_BYTES_MAX);
                self.count_delivery(awaiting.service, false);
                // It is no fault of its own that it waited for a worker, a processor, or a row.
                if overdue.is_none() && !is_starved && reason != DEADLOCK {
                    self.note_failed_delivery(now, id, awaiting);
                }
                self.on_rolled_back(now, id, awaiting, &reason, effects);
            }
        }
        self.advance(now, id);
    }

    /// A delivery that asks for what it may not have is rolled back.
    fn verify(&self, id: CellId, awaiting: Awaiting, outcome: Outcome) -> Outcome {
        let Some(cell) = self.cells.get(&id) else { return outcome };
        let limits = self.config.limits.of_service(&self.services[awaiting.service]);
        let Outcome::Delivered { entities, removed, effects } = outcome else { return outcome };
        let is_placed = |state: &EntityState| match &state.born {
            Some(child) => state.number >= cell.head.next_entity && child.parent.is_some(),
            None => awaiting.entity == state.number || cell.entities.contains_key(&state.number),
        };
        let reason = if let Some(wrong) = refuse_rows(cell.head.scope, &effects) {
            wrong
        } else if let Some(wrong) = self.check_profile_effects(id, &effects) {
            wrong
        } else if !entities.iter().all(is_placed) {
            FORGED.to_owned()
        } else if let Some(reason) = self.refuse_of_facilities(id, awaiting, &removed, &effects) {
            reason
        } else if let Some(reason) =
            cell.refuse_posts(&effects).or_else(|| cell.refuse_names(&effects))
        {
            reason
        } else if let Some(reason) = cell.refuse_numbers(&entities, &effects) {
            reason
        } else if let Some(reason) = cell.refuse_births(&entities, &effects, &limits) {
            reason
        } else if let Some(reason) = cell.refuse_bytes(&entities, &removed, &effects, &limits) {
            reason
        } else {
            return Outcome::Delivered { entities, removed, effects };
        };
        roll_back(reason, Outcome::Delivered { entities, removed, effects })
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
        entities: Vec<EntityState>,
        removed: &[u32],
        effects: Vec<Effect>,
    ) {
        let service = self.services[awaiting.service].name;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let number = awaiting.entity;
        let births = births(&entities, &effects);
        for state in entities {
            cell.put_entity(service, state);
        }
        let is_root = cell.root_of(number) == number;
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.births += births;
        let is_told = std::mem::take(&mut turn.tells_roll_back);
        let routing = turn.current.as_mut();
        let activity = routing.as_ref().map(|routing| routing.event.activity.number);
        let event_type = routing.as_ref().map(|routing| routing.event.event_type.clone());
        let audience = routing.map(|routing| routing.audience);
        // A selector's root is attached by each of its initial events, also by one that waited.
        let root = &self.services[awaiting.service];
        let is_initial = matches!(audience, Some(Audience::Retry(_)))
            && !is_told
            && is_root
            && root.selects_initial_events
            && event_type.is_some_and(|event_type| root.is_initial(&event_type));
        if let Some(activity) = activity.filter(|_| awaiting.created || is_initial)
            && let Some(context) = cell.activities.get_mut(&activity)
        {
            context.attached.insert(number);
            turn.touched.insert(Part::Activity(activity));
        }
        // Commands may start activities before: the numbers that the handler knows are taken.
        let started = effects.iter().filter_map(|effect| match effect {
            Effect::StartActivity { activity } | Effect::StartActivityOf { activity, .. } => {
                Some(activity.saturating_add(1))
            }
            _ => None,
        });
        cell.head.next_activity = started.fold(cell.head.next_activity, u32::max);
        let tied = !cell.ties.is_empty();
        for effect in effects {
            match tied && self.post_effect(id, &effect) {
                true => {}
                false => self.carry_out(now, id, awaiting, effect),
            }
        }
        if audience == Some(Audience::Retry(number)) {
            self.retry_succeeded(id, number);
        }
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let below = |entity: &u32| cell.subtree(*entity);
        // Each once: of a tree that goes, all that is below is named as well.
        let removed: BTreeSet<_> = match self.planted.is(PlantedFault::LeaveOrphans) {
            true => removed.first().copied().into_iter().collect(),
            false => removed.iter().flat_map(below).collect(),
        };
        let removed: Vec<_> = removed.into_iter().collect();
        // Of one that was created, too: somebody may have kept its id.
        let next_entity = removed.iter().map(|number| number.saturating_add(1)).max();
        if let Some(next_entity) = next_entity.filter(|next| *next > cell.head.next_entity) {
            cell.head.next_entity = next_entity;
            cell.turn.iter_mut().for_each(|turn| turn.touched.extend([Part::Head]));
        }
        cell.remove_entities(&removed);
        if self.planted.is(PlantedFault::LeaveAttachment)
            && let Some((activity, left)) = activity.zip(removed.first())
            && let Some(context) = cell.activities.get_mut(&activity)
        {
            context.attached.insert(*left);
        }
        self.forget_retries_of(id, &removed);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        Self::reclaim(cell, number);
    }

    /// A selector said which root entity gets the event.
    fn on_selected(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        convergence_name: Option<String>,
        effects: Vec<Effect>,
    ) {
        for effect in effects.into_iter().filter(Effect::survives_roll_back) {
            self.carry_out(now, id, awaiting, effect);
        }
        let Some(convergence_name) = convergence_name else { return };
        let service = self.services[awaiting.service].name;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let is_of_cell = is_of_one_cell(&convergence_name);
        if !is_of_cell && !cell.is_of_root(service, &convergence_name) {
            return self.tie_to_root(now, id, awaiting.service, convergence_name);
        }
        let named = |entity: &Entity| {
            entity.service == service
                && entity.convergence_name.as_deref() == Some(convergence_name.as_str())
        };
        let known = cell.entities.iter().find(|(_, entity)| named(entity)).map(|(n, _)| *n);
        let routing = cell.turn.as_ref().and_then(|turn| turn.current.as_ref());
        let Some(routing) = routing else { return };
        let activity = routing.event.activity.number;
        // A service that stops starts nothing new, whatever its selector says.
        let entrance = &self.life_cycles.entrances[awaiting.service];
        let admitted = entrance.admits(cell, activity);
        // Nor does it take over what another version of it serves, or is to serve.
        let gives_way = entrance.open && !admitted || self.life_cycles.is_replaced(service);
        if let Some(kept) = cell.kept_root(service, &convergence_name).filter(|_| known.is_none()) {
            // It is created by an event that is tried again: this one follows behind.
            if !gives_way && !routing.delivered.contains(&kept) {
                self.keep_behind(now, id, kept);
            }
            return;
        }
        let Some(known) = known else {
            if !admitted {
                return cell.decline(!entrance.open);
            }
            // That one had the event, and is gone.
            if routing.was_served(service, &convergence_name) {
                return;
            }
            let Some(turn) = cell.turn.as_mut() else { return };
            turn.new_root_name = Some(convergence_name);
            return self.deliver(now, id, Recipient::Root { service: awaiting.service });
        };
        if let Some(context) = cell.activities.get_mut(&activity).filter(|_| !gives_way)
            && context.attached.insert(known)
            && let Some(turn) = cell.turn.as_mut()
        {
            turn.touched.insert(Part::Activity(activity));
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
        for effect in effects.into_iter().filter(Effect::survives_roll_back) {
            self.carry_out(now, id, awaiting, effect);
        }
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        let policy = self.services[awaiting.service].on_roll_back;
        let service = self.services[awaiting.service].name;
        let Some(event) = turn.current.as_ref().map(|routing| routing.event.clone()) else {
            return;
        };
        let is_told = std::mem::take(&mut turn.tells_roll_back) || awaiting.selects;
        let retried = match is_told {
            true => Retried::No,
            false => self.retry_later(now, id, awaiting, &event, reason),
        };
        if retried == Retried::No {
            let text = format!("{} rolled back: {reason}", event.event_type);
            self.raise_alarm(now, Severity::Major, service, &text);
        }
        if retried != Retried::Later {
            self.after_roll_back(id, awaiting, event, reason, policy, is_told);
        }
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if is_told {
            // What was given up may have been all that it was there for.
            Self::reclaim(cell, awaiting.entity);
        }
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.new_root_name = None;
        turn.current.iter_mut().for_each(|routing| routing.failed = true);
    }

    /// What the service's policy wants, when nothing is tried again.
    fn after_roll_back(
        &mut self,
        id: CellId,
        awaiting: Awaiting,
        event: Event,
        reason: &str,
        policy: OnRollBack,
        is_told: bool,
    ) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if !cell.entities.contains_key(&awaiting.entity) {
            return;
        }
        if policy == OnRollBack::Remove {
            let tree: Vec<_> = cell.tree(cell.root_of(awaiting.entity)).collect();
            return cell.remove_entities(&tree);
        }
        let Some(turn) = cell.turn.as_mut().filter(|_| !is_told) else { return };
        let (service, entity, reason) = (awaiting.service, awaiting.entity, reason.to_owned());
        turn.rolled_back = Some(RolledBack { service, entity, event, reason });
    }
}

/// What is left of a delivery that is rolled back.
pub(crate) fn roll_back(reason: String, outcome: Outcome) -> Outcome {
    let Outcome::Delivered { effects, .. } = outcome else { return outcome };
    let effects = effects.into_iter().filter(Effect::survives_roll_back).collect();
    Outcome::RolledBack { reason, effects }
}
