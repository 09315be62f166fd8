//! Alice, Bob, a relay between them and the network they share: the DSL of the stories.

use crate::relay::{PASSWORD, REALM, Relay};
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, TimerConfig};
use resilee_test_kit::{
    AnswerPolicy, CallStatus, Network, NetworkConfig, Packet, Phone, PhoneCommand, PhoneConfig,
    PhoneEvent, PhoneInput, PhoneOutput,
};
use std::net::SocketAddr;
use std::time::Duration;

/// Longest virtual time of a story.
const STORY_MAX: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Alice,
    Bob,
}

pub use Who::{Alice, Bob};

pub struct Wire {
    pub now: Timestamp,
    pub alice: Phone,
    pub bob: Phone,
    pub relay: Relay,
    pub network: Network,
    /// All that the phones told, without repeats.
    pub events: Vec<(Who, PhoneEvent)>,
    /// All datagrams sent, in order: the trace of the story.
    pub trace: Vec<(Timestamp, String)>,
    /// Branch and From tag of Alice's last INVITE.
    last_invite: (String, String),
    /// Datagrams of this kind that get lost, and how many of them still.
    lose: Vec<(&'static str, u32)>,
}

impl Wire {
    pub fn perfect() -> Self {
        Self::new(NetworkConfig { delay_us: 1_000..=1_000, ..NetworkConfig::default() }, 1)
    }

    pub fn bad(seed: u64) -> Self {
        let config = NetworkConfig {
            loss_permille: 150,
            duplicate_permille: 150,
            reorder_permille: 300,
            delay_us: 500..=60_000,
        };
        let mut wire = Self::new(config, seed);
        wire.relay.demands.sends_trying = false;
        wire
    }

    pub fn new(config: NetworkConfig, seed: u64) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        Wire {
            now,
            alice: Phone::new(phone_config("alice", seed), now),
            bob: Phone::new(phone_config("bob", seed), now),
            relay: Relay::new(relay_address()),
            network: Network::new(config, seed),
            events: Vec::new(),
            trace: Vec::new(),
            last_invite: Default::default(),
            lose: Vec::new(),
        }
    }

    /// Loses the next `count` datagrams of a kind: `BYE`, `200 INVITE`, ...
    pub fn lose(&mut self, kind: &'static str, count: u32) {
        self.lose.push((kind, count));
    }

    pub fn command(&mut self, who: Who, command: PhoneCommand) {
        self.input(who, PhoneInput::Command(command));
    }

    pub fn register(&mut self) {
        self.command(Alice, PhoneCommand::Register);
        self.command(Bob, PhoneCommand::Register);
        self.run_until(|wire| wire.alice.is_registered() && wire.bob.is_registered());
    }

    pub fn call_bob(&mut self) {
        self.command(Alice, PhoneCommand::Call { to: format!("sip:bob@{REALM}") });
    }

