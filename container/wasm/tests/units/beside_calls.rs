//! Hostile units beside calls, in a cluster of two servers: each delivery of theirs rolls back,
//! whatever they do in it, and calls go on and are billed, also when a server dies meanwhile.

use crate::guest::{Guest, line};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, FailurePolicy, LinkedSbb, Sbb,
    UnitCompiler, UnitDescription, UnitLimits,
};
use resilee_sip_api::Invite;
use resilee_test_cluster::{CallPhase, Called, TestCluster};
use resilee_wasm::UnitHost;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What each of them does in each delivery, and what the reason says.
const DEEDS: [(&str, &str); 3] = [
    ("(loop $l (br $l))", "it ran longer than "),
    (
        "(loop $l (drop (memory.grow (i32.const 16))) (br $l))",
        "it asked for more than 32 MiB of memory",
    ),
    ("unreachable", "it ended without an answer: wasm trap: "),
];
/// How long one may run, so that what does something else is stopped for that.
const TIME_MAX: Duration = Duration::from_millis(250);
/// Failures of a service at a node after which its policy counts.
const FAILURES: usize = 3;
/// Deliveries of a call that it gets where nothing keeps it from them.
const OF_A_CALL: usize = 2;
/// Longer than a takeover.
const TAKEOVER: Duration = Duration::from_secs(4);
const POLICIES: [FailurePolicy; 3] =
    [FailurePolicy::Keep, FailurePolicy::RefuseNew, FailurePolicy::Suspend];

/// What a hostile unit says that it is: a service of each call.
#[derive(Default, Serialize, Deserialize)]
struct InCalls<const POLICY: usize>;

