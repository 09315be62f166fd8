//! The balancers as a node sees them: the one without a name, or the named ones, of which one
//! holds the seat; and when the seat should move.
//!
//! | the seat's move is wanted if                                        |
//! |---------------------------------------------------------------------|
//! | the holder is not heard, or does not hear this node                 |
//! | no peer that is heard says that it hears it; one is heard, if any is configured |
//! | another balancer is heard, and hears this node: the first by name   |
//!
//! | it is wanted as well if                                             |
//! |---------------------------------------------------------------------|
//! | the holder is heard, and says for [`UNFIT`] that it cannot serve    |
//! | another balancer is heard, and says that it can: the first by name  |
//! | or none is, and another one only rests, while the holder does not   |
//!
//! In the second case the holder has a vote, and grants the move. It is believed whatever other
//! nodes say. Of two that only rest none is better than the other. To a balancer that says that it
//! cannot serve, and not that it rests, the seat moves only from one that is not heard for
//! [`VOTE_MISSED`]: it is a vote, too. Sooner, a holder that is only slow would lose it to one that
//! is of no use to clients.
//!
//! The view that moves it differs in nothing else from the one that it follows, so that two nodes
//! ask for the same.
//!
//! Not here: what a node's confirmation is good for (`balancers.rs`).

use super::{BalancerStatus, Destination, Member, MemberNotice, PeerLoss};
use crate::balancers::{Balancers, REST};
use crate::control::SeatProcess;
use crate::voter::VoterState;
use crate::{FailureDetector, NodeName, RunId, View, VoterId};
use resilee_sbb::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// So long a holder says that it cannot serve before it loses the seat, and another one that it
/// rests before it gets it so. What keeps both balancers from clients at once, or is over at once,
/// moves nothing: the other one says the same by then.
const UNFIT: Duration = Duration::from_millis(400);

/// So long a holder is not heard before a balancer that cannot serve is to have its vote.
const VOTE_MISSED: Duration = Duration::from_secs(3);

/// So long one says that it cannot serve before that is noticed: a fault that the move of the seat
/// and a first rest are over with is none that a person has to look after.
const UNREADY: Duration = Duration::from_secs(5);

/// One balancer.
#[derive(Debug)]
struct Heard {
    detector: FailureDetector,
    /// What it said last of its process.
    process: Option<SeatProcess>,
    /// It says that it cannot serve.
    unfit_since: Option<Timestamp>,
    /// It says that nothing keeps it from it any more.
    rests_since: Option<Timestamp>,
    /// It stands by, and is lost, as the last notice said.
    noticed_lost: bool,
    /// It is not ready, as the last notice said; and whether it held the seat.
    noticed_unready: Option<bool>,
}

/// All balancers; the key of one without a name is none.
#[derive(Debug)]
pub(super) struct Seats {
    heard: BTreeMap<Option<NodeName>, Heard>,
    /// Who holds the seat by the highest view that is known.
    holder: Option<NodeName>,
    held_since: Timestamp,
}

impl Seats {
    pub(super) fn new(
        now: Timestamp,
        balancers: &Balancers,
        highest: &View,
        detector: &FailureDetector,
    ) -> Self {
        let names: Vec<_> = if balancers.is_empty() {
            vec![None]
        } else {
            balancers.iter().cloned().map(Some).collect()
        };
        let heard = |name| {
            let detector = detector.clone().of_balancer();
            let heard = Heard {
                detector,
                process: None,
                unfit_since: None,
                rests_since: None,
                noticed_lost: false,
                noticed_unready: None,
            };
            (name, heard)
        };
        Seats {
            heard: names.into_iter().map(heard).collect(),
            holder: balancers.holder(highest).cloned(),
            held_since: now,
        }
    }

    /// A heartbeat of a balancer; an old one says nothing.
    pub(super) fn handle_heartbeat(
        &mut self,
        now: Timestamp,
        of: &Option<NodeName>,
        (sequence, echo): (u64, u64),
        (ready, rests, process): (bool, bool, Option<SeatProcess>),
    ) {
        let Some(heard) = self.heard.get_mut(of) else { return };
        if heard.detector.handle_heartbeat(now, sequence, echo) {
            heard.unfit_since = if ready { None } else { heard.unfit_since.or(Some(now)) };
            let rests = rests && !ready;
            heard.rests_since = rests.then(|| heard.rests_since.unwrap_or(now));
            heard.process = process;
        }
    }

    pub(super) fn detector(&mut self, of: &Option<NodeName>) -> Option<&mut FailureDetector> {
        self.heard.get_mut(of).map(|heard| &mut heard.detector)
    }

    pub(super) fn handle_own_pause(&mut self, pause: Duration) {
        self.heard.values_mut().for_each(|heard| heard.detector.handle_own_pause(pause));
    }

