//! What an operator does, and what goes wrong beside the servers, in mid-call: the balancer dies
//! and is started again; a server is told to end; a killed server comes back.

use crate::support::cluster::{Calls, Cluster, Link, SERVERS};
use crate::support::condition::SOON;
use crate::support::handset::Handset;
use crate::support::rest::Bill;
use std::time::Duration;

/// How long the phones talk at least before they hang up.
const TALK_S: u64 = 2;

/// How far a bill may be from what the phone measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The longest time between two repeats of a BYE (RFC 3261's T2): so much later than it was sent
/// may it be heard, once somebody is there to hear it.
const REPEAT_MAX: Duration = Duration::from_secs(4);

/// A cluster and two registered phones in a call that server1 owns.
struct Talk {
    cluster: Cluster,
    alice: Handset,
    bob: Handset,
    call_id: String,
}

impl Talk {
    #[track_caller]
    fn begin() -> Self {
        Talk::begin_with(Link::Plain)
    }

    #[track_caller]
    fn begin_with(link: Link) -> Self {
        let users = ["alice".to_owned(), "bob".to_owned()];
        let cluster = Cluster::start_with(&users, Calls::Digest, link);
        let phone = |user| Handset::start(user, cluster.sip());
        let (alice, bob) = (phone("alice"), phone("bob"));
        alice.register();
        bob.register();
        let call_id = alice.call("bob");
        for server in [1, 2] {
            let call = cluster.rest(server).wait_for_call(&call_id, "talking");
            assert_eq!(call.node.as_deref(), Some("server1"));
        }
        Talk { cluster, alice, bob, call_id }
    }

    /// Alice hangs up; the one bill that `server` then has is for the time she measured.
    #[track_caller]
    fn end(&self, server: usize) -> Bill {
        let rest = self.cluster.rest(server);
        rest.wait_for_talk(&self.call_id, TALK_S);
        assert!(self.alice.is_talking() && self.bob.is_talking(), "the call was cut");
        self.alice.hang_up();
        self.bob.wait_for_hang_up(true);
        let bill = rest.wait_for_only_bill(&self.call_id);
        let (billed, measured) = (bill.talk_time(), self.alice.talk_time());
        println!("billed {billed:?}, the caller measured {measured:?}: {bill:?}");
        assert!(billed.abs_diff(measured) <= TOLERANCE, "{billed:?} is not {measured:?}");
        bill
    }

    /// Kills the balancer, and waits until both servers know.
    #[track_caller]
    fn lose_balancer(&mut self) {
        self.cluster.kill_balancer();
        for server in [1, 2] {
            self.cluster.rest(server).wait_for_balancer("silent");
        }
    }

    #[track_caller]
    fn view(&self) -> u64 {
        self.cluster.rest(1).wait_for_members(&SERVERS, SOON).view
    }
}

#[track_caller]
fn assert_nodes(bill: &Bill, answered_by: &str, closed_by: &str) {
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), (answered_by, closed_by));
}

#[test]
fn a_call_outlives_its_balancer() {
    let mut talk = Talk::begin();
    let view = talk.view();
    talk.lose_balancer();
    talk.cluster.start_balancer();
    let bill = talk.end(1);
    assert_nodes(&bill, "server1", "server1");
    assert_eq!(talk.cluster.rest(2).wait_for_bill(&talk.call_id), bill, "both show the same bill");
    talk.cluster.rest(1).wait_for_balancer("up");
    assert_eq!(talk.view(), view, "a balancer that comes back with its memory changes no view");
}

#[test]
fn nobody_notices_that_the_balancers_process_is_killed_while_its_sockets_are_kept() {
    let mut talk = Talk::begin();
    talk.cluster.keep_balancer_sockets();
    talk.cluster.rest(1).wait_for_balancer("up");
    let view = talk.view();
    talk.cluster.rest(1).wait_for_talk(&talk.call_id, TALK_S);
    talk.cluster.kill_balancer_worker();
    // At once: the next process finds the BYE waiting.
    let bill = talk.end(1);
    assert_nodes(&bill, "server1", "server1");
    assert_eq!(talk.view(), view, "it comes back with its memory");
}

#[test]
fn a_hang_up_in_the_balancers_absence_is_billed_once_it_is_back() {
    let mut talk = Talk::begin();
    let view = talk.view();
    talk.cluster.rest(1).wait_for_talk(&talk.call_id, TALK_S);
    talk.lose_balancer();
    talk.alice.hang_up_unheard();
    talk.cluster.start_balancer();
    talk.alice.wait_for_hang_up(false);
    talk.bob.wait_for_hang_up(true);
    let bill = talk.cluster.rest(1).wait_for_only_bill(&talk.call_id);
    let (billed, measured) = (bill.talk_time(), talk.alice.talk_time());
    println!("billed {billed:?}, the caller measured {measured:?}: {bill:?}");
    let late = billed.saturating_sub(measured);
    assert!(billed + TOLERANCE > measured && late <= REPEAT_MAX, "{late:?} too much");
    assert_eq!(talk.view(), view, "an absence of the balancer votes nobody out");
}

#[test]
fn a_drained_server_hands_its_call_over() {
    let mut talk = Talk::begin();
    let status = talk.cluster.drain_node(1).wait_for_end(SOON);
    assert!(status.success(), "a drained server ends with {status}");
    talk.cluster.rest(2).wait_for_members(&["server2"], SOON);
    assert_nodes(&talk.end(2), "server1", "server2");
}

#[test]
fn a_killed_server_comes_back_with_all_state_and_takes_no_call_back() {
    comes_back(Talk::begin());
}

#[test]
fn a_killed_server_comes_back_over_a_link_with_certificates() {
    comes_back(Talk::begin_with(Link::Tls));
}

fn comes_back(mut talk: Talk) {
    talk.cluster.kill_node(1);
    talk.cluster.rest(2).wait_for_members(&["server2"], SOON);
    talk.cluster.start_node(1);
    for server in [1, 2] {
        talk.cluster.rest(server).wait_for_members(&SERVERS, SOON);
    }
    let call = talk.cluster.rest(1).wait_for_call(&talk.call_id, "talking");
    assert_eq!(call.node.as_deref(), Some("server2"), "the call stays with who took it over");
    let bill = talk.end(1);
    assert_nodes(&bill, "server1", "server2");
    assert_eq!(talk.cluster.rest(2).wait_for_bill(&talk.call_id).total, bill.total);
}
