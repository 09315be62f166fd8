//! Cluster time: the node's own clock plus an offset, which the members agree on.
//!
//! The shell gives a *local* time that never jumps (its wall clock at the start plus the monotonic
//! clock since). Membership, failure detectors and links run on that. All that is state (cells,
//! timers, rows, records, alarms) or is shown has *cluster* time, which any member can go on with.
//!
//! | this run is          | input                           | offset                              |
//! |----------------------|---------------------------------|-------------------------------------|
//! | any                  | start                           | 0, or what reaches the stored time  |
//! | outsider             | heartbeat of the lowest member  | steps to that member's time         |
//! | outsider             | a frame of the snapshot         | the same                            |
//! | member, not lowest   | time passes                     | slews to the lowest member's time   |
//! | the lowest member    | anything                        | stays                               |
//!
//! *Lowest* is the lowest run of the view that was heard. An outsider may step, also back, since
//! nothing of its own acts. A member's time never goes back: it slews by at most one part in
//! [`SLEW_PART`].
//!
//! **How another clock is read.** A heartbeat says when it was sent, by its sender's cluster time.
//! That minus the local time of its arrival is the difference of the clocks minus the delay on the
//! way: the largest of the last [`SAMPLES`] had the least delay, and is off by that delay alone.
//! Only heartbeats of a member count, since an outsider's time may step. Heartbeats that waited in
//! a socket while a node stood still, or that somebody sends again, only look slower. Frames of a
//! snapshot say the same: a joiner may be a member before the next heartbeat of a run that has just
//! become one, but not before the snapshot's end.
//!
//! Not here: who is a member (`membership`), and jumps of the wall clock (`wall_clock.rs`).

use resilee_membership::{NodeName, RunId};
use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// A member's cluster time runs faster or slower than its own clock by at most one part in this:
/// 1 ms per 100 ms. That is 25 times what two bad quartz clocks drift apart (400 ppm), makes 50 ms
/// good within 5 s, and a second that is measured meanwhile is off by 10 ms at most.
const SLEW_PART: i64 = 100;
/// Heartbeats of which the one with the least delay counts: 3.2 s at 50 ms each, in which two bad
/// clocks drift apart by 1.3 ms.
const SAMPLES: usize = 64;
/// A member's clock that differs by more is an alarm: the promise for durations over a takeover.
pub(crate) const DIFFERENCE_MAX_MS: i64 = 50;

/// How to come to another clock's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approach {
    /// At once.
    Step,
    /// Slowly, and never back.
    Slew,
}

/// One other node's clock.
#[derive(Debug)]
struct PeerClock {
    /// The run that spoke last.
    run: RunId,
    /// Sequence of its last heartbeat.
    sequence: u64,
    /// Its cluster time minus our local time, in microseconds, less the delay; the last ones.
    samples: VecDeque<i64>,
}

/// A node's cluster time.
#[derive(Debug)]
pub(crate) struct ClusterClock {
    /// Cluster time minus local time, in microseconds.
    offset_us: i64,
    /// The offset that is slewed to.
    target_us: i64,
    /// Local time up to which slewing is accounted for.
    slewed_until: Timestamp,
    /// Local time of the last input.
    local: Timestamp,
    /// Cluster time of the last input.
    now: Timestamp,
    /// Other nodes that were members when they were heard.
    peers: BTreeMap<NodeName, PeerClock>,
}

impl ClusterClock {
    /// A clock that starts at the later of `local` and the last time that was stored.
    pub fn new(local: Timestamp, stored: Timestamp) -> Self {
        let now = local.max(stored);
        let offset_us = difference(now, local);
        ClusterClock {
            offset_us,
            target_us: offset_us,
            slewed_until: local,
            local,
            now,
            peers: BTreeMap::new(),
        }
    }

    /// Moves on to a local time; the cluster time then.
    pub fn handle_local_time(&mut self, local: Timestamp) -> Timestamp {
        self.local = self.local.max(local);
        self.slew();
        self.now = self.now.max(self.at(self.local));
        self.now
    }

