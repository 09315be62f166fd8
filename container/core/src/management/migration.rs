//! What operators see of a migration: how far the entities of a service are that move to the one
//! that replaced it.

use serde::Serialize;
use std::collections::BTreeMap;

/// An operator lets a service take over what another one began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// The service that takes its entities.
    pub to: String,
    /// Entity trees that have moved at this node, since its run began or the order was given.
    pub moved: u64,
    /// Those of this node that stayed when they were last looked at.
    pub stayed: u64,
    /// The same, by what was in the way.
    pub reasons: BTreeMap<String, u64>,
    /// None is left in the cluster.
    pub done: bool,
}
