//! Activity contexts, as a handler sees them: attachments, attributes, masks, null activities,
//! events, names.
//!
//! A handler reaches the activity contexts of its own cell.

use crate::codec::{decode, encode};
use crate::context::Context;
use crate::delivery::{ACTIVITIES_MAX, ContextView, NAME_BYTES_MAX};
use crate::effect::Effect;
use crate::event::EventPayload;
use crate::ids::{ActivityId, EntityId};
use crate::sbb::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of a command that starts an activity; a larger one rolls the delivery back.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// How the names of the container's own event types begin.
const OWN_EVENTS: &str = "slee.";

impl Context<'_> {
    /// Attaches an entity of this tree to an activity context: it gets its events from now on,
    /// the one being routed included.
    ///
    /// # Errors
    /// An unknown entity or activity; an activity that ends.
    pub fn attach(&mut self, entity: EntityId, activity: ActivityId) -> Result<(), Failure> {
        self.check_entity(entity)?;
        let (deliver, number) = (self.deliver, activity.number);
        let context = self.open_context(activity)?;
        if context.is_ending {
            return Err(Failure::new(format!("activity {activity} is ending")));
        }
        let context = self.tx.context_mut(deliver, number).expect("it was just looked at");
        if context.attached.insert(entity.number) {
            self.tx.ask(Effect::Attach { entity: entity.number, activity: number });
        }
        Ok(())
    }

    /// Detaches this entity from the event's activity context. A tree that is attached to
    /// nothing is removed.
    pub fn detach(&mut self) {
        let (entity, activity) = (self.number, self.activity().number);
        if let Some(context) = self.tx.context_mut(self.deliver, activity) {
            context.attached.remove(&entity);
        }
        // Also of a root entity that is being created: it would be attached at commit.
        self.tx.ask(Effect::Detach { entity, activity });
    }

    /// Detaches an entity of this tree from an activity context.
    ///
    /// # Errors
    /// An unknown entity or activity.
    pub fn detach_from(&mut self, entity: EntityId, activity: ActivityId) -> Result<(), Failure> {
        self.check_entity(entity)?;
        self.open_context(activity)?;
        if let Some(context) = self.tx.context_mut(self.deliver, activity.number) {
            context.attached.remove(&entity.number);
        }
        let activity = activity.number;
        self.tx.ask(Effect::Detach { entity: entity.number, activity });
        Ok(())
    }

    /// Activities that this entity is attached to.
    pub fn activities(&self) -> Vec<ActivityId> {
        let numbers = self.tx.context_numbers(self.deliver).into_iter();
        let attached = numbers.filter(|number| {
            let context = self.tx.context(self.deliver, *number);
            context.is_some_and(|context| context.attached.contains(&self.number))
        });
        attached.map(|number| self.deliver.activity(number)).collect()
    }

    /// True if the activity ends or is over.
    pub fn is_ending(&self, activity: ActivityId) -> bool {
        self.open_context(activity).map_or(true, |context| context.is_ending)
    }

    /// Event types of an activity context that this entity does not get, instead of those it
    /// masked before. It holds until the entity is detached. Timers and the end of an activity
    /// cannot be masked.
    ///
    /// # Errors
    /// An unknown activity, or one that this entity is not attached to.
    pub fn mask(&mut self, activity: ActivityId, events: &[&str]) -> Result<(), Failure> {
        if !self.open_context(activity)?.attached.contains(&self.number) {
            let text = format!("{} is not attached to activity {activity}", self.entity());
            return Err(Failure::new(text));
        }
        let (entity, activity) = (self.number, activity.number);
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        self.tx.ask(Effect::Mask { entity, activity, events });
        Ok(())
    }

    /// An attribute of the event's activity context: what the entities of one SBB share, and with
    /// an alias those of several.
    ///
    /// # Errors
    /// An attribute of another type.
    pub fn attribute<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.attribute_of(self.activity(), name)
    }

    /// An attribute of an activity context.
    ///
    /// # Errors
    /// An unknown activity, or an attribute of another type.
    pub fn attribute_of<T: DeserializeOwned>(
        &self,
        activity: ActivityId,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let key = self.attribute_key(name)?;
        let value = self.context_of_cell(activity)?.attributes.get(&key);
        Ok(value.map(|value| decode(value)).transpose()?)
    }

    /// Sets an attribute of the event's activity context.
    ///
    /// # Errors
    /// As [`Context::set_attribute_of`].
    pub fn set_attribute<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        self.set_attribute_of(self.activity(), name, value)
    }

    /// Sets an attribute of an activity context.
    ///
    /// # Errors
    /// An unknown activity, too many attributes, a value that cannot be encoded or is too large.
    pub fn set_attribute_of<T: Serialize>(
        &mut self,
        activity: ActivityId,
        name: &str,
        value: &T,
    ) -> Result<(), Failure> {
        let key = self.attribute_key(name)?;
        let max = self.deliver.limits.attributes_max;
        let context = self.context_of_cell(activity)?;
        let known = context.attributes.get(&key).map(Vec::len);
        if context.attributes.len() >= max && known.is_none() {
            let text = format!("an activity context has {max} attributes at most");
            return Err(Failure::new(text));
        }
        let value = self.bounded(encode(value)?, "attribute", known)?;
        if let Some(context) = self.tx.context_mut(self.deliver, activity.number) {
            context.attributes.insert(key.clone(), value.clone());
        }
        self.tx.ask(Effect::SetAttribute { activity: activity.number, name: key, value });
        Ok(())
    }

    /// True if this SBB shares the attribute under `alias`.
    pub fn shares(&self, attribute: &str, alias: &str) -> bool {
        self.attribute_key(attribute).is_ok_and(|key| key == alias)
    }

    fn attribute_key(&self, name: &str) -> Result<String, Failure> {
        let sbb = self.tx.sbb(self.deliver, self.root, self.number)?;
        Ok(sbb.descriptor().attribute_key(name))
    }

    /// Starts a null activity: one that no resource adaptor has, on which services fire events.
    /// It ends by [`Context::end_activity`], or when no entity is attached to it and no name is
    /// bound to it any more.
    ///
    /// # Errors
    /// Too many of them in the cell.
    pub fn create_null_activity(&mut self) -> Result<ActivityId, Failure> {
        let numbers = self.tx.context_numbers(self.deliver).into_iter();
        let contexts = numbers.filter_map(|number| self.tx.context(self.deliver, number));
        let max = self.deliver.limits.null_activities_max;
        let own = |context: &&ContextView| context.is_null && context.mirror_of.is_none();
        if contexts.filter(own).count() >= max {
            let text = format!("a cell has {max} null activities at most");
            return Err(Failure::new(text));
        }
        let activity = self.tx.start_activity(true);
        self.tx.ask(Effect::StartActivity { activity });
        Ok(self.deliver.activity(activity))
    }

    /// Starts an activity of a resource adaptor in this cell: `command` says what it is to be, in
    /// the adaptor's own words. This entity gets its events once it attaches itself. If the adaptor
    /// cannot start it, or does not take any now, the activity ends at once, with an alarm.
    ///
    /// # Errors
    /// A command that cannot be encoded or is too large; too many activities in the cell.
    pub fn start_activity<C: Serialize>(
        &mut self,
        adaptor: &str,
        command: &C,
    ) -> Result<ActivityId, Failure> {
        let numbers = self.tx.context_numbers(self.deliver).into_iter();
        let contexts = numbers.filter_map(|number| self.tx.context(self.deliver, number));
        let is_own = |context: &&ContextView| !context.is_null && context.mirror_of.is_none();
        if contexts.filter(is_own).count() >= ACTIVITIES_MAX {
            let text = format!("a cell has {ACTIVITIES_MAX} activities of adaptors at most");
            return Err(Failure::new(text));
        }
        let command = encode(command)?;
        if command.len() > COMMAND_BYTES_MAX {
            let size = command.len();
            let text = format!("command of {size} bytes, {COMMAND_BYTES_MAX} allowed");
            return Err(Failure::new(text));
        }
        let activity = self.tx.start_activity(false);
        let adaptor = adaptor.to_owned();
        self.tx.ask(Effect::StartActivityOf { adaptor, activity, command });
        Ok(self.deliver.activity(activity))
    }

    /// Ends a null activity; its end is the last event on it.
    ///
    /// # Errors
    /// An unknown activity, or one that a resource adaptor has to end.
    pub fn end_activity(&mut self, activity: ActivityId) -> Result<(), Failure> {
        if !self.open_context(activity)?.is_null {
            let text = format!("activity {activity} is its resource adaptor's to end");
            return Err(Failure::new(text));
        }
        if let Some(context) = self.tx.context_mut(self.deliver, activity.number) {
            context.is_ending = true;
        }
        self.tx.ask(Effect::EndActivity { activity: activity.number });
        Ok(())
    }

    /// Fires an event on an activity. It is routed after those that were fired before it.
    ///
    /// # Errors
    /// An unknown activity or one that ends; a payload that cannot be encoded or is too large; an
    /// event of the container's own (`slee.`).
    pub fn fire<E: EventPayload>(
        &mut self,
        activity: ActivityId,
        payload: &E,
    ) -> Result<(), Failure> {
        if self.open_context(activity)?.is_ending {
            return Err(Failure::new(format!("activity {activity} is ending")));
        }
        self.check_fired(E::TYPE)?;
        let payload = self.bounded(encode(payload)?, "event", None)?;
        let (activity, event_type) = (activity.number, E::TYPE.to_owned());
        self.tx.ask(Effect::Fire { activity, event_type, payload });
        Ok(())
    }

    pub(crate) fn check_fired(&self, event_type: &str) -> Result<(), Failure> {
        match event_type.starts_with(OWN_EVENTS) {
            true => Err(Failure::new(format!("{event_type} is the container's to fire"))),
            false => Ok(()),
        }
    }

    /// Binds a name to an activity context, by which other entities of the cell find it.
    ///
    /// # Errors
    /// An unknown activity; a name that is bound already, empty or too long; too many names.
    pub fn bind_name(&mut self, activity: ActivityId, name: &str) -> Result<(), Failure> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Failure::new(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if let Some(bound) = self.look_up_name(name) {
            return Err(Failure::new(format!("{name:?} is bound to activity {bound}")));
        }
        let max = self.deliver.limits.names_max;
        if self.open_context(activity)?.names.len() >= max {
            return Err(Failure::new(format!("an activity has {max} names at most")));
        }
        if let Some(context) = self.tx.context_mut(self.deliver, activity.number) {
            context.names.insert(name.to_owned());
        }
        self.tx.ask(Effect::BindName { activity: activity.number, name: name.to_owned() });
        Ok(())
    }

    /// The activity that a name is bound to.
    pub fn look_up_name(&self, name: &str) -> Option<ActivityId> {
        let numbers = self.tx.context_numbers(self.deliver).into_iter();
        let mut bound = numbers.filter(|number| {
            let context = self.tx.context(self.deliver, *number);
            context.is_some_and(|context| context.names.contains(name))
        });
        bound.next().map(|number| self.deliver.activity(number))
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// A name that is not bound.
    pub fn unbind_name(&mut self, name: &str) -> Result<(), Failure> {
        let Some(activity) = self.look_up_name(name) else {
            return Err(Failure::new(format!("{name:?} is bound to no activity")));
        };
        if let Some(context) = self.tx.context_mut(self.deliver, activity.number) {
            context.names.remove(name);
        }
        self.tx.ask(Effect::UnbindName { name: name.to_owned() });
        Ok(())
    }

    /// Suspends the event that is being routed (`javax.slee.EventContext.suspendDelivery`): once
    /// this transaction has committed nobody else gets it, nor a later event of its activity
    /// context, before [`Context::resume_event`] or until `timeout` is over. While an operator ends
    /// the activity by force it does not wait.
    ///
    /// # Errors
    /// A time-out beyond the limit ([`crate::SUSPENDED_MAX`]); a timer, or the end of an activity:
    /// they do not wait. An event whose delivery is tried again: the others have had it, and
    /// further ones.
    pub fn suspend_event(&mut self, timeout: Duration) -> Result<(), Failure> {
        let event = self.deliver.event.event_type.as_str();
        if event.starts_with(OWN_EVENTS) {
            return Err(Failure::new(format!("{event} cannot be suspended")));
        }
        if self.deliver.is_for_one {
            let text = format!("{event} is tried again, and cannot be suspended any more");
            return Err(Failure::new(text));
        }
        let max = self.deliver.limits.suspended_max;
        if timeout > max {
            let text = format!("an event is suspended for {max:?} at most");
            return Err(Failure::new(text));
        }
        let until = self.deliver.now + timeout;
        self.tx.ask(Effect::SuspendEvent { until });
        Ok(())
    }

    /// Goes on with the event that is suspended on an activity context of this cell.
    ///
    /// # Errors
    /// An unknown activity, or one without a suspended event.
    pub fn resume_event(&mut self, activity: ActivityId) -> Result<(), Failure> {
        if !self.open_context(activity)?.is_suspended {
            let text = format!("no event of activity {activity} is suspended");
            return Err(Failure::new(text));
        }
        self.tx.ask(Effect::ResumeEvent { activity: activity.number });
        Ok(())
    }

    /// The activity of another cell that this one stands for, in the cell of a root entity that
    /// serves the whole cluster; `None` for one of this cell.
    ///
    /// # Errors
    /// An unknown activity.
    pub fn mirror_of(&self, activity: ActivityId) -> Result<Option<ActivityId>, Failure> {
        Ok(self.open_context(activity)?.mirror_of)
    }

    fn context_of_cell(&self, activity: ActivityId) -> Result<&ContextView, Failure> {
        let context = self.open_context(activity)?;
        match context.mirror_of {
            None => Ok(context),
            Some(of) => Err(Failure::new(format!(
                "attributes of activity {of} are in its own cell: send them with an event"
            ))),
        }
    }

    fn open_context(&self, activity: ActivityId) -> Result<&ContextView, Failure> {
        let own = activity.cell == self.deliver.entity.cell;
        let context = self.tx.context(self.deliver, activity.number).filter(|_| own);
        context.ok_or_else(|| Failure::new(format!("there is no activity {activity} here")))
    }
}
