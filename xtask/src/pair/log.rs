//! Reads the processes' logs: when did who notice what. Their clock is this machine's.

use std::time::{Duration, SystemTime};

/// Time from `since` to the first line that is stamped later and says what is `wanted`.
pub fn first_line(log: &str, since: SystemTime, wanted: impl Fn(&str) -> bool) -> Option<Duration> {
    log.lines().find_map(|line| {
        let (stamp, said) = line.split_once(' ')?;
        // Cheaper than to read the stamp of each line.
        if !wanted(said) {
            return None;
        }
        let at = SystemTime::from(stamp.parse::<jiff::Timestamp>().ok()?);
        at.duration_since(since).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_after_the_moment_counts() {
        let log = "2026-01-01T00:00:00.900000Z  INFO n: server1#1 is lost: early\n\
                   not a line of the log\n\
                   2026-01-01T00:00:01.034000Z  WARN n: server1#1 is lost: link\n\
                   2026-01-01T00:00:01.056000Z  WARN n: server1#1 is lost: again\n";
        let since = SystemTime::from("2026-01-01T00:00:01Z".parse::<jiff::Timestamp>().unwrap());
        let lost = first_line(log, since, |line| line.contains("is lost"));
        assert_eq!(lost, Some(Duration::from_millis(34)));
        assert_eq!(first_line(log, since, |line| line.contains("early")), None);
    }
}
