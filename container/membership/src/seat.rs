//! The seat: the balancer's part in the view protocol. It votes and remembers; it proposes nothing
//! and is never a member.
//!
//! | input                                    | output                                      |
//! |------------------------------------------|---------------------------------------------|
//! | Propose                                  | the rule of `voter.rs`; store; Vote         |
//! | Propose, and another holds the seat      | Vote: not now                               |
//! | TellView with a higher view              | store it                                    |
//! | a message with a higher number           | AskView to its sender                       |
//! | AskView; a heartbeat with a lower number | TellView to its sender                      |
//! | a higher view is stored                  | Adopt; TellView to all                      |
//! | every heartbeat interval                 | Heartbeat to all                            |
//! | a node is lost or back                   | a notice; the vote does not depend on it    |
//!
//! It grants a cold start when it has heard no member for `cold_start_ms` since its own start,
//! or when it stores no view and all nodes say the same.
//!
//! Not here: sockets, the state file, what the balancer does with SIP, and when a seat votes that
//! has no state file (`seat/lost_memory.rs`).

mod lease;
mod lost_memory;
mod readiness;

use crate::control::{Control, ControlBody, SeatProcess, Verdict, VoterId};
use crate::persist_queue::PersistQueue;
use crate::planted::Planted;
use crate::voter::{Circumstances, Grant, Proposal, Refusal, VoterState};
use crate::{Balancers, FailureDetector, Loss, NodeName, RunId, View};
use lease::Lease;
pub use readiness::Readiness;
use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// What a seat is told at its start.
#[derive(Clone, Debug)]
pub struct SeatConfig {
    /// The nodes that vote with it.
    pub nodes: Vec<NodeName>,
    /// Its name, if it is one of several balancers of which one holds the seat.
    pub name: Option<NodeName>,
    /// The names of all of them; none if it has no name.
    pub balancers: Balancers,
    /// Time between two heartbeats.
    pub heartbeat_ms: u64,
    /// So many heartbeats missed in a row are a loss.
    pub missed: u32,
    /// So long no member must have been heard before a node may start from cold.
    pub cold_start_ms: u64,
}

/// Everything that can happen to a seat.
#[derive(Clone, Debug)]
pub enum SeatInput {
    /// An authentic control message arrived.
    Control(Control),
    /// The state of that number is stored.
    Persisted(u64),
    /// The moment of [`Seat::poll_timeout`] has come.
    Timeout,
}

/// Everything that a seat wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatOutput {
    /// Send this control message.
    Send {
        /// To whom.
        to: NodeName,
        /// What.
        control: Control,
    },
    /// Store this state whole, then answer [`SeatInput::Persisted`] with its number.
    Persist {
        /// Counts the states to store.
        number: u64,
        /// What to store.
        state: VoterState,
    },
    /// This view holds from now on.
    Adopt(View),
    /// For logs.
    Notice(SeatNotice),
}

/// What a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatNotice {
    /// A node is not heard any more, or does not hear the seat.
    NodeLost {
        /// The node.
        node: NodeName,
        /// Why it counts as lost.
        why: Loss,
        /// Time since it was heard last; none if it never was.
        silent_for: Option<Duration>,
    },
    /// A node is heard and hears the seat, for the first time or again.
    NodeBack {
        /// The run that is heard.
        run: RunId,
    },
    /// Two different views have the same number: some voter lost its memory.
    Conflict {
        /// The number.
        number: u64,
    },
    /// This voter has lost its memory, and refuses until these nodes have told what they know.
    Forgetful {
        /// Nodes that have not.
        untold: Vec<NodeName>,
    },
}

impl fmt::Display for SeatNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeatNotice::NodeLost { node, why, silent_for: Some(time) } => {
                write!(f, "{node} is lost: {why} (last heard {} ms ago)", time.as_millis())
            }
            SeatNotice::NodeLost { node, why, silent_for: None } => {
                write!(f, "{node} is lost: {why} (never heard)")
            }
            SeatNotice::NodeBack { run } => write!(f, "{run} is heard"),
            SeatNotice::Forgetful { untold } => {
                let names: Vec<_> = untold.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "a vote is refused: there was no state file, so earlier votes are not known \
                     before {} is heard; if it is dead for good, `resilee ctl cluster force` \
                     starts the other one",
                    names.join(", ")
                )
            }
            SeatNotice::Conflict { number } => {
                write!(f, "two different views have the number {number}: a voter lost its memory")
            }
        }
    }
}