    /// Does what the clock of this module never does.
    #[cfg(feature = "planted-faults")]
    pub fn jump(&mut self, by_ms: i64) {
        self.offset_us += by_ms * 1_000;
        self.target_us = self.offset_us;
    }

    /// Cluster time of the last input.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Local time of the last input.
    pub fn local(&self) -> Timestamp {
        self.local
    }

    /// Cluster time at a local time, as far as it is known now.
    pub fn at(&self, local: Timestamp) -> Timestamp {
        Timestamp::from_micros(local.as_micros().saturating_add_signed(self.offset_us))
    }

    /// Local time at a cluster time, as far as it is known now.
    pub fn local_at(&self, time: Timestamp) -> Timestamp {
        let back = self.offset_us.saturating_neg();
        Timestamp::from_micros(time.as_micros().saturating_add_signed(back))
    }

    /// A heartbeat of a member that just arrived says when it was sent.
    pub fn handle_heartbeat(&mut self, from: &RunId, sequence: u64, sent_at: Timestamp) {
        let sample = difference(sent_at, self.local);
        let Some(peer) = self.peer(from).filter(|peer| sequence > peer.sequence) else { return };
        peer.sequence = sequence;
        peer.add(sample);
    }

    /// A frame of a member's snapshot says when it was sent. There may be many at a time: only
    /// one that had less delay than all the heartbeats says something new.
    pub fn handle_frame(&mut self, from: &RunId, sent_at: Timestamp) {
        let sample = difference(sent_at, self.local);
        let Some(peer) = self.peer(from) else { return };
        if peer.samples.iter().all(|known| *known < sample) {
            peer.add(sample);
        }
    }

    /// The clock of a node, if no later run of it was heard.
    fn peer(&mut self, from: &RunId) -> Option<&mut PeerClock> {
        let peer = self.peers.entry(from.node.clone()).or_insert_with(|| PeerClock::of(from));
        if from.incarnation > peer.run.incarnation {
            *peer = PeerClock::of(from);
        }
        (*from == peer.run).then_some(peer)
    }

    /// Goes by the lowest of these runs that was heard; `me` has nothing to go by.
    pub fn follow(&mut self, members: &[RunId], me: &RunId, approach: Approach) {
        let heard = members.iter().find(|run| *run == me || self.offset_of(run).is_some());
        let target = heard.filter(|run| *run != me).and_then(|run| self.offset_of(run));
        self.target_us = target.unwrap_or(self.offset_us);
        if approach == Approach::Step && self.offset_us != self.target_us {
            self.offset_us = self.target_us;
            self.now = self.at(self.local);
        }
    }

    /// The run's cluster time minus ours, in milliseconds, if it was heard as a member.
    pub fn difference_ms(&self, run: &RunId) -> Option<i64> {
        Some(self.offset_of(run)?.saturating_sub(self.offset_us) / 1_000)
    }

    /// The offset with which this node would have the run's time.
    fn offset_of(&self, run: &RunId) -> Option<i64> {
        let peer = self.peers.get(&run.node).filter(|peer| peer.run == *run)?;
        peer.samples.iter().copied().max()
    }

    fn slew(&mut self) {
        let passed = difference(self.local, self.slewed_until);
        // What is left of less than one part counts the next time.
        let change = passed / SLEW_PART;
        self.slewed_until = self.local - micros(passed % SLEW_PART);
        let missing = self.target_us.saturating_sub(self.offset_us);
        self.offset_us = self.offset_us.saturating_add(missing.clamp(-change, change));
    }
}

impl PeerClock {
    fn of(run: &RunId) -> Self {
        PeerClock { run: run.clone(), sequence: 0, samples: VecDeque::new() }
    }

