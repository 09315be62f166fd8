//! What a service declares about itself.

/// Name, version, priority and events of a service and its root SBB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Service name, unique in a node; also the key of its entities, so it must not change
    /// between versions.
    pub name: &'static str,
    /// Who wrote it.
    pub vendor: &'static str,
    /// Version as shown to operators.
    pub version: &'static str,
    /// Services with a higher priority get an event first (JAIN SLEE 1.1 §8.4.2).
    pub priority: i8,
    /// Event types that start a root entity on an activity that has none of this service. The
    /// convergence name is the activity context.
    pub initial_events: &'static [&'static str],
    /// Event types that an attached entity gets, besides the initial ones, its own timers and
    /// the end of the activity.
    pub events: &'static [&'static str],
    /// What becomes of an event whose delivery rolled back.
    pub on_roll_back: OnRollBack,
}

/// What becomes of an event whose delivery rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRollBack {
    /// The service does not get it again (JAIN SLEE 1.1).
    #[default]
    Drop,
    /// It is delivered again, with growing waits, for some minutes; what comes meanwhile follows
    /// behind it. For services that keep account of a call, not for those that steer it. Commands
    /// may be refused by then, since the activity may be over.
    Retry,
}

impl Descriptor {
    /// True if an attached entity of this service gets events of `event_type`.
    pub fn receives(&self, event_type: &str) -> bool {
        self.events.contains(&event_type) || self.is_initial(event_type)
    }

    /// True if `event_type` may start a root entity.
    pub fn is_initial(&self, event_type: &str) -> bool {
        self.initial_events.contains(&event_type)
    }
}
