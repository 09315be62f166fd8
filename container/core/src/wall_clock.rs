//! Watches the wall clock of the machine: cluster time goes on without it, so that a jump changes
//! no duration; but somebody should know.
//!
//! | the wall clock, against the node's own clock | what happens                                 |
//! |----------------------------------------------|----------------------------------------------|
//! | is read for the first time                   | how far it is off is taken for right         |
//! | is off by [`JUMP_MIN_MS`] more, at once or   | alarm; how far it is off is taken for right  |
//! | bit by bit                                   |                                              |
//! | did not jump for [`CALM_AFTER`]              | the alarm is cleared                         |
//!
//! Not here: reading it (the shell does, once a second), and cluster time (`cluster_clock.rs`).

use crate::cluster_clock::difference;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// A jump of less is what a time server's corrections are made of.
const JUMP_MIN_MS: i64 = 50;
/// So long after the last jump the wall clock counts as set.
const CALM_AFTER: Duration = Duration::from_secs(60);

/// What a reading of the wall clock leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WallClockNews {
    /// It jumped by so many milliseconds.
    Jumped(i64),
    /// It did not jump for a while.
    Calm,
}

/// Compares the wall clock with the node's own clock.
#[derive(Debug, Default)]
pub(crate) struct WallClockWatch {
    /// Wall clock minus local time that is taken for right, in microseconds.
    expected_us: Option<i64>,
    /// Local time of the last jump; none once that was long ago.
    jumped_at: Option<Timestamp>,
}

impl WallClockWatch {
    /// The wall clock showed `wall` at the local time `local`.
    pub fn handle_reading(&mut self, local: Timestamp, wall: Timestamp) -> Option<WallClockNews> {
        let off_us = difference(wall, local);
        let jump_ms = (off_us - *self.expected_us.get_or_insert(off_us)) / 1_000;
        if jump_ms.abs() > JUMP_MIN_MS {
            (self.expected_us, self.jumped_at) = (Some(off_us), Some(local));
            return Some(WallClockNews::Jumped(jump_ms));
        }
        let calm = |at: &mut Timestamp| local.since(*at) >= CALM_AFTER;
        self.jumped_at.take_if(calm).map(|_| WallClockNews::Calm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings once a second with the wall clock off by so many milliseconds.
    fn news(off_ms: impl IntoIterator<Item = u64>) -> Vec<(u64, WallClockNews)> {
        let mut watch = WallClockWatch::default();
        let at = |millis| Timestamp::from_millis(1_000_000 + millis);
        let readings = (0..).zip(off_ms);
        let news = readings.filter_map(|(second, off)| {
            let local = at(1_000 * second);
            Some((second, watch.handle_reading(local, local + Duration::from_millis(off))?))
        });
        news.collect()
    }

    #[test]
    fn a_jump_is_told_once_and_forgotten_after_a_minute() {
        let off = [1_000, 1_000, 1_051].into_iter().chain(std::iter::repeat_n(1_051, 100));
        assert_eq!(news(off), [(2, WallClockNews::Jumped(51)), (62, WallClockNews::Calm)]);
    }

    #[test]
    fn a_jump_back_is_a_jump() {
        assert_eq!(news([5_000, 5_000, 2_000]), [(2, WallClockNews::Jumped(-3_000))]);
    }

    #[test]
    fn small_corrections_are_none_until_they_add_up() {
        let off = (0..=30).map(|second| 10 * second / 2);
        assert_eq!(news(off), [(11, WallClockNews::Jumped(55)), (22, WallClockNews::Jumped(55))]);
    }
}
