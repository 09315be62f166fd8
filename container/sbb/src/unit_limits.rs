//! What a unit may use in one delivery, as far as a node may be told otherwise. It is said here,
//! since a node reads its configuration whether it can run units or not.

use std::time::Duration;

/// Bytes of memory of an instance, unless a node is told otherwise.
pub const UNIT_MEMORY_BYTES_MAX: usize = 32 << 20;
/// How long a delivery may take, unless a node is told otherwise. It is the CPU time of its thread:
/// on a node that has too much to do a unit that does little is not stopped.
pub const UNIT_TIME_MAX: Duration = Duration::from_millis(50);
/// By the wall's clock a delivery may take so many times its CPU time, on a node that has too much
/// to do.
pub const UNIT_WALL_TIMES_MAX: u32 = 100;
/// How often a unit may ask for rows and profiles, unless a node is told otherwise.
pub const UNIT_HOST_CALLS_MAX: u32 = 256;

/// Limits of units that a node may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitLimits {
    /// [`UNIT_MEMORY_BYTES_MAX`].
    pub memory_bytes_max: usize,
    /// [`UNIT_TIME_MAX`].
    pub time_max: Duration,
    /// How long it may take by the wall's clock: [`UNIT_WALL_TIMES_MAX`] times that, and less than
    /// a node waits for a handler of any kind.
    pub wall_max: Duration,
    /// [`UNIT_HOST_CALLS_MAX`].
    pub host_calls_max: u32,
}

impl UnitLimits {
    /// The same with another time, by both clocks.
    #[must_use]
    pub fn with_time_max(self, time_max: Duration) -> Self {
        UnitLimits { time_max, wall_max: time_max * UNIT_WALL_TIMES_MAX, ..self }
    }
}

impl Default for UnitLimits {
    fn default() -> Self {
        UnitLimits {
            memory_bytes_max: UNIT_MEMORY_BYTES_MAX,
            time_max: UNIT_TIME_MAX,
            wall_max: UNIT_TIME_MAX * UNIT_WALL_TIMES_MAX,
            host_calls_max: UNIT_HOST_CALLS_MAX,
        }
    }
}
