//! Whether an answer could be that of a linked service. What a unit computes comes from code that
//! nobody here has seen: its answer is looked at as if each effect had been asked for through
//! [`Context`](crate::Context), in order, and one that could not have been rolls the delivery back.
//!
//! | of an answer           | what is looked at                                              |
//! |------------------------|----------------------------------------------------------------|
//! | kind                   | it fits the task                                               |
//! | entities               | `tree_check.rs`                                                |
//! | what is migrated       | it has no effects                                              |
//! | effects                | their number, and of each what [`Context`](crate::Context)     |
//! |                        | looks at: who and what it is about is there, sizes, names      |
//! | commands, rows, what   | that the service has the permission                            |
//! | is suspended or        |                                                                |
//! | is resumed, ...        |                                                                |
//! | activity contexts      | the service reaches them (`reach.rs`)                          |
//! | events that it fires   | they are not of the container, nor of a resource adaptor       |
//!
//! What the container itself looks at whoever asks (usage parameters, timers of a cell, rows of a
//! cohort, profiles) is not here. Nor is the time it took, or the memory: whoever ran it knows.

use crate::activity_contexts::COMMAND_BYTES_MAX;
use crate::delivery::{ACTIVITIES_MAX, ContextView, Deliver, NAME_BYTES_MAX, Outcome, Task};
use crate::descriptor::Descriptor;
use crate::effect::{EFFECTS_MAX, Effect};
use crate::ids::ActivityId;
use crate::permission::Permission;
use crate::timer::{TIMER_PERIOD_MIN, TimerSetting};
use crate::trace::{TRACE_TEXT_MAX, TRACER_NAME_MAX, TraceLevel, cut};
use crate::transaction::Transaction;
use crate::tree_check::{Tree, check_migrated};
use crate::{ALARM_NAME_MAX, ALARM_TEXT_MAX, CLUSTER_NAMES, Cleared, decode};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Bytes of the reason of a roll back, of a unit; what is beyond is cut off.
const REASON_BYTES_MAX: usize = 1_024;
/// How event types begin that resource adaptors fire: other services believe that they come from
/// the network.
const ADAPTOR_EVENTS: [&str; 2] = ["sip.", "http."];
/// Event types that an entity of a unit may mask at once.
const MASKED_MAX: usize = 256;

/// The answer of an uploaded service, if a linked one could have given it; else the roll back that
/// takes its place.
pub fn checked(deliver: &Deliver, service: &Descriptor, outcome: Outcome) -> Outcome {
    match refused(deliver, service, &outcome) {
        Ok(()) => tidied(outcome),
        Err(lie) => {
            let reason = format!("its answer is not one that a service can give: {lie}");
            let effects = outcome.into_effects();
            tidied(Outcome::RolledBack { reason, effects })
        }
    }
}

/// What stays of a roll back is what a linked service's would.
fn tidied(mut outcome: Outcome) -> Outcome {
    let stays = |effect: &Effect| effect.survives_roll_back() && of_facility(effect).is_ok();
    match &mut outcome {
        Outcome::RolledBack { reason, effects } | Outcome::Starved { reason, effects } => {
            *reason = cut(std::mem::take(reason), REASON_BYTES_MAX);
            effects.retain(stays);
            effects.truncate(EFFECTS_MAX);
        }
        Outcome::Selected { effects, .. } => {
            effects.retain(stays);
            effects.truncate(EFFECTS_MAX);
        }
        Outcome::Delivered { .. } => {}
    }
    outcome
}

