//! A balancer on a stage: virtual time, two nodes played by the test, a store that answers at
//! once unless told otherwise.

use resilee_balancer::{
    Algorithm, Balancer, BalancerConfig, BalancerInput, BalancerNotice, BalancerOutput,
    HealthConfig, ProtectionConfig, Server,
};
use resilee_membership::{
    Control, ControlBody, Flow, Key, Packet, RunId, Transport, View, VoterId, VoterState, open,
    seal_control, seal_sip,
};
use resilee_sbb::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;

pub struct Stage {
    pub balancer: Balancer,
    pub key: Key,
    pub now: Timestamp,
    pub view: View,
    /// States are stored only by [`Stage::store`].
    pub slow_store: bool,
    pub unsaved: Option<(u64, VoterState)>,
    pub notices: Vec<BalancerNotice>,
    /// The node that says that it leaves.
    pub draining: Option<usize>,
    /// No node is heard.
    pub cut: bool,
    /// Nodes confirm that the balancer may forward.
    pub confirms: bool,
    /// What it said of being where clients are.
    pub serves: Vec<bool>,
    /// Where the phone is that says and hears what follows.
    pub phone: SocketAddr,
    /// Which run of each node speaks.
    pub incarnations: [u64; 2],
    pub config: BalancerConfig,
    sequence: u64,
}

/// What the balancer sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    ToClient(SocketAddr, String),
    Sip { server: usize, view: u64, text: String },
    Control { server: usize, body: ControlBody },
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn flow(remote: SocketAddr) -> Flow {
    Flow { remote, local: address("198.51.100.1:5060"), transport: Transport::Udp }
}

pub fn run(server: usize, incarnation: u64) -> RunId {
    RunId { node: ["one", "two"][server].parse().unwrap(), incarnation }
}

