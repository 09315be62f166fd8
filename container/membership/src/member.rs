//! A node's part in the view protocol.
//!
//! Voters are the nodes and the seat; a view needs a majority of them. What is *stored* decides:
//! nothing that follows from a vote or a view leaves before the voter state with it is stored.
//!
//! | this run is | input                               | output                       | next   |
//! |-------------|-------------------------------------|------------------------------|--------|
//! | outsider    | every 100 ms                        | AskView to all               | same   |
//! | outsider    | a member of the highest view speaks | Join                         | same   |
//! | outsider    | the link to that member comes up    | Join again                   | same   |
//! | outsider    | may start cold (`cold_start.rs`)    | own vote; Propose            | same   |
//! | outsider    | drain                               | Drained                      | ended  |
//! | member      | a member is lost (`peer.rs`)        | Proposing; own vote; Propose | same   |
//! | member      | a joiner is ready                   | Proposing; own vote; Propose | same   |
//! | member      | drain, and another member lives     | Proposing; own vote; Propose | same   |
//! | any         | stay                                | a drain is taken back        | same   |
//! | member      | hand over, and the heir lives       | Proposing; own vote; Propose | same   |
//! | member      | it found cohorts of no view         | Proposing; own vote; Propose | same   |
//! | any         | force; no other voter, as set       | own vote decides; Forced     | same   |
//! | any         | its proposal has a majority         | store it as highest          | same   |
//! | any         | Propose (answered by `voter.rs`)    | store the vote; Vote         | same   |
//! | any         | TellView, Vote with a higher view   | store it as highest          | same   |
//! | any         | a message with a higher number      | AskView to its sender        | same   |
//! | any         | AskView; heartbeat, lower number    | TellView to its sender       | same   |
//! | any         | something by an older view          | TellView, every 10 ms at most | same  |
//! | any         | a higher view with me is stored     | TellView to all; Adopt       | member |
//! | outsider    | a higher view without me is stored  | TellView to all; Adopt       | same   |
//! | member      | a higher view without me is stored  | TellView to all; VotedOut    | ended  |
//! | any         | every heartbeat interval            | Heartbeat to all             | same   |
//! | member      | the seat should move (`seats.rs`)   | Proposing; own vote; Propose | same   |
//!
//! An *outsider* is a run that never was a member. A member that drains ends with the notice
//! Drained instead of VotedOut. A run that learns only of a view that followed its own
//! membership was a member too: its cohort is in the view, with another owner.
//!
//! A cluster of one voter (no peers) takes the same way: its own vote is the majority.
//!
//! Not here: clocks, sockets, the store, snapshots, and what a member may do with its calls.

mod boundary;
mod cold_start;
mod noticing;
mod order;
mod peer;
mod proposal;
mod seats;
mod sending;
mod store_at_start;

pub use boundary::{
    BalancerStatus, Destination, MemberConfig, MemberInput, MemberNotice, MemberOutput, PeerStatus,
    Unclean,
};
pub use peer::PeerLoss;
pub use store_at_start::StoreAtStart;

use crate::control::{Control, ControlBody, Verdict, VoterId};
use crate::persist_queue::PersistQueue;
use crate::planted::Planted;
use crate::voter::{Circumstances, Proposal, VoterState};
use crate::{FailureDetector, NodeName, RunId, View};
use cold_start::{ASK_EVERY, ColdStart};
use order::Orders;
use peer::Peer;
use proposal::Asking;
use resilee_sbb::{CohortId, Timestamp};
use seats::Seats;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Decides who is in the cluster, from one node's side; see the table above.
#[derive(Debug)]
pub struct Member {
    config: MemberConfig,
    /// The moment of the last input.
    now: Timestamp,
    /// The view that holds for this node: the highest that is stored.
    view: View,
    /// What this node's voter remembers, stored or about to be.
    voter: VoterState,
    persist: PersistQueue<(Destination, ControlBody)>,
    peers: BTreeMap<NodeName, Peer>,
    /// Judges the heartbeats of balancers; without a meaning if there is none.
    seats: Seats,
    /// What the last notice said about the seat; none before the first.
    seat_noticed_alive: Option<bool>,
    /// Number of the last view that this run voted for as its own proposal.
    proposed: u64,
    /// The view that this run asks votes for.
    asking: Option<Asking>,
    /// Runs that have acked the snapshot and all that was let out since, by node.
    joiners: BTreeMap<NodeName, RunId>,
    /// The member that this run asked for a snapshot.
    joining: Option<RunId>,
    /// Cohorts that the next proposal of this run may leave out.
    finished: BTreeSet<CohortId>,
    /// When somebody was last told the view because of an older one.
    told_at: BTreeMap<Destination, Timestamp>,
    cold: ColdStart,
    /// Commits in the store that this run started from.
    last_commit: u64,
    store_at_start: StoreAtStart,
    draining: bool,
    orders: Orders,
    ended: bool,
    heartbeat_at: Timestamp,
    ask_view_at: Timestamp,
    /// The last number for which a conflict was noticed.
    noticed_conflict: u64,
    /// Balancers of which it was noticed that no configuration here names them.
    noticed_unknown: BTreeSet<VoterId>,
    outputs: VecDeque<MemberOutput>,
    planted: Planted,
}

