//! Failure detector: one per other voter, fed by its heartbeats.
//!
//! A voter is lost when no heartbeat came for `missed` intervals, or when it did not confirm
//! (echo) a newer heartbeat of ours for that long: a link that is cut one way is cut.
//!
//! | state | input                                    | next                          |
//! |-------|------------------------------------------|-------------------------------|
//! | any   | heartbeat with a newer sequence          | heard now                     |
//! | any   | its echo is newer, and of this run       | echoed now                    |
//! | any   | heartbeat with an old sequence           | ignored                       |
//! | lost  | the same of a balancer that was silent   | heard now (its clock went back) |
//! | any   | another run speaks                       | never heard, full time to live |
//! | any   | we ourselves were not run for a while    | that while does not count     |
//!
//! A run's sequences grow as long as it lives, and a later run is told by its incarnation. A
//! balancer has none: it begins above its earlier processes by its clock, unless that was set back.
//! So what was recorded of a balancer and is sent again is taken once that is silent. It echoes
//! nothing new, so it makes nobody alive.
//!
//! Not here: who sends heartbeats when, and what a loss leads to.

use resilee_sbb::Timestamp;
use std::fmt;
use std::time::Duration;

/// Why a voter counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// No heartbeat of it came.
    Silent,
    /// Its heartbeats come, but ours do not reach it.
    Deaf,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Silent => "its heartbeats stopped",
            Loss::Deaf => "it does not hear our heartbeats",
        })
    }
}

/// Judges from heartbeats whether one other voter lives and hears us.
#[derive(Clone, Debug)]
pub struct FailureDetector {
    /// So long without a sign is a loss.
    window: Duration,
    /// Judging began: the start, or when another run began to speak.
    since: Timestamp,
    /// The last heartbeat.
    heard_at: Option<Timestamp>,
    /// The last echo that was newer than those before.
    echoed_at: Option<Timestamp>,
    /// Sequence of the last heartbeat heard.
    heard_sequence: u64,
    /// Highest of our sequences that was echoed.
    echo: u64,
    /// Sequence of the last heartbeat sent.
    sent_sequence: u64,
    /// The voter is a balancer: its sequences may go back with its clock.
    of_balancer: bool,
}

impl FailureDetector {
    /// A detector that starts to judge at `now`.
    pub fn new(now: Timestamp, heartbeat_ms: u64, missed: u32) -> Self {
        FailureDetector {
            window: window(heartbeat_ms, missed),
            since: now,
            heard_at: None,
            echoed_at: None,
            heard_sequence: 0,
            // Above all sequences of our earlier runs, which had fewer than one per millisecond.
            // An echo of those proves nothing: that run was heard, this one may not be.
            echo: now.as_millis(),
            sent_sequence: now.as_millis(),
            of_balancer: false,
        }
    }

    /// The same for a balancer.
    pub fn of_balancer(self) -> Self {
        FailureDetector { of_balancer: true, ..self }
    }

    /// Judges by this from now on.
    pub fn set_window(&mut self, heartbeat_ms: u64, missed: u32) {
        self.window = window(heartbeat_ms, missed);
    }

    /// The sequence of the next heartbeat to send.
    pub fn next_sequence(&mut self) -> u64 {
        self.sent_sequence += 1;
        self.sent_sequence
    }

    /// What the next heartbeat echoes.
    pub fn heard_sequence(&self) -> u64 {
        self.heard_sequence
    }

    /// Takes in a heartbeat; says whether it was newer than those before.
    pub fn handle_heartbeat(&mut self, now: Timestamp, sequence: u64, echo: u64) -> bool {
        let restarted = self.of_balancer && self.loss(now) == Some(Loss::Silent);
        if sequence <= self.heard_sequence && !restarted {
            return false;
        }
        if self.heard_at.is_none() {
            self.since = now;
        }
        self.heard_sequence = sequence;
        self.heard_at = Some(now);
        if echo > self.echo && echo <= self.sent_sequence {
            self.echo = echo;
            self.echoed_at = Some(now);
        }
        true
    }

    /// Why the voter counts as lost at `now`, if it does.
    pub fn loss(&self, now: Timestamp) -> Option<Loss> {
        let late = |at: Option<Timestamp>| now.since(at.unwrap_or(self.since)) > self.window;
        if late(self.heard_at) {
            Some(Loss::Silent)
        } else if late(self.echoed_at) {
            Some(Loss::Deaf)
        } else {
            None
        }
    }

