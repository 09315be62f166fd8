//! Web hooks that go out: who may be called, what the service hears, and what is sent again.

use crate::harness::Node;
use resilee_core::Route;
use resilee_http_api::{Call, FailureReason, HttpFailed, HttpResponse};
use resilee_http_ra::FromShell;
use resilee_sbb::ActivityId;

fn to(url: &str) -> Call {
    Call::post_json(url, "{}")
}

fn crm() -> Call {
    to("https://crm.test/calls")
}

fn answered(activity: ActivityId, status: u16) -> FromShell {
    let response = HttpResponse { status, body: b"ok".to_vec(), ..HttpResponse::default() };
    FromShell::Answered { activity, response }
}

#[test]
fn a_call_is_sent_and_its_answer_is_the_last_event() {
    let mut node = Node::new();
    let turn = node.call(&crm()).expect("it is allowed");
    let (activity, call) = turn.call();
    assert_eq!((call.method.as_str(), call.url.as_str()), ("POST", "https://crm.test/calls"));
    assert_eq!(call.timeout_ms, 10_000);
    assert_eq!(call.idempotency_key, activity.to_string(), "no other call has it");
    let message = answered(activity, 404);
    assert_eq!(node.route(&message), Route::Known(activity.cell));
    let turn = node.tell(&message);
    let response: HttpResponse = turn.event();
    assert_eq!((response.status, turn.ended), (404, vec![activity]));
    node.tell(&message).assert_nothing();
}

#[test]
fn nobody_is_called_whom_an_operator_has_not_named() {
    for url in ["http://crm.test:8080/", "http://127.0.0.1/", "https://evil.test/crm.test"] {
        let mut node = Node::new();
        let turn = node.call(&to(url)).expect("the service hears of it");
        let failed: HttpFailed = turn.event();
        assert_eq!((failed.reason, turn.said.len()), (FailureReason::NotAllowed, 0), "{url}");
        assert_eq!((turn.ended.len(), node.living()), (1, 0));
    }
}

#[test]
fn an_operator_names_hosts_while_nodes_run() {
    let mut node = Node::new();
    node.configure("allow", "other.test");
    let failed: HttpFailed = node.call(&crm()).expect("the service hears of it").event();
    assert_eq!(failed.reason, FailureReason::NotAllowed);
    node.call(&to("http://other.test/")).expect("allowed").call();
}

#[test]
fn more_calls_than_may_be_under_way_fail() {
    let mut node = Node::new();
    node.call(&crm()).expect("one").call();
    node.call(&crm()).expect("two").call();
    let turn = node.call(&crm()).expect("the service hears of it");
    assert_eq!(turn.event::<HttpFailed>().reason, FailureReason::TooMany);
}

#[test]
fn a_call_that_cannot_be_sent_is_refused() {
    let refused = [
        Call { method: "CONNECT".to_owned(), ..crm() },
        Call { method: "POST /x".to_owned(), ..crm() },
        to("file:///etc/passwd"),
        to("http://user@crm.test/"),
        Call { body: vec![0; 101], ..crm() },
        Call { headers: vec![("Idempotency-Key".to_owned(), "mine".to_owned())], ..crm() },
        Call { headers: vec![("x".to_owned(), "a\nb".to_owned())], ..crm() },
        Call { idempotency_key: "a b".to_owned(), ..crm() },
        Call { idempotency_key: "k".repeat(300), ..crm() },
    ];
    for call in refused {
        assert!(Node::new().call(&call).is_err(), "{call:?}");
    }
}

#[test]
fn a_call_that_is_not_answered_in_time_fails() {
    let mut node = Node::new();
    let call = Call { timeout_ms: 500, ..crm() };
    node.call(&call).expect("it is allowed");
    node.wait(1_499).assert_nothing();
    let turn = node.wait(1);
    assert_eq!(turn.event::<HttpFailed>().reason, FailureReason::TimedOut);
    assert_eq!(node.living(), 0);
}

#[test]
fn nobody_waits_longer_than_an_operator_allows() {
    let mut node = Node::new();
    let turn = node.call(&Call { timeout_ms: 999_999, ..crm() }).expect("it is allowed");
    assert_eq!(turn.call().1.timeout_ms, 10_000);
}

#[test]
fn the_survivor_of_a_node_sends_it_again_with_the_same_key_and_waits_as_long_again() {
    let mut node = Node::new();
    let first = node.call(&Call { timeout_ms: 500, ..crm() }).expect("it is allowed");
    node.wait(1_400).assert_nothing();
    let again = node.take_over();
    assert_eq!(again.call(), first.call());
    node.wait(1_499).assert_nothing();
    let (activity, _) = first.call();
    let turn = node.tell(&answered(activity, 200));
    assert_eq!(turn.event::<HttpResponse>().status, 200);
    node.take_over().assert_nothing();
}

#[test]
fn a_service_may_give_the_key_itself() {
    let mut node = Node::new();
    let turn = node.call(&Call { idempotency_key: "bill-7".to_owned(), ..crm() });
    assert_eq!(turn.expect("it is allowed").call().1.idempotency_key, "bill-7");
    assert_eq!(node.take_over().call().1.idempotency_key, "bill-7");
}

#[test]
fn an_answer_that_is_too_large_is_a_failure() {
    let mut node = Node::new();
    let activity = node.call(&crm()).expect("it is allowed").call().0;
    let response = HttpResponse { status: 200, body: vec![0; 101], ..HttpResponse::default() };
    let turn = node.tell(&FromShell::Answered { activity, response });
    assert_eq!(turn.event::<HttpFailed>().reason, FailureReason::TooLarge);
}

#[test]
fn a_call_goes_on_when_nobody_waits_for_it() {
    let mut node = Node::new();
    let activity = node.call(&crm()).expect("it is allowed").call().0;
    node.unreferenced(activity).assert_nothing();
    assert_eq!(node.living(), 1);
}

#[test]
fn a_query_of_liveness_tells_the_shell_again() {
    let mut node = Node::new();
    let first = node.call(&crm()).expect("it is allowed");
    let activity = first.call().0;
    assert_eq!(node.query_liveness(activity).call(), first.call());
}
