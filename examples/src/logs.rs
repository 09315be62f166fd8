//! Reads the children's logs: when did the balancer and the survivor notice the death, when was
//! the next view adopted. Their clocks are this machine's, as is the story's.

use crate::cluster::OTHERS_WITHIN;
use anyhow::bail;
use jiff::Timestamp;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How often a log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The first line since a moment that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// Time from that moment to the line's own time stamp.
    pub after: Duration,
    /// What the line says, without time stamp, level and module.
    pub line: String,
}

/// What a line must say: all words of one of the groups.
pub type Wanted<'a> = &'a [&'a [&'a str]];

/// Waits for the first line of `log` after `since` that says what is `wanted` and not the word
/// `without`.
pub async fn wait_for(
    log: &Path,
    since: SystemTime,
    wanted: Wanted<'_>,
    without: Option<&str>,
) -> anyhow::Result<Noticed> {
    let started = Instant::now();
    while started.elapsed() < OTHERS_WITHIN {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some(noticed) = find(&text, since, wanted, without) {
            return Ok(noticed);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("{} never said any of {wanted:?}", log.display())
}

fn find(
    text: &str,
    since: SystemTime,
    wanted: Wanted<'_>,
    without: Option<&str>,
) -> Option<Noticed> {
    text.lines().find_map(|line| {
        let (stamp, line) = line.split_once(' ')?;
        let says = |words: &&[&str]| words.iter().all(|word| line.contains(word));
        if !wanted.iter().any(says) || without.is_some_and(|word| line.contains(word)) {
            return None;
        }
        let at = SystemTime::from(stamp.parse::<Timestamp>().ok()?);
        let after = at.duration_since(since).ok()?;
        let said = line.split_once(": ").map_or(line, |(_, said)| said);
        Some(Noticed { after, line: said.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_after_the_moment_is_found() {
        let log = "2026-01-01T00:00:00.900000Z  INFO n: server1#1 is lost: early\n\
                   not a line of the log\n\
                   2026-01-01T00:00:01.012000Z  INFO n: server2#1 is heard\n\
                   2026-01-01T00:00:01.034000Z  WARN n: server1#1 is lost: link\n\
                   2026-01-01T00:00:01.056000Z  INFO n: view 3 adopted: server2#1\n";
        let since = SystemTime::from("2026-01-01T00:00:01Z".parse::<Timestamp>().unwrap());
        let lost = find(log, since, &[&["server1", "lost"]], None).unwrap();
        assert_eq!(lost.after, Duration::from_millis(34));
        assert_eq!(lost.line, "server1#1 is lost: link");
        let view = find(log, since, &[&["nothing"], &["view", "adopted"]], Some("server1"));
        assert_eq!(view.unwrap().after, Duration::from_millis(56));
        assert_eq!(find(log, since, &[&["lost"]], Some("server1")), None);
    }
}
