//! The balancer as a machine: which datagram goes where.
//!
//! | datagram                                      | goes to                                  |
//! |-----------------------------------------------|------------------------------------------|
//! | client, while another balancer holds the seat | nowhere                                  |
//! | client: what `protection.rs` refuses          | nowhere                                  |
//! | client: CRLF CRLF                             | the client: CRLF (RFC 5626 §4.4.1)       |
//! | client: other white space                     | nowhere, not counted                     |
//! | client: begins something while none serves    | the client: 503 (`unavailable.rs`)       |
//! | client: names a cohort that the view knows    | the cohort's owner                       |
//! | client: a response without such a cohort      | dropped                                  |
//! | client: REGISTER                              | the owner of the shared tables           |
//! | client: a Call-ID seen before (`affinity.rs`) | the owner of the cohort it began in      |
//! | client: any other request                     | a member, by the algorithm               |
//! | node: control                                 | the seat                                 |
//! | node: SIP with an older view                  | dropped; the node is told the view       |
//! | node: SIP from no member of the view          | dropped                                  |
//! | node: SIP, and another balancer has the seat  | dropped                                  |
//! | node: other SIP                               | the client it names                      |
//!
//! | input                                | output                                             |
//! |--------------------------------------|----------------------------------------------------|
//! | the seat adopts a view without a run | what that run's node got last, to the new owners   |
//! | a node's address refuses             | new calls avoid it until it is heard again         |
//! | persisted, timeout                   | to the seat                                        |
//! | its lease begins or ends             | be where clients are, or be there no more          |
//!
//! A refusal alone resends nothing: the dead node may have replicated the call just before, and
//! its backup must not take the same request for a new call in the few milliseconds before it
//! inherits that one. A node that is ahead of the seat is believed: whoever sends by a view has
//! stored it as decided, and the seat learns it from the next heartbeat.
//!
//! | file          | what                                                   |
//! |---------------|--------------------------------------------------------|
//! | this one      | the type; what comes from clients                      |
//! | `nodes.rs`    | what comes from nodes, and the seat                    |
//! | `pair.rs`     | whether it serves, if there is another balancer        |
//! | `fitness.rs`  | whether it could, or the other one should              |
//! | `standing.rs` | what each node is, and so who gets a new call          |
//! | `reporting.rs`| what it tells of itself, and a new configuration       |
//!
//! Not here: sockets, clocks, files, and anything about transactions or dialogs.

mod fitness;
mod nodes;
mod pair;
mod reporting;
mod standing;

