//! Why a phone is cancelled: the Reason of its CANCEL (RFC 3326). Also by the node that takes over.

mod harness;

use harness::own_call::{target, to_bob};
use harness::phone::{
    ALICE, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, answer, bob_answers, follow_up, invite,
};
use harness::{Node, Policy, parse};
use resilee_sip_api::{PhoneCall, SipCommand, Target};

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// What a CANCEL says.
#[track_caller]
fn reason(cancel: &str) -> Option<String> {
    assert!(cancel.starts_with("CANCEL "), "{cancel}");
    parse(cancel).header_named("Reason").map(|reason| reason.into_owned())
}

/// Alice calls, and Bob and Carol have got her INVITE.
fn forked() -> (Node, String, String) {
    let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]));
    let turn = node.receive(ALICE, invite());
    (node, turn.only(BOB), turn.only(CAROL))
}

fn carol_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "c", CAROL_CONTACT)
}

/// Alice gives up, and says this.
fn cancel_with(headers: &str) -> String {
    follow_up("CANCEL", 1).replacen("Max-Forwards:", &format!("{headers}Max-Forwards:"), 1)
}

#[test]
fn a_phone_hears_that_another_one_has_answered() {
    let (mut node, at_bob, at_carol) = forked();
    node.receive(CAROL, carol_answers(&at_carol, 180));
    let cancel = node.receive(BOB, bob_answers(&at_bob, 200)).only(CAROL);
    assert_eq!(reason(&cancel).as_deref(), Some(ELSEWHERE));
    let again = node.take_over().to(CAROL);
    assert_eq!(again, [cancel]);
}

#[test]
fn a_phone_that_is_cancelled_later_hears_it_as_well() {
    for dies in [false, true] {
        let (mut node, at_bob, at_carol) = forked();
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).to(CAROL).len(), 0);
        if dies {
            node.take_over();
        }
        let cancel = node.receive(CAROL, carol_answers(&at_carol, 180)).only(CAROL);
        assert_eq!(reason(&cancel).as_deref(), Some(ELSEWHERE));
    }
}

#[test]
fn a_phone_hears_why_the_caller_has_given_up() {
    let texts = "SIP;cause=600;text=\"Busy, \\\"here\\\"\"";
    for dies in [false, true] {
        let (mut node, at_bob, at_carol) = forked();
        node.receive(BOB, bob_answers(&at_bob, 180));
        let said = format!("Reason: {texts}\r\nreason: Q.850;cause=16\r\n");
        let expected = format!("{texts}, Q.850;cause=16");
        let cancel = node.receive(ALICE, cancel_with(&said)).only(BOB);
        assert_eq!(reason(&cancel), Some(expected.clone()));
        if dies {
            node.take_over();
        }
        let cancel = node.receive(CAROL, carol_answers(&at_carol, 180)).only(CAROL);
        assert_eq!(reason(&cancel), Some(expected));
    }
}

#[test]
fn a_reason_that_nobody_gave_or_that_is_too_long_is_none() {
    let long = format!("Reason: SIP;text=\"{}\"\r\n", "x".repeat(512));
    for said in ["", long.as_str()] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 180));
        assert_eq!(reason(&node.receive(ALICE, cancel_with(said)).only(BOB)), None);
    }
}

#[test]
fn a_phone_hears_that_another_one_has_refused_for_all() {
    let (mut node, at_bob, at_carol) = forked();
    node.receive(CAROL, carol_answers(&at_carol, 180));
    let cancel = node.receive(BOB, bob_answers(&at_bob, 603)).only(CAROL);
    assert_eq!(reason(&cancel).as_deref(), Some("SIP;cause=603;text=\"Decline\""));
}

/// It is a call that was missed.
#[test]
fn an_operator_and_a_redirection_give_no_reason() {
    let targets = vec![Target {
        uri: CAROL_CONTACT.to_owned(),
        destination: CAROL.to_owned(),
        ..Target::default()
    }];
    for command in [SipCommand::HangUp, SipCommand::Redirect { targets, diversion: None }] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 180));
        assert_eq!(reason(&node.command(&command).expect("it rings").only(BOB)), None);
    }
}

/// The CANCEL of the redirection has not gone yet: nobody has missed that call.
#[test]
fn a_phone_that_was_given_up_hears_that_the_call_was_answered_elsewhere() {
    let targets = vec![Target {
        uri: CAROL_CONTACT.to_owned(),
        destination: CAROL.to_owned(),
        ..Target::default()
    }];
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let redirect = SipCommand::Redirect { targets, diversion: None };
    let at_carol = node.command(&redirect).expect("it was sent on").only(CAROL);
    node.receive(CAROL, carol_answers(&at_carol, 200));
    let cancel = node.receive(BOB, bob_answers(&at_bob, 180)).only(BOB);
    assert_eq!(reason(&cancel).as_deref(), Some(ELSEWHERE));
}

#[test]
fn phones_that_the_server_calls_hear_it_too() {
    for (status, expected) in [(200, ELSEWHERE), (600, "SIP;cause=600;text=\"Busy Everywhere\"")] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let targets = vec![target(BOB_CONTACT, BOB), target(CAROL_CONTACT, CAROL)];
        let wanted = PhoneCall { targets, ..to_bob() };
        let turn = node.call(&wanted).unwrap();
        node.receive(CAROL, carol_answers(&turn.only(CAROL), 180));
        let cancel = node.receive(BOB, bob_answers(&turn.only(BOB), status)).only(CAROL);
        assert_eq!(reason(&cancel).as_deref(), Some(expected));
    }
}
