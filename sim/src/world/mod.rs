//! The simulated world: everything that happens, one step at a time, in virtual time.
//!
//! | what moves            | how                                                                |
//! |-----------------------|--------------------------------------------------------------------|
//! | datagrams             | the test kit's network: loss, duplication, reordering, delay       |
//! | frames between nodes  | in order while both live; what is on its way to a dead node is lost |
//! | handlers              | answer after a while; a death in between loses the answer          |
//! | disks                 | flush after a while; a death in between loses the writes           |
//! | a send to a dead port | the balancer's socket says so (ECONNREFUSED)                       |
//!
//! What is done in it, and what is checked, is in `story.rs` and `checks.rs`.

mod action;
mod address;
mod bad_luck;
mod balancer;
mod faults;
mod flows;
mod hangs;
mod links;
mod old_store;
mod orders;
mod outputs;
mod phones;
mod streams;
mod watching;

use crate::checks::{Lateness, Orders, OutputCommit, Router, Violation};
use crate::local_clock::LocalClock;
use crate::node::{CALLS, Cluster, Node};
use crate::orders::Order;
use crate::plan::{Ending, Plan, Process};
use crate::trace::{Trace, describe};
use action::Action;
use balancer::BalancerHost;
use hangs::Hanging;
pub use old_store::OldStore;
use phones::phone;
use resilee_balancer::{Algorithm, BalancerInput};
use resilee_core::{Input, Peer};
use resilee_membership::{Key, View};
use resilee_sbb::Timestamp;
use resilee_sip_tcp::TcpInput;
use resilee_test_kit::flows::Policy;
use resilee_test_kit::sipp::{SippInput, SippParty};
use resilee_test_kit::{Network, Packet, Phone, PhoneCommand, PhoneEvent, PhoneInput, Random};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
pub use streams::STREAM_US_MAX;
use streams::Streams;

/// When the simulated world begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// From a flush to the process that hears of it, in microseconds.
const TELL_US: u64 = 20;

/// Two nodes, a balancer or two, phones, and all between them.
pub struct World {
    pub now: Timestamp,
    pub steps: u64,
    pub trace: Trace,
    pub nodes: [Node; 2],
    pub phones: Vec<Phone>,
    /// Those who play a call flow.
    pub parties: Vec<SippParty>,
    /// When each phone wants to be woken.
    phones_due: Vec<Option<Timestamp>>,
    /// Those that hear nothing.
    switched_off: BTreeSet<usize>,
    /// What phones said since it was last read.
    pub events: Vec<(usize, PhoneEvent)>,
    /// Watches what leaves the nodes.
    pub watch: OutputCommit,
    /// Watches who gets which event.
    pub router: Router,
    /// What an operator was told.
    pub orders: Orders,
    /// The rule that was broken first.
    pub violation: Option<Violation>,
    /// How late bills may be.
    pub lateness: Lateness,
    /// No datagram is lost, or overtakes another.
    pub in_order: bool,
    /// True once both nodes died.
    pub power_cut: bool,
    /// The node with the older store went on alone.
    pub old_store: Option<OldStore>,
    /// Handlers that each node had run so far.
    pub deliveries: [u64; 2],
    /// Voter states that were stored so far.
    pub votes: u64,
    /// The last batch of each node with one.
    voted: [u64; 2],
    cluster: Cluster,
    balancers: Vec<BalancerHost>,
    /// The balancer whose host has the phones' address, as the network knows it.
    at: Option<usize>,
    /// The connections of phones over TCP.
    streams: Streams,
    network: Network,
    random: Random,
    actions: BTreeMap<(Timestamp, u64), Action>,
    next_action: u64,
    /// When the last frame of each direction arrives: they keep their order.
    last_frame: [Timestamp; 2],
    linked: bool,
    /// Counts the connections between the nodes: what is on its way on one that broke is lost.
    connection: u64,
    /// What the link holds back while nothing gets through, by receiver.
    held_back: [Option<Vec<Action>>; 2],
    flush_us_max: u64,
    algorithm: Algorithm,
    /// Datagrams that the balancer sent to phones.
    forwarded: u64,
    /// A message that the node which got it must send on to the other.
    to_relay: Option<Vec<u8>>,
    /// Until then all deliveries to call billing roll back.
    pub(super) billing_fails_until: Timestamp,
    /// Handlers that do not return.
    hanging: Hanging,
}

fn address(a: u8, b: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, a, b)), port)
}

