//! Moments and durations as text: ISO-8601 for scripts, short and relative forms for people, and
//! the reading of what either of them sends. Always UTC; no clock is read here.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// `2026-05-01T14:03:22.120Z`.
pub fn iso(at: Timestamp) -> String {
    strftime(at, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// `2026-05-01 14:03:22`.
pub fn second(at: Timestamp) -> String {
    strftime(at, "%Y-%m-%d %H:%M:%S")
}

/// `2026-05-01 14:03:22.120 UTC`: what a pointer over a shorter form shows.
pub fn exact(at: Timestamp) -> String {
    strftime(at, "%Y-%m-%d %H:%M:%S%.3f UTC")
}

/// `14:03:22`.
pub fn clock(at: Timestamp) -> String {
    strftime(at, "%H:%M:%S")
}

/// `2026-05-01T14:03`, as a form field for a moment holds it; with seconds if there are any.
pub fn form_field(at: Timestamp) -> String {
    let whole_minute = at.as_millis().is_multiple_of(60_000);
    strftime(at, if whole_minute { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S%.f" })
}

fn strftime(at: Timestamp, format: &str) -> String {
    let micros = i64::try_from(at.as_micros()).ok();
    match micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
        Some(moment) => moment.strftime(format).to_string(),
        // Past the calendar (a corrupt record): seconds since the epoch.
        None => at.to_string(),
    }
}

/// `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`.
pub fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0 => "just now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// Age of a heartbeat: `40 ms`, `2.3 s`, `5 min`.
pub fn age(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        millis @ 1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        millis @ 60_000..3_600_000 => format!("{} min", millis / 60_000),
        millis => format!("{} h", millis / 3_600_000),
    }
}

/// Whole seconds as `0:07`, `12:34` or `1:02:03`.
pub fn span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Start of the UTC day of `now`.
pub fn day_start(now: Timestamp) -> Timestamp {
    const DAY_MICROS: u64 = 86_400_000_000;
    Timestamp::from_micros(now.as_micros() / DAY_MICROS * DAY_MICROS)
}

/// Reads `2026-05-01`, `2026-05-01T14:03`, `2026-05-01T14:03:22.120Z` or one with an offset; UTC
/// where no zone is given.
pub fn parse(text: &str) -> Option<Timestamp> {
    let moment = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let civil: DateTime = text.parse().ok()?;
            civil.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
    };
    u64::try_from(moment.as_microsecond()).ok().map(Timestamp::from_micros)
}

/// True for a bare date such as `2026-05-01`.
pub fn is_date(text: &str) -> bool {
    text.len() == "2026-05-01".len() && text.parse::<jiff::civil::Date>().is_ok()
}

/// One moment in the three forms a page needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For the `datetime` attribute.
    pub iso: String,
    /// For the title.
    pub exact: String,
    /// Relative, for the text.
    pub ago: String,
}

impl Moment {
    /// `at` as seen at `now`.
    pub fn new(now: Timestamp, at: Timestamp) -> Self {
        Moment { iso: iso(at), exact: exact(at), ago: ago(now, at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::from_millis(1_777_644_202_120)
    }

    #[test]
    fn a_moment_has_a_form_for_scripts_and_one_for_people() {
        assert_eq!(iso(at()), "2026-05-01T14:03:22.120Z");
        assert_eq!(second(at()), "2026-05-01 14:03:22");
        assert_eq!(exact(at()), "2026-05-01 14:03:22.120 UTC");
        assert_eq!(iso(Timestamp::ZERO), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(day_start(at())), "2026-05-01T00:00:00.000Z");
    }

    #[test]
    fn a_moment_past_the_calendar_is_shown_as_seconds() {
        assert_eq!(iso(Timestamp::MAX), "18446744073709.551");
    }

    #[test]
    fn moments_are_read_as_people_and_scripts_write_them() {
        let read = |text| parse(text).map(iso);
        let midnight = Some("2026-05-01T00:00:00.000Z".to_owned());
        assert_eq!(read("2026-05-01"), midnight);
        assert_eq!(read("2026-05-01T00:00"), midnight);
        assert_eq!(read("2026-05-01T02:00:00+02:00"), midnight);
        assert_eq!(parse("2026-05-01T14:03:22.120Z"), Some(at()));
        for text in ["", "yesterday", "2026-13-01", "14:03", "1960-01-01"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert!(is_date("2026-05-01") && !is_date("2026-05-01T1"));
    }

    #[test]
    fn a_form_field_reads_back_as_the_same_moment() {
        for millis in [0, 120_000, 1_777_644_202_120, 1_777_644_202_000] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(parse(&form_field(at)), Some(at), "{}", form_field(at));
        }
    }

    #[test]
    fn spans_and_ages_are_short() {
        assert_eq!([span(7), span(754), span(3723)], ["0:07", "12:34", "1:02:03"]);
        let ages = [40, 2_340, 300_000, 7_200_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(ages, ["40 ms", "2.3 s", "5 min", "2 h"]);
        let seconds_ago = |s| ago(at(), at() - Duration::from_secs(s));
        let told = [0, 12, 300, 7_200, 200_000].map(seconds_ago);
        assert_eq!(told, ["just now", "12 s ago", "5 min ago", "2 h ago", "2 d ago"]);
    }
}
