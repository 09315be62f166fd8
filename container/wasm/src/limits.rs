//! What a unit may use in one delivery.

use std::time::Duration;

/// Bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 16 << 20;
/// Bytes of memory of an instance, unless a node is told otherwise.
pub const MEMORY_BYTES_MAX: usize = 32 << 20;
/// How long a delivery may take, unless a node is told otherwise. It is the time of the wall: on a
/// node that has too much to do a unit that does little may be stopped, too.
pub const TIME_MAX: Duration = Duration::from_millis(50);
/// How long a unit may take to say what it is, when it is compiled.
pub const DESCRIBE_TIME_MAX: Duration = Duration::from_secs(1);
/// How often a unit may ask for rows and profiles, unless a node is told otherwise.
pub const HOST_CALLS_MAX: u32 = 256;
/// Bytes that a unit may give its node in one call, or as its answer.
pub const COPIED_BYTES_MAX: usize = 4 << 20;
/// Bytes of the stack of a unit's code.
pub const STACK_BYTES_MAX: usize = 512 << 10;
/// Elements of the tables of functions of an instance.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Core modules of a unit, and instances of them: a module of Rust becomes three.
pub const PARTS_MAX: u32 = 64;
/// Components within the component of a unit: each exported interface has one, for its types.
pub const COMPONENTS_MAX: u32 = 16;
/// Instances of those, and of interfaces.
pub const COMPONENT_INSTANCES_MAX: u32 = 64;
/// Bytes of the code of one function: a compiler takes more than twice as long for twice as much.
pub const FUNCTION_BYTES_MAX: usize = 256 << 10;
/// Instances that run at once; a further delivery waits.
pub const INSTANCES_MAX: u32 = 64;

/// Limits that a node may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitLimits {
    /// [`MEMORY_BYTES_MAX`].
    pub memory_bytes_max: usize,
    /// [`TIME_MAX`].
    pub time_max: Duration,
    /// [`HOST_CALLS_MAX`].
    pub host_calls_max: u32,
}

impl Default for UnitLimits {
    fn default() -> Self {
        UnitLimits {
            memory_bytes_max: MEMORY_BYTES_MAX,
            time_max: TIME_MAX,
            host_calls_max: HOST_CALLS_MAX,
        }
    }
}
