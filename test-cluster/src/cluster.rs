//! The cluster and its world: what goes out of one comes in at another, and time passes when the
//! test says so.

use crate::node::Node;
use crate::web::{Connection, WebHost};
use resilee_balancer::{
    Algorithm, Balancer, BalancerConfig, BalancerInput, BalancerOutput, HealthConfig,
    ProtectionConfig, Server,
};
use resilee_core::management::{Changed, Notice, TableChange};
use resilee_core::{Core, Input, Output, Peer};
use resilee_http_api::Call;
use resilee_http_ra::{AllowedHosts, FromShell};
use resilee_membership::{Flow, Key, Transport};
use resilee_sbb::{LinkedSbb, Profile, Tables, Timestamp};
use resilee_test_kit::{Phone, PhoneEvent, PhoneInput, PhoneOutput};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where phones send to.
pub(crate) const BALANCER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1)), 5060);
/// Time between heartbeats.
pub(crate) const HEARTBEAT_MS: u64 = 50;
/// So many missed in a row are a loss.
pub(crate) const MISSED: u32 = 6;
/// How long a message is on its way. Nothing overtakes, and nothing is lost.
pub(crate) const ON_ITS_WAY: Duration = Duration::from_millis(1);
/// How often something may be due until what a test waits for.
const STEPS_MAX: u32 = 100_000;

/// Two nodes, a balancer and phones.
pub struct TestCluster {
    pub(crate) now: Timestamp,
    pub(crate) nodes: [Node; 2],
    pub(crate) phones: BTreeMap<String, Phone>,
    /// What each phone told its user.
    pub(crate) events: Vec<(String, PhoneEvent)>,
    pub(crate) traces: Vec<String>,
    pub(crate) alarms: Vec<String>,
    pub(crate) web_hosts: Vec<WebHost>,
    /// Requests to them that wait for their answers.
    pub(crate) connections: BTreeSet<Connection>,
    services: Vec<LinkedSbb>,
    configured: Tables,
    balancer: Balancer,
    on_its_way: VecDeque<(Timestamp, Arrival)>,
    /// The nodes have a link.
    linked: bool,
    changed: BTreeMap<u64, Changed>,
    next_token: u64,
}

