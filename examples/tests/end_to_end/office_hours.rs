//! A service in JavaScript, `examples/office-hours`, built by npm and uploaded to two servers. A
//! call's server is killed; the other one ends the call at closing time, and refuses the next.

use crate::support::cluster::{Calls, Cluster, DOMAIN, SERVERS};
use crate::support::condition::wait_until;
use crate::support::handset::Handset;
use crate::support::system_program::is_wanted;
use crate::support::units::{deploy, order};
use jiff::{Timestamp, ToSpan};
use std::time::Duration;

/// Closing times are whole minutes: the next one, unless it is so near that the call could not be
/// set up and its server be dead by then.
const TIME_BEFORE: Duration = Duration::from_secs(25);
/// When a call that is to be ended at closing time is over.
const OVER_WITHIN: Duration = Duration::from_secs(110);
/// How late a service may end it.
const LATE_MAX: Duration = Duration::from_secs(10);

/// The first whole minute that leaves time for what comes before it.
fn closing_time() -> Timestamp {
    let soonest = Timestamp::now() + TIME_BEFORE;
    let minute = soonest.as_second().div_euclid(60) + 1;
    Timestamp::from_second(minute * 60).expect("it is in this century")
}

fn time_of_day(time: Timestamp) -> String {
    time.strftime("%H:%M").to_string()
}

#[test]
fn a_service_in_javascript_ends_a_call_at_closing_time_also_if_its_server_was_killed() {
    if !is_wanted("node") || !is_wanted("npm") {
        return;
    }
    let users = ["alice".to_owned(), "bob".to_owned()];
    let mut cluster = Cluster::start_patient(&users, Calls::Digest);
    let [alice, bob] = ["alice", "bob"].map(|user| Handset::start(user, cluster.sip()));
    [&alice, &bob].iter().for_each(|phone| phone.register());
    deploy(&cluster, "office-hours", "examples/office-hours", &[]);
    // Both were busy compiling it.
    cluster.wait_until_backed();
    let closes = closing_time();
    let opens = format!("opens={}", time_of_day(closes - 2.hours()));
    let until = format!("closes={}", time_of_day(closes));
    let number = format!("sip:bob@{DOMAIN}");
    let profile = ["profile", "set", "office-hours", &number, "days=1234567", "grace_min=0"];
    order(&cluster, 1, &[&profile[..], &[&opens, &until]].concat());

    let call_id = alice.call("bob");
    cluster.rest(2).wait_for_talk(&call_id, 1);
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], OVER_WITHIN);
    assert!(alice.is_talking() && bob.is_talking(), "the call was cut");
    assert!(Timestamp::now() < closes, "the server was not dead before closing time");

    wait_until("the call is ended", OVER_WITHIN, || !alice.is_talking() && !bob.is_talking());
    [&alice, &bob].iter().for_each(|phone| phone.wait_for_hang_up(true));
    let bill = cluster.rest(2).wait_for_only_bill(&call_id);
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));
    assert_eq!(bill.ended_by, "server");
    let late = bill.ended_at.duration_since(closes);
    println!("closed at {}, the call was ended {late:?} later", time_of_day(closes));
    let late = Duration::try_from(late).expect("it is not ended before closing time");
    assert!(late < LATE_MAX, "{late:?}");

    assert_eq!(alice.call_in_vain("bob"), 480, "it is closed");
    cluster.rest(2).wait_for_no_calls();
    cluster.rest(2).has_no_service_alarm();
}
