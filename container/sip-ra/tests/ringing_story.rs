//! A call that rings for ever: its phone says 180 each minute, and nobody answers. Also at the
//! node that takes over.

mod harness;

use harness::own_call::calling;
use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, CAROL, CAROL_CONTACT, Dialog, acknowledged_call, answer,
    bob_answers, follow_up, invite,
};
use harness::{Node, Turn};
use resilee_sip_api::{Rejected, SipCommand, Target};

const MINUTE_MS: u64 = 60_000;

/// As long as anybody repeats anything, and behind it.
const LONG: u64 = 70_000;

/// Alice's INVITE as Bob has got it; he rings.
fn ringing() -> (Node, String) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    (node, at_bob)
}

/// So many minutes, each with a 180 at its end.
fn ring(node: &mut Node, at_bob: &str, minutes: usize) -> Turn {
    for _ in 0..minutes {
        assert_eq!(node.wait(MINUTE_MS).lines(BOB), [""; 0]);
        node.receive(BOB, bob_answers(at_bob, 180));
    }
    Turn::default()
}

fn to(uri: &str, destination: &str) -> Vec<Target> {
    vec![Target { uri: uri.to_owned(), destination: destination.to_owned(), ..Target::default() }]
}

#[test]
fn a_call_that_rings_for_ten_minutes_is_over_for_both() {
    for dies in [false, true] {
        let (mut node, at_bob) = ringing();
        ring(&mut node, &at_bob, 5);
        if dies {
            node.take_over();
        }
        ring(&mut node, &at_bob, 4);
        assert_eq!(node.wait(MINUTE_MS - 1).sent.len(), 0);
        let turn = node.wait(1);
        assert_eq!(
            (turn.lines(ALICE), turn.lines(BOB)),
            (vec!["408".to_owned()], vec!["CANCEL".to_owned()])
        );
        assert_eq!((turn.event::<Rejected>().status, turn.commits), (408, 1));
        node.receive(ALICE, follow_up("ACK", 1));
        node.receive(BOB, bob_answers(&turn.only(BOB), 200));
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 487)).lines(BOB), ["ACK"]);
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        assert_eq!(node.history(), ["sip.invite", "sip.progress", "sip.rejected"]);
    }
}

#[test]
fn a_survivor_that_is_late_ends_it_at_once() {
    let (mut node, at_bob) = ringing();
    ring(&mut node, &at_bob, 9);
    node.now = node.now + std::time::Duration::from_secs(90);
    node.take_over();
    assert_eq!(node.wait(0).event::<Rejected>().status, 408);
}

#[test]
fn an_answer_that_crosses_the_408_is_ended() {
    let (mut node, at_bob) = ringing();
    ring(&mut node, &at_bob, 9);
    node.wait(MINUTE_MS);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(BOB), ["ACK", "BYE"]);
}

#[test]
fn an_answer_in_time_is_one() {
    let (mut node, at_bob) = ringing();
    ring(&mut node, &at_bob, 9);
    node.wait(MINUTE_MS - 1);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    assert_eq!(node.wait(MINUTE_MS).sent.len(), 0);
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    node.receive(ALICE, answer(&bye, 200, "", ALICE_CONTACT));
    assert_eq!(node.count("sip.ended"), 1);
}

/// A service that redirects it would else have it ring as often as there may be targets.
#[test]
fn a_call_that_is_redirected_rings_no_longer_in_all() {
    let (mut node, at_bob) = ringing();
    ring(&mut node, &at_bob, 9);
    let targets = to(CAROL_CONTACT, CAROL);
    let turn = node.command(&SipCommand::Redirect { targets, diversion: None }).expect("it rings");
    let at_carol = turn.only(CAROL);
    node.receive(CAROL, answer(&at_carol, 180, "c", CAROL_CONTACT));
    let turn = node.wait(MINUTE_MS);
    assert_eq!(turn.lines(CAROL), ["CANCEL"]);
    assert_eq!(turn.event::<Rejected>().status, 408);
}

/// Bob's phone has lost its network.
#[test]
fn a_call_that_its_caller_has_cancelled_ends_as_cancelled() {
    let (mut node, at_bob) = ringing();
    ring(&mut node, &at_bob, 9);
    node.wait(MINUTE_MS - 1_000);
    assert_eq!(node.receive(ALICE, follow_up("CANCEL", 1)).lines(ALICE), ["200"]);
    let turn = node.wait(1_000);
    assert_eq!(turn.event::<Rejected>().status, 487);
    assert!(turn.lines(ALICE).contains(&"487".to_owned()));
}

#[test]
fn a_call_that_was_refused_rings_no_more() {
    let refuse = SipCommand::Respond { status: 486, reason: String::new(), headers: Vec::new() };
    let (mut node, at_bob) = ringing();
    let cancel = node.command(&refuse).expect("it rings").only(BOB);
    node.receive(ALICE, follow_up("ACK", 1));
    node.receive(BOB, bob_answers(&cancel, 200));
    node.receive(BOB, bob_answers(&at_bob, 487));
    node.wait(LONG);
    assert_eq!((node.living_activities(), node.count("sip.rejected")), (0, 1));
}

#[test]
fn a_call_of_our_own_that_rings_for_ten_minutes_is_over() {
    for dies in [false, true] {
        let (mut node, at_bob) = calling();
        node.receive(BOB, bob_answers(&at_bob, 180));
        ring(&mut node, &at_bob, 5);
        if dies {
            node.take_over();
        }
        ring(&mut node, &at_bob, 4);
        let turn = node.wait(MINUTE_MS);
        assert_eq!(
            (turn.lines(BOB), turn.event::<Rejected>().status),
            (vec!["CANCEL".into()], 408)
        );
        node.receive(BOB, bob_answers(&turn.only(BOB), 200));
        let late = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!(late.lines(BOB), ["ACK", "BYE"]);
        node.receive(BOB, bob_answers(&late.our_bye(BOB), 200));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        assert_eq!(node.history(), ["sip.progress", "sip.rejected"]);
    }
}

/// Alice asks for video, and hangs up while Bob thinks about it. His phone would have to refuse
/// what she asked (RFC 3261 §15.1.2); this one says 183 each minute.
#[test]
fn a_re_invite_that_nobody_answers_does_not_keep_a_call_that_is_over() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 183));
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
        node.receive(BOB, bob_answers(&bye, 200));
        for minute in 1..10 {
            node.wait(MINUTE_MS);
            node.receive(BOB, bob_answers(&at_bob, 183));
            if dies && minute == 5 {
                node.take_over();
            }
        }
        let turn = node.wait(MINUTE_MS);
        assert_eq!(turn.lines(ALICE).first().map(String::as_str), Some("408"));
        assert_eq!(turn.lines(BOB).first().map(String::as_str), Some("CANCEL"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}
