//! Two phones of the test kit over a network that loses messages, and a node that dies at any
//! moment of their call. One seed is one run; a failure prints it.

mod harness;

use harness::{BALANCER, Node, Policy, Turn};
use resilee_sip_proto::TimerConfig;
use resilee_test_kit::{
    AnswerPolicy, Phone, PhoneCommand, PhoneConfig, PhoneInput, PhoneOutput, Random,
};
use std::net::SocketAddr;
use std::time::Duration;

const ALICE: &str = "192.0.2.10:5060";
const BOB: &str = "192.0.2.20:5060";
const SEEDS: u64 = 20;
/// Time goes on in steps of so many milliseconds.
const TICK_MS: u64 = 10;
const RUN_TICKS: u64 = 25_000;
const HANG_UP_TICK: u64 = 2_000;

/// How a node dies of the next message that it gets.
#[derive(Clone, Copy)]
enum Death {
    BeforeCommit,
    CommittedButNothingSent,
}

struct World {
    node: Node,
    phones: [Phone; 2],
    random: Random,
    /// Of 1000 messages so many are lost.
    loss_permille: u32,
    /// From, to, message.
    in_flight: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    dying: Option<Death>,
    /// No node lives: what is sent to the balancer is lost.
    is_dead: bool,
}

impl World {
    fn new(seed: u64, loss_permille: u32) -> Self {
        let contacts = vec![("sip:bob@192.0.2.20:5060", BOB)];
        let node = Node::new(Policy::ProxyTo(contacts));
        let phones = [("alice", ALICE), ("bob", BOB)]
            .map(|(user, address)| Phone::new(config(user, address, seed), node.now));
        let random = Random::of(seed, "network");
        World {
            node,
            phones,
            random,
            loss_permille,
            in_flight: Vec::new(),
            dying: None,
            is_dead: false,
        }
    }

    fn command(&mut self, phone: usize, command: PhoneCommand) {
        self.phones[phone].handle_input(self.node.now, PhoneInput::Command(command));
    }

    /// All nodes are dead for so long; then one starts from its store.
    fn outage(&mut self, ticks: u64) {
        self.is_dead = true;
        (0..ticks).for_each(|_| self.tick());
        self.is_dead = false;
        let turn = self.node.cold_start();
        self.send(&turn);
    }

    fn tick(&mut self) {
        if self.is_dead {
            self.node.now = self.node.now + Duration::from_millis(TICK_MS);
            self.in_flight.clear();
            return self.run_phones();
        }
        let turn = self.node.wait(TICK_MS);
        self.send(&turn);
        for (source, destination, bytes) in std::mem::take(&mut self.in_flight) {
            if self.random.chance(self.loss_permille) {
                continue;
            }
            if destination.to_string() == BALANCER {
                let source = source.to_string();
                let turn = match self.dying.take() {
                    None => self.node.receive(&source, bytes),
                    Some(Death::BeforeCommit) => self.node.die_before_commit(&source, bytes),
                    Some(Death::CommittedButNothingSent) => {
                        self.node.die_after_commit(&source, bytes)
                    }
                };
                self.send(&turn);
            } else {
                let input = PhoneInput::Datagram { source, bytes };
                let phone = usize::from(destination.to_string() == BOB);
                self.phones[phone].handle_input(self.node.now, input);
            }
        }
        self.run_phones();
    }

    fn run_phones(&mut self) {
        for phone in &mut self.phones {
            if phone.poll_timeout().is_some_and(|at| at <= self.node.now) {
                phone.handle_input(self.node.now, PhoneInput::Timeout);
            }
            let source = phone.config().address;
            while let Some(output) = phone.poll_output() {
                if let PhoneOutput::Send { destination, bytes } = output {
                    self.in_flight.push((source, destination, bytes));
                }
            }
        }
    }

    fn send(&mut self, turn: &Turn) {
        let sent = turn.sent.iter();
        self.in_flight.extend(sent.map(|it| (it.flow.local, it.flow.remote, it.bytes.clone())));
    }
}

