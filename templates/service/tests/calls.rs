//! The service in a cluster: two servers, a balancer and phones, in virtual time.

use my_service::MyService;
use resilee_test_cluster::{Called, TestCluster};
use std::time::Duration;

fn cluster() -> TestCluster {
    let mut cluster = TestCluster::builder().service::<MyService>().start();
    cluster.phone("bob");
    cluster
}

#[test]
fn a_call_to_a_premium_number_is_refused() {
    assert_eq!(cluster().phone("alice").calls("0900123"), Called::Failed(403));
}

#[test]
fn the_service_outlives_its_server() {
    let mut cluster = cluster();
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.clock().advance(Duration::from_secs(30));
    cluster.node("server1").kill();
    cluster.clock().advance(Duration::from_secs(30));
    assert!(cluster.state::<MyService>().is_some_and(|it| it.answered_at.is_some()));
    cluster.phone("alice").hangs_up();
    assert_eq!(cluster.traces(), ["they talked for 60 s"]);
    assert_eq!(cluster.bills().len(), 1);
}
