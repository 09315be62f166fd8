//! What a delivery asks the facilities for: timers, alarms, traces, usage
//! (`javax.slee.facilities`, `javax.slee.usage`).
//!
//! | what it asks for                       | if it rolls back | what makes it roll back         |
//! |----------------------------------------|------------------|---------------------------------|
//! | a timer is set or cancelled            | not done         | too many timers in the cell     |
//! | an alarm is raised or cleared          | done             |                                 |
//! | a line is written                      | done             |                                 |
//! | a usage parameter is changed           | not done         | it is not declared as that      |
//!
//! Each facility's own rules are in `timer_facility.rs`, `alarms.rs`, `tracers.rs`, `usage.rs`.

use crate::alarms::Raise;
use crate::cell::Cell;
use crate::commit::Part;
use crate::core::Core;
use crate::event_router::{Audience, Awaiting};
use crate::io::Output;
use crate::management::Notice;
use crate::timer_facility::ArmedTimer;
use crate::timers::Due;
use crate::usage::Usage;
use resilee_membership::PlantedFault;
use resilee_sbb::{
    ActivityId, CellId, Cleared, Effect, EntityId, Event, TimerId, Timestamp, TraceLevel,
    UNTYPED_ALARM,
};
use std::collections::BTreeSet;

impl Core {
    /// Why a delivery that wants to commit must roll back, if it must.
    pub(crate) fn refuse_of_facilities(
        &self,
        id: CellId,
        awaiting: Awaiting,
        removed: &[u32],
        effects: &[Effect],
    ) -> Option<String> {
        let descriptor = &self.services[awaiting.service];
        let service = descriptor.name;
        let cell = self.cells.get(&id)?;
        let max = self.config.limits.of_service(descriptor).timers_per_cell_max;
        effects
            .iter()
            .find_map(|effect| undeclared_usage(&self.usage, service, effect))
            .or_else(|| too_many_timers(cell, removed, effects, max))
    }

    /// Carries out what a delivery asked a facility for.
    pub(crate) fn ask_facility(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        effect: Effect,
    ) {
        let service = self.services[awaiting.service].name;
        match effect {
            Effect::SetTimer { entity, timer, setting } => {
                self.set_timer(id, entity, timer, Some(ArmedTimer::new(&setting)));
            }
            Effect::CancelTimer { entity, timer } => self.set_timer(id, entity, timer, None),
            Effect::Trace { tracer, level, text } => {
                self.trace(now, id, service, tracer, level, text);
            }
            Effect::RaiseAlarm { alarm_type, instance, severity, text } => {
                let about = Some((typed(&alarm_type), instance.as_str()));
                let (source, of_service, text) = (service, true, text.as_str());
                let lasting = false;
                let raise = Raise { source, about, of_service, severity, text, lasting };
                self.raise(now, &raise);
            }
            Effect::ClearAlarms(which) => {
                let which = typed_cleared(which);
                // Its entities may have raised them while they were those of the service that it
                // replaces, if an operator says that it does.
                let place = awaiting.service;
                for before in self.services[place].deployment.migrates_from {
                    if self.life_cycles.replaces(place, before) {
                        self.clear_service_alarms(now, before, &which);
                    }
                }
                self.clear_service_alarms(now, service, &which);
            }
            Effect::Usage(update) => {
                let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
                if let Some(turn) = turn {
                    turn.count(service, update);
                }
            }
            _ => {}
        }
    }

    fn trace(
        &mut self,
        now: Timestamp,
        cell: CellId,
        service: &'static str,
        tracer: String,
        level: TraceLevel,
        text: String,
    ) {
        let below = tracer.strip_prefix(service).is_some_and(|rest| rest.starts_with('.'));
        // A service writes under its own name only.
        let tracer = if below { tracer } else { service.to_owned() };
        // A unit may say what it was not asked for.
        if !self.tracers.is_traceable(&tracer, level) {
            return;
        }
        let Some(admitted) = self.tracers.admit(now, service, tracer) else { return };
        let tracer = admitted.tracer;
        if admitted.left_out > 0 {
            let text = format!("{} lines were left out: too many in a second", admitted.left_out);
            let (level, tracer) = (TraceLevel::Warning, tracer.clone());
            self.outputs.push_back(Output::Notice(Notice::Trace { cell, tracer, level, text }));
        }
        self.outputs.push_back(Output::Notice(Notice::Trace { cell, tracer, level, text }));
    }

