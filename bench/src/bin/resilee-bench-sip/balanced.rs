//! The balancer as a machine, with two nodes: what it takes to decide about a datagram, from what
//! was received to what is to be sent. Sockets and the worker's lock are not in it.

use resilee_balancer::{
    Algorithm, Balancer, BalancerConfig, BalancerInput, HealthConfig, ProtectionConfig, Server,
};
use resilee_membership::{
    Control, ControlBody, Flow, Key, RunId, Transport, View, VoterId, VoterState, seal_control,
    seal_sip,
};
use resilee_sbb::Timestamp;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

const START: Timestamp = Timestamp::from_millis(1_000_000);
/// Between two datagrams. All come within the 2 s after which silent nodes would count as dead, and
/// within what the phone's source may send at once.
const BETWEEN: Duration = Duration::from_micros(200);
/// What differs from one INVITE to the next.
const CALL_ID: &[u8] = b"3848276298220188511";
const BRANCH: &[u8] = b"PjcLKRxDLcSFlBhBxoVDEv";
const DIGITS: usize = 6;

/// See the module.
pub struct Balanced {
    balancer: Balancer,
    key: Key,
    view: View,
}

/// The line by which a request is of a call of the first node.
pub fn route() -> String {
    let cohort = runs()[0].cohort().0;
    format!("Route: <sip:198.51.100.1:5060;lr;c={cohort:016x}.fee9460723f0b85a>\r\n")
}

impl Balanced {
    /// Both nodes are members and were heard.
    pub fn new() -> Self {
        let key = Key::from_file_bytes(&[b'k'; 32]).expect("it is long enough");
        let [one, two] = runs();
        let view = View::default().next(vec![one.clone(), two], &one);
        let stored = VoterState { highest: view.clone(), ..VoterState::default() };
        let balancer = Balancer::new(START, config(), key.clone(), Some(stored));
        let mut balanced = Balanced { balancer, key, view };
        for (server, run) in runs().into_iter().enumerate() {
            balanced.hear(server, run);
        }
        balanced
    }

    fn hear(&mut self, server: usize, run: RunId) {
        let body = ControlBody::TellView {
            view: self.view.clone(),
            member: true,
            last_commit: 0,
            store_empty: false,
        };
        let control = Control { view: self.view.number, from: VoterId::Run(run), body };
        let bytes = seal_control(&self.key, &control);
        self.handle(START, BalancerInput::FromNode { server, bytes: &bytes });
    }

    /// Each INVITE is that of a new call; a response comes from the first node.
    ///
    /// # Panics
    /// If it does not send each of them on.
    pub fn take(mut self, message: &[u8], times: u32) {
        let flow = Flow {
            remote: address("192.0.2.10:5060"),
            local: address("198.51.100.1:5060"),
            transport: Transport::Udp,
        };
        let sealed = seal_sip(&self.key, self.view.number, &flow, message);
        let begins = message.starts_with(b"INVITE ");
        let mut message = message.to_vec();
        let changed = [CALL_ID, BRANCH].map(|text| position(&message, text));
        let mut now = START;
        for number in 0..times {
            now = now + BETWEEN;
            if begins {
                for at in changed.into_iter().flatten() {
                    write_digits(&mut message[at..at + DIGITS], number);
                }
            }
            let input = match message.starts_with(b"SIP/") {
                true => BalancerInput::FromNode { server: 0, bytes: black_box(&sealed) },
                false => BalancerInput::FromClient { flow, bytes: black_box(&message) },
            };
            assert_eq!(self.handle(now, input), 1, "datagram {number} is sent on");
        }
    }

    fn handle(&mut self, now: Timestamp, input: BalancerInput<'_>) -> usize {
        self.balancer.handle_input(now, input);
        std::iter::from_fn(|| self.balancer.poll_output().map(black_box)).count()
    }
}

fn runs() -> [RunId; 2] {
    ["server1", "server2"]
        .map(|node| RunId { node: node.parse().expect("a name"), incarnation: 1_700_000_000_000 })
}

fn config() -> BalancerConfig {
    let server = |run: RunId, at| Server { name: run.node, address: address(at), weight: 1 };
    let [one, two] = runs();
    BalancerConfig {
        listen: vec![address("198.51.100.1:5060")],
        servers: vec![server(one, "192.0.2.11:5080"), server(two, "192.0.2.12:5080")],
        algorithm: Algorithm::FirstAlive,
        heartbeat_ms: 50,
        missed: 6,
        health: HealthConfig::default(),
        protection: ProtectionConfig::default(),
        pair: None,
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn position(message: &[u8], text: &[u8]) -> Option<usize> {
    message.windows(text.len()).position(|it| it == text)
}

/// The last digit first.
fn write_digits(place: &mut [u8], mut number: u32) {
    for digit in place {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