fn refused(deliver: &Deliver, service: &Descriptor, outcome: &Outcome) -> Result<(), String> {
    match (outcome, &deliver.task) {
        (Outcome::RolledBack { .. } | Outcome::Starved { .. }, _) => Ok(()),
        (Outcome::Selected { convergence_name, .. }, Task::Select) => {
            let size = convergence_name.as_ref().map_or(0, String::len);
            at_most(size, deliver.limits.attribute_bytes_max, "bytes of a convergence name")
        }
        (
            Outcome::Delivered { entities, removed, effects },
            Task::Event | Task::RolledBack { .. },
        ) => {
            let tree = Tree::check(deliver, service, entities, removed)?;
            let kept = effects.iter().filter(|effect| effect.survives_roll_back()).count();
            at_most(kept, EFFECTS_MAX, "effects that stay")?;
            at_most(effects.len() - kept, EFFECTS_MAX, "effects")?;
            let mut replay = Replay::new(deliver, service, &tree);
            effects.iter().try_for_each(|effect| replay.check(effect))
        }
        (Outcome::Delivered { entities, removed, effects }, Task::Migrate { .. }) => {
            check_migrated(deliver, entities, removed)?;
            at_most(effects.len(), 0, "effects of a migration")
        }
        (Outcome::Selected { .. }, _) => Err("it selects, and was not asked to".to_owned()),
        (Outcome::Delivered { .. }, Task::Select) => {
            Err("it was asked to select, and has delivered".to_owned())
        }
    }
}

fn at_most(count: usize, max: usize, what: &str) -> Result<(), String> {
    match count > max {
        true => Err(format!("{count} {what}, {max} allowed")),
        false => Ok(()),
    }
}

fn ensure(holds: bool, lie: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(lie()) }
}

/// The effects so far, over what was delivered.
struct Replay<'d> {
    deliver: &'d Deliver,
    service: &'d Descriptor,
    tree: &'d Tree,
    tx: Transaction,
    next_activity: u32,
}

impl<'d> Replay<'d> {
    fn new(deliver: &'d Deliver, service: &'d Descriptor, tree: &'d Tree) -> Self {
        let (tx, next_activity) = (Transaction::new(deliver), deliver.next_activity);
        Replay { deliver, service, tree, tx, next_activity }
    }