/// One node, as the seat sees it.
#[derive(Debug)]
struct Node {
    detector: FailureDetector,
    /// The latest run heard.
    run: Option<RunId>,
    /// The view number it said last.
    number: Option<u64>,
    /// It has told its highest view to this process of the balancer, which knows that or a higher.
    told: bool,
    /// It said that it is about to leave.
    draining: bool,
    /// What the last notice said.
    noticed_alive: bool,
    /// What it confirmed.
    lease: Lease,
}

/// The balancer's vote; see the table above.
#[derive(Debug)]
pub struct Seat {
    config: SeatConfig,
    /// The moment of the last input.
    now: Timestamp,
    started_at: Timestamp,
    /// When a member of the highest view was heard last.
    member_heard_at: Option<Timestamp>,
    /// The highest view that is stored.
    view: View,
    /// What the voter remembers, stored or about to be.
    voter: VoterState,
    persist: PersistQueue<(NodeName, ControlBody)>,
    nodes: BTreeMap<NodeName, Node>,
    heartbeat_at: Timestamp,
    /// What heartbeats say of the process, and since when it runs.
    process: (SeatProcess, Timestamp),
    readiness: Readiness,
    noticed_conflict: u64,
    noticed_forgetful: bool,
    outputs: VecDeque<SeatOutput>,
    planted: Planted,
}

impl Seat {
    /// A seat that starts at `now` with the state it stored last.
    pub fn new(now: Timestamp, config: SeatConfig, stored: Option<VoterState>) -> Self {
        let voter = stored.unwrap_or_else(VoterState::forgetful);
        let node = |name: &NodeName| {
            let detector = FailureDetector::new(now, config.heartbeat_ms, config.missed);
            (
                name.clone(),
                Node {
                    detector,
                    run: None,
                    number: None,
                    told: false,
                    draining: false,
                    noticed_alive: false,
                    lease: Lease::default(),
                },
            )
        };
        Seat {
            now,
            started_at: now,
            member_heard_at: None,
            view: voter.highest.clone(),
            persist: PersistQueue::new(voter.clone()),
            voter,
            nodes: config.nodes.iter().map(node).collect(),
            heartbeat_at: now,
            process: (SeatProcess::default(), now),
            readiness: Readiness::Ready,
            noticed_conflict: 0,
            noticed_forgetful: false,
            outputs: VecDeque::new(),
            planted: Planted::NONE,
            config,
        }
    }

