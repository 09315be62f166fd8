//! Requests outside a call.

mod harness;

use harness::phone::{ALICE, BOB, BOB_CONTACT, bob_answers, request};
use harness::{Node, Policy, flow, parse};
use resilee_core::{Ingress, ResourceAdaptor, Route, Scope};
use resilee_sip_api::{OtherRequest, Register, SipCommand, Target};
use resilee_sip_proto::HeaderName;

fn saying(status: u16, headers: &[(&str, &str)]) -> Node {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Node::new(Policy::Say(vec![SipCommand::Respond { status, reason: String::new(), headers }]))
}

fn register(headers: &str) -> String {
    request("REGISTER", "sip:example.test", headers)
}

#[test]
fn a_register_is_answered_with_what_the_registrar_says() {
    let mut node = saying(200, &[("Contact", "<sip:alice@10.0.0.1>;expires=60")]);
    let contact = "Contact: <sip:alice@10.0.0.1>;q=0.5;expires=60\r\nExpires: 90\r\n";
    let turn = node.receive(ALICE, register(contact));
    let event: Register = turn.event();
    assert_eq!(event.to.address_of_record, "sip:alice@example.test");
    assert_eq!(event.domain, "example.test", "of the Request-URI");
    assert_eq!((event.source.as_str(), event.cseq, event.expires_s), (ALICE, 7, Some(90)));
    assert_eq!((event.bindings[0].q_thousandths, event.bindings[0].expires_s), (500, Some(60)));
    let ok = turn.only(ALICE);
    assert_eq!(parse(&ok).status(), Some(200));
    assert!(parse(&ok).header(HeaderName::Contact).is_some());
    assert_eq!(node.living_activities(), 0, "it ends with its answer");
}

#[test]
fn a_register_that_comes_again_is_answered_the_same_again() {
    let mut node = saying(200, &[]);
    let first = node.receive(ALICE, register("")).only(ALICE);
    assert_eq!(node.receive(ALICE, register("")).only(ALICE), first);
    node.take_over();
    assert_eq!(node.receive(ALICE, register("")).only(ALICE), first);
}

#[test]
fn a_wildcard_is_no_binding() {
    let mut node = saying(200, &[]);
    let event: Register = node.receive(ALICE, register("Contact: *\r\nExpires: 0\r\n")).event();
    assert!(event.wildcard && event.bindings.is_empty());
}

#[test]
fn registrations_of_one_address_share_a_cell_of_the_tables() {
    let node = saying(200, &[]);
    let ingress = |text: String| Ingress::new(flow(ALICE), text.into());
    let route = |text: String| node.ra.route(node.now, &ingress(text));
    let other_client = register("").replace("request-1", "request-2");
    assert_eq!(route(register("")), route(other_client));
    let Route::Cell { scope, creates, .. } = route(register("")) else { panic!("a cell") };
    assert_eq!((scope, creates), (Scope::Tables, true));
    let bob = register("").replace("To: <sip:alice@", "To: <sip:bob@");
    assert_ne!(route(register("")), route(bob));
}

