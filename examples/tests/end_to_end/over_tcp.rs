//! Phones over TCP and IPv6, which say everything once: no server's death is theirs to notice.

use crate::support::cluster::{Calls, Cluster};
use crate::support::handset::Handset;
use crate::support::line::Transport::{Tcp, Udp};

fn cluster() -> Cluster {
    Cluster::start(&["alice".to_owned(), "bob".to_owned()], Calls::Digest)
}

#[test]
fn a_call_from_tcp_to_udp_and_ipv6_survives_its_server() {
    let mut cluster = cluster();
    let alice = Handset::start_over(Tcp, "alice", cluster.sip());
    let bob = Handset::start_over(Udp, "bob", cluster.sip_v6());
    alice.register();
    bob.register();

    let call_id = alice.call("bob");
    cluster.kill_node(1);
    alice.hang_up();
    bob.wait_for_hang_up(true);
    let bill = cluster.rest(2).wait_for_bill(&call_id);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));

    cluster.start_node(1);
    cluster.rest(2).wait_for_members(&["server1", "server2"], crate::support::condition::SOON);
    let call_id = bob.call("alice");
    cluster.kill_node(2);
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(1).wait_for_bill(&call_id);
}

#[test]
fn what_a_phone_said_over_tcp_reaches_the_survivor_though_it_is_said_once() {
    let cluster = cluster();
    let alice = Handset::start_over(Tcp, "alice", cluster.sip_v6());
    let bob = Handset::start_over(Tcp, "bob", cluster.sip());
    alice.register();
    bob.register();
    let call_id = alice.call("bob");
    // It takes the BYE and does nothing with it.
    cluster.pause_node(1);
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(2).wait_for_bill(&call_id);
    cluster.wake_node(1);
}

#[test]
fn a_phone_that_lost_its_connection_hears_that_the_other_one_hung_up() {
    let cluster = cluster();
    let alice = Handset::start("alice", cluster.sip());
    let bob = Handset::start_over(Tcp, "bob", cluster.sip());
    alice.register();
    bob.register();
    let call_id = alice.call("bob");
    bob.lose_connection();
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(1).wait_for_bill(&call_id);
}