fn config(user: &str, address: &str, seed: u64) -> PhoneConfig {
    PhoneConfig {
        user: user.to_owned(),
        domain: "example.test".to_owned(),
        password: None,
        address: address.parse().expect("an address"),
        proxy: BALANCER.parse().expect("an address"),
        register_expires_s: 60,
        ring_ms: 3_000,
        answer: AnswerPolicy::Answer,
        seed,
        timers: TimerConfig::default(),
        rtp: None,
    }
}

/// A call in which nodes die: of no message, and of the next that comes.
fn run(seed: u64, loss_permille: u32, ending: Ending) {
    let mut world = World::new(seed, loss_permille);
    let last_tick = HANG_UP_TICK + 300;
    let deaths = [0; 4].map(|_| world.random.between(0, last_tick));
    let who_hangs_up = usize::from(world.random.chance(500));
    if ending == Ending::Cancelled {
        world.phones[1].set_answer_policy(AnswerPolicy::Ring, 0);
    }
    world.command(0, PhoneCommand::Call { to: "sip:bob@example.test".to_owned() });
    for tick in 0..RUN_TICKS {
        if deaths[..2].contains(&tick) {
            let turn = world.node.take_over();
            world.send(&turn);
        }
        if tick == deaths[2] {
            world.dying = Some(Death::BeforeCommit);
        }
        if tick == deaths[3] {
            world.dying = Some(Death::CommittedButNothingSent);
        }
        if tick == HANG_UP_TICK {
            match ending {
                Ending::HungUp => world.command(who_hangs_up, PhoneCommand::HangUp),
                Ending::Cancelled => world.command(0, PhoneCommand::Cancel),
            }
        }
        world.tick();
    }
    let told = ["sip.invite", "sip.answered", "sip.ended", "sip.rejected"];
    let expected = match ending {
        Ending::HungUp => [1, 1, 1, 0],
        Ending::Cancelled => [1, 0, 0, 1],
    };
    assert_eq!(told.map(|it| world.node.count(it)), expected, "seed {seed}");
    assert_eq!(world.node.living_activities(), 0, "seed {seed}");
    assert!(world.phones.iter().all(Phone::is_idle), "seed {seed}");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    HungUp,
    Cancelled,
}

#[test]
fn nodes_may_die_at_any_moment_of_a_call() {
    (0..SEEDS).for_each(|seed| run(seed, 0, Ending::HungUp));
}

#[test]
fn nodes_may_die_at_any_moment_of_a_call_over_a_lossy_network() {
    (0..SEEDS).for_each(|seed| run(seed, 150, Ending::HungUp));
}

#[test]
fn nodes_may_die_at_any_moment_of_a_call_that_is_cancelled() {
    (0..SEEDS).for_each(|seed| run(seed, 150, Ending::Cancelled));
}

/// The phones talk, and then no node lives for 40 s, which is longer than a BYE is repeated.
fn talk_and_outage(seed: u64, who_hangs_up: Option<usize>) -> World {
    let mut world = World::new(seed, 100);
    world.command(0, PhoneCommand::Call { to: "sip:bob@example.test".to_owned() });
    (0..HANG_UP_TICK).for_each(|_| world.tick());
    if let Some(phone) = who_hangs_up {
        world.command(phone, PhoneCommand::HangUp);
    }
    world.outage(4_000);
    (0..RUN_TICKS / 2).for_each(|_| world.tick());
    world
}

#[test]
fn a_call_that_was_ended_while_no_node_lived_is_closed_for_both() {
    for seed in 0..SEEDS {
        for who in [0, 1] {
            let world = talk_and_outage(seed, Some(who));
            assert_eq!(world.node.count("sip.ended"), 1, "seed {seed}");
            assert_eq!(world.node.living_activities(), 0, "seed {seed}");
            assert!(world.phones.iter().all(Phone::is_idle), "seed {seed}");
        }
    }
}

#[test]
fn a_call_that_nobody_ended_while_no_node_lived_goes_on() {
    for seed in 0..SEEDS {
        let mut world = talk_and_outage(seed, None);
        assert_eq!(world.node.count("sip.ended"), 0, "seed {seed}");
        world.command(1, PhoneCommand::HangUp);
        (0..RUN_TICKS / 2).for_each(|_| world.tick());
        assert_eq!(world.node.count("sip.ended"), 1, "seed {seed}");
        assert!(world.phones.iter().all(Phone::is_idle), "seed {seed}");
    }
}
