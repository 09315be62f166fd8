//! Both versions in a cluster: two servers, a balancer and phones, in virtual time.

use call_screening::{CallScreening, CallScreening2, FORGOTTEN_AFTER};
use resilee_sbb::Sbb;
use resilee_test_cluster::{CallPhase, Called, TestCluster};
use std::time::Duration;

fn cluster<S: Sbb>() -> TestCluster {
    let mut cluster = TestCluster::builder().service::<S>().start();
    cluster.phone("bob");
    cluster
}

#[test]
fn premium_numbers_are_refused_and_others_are_called() {
    let mut cluster = cluster::<CallScreening>();
    assert_eq!(cluster.phone("alice").calls("0900123"), Called::Failed(403));
    assert_eq!(cluster.phone("alice").calls("0190123"), Called::Failed(404), "not blocked yet");
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.phone("alice").hangs_up();
    assert_eq!(cluster.bills().len(), 1, "a refused call costs nothing");
}

fn talk_outlives_its_server<S: Sbb>() {
    let mut cluster = cluster::<S>();
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.clock().advance(Duration::from_secs(30));
    cluster.node("server1").kill();
    cluster.clock().advance(Duration::from_secs(30));
    cluster.phone("alice").hangs_up();
    let traces = cluster.traces();
    let [line] = &traces[..] else { panic!("{traces:?}") };
    assert!(line.starts_with("sip:alice@example.test talked for 60."), "{line}");
    assert_eq!(cluster.bills().len(), 1);
}

#[test]
fn what_it_knows_of_a_call_outlives_the_server() {
    talk_outlives_its_server::<CallScreening>();
    talk_outlives_its_server::<CallScreening2>();
}

#[test]
fn the_second_version_blocks_more_numbers_and_counts_in_the_whole_cluster() {
    let mut cluster = cluster::<CallScreening2>();
    assert_eq!(cluster.phone("alice").calls("0190123"), Called::Failed(403));
    cluster.node("server1").kill();
    assert_eq!(cluster.phone("carol").calls("0900123"), Called::Failed(403));
    cluster.node("server1").start();
    cluster.node("server2").kill();
    assert_eq!(cluster.phone("alice").calls("0900123"), Called::Failed(403));
    let counted = |line: &String| line.starts_with("calls refused");
    let counts: Vec<_> = cluster.traces().into_iter().filter(counted).collect();
    assert_eq!(counts, [1, 2, 3].map(|n| format!("calls refused in the cluster: {n}")));
}

/// Also while it is on its way from the call to the count.
#[test]
fn a_refused_call_is_counted_once_whenever_its_server_dies() {
    for millis in 0..16 {
        let mut cluster = cluster::<CallScreening2>();
        cluster.phone("alice").dials("0190123");
        cluster.clock().advance(Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(Duration::from_secs(10));
        let phase = cluster.phone("alice").phase();
        assert_eq!(phase, Some(CallPhase::Ended), "after {millis} ms");
        let refused = cluster.state::<CallScreening2>().map(|count| count.refused);
        assert_eq!(refused, Some(1), "after {millis} ms");
    }
}

#[test]
fn nothing_is_left_when_nothing_was_refused_for_a_while() {
    let mut cluster = cluster::<CallScreening2>();
    assert_eq!(cluster.phone("alice").calls("0190123"), Called::Failed(403));
    cluster.clock().advance(FORGOTTEN_AFTER / 2);
    assert_eq!(cluster.phone("alice").calls("0190123"), Called::Failed(403));
    cluster.clock().advance(FORGOTTEN_AFTER / 2);
    assert_eq!(cluster.state::<CallScreening2>().map(|count| count.refused), Some(2));
    cluster.clock().advance(FORGOTTEN_AFTER);
    assert!(cluster.is_empty());
    assert_eq!(cluster.alarms(), [""; 0]);
}
