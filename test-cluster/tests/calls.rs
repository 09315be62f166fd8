//! What a test can do with phones, nodes and time.

use resilee_call_billing::{TARIFFS, Tariff};
use resilee_test_cluster::{AnswerPolicy, CallPhase, Called, PhoneEvent, TestCluster};
use std::time::Duration;

/// Nearly: what is said takes a few milliseconds, and a second that was begun is billed whole.
const MINUTE: Duration = Duration::from_millis(59_500);

fn with_phones() -> TestCluster {
    let mut cluster = TestCluster::builder().start();
    cluster.phone("alice");
    cluster.phone("bob");
    cluster
}

#[test]
fn a_call_is_answered_billed_and_over() {
    let mut cluster = with_phones();
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    assert_eq!(cluster.phone("bob").phase(), Some(CallPhase::Answered));
    cluster.clock().advance(MINUTE);
    cluster.phone("alice").hangs_up();
    let [bill] = &cluster.bills()[..] else { panic!("{:?}", cluster.bills()) };
    assert_eq!((bill.seconds, bill.closed_by.as_str()), (60, "server1"));
    let over = PhoneEvent::HungUp { by_remote: true };
    assert_eq!(cluster.phone("bob").events().last(), Some(&over));
    cluster.clock().advance(MINUTE);
    assert!(cluster.is_empty());
    assert_eq!(cluster.alarms(), [""; 0]);
}

#[test]
fn a_call_outlives_its_node_and_the_node_that_took_over() {
    let mut cluster = with_phones();
    cluster.phone("alice").calls("bob");
    cluster.node("server1").kill();
    cluster.clock().advance(MINUTE);
    cluster.node("server1").start();
    cluster.node("server2").kill();
    cluster.phone("bob").hangs_up();
    let [bill] = &cluster.bills()[..] else { panic!("{:?}", cluster.bills()) };
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server1"));
    assert!(bill.seconds >= 60, "{} s", bill.seconds);
    cluster.clock().advance(MINUTE);
    assert!(cluster.is_empty());
}

#[test]
fn a_node_that_dies_while_it_rings_is_not_noticed() {
    let mut cluster = with_phones();
    cluster.phone("bob").will(AnswerPolicy::Manual);
    cluster.phone("alice").dials("bob");
    cluster.clock().advance(Duration::from_millis(200));
    assert_eq!(cluster.phone("bob").phase(), Some(CallPhase::Ringing));
    cluster.node("server1").kill();
    cluster.clock().advance(Duration::from_secs(2));
    cluster.phone("bob").picks_up();
    cluster.clock().advance(Duration::from_secs(2));
    assert_eq!(cluster.phone("alice").phase(), Some(CallPhase::Answered));
}

#[test]
fn calls_that_fail_say_why() {
    let mut cluster = with_phones();
    cluster.phone("bob").will(AnswerPolicy::Busy);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    assert_eq!(cluster.phone("alice").calls("carol"), Called::Failed(404));
    cluster.phone("bob").will(AnswerPolicy::Ring);
    cluster.phone("alice").dials("bob");
    cluster.clock().advance(Duration::from_secs(5));
    cluster.phone("alice").hangs_up();
    assert_eq!(cluster.phone("alice").events().last(), Some(&PhoneEvent::CallFailed(487)));
    assert_eq!(cluster.bills(), []);
}

#[test]
fn a_profile_that_is_written_counts_at_both_nodes() {
    let mut cluster = with_phones();
    let money = |text: &str| text.parse().expect("an amount");
    let tariff = Tariff {
        prefix: String::new(),
        currency: "EUR".to_owned(),
        connect_fee: money("1.00"),
        per_minute: money("0.12"),
        increment_s: 1,
    };
    cluster.profile(TARIFFS, "", &tariff);
    cluster.node("server1").kill();
    cluster.phone("alice").calls("bob");
    cluster.clock().advance(MINUTE);
    cluster.phone("alice").hangs_up();
    assert_eq!(cluster.bills()[0].total, money("1.12"));
}

#[test]
#[should_panic(expected = "there is no server3: name server1 or server2")]
fn a_node_that_is_not_there_is_named() {
    with_phones().node("server3");
}
