//! Credentials of an INVITE are good once: whoever overhears them calls nobody with them.

mod harness;

use harness::phone::{ALICE, BOB, Dialog, bob_answers, follow_up, invite_with, request};
use harness::{Node, Policy, parse};
use resilee_sip_api::{Invite, OtherRequest, SipCommand};
use resilee_sip_proto::{HeaderName, digest};

const MALLORY: &str = "203.0.113.66:5060";

fn challenging() -> Policy {
    let realm = "example.test".to_owned();
    Policy::Say(vec![SipCommand::Challenge {
        realm,
        stale: false,
        proxy: true,
        algorithms: Vec::new(),
    }])
}

/// Alice's first INVITE is challenged; the nonce.
fn nonce_of_a_challenge(node: &mut Node) -> String {
    let policy = std::mem::replace(&mut node.policy, challenging());
    let challenge = node.receive(ALICE, invite_with(1, "")).to(ALICE).pop().unwrap();
    node.receive(ALICE, follow_up("ACK", 1));
    node.policy = policy;
    let value = parse(&challenge).header(HeaderName::ProxyAuthenticate).unwrap().into_owned();
    digest::Challenge::parse(&value).unwrap().nonce
}

fn authorization(nonce: &str, count: u32) -> String {
    format!(
        "Proxy-Authorization: Digest username=\"alice\", realm=\"example.test\", \
         nonce=\"{nonce}\", uri=\"sip:bob@example.test\", response=\"ab\", qop=auth, \
         cnonce=\"x\", nc={count:08x}\r\n"
    )
}

/// Whether a service would believe these credentials.
#[track_caller]
fn is_fresh(node: &mut Node, from: &str, invite: &str) -> bool {
    node.receive(from, invite).event::<Invite>().credentials.unwrap().nonce_fresh
}

#[test]
fn a_replayed_invite_of_a_call_that_failed_is_not_fresh() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let turn = node.receive(ALICE, invite_with(2, &authorization(&nonce, 1)));
    assert!(turn.event::<Invite>().credentials.unwrap().nonce_fresh);
    node.receive(BOB, bob_answers(&turn.only(BOB), 486));
    node.receive(ALICE, follow_up("ACK", 2));
    node.take_over();
    node.wait(7_000);
    let replay = invite_with(3, &authorization(&nonce, 1));
    assert!(!is_fresh(&mut node, MALLORY, &replay));
    let counted_on = invite_with(4, &authorization(&nonce, 2));
    let turn = node.receive(ALICE, counted_on);
    let status = turn.lines(ALICE);
    assert_eq!(status, ["482"], "the harness proxies a replay; it is up, so this one is merged");
}

#[test]
fn a_higher_count_of_the_same_nonce_is_fresh() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let turn = node.receive(ALICE, invite_with(2, &authorization(&nonce, 1)));
    node.receive(BOB, bob_answers(&turn.only(BOB), 302));
    assert!(is_fresh(&mut node, ALICE, &invite_with(3, &authorization(&nonce, 2))));
}

#[test]
fn a_replay_finds_the_call_up_or_its_nonce_too_old() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let heard = invite_with(2, &authorization(&nonce, 1));
    let at_bob = node.receive(ALICE, &heard).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    let replay = heard.replace("z9hG4bKinvite2", "z9hG4bKreplay");
    for _ in 0..30 {
        let turn = node.receive(MALLORY, &replay);
        assert_eq!(turn.lines(MALLORY), ["482"], "at {:?}", node.now);
        node.wait(1_000);
    }
    node.wait(40_000);
    assert_eq!(node.living_activities(), 0);
    assert!(!is_fresh(&mut node, MALLORY, &replay));
}

/// So no cell has to know what others have seen.
#[test]
fn credentials_are_good_for_the_call_id_that_was_challenged() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let heard = invite_with(2, &authorization(&nonce, 1));
    let elsewhere = heard.replace("Call-ID: call-1", "Call-ID: call-2");
    assert!(!is_fresh(&mut node, MALLORY, &elsewhere));
    let message = request("MESSAGE", "sip:bob@example.test", &authorization(&nonce, 2));
    let event: OtherRequest = node.receive(MALLORY, message).event();
    assert!(!event.credentials.unwrap().nonce_fresh);
}

/// RFC 7616 §3.4.6; by the nonce of the same call, so that nothing else is wrong.
#[test]
fn credentials_for_another_request_uri_are_refused_and_counted() {
    for uri in ["sip:carol@example.test", "sip:bob@example.org", "sip:example.test", "tel:1", ""] {
        let mut node = Node::for_bob();
        let nonce = nonce_of_a_challenge(&mut node);
        let given = authorization(&nonce, 1).replace("sip:bob@example.test", uri);
        let turn = node.receive(ALICE, invite_with(2, &given));
        let refused = turn.only(ALICE);
        assert!(refused.starts_with("SIP/2.0 400 Digest URI Is Not Request-URI"), "{refused}");
        assert_eq!(turn.refused, ["credentials for another Request-URI"], "{uri}");
        assert_eq!(turn.types(), Vec::<&str>::new(), "{uri}");
        node.take_over();
        assert_eq!(
            node.receive(ALICE, invite_with(3, &authorization(&nonce, 1))).lines(BOB),
            ["INVITE"]
        );
    }
}

#[test]
fn a_digest_uri_in_other_letters_or_of_our_own_address_is_good() {
    for uri in [
        "sip:bob@Example.TEST",
        "sip:%62ob@example.test:5060;transport=udp",
        "sip:198.51.100.1:5060",
        "sip:bob@198.51.100.1",
        "sip:[2001:db8::100]",
    ] {
        let mut node = Node::for_bob();
        let nonce = nonce_of_a_challenge(&mut node);
        let given = authorization(&nonce, 1).replace("sip:bob@example.test", uri);
        assert!(is_fresh(&mut node, ALICE, &invite_with(2, &given)), "{uri}");
    }
}

/// They are another proxy's, and go on to it.
#[test]
fn credentials_for_another_server_are_not_judged() {
    let mut node = Node::for_bob();
    let given = authorization("theirs", 1).replace("sip:bob@example.test", "sip:x@example.org");
    let at_bob = node.receive(ALICE, invite_with(1, &given)).only(BOB);
    assert!(at_bob.contains("uri=\"sip:x@example.org\""), "{at_bob}");
}

#[test]
fn a_retransmission_is_no_replay() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let invite = invite_with(2, &authorization(&nonce, 1));
    node.receive(ALICE, &invite).only(BOB);
    node.take_over();
    let again = node.receive(ALICE, &invite);
    assert_eq!(again.lines(ALICE), ["100"]);
    again.assert_changes_nothing();
}

#[test]
fn a_client_that_does_not_count_uses_a_nonce_once() {
    let mut node = Node::for_bob();
    let nonce = nonce_of_a_challenge(&mut node);
    let plain = authorization(&nonce, 1).replace(", qop=auth, cnonce=\"x\", nc=00000001", "");
    let turn = node.receive(ALICE, invite_with(2, &plain));
    assert!(turn.event::<Invite>().credentials.unwrap().nonce_fresh);
    node.receive(BOB, bob_answers(&turn.only(BOB), 486));
    assert!(!is_fresh(&mut node, ALICE, &invite_with(3, &plain)));
}