#[test]
fn a_challenge_to_a_register_is_401() {
    let challenge = SipCommand::Challenge {
        realm: "r".into(),
        stale: true,
        proxy: false,
        algorithms: Vec::new(),
    };
    let mut node = Node::new(Policy::Say(vec![challenge]));
    let answer = node.receive(ALICE, register("")).only(ALICE);
    let header = parse(&answer).header(HeaderName::WwwAuthenticate).unwrap().into_owned();
    assert_eq!(parse(&answer).status(), Some(401));
    assert!(header.contains("stale=true") && header.contains("qop=\"auth\""), "{header}");
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn options_to_this_server_are_answered() {
    let mut node = saying(200, &[("Allow", "INVITE")]);
    let turn = node.receive(ALICE, request("OPTIONS", "sip:example.test", ""));
    assert_eq!(turn.event::<OtherRequest>().method, "OPTIONS");
    assert!(turn.only(ALICE).contains("Allow: INVITE\r\n"));
    assert_eq!(node.living_activities(), 0);
}

fn last_hop(method: &str, uri: &str) -> String {
    request(method, uri, "").replacen("Max-Forwards: 70", "Max-Forwards: 0", 1)
}

/// RFC 3261 §16.3 step 3, §11: that is how somebody asks the servers on his way, one by one.
#[test]
fn options_to_this_server_are_answered_also_on_their_last_hop() {
    for uri in ["sip:example.test", "sip:198.51.100.1:5060"] {
        let mut node = saying(200, &[("Allow", "INVITE")]);
        let turn = node.receive(ALICE, last_hop("OPTIONS", uri));
        assert_eq!(turn.lines(ALICE), ["200"], "{uri}");
    }
    for (method, uri) in [
        ("OPTIONS", "sip:bob@example.test"),
        ("MESSAGE", "sip:example.test"),
        ("SUBSCRIBE", "sip:example.test"),
    ] {
        let mut node = saying(200, &[]);
        let turn = node.receive(ALICE, last_hop(method, uri));
        assert_eq!((turn.lines(ALICE), turn.types()), (vec!["483".to_owned()], vec![]), "{uri}");
    }
}

/// Whatever a service wants with it.
#[test]
fn options_on_their_last_hop_go_no_further() {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, last_hop("OPTIONS", "sip:example.test"));
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (vec!["483".to_owned()], vec![]));
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_message_is_proxied_without_record_route_and_repeated_until_answered() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", "")).only(BOB);
    assert_eq!(parse(&at_bob).request_uri(), Some(BOB_CONTACT));
    assert_eq!(parse(&at_bob).header(HeaderName::RecordRoute), None);
    assert_eq!(node.wait(500).only(BOB), at_bob);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    let again = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", ""));
    assert_eq!((again.lines(ALICE), again.lines(BOB).len()), (vec!["200".to_owned()], 0));
    again.assert_changes_nothing();
    node.wait(33_000);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_message_in_flight_is_sent_again_by_the_survivor() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", "")).only(BOB);
    assert_eq!(node.take_over().only(BOB), at_bob);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
}

#[test]
fn a_silent_target_is_not_answered_for_rfc_4320() {
    let mut node = Node::for_bob();
    node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", ""));
    assert!(node.wait(33_000).to(ALICE).is_empty());
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_request_that_no_service_takes_is_over_with_its_senders_timer_f() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", ""));
    assert!(node.wait(32_000).sent.is_empty());
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_register_is_never_proxied() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, register(""));
    let targets =
        vec![Target { uri: BOB_CONTACT.into(), destination: BOB.into(), ..Target::default() }];
    assert!(node.command(&SipCommand::Proxy { targets }).is_err());
}

/// RFC 3261 §9.2: it matches the request, has no effect on it, and is answered 200.
#[test]
fn a_cancel_of_a_request_that_is_no_invite_is_accepted_and_changes_nothing() {
    for method in ["MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "PUBLISH"] {
        let request = request(method, "sip:bob@example.test", "");
        let cancel =
            request.replacen(method, "CANCEL", 1).replace(&format!("7 {method}"), "7 CANCEL");
        let mut node = Node::for_bob();
        assert_eq!(node.receive(ALICE, &cancel).lines(ALICE), ["481"], "{method}: before it");
        let at_bob = node.receive(ALICE, &request).only(BOB);
        let strangers = node.receive(BOB, &cancel);
        assert_eq!(strangers.lines(BOB), ["481"], "{method}: not from where it came");
        let other = cancel.replace("z9hG4bKrequest", "z9hG4bKother");
        assert_eq!(node.receive(ALICE, other).lines(ALICE), ["481"], "{method}: of another one");
        for dies in [false, true] {
            if dies {
                node.take_over();
            }
            let turn = node.receive(ALICE, &cancel);
            turn.assert_changes_nothing();
            assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["200".to_owned()], 1));
            assert_eq!(parse(&turn.only(ALICE)).cseq(), (7, "CANCEL"));
        }
        let answered = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!(answered.lines(ALICE), ["200"], "{method}");
        assert_eq!(node.receive(ALICE, &cancel).lines(ALICE), ["200"], "{method}: answered");
        node.wait(60_000);
        assert_eq!(node.living_activities(), 0);
        assert_eq!(node.receive(ALICE, &cancel).lines(ALICE), ["481"], "{method}: over");
    }
}

/// Its answer is not kept, and its transaction is over with it.
#[test]
fn a_cancel_of_a_register_finds_no_transaction() {
    let mut node = saying(200, &[]);
    assert_eq!(node.receive(ALICE, register("")).lines(ALICE), ["200"]);
    let cancel = register("").replace("REGISTER", "CANCEL");
    let turn = node.receive(ALICE, cancel);
    assert_eq!((turn.lines(ALICE), turn.types().len()), (vec!["481".to_owned()], 0));
}