/// A SIP request as phones send them; `route` is the value of a Route header.
pub fn request(method: &str, call: &str, route: Option<&str>) -> String {
    let route = route.map_or(String::new(), |route| format!("Route: {route}\r\n"));
    format!(
        "{method} sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n\
         {route}Call-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

pub fn response(branch: &str) -> String {
    format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch={branch}\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
    )
}

impl Stage {
    /// A balancer that knows no view.
    pub fn empty(algorithm: Algorithm) -> Self {
        Stage::empty_with(algorithm, |_| ())
    }

    /// The same with a configuration that is changed.
    pub fn empty_with(algorithm: Algorithm, change: impl FnOnce(&mut BalancerConfig)) -> Self {
        let server = |name: &str, at| Server {
            name: name.parse().unwrap(),
            address: address(at),
            weight: 1,
        };
        let mut config = BalancerConfig {
            listen: vec![address("198.51.100.1:5060")],
            servers: vec![server("one", "10.0.0.1:1"), server("two", "10.0.0.2:1")],
            algorithm,
            heartbeat_ms: 50,
            missed: 3,
            health: HealthConfig::default(),
            protection: ProtectionConfig::default(),
            pair: None,
        };
        change(&mut config);
        let now = Timestamp::from_millis(1_000_000);
        let key = Key::from_file_bytes(&[b'k'; 32]).unwrap();
        let balancer = Balancer::new(now, config.clone(), key.clone(), None);
        Stage {
            balancer,
            key,
            now,
            view: View::default(),
            slow_store: false,
            unsaved: None,
            notices: Vec::new(),
            draining: None,
            cut: false,
            confirms: false,
            phone: address("192.0.2.1:5060"),
            serves: Vec::new(),
            incarnations: [1, 1],
            config,
            sequence: 0,
        }
    }

    /// A balancer in a view of both nodes, the first of which owns the shared tables.
    pub fn pair(algorithm: Algorithm) -> Self {
        Stage::pair_with(algorithm, |_| ())
    }

    /// The same with a configuration that is changed.
    pub fn pair_with(algorithm: Algorithm, change: impl FnOnce(&mut BalancerConfig)) -> Self {
        let mut stage = Stage::empty_with(algorithm, change);
        let (one, two) = (run(0, 1), run(1, 1));
        stage.tell(View::default().next(vec![one.clone(), two], &one));
        stage.run(200);
        stage
    }

    /// A node tells a decided view.
    pub fn tell(&mut self, view: View) -> Vec<Sent> {
        let from = view.members[0].clone();
        let server = usize::from(from.node == run(1, 1).node);
        self.view = view.clone();
        let body = ControlBody::TellView { view, member: true, last_commit: 0, store_empty: false };
        self.control(server, from, body)
    }

    /// The first node died and the second got a view of its own.
    pub fn take_over(&mut self) -> Vec<Sent> {
        let two = run(1, 1);
        self.tell(self.view.next(vec![two.clone()], &two))
    }

    /// The first node joins again, as another run.
    pub fn come_back(&mut self) {
        self.incarnations[0] += 1;
        let (one, two) = (run(0, self.incarnations[0]), run(1, 1));
        self.tell(self.view.next(vec![one, two.clone()], &two));
        self.run(100);
    }

    pub fn control(&mut self, server: usize, from: RunId, body: ControlBody) -> Vec<Sent> {
        let control = Control { view: self.view.number, from: VoterId::Run(from), body };
        let bytes = seal_control(&self.key, &control);
        self.handle(BalancerInput::FromNode { server, bytes: &bytes })
    }

    pub fn client(&mut self, text: &str) -> Vec<Sent> {
        self.handle(BalancerInput::FromClient { flow: flow(self.phone), bytes: text.as_bytes() })
    }

    /// The server that gets a client's datagram.
    pub fn server_of(&mut self, text: &str) -> Option<usize> {
        self.client(text).into_iter().find_map(|sent| match sent {
            Sent::Sip { server, .. } => Some(server),
            _ => None,
        })
    }

    pub fn node_sip(&mut self, server: usize, view: u64, text: &str) -> Vec<Sent> {
        let bytes = seal_sip(&self.key, view, &flow(self.phone), text.as_bytes());
        self.handle(BalancerInput::FromNode { server, bytes: &bytes })
    }

    /// Time passes; all nodes but `silent` send heartbeats and echo the balancer's.
    pub fn run_without(&mut self, millis: u64, silent: Option<usize>) -> Vec<Sent> {
        let mut all = Vec::new();
        let end = self.now + Duration::from_millis(millis);
        while self.balancer.poll_timeout() <= end {
            self.now = self.balancer.poll_timeout().max(self.now);
            let sent = self.handle(BalancerInput::Timeout);
            for sent in &sent {
                let Sent::Control { server, body: ControlBody::Heartbeat { sequence, .. } } = sent
                else {
                    continue;
                };
                if silent != Some(*server) && !self.cut {
                    self.heartbeat(*server, *sequence);
                }
            }
            all.extend(sent);
        }
        self.now = end;
        all
    }

    pub fn run(&mut self, millis: u64) -> Vec<Sent> {
        self.run_without(millis, None)
    }

    fn heartbeat(&mut self, server: usize, echo: u64) {
        self.sequence += 1;
        let body = ControlBody::Heartbeat {
            sequence: self.sequence,
            echo,
            hears_seat: true,
            sent_at: self.now,
            draining: self.draining == Some(server),
            ready: true,
            rests: false,
            seat: None,
            confirms: self.confirms,
        };
        self.control(server, run(server, self.incarnations[server]), body);
    }

    /// The balancer is killed once the state is stored, and starts again.
    pub fn restart(&mut self) {
        let (_, state) = self.unsaved.take().expect("there is something to store");
        let (config, key) = (self.config.clone(), self.key.clone());
        self.balancer = Balancer::new(self.now, config, key, Some(state));
    }

    pub fn store(&mut self) -> Vec<Sent> {
        let (number, _) = self.unsaved.take().expect("there is something to store");
        self.handle(BalancerInput::Persisted(number))
    }

    pub fn handle(&mut self, input: BalancerInput<'_>) -> Vec<Sent> {
        let mut sent = Vec::new();
        self.balancer.handle_input(self.now, input);
        while let Some(output) = self.balancer.poll_output() {
            match output {
                BalancerOutput::ToClient { flow, bytes } => {
                    sent.push(Sent::ToClient(flow.remote, String::from_utf8(bytes).unwrap()));
                }
                BalancerOutput::ToNode { server, bytes } => {
                    sent.push(match open(&self.key, &bytes).unwrap() {
                        Packet::Control(Control { body, .. }) => Sent::Control { server, body },
                        Packet::Sip { view, bytes, .. } => {
                            let text = String::from_utf8(bytes.to_vec()).unwrap();
                            Sent::Sip { server, view, text }
                        }
                    });
                }
                BalancerOutput::Persist { number, state } => self.unsaved = Some((number, state)),
                BalancerOutput::Serve(serve) => self.serves.push(serve),
                BalancerOutput::Notice(notice) => self.notices.push(notice),
            }
        }
        if self.unsaved.is_some() && !self.slow_store {
            sent.extend(self.store());
        }
        sent
    }
}
