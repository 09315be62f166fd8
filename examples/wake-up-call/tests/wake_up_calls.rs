//! Wake-up calls in a cluster: two servers, a balancer and phones, in virtual time.

use resilee_sip_api::{ACCOUNTS, Account};
use resilee_test_cluster::{AnswerPolicy, CallPhase, Called, PhoneEvent, TestCluster};
use std::time::Duration;
use wake_up_call::{AGAIN_AFTER, BookingDesk, CLOCKS, Clock, HANG_UP_AFTER, RINGS_FOR, WakeUp};

const ALICE: &str = "sip:alice@example.test";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// After so long a phone picks up.
const RINGING: Duration = SECOND;
/// Longer than a takeover, and than anybody repeats anything.
const LONG: Duration = Duration::from_secs(75);
/// Longer than the moments in which something goes on: messages there and back.
const MOMENTS: u64 = 12;

fn cluster(alice: AnswerPolicy) -> TestCluster {
    let builder = TestCluster::builder().service::<BookingDesk>().service::<WakeUp>();
    let mut cluster = builder.start();
    cluster.phone("alice").will(alice);
    cluster
}

/// The number for the minute that begins after so many minutes and before one more, by UTC; and how
/// long it is until then.
fn number_in(cluster: &mut TestCluster, minutes: u64) -> (String, Duration) {
    let now_ms = cluster.clock().now().as_millis();
    let minute = now_ms / 60_000 + minutes + 1;
    let number = format!("*55*{:02}{:02}", minute / 60 % 24, minute % 60);
    (number, Duration::from_millis(minute * 60_000 - now_ms))
}

/// Alice books a call, and it is just before its time.
fn booked(alice: AnswerPolicy) -> TestCluster {
    booked_until(alice, Duration::from_millis(2))
}

/// The same, so long before its time.
fn booked_until(alice: AnswerPolicy, before: Duration) -> TestCluster {
    let mut cluster = cluster(alice);
    let (number, wait) = number_in(&mut cluster, 0);
    let time = cluster.clock().now() + wait;
    assert_eq!(cluster.phone("alice").calls(&number), Called::Failed(480));
    let wait = time.since(cluster.clock().now());
    cluster.clock().advance(wait - before);
    cluster.phone("alice").events();
    cluster
}

fn calls(events: &[PhoneEvent]) -> usize {
    events.iter().filter(|event| matches!(event, PhoneEvent::IncomingCall { .. })).count()
}

fn phase(cluster: &mut TestCluster) -> Option<CallPhase> {
    cluster.phone("alice").phase()
}

/// She was called once, answered, and the server has hung up; then nothing is left of it, so she is
/// not called again.
#[track_caller]
fn assert_is_woken_once(cluster: &mut TestCluster, when: &str) {
    cluster.clock().advance(HANG_UP_AFTER + LONG);
    let events = cluster.phone("alice").events();
    assert_eq!(calls(&events), 1, "{when}: {events:?}");
    let hung_up = PhoneEvent::HungUp { by_remote: true };
    assert!(events.contains(&hung_up), "{when}: {events:?}");
    assert!(cluster.is_empty() && cluster.bills().is_empty(), "{when}");
}

#[test]
fn who_books_is_called_at_the_time_and_left_alone_when_he_has_answered() {
    let mut cluster = booked(AnswerPolicy::Answer);
    assert_eq!(calls(&cluster.phone("alice").events()), 0);
    cluster.clock().advance(Duration::from_millis(20));
    assert_eq!(phase(&mut cluster), Some(CallPhase::Ringing));
    cluster.clock().advance(RINGING);
    assert_eq!(phase(&mut cluster), Some(CallPhase::Answered));
    let events = cluster.phone("alice").events();
    assert!(events.contains(&PhoneEvent::IncomingCall { from: ALICE.to_owned() }), "{events:?}");
    assert!(events.contains(&PhoneEvent::Acked), "{events:?}");
    cluster.clock().advance(HANG_UP_AFTER - SECOND);
    assert_eq!(phase(&mut cluster), Some(CallPhase::Answered));
    cluster.clock().advance(2 * SECOND);
    assert_eq!(phase(&mut cluster), Some(CallPhase::Ended));
    cluster.clock().advance(LONG);
    assert!(cluster.is_empty() && cluster.bills().is_empty());
    assert_eq!(cluster.alarms(), [""; 0]);
}

#[test]
fn who_hangs_up_himself_is_awake() {
    let mut cluster = booked(AnswerPolicy::Answer);
    cluster.clock().advance(RINGING + SECOND);
    cluster.phone("alice").hangs_up();
    let hung_up = PhoneEvent::HungUp { by_remote: false };
    assert!(cluster.phone("alice").events().contains(&hung_up));
    cluster.clock().advance(2 * AGAIN_AFTER);
    assert_eq!(calls(&cluster.phone("alice").events()), 0);
    assert!(cluster.is_empty());
}

