//! Forwarding in a cluster: two servers, a balancer and phones, in virtual time.

use call_forward_no_answer::{CallForward, FORWARDS, Forward};
use resilee_test_cluster::{AnswerPolicy, CallPhase, Called, PhoneEvent, TestCluster};
use std::time::Duration;

const ALICE: &str = "sip:alice@example.test";
const BOB: &str = "sip:bob@example.test";
const CAROL: &str = "sip:carol@example.test";
/// Until a call is forwarded.
const SECONDS: u32 = 5;
/// From the dialling until just before that: the INVITE needs some milliseconds to its server.
const NEARLY: Duration = Duration::from_secs(SECONDS as u64);
const SECOND: Duration = Duration::from_secs(1);
/// Longer than the moments in which the call goes on: the CANCEL there, the answers back.
const MOMENTS: u64 = 30;

fn to(target: &str) -> Forward {
    Forward { target: target.to_owned(), seconds: SECONDS }
}

/// Bob's calls go on to Carol; both phones are there, and do this.
fn cluster(bob: AnswerPolicy, carol: AnswerPolicy) -> TestCluster {
    let mut cluster = TestCluster::builder().service::<CallForward>().start();
    cluster.phone("bob").will(bob);
    cluster.phone("carol").will(carol);
    cluster.profile(FORWARDS.name, BOB, &to(CAROL));
    cluster
}

fn phases(cluster: &mut TestCluster) -> [Option<CallPhase>; 3] {
    ["alice", "bob", "carol"].map(|user| cluster.phone(user).phase())
}

fn has_answered(cluster: &mut TestCluster, user: &str) -> bool {
    let events = cluster.phone(user).events();
    events.iter().any(|event| matches!(event, PhoneEvent::Answered { .. }))
}

/// Nobody is in a call, there is one bill of Alice's call to Bob, and in the end nothing is left.
fn assert_is_billed_once(cluster: &mut TestCluster, when: &str) {
    cluster.clock().advance(SECOND);
    let all = phases(cluster);
    let is_over = |phase: &Option<CallPhase>| matches!(phase, None | Some(CallPhase::Ended));
    assert!(all.iter().all(is_over), "{when}: {all:?}");
    let bills = cluster.bills();
    assert_eq!(bills.len(), 1, "{when}");
    assert_eq!((bills[0].caller.as_str(), bills[0].callee.as_str()), (ALICE, BOB), "{when}");
}

