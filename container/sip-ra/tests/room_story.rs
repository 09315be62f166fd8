//! How much a call keeps, whatever its ends send: it fits beside the call into a frame to the
//! backup, and a BYE of usual size gets through.

mod harness;

use harness::phone::{
    self, ALICE, BOB, Dialog, answer, answered_call, bob_answers, bob_answers_bytes, follow_up,
    invite, invite_with,
};
use harness::{Node, Policy, parse};
use resilee_sip_api::{Rejected, Target};
use resilee_sip_proto::HeaderName;

/// What has room beside a call in a frame (`docs/limits.md`).
const ROOM: usize = 1 << 20;

const LARGE: usize = 58_000;

/// The message with a body, or another one, of so many bytes.
fn with_body(message: &str, bytes: usize) -> String {
    let (head, _) = message.split_once("\r\n\r\n").expect("it has a body");
    let lines: Vec<_> = head.lines().filter(|it| !it.starts_with("Content-Length")).collect();
    format!("{}\r\nContent-Length: {bytes}\r\n\r\n{}", lines.join("\r\n"), "x".repeat(bytes))
}

fn bob_says(request: &str, status: u16, body: usize) -> String {
    with_body(&String::from_utf8(bob_answers(request, status)).expect("text"), body)
}

#[track_caller]
fn assert_room(node: &Node) {
    assert!(node.kept_bytes() < ROOM, "{}", node.kept_bytes());
}

/// A BYE of Alice ends the call.
#[track_caller]
fn assert_can_be_ended(node: &mut Node, dialog: &Dialog) {
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 900)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    assert_eq!(node.count("sip.ended"), 1);
    assert_room(node);
}

#[test]
fn large_reinvites_that_nobody_answers_leave_room_for_the_bye() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let mut refused = 0;
    for cseq in 2..42 {
        let turn = node.receive(ALICE, with_body(&dialog.by_alice("INVITE", cseq), LARGE));
        refused += usize::from(turn.lines(ALICE) == ["513"]);
        assert_eq!(turn.lines(BOB).is_empty(), turn.lines(ALICE) == ["513"], "{cseq}");
    }
    assert!((30..40).contains(&refused), "{refused}");
    let bye = with_body(&dialog.by_alice("BYE", 50), LARGE);
    assert_eq!(node.receive(ALICE, bye).lines(ALICE), ["513"]);
    assert_room(&node);
    assert_can_be_ended(&mut node, &dialog);
}

/// As many as it takes, each as large as it may be.
#[test]
fn whatever_its_ends_send_a_call_keeps_less_than_has_room() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let sizes = [("INVITE", LARGE), ("INFO", 20_000), ("INVITE", 3_000), ("BYE", 3_400)];
    let mut cseq = 1;
    for (method, bytes) in sizes {
        for _ in 0..70 {
            cseq += 1;
            let turn = node.receive(ALICE, with_body(&dialog.by_alice(method, cseq), bytes));
            for at_bob in turn.to(BOB) {
                node.receive(BOB, bob_says(&at_bob, 183, 3_400));
            }
            assert_room(&node);
        }
    }
    assert!(node.kept_bytes() > ROOM / 2, "{}", node.kept_bytes());
    node.wait(64_000);
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_large_bye_ends_a_call_that_has_room() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, with_body(&dialog.by_alice("BYE", 2), LARGE)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn large_answers_are_passed_on_and_not_kept() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for cseq in 2..20 {
        let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", cseq)).only(BOB);
        assert_eq!(node.receive(BOB, bob_says(&at_bob, 183, LARGE)).lines(ALICE), ["183"]);
        assert_room(&node);
        let again = node.receive(ALICE, dialog.by_alice("INVITE", cseq));
        assert_eq!(again.lines(ALICE), ["100"], "the last one that is kept");
    }
    for cseq in 20..70 {
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", cseq)).only(BOB);
        let challenge = bob_says(&at_bob, 401, LARGE);
        assert_eq!(node.receive(BOB, challenge).lines(ALICE), ["401"]);
        assert_room(&node);
    }
    assert_can_be_ended(&mut node, &dialog);
}

/// As one that was forgotten for another one: its target repeats the answer.
#[test]
fn a_request_with_a_large_answer_goes_its_way_again_when_it_is_repeated() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for method in ["INFO", "UPDATE", "BYE"] {
        let mut at_bob = Vec::new();
        for _ in 0..2 {
            at_bob.push(node.receive(ALICE, dialog.by_alice(method, 2)).only(BOB));
            let turn = node.receive(BOB, bob_says(&at_bob[0], 200, LARGE));
            assert_eq!(turn.lines(ALICE), ["200"], "{method}");
        }
        assert_eq!(at_bob[0], at_bob[1], "the same again");
    }
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_large_failure_of_a_reinvite_is_said_in_our_own_words() {
    for (status, said) in [(488, "488"), (407, "502"), (503, "500")] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
        let turn = node.receive(BOB, bob_says(&at_bob, status, LARGE));
        assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["ACK".into()], vec![said.into()]));
        assert!(turn.only(ALICE).len() < 1_000);
        assert_can_be_ended(&mut node, &dialog);
    }
}

fn contacts(count: usize) -> Policy {
    Policy::ProxyTo(vec![(phone::BOB_CONTACT, BOB); count])
}