#[test]
fn who_does_not_answer_is_called_three_times() {
    for (policy, rings) in [(AnswerPolicy::Ring, RINGS_FOR), (AnswerPolicy::Busy, Duration::ZERO)] {
        let mut cluster = booked(policy);
        for again in 0..3 {
            cluster.clock().advance(SECOND);
            let is_ringing = phase(&mut cluster) == Some(CallPhase::Ringing);
            assert_eq!(is_ringing, policy == AnswerPolicy::Ring, "{again}");
            cluster.clock().advance(rings + SECOND);
            assert_ne!(phase(&mut cluster), Some(CallPhase::Ringing), "{again}");
            cluster.clock().advance(AGAIN_AFTER - 2 * SECOND);
        }
        cluster.clock().advance(2 * AGAIN_AFTER);
        let rung = if policy == AnswerPolicy::Ring { 3 } else { 0 };
        assert_eq!(calls(&cluster.phone("alice").events()), rung);
        assert!(cluster.traces().iter().any(|trace| trace.contains("was not woken")));
        assert!(cluster.is_empty());
    }
}

#[test]
fn who_sleeps_through_the_first_call_is_woken_by_the_second() {
    let mut cluster = booked(AnswerPolicy::Ring);
    cluster.clock().advance(RINGS_FOR + SECOND);
    cluster.phone("alice").will(AnswerPolicy::Answer).events();
    cluster.clock().advance(AGAIN_AFTER);
    assert_is_woken_once(&mut cluster, "the second");
}

#[test]
fn a_user_has_one_wake_up_call_and_may_give_it_up() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    let (early, _) = number_in(&mut cluster, 5);
    let (late, _) = number_in(&mut cluster, 20);
    for number in [&early, &late] {
        assert_eq!(cluster.phone("alice").calls(number), Called::Failed(480));
    }
    cluster.phone("bob").will(AnswerPolicy::Answer);
    assert_eq!(cluster.phone("bob").calls(&late), Called::Failed(480));
    cluster.phone("alice").events();
    cluster.clock().advance(10 * MINUTE);
    assert_eq!(calls(&cluster.phone("alice").events()), 0);
    assert_eq!(cluster.phone("bob").calls("*55*"), Called::Failed(480));
    cluster.phone("bob").events();
    cluster.clock().advance(10 * MINUTE);
    assert_is_woken_once(&mut cluster, "late");
    assert_eq!(calls(&cluster.phone("bob").events()), 0);
}

/// Before the call, while it is on its way to her phone, and when that has said that it is busy:
/// with the very call by which she books anew.
#[test]
fn who_books_anew_at_the_time_is_called_at_the_new_time_alone() {
    for millis in 0..MOMENTS {
        let mut cluster = booked_until(AnswerPolicy::Answer, Duration::from_millis(millis));
        let (number, _) = number_in(&mut cluster, 6);
        assert_eq!(cluster.phone("alice").calls(&number), Called::Failed(480));
        cluster.clock().advance(AGAIN_AFTER + SECOND);
        assert_eq!(calls(&cluster.phone("alice").events()), 0, "{millis}");
    }
}

#[test]
fn who_takes_the_call_back_is_not_called() {
    let mut cluster = booked(AnswerPolicy::Busy);
    cluster.clock().advance(SECOND);
    cluster.phone("alice").will(AnswerPolicy::Answer).events();
    assert_eq!(cluster.phone("alice").calls("*55*"), Called::Failed(480));
    cluster.clock().advance(LONG);
    assert_eq!(calls(&cluster.phone("alice").events()), 0);
    assert!(cluster.is_empty());
}

#[test]
fn who_has_not_proven_who_he_is_books_nothing() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    let (number, _) = number_in(&mut cluster, 0);
    let key = Account::key("alice", "example.test");
    let account = Account::with_password("alice", "example.test", "another one");
    cluster.profile(ACCOUNTS, &key, &account);
    assert_eq!(cluster.phone("alice").calls(&number), Called::Failed(407));
    cluster.clock().advance(2 * MINUTE);
    assert_eq!(calls(&cluster.phone("alice").events()), 0);
}

#[test]
fn the_time_is_that_of_the_users_clock() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    let in_an_hour = |cluster: &mut TestCluster| number_in(cluster, 65);
    cluster.profile(CLOCKS.name, "*", &Clock { minutes_east: 60 });
    cluster.profile(CLOCKS.name, "sip:bob@example.test", &Clock { minutes_east: 0 });
    let (number, _) = in_an_hour(&mut cluster);
    for user in ["alice", "bob"] {
        assert_eq!(cluster.phone(user).calls(&number), Called::Failed(480));
        cluster.phone(user).events();
    }
    cluster.clock().advance(10 * MINUTE);
    assert_eq!(calls(&cluster.phone("alice").events()), 1);
    assert_eq!(calls(&cluster.phone("bob").events()), 0);
}

