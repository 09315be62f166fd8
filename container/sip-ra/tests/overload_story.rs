//! Overload is shed at the entrance: the adaptor in a whole core, whose only service is slow.

mod harness;

use harness::phone::{ALICE, follow_up, invite};
use harness::{flow, parse};
use resilee_core::{Adaptors, Core, CoreConfig, Input, Limits, Output, Restored};
use resilee_membership::{Balancers, Key, RunId, Unclean};
use resilee_sbb::{
    CohortId, Context, Deliver, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb, Tables,
    Timestamp,
};
use resilee_sip_api::{Invite, SipCommand};
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{CallLimits, SipRa, SipRaConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nobody is there.
#[derive(Default, Serialize, Deserialize)]
struct Nobody {}

impl Sbb for Nobody {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { initial_events: &[Invite::TYPE], ..Descriptor::named("nobody") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match event.event_type.as_str() {
            Invite::TYPE => {
                let (reason, headers) = (String::new(), Vec::new());
                cx.send(&SipCommand::Respond { status: 480, reason, headers })
            }
            _ => Ok(()),
        }
    }
}

/// A node of its own, with a disk that flushes at once.
struct Node {
    core: Core,
    now: Timestamp,
    /// Deliveries that nobody has answered.
    waiting: Vec<Deliver>,
    sent: Vec<String>,
}

impl Node {
    /// It takes no new call once so many deliveries wait.
    fn with_deliveries(deliveries_max: usize) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let me = RunId { node: "server1".parse().expect("a name"), incarnation: 1 };
        let config = CoreConfig {
            me,
            key: Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough"),
            peers: Vec::new(),
            behind_balancer: false,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 0,
            unclean: Unclean::Refuse,
            limits: Limits { deliveries_max, ..Limits::default() },
        };
        let advertise: std::net::SocketAddr = harness::BALANCER.parse().expect("an address");
        let advertise = advertise.into();
        let (timers, calls) = (TimerConfig::default(), CallLimits::default());
        let (key, cohort) = ([7; 32], CohortId(1));
        let sip = SipRa::new(SipRaConfig { advertise, key, seed: 1, cohort, timers, calls });
        let adaptors = Adaptors::first("sip", Box::new(sip));
        let services = [LinkedSbb::of::<Nobody>()];
        let (tables, restored) = (Tables::default(), Restored::default());
        let core = Core::new(now, config, &services, adaptors, tables, restored);
        let mut node = Node { core, now, waiting: Vec::new(), sent: Vec::new() };
        node.drain();
        node
    }

    fn feed(&mut self, input: Input) {
        self.core.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Store(batch) => {
                    let stored = Input::Stored { number: batch.number };
                    self.core.handle_input(self.now, stored);
                }
                Output::Deliver(deliver) => self.waiting.push(*deliver),
                Output::Datagram { bytes, .. } => {
                    self.sent.push(String::from_utf8(bytes).expect("text"));
                }
                _ => {}
            }
        }
    }

    /// Alice says something; what she hears at once.
    fn hear(&mut self, message: &str) -> Vec<String> {
        self.sent.clear();
        self.feed(Input::Datagram { flow: flow(ALICE), bytes: message.as_bytes().to_vec() });
        std::mem::take(&mut self.sent)
    }

    /// Handlers return.
    fn work(&mut self) -> Vec<String> {
        self.sent.clear();
        while let Some(deliver) = self.waiting.pop() {
            let outcome = LinkedSbb::of::<Nobody>().invoke(&deliver);
            self.feed(Input::Outcome { delivery: deliver.id, outcome });
        }
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Timeout);
        }
        self.now = end;
    }

    fn is_shedding(&self) -> bool {
        let alarms = self.core.status(self.now).alarms;
        alarms.iter().any(|alarm| alarm.text.contains("more than limits.deliveries_max"))
    }
}

/// Alice's call number so and so.
fn call(number: u32) -> String {
    let named = invite().replace("call-1", &format!("call-{number}"));
    named.replace("z9hG4bK", &format!("z9hG4bK{number}"))
}

fn statuses(sent: &[String]) -> Vec<u16> {
    sent.iter().filter_map(|text| parse(text).status()).collect()
}

/// RFC 3261 §21.5.4: Retry-After says when the server will take calls again.
#[test]
fn new_calls_are_refused_with_503_and_retry_after_while_too_many_wait() {
    let mut node = Node::with_deliveries(2);
    for number in 1..=3 {
        assert!(!statuses(&node.hear(&call(number))).contains(&503), "call {number} is taken");
    }
    let refused = node.hear(&call(4));
    assert_eq!(statuses(&refused), [503]);
    assert_eq!(parse(&refused[0]).header_named("Retry-After").as_deref(), Some("10"));
    assert!(node.is_shedding());
    assert_eq!(node.waiting.len(), 3, "no service heard of it");
}

#[test]
fn calls_in_progress_are_served_meanwhile_and_new_ones_again_when_it_is_over() {
    let mut node = Node::with_deliveries(2);
    (1..=3).for_each(|number| drop(node.hear(&call(number))));
    assert_eq!(statuses(&node.hear(&call(4))), [503]);
    let cancel = follow_up("CANCEL", 1).replace("z9hG4bK", "z9hG4bK1");
    node.hear(&cancel);
    let answered = statuses(&node.work());
    assert!(answered.iter().filter(|status| **status == 480).count() >= 2, "{answered:?}");
    node.pass(Duration::from_secs(6));
    assert!(!node.is_shedding(), "the alarm clears by itself");
    assert!(!statuses(&node.hear(&call(5))).contains(&503));
}
