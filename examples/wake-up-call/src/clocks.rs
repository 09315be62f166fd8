//! Clocks: profiles that say what time it is where a user is. No time zone is known here, so an
//! operator changes them when summer begins and ends.

use resilee_sbb::{Attribute, AttributeKind, Context, Failure, ProfileTable, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// Name of the clock for who has none of his own.
const EVERYBODY: &str = "*";

/// The profile table. A profile's name is a user's address of record, `sip:user@host`, or `*` for
/// everybody else.
pub const CLOCKS: ProfileTable = ProfileTable {
    name: "wake-up-call",
    about: "what time it is for wake-up calls",
    attributes: &[Attribute::new(
        "minutes_east",
        // UTC-12 to UTC+14.
        AttributeKind::Number { min: -720, max: 840 },
    )],
    named_by: &[],
    separator: "",
    profiles_max: 100_000,
};

/// One user's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// So many minutes it is before UTC: 60 in Berlin in winter. 0 if it is not given.
    #[serde(default)]
    pub minutes_east: i32,
}

impl Clock {
    /// A user's clock.
    pub(crate) fn of(cx: &Context<'_>, user: &str) -> Result<Clock, Failure> {
        let own = cx.profile(CLOCKS.name, user)?;
        let clock = own.map_or_else(|| cx.profile(CLOCKS.name, EVERYBODY), |own| Ok(Some(own)))?;
        Ok(clock.unwrap_or_default())
    }

    /// How long it is until it shows so many minutes after midnight; a day if it does just now.
    pub(crate) fn until(self, minute: u32, now: Timestamp) -> Duration {
        let east_ms = u64::from(self.minutes_east.unsigned_abs()) * MINUTE_MS % DAY_MS;
        let ahead_ms = if self.minutes_east < 0 { DAY_MS - east_ms } else { east_ms };
        let shown_ms = (now.as_millis() % DAY_MS + ahead_ms) % DAY_MS;
        let wait_ms = (u64::from(minute) * MINUTE_MS + DAY_MS - shown_ms) % DAY_MS;
        Duration::from_millis(if wait_ms == 0 { DAY_MS } else { wait_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_each_time_once_a_day() {
        // 2024-01-01 06:00:30 UTC.
        let now = Timestamp::from_millis(1_704_088_830_000);
        let until = |minutes_east, minute| Clock { minutes_east }.until(minute, now).as_secs();
        let day_s = 24 * 3600;
        assert_eq!(until(0, 6 * 60 + 1), 30);
        assert_eq!(until(0, 6 * 60), day_s - 30);
        assert_eq!(until(60, 7 * 60 + 30), 29 * 60 + 30);
        assert_eq!(until(-420, 0), 3600 - 30);
        assert_eq!(until(840, 20 * 60 + 1), 30);
        assert_eq!(until(-720, 18 * 60 + 1), 30);
        let sharp = Timestamp::from_millis(1_704_088_800_000);
        assert_eq!(Clock::default().until(360, sharp).as_secs(), day_s);
    }
}
