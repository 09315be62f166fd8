//! Overload is shed at the entrance: new calls are refused while calls in progress are served.
//!
//! | state    | what is seen                                     | next                          |
//! |----------|--------------------------------------------------|-------------------------------|
//! | calm     | a new call, and too many deliveries wait         | shedding; alarm               |
//! | calm     | a new call, and a tenth of as many wait too long | shedding; alarm               |
//! | shedding | a new call                                       | refused                       |
//! | shedding | for 5 s half of either number is not exceeded    | calm; the alarm ends          |
//! | any      | a new call, and no room for a cell               | refused; alarm                |
//! | any      | a tenth of the cells is free again               | that alarm ends               |
//!
//! How long is too long stays the same while half as many that are late count.
//!
//! A single handler that hangs is no overload, nor are those that wait behind it.
//!
//! What a node cannot even read is dropped before the core, by the system or the runtime.

use crate::alarms::sources;
use crate::core::Core;
use resilee_sbb::{Severity, Timestamp};
use std::time::Duration;

/// Deliveries that wait for their answer, unless a node is told otherwise.
pub const DELIVERIES_MAX: usize = 2_000;
/// How long one should wait at most, in milliseconds, unless a node is told otherwise.
pub const DELIVERY_AGE_MS_MAX: u64 = 1_000;
/// How long the load must be low before new calls are taken again.
const CALM_FOR: Duration = Duration::from_secs(5);
/// Of the deliveries that are allowed so many may be late: one in ten.
const LATE_SHARE: usize = 10;

/// Of the cells that are allowed so many must be free before there is room again: one in ten.
const ROOM_SHARE: usize = 10;

const FULL: &str = "new calls are refused: there are as many as limits.calls_max allows";
const MANY: &str = "new calls are refused: more than limits.deliveries_max deliveries wait";
const LATE: &str = "new calls are refused: deliveries wait longer than limits.delivery_age_ms";

/// Whether new calls are refused.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// Text of the alarm, while too much waits.
    shedding: Option<&'static str>,
    /// Since when the load is low.
    low_since: Option<Timestamp>,
    /// The alarm that there is no room is raised.
    full: bool,
}

impl Overload {
    /// The alarms that are raised about it.
    pub fn alarms(&self) -> impl Iterator<Item = &'static str> {
        self.shedding.into_iter().chain(self.full.then_some(FULL))
    }
}

impl Core {
    /// Why a new call must be refused, if it must.
    pub(crate) fn sheds(&mut self, now: Timestamp) -> Option<&'static str> {
        if self.cells.len() >= self.config.limits.cells_max {
            self.overload.full = true;
            self.raise_condition(now, Severity::Major, sources::OVERLOAD, FULL);
            return Some("new call over the limit");
        }
        if self.overload.shedding.is_none()
            && let Some(text) = self.exceeded(now, 1)
        {
            self.raise_condition(now, Severity::Major, sources::OVERLOAD, text);
            self.overload.shedding = Some(text);
        }
        self.overload.shedding.map(|_| "new call under overload")
    }

    /// Ends what is over.
    pub(crate) fn note_load(&mut self, now: Timestamp) {
        let cells_max = self.config.limits.cells_max;
        if self.overload.full && self.cells.len() <= cells_max - cells_max.div_ceil(ROOM_SHARE) {
            self.overload.full = false;
            self.clear_alarm(sources::OVERLOAD, FULL);
        }
        let Some(alarm) = self.overload.shedding else { return };
        if self.exceeded(now, 2).is_some() {
            self.overload.low_since = None;
            return;
        }
        let since = *self.overload.low_since.get_or_insert(now);
        if now.since(since) >= CALM_FOR {
            (self.overload.shedding, self.overload.low_since) = (None, None);
            self.clear_alarm(sources::OVERLOAD, alarm);
        }
    }

    /// True if new calls are refused, or would be.
    pub(crate) fn is_overloaded(&self, now: Timestamp) -> bool {
        self.overload.shedding.is_some() || self.exceeded(now, 1).is_some()
    }

    /// What is above its limit, divided by `share`.
    fn exceeded(&self, now: Timestamp, share: usize) -> Option<&'static str> {
        let limits = &self.config.limits;
        let deliveries_max = limits.deliveries_max / share;
        if self.deliveries.len() > deliveries_max {
            return Some(MANY);
        }
        // They are in the order in which they were handed out.
        let (_, out) = self.deliveries.iter().nth(deliveries_max / LATE_SHARE)?;
        let age_max = Duration::from_millis(limits.delivery_age_ms_max);
        (now.since(out.since) > age_max).then_some(LATE)
    }
}
