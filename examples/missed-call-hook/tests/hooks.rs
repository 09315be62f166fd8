//! Hooks in a cluster: two servers, a balancer, phones and a web host, in virtual time.

use missed_call_hook::{HOOKS, Hook, MissedCall, MissedCallHook, POSTS_MAX, Reason};
use resilee_test_cluster::{AnswerPolicy, Called, TestCluster};
use std::collections::BTreeSet;
use std::time::Duration;

const HOST: &str = "hooks.example";
const URL: &str = "https://hooks.example/missed";
const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything of a call that is over is kept.
const MINUTE: Duration = Duration::from_secs(60);

/// A cluster with a hook for everybody, and a phone that does this.
fn cluster(bob: AnswerPolicy) -> TestCluster {
    let mut cluster = TestCluster::builder().service::<MissedCallHook>().web(HOST).start();
    cluster.profile(HOOKS.name, "*", &Hook { url: URL.to_owned() });
    cluster.phone("bob").will(bob);
    cluster
}

/// Alice lets it ring at Bob, and gives up.
fn gives_up(cluster: &mut TestCluster) {
    cluster.phone("alice").dials("bob");
    cluster.clock().advance(5 * SECOND);
    cluster.phone("alice").hangs_up();
}

fn missed(cluster: &mut TestCluster) -> Vec<MissedCall> {
    let texts: Vec<_> = cluster.web(HOST).requests().iter().map(|it| it.text()).collect();
    texts.iter().map(|text| serde_json::from_str(text).expect("a missed call")).collect()
}

/// What a receiver that looks at the key has heard of.
fn keys(cluster: &mut TestCluster) -> BTreeSet<String> {
    cluster.web(HOST).requests().iter().map(|it| it.key().to_owned()).collect()
}

fn assert_is_over(cluster: &mut TestCluster) {
    cluster.clock().advance(MINUTE);
    assert!(cluster.is_empty());
}

#[test]
fn a_call_that_is_answered_is_not_told_of() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
    cluster.phone("alice").hangs_up();
    assert_is_over(&mut cluster);
    assert_eq!(missed(&mut cluster), []);
}

#[test]
fn a_busy_phone_is_told_of_with_all_that_is_known() {
    let mut cluster = cluster(AnswerPolicy::Busy);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(SECOND);
    let missed = missed(&mut cluster);
    let [call] = &missed[..] else { panic!("{missed:?}") };
    assert_eq!((call.reason, call.status), (Reason::Busy, 486));
    assert_eq!(call.caller, "sip:alice@example.test");
    assert_eq!(call.callee, "sip:bob@example.test");
    assert!(!call.call_id.is_empty() && call.called_at_ms < call.over_at_ms);
    assert_is_over(&mut cluster);
    assert_eq!(cluster.alarms(), [""; 0]);
}

#[test]
fn a_caller_who_gives_up_while_it_rings_is_told_of() {
    let mut cluster = cluster(AnswerPolicy::Ring);
    gives_up(&mut cluster);
    cluster.clock().advance(SECOND);
    assert_eq!(
        missed(&mut cluster).into_iter().map(|it| it.reason).collect::<Vec<_>>(),
        [Reason::Cancelled]
    );
}

#[test]
fn who_has_no_phone_is_told_of_and_who_does_not_exist_is_not() {
    let mut cluster = cluster(AnswerPolicy::Answer);
    assert_eq!(cluster.phone("alice").calls("nobody"), Called::Failed(404));
    cluster.clock().advance(SECOND);
    assert_eq!(missed(&mut cluster), []);
}

#[test]
fn a_hook_of_his_own_goes_before_that_of_everybody() {
    let builder = TestCluster::builder().service::<MissedCallHook>().web(HOST).web("bob.example");
    let mut cluster = builder.start();
    cluster.profile(HOOKS.name, "*", &Hook { url: URL.to_owned() });
    let own = Hook { url: "http://bob.example/".to_owned() };
    cluster.profile(HOOKS.name, "sip:bob@example.test", &own);
    cluster.profile(HOOKS.name, "sip:carol@example.test", &Hook::default());
    for callee in ["bob", "carol", "dave"] {
        cluster.phone(callee).will(AnswerPolicy::Busy);
        assert_eq!(cluster.phone("alice").calls(callee), Called::Failed(486));
        cluster.clock().advance(SECOND);
    }
    assert_eq!(cluster.web("bob.example").requests().len(), 1);
    let missed = missed(&mut cluster);
    let [call] = &missed[..] else { panic!("{missed:?}") };
    assert_eq!(call.callee, "sip:dave@example.test");
}

