//! What a node takes on, and what one cell of it may grow to. A node is told by its configuration;
//! both nodes of a cluster should be told the same, so that a call can do after a takeover what it
//! could do before.
//!
//! Limits are about growth. What is above one already, since it was made where more was allowed, is
//! taken over, restored and served as it is, and may change as long as it does not grow.

use crate::overload::{DELIVERIES_MAX, DELIVERY_AGE_MS_MAX};
use resilee_sbb::{DeliveryLimits, Descriptor};

/// Cells that a node holds unless it is told otherwise.
pub const CELLS_MAX: usize = 500_000;
/// Handlers that may not return before a node hands its calls over, unless it is told otherwise.
pub const HUNG_HANDLERS_MAX: usize = 8;
/// How long a handler may take before its delivery rolls back, in milliseconds, unless a node is
/// told otherwise.
pub const DELIVERY_DEADLINE_MS: u64 = 10_000;
/// Timers of one cell, unless a node is told otherwise.
pub const TIMERS_PER_CELL_MAX: usize = 256;
/// Activities of other cells that one root entity of the cluster has, unless a node is told
/// otherwise.
pub const MIRRORS_PER_CELL_MAX: usize = 1_000;
/// Different alarms that a node has raised at once, unless it is told otherwise.
pub const ALARMS_MAX: usize = 256;
/// Bytes of the parts of one cell, unless a node is told otherwise.
pub const CELL_BYTES_MAX: usize = 4 << 20;
/// Bytes that one turn commits beside the parts of its cell, unless a node is told otherwise.
pub const TURN_BYTES_MAX: usize = 2 << 20;
/// Events that are kept behind a suspended one, unless a node is told otherwise.
pub const SUSPENDED_EVENTS_MAX: usize = 64;
/// Events that one turn may cause, unless a node is told otherwise.
pub const EVENTS_PER_TURN_MAX: usize = 64;
/// Activities and SBB entities that services begin in one turn, unless a node is told otherwise.
pub const BIRTHS_PER_TURN_MAX: usize = 512;
/// Inputs that wait for a cell's turn to end, unless a node is told otherwise.
pub const INBOX_MAX: usize = 64;
/// How long a message may wait in an inbox under overload, in milliseconds, unless a node is told
/// otherwise.
pub const INBOX_AGE_MS_MAX: u64 = 2_000;

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cells that it holds, owned and as backup; new calls beyond are refused at the entrance.
    pub cells_max: usize,
    /// Deliveries that wait for the answer of their handler; the same.
    pub deliveries_max: usize,
    /// How long a tenth of them may wait, in milliseconds; the same.
    pub delivery_age_ms_max: u64,
    /// How long a handler may take, in milliseconds; then its delivery rolls back.
    pub delivery_deadline_ms: u64,
    /// Handlers that may not return before it hands its calls over, if it has a backup.
    pub hung_handlers_max: usize,
    /// Inputs that wait for a cell's turn to end; messages beyond are dropped (clients repeat).
    pub inbox_max: usize,
    /// How long a message may wait there under overload, in milliseconds; older ones are dropped.
    pub inbox_age_ms_max: u64,
    /// Events that one turn may cause; further ones are lost, counted and with an alarm, since a
    /// service that fires more is at fault.
    pub events_per_turn_max: usize,
    /// Activities and SBB entities that services begin in one turn; a delivery that begins one more
    /// rolls back, since a service that begins the next one at the end of each would keep the turn.
    pub births_per_turn_max: usize,
    /// Events that are kept behind a suspended one; further ones are lost, with an alarm.
    pub suspended_events_max: usize,
    /// Timers of one cell; a delivery that sets one more rolls back.
    pub timers_per_cell_max: usize,
    /// Activities of other cells that one root entity of the cluster has; further ones are not
    /// tied.
    pub mirrors_per_cell_max: usize,
    /// Different alarms that are raised at once; further ones are only counted.
    pub alarms_max: usize,
    /// Bytes of states, attributes and kept events of one cell: a delivery that makes it larger
    /// rolls back. With what its turn writes beside it has to fit into a frame of the link.
    pub cell_bytes_max: usize,
    /// Bytes of rows, records, messages and usage that one turn commits; the same.
    pub turn_bytes_max: usize,
    /// What one delivery may make of its tree and its cell.
    pub delivery: DeliveryLimits,
}

impl Limits {
    /// What a service may make of a cell: one that was uploaded fills three quarters of what there
    /// is room for, so that it keeps nobody from billing a call.
    #[must_use]
    pub fn of_service(mut self, service: &Descriptor) -> Limits {
        if service.deployment.is_uploaded {
            let DeliveryLimits { attributes_max, null_activities_max, .. } = &mut self.delivery;
            let (timers_max, bytes_max) = (&mut self.timers_per_cell_max, &mut self.cell_bytes_max);
            let births_max = &mut self.births_per_turn_max;
            for max in [attributes_max, null_activities_max, timers_max, bytes_max, births_max] {
                *max -= *max / 4;
            }
        }
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            cells_max: CELLS_MAX,
            deliveries_max: DELIVERIES_MAX,
            delivery_age_ms_max: DELIVERY_AGE_MS_MAX,
            delivery_deadline_ms: DELIVERY_DEADLINE_MS,
            hung_handlers_max: HUNG_HANDLERS_MAX,
            inbox_max: INBOX_MAX,
            inbox_age_ms_max: INBOX_AGE_MS_MAX,
            events_per_turn_max: EVENTS_PER_TURN_MAX,
            births_per_turn_max: BIRTHS_PER_TURN_MAX,
            suspended_events_max: SUSPENDED_EVENTS_MAX,
            timers_per_cell_max: TIMERS_PER_CELL_MAX,
            mirrors_per_cell_max: MIRRORS_PER_CELL_MAX,
            alarms_max: ALARMS_MAX,
            cell_bytes_max: CELL_BYTES_MAX,
            turn_bytes_max: TURN_BYTES_MAX,
            delivery: DeliveryLimits::default(),
        }
    }
}