impl Member {
    /// A run that starts at `now` with what its node stored last.
    pub fn new(
        now: Timestamp,
        config: MemberConfig,
        stored: Option<VoterState>,
        store_at_start: StoreAtStart,
    ) -> Self {
        let voter = stored.unwrap_or_else(VoterState::forgetful);
        let detector = FailureDetector::new(now, config.heartbeat_ms, config.missed);
        let peer = |node: &NodeName| (node.clone(), Peer::new(detector.clone()));
        let mut member = Member {
            now,
            view: voter.highest.clone(),
            persist: PersistQueue::new(voter.clone()),
            seats: Seats::new(now, &config.balancers, &voter.highest, &detector),
            voter,
            peers: config.peers.iter().map(peer).collect(),
            seat_noticed_alive: None,
            proposed: 0,
            asking: None,
            joiners: BTreeMap::new(),
            joining: None,
            finished: BTreeSet::new(),
            told_at: BTreeMap::new(),
            cold: ColdStart::new(now, config.cold_start_ms),
            last_commit: 0,
            store_at_start,
            draining: false,
            orders: Orders::default(),
            ended: false,
            heartbeat_at: now,
            ask_view_at: now,
            noticed_conflict: 0,
            noticed_unknown: BTreeSet::new(),
            outputs: VecDeque::new(),
            planted: Planted::default(),
            config,
        };
        member.pursue(now);
        member
    }