    fn check(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Trace { .. } | Effect::RaiseAlarm { .. } | Effect::ClearAlarms(_) => {
                of_facility(effect)
            }
            Effect::Command { .. }
            | Effect::PutRow { .. }
            | Effect::RemoveRow { .. }
            | Effect::Record { .. }
            | Effect::StartActivityOf { .. } => {
                self.permitted(effect)?;
                self.of_outside(effect)
            }
            Effect::SuspendEvent { .. } | Effect::ResumeEvent { .. } => {
                self.permitted(effect)?;
                self.of_activity(effect)
            }
            Effect::SetTimer { entity, setting, .. } => {
                self.entity(*entity)?;
                self.timer(setting)
            }
            Effect::CancelTimer { entity, .. } | Effect::SetPriority { entity, .. } => {
                self.entity(*entity)
            }
            Effect::Usage(update) => self.text(&update.set, "the name of a usage parameter set"),
            Effect::BindClusterName { .. }
            | Effect::UnbindClusterName { .. }
            | Effect::FireAtName { .. } => self.of_cluster_name(effect),
            effect => self.of_activity(effect),
        }
    }

    /// What the service's permissions must name.
    fn permitted(&self, effect: &Effect) -> Result<(), String> {
        let has = |wanted: &dyn Fn(&Permission) -> bool| {
            self.service.deployment.permissions.iter().any(wanted)
        };
        let (allowed, wanted) = match effect {
            Effect::Command { payload, .. } => {
                let Kind(kind) = decode(payload).map_err(|_| "a command without a kind")?;
                let wanted = format!("Command({kind:?})");
                (has(&|it| matches!(it, Permission::Command(name) if *name == kind)), wanted)
            }
            Effect::PutRow { table, .. } | Effect::RemoveRow { table, .. } => {
                let allowed = has(&|it| matches!(it, Permission::Write(name) if name == table));
                (allowed, format!("Write({table:?})"))
            }
            Effect::Record { journal, .. } => {
                let allowed = has(&|it| matches!(it, Permission::Record(name) if name == journal));
                (allowed, format!("Record({journal:?})"))
            }
            Effect::StartActivityOf { adaptor: wanted, .. } => {
                let allowed = has(&|permission| match permission {
                    Permission::Start { adaptor, .. } => adaptor == wanted,
                    _ => false,
                });
                (allowed, format!("Start of {wanted:?}"))
            }
            Effect::SuspendEvent { .. } | Effect::ResumeEvent { .. } => {
                (has(&|it| matches!(it, Permission::Suspend)), "Suspend".to_owned())
            }
            _ => return Ok(()),
        };
        ensure(allowed, || {
            format!("its permissions do not name {}: add it to its descriptor's", cut(wanted, 96))
        })
    }

    /// What leaves the cell.
    fn of_outside(&mut self, effect: &Effect) -> Result<(), String> {
        let row_bytes_max = self.deliver.limits.attribute_bytes_max;
        match effect {
            Effect::Command { activity, payload } => {
                self.context_of(*activity)?;
                at_most(payload.len(), COMMAND_BYTES_MAX, "bytes of a command")
            }
            Effect::PutRow { table, key, row } => {
                self.text(key, "a row's key")?;
                let known = self.deliver.tables.get(table, key).map_or(0, |row| row.len());
                at_most(row.len(), row_bytes_max.max(known), "bytes of a row")
            }
            Effect::RemoveRow { key, .. } => self.text(key, "a row's key"),
            Effect::Record { record, .. } => {
                at_most(record.len(), row_bytes_max, "bytes of a record")
            }
            Effect::StartActivityOf { activity, command, .. } => {
                at_most(command.len(), COMMAND_BYTES_MAX, "bytes of a command")?;
                let is_own = |it: &ContextView| !it.is_null && it.mirror_of.is_none();
                self.start(*activity, false, ACTIVITIES_MAX, is_own)
            }
            _ => Ok(()),
        }
    }

    fn of_activity(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::SetAttribute { activity, name, value } => {
                self.set_attribute(*activity, name, value)
            }
            Effect::Attach { entity, activity } => {
                self.entity(*entity)?;
                self.going_on(*activity)?;
                self.change(*activity, |context| context.attached.insert(*entity));
                Ok(())
            }
            Effect::Detach { entity, activity } => {
                self.entity(*entity)?;
                self.context(*activity)?;
                self.change(*activity, |context| context.attached.remove(entity));
                Ok(())
            }
            Effect::Mask { entity, activity, events } => self.mask(*entity, *activity, events),
            Effect::StartActivity { activity } => {
                let is_own = |it: &ContextView| it.is_null && it.mirror_of.is_none();
                self.start(*activity, true, self.deliver.limits.null_activities_max, is_own)
            }
            Effect::EndActivity { activity } => {
                let is_null = self.context(*activity)?.is_null;
                ensure(is_null, || {
                    format!("activity {activity} is its resource adaptor's to end")
                })?;
                self.change(*activity, |context| context.is_ending = true);
                Ok(())
            }
            Effect::Fire { activity, event_type, payload } => {
                self.going_on(*activity)?;
                self.fired(event_type, payload)
            }
            Effect::BindName { activity, name } => self.bind(*activity, name),
            Effect::UnbindName { name } => {
                let bound = self.bound(name);
                let activity = bound.ok_or_else(|| format!("{name:?} is bound to no activity"))?;
                self.change(activity, |context| context.names.remove(name));
                Ok(())
            }
            Effect::SuspendEvent { until } => {
                let Deliver { event, is_for_one, now, limits, .. } = self.deliver;
                let waits = !is_for_one && !event.event_type.starts_with("slee.");
                ensure(waits, || "an event that cannot be suspended".to_owned())?;
                let is_short = *until <= *now + limits.suspended_max;
                ensure(is_short, || "an event suspended for too long".to_owned())
            }
            Effect::ResumeEvent { activity } => {
                let is_suspended = self.context(*activity)?.is_suspended;
                ensure(is_suspended, || format!("no event of activity {activity} is suspended"))
            }
            _ => Ok(()),
        }
    }

    fn of_cluster_name(&mut self, effect: &Effect) -> Result<(), String> {
        let bound = |name: &String| -> Result<Option<ActivityId>, String> {
            let row = self.deliver.tables.get(CLUSTER_NAMES, name);
            row.map(|row| decode(row)).transpose().map_err(|error| error.to_string())
        };
        match effect {
            Effect::BindClusterName { activity, name } => {
                of_length(name)?;
                ensure(bound(name)?.is_none(), || format!("{name:?} is bound already"))?;
                let is_mirror = self.going_on(*activity)?.mirror_of.is_some();
                ensure(!is_mirror, || format!("activity {activity} is in another cell"))
            }
            Effect::UnbindClusterName { name } => {
                let cell = self.deliver.entity.cell;
                let is_own = bound(name)?.is_some_and(|bound| bound.cell == cell);
                ensure(is_own, || format!("{name:?} is bound to nothing here"))
            }
            Effect::FireAtName { activity, name, event_type, payload } => {
                let is_events = *activity == self.deliver.event.activity.number;
                ensure(is_events && bound(name)?.is_some(), || format!("{name:?} is not bound"))?;
                self.fired(event_type, payload)
            }
            _ => Ok(()),
        }
    }

    fn entity(&self, number: u32) -> Result<(), String> {
        let is_known = self.tree.knows(number);
        ensure(is_known, || format!("entity {number} is not of this entity tree"))
    }

    fn context_of(&self, activity: ActivityId) -> Result<&ContextView, String> {
        let is_own = activity.cell == self.deliver.entity.cell;
        ensure(is_own, || format!("activity {activity} is in another cell"))?;
        self.context(activity.number)
    }

    fn context(&self, activity: u32) -> Result<&ContextView, String> {
        let is_started = activity >= self.deliver.next_activity;
        let is_reached = is_started || self.deliver.reaches(activity);
        let context = self.tx.context(self.deliver, activity).filter(|_| is_reached);
        context.ok_or_else(|| format!("there is no activity {activity} here"))
    }

    fn going_on(&self, activity: u32) -> Result<&ContextView, String> {
        let context = self.context(activity)?;
        ensure(!context.is_ending, || format!("activity {activity} is ending"))?;
        Ok(context)
    }

    fn change<R>(&mut self, activity: u32, change: impl FnOnce(&mut ContextView) -> R) {
        self.tx.context_mut(self.deliver, activity).map(change);
    }

    fn start(
        &mut self,
        activity: u32,
        is_null: bool,
        max: usize,
        is_such: impl Fn(&ContextView) -> bool,
    ) -> Result<(), String> {
        let next = self.next_activity;
        ensure(activity == next, || format!("activity {activity} is started, {next} is next"))?;
        let numbers = self.tx.context_numbers(self.deliver).into_iter();
        let contexts = numbers.filter_map(|number| self.tx.context(self.deliver, number));
        at_most(contexts.filter(|it| is_such(it)).count() + 1, max, "activities in a cell")?;
        self.next_activity = self.tx.start_activity(is_null).saturating_add(1);
        Ok(())
    }

    fn set_attribute(&mut self, activity: u32, name: &str, value: &[u8]) -> Result<(), String> {
        ensure(self.tree.shares(name), || format!("no SBB of it has an attribute {name:?}"))?;
        self.text(name, "the name of an attribute")?;
        let context = self.context(activity)?;
        let is_here = context.mirror_of.is_none();
        ensure(is_here, || format!("attributes of activity {activity} are in its own cell"))?;
        let known = context.attributes.get(name).map(Vec::len);
        let count = context.attributes.len() + usize::from(known.is_none());
        let limits = &self.deliver.limits;
        at_most(count, limits.attributes_max.max(context.attributes.len()), "attributes")?;
        let max = limits.attribute_bytes_max.max(known.unwrap_or_default());
        at_most(value.len(), max, "bytes of an attribute")?;
        self.change(activity, |context| {
            context.attributes.insert(name.to_owned(), value.to_vec());
        });
        Ok(())
    }

    fn mask(&self, entity: u32, activity: u32, events: &BTreeSet<String>) -> Result<(), String> {
        self.entity(entity)?;
        let is_attached = self.context(activity)?.attached.contains(&entity);
        ensure(is_attached, || format!("entity {entity} is not attached to {activity}"))?;
        at_most(events.len(), MASKED_MAX, "masked event types")?;
        events.iter().try_for_each(|event| self.text(event, "a masked event type"))
    }

    fn bind(&mut self, activity: u32, name: &str) -> Result<(), String> {
        of_length(name)?;
        let max = self.deliver.limits.names_max;
        ensure(self.bound(name).is_none(), || format!("{name:?} is bound already"))?;
        at_most(self.context(activity)?.names.len() + 1, max, "names of an activity")?;
        self.change(activity, |context| context.names.insert(name.to_owned()));
        Ok(())
    }

    fn bound(&self, name: &str) -> Option<u32> {
        let mut numbers = self.tx.context_numbers(self.deliver).into_iter();
        numbers.find(|number| self.context(*number).is_ok_and(|it| it.names.contains(name)))
    }

    fn fired(&self, event_type: &str, payload: &[u8]) -> Result<(), String> {
        let is_own = event_type.starts_with("slee.");
        ensure(!is_own, || format!("{event_type:?} is the container's to fire"))?;
        let is_adaptors = ADAPTOR_EVENTS.iter().any(|prefix| event_type.starts_with(prefix));
        ensure(!is_adaptors, || {
            format!(
                "{:?} is a resource adaptor's to fire: fire an event type of your own",
                cut(event_type.to_owned(), 96)
            )
        })?;
        self.text(event_type, "an event type")?;
        at_most(payload.len(), self.deliver.limits.attribute_bytes_max, "bytes of an event")
    }

    fn text(&self, text: &str, what: &str) -> Result<(), String> {
        at_most(text.len(), self.deliver.limits.attribute_bytes_max, &format!("bytes of {what}"))
    }

    fn timer(&self, setting: &TimerSetting) -> Result<(), String> {
        let is_regular = match setting.period {
            Some(period) => period >= TIMER_PERIOD_MIN && setting.late_after <= period,
            None => setting.repetitions == 1,
        };
        let fits = is_regular && setting.due >= self.deliver.now;
        ensure(fits, || "a timer that nobody can set".to_owned())
    }
}