    /// Does something wrong on purpose from now on.
    #[cfg(feature = "planted-faults")]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Timestamp, input: SeatInput) {
        self.notice_own_pause(now);
        self.now = now;
        match input {
            SeatInput::Control(control) => self.on_control(now, control),
            SeatInput::Persisted(number) => self.on_persisted(number),
            SeatInput::Timeout => {}
        }
        self.notice_nodes(now);
        if now >= self.heartbeat_at {
            self.heartbeat_at = now + Duration::from_millis(self.config.heartbeat_ms);
            self.send_heartbeats(now);
        }
    }

    /// The next thing to be done; call until none is left.
    pub fn poll_output(&mut self) -> Option<SeatOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`SeatInput::Timeout`].
    pub fn poll_timeout(&self) -> Timestamp {
        self.heartbeat_at
    }

    /// The highest view that is stored.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The node is heard and hears the seat.
    pub fn is_alive(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|node| node.detector.is_alive(self.now))
    }

    /// The node is about to leave and wants no new calls.
    pub fn is_draining(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|node| node.draining)
    }

    /// When a heartbeat of the node was heard last.
    pub fn heard_at(&self, node: &NodeName) -> Option<Timestamp> {
        self.nodes.get(node).and_then(|node| node.detector.heard_at())
    }

    /// Beats so often from now on, and misses others after so many of theirs.
    pub fn set_heartbeat(&mut self, heartbeat_ms: u64, missed: u32) {
        (self.config.heartbeat_ms, self.config.missed) = (heartbeat_ms, missed);
        for node in self.nodes.values_mut() {
            node.detector.set_window(heartbeat_ms, missed);
        }
        self.heartbeat_at = self.heartbeat_at.min(self.now + Duration::from_millis(heartbeat_ms));
    }

    /// What heartbeats say of this process from now on; how long it runs is put in.
    pub fn describe(&mut self, process: SeatProcess) {
        self.process.0 = process;
    }

    /// Tells a node the view, because it sent something with another number.
    ///
    /// Nothing is told while a later one is granted and not yet stored: who lost its memory would
    /// take it for all that there is. All are told once it is.
    pub fn tell_view(&mut self, to: NodeName) {
        let view = self.persist.stored().highest.clone();
        if view.number < self.voter.highest.number {
            return;
        }
        let store_empty = view.number == 0;
        self.send(to, ControlBody::TellView { view, member: false, last_commit: 0, store_empty });
    }

    fn on_control(&mut self, now: Timestamp, control: Control) {
        let Control { view: number, from: VoterId::Run(run), body } = control else { return };
        let Some(node) = self.nodes.get_mut(&run.node) else { return };
        match &node.run {
            Some(known) if known.incarnation > run.incarnation => return,
            Some(known) if *known == run => {}
            _ => {
                node.run = Some(run.clone());
                node.detector.handle_new_run(now);
                node.noticed_alive = false;
            }
        }
        node.number = Some(number);
        if self.voter.highest.contains(&run) {
            self.member_heard_at = Some(now);
        }
        if let ControlBody::Heartbeat { sequence, echo, draining, confirms, .. } = body
            && node.detector.handle_heartbeat(now, sequence, echo)
        {
            if confirms {
                node.lease.handle_confirmed(echo);
            }
            node.draining = draining;
            // An echo proves that it has heard this process, and what an earlier one said before.
            // What it knows and has not stored yet, it has not told.
            if node.detector.echoed_at().is_some() {
                node.told = number <= self.view.number;
            }
        }
        let tells = matches!(body, ControlBody::TellView { .. } | ControlBody::Vote { .. });
        if number > self.voter.highest.number && !tells {
            self.send(run.node.clone(), ControlBody::AskView);
        }
        match body {
            ControlBody::Heartbeat { .. } if number < self.view.number => self.tell_view(run.node),
            ControlBody::Heartbeat { .. } => {}
            ControlBody::AskView => self.tell_view(run.node),
            ControlBody::TellView { view, .. } => self.learn(&view),
            ControlBody::Vote { highest, .. } => self.learn(&highest),
            ControlBody::Propose { base, view } => self.on_propose(now, run, base, &view),
        }
    }

    fn on_propose(&mut self, now: Timestamp, proposer: RunId, base: u64, view: &View) {
        let circumstances = Circumstances {
            voters: self.nodes.len() + 1,
            cold_start: self.is_quiet(now) || self.all_new(),
            burnt: None,
            planted: self.planted,
        };
        let proposal = Proposal { proposer: &proposer, base, view };
        let forgetful = self.voter.forgetful && !self.all_told(now);
        self.voter.forgetful = forgetful && !self.cannot_contradict(proposal);
        let answer = if self.may_answer(view) {
            self.voter.handle_proposal(proposal, circumstances)
        } else {
            Err(Refusal::Standby)
        };
        let verdict = match answer {
            Ok(Grant::New) => {
                self.store();
                Verdict::Granted
            }
            Ok(Grant::Again) => Verdict::Granted,
            Err(refusal) => {
                self.voter.forgetful = forgetful;
                self.notice_refusal(refusal);
                refusal.verdict()
            }
        };
        let to = proposer.node.clone();
        let highest = self.voter.highest.clone();
        let body = ControlBody::Vote { number: view.number, proposer, verdict, highest };
        if let Some((to, body)) = self.persist.handle_message((to, body)) {
            self.send(to, body);
        }
    }

    /// It holds the seat, so its vote counts; what it granted as the holder, it still grants.
    fn may_answer(&self, view: &View) -> bool {
        let VoterState { highest, .. } = &self.voter;
        let balancers = &self.config.balancers;
        let holds = balancers.holder(highest) == self.config.name.as_ref();
        *view == *highest || (holds && balancers.may_seat(highest, view))
    }

    fn on_persisted(&mut self, number: u64) {
        let Some(released) = self.persist.handle_persisted(number) else { return };
        for (to, body) in released.messages {
            self.send(to, body);
        }
        if let Some((number, state)) = released.persist {
            self.outputs.push_back(SeatOutput::Persist { number, state });
        }
        if self.persist.stored().highest.number > self.view.number {
            self.view = self.persist.stored().highest.clone();
            self.outputs.push_back(SeatOutput::Adopt(self.view.clone()));
            for to in self.config.nodes.clone() {
                self.tell_view(to);
            }
        }
    }

    fn learn(&mut self, view: &View) {
        let highest = &self.voter.highest;
        if view.number == highest.number && view != highest {
            if self.noticed_conflict < view.number {
                self.noticed_conflict = view.number;
                let notice = SeatNotice::Conflict { number: view.number };
                self.outputs.push_back(SeatOutput::Notice(notice));
            }
        } else if self.voter.learn(view) {
            self.store();
        }
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        let since = self.member_heard_at.unwrap_or(self.started_at).max(self.started_at);
        now.since(since) >= Duration::from_millis(self.config.cold_start_ms)
    }

    /// Neither this voter nor any other knows a view (see `member/cold_start.rs`).
    fn all_new(&self) -> bool {
        self.voter.highest.number == 0 && self.nodes.values().all(|node| node.number == Some(0))
    }

    /// A longer gap between inputs is a time in which the balancer itself did not run.
    fn notice_own_pause(&mut self, now: Timestamp) {
        let pause = now.since(self.now);
        if pause > Duration::from_millis(2 * self.config.heartbeat_ms) {
            self.nodes.values_mut().for_each(|node| node.detector.handle_own_pause(pause));
            self.started_at = self.started_at + pause;
            self.member_heard_at = self.member_heard_at.map(|at| at + pause);
        }
    }

    fn notice_nodes(&mut self, now: Timestamp) {
        for (name, node) in &mut self.nodes {
            let alive = node.detector.is_alive(now);
            if alive == node.noticed_alive {
                continue;
            }
            let notice = match (alive, node.detector.loss(now), &node.run) {
                (true, _, Some(run)) => SeatNotice::NodeBack { run: run.clone() },
                (false, Some(why), _) => {
                    let silent_for = node.detector.heard_at().map(|at| now.since(at));
                    SeatNotice::NodeLost { node: name.clone(), why, silent_for }
                }
                _ => continue,
            };
            node.noticed_alive = alive;
            self.outputs.push_back(SeatOutput::Notice(notice));
        }
    }

    fn send_heartbeats(&mut self, now: Timestamp) {
        let (process, since) = self.process.clone();
        let up_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        for to in self.config.nodes.clone() {
            let Some(node) = self.nodes.get_mut(&to) else { continue };
            let sequence = node.detector.next_sequence();
            node.lease.handle_sent(now, sequence);
            let body = ControlBody::Heartbeat {
                sequence,
                echo: node.detector.heard_sequence(),
                hears_seat: true,
                sent_at: now,
                draining: false,
                ready: self.readiness == Readiness::Ready,
                rests: self.readiness == Readiness::Rests,
                seat: Some(SeatProcess { up_ms, ..process.clone() }),
                confirms: false,
            };
            self.send(to, body);
        }
    }

    fn send(&mut self, to: NodeName, body: ControlBody) {
        let view = self.persist.stored().highest.number;
        let from = self.config.name.clone().map_or(VoterId::Seat, VoterId::Balancer);
        let control = Control { view, from, body };
        self.outputs.push_back(SeatOutput::Send { to, control });
    }

    fn store(&mut self) {
        if let Some((number, state)) = self.persist.handle_state(&self.voter) {
            self.outputs.push_back(SeatOutput::Persist { number, state });
        }
    }
}
