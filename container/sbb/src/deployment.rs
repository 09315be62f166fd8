//! How a service is deployed: with whom, with what, and whether it serves at once.

use crate::profile::ProfileTable;

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
}

/// What a service is until somebody activates or deactivates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begins {
    /// It serves at once.
    #[default]
    Active,
    /// It waits to be activated: so an upgrade comes beside the service that it replaces.
    Inactive,
}

impl Deployment {
    /// A unit of its own that needs nothing.
    pub const ALONE: Deployment =
        Deployment { unit: "", needs: &[], profile_tables: &[], begins: Begins::Active };
}
