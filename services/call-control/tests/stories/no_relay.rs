//! Nobody is served who has no business here: what the default does with strangers.

use crate::harness::{Server, contact, credentials, invite, party, request, target};
use resilee_sip_api::{Invite, OtherRequest, Party};

/// Places that are not here, as an abuser names them.
const ELSEWHERE: [&str; 6] = [
    "sip:+4930123456@gateway.example.net",
    "sip:bob@example.org",
    "sip:bob@203.0.113.9",
    "sip:bob@203.0.113.9:5060;transport=udp",
    "sip:bob@example.com.evil.example",
    "sip:bob@[2001:db8::9]",
];

fn stranger(user: &str, host: &str) -> Party {
    let uri = format!("sip:{user}@{host}");
    Party { user: user.to_owned(), uri: uri.clone(), address_of_record: uri, ..Party::default() }
}

/// A call to somewhere else, as the adaptor reads it.
fn call_to(uri: &str, call: Invite) -> Invite {
    let host = uri.split_once('@').expect("a user").1;
    let host = host.split(';').next().unwrap_or_default().trim_end_matches(":5060");
    Invite { request_uri: uri.to_owned(), callee: stranger("bob", host), ..call }
}

#[test]
fn even_an_account_gets_nowhere_but_to_who_is_registered_here() {
    let server = Server::new();
    for uri in ELSEWHERE {
        let call = call_to(uri, invite("alice", "bob"));
        assert_eq!(server.send(&call).status(), 404, "{uri}");
        for method in ["MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "PUBLISH"] {
            assert_eq!(server.send(&request(method, uri)).status(), 404, "{method} {uri}");
        }
    }
}

#[test]
fn with_open_calls_there_is_no_way_out_either() {
    let server = Server::new().with_open_calls();
    for uri in ELSEWHERE {
        let call = Invite { credentials: None, ..invite("mallory", "bob") };
        assert_eq!(server.send(&call_to(uri, call)).status(), 404, "{uri}");
    }
}

#[test]
fn who_has_no_account_gets_nowhere_whatever_it_calls_itself() {
    let server = Server::new();
    let callers = [
        Party::default(),
        stranger("alice", "example.org"),
        stranger("alice", "192.0.2.77"),
        stranger("anonymous", "anonymous.invalid"),
        stranger("", "example.com"),
        Party { uri: "tel:+4930".to_owned(), ..Party::default() },
    ];
    for caller in callers {
        let call = Invite { caller: caller.clone(), ..invite("alice", "bob") };
        assert_eq!(server.send(&call).status(), 403, "{caller:?}");
        let message = request("MESSAGE", "sip:bob@example.com");
        let message = OtherRequest { from: caller.clone(), ..message };
        assert_eq!(server.send(&message).status(), 403, "{caller:?}");
    }
}

#[test]
fn nobody_sends_any_request_in_another_users_name() {
    for method in ["MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH", "REFER", "DANCE"] {
        let mut spoofed = request(method, "sip:bob@example.com");
        spoofed.credentials = Some(credentials("bob", method));
        assert_eq!(Server::new().send(&spoofed).status(), 403, "{method}");
    }
}

/// To is only what the caller says; nobody acts by it.
#[test]
fn whom_a_caller_names_in_to_changes_nothing() {
    let message = request("MESSAGE", "sip:bob@example.com");
    let message = OtherRequest { to: stranger("x", "203.0.113.9"), ..message };
    assert_eq!(Server::new().send(&message).targets(), [target(1)]);
}

/// Otherwise a user could register somebody else's telephone, and have others call it.
#[test]
fn a_contact_that_names_another_place_is_still_called_where_it_registered_from() {
    let mut server = Server::new();
    let mut elsewhere = contact(1, 600, 1000);
    elsewhere.uri = "sip:+4930123456@gateway.example.net".to_owned();
    elsewhere.path = vec!["<sip:203.0.113.9;lr>".to_owned()];
    server.register("bob", &[elsewhere]);
    let targets = server.send(&invite("alice", "bob")).targets();
    assert_eq!(targets[0].destination, target(1).destination);
}

#[test]
fn without_any_account_nobody_is_served() {
    let mut server = Server::new();
    for user in ["alice", "bob"] {
        let key = resilee_sip_api::Account::key(user, "example.com");
        assert!(server.tables.remove(resilee_sip_api::ACCOUNTS, &key));
    }
    assert_eq!(server.send(&invite("alice", "bob")).status(), 403);
    let call = Invite { caller: party("bob"), credentials: None, ..invite("bob", "alice") };
    assert_eq!(server.send(&call).status(), 403);
}
