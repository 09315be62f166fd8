//! The balancer's process: how it starts, what reaches it, and what it wants done.
//!
//! How it dies or stands still is not here (`faults.rs`).

use super::streams::Streams;
use super::{Action, World, balancer_address, balancer_socket};
use crate::node::Node;
use resilee_balancer::{
    Balancer, BalancerConfig, BalancerInput, BalancerOutput, HealthConfig, ProtectionConfig, Server,
};
use resilee_membership::{Flow, Transport};
use resilee_sbb::Timestamp;
use resilee_sip_tcp::TcpInput;
use resilee_test_kit::Packet;

impl World {
    pub(super) fn start_balancer(&mut self) {
        self.balancer_life += 1;
        self.streams = Streams::new(self.phones.len());
        let config = BalancerConfig {
            listen: vec![balancer_address()],
            servers: self.nodes.iter().map(server).collect(),
            algorithm: self.algorithm,
            heartbeat_ms: 50,
            missed: 6,
            // Whoever joined serves at once: stories choose their node by the algorithm.
            health: HealthConfig { ramp_up_s: 0, ..HealthConfig::default() },
            protection: ProtectionConfig::default(),
        };
        let (key, stored) = (self.cluster.key.clone(), self.seat_state.clone());
        self.balancer = Some(Balancer::new(self.now, config, key, stored));
        #[cfg(feature = "planted-faults")]
        self.balancer.iter_mut().for_each(|it| it.plant(self.cluster.planted));
        self.drain_balancer();
    }

    pub(super) fn balancer_timeout(&self) -> Option<Timestamp> {
        let balancer = self.balancer.as_ref().filter(|_| self.balancer_paused.is_none());
        balancer.map(|it| self.streams.poll_timeout(it.poll_timeout()))
    }

    pub(super) fn arrive_at_balancer(&mut self, packet: Packet) {
        let Packet { source, destination: local, bytes } = packet;
        let node = (0..2).find(|node| local == balancer_socket(*node));
        let Some(server) = node else {
            let flow = Flow { remote: source, local, transport: Transport::Udp };
            return self.feed_balancer(BalancerInput::FromClient { flow, bytes: &bytes });
        };
        let before = self.forwarded;
        self.feed_balancer(BalancerInput::FromNode { server, bytes: &bytes });
        self.watch_balancer(server, &bytes, self.forwarded > before);
    }

    pub(super) fn feed_balancer(&mut self, input: BalancerInput<'_>) {
        if let Some(balancer) = self.balancer.as_mut() {
            balancer.handle_input(self.now, input);
            self.drain_balancer();
        }
    }

    pub(super) fn drain_balancer(&mut self) {
        while let Some(output) = self.balancer.as_mut().and_then(Balancer::poll_output) {
            match output {
                BalancerOutput::ToClient { flow, bytes } if flow.transport == Transport::Tcp => {
                    self.forwarded += 1;
                    self.feed_streams(TcpInput::Send { flow, bytes: &bytes });
                }
                BalancerOutput::ToClient { flow: Flow { remote: destination, .. }, bytes } => {
                    self.forwarded += 1;
                    let source = balancer_address();
                    self.network.handle_send(self.now, Packet { source, destination, bytes });
                }
                BalancerOutput::ToNode { server, bytes } => {
                    let source = balancer_socket(server);
                    let destination = self.nodes[server].sip;
                    self.network.handle_send(self.now, Packet { source, destination, bytes });
                }
                BalancerOutput::Persist { number, state } => {
                    let delay = self.random.between(100, self.flush_us_max);
                    let life = self.balancer_life;
                    self.schedule(delay, Action::SeatPersisted { life, number, state });
                }
                BalancerOutput::Notice(notice) => {
                    self.trace.add(self.now, "BALANCER", &[], || format!("{notice:?}"));
                }
            }
        }
    }
}

fn server(node: &Node) -> Server {
    Server { name: node.name.clone(), address: node.sip, weight: 1 }
}
