//! Answers of units: what a linked service could not have asked for is not believed. Each rule is
//! tested where it is, in `resilee-sbb`.

use crate::guest::{Guest, delivered};
use resilee_sbb::{Effect, Outcome, encode};
use serde::Serialize;

#[derive(Serialize)]
struct Call {
    method: &'static str,
    url: &'static str,
}

fn calling(url: &'static str) -> Guest {
    let command = encode(&Call { method: "GET", url }).expect("plain");
    let start = Effect::StartActivityOf { adaptor: "http".to_owned(), activity: 2, command };
    Guest::answering(&delivered(vec![start]))
}

#[test]
fn what_is_no_answer_rolls_back() {
    let guest = Guest { answer: b"hello".to_vec(), ..Guest::default() };
    let reason = guest.reason();
    assert!(reason.starts_with("its answer is not readable: "), "{reason}");
}

/// Lists within lists in a field that nobody knows, as MessagePack has them.
fn nested(before: &[u8]) -> Vec<u8> {
    [before, b"\x81\xa1x", &[0x91; 1_000][..], &[0xc0]].concat()
}

/// Who reads such a thing calls itself for each, and ends the process when its stack is full.
#[test]
fn an_answer_that_is_nested_too_deeply_rolls_back() {
    let guest = Guest { answer: nested(b"\x81\xa9Delivered"), ..Guest::default() };
    let reason = guest.reason();
    assert!(reason.starts_with("its answer is not readable: "), "{reason}");
    assert!(reason.contains("depth limit"), "{reason}");
}

#[test]
fn a_description_that_is_nested_too_deeply_is_refused() {
    let error = Guest { description: nested(b""), ..Guest::default() }.refused();
    assert!(error.starts_with("its description is not readable: "), "{error}");
    assert!(error.contains("depth limit"), "{error}");
}

#[test]
fn an_answer_that_no_service_gives_rolls_back() {
    let activity = crate::guest::deliver().event.activity;
    let payload = encode(&"HangUp").expect("plain");
    let guest = Guest::answering(&delivered(vec![Effect::Command { activity, payload }]));
    let text = "its answer is not one that a service can give: its permissions do not name \
                Command(\"HangUp\"): add it to its descriptor's";
    assert_eq!(guest.reason(), text);
}

#[test]
fn a_host_is_called_that_the_permissions_name() {
    assert!(matches!(calling("http://a.test/x").outcome(), Outcome::Delivered { .. }));
    let reason = calling("http://b.test/x").reason();
    let text = "it calls b.test, which its permissions do not name: add Permission::Start of it to \
                its descriptor's";
    assert_eq!(reason, text);
    let reason = calling("http://a.test@b.test/x").reason();
    assert!(reason.starts_with("it calls a host that nobody can read: "), "{reason}");
}