fn of_length(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    ensure(fits, || format!("a name of {} bytes, 1 to {NAME_BYTES_MAX} allowed", name.len()))
}

/// Lines and alarms that [`Context`](crate::Context) would have cut.
fn of_facility(effect: &Effect) -> Result<(), String> {
    match effect {
        Effect::Trace { tracer, level, text } => {
            ensure(*level != TraceLevel::Off, || "a line that is off".to_owned())?;
            at_most(tracer.len(), TRACER_NAME_MAX, "bytes of a tracer's name")?;
            at_most(text.len(), TRACE_TEXT_MAX, "bytes of a line")
        }
        Effect::RaiseAlarm { alarm_type, instance, text, .. } => {
            at_most(alarm_type.len(), ALARM_NAME_MAX, "bytes of an alarm's type")?;
            at_most(instance.len(), ALARM_NAME_MAX, "bytes of an alarm's instance")?;
            at_most(text.len(), ALARM_TEXT_MAX, "bytes of an alarm")
        }
        Effect::ClearAlarms(Cleared::One { alarm_type, instance }) => {
            at_most(alarm_type.len(), ALARM_NAME_MAX, "bytes of an alarm's type")?;
            at_most(instance.len(), ALARM_NAME_MAX, "bytes of an alarm's instance")
        }
        Effect::ClearAlarms(Cleared::OfType(alarm_type)) => {
            at_most(alarm_type.len(), ALARM_NAME_MAX, "bytes of an alarm's type")
        }
        _ => Ok(()),
    }
}

/// The kind of an adaptor's command: the name of the variant, which is all that is read of it.
struct Kind(String);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfVariant;
        impl<'de> Visitor<'de> for OfVariant {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command: a name, or a map with one")
            }

            fn visit_str<E>(self, name: &str) -> Result<Kind, E> {
                Ok(Kind(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let none = || serde::de::Error::custom("no variant");
                let (kind, IgnoredAny) = map.next_entry::<String, _>()?.ok_or_else(none)?;
                match map.next_key::<IgnoredAny>()? {
                    Some(_) => Err(serde::de::Error::custom("two variants")),
                    None => Ok(Kind(kind)),
                }
            }
        }
        deserializer.deserialize_any(OfVariant)
    }
}

impl Outcome {
    /// What was asked for.
    fn into_effects(self) -> Vec<Effect> {
        match self {
            Outcome::Delivered { effects, .. }
            | Outcome::Selected { effects, .. }
            | Outcome::RolledBack { effects, .. }
            | Outcome::Starved { effects, .. } => effects,
        }
    }
}