    fn add(&mut self, sample: i64) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// `a` minus `b`, in microseconds.
pub(crate) fn difference(a: Timestamp, b: Timestamp) -> i64 {
    let signed = |time: Timestamp| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    signed(a) - signed(b)
}

fn micros(micros: i64) -> std::time::Duration {
    std::time::Duration::from_micros(micros.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HEARTBEAT: Duration = Duration::from_millis(50);

    fn run(node: &str, incarnation: u64) -> RunId {
        RunId { node: node.parse().expect("a name"), incarnation }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// A clock that heard `peer`, `ahead_ms` ahead of it, over a way of these delays.
    fn clock_that_heard(peer: &RunId, ahead_ms: i64, delays_us: &[u64]) -> ClusterClock {
        let mut clock = ClusterClock::new(at(0), Timestamp::ZERO);
        for (sequence, delay) in (1..).zip(delays_us) {
            let sent = at(0) + HEARTBEAT * sequence;
            clock.handle_local_time(sent + Duration::from_micros(*delay));
            let says = sent.as_micros().saturating_add_signed(ahead_ms * 1_000);
            clock.handle_heartbeat(peer, sequence.into(), Timestamp::from_micros(says));
        }
        clock
    }

    #[test]
    fn a_start_takes_the_later_of_wall_clock_and_stored_time() {
        assert_eq!(ClusterClock::new(at(5), at(9)).now(), at(9));
        assert_eq!(ClusterClock::new(at(9), at(5)).now(), at(9));
        let mut clock = ClusterClock::new(at(5), at(9));
        assert_eq!(clock.handle_local_time(at(6)), at(10));
        assert_eq!(clock.local_at(at(10)), at(6));
    }

    #[test]
    fn the_heartbeat_with_the_least_delay_counts() {
        let peer = run("a", 1);
        let clock = clock_that_heard(&peer, 400, &[20_000, 300, 9_000, 2_000_000]);
        assert_eq!(clock.difference_ms(&peer), Some(399), "off by the least delay, 0.3 ms");
    }

    #[test]
    fn an_outsider_steps_to_the_members_time_also_back() {
        let (a, me) = (run("a", 1), run("b", 1));
        for ahead_ms in [700, -700] {
            let mut clock = clock_that_heard(&a, ahead_ms, &[0]);
            clock.follow(std::slice::from_ref(&a), &me, Approach::Step);
            let expected = at(50).as_micros().saturating_add_signed(ahead_ms * 1_000);
            assert_eq!(clock.now(), Timestamp::from_micros(expected));
        }
    }

    #[test]
    fn a_member_slews_and_never_goes_back() {
        let (a, me) = (run("a", 1), run("b", 1));
        let mut clock = clock_that_heard(&a, -30, &[0]);
        clock.follow(&[a.clone(), me.clone()], &me, Approach::Slew);
        let mut last = clock.now();
        for step in 1..=100_000u64 {
            // Inputs come much more often than the offset changes by a microsecond.
            let now = clock.handle_local_time(at(50) + Duration::from_micros(30 * step));
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
        assert_eq!(clock.difference_ms(&a), Some(0), "30 ms are made good within 3 s");
        let rushed = clock.handle_local_time(at(100_000));
        assert_eq!(rushed, at(100_000 - 30), "and it stays there");
    }

    #[test]
    fn the_lowest_member_keeps_its_time() {
        let (me, b) = (run("a", 1), run("b", 1));
        let mut clock = clock_that_heard(&b, 30, &[0]);
        clock.follow(&[me.clone(), b.clone()], &me, Approach::Slew);
        assert_eq!(clock.handle_local_time(at(60_000)), at(60_000));
        assert_eq!(clock.difference_ms(&b), Some(30));
    }

    #[test]
    fn a_new_run_is_another_clock() {
        let (old, new) = (run("a", 1), run("a", 2));
        let mut clock = clock_that_heard(&old, 900, &[0, 0]);
        clock.handle_heartbeat(&new, 7, at(100));
        assert_eq!(clock.difference_ms(&old), None);
        assert_eq!(clock.difference_ms(&new), Some(0));
        clock.handle_heartbeat(&old, 9, at(5_000));
        assert_eq!(clock.difference_ms(&new), Some(0), "what is left of the old run is no news");
    }

    #[test]
    fn a_heartbeat_that_is_sent_again_says_nothing() {
        let peer = run("a", 1);
        let mut clock = clock_that_heard(&peer, 0, &[0, 0]);
        clock.handle_heartbeat(&peer, 2, at(9_000));
        assert_eq!(clock.difference_ms(&peer), Some(0));
    }
}
