//! The balancers' processes: how they start, what reaches them, and what they want done.
//!
//! Of two, the host of the one that serves takes the phones' address: from then on the network
//! sends to it what phones say. It may be late to leave it; what the other host is sent then is its
//! balancer's to drop.
//!
//! How they die or stand still is not here (`faults.rs`), nor what refuses the address
//! (`address.rs`).

use super::streams::Streams;
use super::{Action, World, balancer_address, balancer_socket, socket_of};
use crate::node::Node;
use resilee_balancer::{
    Balancer, BalancerConfig, BalancerInput, BalancerOutput, HealthConfig, Pair, ProtectionConfig,
    Server,
};
use resilee_membership::{Balancers, Flow, NodeName, Transport, VoterState};
use resilee_sbb::Timestamp;
use resilee_sip_tcp::TcpInput;
use resilee_test_kit::Packet;
use std::time::Duration;

/// From the order to take the address, or to leave it, until the network knows, in microseconds.
const ADDRESS_US: [u64; 2] = [200, 30_000];

/// A balancer's host.
#[derive(Default)]
pub(super) struct BalancerHost {
    /// None if there is one balancer.
    pub(super) name: Option<NodeName>,
    pub(super) balancer: Option<Balancer>,
    /// Counts its processes, dead ones too.
    pub(super) life: u64,
    /// What came while it stood still; `None`: it runs.
    pub(super) paused: Option<Vec<Action>>,
    /// What its process has stored.
    pub(super) seat_state: Option<VoterState>,
    /// Its cable is pulled.
    pub(super) unplugged: bool,
    /// The phones' side of it has no cable (`address.rs`).
    pub(super) refused: bool,
    /// Its balancer's last order that was carried out: to have the phones' address.
    pub(super) takes_address: bool,
    /// When its last order about the address is carried out: one after the other.
    address_at: Timestamp,
}

impl BalancerHost {
    /// One, or two with names.
    pub(super) fn all(two: bool) -> Vec<Self> {
        let named = |name: NodeName| BalancerHost { name: Some(name), ..BalancerHost::default() };
        match two {
            true => names().into_iter().map(named).collect(),
            false => vec![BalancerHost::default()],
        }
    }
}

fn names() -> [NodeName; 2] {
    ["balancer1", "balancer2"].map(|name| name.parse().expect("a name"))
}

/// The names of two balancers; none of one.
pub(super) fn balancers(two: bool) -> Balancers {
    if two { Balancers::new(names()) } else { Balancers::default() }
}

impl World {
    /// How many balancers there are.
    pub fn balancer_count(&self) -> usize {
        self.balancers.len()
    }

    pub(super) fn start_balancer(&mut self, balancer: usize) {
        if self.balancers[balancer].name.is_none() {
            self.streams = Streams::new(self.phones.len());
        }
        let pair = self.balancers[balancer].name.clone().map(|name| {
            let peer = names()[1 - balancer].clone();
            Pair { name, peer, adds_addresses: true }
        });
        let config = BalancerConfig {
            listen: vec![balancer_address()],
            servers: self.nodes.iter().map(server).collect(),
            algorithm: self.algorithm,
            heartbeat_ms: 50,
            missed: 3,
            // Whoever joined serves at once: stories choose their node by the algorithm.
            health: HealthConfig { ramp_up_s: 0, ..HealthConfig::default() },
            protection: ProtectionConfig::default(),
            pair,
        };
        let host = &mut self.balancers[balancer];
        host.life += 1;
        let (key, stored) = (self.cluster.key.clone(), host.seat_state.clone());
        host.balancer = Some(Balancer::new(self.now, config, key, stored));
        #[cfg(feature = "planted-faults")]
        host.balancer.iter_mut().for_each(|it| it.plant(self.cluster.planted));
        self.drain_balancer(balancer);
        self.check_standby(balancer);
    }