    /// Does something wrong on purpose from now on.
    #[cfg(feature = "planted-faults")]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Timestamp, input: MemberInput) {
        if self.ended {
            return;
        }
        self.notice_own_pause(now);
        self.now = now;
        match input {
            MemberInput::Control(control) => self.on_control(now, control),
            MemberInput::LinkUp(run) => self.on_link_up(run),
            MemberInput::LinkDown(run) => self.on_link_down(run),
            MemberInput::JoinerReady(run) => self.on_joiner_ready(run),
            MemberInput::JoinerBehind(run) => drop(self.joiners.remove(&run.node)),
            MemberInput::Persisted(number) => self.on_persisted(number),
            MemberInput::CommitsStored(number) => self.last_commit = number,
            MemberInput::Finished(cohorts) => self.finished = cohorts,
            MemberInput::Found(cohorts) => self.orders.found = cohorts,
            MemberInput::OldView(from) => self.on_old_view(now, from),
            MemberInput::Timeout => {}
            MemberInput::Drain => self.on_drain(),
            MemberInput::Stay => self.draining = false,
            MemberInput::HandOver { cohorts, heir } => self.on_hand_over(cohorts, heir),
            MemberInput::Force => self.on_force(now),
        }
        self.evaluate(now);
    }

    /// The next thing to be done; call until none is left.
    pub fn poll_output(&mut self) -> Option<MemberOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`MemberInput::Timeout`]; none once the machine has ended.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.ended {
            return None;
        }
        let ask = (!self.view.contains(&self.config.me)).then_some(self.ask_view_at);
        [Some(self.heartbeat_at), ask, self.proposal_timeout()].into_iter().flatten().min()
    }

    /// The view that holds for this node.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// This run is a member of the highest view it knows, so it may act.
    pub fn is_member(&self) -> bool {
        let me = &self.config.me;
        !self.ended && self.view.contains(me) && self.voter.highest.contains(me)
    }

    /// True if a run of a peer counts as lost, or a later one of its node was heard.
    pub fn has_lost(&self, run: &RunId) -> bool {
        self.loss(self.now, run).is_some()
    }

    /// What is known about a peer; nothing about a node that is none.
    pub fn peer_status(&self, node: &NodeName) -> PeerStatus {
        let Some(peer) = self.peers.get(node) else { return PeerStatus::default() };
        PeerStatus {
            run: peer.run.clone(),
            last_heard: peer.detector.heard_at(),
            last_echo: peer.detector.echoed_at(),
            hears_seat: peer.hears_seat(),
            draining: peer.draining,
            lost: peer.run.as_ref().and_then(|run| self.loss(self.now, run)),
        }
    }

    // Reactions to inputs.

    fn on_control(&mut self, now: Timestamp, control: Control) {
        let Control { view: number, from, body } = control;
        let to = match &from {
            VoterId::Seat | VoterId::Balancer(_) => match self.balancer(&from) {
                Some(name) => Destination::of_balancer(name),
                None => return self.notice_unknown(from),
            },
            VoterId::Run(run) => {
                let Some(peer) = self.peers.get_mut(&run.node) else { return };
                if !peer.handle_run(now, run) {
                    return;
                }
                if self.voter.highest.contains(run) {
                    self.cold.handle_member_heard(now);
                }
                Destination::Node(run.node.clone())
            }
        };
        let tells = matches!(body, ControlBody::TellView { .. } | ControlBody::Vote { .. });
        if number > self.voter.highest.number && !tells {
            self.send(to.clone(), ControlBody::AskView);
        }
        match body {
            ControlBody::Heartbeat {
                sequence,
                echo,
                hears_seat,
                draining,
                ready,
                rests,
                seat,
                ..
            } => {
                match self.balancer(&from) {
                    Some(balancer) => {
                        let (beat, said) = ((sequence, echo), (ready, rests, seat));
                        self.seats.handle_heartbeat(now, &balancer, beat, said);
                    }
                    None => self.on_heartbeat(now, from, (sequence, echo), (hears_seat, draining)),
                }
                if number < self.view.number {
                    self.tell_view(to);
                }
            }
            ControlBody::AskView => self.tell_view(to),
            ControlBody::TellView { view, last_commit, store_empty, .. } => {
                let answer = (view.number, last_commit, store_empty);
                if self.votes(&from) {
                    self.cold.handle_answer(now, from.node().cloned(), answer);
                }
                self.learn(&view);
                self.notice_holder(now);
                // Stored with whatever comes next: a run that does not get there asks again.
                self.voter.forgetful &= !self.cold.all_told(self.voters() - 1);
            }
            ControlBody::Propose { base, view } => {
                if let VoterId::Run(proposer) = from {
                    self.on_propose(now, proposer, base, &view);
                }
            }
            ControlBody::Vote { number, proposer, verdict, highest } => {
                self.on_vote(&from, (number, proposer), verdict);
                if highest.number < self.view.number {
                    self.tell_view(to);
                }
                self.learn(&highest);
            }
        }
    }

    fn on_heartbeat(
        &mut self,
        now: Timestamp,
        from: VoterId,
        (sequence, echo): (u64, u64),
        (hears_seat, draining): (bool, bool),
    ) {
        let Some(peer) = from.node().and_then(|node| self.peers.get_mut(node)) else { return };
        if peer.detector.handle_heartbeat(now, sequence, echo) {
            peer.handle_seat_heard(now, hears_seat);
            peer.draining = draining;
        }
    }

    fn on_propose(&mut self, now: Timestamp, proposer: RunId, base: u64, view: &View) {
        let me = &self.config.me;
        let outsider = !self.view.contains(me) && !self.voter.highest.contains(me);
        let all_new = self.voter.highest.number == 0 && self.cold.all_new(now, self.voters() - 1);
        let circumstances = Circumstances {
            voters: self.voters(),
            cold_start: outsider && (all_new || self.cold.is_quiet(now)),
            planted: self.planted,
            burnt: self.asking.as_ref().filter(|a| a.burnt_until.is_some()).map(|a| a.view.number),
        };
        let proposal = Proposal { proposer: &proposer, base, view };
        let may_seat = self.config.balancers.may_seat(&self.voter.highest, view);
        let known = may_seat || *view == self.voter.highest;
        let answer = if known {
            self.voter.handle_proposal(proposal, circumstances)
        } else {
            Err(crate::Refusal::Malformed)
        };
        let verdict = match answer {
            Ok(crate::Grant::New) => {
                self.drop_outdated_proposal();
                self.store();
                Verdict::Granted
            }
            Ok(crate::Grant::Again) => Verdict::Granted,
            Err(refusal) => refusal.verdict(),
        };
        let to = Destination::Node(proposer.node.clone());
        let highest = self.voter.highest.clone();
        self.send_stored(to, ControlBody::Vote { number: view.number, proposer, verdict, highest });
    }

    fn on_link_up(&mut self, run: RunId) {
        let Some(peer) = self.peers.get_mut(&run.node) else { return };
        if self.joining.as_ref() == Some(&run) {
            self.joining = None;
        }
        peer.handle_link_up(run);
    }

    fn on_link_down(&mut self, run: RunId) {
        let Some(peer) = self.peers.get_mut(&run.node) else { return };
        if self.joiners.get(&run.node) == Some(&run) {
            self.joiners.remove(&run.node);
        }
        peer.handle_link_down(run);
    }

    fn on_joiner_ready(&mut self, run: RunId) {
        let is_new = self.view.owner(run.cohort()).is_none();
        if self.peers.contains_key(&run.node) && is_new {
            self.joiners.insert(run.node.clone(), run);
        }
    }

    fn on_persisted(&mut self, number: u64) {
        let Some(released) = self.persist.handle_persisted(number) else { return };
        if self.persist.stored().highest.number > self.view.number {
            self.adopt(self.persist.stored().highest.clone());
        }
        for (to, body) in released.messages {
            self.send(to, body);
        }
        if let Some((number, state)) = released.persist {
            self.outputs.push_back(MemberOutput::Persist { number, state });
        }
    }

    // What follows from the state, after every input.

    fn evaluate(&mut self, now: Timestamp) {
        if self.ended {
            return;
        }
        self.notice_holder(now);
        self.notice_seat(now);
        self.notice_balancers(now);
        self.notice_peers(now);
        self.notice_solitude(now);
        self.join(now);
        self.pursue(now);
        self.count_votes(now);
        if now >= self.heartbeat_at {
            self.heartbeat_at = now + Duration::from_millis(self.config.heartbeat_ms);
            self.send_heartbeats(now);
        }
        if now >= self.ask_view_at && !self.view.contains(&self.config.me) {
            self.ask_view_at = now + ASK_EVERY;
            self.send_to_all(&ControlBody::AskView);
        }
    }

    /// Chooses a living member to join, and keeps to it while it lives.
    fn join(&mut self, now: Timestamp) {
        if self.view.contains(&self.config.me) || self.draining {
            return;
        }
        let lives = |run: &&RunId| {
            let peer = self.peers.get(&run.node);
            peer.is_some_and(|p| p.run.as_ref() == Some(*run) && p.detector.is_alive(now))
        };
        let known = self.joining.as_ref().filter(|run| self.view.contains(run)).filter(lives);
        if known.is_some() {
            return;
        }
        self.joining = self.view.members.iter().find(lives).cloned();
        if let Some(member) = self.joining.clone() {
            self.outputs.push_back(MemberOutput::Join { member });
        }
    }

    fn adopt(&mut self, view: View) {
        let me = &self.config.me;
        // Whoever has a cohort was a member, if only in a view that it never heard of.
        let was_member = view.owner(me.cohort()).is_some();
        self.ended = was_member && !view.contains(me);
        self.joiners.retain(|_, run| view.owner(run.cohort()).is_none());
        self.view = view.clone();
        self.orders.clear();
        self.drop_outdated_proposal();
        for to in self.everyone() {
            self.tell_view(to);
        }
        self.outputs.push_back(match (self.ended, self.draining) {
            (false, _) => MemberOutput::Adopt(view),
            (true, false) => MemberOutput::VotedOut(view),
            (true, true) => MemberOutput::Notice(MemberNotice::Drained),
        });
    }

    /// Takes over a decided view as the highest; it is adopted once it is stored.
    fn learn(&mut self, view: &View) {
        let highest = &self.voter.highest;
        if view.number == highest.number && view != highest {
            self.notice_conflict(view.number);
        } else if self.voter.learn(view) {
            self.drop_outdated_proposal();
            self.store();
        }
    }

    fn drop_outdated_proposal(&mut self) {
        let highest = self.voter.highest.number;
        self.asking = self.asking.take().filter(|asking| asking.base == highest);
    }

    // Questions to the state.

    fn voters(&self) -> usize {
        let peers = self.config.peers.len();
        if peers == 0 { 1 } else { 1 + peers + usize::from(self.config.seat) }
    }

    fn everyone(&self) -> Vec<Destination> {
        let balancers = self.seats.names().filter(|_| self.config.seat);
        let balancers = balancers.cloned().map(Destination::of_balancer);
        balancers.chain(self.peers.keys().cloned().map(Destination::Node)).collect()
    }
}
