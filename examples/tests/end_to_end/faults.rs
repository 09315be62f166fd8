//! What a person sees of a fault: the alarm at `/api/v1/alarms` and on the overview of a server
//! that lives, that calls have no backup, and that all of it is gone when the fault is.
//!
//! Links that are cut need a firewall: `cargo xtask soak` cuts them, and looks for the same.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::small_disk::SmallDisk;
use std::fs;

/// Source and text of an alarm.
type Sign = (&'static str, &'static str);

const LINK_TO_1: Sign = ("cluster", "the link to server1 is down");
const NO_BACKUP: Sign = ("cluster", "no backup: only one member is left");
const NOT_HEARD: Sign = ("balancer", "the balancer is not heard");
const STORE_GONE: Sign = ("store", "was gone: a fresh one is used");
/// Whether it does not open or opens without what it had: both say where bills come from.
const STORE_SPOILT: Sign = ("store", "bills come from the journal");
const CAME_BACK_EMPTY: Sign = ("store", "came back with an empty store");
const NOTHING_STORED: Sign = ("store", "nothing is stored any more");

const DEGRADED: &str = "<strong>Degraded: no backup.</strong>";

fn cluster() -> Cluster {
    Cluster::start(&["alice".to_owned(), "bob".to_owned()], Calls::Open)
}

/// Management of `asked` tells the alarm that `node` raises, and its overview shows it.
#[track_caller]
fn shows(cluster: &Cluster, asked: usize, node: usize, (source, text): Sign) {
    let (rest, node) = (cluster.rest(asked), SERVERS[node - 1]);
    wait_until(&format!("server{asked} tells of {node}: {text}"), SOON, || {
        rest.alarms()
            .iter()
            .any(|alarm| alarm.node == node && alarm.source == source && alarm.text.contains(text))
    });
    wait_until(&format!("the overview of server{asked} shows of {node}: {text}"), SOON, || {
        let page = rest.overview();
        page.contains(&format!("data-alarm=\"{source}\"")) && page.contains(text)
    });
}

/// The overview of `asked` says that no call has a backup.
#[track_caller]
fn is_degraded(cluster: &Cluster, asked: usize) {
    let rest = cluster.rest(asked);
    wait_until(&format!("server{asked} is degraded"), SOON, || {
        let says = rest.nodes().is_some_and(|nodes| nodes.protection == "degraded");
        says && rest.overview().contains(DEGRADED)
    });
}

/// Both servers serve, and neither tells of anything but what `lasts`.
#[track_caller]
fn is_well_again(cluster: &Cluster, lasts: &[Sign]) {
    for server in [1, 2] {
        let rest = cluster.rest(server);
        rest.wait_for_members(&SERVERS, SOON);
        wait_until(&format!("server{server} has no alarm but {lasts:?}"), SOON, || {
            let lasting = |text: &str| lasts.iter().any(|(_, part)| text.contains(part));
            let page = rest.overview();
            rest.alarms().iter().all(|alarm| lasting(&alarm.text))
                && page.contains("data-alarm=") != lasts.is_empty()
                && !page.contains(DEGRADED)
                && page.contains("data-node=\"server1\"")
        });
    }
}

#[test]
fn a_server_that_dies_or_stands_still_is_shown_until_it_is_back() {
    let mut cluster = cluster();
    cluster.kill_node(1);
    shows(&cluster, 2, 2, LINK_TO_1);
    shows(&cluster, 2, 2, NO_BACKUP);
    is_degraded(&cluster, 2);
    cluster.start_node(1);
    is_well_again(&cluster, &[]);

    cluster.pause_node(1);
    shows(&cluster, 2, 2, LINK_TO_1);
    shows(&cluster, 2, 2, NO_BACKUP);
    is_degraded(&cluster, 2);
    cluster.wake_node(1);
    is_well_again(&cluster, &[]);
}

#[test]
fn a_balancer_that_dies_is_shown_by_both_servers_until_it_is_back() {
    let mut cluster = cluster();
    cluster.kill_balancer();
    for server in [1, 2] {
        shows(&cluster, server, server, NOT_HEARD);
        let page = cluster.rest(server).overview();
        assert!(page.contains("<article class=\"node silent\" data-node=\"balancer\">"), "{page}");
    }
    // A run that never heard it tells of it as well.
    cluster.kill_node(2);
    cluster.start_node(2);
    shows(&cluster, 2, 2, NOT_HEARD);
    cluster.start_balancer();
    is_well_again(&cluster, &[]);
}

#[test]
fn a_store_that_is_gone_or_spoilt_is_shown_by_both_servers() {
    let mut cluster = cluster();
    let phone = |user| Handset::start(user, cluster.sip());
    let (alice, bob) = (phone("alice"), phone("bob"));
    alice.register();
    bob.register();
    // Before the first bill, a store that is gone looks like a first start.
    let call_id = alice.call("bob");
    alice.hang_up();
    cluster.rest(1).wait_for_bill(&call_id);
    cluster.kill_node(1);
    let store = cluster.data_dir(1).join("store");
    fs::remove_dir_all(&store).expect("it has a store");
    cluster.start_node(1);
    shows(&cluster, 1, 1, STORE_GONE);
    shows(&cluster, 2, 1, STORE_GONE);
    is_well_again(&cluster, &[STORE_GONE]);

    cluster.kill_node(1);
    let db = store.join("db");
    let length = fs::metadata(&db).expect("it has a store").len();
    fs::write(&db, vec![0xa5; usize::try_from(length).unwrap()]).expect("it can be written to");
    // A store as young as this one would be made whole from its log.
    fs::remove_dir_all(store.join("log")).expect("it has a log");
    cluster.start_node(1);
    shows(&cluster, 1, 1, STORE_SPOILT);
    shows(&cluster, 2, 1, STORE_SPOILT);
    is_well_again(&cluster, &[STORE_SPOILT]);
    cluster.rest(1).wait_for_bill(&call_id);
}

#[test]
fn a_full_disk_is_shown_by_both_servers_and_calls_go_on() {
    let mut cluster = cluster();
    cluster.kill_node(1);
    let Some(disk) = SmallDisk::of_node(&mut cluster, 1) else { return };
    is_well_again(&cluster, &[CAME_BACK_EMPTY]);
    disk.fill();
    let phone = |user| Handset::start(user, cluster.sip());
    let (alice, bob) = (phone("alice"), phone("bob"));
    let mut calls = Vec::new();
    // What is stored may fit into the last block for a while.
    wait_until("something does not fit any more", SOON, || {
        alice.register();
        bob.register();
        calls.push(alice.call("bob"));
        alice.hang_up();
        let alarms = cluster.rest(1).alarms();
        alarms.iter().any(|alarm| alarm.text.contains(NOTHING_STORED.1))
    });
    shows(&cluster, 1, 1, NOTHING_STORED);
    shows(&cluster, 2, 1, NOTHING_STORED);
    calls.push(alice.call("bob"));
    alice.hang_up();
    for call_id in &calls {
        cluster.rest(2).wait_for_bill(call_id);
    }

    disk.make_room();
    let status = cluster.drain_node(1).wait_for_end(SOON);
    assert!(status.success(), "{status}");
    cluster.start_node(1);
    is_well_again(&cluster, &[]);
    for call_id in &calls {
        cluster.rest(1).wait_for_bill(call_id);
    }
}
