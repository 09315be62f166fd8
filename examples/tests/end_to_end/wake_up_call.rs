//! The example `wake-up-call`, at two servers, linked into them and uploaded: the one that calls is
//! killed while one phone rings and another one has answered, and the other server finishes both
//! calls.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::SOON;
use crate::support::handset::Handset;
use crate::support::units::deploy;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time that is booked is a whole minute; one that begins sooner than this may be too early.
const BOOKED_WITHIN_S: u64 = 15;

/// The number that books the next minute, by UTC, and how long it is until then.
fn next_minute() -> (String, Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let minute = (now.as_secs() + BOOKED_WITHIN_S) / 60 + 1;
    let number = format!("*55*{:02}{:02}", minute / 60 % 24, minute % 60);
    (number, Duration::from_secs(minute * 60) - now)
}

fn users() -> [String; 2] {
    ["alice".to_owned(), "bob".to_owned()]
}

#[test]
fn a_phone_that_is_called_when_the_server_dies_is_called_once_and_hung_up_by_the_other_server() {
    the_other_server_finishes_both_calls(Cluster::start_package("wake-up-call", &users()));
}

#[test]
fn the_same_by_a_service_that_was_uploaded() {
    let cluster = Cluster::start(&users(), Calls::Digest);
    deploy(&cluster, "wake-up", "wake-up-call", &["--features", "wake-up"]);
    deploy(&cluster, "booking-desk", "wake-up-call", &[]);
    the_other_server_finishes_both_calls(cluster);
}

#[track_caller]
fn the_other_server_finishes_both_calls(mut cluster: Cluster) {
    let alice = Handset::start_ringing("alice", cluster.sip());
    let bob = Handset::start("bob", cluster.sip());
    alice.register();
    bob.register();

    let (number, wait) = next_minute();
    assert_eq!(alice.call_in_vain(&number), 480, "it is booked");
    assert_eq!(bob.call_in_vain(&number), 480, "it is booked");
    alice.wait_for_call(wait + SOON);
    bob.wait_for_call(SOON);
    bob.wait_for_ack();

    let owner = cluster.rest(1).owner_of_tables();
    let dead = SERVERS.iter().position(|server| *server == owner).expect("one of both") + 1;
    let survivor = 3 - dead;
    cluster.kill_node(dead);
    cluster.rest(survivor).wait_for_members(&[SERVERS[survivor - 1]], SOON);
    assert!(bob.is_talking(), "he was hung up before anybody died");
    alice.answer();
    bob.wait_for_hang_up(true);
    alice.wait_for_hang_up(true);
    assert_eq!((alice.times_called(), bob.times_called()), (1, 1));
    let rest = cluster.rest(survivor);
    rest.wait_for_no_calls();
    assert_eq!(rest.bills(), [], "nobody pays for it");
    println!("{owner} called and died; talked {:?}, {:?}", bob.talk_time(), alice.talk_time());
}
