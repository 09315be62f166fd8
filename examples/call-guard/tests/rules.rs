//! Rules in a cluster: two servers, a balancer and phones, in virtual time.

use call_guard::{CallCounter, CallGuard, RULES, Rule};
use resilee_test_cluster::{CallPhase, Called, TestCluster};
use std::time::Duration;

const ALICE: &str = "sip:alice@example.test";
const MINUTE: Duration = Duration::from_secs(60);

fn cluster() -> TestCluster {
    let builder = TestCluster::builder().service::<CallGuard>().service::<CallCounter>();
    let mut cluster = builder.start();
    cluster.phone("bob");
    cluster
}

fn limit(calls_per_minute: u32) -> Rule {
    Rule { blocked: false, calls_per_minute: Some(calls_per_minute) }
}

/// A short call.
fn call(cluster: &mut TestCluster, caller: &str) -> Called {
    let called = cluster.phone(caller).calls("bob");
    if called == Called::Answered {
        cluster.phone(caller).hangs_up();
    }
    called
}

#[test]
fn who_has_no_rule_calls_as_often_as_he_likes() {
    let mut cluster = cluster();
    for _ in 0..5 {
        assert_eq!(call(&mut cluster, "alice"), Called::Answered);
    }
}

#[test]
fn a_blocked_caller_is_refused_until_he_is_not_blocked_any_more() {
    let mut cluster = cluster();
    cluster.profile(RULES.name, ALICE, &Rule { blocked: true, ..Rule::default() });
    assert_eq!(call(&mut cluster, "alice"), Called::Failed(403));
    assert_eq!(call(&mut cluster, "carol"), Called::Answered);
    cluster.profile(RULES.name, ALICE, &Rule::default());
    assert_eq!(call(&mut cluster, "alice"), Called::Answered);
}

#[test]
fn calls_beyond_the_limit_are_refused_until_a_minute_is_over() {
    let mut cluster = cluster();
    cluster.profile(RULES.name, "*", &limit(2));
    for _ in 0..2 {
        assert_eq!(call(&mut cluster, "alice"), Called::Answered);
    }
    assert_eq!(call(&mut cluster, "alice"), Called::Failed(480));
    assert_eq!(call(&mut cluster, "carol"), Called::Answered, "each caller has a count");
    cluster.clock().advance(MINUTE);
    assert_eq!(call(&mut cluster, "alice"), Called::Answered);
}

#[test]
fn the_count_outlives_the_server_that_counted() {
    let mut cluster = cluster();
    cluster.profile(RULES.name, ALICE, &limit(2));
    assert_eq!(call(&mut cluster, "alice"), Called::Answered);
    cluster.node("server1").kill();
    assert_eq!(call(&mut cluster, "alice"), Called::Answered);
    cluster.node("server1").start();
    cluster.node("server2").kill();
    assert_eq!(call(&mut cluster, "alice"), Called::Failed(480));
}

/// Also while the counter is asked, and while it answers.
#[test]
fn a_call_is_counted_once_whenever_its_server_dies() {
    for millis in 0..16 {
        let mut cluster = cluster();
        cluster.profile(RULES.name, ALICE, &limit(1));
        cluster.phone("alice").dials("bob");
        cluster.clock().advance(Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(Duration::from_secs(10));
        let phase = cluster.phone("alice").phase();
        assert_eq!(phase, Some(CallPhase::Answered), "after {millis} ms");
        cluster.phone("alice").hangs_up();
        assert_eq!(call(&mut cluster, "alice"), Called::Failed(480), "after {millis} ms");
    }
}

#[test]
fn nothing_is_left_when_there_is_nothing_to_count() {
    let mut cluster = cluster();
    cluster.profile(RULES.name, "*", &limit(2));
    assert_eq!(call(&mut cluster, "alice"), Called::Answered);
    cluster.clock().advance(2 * MINUTE);
    assert!(cluster.is_empty());
    assert_eq!(cluster.alarms(), [""; 0]);
}