    /// Heard at least once, confirmed to hear us, and not lost.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.heard_at.is_some() && self.echoed_at.is_some() && self.loss(now).is_none()
    }

    /// Another run of the voter speaks from now on.
    pub fn handle_new_run(&mut self, now: Timestamp) {
        self.since = now;
        self.heard_at = None;
        self.echoed_at = None;
        self.heard_sequence = 0;
    }

    /// We ourselves did not run for so long: nobody is to blame for that time.
    pub fn handle_own_pause(&mut self, pause: Duration) {
        self.since = self.since + pause;
        self.heard_at = self.heard_at.map(|at| at + pause);
        self.echoed_at = self.echoed_at.map(|at| at + pause);
    }

    /// When the last heartbeat was heard.
    pub fn heard_at(&self) -> Option<Timestamp> {
        self.heard_at
    }

    /// When a new echo was heard last.
    pub fn echoed_at(&self) -> Option<Timestamp> {
        self.echoed_at
    }
}

fn window(heartbeat_ms: u64, missed: u32) -> Duration {
    Duration::from_millis(heartbeat_ms.saturating_mul(u64::from(missed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn detector() -> FailureDetector {
        FailureDetector::new(at(0), 50, 6)
    }

    #[test]
    fn a_voter_that_speaks_and_echoes_lives() {
        let mut detector = detector();
        for tick in 1..100 {
            let sent = detector.next_sequence();
            assert!(detector.handle_heartbeat(at(50 * tick), tick, sent));
            assert!(detector.is_alive(at(50 * tick)));
        }
    }

    #[test]
    fn six_missed_heartbeats_are_a_loss() {
        let mut detector = detector();
        let sent = detector.next_sequence();
        detector.handle_heartbeat(at(50), 1, sent);
        assert_eq!(detector.loss(at(350)), None);
        assert_eq!(detector.loss(at(351)), Some(Loss::Silent));
    }

    #[test]
    fn a_voter_that_hears_us_no_more_is_lost() {
        let mut detector = detector();
        let sent = detector.next_sequence();
        for tick in 1..8 {
            detector.handle_heartbeat(at(50 * tick), tick, sent);
        }
        assert_eq!(detector.loss(at(351)), Some(Loss::Deaf));
        assert!(!detector.is_alive(at(351)));
    }

    #[test]
    fn an_echo_of_an_earlier_run_proves_nothing() {
        let mut earlier = detector();
        let sent = earlier.next_sequence();
        let mut detector = FailureDetector::new(at(10_000), 50, 6);
        for tick in 1..8 {
            detector.handle_heartbeat(at(10_000 + 50 * tick), tick, sent);
            assert!(!detector.is_alive(at(10_000 + 50 * tick)));
        }
        assert_eq!(detector.loss(at(10_400)), Some(Loss::Deaf));
    }

    #[test]
    fn an_old_heartbeat_proves_nothing() {
        let mut detector = detector();
        detector.handle_heartbeat(at(50), 7, 0);
        assert!(!detector.handle_heartbeat(at(100), 7, 0));
        assert!(!detector.handle_heartbeat(at(100), 3, 0));
    }

    #[test]
    fn a_balancer_whose_clock_went_back_is_heard_again_after_the_loss() {
        let mut detector = detector().of_balancer();
        detector.handle_heartbeat(at(50), 7_000, 0);
        assert!(!detector.handle_heartbeat(at(100), 5, 0));
        assert!(detector.handle_heartbeat(at(400), 11, 0));
    }

    #[test]
    fn what_was_recorded_of_a_run_proves_nothing_however_long_that_is_silent() {
        let mut detector = detector();
        let sent = detector.next_sequence();
        detector.handle_heartbeat(at(50), 7, sent);
        assert!(!detector.handle_heartbeat(at(60_000), 7, sent));
        assert_eq!(detector.loss(at(60_000)), Some(Loss::Silent));
        assert!(detector.handle_heartbeat(at(60_000), 8, sent));
    }

    #[test]
    fn what_was_recorded_of_a_balancer_makes_it_not_alive() {
        let mut detector = detector().of_balancer();
        let sent = detector.next_sequence();
        detector.handle_heartbeat(at(50), 7, sent);
        assert!(detector.handle_heartbeat(at(60_000), 7, sent));
        assert!(!detector.is_alive(at(60_000)));
        assert_eq!(detector.loss(at(60_000)), Some(Loss::Deaf));
    }

    #[test]
    fn who_was_paused_judges_nobody_for_that_time() {
        let mut detector = detector();
        let sent = detector.next_sequence();
        detector.handle_heartbeat(at(50), 1, sent);
        detector.handle_own_pause(Duration::from_secs(10));
        assert_eq!(detector.loss(at(10_100)), None);
    }
}