    /// Says whether another one holds the seat than before.
    fn handle_holder(&mut self, now: Timestamp, holder: Option<&NodeName>) -> bool {
        let moved = self.holder.as_ref() != holder;
        if moved {
            (self.holder, self.held_since) = (holder.cloned(), now);
        }
        moved
    }

    /// That one is heard, and hears this node.
    fn is_alive(&self, now: Timestamp, of: &Option<NodeName>) -> bool {
        self.heard.get(of).is_some_and(|heard| heard.detector.is_alive(now))
    }

    /// How long the holder was not heard, or did not hear this node.
    fn holder_missed_for(&self, now: Timestamp) -> Duration {
        let of = |heard: &Heard| heard.detector.heard_at().min(heard.detector.echoed_at());
        let last = self.heard.get(&self.holder).and_then(of);
        now.since(last.unwrap_or_default().max(self.held_since))
    }

    /// Since when that one says that it cannot serve.
    fn unfit_since(&self, of: &Option<NodeName>) -> Option<Timestamp> {
        self.heard.get(of).and_then(|heard| heard.unfit_since)
    }

    /// Balancers that stand by and were lost, or are back, since this was asked last.
    pub(super) fn notice_standbys(&mut self, now: Timestamp) -> Vec<(NodeName, bool)> {
        let mut news = Vec::new();
        for (name, heard) in &mut self.heard {
            let Some(known) = name else { continue };
            let holds = *name == self.holder;
            let lost = !holds && heard.detector.loss(now).is_some();
            let back = holds || heard.detector.is_alive(now);
            if lost && !heard.noticed_lost || back && heard.noticed_lost {
                heard.noticed_lost = lost;
                news.push((known.clone(), lost));
            }
        }
        news
    }

    /// Balancers that were not ready for a while, or are it no more, since this was asked last. One
    /// that is not heard is noticed as that.
    pub(super) fn notice_unready(&mut self, now: Timestamp) -> Vec<MemberNotice> {
        let mut news = Vec::new();
        for (name, heard) in &mut self.heard {
            let Some(known) = name else { continue };
            let unready = heard.unfit_since.is_some_and(|since| now.since(since) >= UNREADY);
            let said = (unready && heard.detector.is_alive(now)).then_some(*name == self.holder);
            let noticed = std::mem::replace(&mut heard.noticed_unready, said);
            if noticed == said {
                continue;
            }
            let name = || known.clone();
            let over = |holds_seat| MemberNotice::BalancerReady { name: name(), holds_seat };
            let begins = |holds_seat| MemberNotice::BalancerUnready { name: name(), holds_seat };
            news.extend(noticed.map(over).into_iter().chain(said.map(begins)));
        }
        news
    }

    /// The holder had the time to be heard, and is not; so is one that no configuration names.
    fn has_lost_holder(&self, now: Timestamp) -> bool {
        self.heard.get(&self.holder).is_none_or(|heard| heard.detector.loss(now).is_some())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Option<NodeName>> {
        self.heard.keys()
    }
}

impl Member {
    /// The seat's holder is heard and hears this node; true where there is none.
    pub fn seat_alive(&self) -> bool {
        self.hears_seat(self.now)
    }

    /// The balancer that holds the seat by the highest view that is known.
    pub fn seat_holder(&self) -> Destination {
        Destination::of_balancer(self.seats.holder.clone())
    }

    /// Sequence of the last heartbeat of a balancer that was taken: 0 for none; `None` of who is
    /// no balancer of this configuration.
    pub fn balancer_sequence(&self, of: &VoterId) -> Option<u64> {
        let heard = self.seats.heard.get(&self.balancer(of)?);
        heard.map(|heard| heard.detector.heard_sequence())
    }

    /// All balancers, as they are heard.
    pub fn balancer_statuses(&self) -> impl Iterator<Item = BalancerStatus> {
        let of = |(name, heard): (&Option<NodeName>, &Heard)| BalancerStatus {
            name: name.clone(),
            holds_seat: *name == self.seats.holder,
            last_heard: heard.detector.heard_at(),
            alive: heard.detector.is_alive(self.now),
            ready: heard.unfit_since.is_none(),
            process: heard.process.clone(),
        };
        self.seats.heard.iter().filter(|_| self.config.seat).map(of)
    }

    /// The key of a balancer that this configuration knows.
    pub(super) fn balancer(&self, from: &VoterId) -> Option<Option<NodeName>> {
        let name = match from {
            VoterId::Seat => None,
            VoterId::Balancer(name) => Some(name.clone()),
            VoterId::Run(_) => return None,
        };
        (self.config.seat && self.seats.heard.contains_key(&name)).then_some(name)
    }

