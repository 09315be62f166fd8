//! Who may call.

use crate::harness::{Server, contact, credentials, invite, party, request, target};
use resilee_call_control::{OPEN_CALLS, POLICY};
use resilee_sbb::encode;
use resilee_sip_api::{Contact, Invite, OtherRequest, SipCommand};

#[test]
fn a_caller_without_credentials_is_challenged() {
    let call = Invite { credentials: None, ..invite("alice", "bob") };
    assert!(!Server::new().send(&call).challenge());
    let message = request("MESSAGE", "sip:bob@example.com");
    let message = OtherRequest { credentials: None, ..message };
    assert!(!Server::new().send(&message).challenge());
}

#[test]
fn credentials_of_another_realm_are_as_good_as_none() {
    let mut call = invite("alice", "bob");
    call.credentials.as_mut().unwrap().realm = "example.org".to_owned();
    assert!(!Server::new().send(&call).challenge());
}

#[test]
fn a_caller_with_the_right_secret_gets_through() {
    assert_eq!(Server::new().send(&invite("alice", "bob")).targets(), [target(1)]);
}

#[test]
fn an_old_nonce_is_told_so_and_nobody_learns_whether_the_secret_was_right() {
    let mut call = invite("alice", "bob");
    call.credentials.as_mut().unwrap().nonce_fresh = false;
    assert!(Server::new().send(&call).challenge());
    call.credentials.as_mut().unwrap().response = "0".repeat(32);
    assert!(Server::new().send(&call).challenge());
    call.credentials.as_mut().unwrap().nonce_fresh = true;
    assert!(!Server::new().send(&call).challenge());
}

#[test]
fn credentials_of_one_request_do_not_serve_for_another_method() {
    let mut call = invite("alice", "bob");
    call.credentials = Some(credentials("alice", "REGISTER"));
    call.credentials.as_mut().unwrap().method = "INVITE".to_owned();
    assert!(!Server::new().send(&call).challenge());
}

#[test]
fn nobody_calls_in_another_users_name() {
    let mut call = invite("alice", "bob");
    call.credentials = Some(credentials("bob", "INVITE"));
    let reaction = Server::new().send(&call);
    assert_eq!(reaction.status(), 403);
    assert!(reaction.traces[0].contains("From is not the user"), "{reaction:?}");
}

#[test]
fn a_caller_without_an_account_learns_nothing_of_who_has_one() {
    for callee in ["bob", "alice", "nobody"] {
        let mut call = invite("mallory", callee);
        assert!(!Server::new().send(&call).challenge());
        call.credentials = None;
        assert!(!Server::new().send(&call).challenge());
    }
}

#[test]
fn a_caller_of_another_domain_is_refused() {
    let mut elsewhere = invite("alice", "bob");
    elsewhere.caller.address_of_record = "sip:alice@example.org".to_owned();
    assert_eq!(Server::new().send(&elsewhere).status(), 403);
    let anonymous = Invite { caller: Default::default(), ..invite("alice", "bob") };
    assert_eq!(Server::new().send(&anonymous).status(), 403);
}

#[test]
fn with_open_calls_anybody_may_call() {
    let server = Server::new().with_open_calls();
    for caller in ["mallory", "alice"] {
        let call = Invite { credentials: None, ..invite(caller, "bob") };
        assert_eq!(server.send(&call).targets(), [target(1)]);
    }
    let message = request("MESSAGE", "sip:bob@example.com");
    let message = OtherRequest { from: party("mallory"), credentials: None, ..message };
    assert_eq!(server.send(&message).targets(), [target(1)]);
}

#[test]
fn calls_are_open_by_nothing_but_true() {
    let mut server = Server::new();
    server.tables.put(POLICY, OPEN_CALLS, encode(&false).unwrap());
    assert!(!server.send(&invite("mallory", "bob")).challenge());
    server.tables.put(POLICY, OPEN_CALLS, encode(&"yes").unwrap());
    let reaction = server.send(&invite("mallory", "bob"));
    assert_eq!((reaction.challenge(), reaction.alarms.len()), (false, 1));
    assert_eq!(server.send(&invite("alice", "bob")).targets(), [target(1)]);
}

#[test]
fn while_a_password_is_tried_out_only_phones_that_are_registered_may_call() {
    let mut server = Server::new();
    let barred = |caller: &str, source: &str| Invite {
        barred_s: Some(9),
        source: source.to_owned(),
        ..invite(caller, "bob")
    };
    server.register("alice", &[contact(5, 600, 1000)]);
    let refused = server.send(&barred("alice", "203.0.113.9:5060"));
    assert_eq!(refused.status(), 503);
    let Some(SipCommand::Respond { headers, .. }) = refused.command else { unreachable!() };
    assert_eq!(headers, [("Retry-After".to_owned(), "9".to_owned())]);
    let own = server.send(&barred("alice", "192.0.2.5:40000"));
    assert_eq!(own.targets(), [target(1)], "her own address, at another port");
    assert_eq!(server.send(&barred("bob", "192.0.2.5:40000")).status(), 503, "not his");
    server.register("alice", &[contact(5, 0, 1000)]);
    assert_eq!(server.send(&barred("alice", "192.0.2.5:40000")).status(), 503, "expired");
}

/// Her phone changes its address within its network by itself (RFC 8981).
#[test]
fn a_phone_that_is_registered_from_its_ipv6_network_may_call_from_another_address_of_it() {
    let mut server = Server::new();
    let registered = Contact { source: "[2001:db8::5]:5060".to_owned(), ..contact(5, 600, 1000) };
    server.register("alice", &[registered]);
    let barred = |source: &str| Invite {
        barred_s: Some(9),
        source: source.to_owned(),
        ..invite("alice", "bob")
    };
    assert_eq!(server.send(&barred("[2001:db8::a:b:c:d]:40000")).targets(), [target(1)]);
    assert_eq!(server.send(&barred("[2001:db8:0:1::5]:5060")).status(), 503, "another network");
}