/// Something that arrives.
pub(crate) enum Arrival {
    AtNode {
        node: usize,
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    AtBalancer {
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    /// At the balancer's socket for a node.
    FromNode {
        server: usize,
        bytes: Vec<u8>,
    },
    AtPhone {
        address: SocketAddr,
        bytes: Vec<u8>,
    },
    /// On the link of the nodes.
    OnLink {
        node: usize,
        input: Input,
    },
    /// At the host that the request names.
    AtWeb(Connection, Call),
    /// At the HTTP client of the node that has called.
    AtShell(Connection, FromShell),
}

impl TestCluster {
    pub(crate) fn start(
        services: Vec<LinkedSbb>,
        configured: Tables,
        web_hosts: Vec<WebHost>,
    ) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let nodes = [Node::new(0), Node::new(1)];
        let server = |node: &Node| Server { name: node.name.clone(), address: node.sip, weight: 1 };
        let config = BalancerConfig {
            listen: vec![BALANCER],
            servers: nodes.iter().map(server).collect(),
            algorithm: Algorithm::FirstAlive,
            heartbeat_ms: HEARTBEAT_MS,
            missed: MISSED,
            health: HealthConfig { ramp_up_s: 0, ..HealthConfig::default() },
            protection: ProtectionConfig::default(),
            pair: None,
        };
        let mut cluster = TestCluster {
            now,
            balancer: Balancer::new(now, config, key(), None),
            nodes,
            phones: BTreeMap::new(),
            events: Vec::new(),
            traces: Vec::new(),
            alarms: Vec::new(),
            web_hosts,
            connections: BTreeSet::new(),
            services,
            configured,
            on_its_way: VecDeque::new(),
            linked: false,
            changed: BTreeMap::new(),
            next_token: 1,
        };
        (0..2).for_each(|node| cluster.start_node(node));
        cluster.until("both nodes are members", |cluster| {
            cluster.nodes.iter().all(|node| {
                let core = node.core.as_ref();
                core.is_some_and(|core| core.view().members.len() == 2)
            })
        });
        cluster
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let other = &self.nodes[1 - node];
        let peer = Peer { name: other.name.clone(), address: other.cluster };
        let configured = self.configured.clone();
        let hosts = self.web_hosts.iter().map(WebHost::name);
        let hosts = AllowedHosts::parse(hosts).expect("each is a host");
        self.nodes[node].start(self.now, peer, &self.services, configured, hosts);
        if self.nodes.iter().all(|node| node.core.is_some()) {
            self.linked = true;
            for node in 0..2 {
                let peer = self.nodes[1 - node].name.clone();
                self.arrive_later(Arrival::OnLink { node, input: Input::LinkUp { peer } });
            }
        }
        self.carry_out(node);
    }

    pub(crate) fn kill_node(&mut self, node: usize) {
        self.nodes[node].kill();
        let of_link = |arrival: &Arrival| matches!(arrival, Arrival::OnLink { .. });
        self.on_its_way.retain(|(_, arrival)| !of_link(arrival));
        if std::mem::take(&mut self.linked) {
            let input = Input::LinkDown { peer: self.nodes[node].name.clone() };
            self.arrive_later(Arrival::OnLink { node: 1 - node, input });
        }
    }

    /// Writes a profile, as an operator does.
    pub(crate) fn put_profile(&mut self, table: &str, name: &str, profile: Profile) {
        let (table, name) = (table.to_owned(), name.to_owned());
        let change = TableChange::PutProfile { table, name, profile };
        let (token, node) = (self.next_token, self.first_living());
        self.next_token += 1;
        self.feed(node, Input::Change { token, change });
        self.until("the profile is written", |it| it.changed.contains_key(&token));
        let changed = self.changed.remove(&token);
        assert!(matches!(changed, Some(Changed::Done)), "{changed:?}");
    }

    pub(crate) fn first_living(&self) -> usize {
        self.nodes.iter().position(|node| node.core.is_some()).expect("a node lives")
    }

    pub(crate) fn living(&self) -> impl Iterator<Item = &Core> {
        self.nodes.iter().filter_map(|node| node.core.as_ref())
    }

    // Time.

    /// Lets time pass until something holds.
    ///
    /// # Panics
    /// If it never does.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..STEPS_MAX {
            if holds(self) {
                return;
            }
            let due = self.next_due();
            self.step(due);
        }
        panic!("it does not happen that {what}");
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.next_due();
            if due > end {
                break;
            }
            self.step(due);
        }
        self.now = end;
    }

    fn next_due(&self) -> Timestamp {
        let arrivals = self.on_its_way.front().map(|(at, _)| *at);
        let nodes = self.living().filter_map(Core::poll_timeout);
        let phones = self.phones.values().filter_map(Phone::poll_timeout);
        let others = nodes.chain(phones).chain(arrivals);
        others.fold(self.balancer.poll_timeout(), Timestamp::min)
    }

    /// All happens that is due at a moment.
    fn step(&mut self, due: Timestamp) {
        self.now = self.now.max(due);
        while let Some((_, arrival)) = self.on_its_way.pop_front_if(|(at, _)| *at <= self.now) {
            self.arrive(arrival);
        }
        for node in 0..2 {
            let due = self.nodes[node].core.as_ref().and_then(Core::poll_timeout);
            if due.is_some_and(|due| due <= self.now) {
                self.feed(node, Input::Timeout);
            }
        }
        if self.balancer.poll_timeout() <= self.now {
            self.feed_balancer(BalancerInput::Timeout);
        }
        let is_due = |phone: &Phone| phone.poll_timeout().is_some_and(|due| due <= self.now);
        let due: Vec<_> = self.phones.iter().filter(|(_, phone)| is_due(phone)).collect();
        let due: Vec<_> = due.into_iter().map(|(user, _)| user.clone()).collect();
        due.iter().for_each(|user| self.feed_phone(user, PhoneInput::Timeout));
    }

    // What arrives, and what is done with it.

    fn arrive_later(&mut self, arrival: Arrival) {
        self.arrive_at(self.now + ON_ITS_WAY, arrival);
    }

    pub(crate) fn arrive_at(&mut self, at: Timestamp, arrival: Arrival) {
        let place = self.on_its_way.partition_point(|(other, _)| *other <= at);
        self.on_its_way.insert(place, (at, arrival));
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtNode { node, source, bytes } if self.nodes[node].core.is_some() => {
                self.feed(node, Input::Packet { source, bytes });
            }
            // Nobody listens there, which the balancer's socket hears.
            Arrival::AtNode { node, source, .. } if source == balancer_socket(node) => {
                self.feed_balancer(BalancerInput::Refused { server: node });
            }
            Arrival::AtNode { .. } => {}
            Arrival::AtBalancer { source, bytes } => {
                let flow = Flow { remote: source, local: BALANCER, transport: Transport::Udp };
                self.feed_balancer(BalancerInput::FromClient { flow, bytes: &bytes });
            }
            Arrival::FromNode { server, bytes } => {
                self.feed_balancer(BalancerInput::FromNode { server, bytes: &bytes });
            }
            Arrival::AtPhone { address, bytes } => {
                let has = |phone: &Phone| phone.config().address == address;
                let user = self.phones.iter().find(|(_, phone)| has(phone));
                if let Some(user) = user.map(|(user, _)| user.clone()) {
                    let source = BALANCER;
                    self.feed_phone(&user, PhoneInput::Datagram { source, bytes });
                }
            }
            Arrival::OnLink { node, input } => self.feed(node, input),
            Arrival::AtWeb(connection, call) => self.arrive_at_web(connection, call),
            Arrival::AtShell(connection, answer) => self.arrive_at_shell(connection, &answer),
        }
    }

    pub(crate) fn feed(&mut self, node: usize, input: Input) {
        if let Some(core) = self.nodes[node].core.as_mut() {
            core.handle_input(self.now, input);
            self.carry_out(node);
        }
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].core.as_mut().and_then(Core::poll_output) {
            match output {
                Output::Deliver(deliver) => {
                    let of = |it: &&LinkedSbb| it.descriptor().name == deliver.service;
                    let service = self.services.iter().find(of).expect("a service of the nodes");
                    let outcome = service.invoke(&deliver);
                    self.feed(node, Input::Outcome { delivery: deliver.id, outcome });
                }
                Output::Store(batch) => {
                    let number = batch.number;
                    self.nodes[node].disk.write(batch);
                    self.nodes[node].disk.flush(number);
                    self.feed(node, Input::Stored { number });
                }
                Output::SaveVote { number, state } => {
                    self.nodes[node].disk.save_vote(state);
                    self.feed(node, Input::VoteSaved { number });
                }
                Output::LoadRecords { token, journal, from, limit } => {
                    let records = self.nodes[node].disk.records(&journal, from, limit);
                    self.feed(node, Input::Records { token, records });
                }
                Output::Frame { bytes, .. } if self.linked => {
                    let peer = self.nodes[node].name.clone();
                    let input = Input::Frame { peer, bytes };
                    self.arrive_later(Arrival::OnLink { node: 1 - node, input });
                }
                Output::Packet { destination, bytes } => self.send(node, destination, bytes),
                Output::Message(said) => self.carry_out_http(node, &said),
                Output::Changed { token, changed } => drop(self.changed.insert(token, changed)),
                Output::Notice(Notice::Trace { text, .. }) => self.traces.push(text),
                Output::Notice(Notice::AlarmRaised(alarm)) => self.alarms.push(alarm.text),
                _ => {}
            }
        }
    }

    fn send(&mut self, node: usize, destination: SocketAddr, bytes: Vec<u8>) {
        let (other, source) = (1 - node, self.nodes[node].cluster);
        self.arrive_later(match destination == self.nodes[other].cluster {
            true => Arrival::AtNode { node: other, source, bytes },
            false => Arrival::FromNode { server: node, bytes },
        });
    }

    fn feed_balancer(&mut self, input: BalancerInput<'_>) {
        self.balancer.handle_input(self.now, input);
        while let Some(output) = self.balancer.poll_output() {
            match output {
                BalancerOutput::ToClient { flow, bytes } => {
                    self.arrive_later(Arrival::AtPhone { address: flow.remote, bytes });
                }
                BalancerOutput::ToNode { server: node, bytes } => {
                    let source = balancer_socket(node);
                    self.arrive_later(Arrival::AtNode { node, source, bytes });
                }
                BalancerOutput::Persist { number, .. } => {
                    self.balancer.handle_input(self.now, BalancerInput::Persisted(number));
                }
                BalancerOutput::Serve(_) | BalancerOutput::Notice(_) => {}
            }
        }
    }

    pub(crate) fn feed_phone(&mut self, user: &str, input: PhoneInput) {
        let Some(phone) = self.phones.get_mut(user) else { return };
        phone.handle_input(self.now, input);
        let source = phone.config().address;
        let outputs: Vec<_> = std::iter::from_fn(|| phone.poll_output()).collect();
        for output in outputs {
            match output {
                PhoneOutput::Send { bytes, .. } => {
                    self.arrive_later(Arrival::AtBalancer { source, bytes });
                }
                PhoneOutput::Event(event) => self.events.push((user.to_owned(), event)),
            }
        }
    }
}

pub(crate) fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

/// The balancer's socket for a node.
fn balancer_socket(node: usize) -> SocketAddr {
    SocketAddr::new(BALANCER.ip(), 6001 + u16::from(node == 1))
}
