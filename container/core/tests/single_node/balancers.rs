//! What a node says of two balancers of which one holds the seat.

use crate::toy::adaptors;
use resilee_core::management::Notice;
use resilee_core::{Core, CoreConfig, Input, Limits, Output, Restored};
use resilee_membership::{
    Balancers, Control, ControlBody, Key, Packet, RunId, Unclean, VoterId, open, seal_control,
};
use resilee_sbb::{Severity, Tables, Timestamp};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const HEARTBEAT_MS: u64 = 50;

fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

/// A node of its own, and `x` and `y`, of which `x` holds the seat.
struct Stage {
    core: Core,
    now: Timestamp,
    /// What the node told each of them last.
    echo: BTreeMap<SocketAddr, u64>,
    sequence: u64,
    /// What the log was told.
    said: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let name = |text: &str| text.parse().expect("a name");
        let now = Timestamp::from_millis(1_700_000_000_000);
        let config = CoreConfig {
            me: RunId { node: name("server1"), incarnation: 1 },
            key: key(),
            peers: Vec::new(),
            behind_balancer: true,
            balancers: Balancers::new([name("x"), name("y")]),
            heartbeat_ms: HEARTBEAT_MS,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
            limits: Limits::default(),
        };
        let core = Core::new(now, config, &[], adaptors(), Tables::default(), Restored::default());
        let mut stage = Stage { core, now, echo: BTreeMap::new(), sequence: 0, said: Vec::new() };
        stage.run(1_000, &[("x", true), ("y", true)]);
        stage
    }

    /// Time passes; these balancers are heard, and say whether they are ready.
    fn run(&mut self, millis: u64, heard: &[(&str, bool)]) {
        for _ in 0..millis / HEARTBEAT_MS {
            self.now = self.now + Duration::from_millis(HEARTBEAT_MS);
            for (name, ready) in heard {
                self.sequence += 1;
                let source = SocketAddr::from(([127, 0, 0, 1], u16::from(name.as_bytes()[0])));
                let body = ControlBody::Heartbeat {
                    sequence: self.sequence,
                    echo: self.echo.get(&source).copied().unwrap_or(0),
                    hears_seat: true,
                    sent_at: self.now,
                    draining: false,
                    ready: *ready,
                    rests: false,
                    seat: None,
                    confirms: false,
                };
                let from = VoterId::Balancer(name.parse().expect("a name"));
                let bytes = seal_control(&key(), &Control { view: 1, from, body });
                self.feed(Input::Packet { source, bytes });
            }
            self.feed(Input::Timeout);
        }
    }

    fn feed(&mut self, input: Input) {
        self.core.handle_input(self.now, input);
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Store(batch) => {
                    self.core.handle_input(self.now, Input::Stored { number: batch.number });
                }
                Output::SaveVote { number, .. } => {
                    self.core.handle_input(self.now, Input::VoteSaved { number });
                }
                Output::Notice(Notice::Member(notice)) => self.said.push(notice.to_string()),
                Output::Packet { destination, bytes } => self.note_heartbeat(destination, &bytes),
                _ => {}
            }
        }
    }

    fn note_heartbeat(&mut self, to: SocketAddr, bytes: &[u8]) {
        let packet = open(&key(), bytes).expect("the node seals it");
        let Packet::Control(Control { body: ControlBody::Heartbeat { sequence, .. }, .. }) = packet
        else {
            return;
        };
        self.echo.insert(to, sequence);
    }

    fn alarms(&self) -> Vec<(Severity, String)> {
        let alarms = self.core.status(self.now).alarms.into_iter();
        alarms.filter(|it| it.source == "balancer").map(|it| (it.severity, it.text)).collect()
    }
}

#[test]
fn one_that_stands_by_and_is_not_ready_is_an_alarm_until_it_is() {
    let mut stage = Stage::new();
    assert_eq!(stage.alarms(), []);
    stage.run(4_900, &[("x", true), ("y", false)]);
    assert_eq!(stage.alarms(), [], "it may be over soon");
    stage.run(300, &[("x", true), ("y", false)]);
    let alarms = stage.alarms();
    let [(Severity::Major, text)] = &alarms[..] else { panic!("{alarms:?}") };
    assert!(text.starts_with("y, which stands by, is not ready"), "{text}");
    stage.run(100, &[("x", true), ("y", true)]);
    assert_eq!(stage.alarms(), []);
}

#[test]
fn one_that_holds_the_seat_and_is_not_ready_is_a_critical_alarm() {
    let mut stage = Stage::new();
    stage.run(5_200, &[("x", false), ("y", false)]);
    let alarms = stage.alarms();
    let of = |name: &str| alarms.iter().find(|(_, text)| text.starts_with(name));
    let (severity, text) = of("x, which should serve, is not ready").expect("it is raised");
    assert_eq!(*severity, Severity::Critical, "{text}");
    assert!(of("y, which stands by, is not ready").is_some(), "{alarms:?}");
    stage.run(100, &[("x", true), ("y", true)]);
    assert_eq!(stage.alarms(), []);
}

#[test]
fn one_that_is_not_ready_and_then_not_heard_is_an_alarm_of_that_only() {
    let mut stage = Stage::new();
    stage.run(5_200, &[("x", true), ("y", false)]);
    stage.run(1_000, &[("x", true)]);
    let alarms = stage.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].1.starts_with("y, which stands by, is not heard"), "{alarms:?}");
}

#[test]
fn one_that_this_node_does_not_know_is_counted_and_named_once_in_the_log() {
    let mut stage = Stage::new();
    stage.run(500, &[("x", true), ("y", true), ("z", true)]);
    let dropped = stage.core.status(stage.now).dropped;
    assert_eq!(dropped.get("message of a balancer that this node does not know"), Some(&10));
    let named = stage.said.iter().filter(|said| said.contains("balancer z")).collect::<Vec<_>>();
    assert_eq!(named.len(), 1, "{:#?}", stage.said);
    assert!(named[0].contains("`[cluster] balancers`"), "{named:?}");
}