fn balancer_address() -> SocketAddr {
    address(1, 1, 5060)
}

fn balancer_socket(balancer: usize, server: usize) -> SocketAddr {
    address(1, 1 + balancer as u8, 6001 + server as u16)
}

/// Which balancer's socket it is, and for which node.
fn socket_of(socket: SocketAddr) -> Option<(usize, usize)> {
    let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
    all.into_iter().find(|(balancer, server)| balancer_socket(*balancer, *server) == socket)
}

impl World {
    /// A world in which nothing runs yet but the phones.
    pub fn new(plan: &Plan, verbose: bool) -> Self {
        let flow = plan.flow.map(flows::find);
        let pairs = (0..plan.pairs * 2).map(|number| format!("user{number}"));
        let users: Vec<_> = flow.map_or_else(|| pairs.collect(), |flow| flow.users().to_vec());
        let with_phones = flow.map_or_else(|| users.clone(), flows::registered);
        let node = |index: u8| {
            let name = format!("server{}", index + 1);
            let (sip, cluster) = (address(2, index + 1, 5080), address(2, index + 1, 7000));
            Node::new(&name, sip, cluster, LocalClock::of(plan.seed, index.into()))
        };
        let phones = with_phones.iter().enumerate();
        let phones = phones.map(|(i, user)| Phone::new(phone(plan, i, user), START));
        let phones: Vec<_> = phones.collect();
        let phones_count = phones.len();
        World {
            now: START,
            steps: 0,
            trace: Trace::new(START, verbose),
            nodes: [node(0), node(1)],
            phones_due: phones.iter().map(Phone::poll_timeout).collect(),
            phones,
            switched_off: BTreeSet::new(),
            parties: Vec::new(),
            events: Vec::new(),
            watch: OutputCommit::default(),
            router: Router::default(),
            orders: Orders::default(),
            violation: None,
            lateness: Lateness::new(&plan.network, plan.is_over_tcp(None)),
            in_order: plan.network.loss_permille == 0 && plan.network.reorder_permille == 0,
            power_cut: false,
            old_store: None,
            deliveries: [0; 2],
            votes: 0,
            voted: [0; 2],
            cluster: Cluster {
                patience: plan.wakes().map(|waking| waking.patience(plan)),
                host_talk_ms: (plan.ending == Ending::Service).then_some(plan.talk_ms),
                key: Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough"),
                seed: plan.seed,
                advertise: balancer_address(),
                balancers: balancer::balancers(plan.two_balancers),
                users,
                calls: flow.map_or(CALLS, |_| flows::CALLS),
                open_calls: flow.is_some_and(|flow| flow.policy == Policy::Open),
                limits: hangs::limits(plan),
                has_bell: !plan.orders().is_empty(),
                planted: plan.planted,
            },
            balancers: BalancerHost::all(plan.two_balancers),
            at: (!plan.two_balancers).then_some(0),
            streams: Streams::new(phones_count),
            network: Network::new(plan.network.clone(), plan.seed),
            random: Random::of(plan.seed, "world"),
            actions: BTreeMap::new(),
            next_action: 0,
            last_frame: [START; 2],
            linked: false,
            connection: 0,
            held_back: [None, None],
            flush_us_max: plan.flush_us_max,
            algorithm: plan.algorithm,
            forwarded: 0,
            to_relay: None,
            billing_fails_until: START,
            hanging: Hanging::new(plan),
        }
    }

    /// True if both nodes, as they run now, are the members of one view.
    pub fn is_pair(&self) -> bool {
        fn view(node: &Node) -> Option<&View> {
            let (core, run) = (node.core.as_ref()?, node.run.as_ref()?);
            Some(core.view()).filter(|view| view.members.len() == 2 && view.contains(run))
        }
        let [a, b] = &self.nodes;
        view(a).is_some_and(|first| view(b) == Some(first))
    }

    /// True if a living node is about to become a member.
    pub fn is_joining(&self) -> bool {
        let joins = |node: &Node| {
            let core = node.core.as_ref().zip(node.run.as_ref());
            core.is_some_and(|(core, run)| !core.view().contains(run))
        };
        self.linked && self.nodes.iter().any(joins)
    }

    /// Starts a process, now or later.
    pub fn start_after(&mut self, process: Process, delay_ms: u64) {
        self.schedule(delay_ms * 1000, Action::Start(process));
    }

