//! A service that was uploaded is upgraded and rolled back while 50 calls a second come, and the
//! server that has them is killed right after: no call fails, and each has one bill, whichever
//! version it began with.

use crate::support::cluster::{Calls, Cluster};
use crate::support::load::Load;
use crate::support::rest::Service;
use crate::support::system_program::is_wanted;
use crate::support::units::{order, unit};

const LOAD: Load = Load { users: 200, calls: 800, rate: 50, hold_ms: 3_000, transport: "u1" };

/// Names of the service's versions.
const FIRST: &str = "call-screening";
const SECOND: &str = "call-screening-2";

/// `new` takes calls, while `old` still has some.
#[track_caller]
fn both_have_calls(cluster: &Cluster, new: &str, old: &str) {
    let rest = cluster.rest(2);
    let [new, old] = [(new, "active"), (old, "stopping")].map(|(name, state)| {
        rest.wait_for_service(name, |it| it.state == state && it.entities_in_cluster > 0)
    });
    println!("{new:?}, {old:?}");
}

#[test]
fn no_call_of_a_load_is_lost_or_billed_twice_when_a_service_is_upgraded_and_rolled_back() {
    if !is_wanted("sipp") {
        return;
    }
    let mut cluster = Cluster::start(&LOAD.names(), Calls::Open);
    let folder = cluster.folder().to_owned();
    let first = unit(&folder, FIRST, "call-screening", &[]);
    let second = unit(&folder, SECOND, "call-screening", &["--features", "version-2"]);
    let [first, second] = [&first, &second].map(|file| file.to_str().expect("a name as text"));
    order(&cluster, 1, &["deploy", first, "--yes", "--activate"]);

    let mut calling = LOAD.start(&cluster);
    calling.wait_until_begun(1);
    // Both servers compile it beside their calls.
    order(&cluster, 2, &["deploy", second, "--yes", "--replace", FIRST]);
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
    println!("{moved} calls taken over in mid-call; {first:?}, {second:?}");
}
