//! What an operator does and what goes wrong beside the servers, in mid-call: the balancer dies
//! and is started again; a server is told to end; a killed server comes back.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::SOON;
use crate::support::handset::Handset;
use crate::support::rest::Bill;
use std::time::Duration;

/// How far a bill may be from what the phone measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The pair of phones of a test, both registered.
struct Phones {
    alice: Handset,
    bob: Handset,
}

impl Phones {
    #[track_caller]
    fn register(cluster: &Cluster) -> Self {
        let phone = |user| Handset::start(user, cluster.sip());
        let phones = Phones { alice: phone("alice"), bob: phone("bob") };
        phones.alice.register();
        phones.bob.register();
        phones
    }

    /// Alice hangs up; the one bill that `server` then has is for the time she measured.
    #[track_caller]
    fn hang_up_and_compare(&self, cluster: &Cluster, server: usize, call_id: &str) -> Bill {
        assert!(self.alice.is_talking() && self.bob.is_talking(), "the call was cut");
        self.alice.hang_up();
        self.bob.wait_for_remote_hang_up();
        let bill = cluster.rest(server).wait_for_bill(call_id);
        let (billed, measured) = (bill.talk_time(), self.alice.talk_time());
        println!("billed {billed:?}, the caller measured {measured:?}: {bill:?}");
        assert!(billed.abs_diff(measured) <= TOLERANCE, "{billed:?} is not {measured:?}");
        assert_eq!(cluster.rest(server).bills().len(), 1, "one call, one bill");
        bill
    }
}

fn cluster() -> Cluster {
    Cluster::start(&["alice".to_owned(), "bob".to_owned()], Calls::Digest)
}

#[test]
fn a_call_outlives_its_balancer() {
    let mut cluster = cluster();
    let phones = Phones::register(&cluster);
    let call_id = phones.alice.call("bob");
    cluster.rest(1).wait_for_call(&call_id, "talking");
    let view = cluster.rest(1).nodes().expect("server1 answers").view;

    cluster.kill_balancer();
    cluster.start_balancer();

    let bill = phones.hang_up_and_compare(&cluster, 1, &call_id);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server1"));
    let now = cluster.rest(1).wait_for_members(&SERVERS, SOON).view;
    assert_eq!(now, view, "a balancer that comes back with its memory changes no view");
    let other = cluster.rest(2).wait_for_bill(&call_id);
    assert_eq!(other, bill, "both servers show the same bill");
}

#[test]
fn a_drained_server_hands_its_call_over() {
    let mut cluster = cluster();
    let phones = Phones::register(&cluster);
    let call_id = phones.alice.call("bob");
    let call = cluster.rest(1).wait_for_call(&call_id, "talking");
    assert_eq!(call.node.as_deref(), Some("server1"));

    let status = cluster.drain_node(1).wait_for_end(SOON);
    assert!(status.success(), "a drained server ends with {status}");
    cluster.rest(2).wait_for_members(&["server2"], SOON);

    let bill = phones.hang_up_and_compare(&cluster, 2, &call_id);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));
}

#[test]
fn a_killed_server_comes_back_with_all_bills_and_takes_no_call_back() {
    let mut cluster = cluster();
    let phones = Phones::register(&cluster);
    let call_id = phones.alice.call("bob");
    cluster.rest(2).wait_for_call(&call_id, "talking");

    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&["server2"], SOON);
    cluster.start_node(1);
    for server in [1, 2] {
        cluster.rest(server).wait_for_members(&SERVERS, SOON);
    }
    let call = cluster.rest(1).wait_for_call(&call_id, "talking");
    assert_eq!(call.node.as_deref(), Some("server2"), "the call stays with who took it over");

    let bill = phones.hang_up_and_compare(&cluster, 1, &call_id);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));
    assert_eq!(cluster.rest(2).wait_for_bill(&call_id).total, bill.total);
}