    /// An operator orders something, at its time from now on.
    pub fn order_after(&mut self, order: Order) {
        self.schedule(order.at_ms * 1000, Action::Order(order));
    }

    /// A user does something, now or later.
    pub fn command_after(&mut self, phone: usize, delay_ms: u64, command: PhoneCommand) {
        self.schedule(delay_ms * 1000, Action::Command { phone, command });
    }

    fn schedule(&mut self, delay_us: u64, action: Action) {
        let at = self.now + Duration::from_micros(delay_us);
        self.actions.insert((at, self.next_action), action);
        self.next_action += 1;
    }

    /// Lets the next thing happen; false if nothing ever will.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        let action = self.actions.first_key_value().map(|(key, _)| key.0);
        let packet = self.network.poll_timeout();
        let machine = self.machine_timeout();
        let Some(next) = [action, packet, machine].into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        if action == Some(next) {
            if let Some((_, action)) = self.actions.pop_first() {
                self.act(action);
            }
        } else if packet == Some(next) {
            if let Some(packet) = self.network.poll_packet(self.now) {
                self.arrive(packet);
            }
        } else {
            self.time_out();
        }
        true
    }

    fn machine_timeout(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().filter_map(Node::timeout);
        let balancers = (0..self.balancers.len()).filter_map(|it| self.balancer_timeout(it));
        let phones = self.phones_due.iter().copied().flatten();
        let parties = self.parties.iter().filter_map(SippParty::poll_timeout);
        nodes.chain(balancers).chain(phones).chain(parties).min()
    }

    fn time_out(&mut self) {
        for node in 0..2 {
            if self.nodes[node].timeout().is_some_and(|at| at <= self.now) {
                self.feed(node, Input::Timeout);
            }
        }
        for balancer in 0..self.balancers.len() {
            if self.balancer_timeout(balancer).is_some_and(|at| at <= self.now) {
                self.feed_balancer(balancer, BalancerInput::Timeout);
                self.feed_streams(TcpInput::Timeout);
            }
        }
        for phone in 0..self.phones.len() {
            if self.phones_due[phone].is_some_and(|at| at <= self.now) {
                self.feed_phone(phone, PhoneInput::Timeout);
            }
        }
        for party in 0..self.parties.len() {
            if self.parties[party].poll_timeout().is_some_and(|at| at <= self.now) {
                self.feed_party(party, SippInput::Timeout);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrived { balancer, .. }
            | Action::Refused { balancer, .. }
            | Action::SeatTold { balancer, .. }
                if self.balancers[balancer].paused.is_some() =>
            {
                self.balancers[balancer].paused.get_or_insert_default().push(action);
            }
            Action::Stream { to_phone: false, .. } if self.balancers[0].paused.is_some() => {
                self.balancers[0].paused.get_or_insert_default().push(action);
            }
            Action::Arrived { balancer, packet } => self.arrive_at_balancer(balancer, packet),
            Action::Stream { life, .. } if life != self.balancers[0].life => {}
            Action::Stream { phone, to_phone: true, bytes, .. } => {
                let source = balancer_address();
                self.feed_phone(phone, PhoneInput::Datagram { source, bytes });
            }
            Action::Stream { phone, bytes, .. } => self.arrive_in_stream(phone, &bytes),
            Action::Outcome { node, life, delivery, outcome } => {
                self.feed_life(node, life, Input::Outcome { delivery, outcome });
            }
            Action::Returned { node, life } => self.return_late(node, life),
            Action::Flushed { node, life, number } => {
                if self.nodes[node].life == life && !self.nodes[node].disk.failed {
                    let votes = self.nodes[node].disk.flush(number);
                    if votes > 0 {
                        self.votes += votes;
                        self.voted[node] = number;
                    }
                    self.watch_flush(node, number);
                    // It may die in between.
                    let input = Input::Stored { number };
                    self.schedule(TELL_US, Action::Input { node, life, input });
                }
            }
            Action::VoteSaved { node, life, number, state } => {
                self.save_vote(node, life, number, state);
            }
            Action::Input { node, life, input } => self.feed_life(node, life, input),
            Action::Frame { to, .. } if self.held_back[to].is_some() => {
                self.held_back[to].get_or_insert_default().push(action);
            }
            Action::Frame { to, connection, bytes } => {
                if self.linked && self.connection == connection {
                    let peer = self.nodes[1 - to].name.clone();
                    self.feed(to, Input::Frame { peer, bytes });
                }
            }
            Action::Dial { lives } => self.link(lives),
            Action::LinkDown { node, life } => {
                let peer = self.nodes[1 - node].name.clone();
                self.feed_life(node, life, Input::LinkDown { peer });
            }
            Action::Refused { balancer, server, life } => {
                self.feed_balancer_life(balancer, life, BalancerInput::Refused { server });
            }
            Action::SeatPersisted { balancer, life, number, state } => {
                if self.balancers[balancer].life == life {
                    self.balancers[balancer].seat_state = Some(state);
                    self.votes += 1;
                    self.schedule(TELL_US, Action::SeatTold { balancer, life, number });
                }
            }
            Action::SeatTold { balancer, life, number } => {
                self.feed_balancer_life(balancer, life, BalancerInput::Persisted(number));
            }
            Action::Address { balancer, life, here } => self.move_address(balancer, life, here),
            Action::TakeAddress { balancer, life } => self.take_address(balancer, life),
            Action::AllowAddress { balancer } => self.refuse_address(balancer, false),
            Action::Start(process) => self.start(process),
            Action::KillOther(node) => self.lose(node),
            Action::Force(node) => self.force(node),
            Action::Order(order) => self.order(order),
            Action::Wake { process, life } => self.wake(process, life),
            Action::Heal(what) => self.heal(what),
            Action::HandOver { node, every_ms, times } => self.hand_over(node, every_ms, times),
            Action::Command { phone, command } => {
                self.trace.add(self.now, "USER", &[phone as u8], || format!("{phone} {command:?}"));
                self.feed_phone(phone, PhoneInput::Command(command));
            }
        }
    }

    fn start(&mut self, process: Process) {
        self.trace.add(self.now, "START", &[], || format!("{process:?}"));
        match process {
            Process::Balancer(balancer) => self.start_balancer(balancer),
            // A node that is still draining ends before it starts again.
            Process::Node(node) if self.nodes[node].core.is_some() => {
                self.schedule(50_000, Action::Start(process));
            }
            Process::Node(node) => {
                let other = &self.nodes[1 - node];
                let peer = Peer { name: other.name.clone(), address: other.cluster };
                self.nodes[node].start(self.now, &self.cluster, peer);
                self.watch_start(node);
                self.dial();
                self.drain(node);
                self.nodes[node].note_timeout();
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        let Packet { source, destination, bytes } = packet;
        self.trace.add(self.now, "DATAGRAM", &bytes, || describe(source, destination, &bytes));
        let is_phones = destination == balancer_address();
        let own = socket_of(destination).map(|(balancer, _)| balancer);
        if is_phones || own.is_some() {
            let Some(balancer) = own.or(self.at).filter(|it| self.is_plugged(*it)) else { return };
            let packet = Packet { source, destination, bytes };
            return self.act(Action::Arrived { balancer, packet });
        }
        for node in 0..2 {
            if [self.nodes[node].sip, self.nodes[node].cluster].contains(&destination) {
                return self.arrive_at_node(node, source, bytes);
            }
        }
        if let Some(party) = self.parties.iter().position(|it| it.address() == destination) {
            return self.feed_party(party, SippInput::Datagram(bytes));
        }
        let phone = self.phones.iter().position(|phone| phone.config().address == destination);
        if let Some(phone) = phone {
            self.feed_phone(phone, PhoneInput::Datagram { source, bytes });
        }
    }

    fn arrive_at_node(&mut self, node: usize, source: SocketAddr, bytes: Vec<u8>) {
        if self.nodes[node].core.is_some() {
            return self.feed(node, Input::Packet { source, bytes });
        }
        if let Some((balancer, _)) = socket_of(source) {
            let life = self.balancers[balancer].life;
            self.schedule(100, Action::Refused { balancer, server: node, life });
        }
    }

    fn feed_life(&mut self, node: usize, life: u64, input: Input) {
        if self.nodes[node].life == life {
            self.feed(node, input);
        }
    }

    fn feed(&mut self, node: usize, input: Input) {
        if let Some(waiting) = self.nodes[node].paused.as_mut() {
            return waiting.push(input);
        }
        if let Input::Packet { bytes, .. } = &input {
            self.watch_arriving(node, bytes);
        }
        let local = self.nodes[node].clock.at(self.now);
        if let Some(core) = self.nodes[node].core.as_mut() {
            core.handle_input(local, input);
            self.look(node);
            self.drain(node);
            self.look(node);
            self.watch_done(node);
            self.nodes[node].note_timeout();
        }
    }
}
