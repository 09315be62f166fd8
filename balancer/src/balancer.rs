//! The balancer as a machine: which datagram goes where.
//!
//! | datagram                                      | goes to                                  |
//! |-----------------------------------------------|------------------------------------------|
//! | client: CRLF CRLF                             | the client: CRLF (RFC 5626 §4.4.1)       |
//! | client: other white space                     | nowhere, not counted                     |
//! | client: names a cohort that the view knows    | the cohort's owner                       |
//! | client: a response without such a cohort      | dropped                                  |
//! | client: REGISTER                              | the owner of the shared tables           |
//! | client: a Call-ID seen before (`affinity.rs`) | the owner of the cohort it began in      |
//! | client: any other request                     | a member, by the algorithm               |
//! | node: control                                 | the seat                                 |
//! | node: SIP with an older view                  | dropped; the node is told the view       |
//! | node: SIP from no member of the view          | dropped                                  |
//! | node: other SIP                               | the client it names                      |
//!
//! | input                                | output                                             |
//! |--------------------------------------|----------------------------------------------------|
//! | the seat adopts a view without a run | what that run's node got last, to the new owners   |
//! | a node's address refuses             | new calls avoid it until it is heard again         |
//! | persisted, timeout                   | to the seat                                        |
//!
//! A refusal alone resends nothing: the dead node may have replicated the call just before, and
//! its backup must not take the same request for a new call in the few milliseconds before it
//! inherits that one. A node that is ahead of the seat is believed: whoever sends by a view has
//! stored it as decided, and the seat learns it from the next heartbeat.
//!
//! Not here: sockets, clocks, files, and anything about transactions or dialogs.

use crate::affinity::Affinity;
use crate::boundary::{
    Algorithm, BalancerConfig, BalancerInput, BalancerNotice, BalancerOutput, Removed,
};
use crate::drop_reason::DropReason;
use crate::recent::RecentDatagrams;
use resilee_membership::{
    Control, EnvelopeError, Flow, Key, NodeName, Packet, Planted, PlantedFault, SIP_BYTES_MAX,
    Seat, SeatConfig, SeatInput, SeatOutput, SeatProcess, View, VoterId, VoterState, open,
    seal_control, seal_sip,
};
use resilee_sbb::{CohortId, Timestamp};
use resilee_sip_proto::message::is_keepalive;
use resilee_sip_proto::routing_key::{RoutingKey, scan};
use resilee_sip_tcp::{Drops, TcpDrop};
use std::collections::VecDeque;

/// So long no member must have been heard before a node may start from cold.
const COLD_START_MS: u64 = 3_000;

/// Where a client's datagram should go.
enum Route {
    Server(usize),
    Drop(DropReason),
}

/// Forwards SIP between clients and nodes, and holds the seat; see the tables above.
#[derive(Debug)]
pub struct Balancer {
    config: BalancerConfig,
    key: Key,
    seat: Seat,
    /// The view by which datagrams are sent and taken; the seat's, once announced.
    view: View,
    affinity: Affinity,
    /// What each server got last.
    recent: Vec<RecentDatagrams>,
    /// Servers whose address refused and that were not heard since.
    refused: Vec<bool>,
    /// Counts the new calls, for the turns.
    turns: u64,
    drops: Drops<DropReason>,
    /// What is known of the drops of TCP clients.
    tcp_drops: Drops<TcpDrop>,
    /// What the nodes are told of this process, and whether the drops in it are behind.
    process: (SeatProcess, bool),
    outputs: VecDeque<BalancerOutput>,
    /// What is done wrong on purpose.
    planted: Planted,
}

impl Balancer {
    /// A balancer that starts at `now` with the state it stored last.
    pub fn new(
        now: Timestamp,
        config: BalancerConfig,
        key: Key,
        stored: Option<VoterState>,
    ) -> Self {
        let seat = SeatConfig {
            nodes: config.servers.iter().map(|server| server.name.clone()).collect(),
            heartbeat_ms: config.heartbeat_ms,
            missed: config.missed,
            cold_start_ms: COLD_START_MS,
        };
        let seat = Seat::new(now, seat, stored);
        Balancer {
            view: seat.view().clone(),
            seat,
            affinity: Affinity::new(key.derive("balancer affinity")),
            key,
            recent: config.servers.iter().map(|_| RecentDatagrams::default()).collect(),
            refused: vec![false; config.servers.len()],
            turns: 0,
            drops: Drops::default(),
            tcp_drops: Drops::default(),
            process: (SeatProcess::default(), false),
            outputs: VecDeque::new(),
            planted: Planted::NONE,
            config,
        }
    }

    /// What the nodes are told of this process, for their pages.
    pub fn describe(&mut self, process: SeatProcess) {
        self.process = (process, true);
    }

