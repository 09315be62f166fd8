//! A service that was uploaded is upgraded and rolled back while 50 calls a second come, and the
//! server that has them is killed right after: no call fails, and each has one bill, whichever
//! version it began with. Both servers die while both versions have a call. And calls of the old
//! version are migrated to the new one, which goes on with them when their server is killed.

use crate::support::cluster::{Calls, Cluster, DOMAIN, SERVERS};
use crate::support::condition::SOON;
use crate::support::handset::Handset;
use crate::support::load::Load;
use crate::support::rest::Service;
use crate::support::system_program::is_wanted;
use crate::support::units::{order, unit, wait_for_trace};
use std::path::Path;

const LOAD: Load = Load { users: 200, calls: 800, rate: 50, hold_ms: 3_000, transport: "u1" };

/// Names of the service's versions.
const FIRST: &str = "call-screening";
const SECOND: &str = "call-screening-2";

/// How long each call is talked before the servers die.
const TALK_S: u64 = 1;

/// Both versions, built from their source.
#[track_caller]
fn versions(folder: &Path) -> [String; 2] {
    [(FIRST, &[][..]), (SECOND, &["--features", "version-2"])].map(|(name, features)| {
        let file = unit(folder, name, "call-screening", features);
        file.to_str().expect("a name as text").to_owned()
    })
}

/// `new` takes calls, while `old` still has some.
#[track_caller]
fn both_have_calls(cluster: &Cluster, new: &str, old: &str) {
    let rest = cluster.rest(2);
    let [new, old] = [(new, "active"), (old, "stopping")].map(|(name, state)| {
        rest.wait_for_service(name, |it| it.state == state && it.entities_in_cluster > 0)
    });
    println!("{new:?}, {old:?}");
}

/// A version says it when a call is over, at whichever server.
#[track_caller]
fn says_how_long_they_talked(cluster: &Cluster, version: &str, caller: &str) {
    let says = format!("sip:{caller}@{DOMAIN} talked for ");
    wait_for_trace(cluster, &SERVERS, version, &says);
}

#[test]
fn no_call_of_a_load_is_lost_or_billed_twice_when_a_service_is_upgraded_and_rolled_back() {
    if !is_wanted("sipp") {
        return;
    }
    let mut cluster = Cluster::start(&LOAD.names(), Calls::Open);
    let [first, second] = versions(cluster.folder());
    order(&cluster, 1, &["deploy", &first, "--yes", "--activate"]);

    let mut calling = LOAD.start(&cluster);
    calling.wait_until_begun(1);
    // Both servers compile it beside their calls.
    order(&cluster, 2, &["deploy", &second, "--yes", "--replace", FIRST]);
    both_have_calls(&cluster, SECOND, FIRST);
    println!("upgraded after {} calls", calling.begun());

    let replaced = |it: &Service| it.state == "inactive" && it.entities_in_cluster == 0;
    cluster.rest(2).wait_for_service(FIRST, replaced);
    order(&cluster, 1, &["service", "switch", "--to", FIRST, "--from", SECOND]);
    both_have_calls(&cluster, FIRST, SECOND);
    cluster.kill_node(1);
    println!("rolled back, and server1 killed, after {} calls", calling.begun());

    let bills = calling.wait_for_bills(&cluster, 2);
    let moved = bills.iter().filter(|bill| bill.answered_by != bill.closed_by).count();
    assert!(moved > 0, "no call was taken over: the kill came at the wrong time");
    let rest = cluster.rest(2);
    let first = rest.wait_for_service(FIRST, |it| it.entities_in_cluster == 0);
    let second = rest.wait_for_service(SECOND, replaced);
    assert_eq!(first.state, "active");
    rest.has_no_service_alarm();
    println!("{moved} calls taken over in mid-call; {first:?}, {second:?}");
}

