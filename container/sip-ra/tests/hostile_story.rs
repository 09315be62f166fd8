//! Messages that nobody should send: none of them is a panic, and none a second bill.

mod harness;

use harness::Node;
use harness::phone::{ALICE, BOB, Dialog, bob_answers, invite};

/// Damaged copies of each message.
const COPIES: u64 = 400;

/// A number that depends on another: the test is the same each time.
fn scrambled(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}

/// The message with a few bytes changed, cut out or doubled.
fn damaged(message: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for change in 0..=seed % 4 {
        let number = scrambled(seed * 8 + change);
        let at = usize::try_from(number >> 8).unwrap() % bytes.len().max(1);
        match number % 4 {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = number.to_le_bytes()[2],
            1 => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
            2 => bytes.splice(at..at, *b"\r\n ,;<>\"").for_each(drop),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

#[test]
fn damaged_messages_are_no_panic() {
    let mut node = Node::for_bob();
    let mut seed = 0;
    let mut send = |node: &mut Node, from: &str, message: &[u8]| {
        let turn = node.receive(from, message);
        for _ in 0..COPIES {
            seed += 1;
            node.receive(from, damaged(message, seed));
        }
        turn
    };
    let at_bob = send(&mut node, ALICE, invite().as_bytes()).only(BOB);
    send(&mut node, BOB, &bob_answers(&at_bob, 180));
    let ok = send(&mut node, BOB, &bob_answers(&at_bob, 200)).only(ALICE);
    let dialog = Dialog::of(&ok);
    for method in ["ACK", "INVITE", "INFO", "UPDATE"] {
        send(&mut node, ALICE, dialog.by_alice(method, 2).as_bytes());
    }
    node.take_over();
    let at_bob = send(&mut node, ALICE, dialog.by_alice("BYE", 3).as_bytes()).only(BOB);
    send(&mut node, BOB, &bob_answers(&at_bob, 200));
    node.wait(400_000);
    assert!(node.count("sip.ended") <= node.count("sip.answered"));
    assert!(node.count("sip.answered") <= node.count("sip.invite"));
}

#[test]
fn a_flood_of_requests_in_a_call_is_bounded_and_the_call_can_still_end() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    let mut refused = 0;
    for cseq in 2..200 {
        let turn = node.receive(ALICE, dialog.by_alice("INFO", cseq));
        refused += usize::from(turn.lines(ALICE) == ["503"]);
    }
    assert_eq!(refused, 198 - 32);
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 500)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn many_answered_requests_in_a_call_are_no_flood() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    for cseq in 2..200 {
        let at_bob = node.receive(ALICE, dialog.by_alice("INFO", cseq)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    }
}

#[test]
fn a_response_that_nobody_waits_for_goes_nowhere() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let forged = String::from_utf8(bob_answers(&at_bob, 200)).unwrap();
    let our_branch = harness::phone::top_branch(&at_bob);
    let other_branch = our_branch.replace(&our_branch[30..32], "zz");
    for message in [
        forged.replace(&our_branch, &other_branch),
        forged.replace("198.51.100.1:5060", "198.51.100.9:5060"),
        forged.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
    ] {
        let turn = node.receive(BOB, message);
        assert!(turn.sent.is_empty() && turn.events.is_empty());
    }
    assert_eq!(node.count("sip.answered"), 0);
}
