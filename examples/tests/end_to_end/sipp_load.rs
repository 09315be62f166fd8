//! 200 phones register with digest, 500 calls come at 50 a second, and the server that has them
//! is killed in the middle: no call fails, and there are 500 bills, each for the time that its
//! call was held. The same, with fewer, over TCP: there SIPp says everything once, its phones have
//! closed the connections by which they registered, and are called at the port that they named.

use crate::support::cluster::{Calls, Cluster, SERVERS, password};
use crate::support::condition::{SOON, wait_until};
use crate::support::ports::free_ports;
use crate::support::rest::Bill;
use crate::support::sipp::{Held, Sipp};
use crate::support::system_program::is_wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// How many call how often, and by what.
struct Load {
    users: u64,
    calls: u64,
    /// Calls that begin in a second.
    rate: u64,
    /// SIPp's name of it.
    transport: &'static str,
}

const UDP: Load = Load { users: 200, calls: 500, rate: 50, transport: "u1" };
const TCP: Load = Load { users: 40, calls: 200, rate: 25, transport: "t1" };

const HOLD_MS: u64 = 4_000;
/// The load takes 14 seconds; the rest is for repeats and a slow machine.
const LOAD_WITHIN: Duration = Duration::from_secs(90);
/// How far a bill may be from what the caller measured.
const TOLERANCE: Duration = Duration::from_secs(1);

#[test]
fn no_call_of_a_load_is_lost_or_billed_twice_when_its_server_is_killed() {
    play(&UDP);
}

#[test]
fn no_call_over_tcp_is_lost_or_billed_twice_when_its_server_is_killed() {
    play(&TCP);
}

fn play(load: &Load) {
    if !is_wanted("sipp") {
        return;
    }
    let users: Vec<String> = (1..=load.users).map(|number| format!("desk{number}")).collect();
    let mut cluster = Cluster::start(&users, Calls::Open);
    let port = free_ports(1);
    register(&cluster, &users, port, load);
    let options = ["-m", &load.calls.to_string(), "-t", load.transport];
    let mut callee = Sipp::start("callee", cluster.folder(), port, None, &options);
    let mut caller = start_calls(&cluster, load);

    wait_until("half of the calls have begun", LOAD_WITHIN, || {
        assert!(caller.is_running() && callee.is_running(), "{}", caller.errors());
        caller.count("TotalCallCreated") >= load.calls / 2
    });
    let begun = caller.count("TotalCallCreated");
    let in_progress = cluster.rest(1).calls().len();
    cluster.kill_node(1);
    println!("server1 killed after {begun} calls, {in_progress} of them in progress");

    for side in [&mut caller, &mut callee] {
        side.wait_for_success(LOAD_WITHIN);
        println!("{}", side.sum());
        assert_eq!(side.count("SuccessfulCall(C)"), load.calls);
        assert_eq!(side.count("FailedCall(C)"), 0);
    }

    let survivor = cluster.rest(2);
    survivor.wait_for_no_calls();
    wait_until("all bills are there", SOON, || survivor.bills().len() as u64 >= load.calls);
    check_bills(&survivor.bills(), &caller.held(), load);
}

/// All phones are one SIPp, at the port where the callee will be.
fn register(cluster: &Cluster, users: &[String], port: u16, load: &Load) {
    let mut file = String::from("SEQUENTIAL\n");
    for user in users {
        let password = password(user);
        file += &format!("{user};[authentication username={user} password={password}]\n");
    }
    fs::write(cluster.folder().join("users.csv"), file).expect("the folder takes files");
    let count = users.len().to_string();
    let transport = load.transport;
    let options =
        ["-inf", "users.csv", "-m", &count, "-r", "100", "-timeout", "30s", "-t", transport];
    let mut sipp = Sipp::start("register", cluster.folder(), port, Some(cluster.sip()), &options);
    sipp.wait_for_success(LOAD_WITHIN);
    println!("{}", sipp.sum());
    assert_eq!(sipp.count("SuccessfulCall(C)"), load.users);
}

fn start_calls(cluster: &Cluster, load: &Load) -> Sipp {
    let [calls, rate, hold] = [load.calls, load.rate, HOLD_MS].map(|number| number.to_string());
    let options = ["-inf", "users.csv", "-m", &calls, "-r", &rate, "-d", &hold, "-l", &calls];
    let options = [options.as_slice(), &["-t", load.transport]].concat();
    Sipp::start("caller", cluster.folder(), free_ports(1), Some(cluster.sip()), &options)
}

fn check_bills(bills: &[Bill], held: &BTreeMap<String, Held>, load: &Load) {
    let call_ids: BTreeSet<&str> = bills.iter().map(|bill| bill.call_id.as_str()).collect();
    let called: BTreeSet<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(bills.len() as u64, load.calls, "bills");
    assert_eq!(call_ids.len(), bills.len(), "a call is billed twice");
    assert_eq!(call_ids, called, "bills are for other calls");
    let mut worst = Duration::ZERO;
    for bill in bills {
        let time = held[&bill.call_id].time().expect("a good call has an answer and an end");
        let off = bill.talk_time().abs_diff(time);
        assert!(off <= TOLERANCE, "held for {time:?}, {off:?} off: {bill:#?}");
        assert_eq!(bill.seconds, bill.talk_time().as_secs_f64().ceil() as u64, "{bill:#?}");
        worst = worst.max(off);
    }
    let closed_by = |name| bills.iter().filter(|bill| bill.closed_by == name).count();
    let moved = bills.iter().filter(|bill| bill.answered_by != bill.closed_by).count();
    let [first, second] = SERVERS.map(closed_by);
    assert!(moved > 0, "no call was taken over: the kill came at the wrong time");
    println!(
        "{} bills, {first} closed by server1, {second} by server2, {moved} taken over in mid-call; \
         the worst is {} ms off",
        bills.len(),
        worst.as_millis()
    );
}
