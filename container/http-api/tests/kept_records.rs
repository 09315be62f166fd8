//! Events and commands as they were written first: they wait in records, so they must be read for
//! ever.

use resilee_http_api::{Call, FailureReason, HttpCommand, HttpFailed, HttpRequest, HttpResponse};
use resilee_test_kit::kept_records::assert_read;

const KEPT: &str = include_str!("first.txt");

fn headers() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "text/plain".to_owned())]
}

#[test]
fn events_of_the_first_format_are_read() {
    let (method, path) = ("POST".to_owned(), "/hooks/a".to_owned());
    let (query, body) = ("b=c".to_owned(), b"body".to_vec());
    assert_read(KEPT, "request", &HttpRequest { method, path, query, headers: headers(), body });
    let body = b"body".to_vec();
    assert_read(KEPT, "response", &HttpResponse { status: 200, headers: headers(), body });
    for (name, reason) in [
        ("failed.not-allowed", FailureReason::NotAllowed),
        ("failed.too-many", FailureReason::TooMany),
        ("failed.timed-out", FailureReason::TimedOut),
        ("failed.unreachable", FailureReason::Unreachable),
        ("failed.too-large", FailureReason::TooLarge),
    ] {
        assert_read(KEPT, name, &HttpFailed { reason, text: "why".to_owned() });
    }
}

#[test]
fn commands_of_the_first_format_are_read() {
    let call = Call {
        headers: headers(),
        timeout_ms: 5,
        idempotency_key: "key".to_owned(),
        ..Call::post_json("https://a.test/", "{}")
    };
    assert_read(KEPT, "call", &call);
    let body = b"body".to_vec();
    assert_read(KEPT, "respond", &HttpCommand::Respond { status: 200, headers: headers(), body });
}
