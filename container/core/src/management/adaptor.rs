//! What operators see of resource adaptors, and what they may want of them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A resource adaptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdaptorStatus {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: AdaptorState,
    /// Its activities end, or have ended, by force.
    pub removed: bool,
    /// Its activities in the cluster.
    pub activities_in_cluster: u64,
    /// Those on cells that this node owns.
    pub activities: u64,
    /// What an operator told it besides its configuration.
    pub properties: BTreeMap<String, String>,
}

/// Where a resource adaptor is in its life (`javax.slee.management.ResourceAdaptorEntityState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdaptorState {
    /// It takes new activities.
    Active,
    /// It takes none any more; those that are there finish, or end by force.
    Stopping,
    /// It has none.
    Inactive,
}

/// What an operator wants of a resource adaptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdaptorOrder {
    /// It takes new activities.
    Activate,
    /// It takes none any more; those that are there finish.
    Deactivate,
    /// The same, and those that are there end by force.
    Remove,
    /// It looks at each of its activities, and ends those whose client is gone.
    QueryLiveness,
    /// It has these properties besides its configuration, and no others.
    Configure {
        /// By name.
        properties: BTreeMap<String, String>,
    },
}