    /// Registers, calls, and runs until both know that they talk.
    pub fn talk(&mut self) {
        self.register();
        self.call_bob();
        self.run_until(|wire| {
            wire.bob.call().is_some_and(|call| call.is_acked && call.answered_at.is_some())
        });
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    pub fn run_until(&mut self, is_reached: impl Fn(&Wire) -> bool) {
        let end = self.now + STORY_MAX;
        while !is_reached(self) {
            assert!(self.step(end), "never reached; {:#?}\n{:#?}", self.events, self.trace);
        }
    }

    /// Until nothing is left of any call.
    pub fn run_until_idle(&mut self) {
        self.run_until(|wire| {
            wire.alice.is_idle() && wire.bob.is_idle() && wire.network.in_flight() == 0
        });
    }

    pub fn phone(&self, who: Who) -> &Phone {
        match who {
            Alice => &self.alice,
            Bob => &self.bob,
        }
    }

    pub fn call_of(&self, who: Who) -> &CallStatus {
        self.phone(who).call().expect("there was a call")
    }

    /// What one phone told.
    pub fn told(&self, who: Who) -> Vec<PhoneEvent> {
        let own = self.events.iter().filter(|(teller, _)| *teller == who);
        own.map(|(_, event)| event.clone()).collect()
    }

    /// Branch and From tag of Alice's last INVITE.
    pub fn invite_of_alice(&self) -> (String, String) {
        self.last_invite.clone()
    }

    /// Gives a phone a datagram that nobody sent.
    pub fn inject(&mut self, who: Who, text: &str) {
        let source = relay_address();
        let bytes = text.replace('\n', "\r\n").into_bytes();
        self.input(who, PhoneInput::Datagram { source, bytes });
    }

    /// The next thing that happens before `end`; false if there is none.
    fn step(&mut self, end: Timestamp) -> bool {
        let phones = [self.alice.poll_timeout(), self.bob.poll_timeout()];
        let next = phones.into_iter().flatten().chain(self.network.poll_timeout()).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if let Some(packet) = self.network.poll_packet(self.now) {
            self.deliver(packet);
        } else {
            for who in [Alice, Bob] {
                if self.phone(who).poll_timeout().is_some_and(|at| at <= self.now) {
                    self.input(who, PhoneInput::Timeout);
                }
            }
        }
        true
    }

    fn deliver(&mut self, packet: Packet) {
        let Packet { source, destination, bytes } = packet;
        if destination == relay_address() {
            for (destination, bytes) in self.relay.handle(source, &bytes) {
                self.send(relay_address(), destination, bytes);
            }
            return;
        }
        let who = if destination == address_of("alice") { Alice } else { Bob };
        self.input(who, PhoneInput::Datagram { source, bytes });
    }

    fn input(&mut self, who: Who, input: PhoneInput) {
        let now = self.now;
        let phone = match who {
            Alice => &mut self.alice,
            Bob => &mut self.bob,
        };
        phone.handle_input(now, input);
        let source = phone.config().address;
        let outputs: Vec<PhoneOutput> = std::iter::from_fn(|| phone.poll_output()).collect();
        for output in outputs {
            match output {
                PhoneOutput::Send { destination, bytes } => self.send(source, destination, bytes),
                PhoneOutput::Event(PhoneEvent::Retransmitted { .. }) => {}
                PhoneOutput::Event(event) => self.events.push((who, event)),
            }
        }
    }

    fn send(&mut self, source: SocketAddr, destination: SocketAddr, bytes: Vec<u8>) {
        let message = Message::parse(&bytes).expect("only SIP is sent");
        let method = message.cseq().1;
        let kind = match message.status() {
            Some(status) => format!("{status} {method}"),
            None => method.to_owned(),
        };
        if kind == "INVITE" && source == address_of("alice") {
            let branch = message.top_via().branch().unwrap_or_default();
            let tag = message.from_tag().unwrap_or_default();
            self.last_invite = (branch.to_owned(), tag.into_owned());
        }
        let ports = format!("{} > {}", source.port(), destination.port());
        self.trace.push((self.now, format!("{ports} {kind}")));
        let lose = self.lose.iter_mut().find(|(lost, count)| *lost == kind && *count > 0);
        match lose {
            Some((_, count)) => *count -= 1,
            None => self.network.handle_send(self.now, Packet { source, destination, bytes }),
        }
    }
}

pub fn phone_config(user: &str, seed: u64) -> PhoneConfig {
    let address = address_of(user);
    PhoneConfig {
        user: user.into(),
        domain: REALM.into(),
        password: Some(PASSWORD.into()),
        address,
        proxy: relay_address(),
        register_expires_s: 60,
        ring_ms: 1_000,
        answer: AnswerPolicy::Answer,
        seed,
        timers: TimerConfig::default(),
        rtp: Some(SocketAddr::new(address.ip(), address.port() + 1000)),
    }
}

fn address_of(user: &str) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], if user == "alice" { 5070 } else { 5080 }))
}

pub fn relay_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}