#[test]
fn a_large_invite_goes_to_one_target_and_not_to_many() {
    let large = with_body(&invite(), LARGE);
    let turn = Node::new(contacts(1)).receive(ALICE, &large);
    assert_eq!((turn.lines(ALICE), turn.lines(BOB).len()), (vec!["100".to_owned()], 1));
    let mut node = Node::new(contacts(16));
    let turn = node.receive(ALICE, &large);
    assert_eq!((turn.lines(ALICE), turn.lines(BOB).len()), (vec!["513".to_owned()], 0));
    assert_eq!(turn.event::<Rejected>().status, 513);
    assert_room(&node);
    assert_eq!(Node::new(contacts(16)).receive(ALICE, invite()).lines(BOB).len(), 16);
}

#[test]
fn large_failures_of_many_targets_are_not_kept() {
    let mut node = Node::new(contacts(16));
    let targets = node.receive(ALICE, invite()).to(BOB);
    let mut last = Vec::new();
    for target in &targets {
        let turn = node.receive(BOB, bob_says(target, 486, LARGE));
        assert_eq!(turn.lines(BOB), ["ACK"]);
        last = turn.lines(ALICE);
        assert_room(&node);
    }
    assert_eq!(last, ["486"]);
    node.receive(ALICE, follow_up("ACK", 1));
}

/// Their requests go on to others, and their dialogs have their names.
#[test]
fn names_and_ways_of_an_end_that_are_too_long_are_refused() {
    let long = "l".repeat(5_000);
    let named = [
        ("tag=a", format!("tag={long}")),
        ("<sip:alice@10.0.0.1:5060>", format!("<sip:alice@10.0.0.1:5060;p={long}>")),
        ("Call-ID: call-1", format!("Call-ID: {long}")),
        ("Max-Forwards", format!("Record-Route: <sip:p.test;lr;p={long}>\r\nMax-Forwards")),
    ];
    for (part, longer) in &named {
        let turn = Node::for_bob().receive(ALICE, invite().replace(part, longer));
        assert_eq!((turn.lines(ALICE), turn.types()), (vec!["513".to_owned()], vec![]), "{part}");
    }
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let (part, longer) = &named[1];
    let turn = node.receive(ALICE, dialog.by_alice("UPDATE", 2).replace(part, longer));
    assert_eq!(turn.lines(ALICE), ["513"]);
    assert_can_be_ended(&mut node, &dialog);
}

#[test]
fn an_answer_whose_dialog_would_be_too_large_has_none() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    for number in 0..20 {
        let tag = format!("{number}{}", "t".repeat(30_000));
        let turn = node.receive(BOB, answer(&at_bob, 180, &tag, phone::BOB_CONTACT));
        assert_eq!(turn.lines(ALICE), ["180"]);
        let turn = node.receive(BOB, answer(&at_bob, 200, &tag, phone::BOB_CONTACT));
        assert!(turn.sent.is_empty(), "a 2xx that nobody could end");
        assert_eq!(turn.refused, ["2xx to an INVITE whose dialog would be too large"]);
        assert_room(&node);
    }
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
    assert_can_be_ended(&mut node, &Dialog::of(&ok));
}

#[test]
fn a_new_remote_target_that_is_too_long_is_passed_on_and_not_kept() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, dialog.by_alice("UPDATE", 2)).only(BOB);
    let contact = format!("sip:bob@192.0.2.20:5060;p={}", "x".repeat(30_000));
    let turn = node.receive(BOB, answer(&at_bob, 200, "b", &contact));
    assert_eq!(turn.lines(ALICE), ["200"]);
    node.wait(40_000);
    assert!(node.kept_bytes() < 8_000, "{}", node.kept_bytes());
    assert_can_be_ended(&mut node, &dialog);
}

#[test]
fn large_requests_beside_each_other_under_one_call_id_are_bounded() {
    let target =
        Target { uri: phone::BOB_CONTACT.into(), destination: BOB.into(), ..Target::default() };
    let mut node = Node::new(Policy::ProxyBy(target));
    let mut passed = 0;
    for number in 0..20 {
        let message = phone::request("MESSAGE", "sip:bob@example.test", "");
        let message = message.replace("z9hG4bKrequest", &format!("z9hG4bKrequest{number}"));
        let turn = node.receive(ALICE, with_body(&message, LARGE));
        passed += turn.to(BOB).len();
        assert_room(&node);
    }
    assert!((1..5).contains(&passed), "{passed}");
}

/// What cannot be read again could not be cancelled (RFC 3261 §16.6: it gets some more lines).
#[test]
fn a_request_whose_copy_could_not_be_read_is_refused() {
    let with_lines = |lines| invite_with(1, &"X-Line: x\r\n".repeat(lines));
    let turn = Node::for_bob().receive(ALICE, with_lines(247));
    assert_eq!((turn.lines(ALICE), turn.types()), (vec!["513".to_owned()], vec![]));
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, with_lines(200)).only(BOB);
    node.receive(BOB, bob_answers_bytes(at_bob.as_bytes(), 180));
    assert_eq!(node.receive(ALICE, follow_up("CANCEL", 1)).lines(BOB), ["CANCEL"]);
    assert_eq!(parse(&at_bob).values(HeaderName::Via).len(), 2);
    let turn = Node::for_bob().receive(ALICE, with_body(&invite(), 64_000));
    assert_eq!((turn.lines(ALICE), turn.types()), (vec!["513".to_owned()], vec![]));
}