    /// Sets, replaces or cancels a timer.
    pub(crate) fn set_timer(
        &mut self,
        id: CellId,
        entity: u32,
        timer: TimerId,
        armed: Option<ArmedTimer>,
    ) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let (key, due) = ((entity, timer), armed.as_ref().map(|armed| armed.due));
        let changed = match armed {
            // It was created and removed by the same delivery.
            Some(_) if !cell.entities.contains_key(&entity) => false,
            Some(armed) => cell.timers.insert(key, armed.clone()) != Some(armed),
            None => cell.timers.remove(&key).is_some(),
        };
        let Some(turn) = cell.turn.as_mut().filter(|_| changed) else { return };
        turn.touched.insert(Part::Timer(entity, timer));
        self.timers.set(Due::Sbb(EntityId { cell: id, number: entity }, timer), due);
    }

    /// A timer is due: its event is routed, and its next moment is waited for.
    pub(crate) fn fire_timer(
        &mut self,
        now: Timestamp,
        id: CellId,
        entity: EntityId,
        timer: TimerId,
    ) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let key = (entity.number, timer);
        // It may have been moved or cancelled while its cell had another turn.
        let Some(armed) = cell.timers.get(&key).filter(|armed| armed.due <= now).cloned() else {
            return;
        };
        // A child that is attached to nothing has its tree's activities.
        let attached = |number| cell.attachments(number).next();
        let tree = || cell.tree(cell.root_of(entity.number)).find_map(attached);
        // One that waits for events of an activity that is over has that one: this event follows
        // behind.
        let kept = || {
            let tree = cell.tree(cell.root_of(entity.number));
            let mut kept = tree.filter_map(|number| cell.retries.get(&number)?.events.first());
            kept.next().map(|event| event.activity.number)
        };
        let activity = attached(entity.number).or_else(tree).or_else(kept);
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.touched.insert(Part::Timer(entity.number, timer));
        let stays = self.planted.is(PlantedFault::TimerStays).then(|| armed.clone());
        let fired = armed.fire(now, timer);
        self.timers.set(Due::Sbb(entity, timer), fired.next.as_ref().map(|next| next.due));
        match fired.next.or(stays) {
            Some(next) => drop(cell.timers.insert(key, next)),
            None => drop(cell.timers.remove(&key)),
        }
        if let (Some(number), Some(event)) = (activity, fired.event) {
            let activity = ActivityId { cell: id, number };
            let event = Event::new(activity, &event).expect("plain data");
            if self.planted.is(PlantedFault::FireTimerTwice) {
                turn.events.push_back((event.clone(), Audience::Entity(entity.number)));
            }
            turn.events.push_back((event, Audience::Entity(entity.number)));
        }
    }

    /// That a service declares usage parameters.
    ///
    /// # Errors
    /// There is none of this name, or it declares none.
    pub(crate) fn check_counts(&self, name: &str) -> Result<(), String> {
        if !self.is_deployed(name) {
            return Err(format!("there is no service {name:?}"));
        }
        match self.usage.counts(name) {
            true => Ok(()),
            false => Err(format!("{name} declares no usage parameters")),
        }
    }
}

/// The type of an alarm of a service: the container's own have none, and are known by that.
fn typed(alarm_type: &str) -> &str {
    match alarm_type {
        "" => UNTYPED_ALARM,
        alarm_type => alarm_type,
    }
}

fn typed_cleared(which: Cleared) -> Cleared {
    match which {
        Cleared::One { alarm_type, instance } => {
            Cleared::One { alarm_type: typed(&alarm_type).to_owned(), instance }
        }
        Cleared::OfType(alarm_type) => Cleared::OfType(typed(&alarm_type).to_owned()),
        Cleared::All => Cleared::All,
    }
}

fn undeclared_usage(usage: &Usage, service: &str, effect: &Effect) -> Option<String> {
    let Effect::Usage(update) = effect else { return None };
    let (parameter, kind) = (&update.parameter, update.value.kind());
    match usage.kind(service, parameter) {
        Some(declared) if declared == kind => None,
        Some(declared) => Some(format!(
            "usage parameter {parameter:?} is declared as a {declared}, and used as a {kind}"
        )),
        None => Some(format!("usage parameter {parameter:?} is not declared")),
    }
}

fn too_many_timers(cell: &Cell, removed: &[u32], effects: &[Effect], max: usize) -> Option<String> {
    let sets = effects.iter().filter(|effect| matches!(effect, Effect::SetTimer { .. })).count();
    if sets == 0 || cell.timers.len() + sets <= max {
        return None;
    }
    let mut timers: BTreeSet<_> = cell.timers.keys().copied().collect();
    for effect in effects {
        match effect {
            Effect::SetTimer { entity, timer, .. } => drop(timers.insert((*entity, *timer))),
            Effect::CancelTimer { entity, timer } => drop(timers.remove(&(*entity, *timer))),
            _ => {}
        }
    }
    let gone: BTreeSet<_> = removed.iter().flat_map(|entity| cell.subtree(*entity)).collect();
    timers.retain(|(entity, _)| !gone.contains(entity));
    let count = timers.len();
    (count > max.max(cell.timers.len()))
        .then(|| format!("{count} timers in one cell, {max} allowed"))
}
