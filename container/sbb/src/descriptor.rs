//! What an SBB declares about itself: a root SBB for its service, a child SBB for its parent.

use crate::deployment::Deployment;
use crate::linked::LinkedSbb;
use crate::usage::UsageParameter;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name, version, priority, events and child relations of an SBB. Of a root SBB it describes the
/// service, too.
///
/// ```
/// use resilee_sbb::Descriptor;
///
/// let descriptor = Descriptor {
///     vendor: "Example Ltd",
///     priority: 10,
///     initial_events: &["sip.invite"],
///     ..Descriptor::named("call-guard")
/// };
/// assert!(descriptor.receives("sip.invite"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Name, of a root SBB also that of its service: unique in a node, and the key of its
    /// entities, so it must not change between versions.
    pub name: &'static str,
    /// Who wrote it.
    pub vendor: &'static str,
    /// Version as shown to operators.
    pub version: &'static str,
    /// Services with a higher priority get an event first. Of a child SBB it does not count: its
    /// relation has one.
    pub priority: i8,
    /// Event types that start a root entity. The convergence name is the activity context, unless
    /// [`Descriptor::selects_initial_events`].
    pub initial_events: &'static [&'static str],
    /// True if [`Sbb::initial_event`](crate::Sbb::initial_event) is asked for each initial event.
    pub selects_initial_events: bool,
    /// Event types that an attached entity gets, besides the initial ones, its own timers and
    /// the end of the activity.
    pub events: &'static [&'static str],
    /// What becomes of an event whose delivery rolled back.
    pub on_roll_back: OnRollBack,
    /// What child entities it may have.
    pub children: &'static [ChildRelation],
    /// Attributes that it shares with other SBBs.
    pub attribute_aliases: &'static [AttributeAlias],
    /// What it counts and measures.
    pub usage: &'static [UsageParameter],
    /// With whom and with what it is deployed; of a child SBB it does not count.
    pub deployment: Deployment,
}

/// A child relation of an SBB (`javax.slee.ChildRelation`): child entities of one kind.
#[derive(Clone, Copy, Debug)]
pub struct ChildRelation {
    /// Name of the relation, unique in its SBB; stored with each child, so it must not change.
    pub name: &'static str,
    /// The SBB of its children.
    pub sbb: LinkedSbb,
    /// Priority of a new child among its siblings.
    pub priority: i8,
}

/// A name under which an SBB shares an attribute (JAIN SLEE 1.1: activity context attribute
/// alias). Attributes without one are the SBB's own: another SBB's attribute of the same name is
/// another attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeAlias {
    /// What the SBB calls it.
    pub attribute: &'static str,
    /// What all SBBs that share it agree on.
    pub alias: &'static str,
}

/// What becomes of an event whose delivery rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnRollBack {
    /// The entity does not get it again (JAIN SLEE 1.1).
    #[default]
    Drop,
    /// It is delivered again, with growing waits, for some minutes; what comes meanwhile follows
    /// behind it. For services that keep account of a call, not for those that steer it. Commands
    /// may be refused by then, since the activity may be over, and the event cannot be suspended.
    Retry,
    /// As [`OnRollBack::Drop`], and the whole entity tree is removed, for a service whose state
    /// cannot be trusted after a failure. It is as if the tree had come to its end: the next
    /// initial event begins a new one, in the same call, too.
    Remove,
}

impl fmt::Display for OnRollBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnRollBack::Drop => "drop",
            OnRollBack::Retry => "retry",
            OnRollBack::Remove => "remove",
        })
    }
}

impl Descriptor {
    /// An SBB of this name which receives nothing: the fields that a service does not set.
    pub const fn named(name: &'static str) -> Self {
        Descriptor {
            name,
            vendor: "",
            version: "",
            priority: 0,
            initial_events: &[],
            selects_initial_events: false,
            events: &[],
            on_roll_back: OnRollBack::Drop,
            children: &[],
            attribute_aliases: &[],
            usage: &[],
            deployment: Deployment::ALONE,
        }
    }

    /// Name of the deployable unit.
    pub fn unit(&self) -> &'static str {
        match self.deployment.unit {
            "" => self.name,
            unit => unit,
        }
    }

    /// True if an attached entity gets events of `event_type`.
    pub fn receives(&self, event_type: &str) -> bool {
        self.events.contains(&event_type) || self.is_initial(event_type)
    }

    /// True if `event_type` may start a root entity.
    pub fn is_initial(&self, event_type: &str) -> bool {
        self.initial_events.contains(&event_type)
    }

    /// The child relation of this name.
    pub fn child_relation(&self, name: &str) -> Option<&'static ChildRelation> {
        self.children.iter().find(|relation| relation.name == name)
    }

    /// This SBB and all below it, each once.
    pub fn all_sbbs(&self) -> Vec<Descriptor> {
        let (mut sbbs, mut next) = (vec![*self], 0);
        while let Some(sbb) = sbbs.get(next).copied() {
            next += 1;
            for relation in sbb.children {
                let child = relation.sbb.descriptor();
                if sbbs.iter().all(|known| known.name != child.name) {
                    sbbs.push(child);
                }
            }
        }
        sbbs
    }

    /// Under which name an attribute of this SBB is kept in an activity context.
    pub fn attribute_key(&self, attribute: &str) -> String {
        let alias = self.attribute_aliases.iter().find(|alias| alias.attribute == attribute);
        alias.map_or_else(|| format!("{}/{attribute}", self.name), |alias| alias.alias.to_owned())
    }

    /// An attribute of this SBB may be kept under this name in an activity context.
    pub fn has_attribute(&self, key: &str) -> bool {
        let own = key.strip_prefix(self.name).is_some_and(|rest| rest.starts_with('/'));
        own || self.attribute_aliases.iter().any(|alias| alias.alias == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_the_sbbs_own_unless_it_has_an_alias() {
        const ALIASES: &[AttributeAlias] =
            &[AttributeAlias { attribute: "price", alias: "acme.price" }];
        let sbb = Descriptor { attribute_aliases: ALIASES, ..Descriptor::named("rating") };
        assert_eq!(sbb.attribute_key("price"), "acme.price");
        assert_eq!(sbb.attribute_key("count"), "rating/count");
    }
}
