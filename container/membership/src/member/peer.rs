//! What a node knows about one of its peers, and whether a member run of it counts as lost.
//!
//! | sign                                              | the member run is lost because |
//! |---------------------------------------------------|--------------------------------|
//! | a later run of its node speaks                    | `Replaced`                     |
//! | its link broke and did not come up again          | `LinkDown`                     |
//! | the failure detector says so                      | `Silent`, `Deaf`               |
//! | it says for 500 ms that it does not hear the seat | `SeatUnheard`, if we hear it   |
//! |                                                   | all that time                  |
//!
//! Not here: what follows from a loss (`proposal.rs`).

use crate::{FailureDetector, Loss, RunId};
use resilee_sbb::Timestamp;
use std::fmt;
use std::time::Duration;

/// So long a peer may fail to hear the seat that we hear.
const SEAT_UNHEARD: Duration = Duration::from_millis(500);

/// Why a member run counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerLoss {
    /// A later run of its node speaks.
    Replaced,
    /// The link to it broke.
    LinkDown,
    /// Its heartbeats stopped.
    Silent,
    /// It does not hear our heartbeats.
    Deaf,
    /// It does not hear the seat, and we do.
    SeatUnheard,
}

impl fmt::Display for PeerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerLoss::Replaced => f.write_str("a new run of its node began"),
            PeerLoss::LinkDown => f.write_str("the link to it broke"),
            PeerLoss::Silent => Loss::Silent.fmt(f),
            PeerLoss::Deaf => Loss::Deaf.fmt(f),
            PeerLoss::SeatUnheard => f.write_str("it does not hear the balancer"),
        }
    }
}

/// The link to a peer, as far as it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Unknown,
    Up(RunId),
    Down(RunId),
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// The latest run heard.
    pub(super) run: Option<RunId>,
    /// Judges its heartbeats.
    pub(super) detector: FailureDetector,
    link: Link,
    /// Since when it says that it does not hear the seat.
    seat_unheard_since: Option<Timestamp>,
    /// It says that it is about to leave.
    pub(super) draining: bool,
    /// The member run that a notice called lost.
    pub(super) noticed_loss: Option<RunId>,
}

impl Peer {
    pub(super) fn new(detector: FailureDetector) -> Self {
        Peer {
            run: None,
            detector,
            link: Link::Unknown,
            seat_unheard_since: None,
            draining: false,
            noticed_loss: None,
        }
    }

    /// A message of `run` arrived; says whether that run is to be listened to.
    pub(super) fn handle_run(&mut self, now: Timestamp, run: &RunId) -> bool {
        match &self.run {
            Some(known) if known.incarnation > run.incarnation => return false,
            Some(known) if known == run => return true,
            _ => {}
        }
        self.run = Some(run.clone());
        self.detector.handle_new_run(now);
        self.seat_unheard_since = None;
        self.draining = false;
        true
    }

    pub(super) fn handle_seat_heard(&mut self, now: Timestamp, hears_seat: bool) {
        self.seat_unheard_since =
            if hears_seat { None } else { self.seat_unheard_since.or(Some(now)) };
    }

    /// This node hears the seat, or lost it: from now on a peer that does not is compared to us.
    pub(super) fn handle_seat_back(&mut self, now: Timestamp) {
        self.seat_unheard_since = self.seat_unheard_since.map(|_| now);
    }

    /// A run that was called lost is linked again, or a later one of its node speaks: heartbeats
    /// that were still on their way from a dead run are no news.
    pub(super) fn has_news_of(&self, lost: &RunId) -> bool {
        let link_down = matches!(&self.link, Link::Down(run) if run == lost);
        let later = self.run.as_ref().is_some_and(|run| run.incarnation > lost.incarnation);
        later || !link_down
    }

    pub(super) fn handle_link_up(&mut self, run: RunId) {
        self.link = Link::Up(run);
    }

    pub(super) fn handle_link_down(&mut self, run: RunId) {
        // The end of an older run's link says nothing about the link that is up.
        if !matches!(&self.link, Link::Up(up) if *up != run) {
            self.link = Link::Down(run);
        }
    }

    pub(super) fn handle_own_pause(&mut self, pause: Duration) {
        self.detector.handle_own_pause(pause);
        self.seat_unheard_since = self.seat_unheard_since.map(|since| since + pause);
    }

    /// Fit to become a member, so that it is not voted out at once.
    pub(super) fn may_join(&self, now: Timestamp, we_hear_seat: bool) -> bool {
        self.detector.is_alive(now) && (self.hears_seat() || !we_hear_seat)
    }

    pub(super) fn hears_seat(&self) -> bool {
        self.run.is_some() && self.seat_unheard_since.is_none()
    }

    /// Why `member`, a run of this peer, counts as lost.
    pub(super) fn loss(
        &self,
        now: Timestamp,
        member: &RunId,
        we_hear_seat: bool,
    ) -> Option<PeerLoss> {
        if self.run.as_ref().is_some_and(|run| run.incarnation > member.incarnation) {
            return Some(PeerLoss::Replaced);
        }
        if matches!(&self.link, Link::Down(run) if run == member) {
            return Some(PeerLoss::LinkDown);
        }
        match self.detector.loss(now) {
            Some(Loss::Silent) => return Some(PeerLoss::Silent),
            Some(Loss::Deaf) => return Some(PeerLoss::Deaf),
            None => {}
        }
        let unheard = self.seat_unheard_since.is_some_and(|since| now.since(since) >= SEAT_UNHEARD);
        (unheard && we_hear_seat).then_some(PeerLoss::SeatUnheard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(incarnation: u64) -> RunId {
        RunId { node: "server2".parse().expect("a name"), incarnation }
    }

    /// A peer that is heard all the time.
    fn peer(now: Timestamp) -> Peer {
        let mut peer = Peer::new(FailureDetector::new(now, 50, 100));
        peer.handle_run(now, &run(1));
        peer
    }

    #[test]
    fn a_peer_has_500_ms_to_hear_the_balancer_from_when_we_hear_it() {
        let at = Timestamp::from_millis;
        let mut peer = peer(at(0));
        peer.handle_seat_heard(at(0), false);
        assert_eq!(peer.loss(at(700), &run(1), false), None, "nobody hears the balancer");
        peer.handle_seat_back(at(700));
        assert_eq!(peer.loss(at(1_199), &run(1), true), None);
        assert_eq!(peer.loss(at(1_200), &run(1), true), Some(PeerLoss::SeatUnheard));
    }

    #[test]
    fn a_late_heartbeat_of_a_run_whose_link_broke_is_no_news() {
        let mut peer = peer(Timestamp::ZERO);
        peer.handle_link_up(run(1));
        peer.handle_link_down(run(1));
        assert!(!peer.has_news_of(&run(1)));
        peer.handle_run(Timestamp::from_millis(5), &run(2));
        assert!(peer.has_news_of(&run(1)));
    }
}
