//! Web hooks that come in: what becomes of them, and what they are answered with.

use crate::harness::{Node, TOKEN, hook};
use resilee_core::Route;
use resilee_http_api::{HEADERS_MAX, HttpCommand, HttpRequest};
use resilee_http_ra::{FromShell, Token};

#[test]
fn a_request_begins_a_cell_and_is_an_event() {
    let mut node = Node::new();
    let message = FromShell::Request { token: TOKEN, request: hook("/hooks/dial/bob") };
    let routed = node.route(&message);
    assert!(matches!(routed, Route::Cell { creates: true, .. }), "{routed:?}");
    let request: HttpRequest = node.tell(&message).event();
    assert_eq!((request.hook(), request.method.as_str()), ("dial", "POST"));
}

#[test]
fn a_service_answers_it_and_its_activity_ends() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    node.processed(activity, true).assert_nothing();
    let turn = node.respond(activity, 201, "done").expect("it waits");
    assert_eq!((turn.answer().status, turn.answer().body.as_slice()), (201, &b"done"[..]));
    assert_eq!(turn.answer().header("x-a"), Some("b"));
    assert_eq!((turn.ended, node.living()), (vec![activity], 0));
}

#[test]
fn it_is_answered_once() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    node.respond(activity, 200, "").expect("it waits");
    assert!(node.respond(activity, 200, "").is_err());
    node.wait(60_000).assert_nothing();
}

#[test]
fn what_no_hook_is_for_is_not_found() {
    let node = Node::new();
    for path in ["/", "/hooks/", "/hooks", "/other/dial"] {
        assert_eq!(node.refused(hook(path)), 404, "{path}");
    }
}

#[test]
fn a_hook_that_no_service_takes_is_not_found() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    assert_eq!(node.processed(activity, false).answer().status, 404);
}

#[test]
fn a_service_that_fails_or_leaves_without_an_answer_is_a_500() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    assert_eq!(node.failed(activity).answer().status, 500);
    let (activity, _) = node.request("/hooks/dial");
    node.processed(activity, true).assert_nothing();
    assert_eq!(node.unreferenced(activity).answer().status, 500);
}

#[test]
fn a_service_that_takes_too_long_is_a_504() {
    let mut node = Node::new();
    node.request("/hooks/dial");
    node.wait(9_999).assert_nothing();
    assert_eq!(node.wait(1).answer().status, 504);
    assert_eq!(node.living(), 0);
}

#[test]
fn what_is_too_large_is_refused_without_a_cell() {
    let node = Node::new();
    let body = vec![b'x'; 101];
    assert_eq!(node.refused(HttpRequest { body, ..hook("/hooks/a") }), 413);
    let query = "q".repeat(2_100);
    assert_eq!(node.refused(HttpRequest { query, ..hook("/hooks/a") }), 414);
    let headers = vec![("a".to_owned(), "b".to_owned()); HEADERS_MAX + 1];
    assert_eq!(node.refused(HttpRequest { headers, ..hook("/hooks/a") }), 431);
    let headers = vec![("a".to_owned(), "b".repeat(9_000))];
    assert_eq!(node.refused(HttpRequest { headers, ..hook("/hooks/a") }), 431);
}

#[test]
fn more_than_may_wait_are_told_to_come_again() {
    let mut node = Node::new();
    for number in 1..=3 {
        node.request_of(Token { number, ..TOKEN }, "/hooks/dial");
    }
    assert_eq!(node.refused(hook("/hooks/dial")), 503);
    node.configure("requests_max", "4");
    assert!(matches!(
        node.route(&FromShell::Request { token: TOKEN, request: hook("/hooks/dial") }),
        Route::Cell { .. }
    ));
}

#[test]
fn while_no_cell_may_begin_they_are_told_when_to_come_again() {
    let refused = Node::new().refuse(hook("/hooks/dial"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
}

#[test]
fn a_client_that_goes_ends_the_activity() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    let routed = node.route(&FromShell::Gone { token: TOKEN });
    assert!(matches!(routed, Route::Cell { creates: false, .. }), "{routed:?}");
    assert_eq!(node.tell(&FromShell::Gone { token: TOKEN }).ended, [activity]);
}

#[test]
fn the_survivor_of_a_node_ends_what_waited_there_without_a_word() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    let turn = node.take_over();
    assert_eq!((turn.said.len(), turn.ended), (0, vec![activity]));
}

#[test]
fn a_removed_adaptor_says_so_to_those_that_wait() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    assert_eq!(node.removed(activity).answer().status, 503);
}

#[test]
fn an_answer_that_cannot_be_sent_is_refused() {
    let mut node = Node::new();
    let (activity, _) = node.request("/hooks/dial");
    for (status, name, value) in [
        (100, "x", "y"),
        (600, "x", "y"),
        (200, "", "y"),
        (200, "x y", "y"),
        (200, "x", "a\r\nset-cookie: b"),
        (200, "Content-Length", "7"),
    ] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let answer = HttpCommand::Respond { status, headers, body: Vec::new() };
        assert!(node.command(activity, &answer).is_err(), "{status} {name:?} {value:?}");
    }
    assert!(node.respond(activity, 200, &"x".repeat(101)).is_err());
    assert!(node.respond(activity, 200, "").is_ok(), "it still waits");
}
