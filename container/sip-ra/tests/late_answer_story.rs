//! A 2xx that crosses our own failure: the caller has heard that nobody answers, and the phone
//! thinks that it talks. Also at the node that takes over.

mod harness;

use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, acknowledged_call,
    answer, bob_answers, follow_up, invite,
};
use harness::{Node, Policy, parse};
use resilee_sip_api::{Ended, SipCommand};
use resilee_sip_proto::HeaderName;

/// As long as anybody repeats anything, and behind it.
const LONG: u64 = 70_000;

fn refuse() -> SipCommand {
    SipCommand::Respond { status: 480, reason: String::new(), headers: Vec::new() }
}

/// Alice's call rings at Bob, whose INVITE this is, and has failed by this command.
fn failed(command: &SipCommand) -> (Node, String) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let turn = node.command(command).expect("it rings");
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (vec!["480".into()], vec!["CANCEL".into()]));
    node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    (node, at_bob)
}

#[test]
fn a_2xx_that_crosses_our_failure_is_acknowledged_and_ended() {
    for (command, dies, acked) in [
        (SipCommand::HangUp, false, true),
        (SipCommand::HangUp, true, false),
        (refuse(), false, false),
        (refuse(), true, true),
    ] {
        let (mut node, at_bob) = failed(&command);
        if acked {
            node.receive(ALICE, follow_up("ACK", 1));
        }
        if dies {
            node.take_over();
        }
        let turn = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!((turn.lines(BOB), turn.to(ALICE).len()), (vec!["ACK".into(), "BYE".into()], 0));
        assert_eq!(turn.commits, 1, "a survivor knows of the BYE");
        let bye = turn.our_bye(BOB);
        node.receive(BOB, bob_answers(&bye, 200));
        node.receive(ALICE, follow_up("ACK", 1));
        node.wait(LONG);
        assert_eq!(node.history(), ["sip.invite", "sip.progress", "sip.rejected"]);
        assert_eq!(node.living_activities(), 0);
    }
}

/// RFC 3261 §13.2.2.4, §12.2.1.1: both are requests of the caller in the callee's dialog.
#[test]
fn its_ack_and_bye_are_in_the_name_of_the_caller() {
    let (mut node, at_bob) = failed(&SipCommand::HangUp);
    let sent = node.receive(BOB, bob_answers(&at_bob, 200)).to(BOB);
    assert_eq!(sent.len(), 2);
    for (request, cseq) in sent.iter().zip([(1, "ACK"), (101, "BYE")]) {
        let message = parse(request);
        assert_eq!(message.request_uri(), Some(BOB_CONTACT));
        assert_eq!(message.cseq(), cseq);
        assert_eq!(
            (message.from_tag().unwrap(), message.to_tag().unwrap()),
            ("a".into(), "b".into())
        );
        assert_eq!(message.from_uri().unwrap(), "sip:alice@example.test");
        assert_eq!(message.call_id(), "call-1");
        assert_eq!(message.values(HeaderName::Via).len(), 1);
        assert_eq!(message.values(HeaderName::Route).len(), 0);
        assert_ne!(message.top_via().branch(), parse(&at_bob).top_via().branch());
    }
}

/// Its ACK was lost: it gets the same one, from whichever node, and no second BYE.
#[test]
fn a_2xx_that_is_repeated_is_acknowledged_again() {
    for dies in [false, true] {
        let (mut node, at_bob) = failed(&SipCommand::HangUp);
        let first = node.receive(BOB, bob_answers(&at_bob, 200)).to(BOB);
        if dies {
            assert_eq!(node.take_over().our_bye(BOB), first[1]);
        }
        let again = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!(again.to(BOB), first[..1]);
        again.assert_changes_nothing();
        assert_eq!(node.wait(600).to(BOB), first[1..], "the BYE is repeated until it is answered");
    }
}

#[test]
fn a_2xx_whose_node_dies_with_it_is_ended_by_the_survivor() {
    for commits in [false, true] {
        let (mut node, at_bob) = failed(&SipCommand::HangUp);
        let ok = bob_answers(&at_bob, 200);
        let turn = match commits {
            false => node.die_before_commit(BOB, &ok),
            true => node.die_after_commit(BOB, &ok),
        };
        assert_eq!(turn.lines(BOB).contains(&"BYE".to_owned()), commits);
        let again = node.receive(BOB, &ok);
        let expected: &[&str] = if commits { &["ACK"] } else { &["ACK", "BYE"] };
        assert_eq!(again.lines(BOB), expected);
    }
}

/// RFC 3261 §9.1: the CANCEL waits for a provisional response, and the INVITE asks for one as
/// long as it would without (§17.1.1.2). Stopped, it would leave a phone ringing whose 180 was
/// lost.
#[test]
fn an_invite_whose_cancel_waits_is_repeated_and_its_2xx_is_ended() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        assert_eq!(node.command(&SipCommand::HangUp).expect("it is called").lines(BOB), [""; 0]);
        if dies {
            assert_eq!(node.take_over().only(BOB), at_bob);
        }
        assert_eq!(node.wait(600).only(BOB), at_bob);
        let turn = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!(turn.lines(BOB), ["ACK", "BYE"]);
        assert_eq!(node.wait(400).lines(BOB), [""; 0], "neither INVITE nor CANCEL");
    }
}

