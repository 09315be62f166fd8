//! How a service is deployed: with whom, with what, and whether it serves at once.

use crate::permission::Permission;
use crate::profile::ProfileTable;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a service belongs to, relies on and brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Its deployable unit: services that are activated, deactivated and removed together. Empty: a
    /// unit of its own, which has the service's name.
    pub unit: &'static str,
    /// Services that it cannot do without: none of them is deactivated while it is active.
    pub needs: &'static [&'static str],
    /// Profile tables that it reads.
    pub profile_tables: &'static [&'static ProfileTable],
    /// What it is until somebody activates or deactivates it.
    pub begins: Begins,
    /// What it may do if it is uploaded as a unit: nothing else. One that is linked into a node may
    /// do all; but a table that it names here to write is no profile table of a unit.
    pub permissions: &'static [Permission],
    /// What a node does when it fails again and again.
    pub on_repeated_failures: FailurePolicy,
    /// Services that it replaces, whose entities an operator may migrate to it: their states are
    /// read by its own SBB and by those of its child relations, which have the same names; see
    /// [`Sbb::migrate`](crate::Sbb::migrate).
    pub migrates_from: &'static [&'static str],
    /// It was uploaded, as the node notes that compiled it: whatever it does, room is left in each
    /// cell for services that are linked.
    pub is_uploaded: bool,
}

/// What a node does, besides an alarm, when a service fails again and again: its handlers fail,
/// panic, trap or hang. Entities that are there go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailurePolicy {
    /// Nothing: what fails in one call may serve in another.
    #[default]
    Keep,
    /// It begins no root entities at that node until it has not failed for a while, or is
    /// activated again.
    RefuseNew,
    /// The same, and it is deactivated, at all nodes, until an operator activates it.
    Suspend,
}

impl fmt::Display for FailurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailurePolicy::Keep => "keep",
            FailurePolicy::RefuseNew => "refuse new",
            FailurePolicy::Suspend => "suspend",
        })
    }
}

/// What a service is until somebody activates or deactivates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begins {
    /// It serves at once.
    #[default]
    Active,
    /// It waits to be activated: so an upgrade comes beside the service that it replaces.
    Inactive,
}

impl Deployment {
    /// A unit of its own that needs nothing.
    pub const ALONE: Deployment = Deployment {
        unit: "",
        needs: &[],
        profile_tables: &[],
        begins: Begins::Active,
        permissions: &[],
        on_repeated_failures: FailurePolicy::Keep,
        migrates_from: &[],
        is_uploaded: false,
    };
}
