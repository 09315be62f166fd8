//! Services that are uploaded to servers that run, while those die: the two units of `call-guard`,
//! built as `docs/units.md` says. The counter's entity, which all calls of a caller share, is one
//! that a unit made; it outlives the server that had it, and the one after that.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::units::{TOKEN, order, unit};

/// Both units are compiled at these servers, and nowhere missing.
#[track_caller]
fn wait_for_units(cluster: &Cluster, server: usize, at: &[&str]) {
    let mut last = String::new();
    let are_there = || {
        last = cluster.ctl(server, &["units"]).unwrap_or_default();
        let mut lines = last.lines().skip(1);
        let is_whole = |line: &str| {
            let nodes = SERVERS.iter().filter(|node| line.contains(*node)).count();
            at.iter().all(|node| line.contains(node)) && nodes == at.len()
        };
        last.lines().count() == 3 && lines.all(is_whole)
    };
    wait_until("both units are compiled", SOON, are_there);
}

#[test]
fn uploaded_services_go_on_whichever_server_dies_and_come_back_with_it() {
    let users = ["alice".to_owned(), "bob".to_owned()];
    let mut cluster = Cluster::start(&users, Calls::Digest);
    let phone = |user| Handset::start(user, cluster.sip());
    let (alice, bob) = (phone("alice"), phone("bob"));
    alice.register();
    bob.register();

    let folder = cluster.folder().to_owned();
    let counter = unit(&folder, "call-counter", "call-guard", &["--features", "counter"]);
    let guard = unit(&folder, "call-guard", "call-guard", &[]);
    let [counter, guard] = [&counter, &guard].map(|file| file.to_str().expect("a name as text"));
    let without = [&["deploy", guard, "--yes"], &TOKEN[..]].concat();
    let refused = cluster.ctl(1, &without).expect_err("it needs the counter");
    assert!(refused.contains("needs call-counter"), "{refused}");
    order(&cluster, 1, &["deploy", counter, "--yes", "--activate"]);
    order(&cluster, 2, &["deploy", guard, "--yes", "--activate"]);
    wait_for_units(&cluster, 1, &SERVERS);
    order(&cluster, 1, &["profile", "set", "call-guard", "*", "calls_per_minute=2"]);

    let first = alice.call("bob");
    cluster.rest(2).wait_for_call(&first, "talking");
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    bob.hang_up();
    alice.wait_for_hang_up(true);
    let bill = cluster.rest(2).wait_for_only_bill(&first);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));

    alice.call("bob");
    alice.hang_up();
    bob.wait_for_hang_up(true);
    assert_eq!(alice.call_in_vain("bob"), 480, "both calls are counted, at both servers");

    cluster.start_node(1);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    wait_for_units(&cluster, 1, &SERVERS);
    cluster.wait_until_backed();
    let alarms = cluster.rest(2).alarms();
    assert!(alarms.iter().all(|alarm| alarm.source != "unit"), "{alarms:?}");
    cluster.kill_node(2);
    cluster.rest(1).wait_for_members(&SERVERS[..1], SOON);
    assert_eq!(alice.call_in_vain("bob"), 480, "the count is what it was");

    let words = [&["undeploy", "call-guard"], &TOKEN[..]].concat();
    let refused = cluster.ctl(1, &words).expect_err("it is active");
    assert!(refused.contains("active"), "{refused}");
    order(&cluster, 1, &["service", "deactivate", "call-guard"]);
    order(&cluster, 1, &["undeploy", "call-guard"]);
    alice.call("bob");
    alice.hang_up();
    bob.wait_for_hang_up(true);
    println!("call-guard counted through two dead servers, and is removed");
}