use crate::affinity::Affinity;
use crate::boundary::{
    BalancerConfig, BalancerInput, BalancerNotice, BalancerOutput, DropReason, Server,
};
use crate::new_calls::{Candidate, NewCalls};
use crate::node_state::NodeState;
use crate::protection::{Protection, Source};
use crate::status::Reloads;
use crate::unavailable::{Answer, Unavailable};
use fitness::Fitness;
use pair::Address;
use resilee_membership::{
    Flow, Key, NodeName, Planted, SIP_BYTES_MAX, Seat, SeatConfig, SeatInput, SeatProcess, View,
    VoterState, seal_sip,
};
use resilee_sbb::{CohortId, Timestamp};
use resilee_sip_proto::message::is_keepalive;
use resilee_sip_proto::routing_key::{RoutingKey, scan};
use resilee_sip_tcp::{Drops, TcpDrop};
use standing::Standing;
use std::collections::VecDeque;
use std::time::Duration;

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
    protection: Protection,
    affinity: Affinity,
    /// What is known of each server.
    standings: Vec<Standing>,
    new_calls: NewCalls,
    /// Who may get the call that is given away just now; kept for its memory.
    candidates: Vec<Candidate>,
    unavailable: Unavailable,
    /// What the last notice said of that.
    noticed_hopeless: bool,
    /// It forwards, as the last output said.
    serves: bool,
    /// Of a pair: it is where clients are, or why not.
    address: Address,
    fitness: Fitness,
    /// The moment of the last input.
    now: Timestamp,
    started_at: Timestamp,
    reloads: Reloads,
    drops: Drops<DropReason>,
    /// What is known of the drops of TCP clients.
    tcp_drops: Drops<TcpDrop>,
    /// Those of before it came to where clients are.
    tcp_drops_before: Drops<TcpDrop>,
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
            name: config.pair.as_ref().map(|pair| pair.name.clone()),
            balancers: config.balancers(),
            heartbeat_ms: config.heartbeat_ms,
            missed: config.missed,
            cold_start_ms: COLD_START_MS,
        };
        let mut seat = Seat::new(now, seat, stored);
        let fitness = Fitness::new(now, config.pair.as_ref());
        seat.set_readiness(fitness.readiness());
        let affinity = Affinity::new(key.derive("balancer affinity"));
        let standing =
            |server: &Server| Standing::new(affinity.hash(server.name.as_str().as_bytes()));
        let mut balancer = Balancer {
            view: seat.view().clone(),
            seat,
            standings: config.servers.iter().map(standing).collect(),
            new_calls: NewCalls::default(),
            candidates: Vec::new(),
            unavailable: Unavailable::new(now, key.derive("balancer answers")),
            noticed_hopeless: false,
            serves: config.pair.is_none(),
            address: Address::Left,
            fitness,
            now,
            started_at: now,
            reloads: Reloads::default(),
            protection: Protection::new(
                key.derive("balancer protection"),
                config.protection.clone(),
            ),
            affinity,
            key,
            drops: Drops::default(),
            tcp_drops: Drops::default(),
            tcp_drops_before: Drops::default(),
            process: (SeatProcess::default(), false),
            outputs: VecDeque::new(),
            planted: Planted::NONE,
            config,
        };
        balancer.note_members();
        balancer
    }

    /// What the nodes are told of this process, for their pages.
    pub fn describe(&mut self, process: SeatProcess) {
        self.process = (process, true);
    }

    /// How often what was refused of TCP clients since it is where they are, for the same pages.
    pub fn note_tcp_drops(&mut self, drops: &Drops<TcpDrop>) {
        let mut all = self.tcp_drops_before.clone();
        all.add_all(drops);
        if self.tcp_drops != all {
            self.tcp_drops = all;
            self.process.1 = true;
        }
    }

    /// A message for a TCP client was dropped, and [`Self::note_tcp_drops`] will not tell of it.
    pub fn note_tcp_drop(&mut self, reason: TcpDrop) {
        self.tcp_drops_before.add(reason);
        self.tcp_drops.add(reason);
        self.process.1 = true;
    }

    /// The same as [`Self::note_tcp_drops`], and it is there no more: if it comes back, it begins
    /// to count anew.
    pub fn note_tcp_end(&mut self, drops: &Drops<TcpDrop>) {
        self.note_tcp_drops(drops);
        self.tcp_drops_before = self.tcp_drops.clone();
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
    /// If `input` names a server that is not configured, or a configuration that was read again
    /// changes what is read at the start only.
    pub fn handle_input(&mut self, now: Timestamp, input: BalancerInput<'_>) {
        self.notice_own_pause(now);
        match input {
            BalancerInput::FromClient { flow, bytes } => self.on_client(now, flow, bytes),
            BalancerInput::FromNode { server, bytes } => self.on_node(now, server, bytes),
            BalancerInput::Refused { server } => self.on_refused(now, server),
            BalancerInput::Persisted(number) => {
                self.fitness.handle_store(now, None);
                self.feed_seat(now, SeatInput::Persisted(number));
            }
            BalancerInput::NotPersisted(why) => self.fitness.handle_store(now, Some(why)),
            BalancerInput::StoreProven => self.fitness.handle_store(now, None),
            BalancerInput::AddressTaken => self.on_address(now, Address::Taken),
            BalancerInput::AddressRefused(why) => {
                self.on_address(now, Address::Refused(why.to_owned()));
            }
            BalancerInput::NoCarrier(why) => self.on_no_carrier(now, why),
            BalancerInput::StandbyChecked(why) => self.on_standby_checked(now, why),
            BalancerInput::Reloaded(config) => self.on_reloaded(config),
            BalancerInput::ReloadRefused(why) => self.on_reload_refused(why),
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
        self.seat.is_alive(&self.config.servers[server].name) && !self.standings[server].refused
    }

    /// It serves clients at this moment: it is alone, or holds the seat of a pair and a lease.
    pub fn may_forward(&self, now: Timestamp) -> bool {
        self.seat.may_forward(now)
    }

    /// What a server is to the balancer.
    ///
    /// # Panics
    /// If it is not configured.
    pub fn state(&self, server: usize) -> NodeState {
        self.standings[server].state
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
        if !self.seat.may_forward(now) {
            return self.drop(DropReason::Standby);
        }
        let source = self.protection.source(flow.remote.ip());
        if let Err(reason) = self.protection.admit(now, source, bytes) {
            return self.drop_of_client(now, &flow, source, reason);
        }
        if is_keepalive(bytes) {
            if bytes == b"\r\n\r\n" {
                let bytes = b"\r\n".to_vec();
                self.outputs.push_back(BalancerOutput::ToClient { flow, bytes });
            }
            return;
        }
        if self.unavailable.is_hopeless(now) && !self.is_known(bytes) {
            match self.unavailable.answer(now, flow, bytes) {
                Answer::Send(flow, bytes) => {
                    return self.outputs.push_back(BalancerOutput::ToClient { flow, bytes });
                }
                Answer::TooMany => return self.drop(DropReason::TooManyAnswers),
                Answer::Heard => return,
                Answer::AsEver => {}
            }
        }
        match self.route(now, source, bytes) {
            Route::Server(server) => self.forward(now, server, flow, bytes.to_vec()),
            Route::Drop(reason) => self.drop_of_client(now, &flow, source, reason),
        }
    }

    fn drop_of_client(&mut self, now: Timestamp, flow: &Flow, source: Source, reason: DropReason) {
        self.drop(reason);
        if let Some(count) = self.protection.handle_drop(now, source, reason) {
            self.notice(BalancerNotice::Banned { client: flow.remote.ip(), reason, count });
        }
    }

    /// It is of a call that a node was told of, and may have in its store.
    fn is_known(&self, bytes: &[u8]) -> bool {
        let call = scan(bytes).map(|key| self.affinity.hash(key.call_id));
        call.is_ok_and(|call| self.affinity.cohort(call).is_some())
    }

    fn forward(&mut self, now: Timestamp, server: usize, flow: Flow, bytes: Vec<u8>) {
        let sealed = seal_sip(&self.key, self.view.number, &flow, &bytes);
        self.standings[server].requests += u64::from(!bytes.starts_with(b"SIP/"));
        self.standings[server].recent.push(now, flow, bytes);
        self.outputs.push_back(BalancerOutput::ToNode { server, bytes: sealed });
    }

    fn route(&mut self, now: Timestamp, source: Source, bytes: &[u8]) -> Route {
        if bytes.len() > SIP_BYTES_MAX {
            return Route::Drop(DropReason::TooLong);
        }
        let key = match scan(bytes) {
            Ok(key) => key,
            Err(why) => return Route::Drop(why.into()),
        };
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
        let Some(server) = server else { return Route::Drop(DropReason::NoMember) };
        self.await_answer(now, server, (source, &key));
        Route::Server(server)
    }

    fn route_by_call(&mut self, key: &RoutingKey<'_>) -> Option<usize> {
        let call = self.affinity.hash(key.call_id);
        let known = self.affinity.cohort(call).and_then(|cohort| self.owner(cohort));
        if known.is_some() {
            return known;
        }
        let server = self.choose(call)?;
        let cohort = self.standings[server].cohort?;
        match key.method {
            Some("INVITE") => {
                self.affinity.remember_call(call, cohort);
                self.standings[server].handle_new_call();
            }
            // They follow something, and nothing follows them.
            Some("ACK" | "CANCEL") => {}
            _ => self.affinity.remember_other(call, cohort),
        }
        Some(server)
    }

    fn owner(&self, cohort: CohortId) -> Option<usize> {
        self.server(&self.view.owner(cohort)?.node)
    }

    fn server(&self, node: &NodeName) -> Option<usize> {
        self.config.servers.iter().position(|server| server.name == *node)
    }

    /// A longer gap between inputs is a time in which the balancer itself did not run.
    fn notice_own_pause(&mut self, now: Timestamp) {
        let pause = now.since(self.now);
        self.now = now;
        if pause > Duration::from_millis(2 * self.config.heartbeat_ms) {
            self.unavailable.handle_own_pause(pause);
            self.standings.iter_mut().for_each(|it| it.data_plane.forget_awaited());
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