    /// How often what was refused of TCP clients until now, for the same pages.
    pub fn note_tcp_drops(&mut self, drops: &Drops<TcpDrop>) {
        if self.tcp_drops != *drops {
            self.tcp_drops = drops.clone();
            self.process.1 = true;
        }
    }

    /// Does something wrong on purpose from now on.
    #[cfg(feature = "planted-faults")]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
        self.seat.plant(planted);
    }

    /// Takes in what happened.
    ///
    /// # Panics
    /// If `input` names a server that is not configured.
    pub fn handle_input(&mut self, now: Timestamp, input: BalancerInput<'_>) {
        match input {
            BalancerInput::FromClient { flow, bytes } => self.on_client(now, flow, bytes),
            BalancerInput::FromNode { server, bytes } => self.on_node(now, server, bytes),
            BalancerInput::Refused { server } => self.on_refused(server),
            BalancerInput::Persisted(number) => self.feed_seat(now, SeatInput::Persisted(number)),
            BalancerInput::Timeout => {
                self.tell_of_process();
                self.feed_seat(now, SeatInput::Timeout);
            }
        }
    }

    /// The next thing to be done; call until none is left.
    pub fn poll_output(&mut self) -> Option<BalancerOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`BalancerInput::Timeout`].
    pub fn poll_timeout(&self) -> Timestamp {
        self.seat.poll_timeout()
    }

    /// The view that holds for this balancer.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The server is heard, hears the balancer, and its address does not refuse.
    pub fn is_alive(&self, server: usize) -> bool {
        self.seat.is_alive(&self.config.servers[server].name) && !self.refused[server]
    }

    /// When a server's heartbeat was heard last.
    pub fn heard_at(&self, server: usize) -> Option<Timestamp> {
        self.seat.heard_at(&self.config.servers[server].name)
    }

    /// How many datagrams went no further, and why.
    pub fn drops(&self) -> &Drops<DropReason> {
        &self.drops
    }

    // From clients.

    fn on_client(&mut self, now: Timestamp, flow: Flow, bytes: &[u8]) {
        if is_keepalive(bytes) {
            if bytes == b"\r\n\r\n" {
                let bytes = b"\r\n".to_vec();
                self.outputs.push_back(BalancerOutput::ToClient { flow, bytes });
            }
            return;
        }
        match self.route(bytes) {
            Route::Server(server) => self.forward(now, server, flow, bytes.to_vec()),
            Route::Drop(reason) => self.drop(reason),
        }
    }

    fn forward(&mut self, now: Timestamp, server: usize, flow: Flow, bytes: Vec<u8>) {
        let sealed = seal_sip(&self.key, self.view.number, &flow, &bytes);
        self.recent[server].push(now, flow, bytes);
        self.outputs.push_back(BalancerOutput::ToNode { server, bytes: sealed });
    }

    fn route(&mut self, bytes: &[u8]) -> Route {
        if bytes.len() > SIP_BYTES_MAX {
            return Route::Drop(DropReason::TooLong);
        }
        let Some(key) = scan(bytes) else { return Route::Drop(DropReason::NotSip) };
        if let Some(server) = key.cohort.and_then(|cohort| self.owner(CohortId(cohort))) {
            return Route::Server(server);
        }
        if !key.is_request {
            return Route::Drop(DropReason::StrayResponse);
        }
        let server = match key.method {
            Some("REGISTER") => self.owner(CohortId::TABLES),
            _ => self.route_by_call(&key),
        };
        server.map_or(Route::Drop(DropReason::NoMember), Route::Server)
    }

    fn route_by_call(&mut self, key: &RoutingKey<'_>) -> Option<usize> {
        let call = self.affinity.hash(key.call_id);
        let known = self.affinity.cohort(call).and_then(|cohort| self.owner(cohort));
        if known.is_some() {
            return known;
        }
        let server = self.choose(call)?;
        let run = self.view.member(&self.config.servers[server].name)?;
        self.affinity.remember(call, run.cohort());
        Some(server)
    }

    /// The member for a new call: the algorithm's choice among those that live and stay, else
    /// among those that live, else among all.
    fn choose(&mut self, call: u64) -> Option<usize> {
        let name = |server: &usize| &self.config.servers[*server].name;
        let members = (0..self.config.servers.len())
            .filter(|server| self.view.member(name(server)).is_some())
            .collect::<Vec<_>>();
        let living: Vec<usize> = members.iter().copied().filter(|s| self.is_alive(*s)).collect();
        let staying = living.iter().copied().filter(|s| !self.seat.is_draining(name(s))).collect();
        let fit = [staying, living, members].into_iter().find(|servers| !servers.is_empty())?;
        let count = u64::try_from(fit.len()).unwrap_or(u64::MAX);
        let position = match self.config.algorithm {
            Algorithm::FirstAlive => 0,
            Algorithm::CallId => call % count,
            Algorithm::RoundRobin => {
                self.turns += 1;
                (self.turns - 1) % count
            }
        };
        fit.get(usize::try_from(position).unwrap_or(0)).copied()
    }

    fn owner(&self, cohort: CohortId) -> Option<usize> {
        self.server(&self.view.owner(cohort)?.node)
    }

    fn server(&self, node: &NodeName) -> Option<usize> {
        self.config.servers.iter().position(|server| server.name == *node)
    }

    // From nodes.

    fn on_node(&mut self, now: Timestamp, server: usize, bytes: &[u8]) {
        let key = self.key.clone();
        match open(&key, bytes) {
            Ok(Packet::Control(control)) => self.on_control(now, server, control),
            Ok(Packet::Sip { view, flow, bytes }) => {
                self.on_sip(now, server, (view, flow, bytes));
            }
            Err(EnvelopeError::WrongMac) => self.drop(DropReason::WrongKey),
            Err(_) => self.drop(DropReason::NoEnvelope),
        }
    }

    fn on_control(&mut self, now: Timestamp, server: usize, control: Control) {
        let name = &self.config.servers[server].name;
        if !matches!(&control.from, VoterId::Run(run) if run.node == *name) {
            self.drop(DropReason::WrongSender);
            return;
        }
        self.refused[server] = false;
        self.recent[server].handle_heard(now);
        self.feed_seat(now, SeatInput::Control(control));
    }

    fn on_sip(&mut self, now: Timestamp, server: usize, (view, flow, bytes): (u64, Flow, &[u8])) {
        let name = self.config.servers[server].name.clone();
        if view < self.view.number && !self.planted.is(PlantedFault::TakeOldView) {
            self.drop(DropReason::OldView);
            self.seat.tell_view(name);
            self.drain_seat(now);
        } else if view == self.view.number && self.view.member(&name).is_none() {
            self.drop(DropReason::NotMember);
        } else {
            let bytes = bytes.to_vec();
            self.outputs.push_back(BalancerOutput::ToClient { flow, bytes });
        }
    }

    fn on_refused(&mut self, server: usize) {
        if !std::mem::replace(&mut self.refused[server], true) {
            let node = self.config.servers[server].name.clone();
            self.notice(BalancerNotice::Refused { node });
        }
    }

    // The seat.

    fn feed_seat(&mut self, now: Timestamp, input: SeatInput) {
        self.seat.handle_input(now, input);
        self.drain_seat(now);
    }

    fn drain_seat(&mut self, now: Timestamp) {
        while let Some(output) = self.seat.poll_output() {
            match output {
                SeatOutput::Send { to, control } => {
                    let Some(server) = self.server(&to) else { continue };
                    let bytes = seal_control(&self.key, &control);
                    self.outputs.push_back(BalancerOutput::ToNode { server, bytes });
                }
                SeatOutput::Persist { number, state } => {
                    self.outputs.push_back(BalancerOutput::Persist { number, state });
                }
                SeatOutput::Adopt(view) => self.on_view(now, view),
                SeatOutput::Notice(notice) => self.notice(BalancerNotice::Seat(notice)),
            }
        }
    }

    fn on_view(&mut self, now: Timestamp, view: View) {
        let before = std::mem::replace(&mut self.view, view);
        let gone = before.members.into_iter().filter(|run| !self.view.contains(run));
        let mut removed = Vec::new();
        let mut unread = Vec::new();
        for run in gone {
            let silent_for = self.seat.heard_at(&run.node).map(|at| now.since(at));
            if let Some(server) = self.server(&run.node) {
                unread.extend(self.recent[server].take());
            }
            removed.push(Removed { run, silent_for });
        }
        let mut resent = 0;
        for datagram in unread {
            if let Route::Server(heir) = self.route(&datagram.bytes) {
                self.forward(now, heir, datagram.flow, datagram.bytes);
                resent += 1;
            }
        }
        self.notice(BalancerNotice::View { view: self.view.clone(), removed, resent });
    }

    /// With the next heartbeat; a flood of what is dropped makes no more work than that.
    fn tell_of_process(&mut self) {
        let (process, is_behind) = &mut self.process;
        if std::mem::take(is_behind) {
            let datagrams = self.drops.iter().map(|(reason, count)| (reason.to_string(), count));
            let of_tcp = self.tcp_drops.iter().map(|(reason, count)| (reason.to_string(), count));
            process.dropped = datagrams.chain(of_tcp).collect();
            self.seat.describe(process.clone());
        }
    }

    fn drop(&mut self, reason: DropReason) {
        self.process.1 = true;
        if let Some(count) = self.drops.add(reason) {
            self.notice(BalancerNotice::Dropped { reason, count });
        }
    }

    fn notice(&mut self, notice: BalancerNotice) {
        self.outputs.push_back(BalancerOutput::Notice(notice));
    }
}