/// The caller has had one answer, and would not be told of another one any more.
#[test]
fn a_2xx_of_another_target_so_late_that_nobody_passes_it_on_is_ended() {
    let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]));
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    let answered = node.receive(CAROL, answer(&at_carol, 200, "c", CAROL_CONTACT));
    let dialog = Dialog::of(&answered.only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    node.wait(31_000);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 180)).lines(BOB), ["CANCEL"]);
    node.wait(10_000);
    let turn = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!((turn.lines(BOB), turn.to(ALICE).len()), (vec!["ACK".into(), "BYE".into()], 0));
    node.receive(BOB, bob_answers(&turn.our_bye(BOB), 200));
    // The call that is up is none of its business.
    node.wait(LONG);
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(CAROL);
    let ended: Ended = node.receive(CAROL, answer(&bye, 200, "c", CAROL_CONTACT)).event();
    assert_eq!(ended.at, hung_up_at);
}

/// Its end, found out later, is not later for it.
#[test]
fn what_ended_so_says_nothing_of_when_the_call_was_over() {
    let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]));
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    let answered = node.receive(CAROL, answer(&at_carol, 200, "c", CAROL_CONTACT));
    let answered_at = node.now;
    node.receive(ALICE, Dialog::of(&answered.only(ALICE)).by_alice("ACK", 1));
    node.wait(31_000);
    node.receive(BOB, bob_answers(&at_bob, 180));
    node.wait(10_000);
    let bye = node.receive(BOB, bob_answers(&at_bob, 200)).our_bye(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    node.cold_start();
    let ended: Ended = node.wait(33_000).event();
    assert_eq!(ended.at, answered_at);
}

/// A BYE of it that crosses ours, and what else it sends, changes nothing.
#[test]
fn the_bye_of_a_phone_that_was_ended_so_is_no_end_of_a_call() {
    let (mut node, at_bob) = failed(&SipCommand::HangUp);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let ours = node.receive(BOB, bob_answers(&at_bob, 200)).our_bye(BOB);
    let route = parse(&at_bob).header(HeaderName::RecordRoute).unwrap().into_owned();
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).unwrap();
    assert!(ok.contains(&route));
    let bye = node.receive(BOB, Dialog::of(&ok).by_bob("BYE", 1));
    for to_alice in bye.to(ALICE) {
        node.receive(ALICE, answer(&to_alice, 481, "", ALICE_CONTACT));
    }
    node.receive(BOB, bob_answers(&ours, 200));
    node.wait(LONG);
    assert_eq!(node.count("sip.ended"), 0);
    assert_eq!(node.living_activities(), 0);
}

/// Alice asks for video, Bob's phone rings for it until the server gives up, and he says yes just
/// then. With the INVITE that he got, and the call's dialog.
fn reinvite_that_has_failed() -> (Node, String, Dialog) {
    let mut node = Node::for_bob();
    let dialog = acknowledged_call(&mut node);
    let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
    for _ in 0..10 {
        node.receive(BOB, bob_answers(&at_bob, 180));
        let turn = node.wait(60_000);
        if turn.lines(ALICE).contains(&"408".to_owned()) {
            return (node, at_bob, dialog);
        }
    }
    panic!("it rings for ever");
}

/// RFC 3261 §13.3.1.4, §14.2: without an ACK he repeats it, and hangs up in the end.
#[test]
fn a_2xx_to_a_reinvite_that_crosses_our_failure_is_acknowledged_and_the_call_goes_on() {
    for dies in [false, true] {
        let (mut node, at_bob, dialog) = reinvite_that_has_failed();
        if dies {
            node.take_over();
        }
        let ok = bob_answers(&at_bob, 200);
        let turn = node.receive(BOB, &ok);
        let ack = turn.only(BOB);
        let (message, invite) = (parse(&ack), parse(&at_bob));
        assert_eq!((message.method(), message.cseq().0), (Some("ACK"), invite.cseq().0));
        assert_eq!(message.request_uri(), Some(BOB_CONTACT));
        assert_ne!(message.top_via().branch(), invite.top_via().branch());
        assert!(turn.to(ALICE).is_empty() && turn.types().is_empty());
        if dies {
            node.take_over();
        }
        // That ACK was lost.
        let again = node.receive(BOB, &ok);
        assert_eq!(again.only(BOB), ack);
        again.assert_changes_nothing();
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).types(), ["sip.ended"]);
        node.receive(BOB, &ok).only(BOB);
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}

/// She has sent it from another network, and he has taken it: there she is.
#[test]
fn whose_move_is_accepted_so_late_has_moved_all_the_same() {
    const ELSEWHERE: &str = "203.0.113.9:1234";
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        let at_bob = node.receive(ELSEWHERE, dialog.by_alice("INVITE", 2)).only(BOB);
        for _ in 0..10 {
            node.receive(BOB, bob_answers(&at_bob, 180));
            node.wait(60_000);
        }
        assert_eq!(node.receive(ELSEWHERE, dialog.by_alice("INFO", 3)).lines(ELSEWHERE), ["403"]);
        node.receive(BOB, bob_answers(&at_bob, 200)).only(BOB);
        if dies {
            node.take_over();
        }
        assert_eq!(node.receive(ELSEWHERE, dialog.by_alice("INFO", 4)).lines(BOB), ["INFO"]);
    }
}
