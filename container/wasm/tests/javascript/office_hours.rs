//! `examples/office-hours` in a cluster: two servers, a balancer and phones, in virtual time. Each
//! delivery of it runs in the unit.

use super::units::office_hours;
use resilee_sbb::Timestamp;
use resilee_test_cluster::{AnswerPolicy, CallPhase, Called, TestCluster};
use serde::Serialize;
use std::time::Duration;

const BOB: &str = "sip:bob@example.test";
const TABLE: &str = "office-hours";
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Longer than the moments in which the call is ended: the BYEs there, the answers back.
const MOMENTS: u64 = 8;

/// A profile, with what it has.
#[derive(Clone, Default, Serialize)]
struct Hours {
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<String>,
    opens: String,
    closes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes_east: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otherwise: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    off: Option<bool>,
}

fn hours(days: &str, opens: &str, closes: &str) -> Hours {
    let (opens, closes) = (opens.to_owned(), closes.to_owned());
    Hours { days: Some(days.to_owned()), opens, closes, ..Hours::default() }
}

/// Tuesday, 14 November 2023: where clusters of tests begin, 22:13:20 UTC.
const BEGINS: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Bob's phone answers, and he has these hours.
fn cluster(bob: &Hours) -> TestCluster {
    let mut cluster = TestCluster::builder().unit(office_hours()).start();
    cluster.phone("bob").will(AnswerPolicy::Answer);
    cluster.profile(TABLE, BOB, bob);
    assert!(cluster.clock().now().since(BEGINS) < MINUTE, "the times of these tests are for that");
    cluster
}

/// What becomes of a call to bob at once.
fn called(bob: &Hours) -> Called {
    cluster(bob).phone("alice").calls("bob")
}

#[test]
fn within_the_hours_a_call_goes_through_and_outside_it_does_not() {
    assert_eq!(called(&hours("2", "22:00", "22:30")), Called::Answered);
    assert_eq!(called(&hours("13", "22:00", "22:30")), Called::Failed(480), "it is Tuesday");
    assert_eq!(called(&hours("2", "09:00", "17:30")), Called::Failed(480));
    assert_eq!(called(&hours("2", "22:14", "22:30")), Called::Failed(480), "not yet");
    assert_eq!(called(&hours("2", "22:00", "22:13")), Called::Failed(480), "no more");
}

#[test]
fn hours_go_on_past_midnight_and_are_those_of_a_place() {
    assert_eq!(called(&hours("2", "20:00", "06:00")), Called::Answered);
    assert_eq!(called(&hours("1", "20:00", "06:00")), Called::Failed(480), "that was yesterday");
    assert_eq!(called(&hours("1", "23:00", "22:30")), Called::Answered, "since yesterday");
    // An hour past midnight, on Wednesday.
    let east = Hours { minutes_east: Some(180), ..hours("2", "20:00", "06:00") };
    assert_eq!(called(&east), Called::Answered);
    let east = Hours { minutes_east: Some(180), ..hours("2", "20:00", "01:00") };
    assert_eq!(called(&east), Called::Failed(480));
    let west = Hours { minutes_east: Some(-300), ..hours("2", "09:00", "17:30") };
    assert_eq!(called(&west), Called::Answered);
}

#[test]
fn who_is_closed_may_say_who_is_called_otherwise() {
    let otherwise = Some("sip:carol@example.test".to_owned());
    assert_eq!(called(&Hours { otherwise, ..hours("1", "09:00", "17:30") }), Called::Failed(302));
}

#[test]
fn hours_are_his_own_or_everybodys() {
    let closed = hours("1", "09:00", "17:30");
    let mut cluster = TestCluster::builder().unit(office_hours()).start();
    cluster.phone("bob").will(AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered, "he has none");
    cluster.phone("alice").hangs_up();
    cluster.clock().advance(SECOND);
    cluster.profile(TABLE, "*", &closed);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(480), "everybody has");
    cluster.profile(TABLE, BOB, &Hours { off: Some(true), ..closed });
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered, "he wants none");
}

#[test]
fn hours_that_nobody_can_read_are_an_alarm_and_no_call_is_lost() {
    for (bad, said) in [
        (hours("2", "9am", "17:30"), "time 9am: give it as 09:30"),
        (hours("mon", "09:00", "17:30"), "days mon: give digits from 1, Monday, to 7"),
    ] {
        let mut cluster = cluster(&bad);
        assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
        assert_eq!(cluster.alarms(), [format!("{said}: calls go through until then")]);
    }
}

#[test]
fn a_call_that_ends_before_closing_time_leaves_nothing() {
    let mut cluster = cluster(&Hours { grace_min: Some(1), ..hours("2", "22:00", "22:14") });
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.phone("alice").hangs_up();
    cluster.clock().advance(10 * MINUTE);
    assert!(cluster.is_empty());
    assert_eq!((cluster.bills().len(), cluster.alarms()), (1, Vec::new()));
    assert_eq!(cluster.traces(), [""; 0]);
}

/// Closing time is 22:14, and calls go on for a minute at most. Before the timer, with it, while
/// the BYEs are on their way, and behind that.
#[test]
fn a_call_is_ended_behind_closing_time_whenever_its_server_dies() {
    for millis in 0..MOMENTS {
        let when = format!("killed {millis} ms behind the time");
        let mut cluster = cluster(&Hours { grace_min: Some(1), ..hours("2", "22:00", "22:14") });
        assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered, "{when}");
        let end = BEGINS + Duration::from_secs(100);
        let left = end.since(cluster.clock().now());
        cluster.clock().advance(left - 2 * Duration::from_millis(1));
        assert_eq!(cluster.phone("alice").phase(), Some(CallPhase::Answered), "{when}");
        cluster.clock().advance(Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(4 * SECOND);
        for user in ["alice", "bob"] {
            assert_eq!(cluster.phone(user).phase(), Some(CallPhase::Ended), "{when}: {user}");
        }
        let bills = cluster.bills();
        assert_eq!(bills.len(), 1, "{when}");
        let lines = cluster.traces();
        let line = "sip:bob@example.test closed 1 min ago: the call is ended";
        assert!(lines.iter().any(|text| text == line), "{when}: {lines:?}");
        cluster.clock().advance(60 * SECOND);
        assert!(cluster.is_empty(), "{when}");
    }
}
