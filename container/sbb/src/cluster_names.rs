//! Names of activity contexts in the whole cluster
//! (`javax.slee.facilities.ActivityContextNamingFacility`).
//!
//! Who has a name is decided by whoever owns the shared tables, while a handler's transaction ends
//! here: so a name is asked for, and an event on the activity says what came of it.

use crate::codec::encode;
use crate::context::Context;
use crate::delivery::NAME_BYTES_MAX;
use crate::effect::Effect;
use crate::event::EventPayload;
use crate::ids::ActivityId;
use crate::sbb::Failure;
use serde::{Deserialize, Serialize};

/// The shared table of the names: each row is the [`ActivityId`] that has it.
pub const CLUSTER_NAMES: &str = "slee.names";

/// An activity has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameBound {
    /// The name.
    pub name: String,
}

impl EventPayload for NameBound {
    const TYPE: &'static str = "slee.name_bound";
}

/// Another activity has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameTaken {
    /// The name.
    pub name: String,
}

impl EventPayload for NameTaken {
    const TYPE: &'static str = "slee.name_taken";
}

impl Context<'_> {
    /// Asks for a name in the whole cluster for an activity of this cell. [`NameBound`] or
    /// [`NameTaken`] on the activity is the answer; the SBB has to receive these events. The name
    /// is free again when the activity ends.
    ///
    /// # Errors
    /// An unknown activity, one that ends or is in another cell; a name that is bound, empty or too
    /// long.
    pub fn bind_cluster_name(&mut self, activity: ActivityId, name: &str) -> Result<(), Failure> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Failure::new(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if let Some(bound) = self.look_up_cluster_name(name)? {
            return Err(Failure::new(format!("{name:?} is bound to activity {bound}")));
        }
        if self.is_ending(activity) || self.mirror_of(activity)?.is_some() {
            return Err(Failure::new(format!("there is no activity {activity} here that goes on")));
        }
        let (activity, name) = (activity.number, name.to_owned());
        self.tx.ask(Effect::BindClusterName { activity, name });
        Ok(())
    }

    /// The activity that a name is bound to in the cluster, as it was when the event was delivered.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn look_up_cluster_name(&self, name: &str) -> Result<Option<ActivityId>, Failure> {
        self.row(CLUSTER_NAMES, name)
    }

    /// Takes away a name that was asked for an activity of this cell.
    ///
    /// # Errors
    /// A name that is not bound to an activity of this cell.
    pub fn unbind_cluster_name(&mut self, name: &str) -> Result<(), Failure> {
        let cell = self.entity().cell;
        match self.look_up_cluster_name(name)? {
            Some(bound) if bound.cell == cell => {
                self.tx.ask(Effect::UnbindClusterName { name: name.to_owned() });
                Ok(())
            }
            Some(bound) => Err(Failure::new(format!("{name:?} is bound to activity {bound}"))),
            None => Err(Failure::new(format!("{name:?} is bound to no activity"))),
        }
    }

    /// Fires an event on the activity that has a name, in whichever cell it is: once, and in no
    /// certain order with what was fired at that name before. If nobody has the name by then the
    /// event is dropped and counted.
    ///
    /// # Errors
    /// A name that nobody has; a payload that cannot be encoded or is too large; an event of the
    /// container's own (`slee.`).
    pub fn fire_at_name<E: EventPayload>(
        &mut self,
        name: &str,
        payload: &E,
    ) -> Result<(), Failure> {
        self.check_fired(E::TYPE)?;
        if self.look_up_cluster_name(name)?.is_none() {
            return Err(Failure::new(format!("{name:?} is bound to no activity")));
        }
        let payload = self.bounded(encode(payload)?, "event", None)?;
        let activity = self.activity().number;
        let (name, event_type) = (name.to_owned(), E::TYPE.to_owned());
        self.tx.ask(Effect::FireAtName { activity, name, event_type, payload });
        Ok(())
    }
}
