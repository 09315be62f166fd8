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