#[test]
fn no_time_is_refused_and_other_numbers_are_call_controls() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("*55*2575"), Called::Failed(484));
    assert_eq!(cluster.phone("alice").calls("*66*0730"), Called::Failed(404));
    cluster.clock().advance(LONG);
    assert!(cluster.is_empty());
}

#[test]
fn who_is_booking_when_the_server_dies_is_called_all_the_same() {
    for millis in 0..MOMENTS {
        let when = format!("killed {millis} ms behind the dialling");
        let mut cluster = cluster(AnswerPolicy::Answer);
        let (number, wait) = number_in(&mut cluster, 0);
        cluster.phone("alice").dials(&number);
        cluster.clock().advance(Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(10 * SECOND);
        let events = cluster.phone("alice").events();
        assert!(events.contains(&PhoneEvent::CallFailed(480)), "{when}: {events:?}");
        cluster.clock().advance(wait - 10 * SECOND);
        assert_is_woken_once(&mut cluster, &when);
    }
}

/// At each moment from just before the call until it rings; while she picks up; and from before the
/// server hangs up until she has said yes to that.
#[test]
fn who_is_called_when_the_server_dies_is_woken_once() {
    let starts = [Duration::ZERO, RINGING, RINGING + HANG_UP_AFTER + Duration::from_millis(4)];
    for (start, millis) in starts.iter().flat_map(|it| (0..MOMENTS).map(move |at| (*it, at))) {
        let at = start + Duration::from_millis(millis);
        let when = format!("killed {at:?} behind the time");
        let mut cluster = booked(AnswerPolicy::Answer);
        cluster.clock().advance(at);
        cluster.node("server1").kill();
        assert_is_woken_once(&mut cluster, &when);
    }
}

#[test]
fn a_call_that_nobody_answers_is_given_up_though_the_server_dies() {
    let starts = [Duration::ZERO, RINGS_FOR];
    for (start, millis) in starts.iter().flat_map(|it| (0..MOMENTS).map(move |at| (*it, at))) {
        let at = start + Duration::from_millis(millis);
        let when = format!("killed {at:?} behind the time");
        let mut cluster = booked(AnswerPolicy::Ring);
        cluster.clock().advance(at);
        cluster.node("server1").kill();
        cluster.clock().advance(RINGS_FOR + 10 * SECOND - at);
        assert_eq!(phase(&mut cluster), Some(CallPhase::Ended), "{when}");
        assert_eq!(calls(&cluster.phone("alice").events()), 1, "{when}");
        assert!(cluster.state::<WakeUp>().is_some(), "{when}: she is called again");
    }
}

/// Both, in turn: the second one has been started again meanwhile.
#[test]
fn a_booking_outlives_servers_that_die_one_after_the_other() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    let (number, wait) = number_in(&mut cluster, 1);
    assert_eq!(cluster.phone("alice").calls(&number), Called::Failed(480));
    cluster.phone("alice").events();
    cluster.node("server1").kill();
    cluster.clock().advance(10 * SECOND);
    cluster.node("server1").start();
    cluster.clock().advance(10 * SECOND);
    cluster.node("server2").kill();
    cluster.clock().advance(wait - 21 * SECOND);
    assert_is_woken_once(&mut cluster, "one after the other");
}

/// The balancer gives what is new to the first server again, and the booking is the second one's.
#[test]
fn who_is_called_by_the_second_server_when_the_first_is_back_is_woken_as_well() {
    for hangs_up in [false, true] {
        let mut cluster = cluster(AnswerPolicy::Answer);
        let (number, wait) = number_in(&mut cluster, 1);
        assert_eq!(cluster.phone("alice").calls(&number), Called::Failed(480));
        cluster.node("server1").kill();
        cluster.clock().advance(10 * SECOND);
        cluster.node("server1").start();
        cluster.phone("alice").events();
        cluster.clock().advance(wait - 9 * SECOND);
        assert_eq!(phase(&mut cluster), Some(CallPhase::Answered));
        if hangs_up {
            cluster.phone("alice").hangs_up();
            let hung_up = PhoneEvent::HungUp { by_remote: false };
            assert!(cluster.phone("alice").events().contains(&hung_up));
            cluster.clock().advance(HANG_UP_AFTER + LONG);
            assert!(cluster.is_empty());
        } else {
            assert_is_woken_once(&mut cluster, "by the second");
        }
    }
}
