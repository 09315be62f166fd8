//! Local time of this process: the wall clock at its start plus the monotonic clock since, so
//! that a wall clock that is set meanwhile moves nothing. The core makes cluster time of it.

use resilee_sbb::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the runtime takes `now` from.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads both clocks once.
    pub fn start() -> Self {
        Clock { at_start: Clock::wall(), started: Instant::now() }
    }

    /// What the wall clock shows now.
    pub fn wall() -> Timestamp {
        // A clock before 1970 is not set at all; the epoch is as good.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::ZERO + wall
    }

    /// The present moment; it never jumps.
    pub fn now(&self) -> Timestamp {
        self.at_start + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_wall_clock() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first > Timestamp::from_millis(1_700_000_000_000), "after 2023");
        assert!(clock.now() >= first);
    }
}