/// A cluster whose active service is the first version; four phones; and the second version's file.
#[track_caller]
fn with_first_version() -> (Cluster, [Handset; 4], String) {
    let users = ["alice", "bob", "carol", "dave"];
    let cluster = Cluster::start(&users.map(str::to_owned), Calls::Digest);
    let phones = users.map(|user| Handset::start(user, cluster.sip()));
    phones.iter().for_each(Handset::register);
    let [first, second] = versions(cluster.folder());
    order(&cluster, 1, &["deploy", &first, "--yes", "--activate"]);
    (cluster, phones, second)
}

#[test]
fn both_versions_go_on_in_their_calls_when_both_servers_died() {
    let (mut cluster, phones, second) = with_first_version();
    let [alice, bob, carol, dave] = &phones;
    let with_first = alice.call("bob");
    order(&cluster, 1, &["deploy", &second, "--yes", "--replace", FIRST]);
    let with_second = carol.call("dave");
    for call_id in [&with_first, &with_second] {
        cluster.rest(2).wait_for_talk(call_id, TALK_S);
    }

    cluster.kill_node(1);
    cluster.kill_node(2);
    for server in [1, 2] {
        cluster.start_node(server);
    }
    for server in [1, 2] {
        let rest = cluster.rest(server);
        rest.wait_for_members(&SERVERS, SOON);
        let has_its_call = |state: &'static str| {
            move |it: &Service| it.state == state && it.entities_in_cluster == 1
        };
        rest.wait_for_service(FIRST, has_its_call("stopping"));
        rest.wait_for_service(SECOND, has_its_call("active"));
    }
    assert!(phones.iter().all(Handset::is_talking), "a call was cut");
    alice.hang_up();
    bob.wait_for_hang_up(true);
    carol.hang_up();
    dave.wait_for_hang_up(true);
    for (version, caller, call_id) in [(FIRST, "alice", with_first), (SECOND, "carol", with_second)]
    {
        cluster.rest(1).wait_for_bill(&call_id);
        says_how_long_they_talked(&cluster, version, caller);
    }
    cluster.rest(1).wait_for_no_calls();
    assert_eq!(cluster.rest(1).bills().len(), 2, "two calls, two bills");
    cluster.rest(1).wait_for_service(FIRST, |it| it.state == "inactive");
    [1, 2].iter().for_each(|server| cluster.rest(*server).has_no_service_alarm());
}

#[test]
fn calls_of_the_old_version_are_migrated_and_go_on_when_their_server_is_killed() {
    let (mut cluster, phones, second) = with_first_version();
    let [alice, bob, carol, dave] = &phones;
    let calls = [alice.call("bob"), carol.call("dave")];
    order(&cluster, 2, &["deploy", &second, "--yes", "--replace", FIRST]);
    for call_id in &calls {
        cluster.rest(2).wait_for_talk(call_id, TALK_S);
    }

    let answer = order(&cluster, 2, &["service", "migrate", "--to", SECOND, "--from", FIRST]);
    println!("{answer}");
    cluster.kill_node(1);
    let rest = cluster.rest(2);
    rest.wait_for_members(&SERVERS[1..], SOON);
    rest.wait_for_service(FIRST, |it| it.state == "inactive" && it.entities_in_cluster == 0);
    rest.wait_for_service(SECOND, |it| it.state == "active" && it.entities_in_cluster == 2);
    order(&cluster, 2, &["undeploy", FIRST]);

    assert!(phones.iter().all(Handset::is_talking), "a call was cut");
    for (caller, callee, name, call_id) in
        [(alice, bob, "alice", &calls[0]), (carol, dave, "carol", &calls[1])]
    {
        caller.hang_up();
        callee.wait_for_hang_up(true);
        cluster.rest(2).wait_for_bill(call_id);
        says_how_long_they_talked(&cluster, SECOND, name);
    }
    cluster.rest(2).wait_for_no_calls();
    assert_eq!(cluster.rest(2).bills().len(), 2, "two calls, two bills");
    cluster.rest(2).has_no_service_alarm();
}