#[test]
fn a_hook_that_fails_is_told_again_until_it_accepts() {
    let mut cluster = cluster(AnswerPolicy::Busy);
    cluster.web(HOST).answers(500);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(SECOND);
    cluster.web(HOST).is_not_there();
    cluster.clock().advance(10 * SECOND);
    cluster.web(HOST).never_answers();
    cluster.clock().advance(20 * SECOND);
    cluster.web(HOST).answers_after(2 * SECOND, 204);
    cluster.clock().advance(120 * SECOND);
    assert_eq!(keys(&mut cluster).len(), 1);
    // It does not hear of that for which it was not there.
    assert_eq!(missed(&mut cluster).len(), 3);
    assert_is_over(&mut cluster);
    assert_eq!(missed(&mut cluster).len(), 3);
    assert_eq!(cluster.alarms(), [""; 0]);
}

#[test]
fn a_hook_that_never_accepts_is_given_up_with_an_alarm() {
    let mut cluster = cluster(AnswerPolicy::Busy);
    cluster.web(HOST).answers(503);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(10 * MINUTE);
    assert_is_over(&mut cluster);
    assert_eq!(missed(&mut cluster).len(), POSTS_MAX as usize);
    assert_eq!(cluster.alarms(), [format!("{URL} was not told of a missed call: 503")]);
}

#[test]
fn a_hook_that_refuses_is_told_once() {
    let mut cluster = cluster(AnswerPolicy::Busy);
    cluster.web(HOST).answers(403);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    assert_is_over(&mut cluster);
    assert_eq!(missed(&mut cluster).len(), 1);
    assert_eq!(cluster.alarms().len(), 1);
}

/// The profile's text is no URL, or its host is nobody's that may be called.
#[test]
fn what_cannot_be_told_is_given_up_and_leaves_nothing() {
    for url in ["missed calls", "http://other.example/"] {
        let mut cluster = cluster(AnswerPolicy::Busy);
        cluster.profile(HOOKS.name, "*", &Hook { url: url.to_owned() });
        assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
        cluster.clock().advance(10 * MINUTE);
        assert_is_over(&mut cluster);
        let expected = format!("{url} was not told");
        assert!(cluster.alarms().iter().any(|text| text.starts_with(&expected)), "{url}");
    }
}

/// Its server dies at each moment from the end of the call until the hook has answered.
#[test]
fn a_missed_call_is_told_once_whenever_its_server_dies() {
    for millis in 0..24 {
        let mut cluster = cluster(AnswerPolicy::Ring);
        cluster.web(HOST).answers_after(Duration::from_millis(10), 200);
        cluster.phone("alice").dials("bob");
        cluster.clock().advance(5 * SECOND);
        cluster.phone("alice").gives_up();
        cluster.clock().advance(Duration::from_millis(millis));
        cluster.node("server1").kill();
        cluster.clock().advance(15 * SECOND);
        assert_eq!(keys(&mut cluster).len(), 1, "after {millis} ms");
        let missed = missed(&mut cluster);
        assert!(missed.len() <= 2, "after {millis} ms: {missed:?}");
        assert!(missed.iter().all(|call| call.reason == Reason::Cancelled), "{missed:?}");
    }
}

#[test]
fn a_hook_that_is_waited_for_is_told_by_the_survivor() {
    let mut cluster = cluster(AnswerPolicy::Busy);
    cluster.web(HOST).answers(500);
    assert_eq!(cluster.phone("alice").calls("bob"), Called::Failed(486));
    cluster.clock().advance(2 * SECOND);
    cluster.node("server1").kill();
    cluster.web(HOST).answers(200);
    assert_is_over(&mut cluster);
    assert_eq!((missed(&mut cluster).len(), keys(&mut cluster).len()), (2, 1));
}