    pub(super) fn balancer_timeout(&self, balancer: usize) -> Option<Timestamp> {
        let host = &self.balancers[balancer];
        let balancer = host.balancer.as_ref().filter(|_| host.paused.is_none());
        balancer.map(|it| self.streams.poll_timeout(it.poll_timeout()))
    }

    /// Datagrams come to its host, and from it.
    pub(super) fn is_plugged(&self, balancer: usize) -> bool {
        !self.balancers[balancer].unplugged
    }

    pub(super) fn arrive_at_balancer(&mut self, balancer: usize, packet: Packet) {
        let Packet { source, destination: local, bytes } = packet;
        let Some((_, server)) = socket_of(local) else {
            let flow = Flow { remote: source, local, transport: Transport::Udp };
            let input = BalancerInput::FromClient { flow, bytes: &bytes };
            return self.feed_balancer(balancer, input);
        };
        let before = self.forwarded;
        self.feed_balancer(balancer, BalancerInput::FromNode { server, bytes: &bytes });
        self.watch_balancer(balancer, (server, &bytes), self.forwarded > before);
    }

    pub(super) fn feed_balancer_life(
        &mut self,
        balancer: usize,
        life: u64,
        input: BalancerInput<'_>,
    ) {
        if self.balancers[balancer].life == life {
            self.feed_balancer(balancer, input);
        }
    }

    pub(super) fn feed_balancer(&mut self, balancer: usize, input: BalancerInput<'_>) {
        if let Some(machine) = self.balancers[balancer].balancer.as_mut() {
            machine.handle_input(self.now, input);
            self.drain_balancer(balancer);
            self.watch_lease();
        }
    }

    fn drain_balancer(&mut self, balancer: usize) {
        while let Some(output) =
            self.balancers[balancer].balancer.as_mut().and_then(Balancer::poll_output)
        {
            self.carry_out_of(balancer, output);
        }
    }

    fn carry_out_of(&mut self, balancer: usize, output: BalancerOutput) {
        let life = self.balancers[balancer].life;
        match output {
            BalancerOutput::ToClient { flow, bytes } if flow.transport == Transport::Tcp => {
                self.forwarded += 1;
                self.feed_streams(TcpInput::Send { flow, bytes: &bytes });
            }
            BalancerOutput::ToClient { flow: Flow { remote: destination, .. }, bytes } => {
                self.forwarded += 1;
                let source = balancer_address();
                if !self.balancers[balancer].refused {
                    self.send_of(balancer, Packet { source, destination, bytes });
                }
            }
            BalancerOutput::ToNode { server, bytes } => {
                let source = balancer_socket(balancer, server);
                let destination = self.nodes[server].sip;
                self.send_of(balancer, Packet { source, destination, bytes });
            }
            BalancerOutput::Serve(here) => {
                let delay = self.random.between(ADDRESS_US[0], ADDRESS_US[1]);
                let host = &mut self.balancers[balancer];
                host.address_at = host.address_at.max(self.now + Duration::from_micros(delay));
                let delay_us = host.address_at.since(self.now).as_micros() as u64;
                self.schedule(delay_us, Action::Address { balancer, life, here });
            }
            BalancerOutput::Persist { number, state } => {
                let delay = self.random.between(100, self.flush_us_max);
                self.schedule(delay, Action::SeatPersisted { balancer, life, number, state });
            }
            BalancerOutput::Notice(notice) => {
                let name = self.balancers[balancer].name.as_ref().map(NodeName::as_str);
                let who = name.unwrap_or("it").to_owned();
                self.trace.add(self.now, "BALANCER", &[], || format!("{who}: {notice:?}"));
            }
        }
    }

    fn send_of(&mut self, balancer: usize, packet: Packet) {
        if self.is_plugged(balancer) {
            self.network.handle_send(self.now, packet);
        }
    }
}

fn server(node: &Node) -> Server {
    Server { name: node.name.clone(), address: node.sip, weight: 1 }
}