    /// Its vote counts for what follows the highest view: a node's, and the holder's.
    pub(super) fn votes(&self, from: &VoterId) -> bool {
        from.node().is_some() || *from == self.config.balancers.voter(&self.voter.highest)
    }

    /// Whatever a former holder has told says nothing of the one that votes now.
    pub(super) fn notice_holder(&mut self, now: Timestamp) {
        let holder = self.config.balancers.holder(&self.voter.highest);
        if self.seats.handle_holder(now, holder) {
            self.cold.handle_other_seat();
            self.peers.values_mut().for_each(|peer| peer.handle_seat_back(now));
        }
    }

    pub(super) fn hears_seat(&self, now: Timestamp) -> bool {
        !self.config.seat || self.seats.is_alive(now, &self.seats.holder)
    }

    /// A run that begins has not lost the seat before it had the time to hear it.
    pub(super) fn has_lost_seat(&self, now: Timestamp) -> bool {
        self.config.seat && self.seats.has_lost_holder(now)
    }

    pub(super) fn loss(&self, now: Timestamp, run: &RunId) -> Option<PeerLoss> {
        let peer = self.peers.get(&run.node)?;
        peer.loss(now, run, self.hears_seat(now))
    }

    /// What a heartbeat says to this balancer: it may forward (see `balancers.rs`).
    pub(super) fn confirms(&self, now: Timestamp, name: &NodeName) -> bool {
        let VoterState { highest, forgetful, .. } = &self.voter;
        let rested = now.since(self.seats.held_since) >= REST;
        let knows = !forgetful || highest.contains(&self.config.me);
        rested && knows && self.config.balancers.holds(name, &self.voter)
    }

    /// Who should hold the seat instead of who holds it.
    pub(super) fn seat_heir(&self, now: Timestamp) -> Option<NodeName> {
        self.heir_of_lost(now).or_else(|| self.heir_of_unfit(now))
    }

    /// The same, and nodes must do without the holder's vote.
    pub(super) fn heir_of_lost(&self, now: Timestamp) -> Option<NodeName> {
        let hears = |peer: &super::Peer| peer.hears_seat();
        let mut heard = self.peers.values().filter(|peer| peer.detector.is_alive(now)).peekable();
        let alone = heard.peek().is_none() && !self.peers.is_empty();
        if alone || heard.any(hears) {
            return None;
        }
        let late = self.seats.holder_missed_for(now) >= VOTE_MISSED;
        let of_use = |heir: &NodeName| late || self.is_fit(heir) || self.rests(now, heir);
        self.heard_heir(now).filter(of_use)
    }

    /// Another balancer, if the holder is not heard and that one is.
    pub(super) fn heard_heir(&self, now: Timestamp) -> Option<NodeName> {
        let mut others = self.standbys().filter(|_| self.has_lost_seat(now));
        others.find(|name| self.seats.is_alive(now, &Some((*name).clone()))).cloned()
    }

    /// Another balancer that can serve, or only rests, if the holder says that it cannot.
    fn heir_of_unfit(&self, now: Timestamp) -> Option<NodeName> {
        let Seats { holder, .. } = &self.seats;
        let since = self.seats.unfit_since(holder).filter(|_| self.seats.is_alive(now, holder))?;
        let alive = |name: &&NodeName| self.seats.is_alive(now, &Some((*name).clone()));
        if now.since(since) < UNFIT {
            return None;
        }
        let holder_rests = self.seats.heard.get(holder).is_some_and(|it| it.rests_since.is_some());
        let rests = |name: &&NodeName| !holder_rests && self.rests(now, name);
        let fit = self.standbys().filter(alive).find(|name| self.is_fit(name));
        fit.or_else(|| self.standbys().filter(alive).find(rests)).cloned()
    }

    /// It says for a while that nothing keeps it from serving any more: what kept both from it is
    /// over for both by then.
    fn rests(&self, now: Timestamp, balancer: &NodeName) -> bool {
        let heard = self.seats.heard.get(&Some(balancer.clone()));
        let since = heard.and_then(|heard| heard.rests_since);
        since.is_some_and(|since| now.since(since) >= UNFIT)
    }

    /// It does not say that it cannot serve.
    fn is_fit(&self, balancer: &NodeName) -> bool {
        self.seats.unfit_since(&Some(balancer.clone())).is_none()
    }

    /// The balancers that do not hold the seat; none where there is one without a name.
    fn standbys(&self) -> impl Iterator<Item = &NodeName> {
        let holder = self.seats.holder.as_ref();
        self.config.balancers.iter().filter(move |name| Some(*name) != holder)
    }

    /// The view with the seat at that balancer, and nothing else changed.
    pub(super) fn with_seat_at(&self, heir: NodeName) -> View {
        let number = self.voter.next_number().max(self.proposed + 1);
        View { number, seat: Some(heir), ..self.view.clone() }
    }
}