#[test]
fn who_answers_in_time_has_the_call() {
    let mut cluster = cluster(AnswerPolicy::Answer, AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.clock().advance(2 * NEARLY);
    assert_eq!(cluster.phone("carol").phase(), None);
    cluster.phone("alice").hangs_up();
    assert_is_billed_once(&mut cluster, "in time");
}

#[test]
fn a_call_that_nobody_answers_goes_on_and_is_billed_from_the_second_ones_answer() {
    let mut cluster = cluster(AnswerPolicy::Ring, AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    assert_eq!(
        phases(&mut cluster),
        [Some(CallPhase::Answered), Some(CallPhase::Ended), Some(CallPhase::Answered)]
    );
    cluster.clock().advance(10 * SECOND);
    cluster.phone("carol").hangs_up();
    assert_is_billed_once(&mut cluster, "forwarded");
    assert_eq!(cluster.bills()[0].seconds, 11);
    cluster.clock().advance(60 * SECOND);
    assert!(cluster.is_empty());
    assert_eq!(cluster.alarms(), [""; 0]);
}

#[test]
fn the_caller_hears_how_the_second_one_failed() {
    let mut cluster = cluster(AnswerPolicy::Ring, AnswerPolicy::Busy);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(60 * SECOND);
    assert!(cluster.is_empty() && cluster.bills().is_empty());
}

#[test]
fn who_is_busy_is_not_waited_for() {
    let mut cluster = cluster(AnswerPolicy::Busy, AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(60 * SECOND);
    assert_eq!(cluster.phone("carol").phase(), None);
    assert!(cluster.is_empty());
}

#[test]
fn a_caller_who_gives_up_before_or_behind_the_time_calls_nobody_any_more() {
    for seconds in [3, 8] {
        let mut cluster = cluster(AnswerPolicy::Ring, AnswerPolicy::Ring);
        cluster.phone("alice").dials("bob");
        cluster.clock().advance(seconds * SECOND);
        cluster.phone("alice").hangs_up();
        cluster.clock().advance(60 * SECOND);
        let expected = (seconds > 5).then_some(CallPhase::Ended);
        assert_eq!(phases(&mut cluster)[1..], [Some(CallPhase::Ended), expected]);
        assert!(cluster.is_empty() && cluster.bills().is_empty());
        assert_eq!(cluster.alarms(), [""; 0]);
    }
}

#[test]
fn rules_are_his_own_or_everybodys_and_need_somebody_else_with_a_phone() {
    let mut cluster = cluster(AnswerPolicy::Ring, AnswerPolicy::Answer);
    cluster.phone("dave").will(AnswerPolicy::Ring);
    let rings_on = |cluster: &mut TestCluster, caller: &str, callee: &str| {
        cluster.phone(caller).dials(callee);
        cluster.clock().advance(2 * NEARLY);
        let phase = cluster.phone(callee).phase();
        cluster.phone(caller).hangs_up();
        phase == Some(CallPhase::Ringing)
    };
    assert!(rings_on(&mut cluster, "alice", "dave"), "he has no rule");
    cluster.profile(FORWARDS.name, "*", &to(CAROL));
    assert!(!rings_on(&mut cluster, "alice", "dave"), "everybody has one");
    assert!(rings_on(&mut cluster, "carol", "dave"), "the target is the caller");
    cluster.profile(FORWARDS.name, "sip:dave@example.test", &to(""));
    assert!(rings_on(&mut cluster, "alice", "dave"), "he wants none");
    cluster.profile(FORWARDS.name, BOB, &to("sip:nobody@example.test"));
    assert!(rings_on(&mut cluster, "alice", "bob"), "the target has no phone");
    cluster.phone("carol").will(AnswerPolicy::Ring);
    assert!(rings_on(&mut cluster, "alice", "carol"), "she is the target herself");
}

/// Before the timer, with it, while the CANCEL and the INVITE are on their way, and behind that.
#[test]
fn a_call_goes_on_once_whenever_its_server_dies() {
    for millis in 0..MOMENTS {
        let when = format!("killed {millis} ms behind the time");
        let mut cluster = cluster(AnswerPolicy::Ring, AnswerPolicy::Answer);
        cluster.phone("alice").dials("bob");
        cluster.clock().advance(NEARLY + Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(4 * SECOND);
        let [alice, bob, carol] = phases(&mut cluster);
        assert_eq!(
            (alice, carol),
            (Some(CallPhase::Answered), Some(CallPhase::Answered)),
            "{when}"
        );
        assert_eq!(bob, Some(CallPhase::Ended), "{when}");
        cluster.phone("alice").hangs_up();
        assert_is_billed_once(&mut cluster, &when);
    }
}

/// Bob picks up at each moment, and Carol as soon as she can: one of them has the call. If the
/// server dies just then it is the same.
#[test]
fn two_who_answer_at_once_are_one_call() {
    let (mut winners, mut both_answered) = ([0, 0], 0);
    for millis in 0..MOMENTS {
        for dies in [false, true] {
            let when = format!("picked up {millis} ms behind the time, server dies: {dies}");
            let mut cluster = cluster(AnswerPolicy::Manual, AnswerPolicy::Manual);
            cluster.phone("alice").dials("bob");
            cluster.clock().advance(NEARLY + Duration::from_millis(millis));
            cluster.phone("bob").picks_up();
            if dies {
                cluster.node("server1").kill();
            }
            for _ in 0..MOMENTS {
                cluster.phone("carol").picks_up();
                cluster.clock().advance(Duration::from_millis(1));
            }
            cluster.clock().advance(4 * SECOND);
            cluster.phone("carol").picks_up();
            cluster.clock().advance(4 * SECOND);
            let [alice, bob, carol] = phases(&mut cluster);
            assert_eq!(alice, Some(CallPhase::Answered), "{when}");
            let talks = [bob, carol].map(|phase| phase == Some(CallPhase::Answered));
            assert!(talks[0] != talks[1], "{when}: {bob:?}, {carol:?}");
            winners[usize::from(talks[1])] += 1;
            let answered = ["bob", "carol"].map(|user| has_answered(&mut cluster, user));
            both_answered += u32::from(answered == [true, true]);
            cluster.phone("alice").hangs_up();
            assert_is_billed_once(&mut cluster, &when);
        }
    }
    assert!(winners.iter().all(|wins| *wins > 0), "{winners:?}");
    assert!(both_answered > 0, "their answers never crossed");
}
