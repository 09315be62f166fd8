//! What one delivery may make of its tree and its cell. A node is told by its configuration; both
//! nodes of a cluster should be told the same.
//!
//! Limits are about growth: what is above one already, since it was made where more was allowed,
//! is kept, and may be changed as long as it does not grow.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Encoded CMP state of one entity, in bytes, unless a node is told otherwise.
pub const STATE_BYTES_MAX: usize = 64 * 1024;
/// One attribute of an activity context, row of a table, event or record, in bytes, unless a node
/// is told otherwise.
pub const ATTRIBUTE_BYTES_MAX: usize = 16 * 1024;
/// Entities of one tree, its root included, unless a node is told otherwise.
pub const ENTITIES_PER_TREE_MAX: usize = 64;
/// Null activities of one cell, unless a node is told otherwise.
pub const NULL_ACTIVITIES_MAX: usize = 64;
/// Attributes of one activity context, unless a node is told otherwise.
pub const ATTRIBUTES_MAX: usize = 64;
/// Names bound to one activity context, unless a node is told otherwise.
pub const NAMES_MAX: usize = 16;
/// How long an event may be suspended, unless a node is told otherwise.
pub const SUSPENDED_MAX: Duration = Duration::from_secs(3_600);

/// Limits of one delivery; one that goes beyond fails with a reason, and rolls back if its handler
/// passes that on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryLimits {
    /// [`STATE_BYTES_MAX`].
    pub state_bytes_max: usize,
    /// [`ATTRIBUTE_BYTES_MAX`].
    pub attribute_bytes_max: usize,
    /// [`ENTITIES_PER_TREE_MAX`].
    pub entities_per_tree_max: usize,
    /// [`NULL_ACTIVITIES_MAX`].
    pub null_activities_max: usize,
    /// [`ATTRIBUTES_MAX`].
    pub attributes_max: usize,
    /// [`NAMES_MAX`].
    pub names_max: usize,
    /// [`SUSPENDED_MAX`].
    pub suspended_max: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        DeliveryLimits {
            state_bytes_max: STATE_BYTES_MAX,
            attribute_bytes_max: ATTRIBUTE_BYTES_MAX,
            entities_per_tree_max: ENTITIES_PER_TREE_MAX,
            null_activities_max: NULL_ACTIVITIES_MAX,
            attributes_max: ATTRIBUTES_MAX,
            names_max: NAMES_MAX,
            suspended_max: SUSPENDED_MAX,
        }
    }
}