impl<const POLICY: usize> Sbb for InCalls<POLICY> {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let on_repeated_failures = POLICIES[POLICY];
        let deployment = Deployment { on_repeated_failures, ..Deployment::ALONE };
        Descriptor { initial_events: &[Invite::TYPE], deployment, ..Descriptor::named("guest") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

fn described(policy: FailurePolicy) -> Vec<u8> {
    let sbb = match policy {
        FailurePolicy::Keep => LinkedSbb::of::<InCalls<0>>(),
        FailurePolicy::RefuseNew => LinkedSbb::of::<InCalls<1>>(),
        FailurePolicy::Suspend => LinkedSbb::of::<InCalls<2>>(),
    };
    UnitDescription::of(&[sbb]).to_bytes()
}

/// A cluster with a unit of this policy that does this in each call.
struct House {
    cluster: TestCluster,
    reason: &'static str,
    /// Its deliveries that failed, at either server.
    failed: usize,
    alarms: Vec<String>,
}

impl House {
    fn with(host: &UnitHost, (deed, reason): (&str, &'static str), policy: FailurePolicy) -> Self {
        let mut guest = Guest { description: described(policy), ..Guest::that(deed) };
        guest.keeps(&line("it is called"), 1);
        let unit = host.compile(&guest.bytes()).expect("a unit");
        let mut cluster = TestCluster::builder().unit(unit).start();
        for user in ["bob", "dave"] {
            cluster.phone(user);
        }
        House { cluster, reason, failed: 0, alarms: Vec::new() }
    }

    /// Alice has a call with bob meanwhile; carol has one with dave, and hangs up.
    fn short_call(&mut self) {
        assert_eq!(self.cluster.phone("carol").calls("dave"), Called::Answered);
        self.cluster.phone("carol").hangs_up();
        assert_eq!(self.cluster.phone("alice").phase(), Some(CallPhase::Answered));
        self.look();
    }

    /// Notes what was told since then.
    fn look(&mut self) {
        let lines = self.cluster.traces();
        self.failed += lines.iter().filter(|text| *text == "it is called").count();
        self.alarms.extend(self.cluster.alarms());
    }

    fn has_alarm(&self, part: &str) -> bool {
        self.alarms.iter().any(|text| text.contains(part))
    }
}

/// Alice talks while calls come and go, until the unit has failed too often at the first server;
/// that one dies, and the same goes on at the other one.
fn calls_go_on(host: &UnitHost, deed: (&str, &'static str), policy: FailurePolicy) {
    let mut house = House::with(host, deed, policy);
    assert_eq!(house.cluster.phone("alice").calls("bob"), Called::Answered);
    for _ in 0..FAILURES {
        house.short_call();
    }
    let when = format!("{deed:?}, {policy:?}: {:?}", house.alarms);
    assert!(house.has_alarm(house.reason), "{when}");
    assert!(house.has_alarm("guest failed 3 times within 60 s"), "{when}");
    let is_kept = policy == FailurePolicy::Keep;
    let here = if is_kept { OF_A_CALL * (FAILURES + 1) } else { FAILURES };
    assert_eq!(house.failed, here, "{when}");
    let is_suspended = policy == FailurePolicy::Suspend;
    assert_eq!(house.has_alarm("guest is deactivated since it failed"), is_suspended, "{when}");

    house.cluster.node("server1").kill();
    house.cluster.clock().advance(TAKEOVER);
    house.failed = 0;
    for _ in 0..=FAILURES {
        house.short_call();
    }
    // It counts its own, of a service that is active.
    let there = match policy {
        FailurePolicy::Keep => OF_A_CALL * (FAILURES + 1),
        FailurePolicy::RefuseNew => FAILURES,
        FailurePolicy::Suspend => 0,
    };
    assert_eq!(house.failed, there, "{deed:?}, {policy:?}: {:?}", house.alarms);

    house.cluster.phone("bob").hangs_up();
    let bills = house.cluster.bills();
    assert_eq!(bills.len(), 1 + FAILURES + FAILURES + 1, "{deed:?}, {policy:?}");
    house.cluster.clock().advance(Duration::from_secs(60));
    assert!(house.cluster.is_empty(), "{deed:?}, {policy:?}");
}

#[test]
fn calls_go_on_and_are_billed_whatever_a_unit_does_and_whichever_server_dies() {
    let limits = UnitLimits::default().with_time_max(TIME_MAX);
    let host = UnitHost::new(limits).expect("a host");
    for deed in DEEDS {
        for policy in POLICIES {
            calls_go_on(&host, deed, policy);
        }
    }
}

/// At each millisecond of a call's beginning, in which the unit fails, too.
#[test]
fn a_call_in_which_a_unit_fails_begins_whenever_its_server_dies() {
    let limits = UnitLimits::default().with_time_max(TIME_MAX);
    let host = UnitHost::new(limits).expect("a host");
    for millis in 0..10 {
        let mut house = House::with(&host, DEEDS[2], FailurePolicy::RefuseNew);
        house.cluster.phone("alice").dials("bob");
        house.cluster.clock().advance(Duration::from_millis(millis));
        house.cluster.node("server1").kill();
        house.cluster.clock().advance(Duration::from_secs(10));
        let phase = house.cluster.phone("alice").phase();
        assert_eq!(phase, Some(CallPhase::Answered), "killed after {millis} ms");
        house.cluster.phone("bob").hangs_up();
        assert_eq!(house.cluster.bills().len(), 1, "killed after {millis} ms");
        house.cluster.clock().advance(Duration::from_secs(60));
        assert!(house.cluster.is_empty(), "killed after {millis} ms");
    }
}

/// Its threads do not come to run: that is no fault of the service.
#[test]
fn a_unit_for_which_its_server_has_no_time_is_not_deactivated() {
    let limits = UnitLimits::default().with_time_max(Duration::from_millis(1));
    let host = UnitHost::with_cpu_clock(limits, || Duration::ZERO).expect("a host");
    let deed = (DEEDS[0].0, "its node had no time for it: ");
    let mut house = House::with(&host, deed, FailurePolicy::Suspend);
    assert_eq!(house.cluster.phone("alice").calls("bob"), Called::Answered);
    for _ in 0..FAILURES {
        house.short_call();
    }
    assert_eq!(house.failed, OF_A_CALL * (FAILURES + 1), "{:?}", house.alarms);
    house.cluster.node("server1").kill();
    house.cluster.clock().advance(TAKEOVER);
    house.failed = 0;
    for _ in 0..=FAILURES {
        house.short_call();
    }
    assert_eq!(house.failed, OF_A_CALL * (FAILURES + 1), "{:?}", house.alarms);
    assert!(!house.has_alarm("guest"), "{:?}", house.alarms);
}
