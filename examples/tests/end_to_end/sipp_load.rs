//! 200 phones register with digest, 500 calls come at 50 a second, and the server that has them
//! is killed in the middle: no call fails, and there are 500 bills, each for the time that its
//! call was held. The same, with fewer, over TCP: there SIPp says everything once, its phones have
//! closed the connections by which they registered, and are called at the port that they named.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::load::Load;
use crate::support::system_program::is_wanted;

const UDP: Load = Load { users: 200, calls: 500, rate: 50, hold_ms: 4_000, transport: "u1" };
const TCP: Load = Load { users: 40, calls: 200, rate: 25, hold_ms: 4_000, transport: "t1" };

#[test]
fn no_call_of_a_load_is_lost_or_billed_twice_when_its_server_is_killed() {
    play(UDP);
}

#[test]
fn no_call_over_tcp_is_lost_or_billed_twice_when_its_server_is_killed() {
    play(TCP);
}

fn play(load: Load) {
    if !is_wanted("sipp") {
        return;
    }
    let mut cluster = Cluster::start(&load.names(), Calls::Open);
    let mut calling = load.start(&cluster);
    calling.wait_until_begun(load.calls / 2);
    let (begun, in_progress) = (calling.begun(), cluster.rest(1).calls().len());
    cluster.kill_node(1);
    println!("server1 killed after {begun} calls, {in_progress} of them in progress");

    let bills = calling.wait_for_bills(&cluster, 2);
    let closed_by = |name| bills.iter().filter(|bill| bill.closed_by == name).count();
    let moved = bills.iter().filter(|bill| bill.answered_by != bill.closed_by).count();
    let [first, second] = SERVERS.map(closed_by);
    assert!(moved > 0, "no call was taken over: the kill came at the wrong time");
    println!("{first} closed by server1, {second} by server2, {moved} taken over in mid-call");
}
