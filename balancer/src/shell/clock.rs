//! The clock: wall time at the start, monotonic from then on.

use resilee_sbb::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        // A clock before 1970 counts as 1970.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { started_at: Timestamp::ZERO + epoch, started: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.started_at + self.started.elapsed()
    }
}
