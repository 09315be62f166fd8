//! Looks for the signs of a fault, as a person would who keeps the pages open, and later whether
//! any alarm is left.
//!
//! What must be seen is in `signs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use super::kind::Kind;
use super::signs::Signs;
use crate::pair::{Alarm, Pair};

/// How often alarms are asked for: no person looks closer.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is asked whether calls have a backup, which costs a server more.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long after a fault, and whatever mended it, its signs may still be missing.
const SEEN_MAX: Duration = Duration::from_secs(3);
/// How long alarms may stay when the pair is whole again.
const CLEAR_MAX: Duration = Duration::from_secs(10);

/// A thread that looks until it is asked.
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Shown>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// When the first alarm that fits was seen.
    first: Option<SystemTime>,
    /// What must be seen and was not.
    pub missing: Vec<String>,
}

impl Shown {
    /// Milliseconds from the fault to the first alarm that fits; none if anything is missing.
    pub fn after_ms(&self, broken: SystemTime) -> Option<u64> {
        let first = self.first.filter(|_| self.missing.is_empty())?;
        u64::try_from(first.duration_since(broken).unwrap_or_default().as_millis()).ok()
    }
}

impl Watch {
    /// Begins to look; from before the fault on.
    pub fn start(pair: &Pair, kind: Kind) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let signs = kind.signs();
        let asked: Vec<_> = signs.asked.iter().map(|server| pair.management(*server)).collect();
        let until = over.clone();
        let thread = thread::spawn(move || {
            let mut look = Look { signs, seen: Vec::new(), degraded: false, asked_at: None };
            let mut first = None;
            while !until.load(Ordering::Relaxed) && !look.is_done() {
                for management in &asked {
                    // Whoever does not answer shows nothing.
                    if look.alarms(&management.alarms().unwrap_or_default()) {
                        first = first.or_else(|| Some(SystemTime::now()));
                    }
                }
                if look.asks_for_protection() {
                    let says = asked.iter().filter_map(|server| server.protection().ok());
                    look.degraded |= says.into_iter().any(|word| word == "degraded");
                }
                sleep(LOOK_EVERY);
            }
            Shown { first, missing: look.missing() }
        });
        Watch { over, thread }
    }

    /// Ends it, once all is seen or it is too late for that.
    pub fn shown(self) -> Shown {
        let deadline = Instant::now() + SEEN_MAX;
        while !self.thread.is_finished() && Instant::now() < deadline {
            sleep(LOOK_EVERY);
        }
        self.over.store(true, Ordering::Relaxed);
        let missing = vec!["whatever a dead thread would have seen".to_owned()];
        self.thread.join().unwrap_or(Shown { first: None, missing })
    }
}

/// How far the search is.
struct Look {
    signs: Signs,
    /// Positions of the signs that were seen.
    seen: Vec<usize>,
    degraded: bool,
    asked_at: Option<Instant>,
}

impl Look {
    fn is_done(&self) -> bool {
        self.missing().is_empty()
    }

    /// Notes which signs are among them; true if one is new.
    fn alarms(&mut self, alarms: &[Alarm]) -> bool {
        let before = self.seen.len();
        for (at, sign) in self.signs.alarms.iter().enumerate() {
            if !self.seen.contains(&at) && alarms.iter().any(|alarm| sign.fits(alarm)) {
                self.seen.push(at);
            }
        }
        self.seen.len() > before
    }

    /// Only once something is seen at all: before that nothing is broken.
    fn asks_for_protection(&mut self) -> bool {
        let due = self.asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY);
        let asks = due && self.signs.degraded && !self.degraded && !self.seen.is_empty();
        if asks {
            self.asked_at = Some(Instant::now());
        }
        asks
    }

    fn missing(&self) -> Vec<String> {
        let alarms = self.signs.alarms.iter().enumerate();
        let unseen = alarms.filter(|(at, _)| !self.seen.contains(at));
        let mut missing: Vec<_> = unseen.map(|(_, sign)| format!("{sign:?}")).collect();
        if self.signs.degraded && !self.degraded {
            missing.push("no server says that it is degraded".to_owned());
        }
        missing
    }
}

/// Alarms of a pair that is whole again, but for those that last; waits for them to clear.
pub fn alarms_left(pair: &Pair, kind: Kind) -> Vec<Alarm> {
    let signs = kind.signs();
    let lasts = |alarm: &Alarm| signs.alarms.iter().any(|sign| sign.lasts && sign.fits(alarm));
    let deadline = Instant::now() + CLEAR_MAX;
    loop {
        let all = [1, 2].map(|server| pair.management(server).alarms());
        let mut left: Vec<Alarm> = all.into_iter().flatten().flatten().collect();
        left.retain(|alarm| !lasts(alarm));
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(node: &str, text: &str) -> Alarm {
        Alarm { node: node.to_owned(), source: "cluster".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_fault_has_shown_when_all_its_signs_were_seen_once() {
        let signs = Kind::Kill1.signs();
        let mut look = Look { signs, seen: Vec::new(), degraded: false, asked_at: None };
        assert!(!look.alarms(&[alarm("server2", "something else")]));
        assert!(!look.asks_for_protection());
        assert!(look.alarms(&[alarm("server2", "the link to server1 is down: …")]));
        assert!(look.asks_for_protection());
        assert!(!look.asks_for_protection(), "not so soon again");
        assert!(look.alarms(&[alarm("server2", "no backup: …")]));
        assert!(!look.is_done());
        look.degraded = true;
        assert!(look.is_done());
    }

    #[test]
    fn a_time_is_told_only_if_nothing_is_missing() {
        let broken = SystemTime::UNIX_EPOCH;
        let first = Some(broken + Duration::from_millis(70));
        let mut shown = Shown { first, missing: Vec::new() };
        assert_eq!(shown.after_ms(broken), Some(70));
        shown.missing.push("one".to_owned());
        assert_eq!(shown.after_ms(broken), None);
    }
}
