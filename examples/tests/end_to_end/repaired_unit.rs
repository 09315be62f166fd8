//! A service that was uploaded fails in each call, and is suspended. While one server is dead it is
//! repaired: removed at the other one, and uploaded under the same name. The dead one still has the
//! broken unit in its store, as the one that is active; it comes back, and serves with the repaired
//! one. Calls that were in progress are not harmed.

use crate::support::cluster::{Calls, Cluster, DOMAIN, SERVERS};
use crate::support::condition::SOON;
use crate::support::handset::Handset;
use crate::support::rest::Service;
use crate::support::units::{TOKEN, order, unit, wait_for_trace};

const NAME: &str = "call-screening";
/// Failures after which it is suspended.
const FAILURES: usize = 3;
/// What may not be called, and is not as long as the service works.
const BLOCKED: &str = "0900123";

/// The broken unit and the repaired one.
#[track_caller]
fn versions(cluster: &Cluster) -> [String; 2] {
    let folder = cluster.folder();
    [("faulty", &["--features", "faulty"][..]), ("repaired", &[])].map(|(name, features)| {
        let file = unit(folder, name, NAME, features);
        file.to_str().expect("a name as text").to_owned()
    })
}

/// It refuses a call, at this server.
#[track_caller]
fn refuses_at(cluster: &Cluster, server: &str, caller: &Handset, name: &str) {
    assert_eq!(caller.call_in_vain(BLOCKED), 403, "{NAME} is not there");
    let says = format!("sip:{name}@{DOMAIN} may not call {BLOCKED}");
    wait_for_trace(cluster, &[server], NAME, &says);
}

#[test]
fn a_broken_unit_is_repaired_under_its_name_while_a_server_is_dead() {
    let users = ["alice", "bob", "carol", "dave", "erin"];
    let mut cluster = Cluster::start(&users.map(str::to_owned), Calls::Digest);
    let phones = users.map(|user| Handset::start(user, cluster.sip()));
    phones.iter().for_each(Handset::register);
    let [alice, bob, carol, dave, erin] = &phones;
    let [faulty, repaired] = versions(&cluster);
    order(&cluster, 1, &["deploy", &faulty, "--yes", "--activate"]);

    // It traps in each call, and each is put through without it.
    let before = alice.call("bob");
    for _ in 1..FAILURES {
        let call = carol.call("dave");
        carol.hang_up();
        dave.wait_for_hang_up(true);
        cluster.rest(2).wait_for_bill(&call);
    }
    let is_suspended = |it: &Service| it.state == "inactive" && it.entities_in_cluster == 0;
    cluster.rest(2).wait_for_service(NAME, is_suspended);
    // As an operator who does not know what is wrong would, so that its unit is active in the store
    // of the one that dies.
    order(&cluster, 1, &["service", "activate", NAME]);
    cluster.rest(2).wait_for_call(&before, "talking");
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);

    let again = [&["deploy", &repaired, "--yes"], &TOKEN[..]].concat();
    let refused = cluster.ctl(2, &again).expect_err("its name is taken");
    assert!(refused.contains("give yours another name"), "{refused}");
    order(&cluster, 2, &["service", "deactivate", NAME]);
    order(&cluster, 2, &["undeploy", NAME]);
    order(&cluster, 2, &["deploy", &repaired, "--yes", "--activate"]);
    refuses_at(&cluster, "server2", erin, "erin");
    let with_repaired = carol.call("dave");
    cluster.rest(2).wait_for_talk(&with_repaired, 1);

    cluster.start_node(1);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    cluster.wait_until_backed();
    cluster.rest(1).wait_for_balancer("up");
    let listed = cluster.ctl(1, &["units"]).expect("it is listed");
    println!("{listed}");
    let lines: Vec<_> = listed.lines().skip(1).collect();
    assert!(matches!(lines[..], [line] if SERVERS.iter().all(|it| line.contains(it))), "{listed}");
    refuses_at(&cluster, "server1", erin, "erin");
    let has_its_call = |it: &Service| it.state == "active" && it.entities_in_cluster == 1;
    cluster.rest(1).wait_for_service(NAME, has_its_call);

    cluster.kill_node(2);
    let rest = cluster.rest(1);
    rest.wait_for_members(&SERVERS[..1], SOON);
    rest.wait_for_service(NAME, has_its_call);
    assert!(phones[..4].iter().all(Handset::is_talking), "a call was cut");
    for (caller, callee, call_id) in [(alice, bob, &before), (carol, dave, &with_repaired)] {
        caller.hang_up();
        callee.wait_for_hang_up(true);
        rest.wait_for_bill(call_id);
    }
    let says = format!("sip:carol@{DOMAIN} talked for ");
    wait_for_trace(&cluster, &SERVERS[..1], NAME, &says);
    rest.wait_for_no_calls();
    assert_eq!(rest.bills().len(), FAILURES + 1, "each call has one bill");
    rest.has_no_service_alarm();
}
