//! A call from INVITE to BYE through one node.

mod harness;

use harness::phone::{self, ALICE, BOB, Dialog, answer, bob_answers, follow_up, invite};
use harness::{Node, Turn, parse};
use resilee_sip_api::{Answered, EndCause, Ended, Invite, Progress, Rejected, Side};
use resilee_sip_proto::HeaderName;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The call is answered; the INVITE as Bob got it, and the dialog.
fn answered_call(node: &mut Node) -> (String, Dialog) {
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
    let dialog = Dialog::of(&ok);
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    (at_bob, dialog)
}

/// By its number it is charged, and barred: it has one name, however it is written.
#[test]
fn escapes_that_nobody_needs_do_not_choose_another_callee() {
    for (uri, user) in [("%62ob", "bob"), ("%2b49900123", "+49900123"), ("a%3bb", "a;b")] {
        let mut node = Node::for_bob();
        let invite = invite().replace("INVITE sip:bob@", &format!("INVITE sip:{uri}@"));
        let event: Invite = node.receive(ALICE, invite).event();
        assert_eq!(event.callee.user, user);
        assert_eq!(event.callee.address_of_record, format!("sip:{user}@example.test"));
    }
}

#[test]
fn an_invite_goes_to_the_callee_under_our_via_and_record_route() {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, invite());
    assert_eq!(turn.lines(ALICE), ["100"]);
    let at_bob = turn.only(BOB);
    let message = parse(&at_bob);
    assert_eq!(message.request_uri(), Some(phone::BOB_CONTACT));
    assert_eq!(message.max_forwards(), Some(69));
    let vias = message.values(HeaderName::Via);
    assert!(phone::is_under_our_via(&at_bob));
    assert!(vias[1].contains("received=192.0.2.10") && vias[1].contains("rport=40000"));
    let record_route = message.header(HeaderName::RecordRoute).unwrap();
    assert!(record_route.starts_with("<sip:198.51.100.1:5060;lr;c="), "{record_route}");
    assert_eq!(message.body(), b"v=0\r\n");
}

#[test]
fn services_hear_of_each_stage_once() {
    let mut node = Node::for_bob();
    let set_up_at = node.now;
    let turn = node.receive(ALICE, invite());
    let event: Invite = turn.event();
    assert_eq!((event.caller.user.as_str(), event.caller.display.as_str()), ("alice", "Alice"));
    assert_eq!(event.callee.address_of_record, "sip:bob@example.test");
    assert_eq!((event.source.as_str(), event.set_up_at), (ALICE, set_up_at));
    let at_bob = turn.only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 180)).event::<Progress>().status, 180);
    node.wait(2_000);
    let answered: Answered = node.receive(BOB, bob_answers(&at_bob, 200)).event();
    assert_eq!((answered.at, answered.node.as_str()), (node.now, "server1"));
    assert_eq!(node.history(), ["sip.invite", "sip.progress", "sip.answered"]);
}

#[test]
fn a_response_goes_back_without_our_via_to_where_the_request_came_from() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ringing = node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE);
    assert_eq!(phone::top_branch(&ringing), "z9hG4bKinvite1");
    assert_eq!(parse(&ringing).values(HeaderName::Via).len(), 1);
}

#[test]
fn the_ack_is_forwarded_and_is_no_commit() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
    let turn = node.receive(ALICE, Dialog::of(&ok).by_alice("ACK", 1));
    let ack = turn.only(BOB);
    assert_eq!(parse(&ack).method(), Some("ACK"));
    assert!(parse(&ack).values(HeaderName::Route).is_empty());
    turn.assert_changes_nothing();
}

#[test]
fn the_caller_hangs_up() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    node.wait(60_000);
    let hung_up_at = node.now;
    let turn = node.receive(ALICE, dialog.by_alice("BYE", 2));
    assert_eq!((turn.commits, turn.lines(ALICE).len()), (1, 0));
    node.wait(200);
    let turn = node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    assert_eq!(turn.lines(ALICE), ["200"]);
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by, ended.node.as_str()), (hung_up_at, Side::Caller, "server1"));
}

#[test]
fn the_callee_hangs_up_and_reaches_the_caller_behind_its_nat() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let at_alice = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
    assert_eq!(parse(&at_alice).request_uri(), Some(phone::ALICE_CONTACT));
    let turn = node.receive(ALICE, phone::answer(&at_alice, 200, "", phone::ALICE_CONTACT));
    assert_eq!(turn.event::<Ended>().by, Side::Callee);
    assert_eq!(turn.lines(BOB), ["200"]);
}

#[test]
fn an_ended_call_is_forgotten_when_nothing_can_be_repeated() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let bye = dialog.by_alice("BYE", 2);
    let at_bob = node.receive(ALICE, &bye).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(node.receive(ALICE, &bye).lines(ALICE), ["200"]);
    node.wait(40_000).assert_changes_nothing();
    assert_eq!(node.living_activities(), 0);
    let late = node.receive(ALICE, dialog.by_alice("BYE", 3));
    assert_eq!(late.lines(ALICE), ["481"]);
}

#[test]
fn crossing_byes_end_the_call_once_at_the_first() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let first_at = node.now;
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(10);
    let at_alice = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
    let answer = phone::answer(&at_alice, 200, "", phone::ALICE_CONTACT);
    let ended: Ended = node.receive(ALICE, answer).event();
    assert_eq!((ended.at, ended.by), (first_at, Side::Caller));
    let turn = node.receive(BOB, bob_answers(&at_bob, 481));
    assert_eq!((turn.lines(ALICE), turn.types()), (vec!["481".to_owned()], vec![]));
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_bye_that_nobody_answers_ends_the_call_when_it_was_sent() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let hung_up_at = node.now;
    node.receive(ALICE, dialog.by_alice("BYE", 2));
    let ended: Ended = node.wait(33_000).event();
    assert_eq!(ended.at, hung_up_at);
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_challenged_bye_ends_nothing_until_it_comes_again_and_then_as_of_its_first_arrival() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let hung_up_at = node.now;
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 407));
    assert_eq!(node.count("sip.ended"), 0);
    node.wait(1_000);
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
    let ended: Ended = node.receive(BOB, bob_answers(&at_bob, 200)).event();
    assert_eq!(ended.at, hung_up_at);
}

#[test]
fn no_message_that_comes_again_is_a_second_event_or_a_commit() {
    let mut node = Node::for_bob();
    let mut twice = |from: &str, message: &[u8]| -> Turn {
        let first = node.receive(from, message);
        node.receive(from, message).assert_changes_nothing();
        first
    };
    let at_bob = twice(ALICE, invite().as_bytes()).only(BOB);
    twice(BOB, &bob_answers(&at_bob, 100));
    twice(BOB, &bob_answers(&at_bob, 180));
    let ok = twice(BOB, &bob_answers(&at_bob, 200)).only(ALICE);
    let dialog = Dialog::of(&ok);
    twice(ALICE, dialog.by_alice("ACK", 1).as_bytes());
    let at_bob = twice(ALICE, dialog.by_alice("INVITE", 2).as_bytes()).only(BOB);
    twice(BOB, &bob_answers(&at_bob, 200));
    twice(ALICE, dialog.by_alice("ACK", 2).as_bytes());
    let at_alice = twice(BOB, dialog.by_bob("INFO", 1).as_bytes()).only(ALICE);
    twice(ALICE, &phone::answer(&at_alice, 200, "", phone::ALICE_CONTACT));
    let at_bob = twice(ALICE, dialog.by_alice("BYE", 3).as_bytes()).only(BOB);
    twice(BOB, &bob_answers(&at_bob, 200));
    let types = ["sip.invite", "sip.progress", "sip.answered", "sip.ended"];
    assert_eq!(node.history(), types);
}

#[test]
fn a_repeated_2xx_is_passed_on_as_long_as_the_callee_repeats_it() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    for _ in 0..3 {
        node.wait(4_000);
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    }
}

#[test]
fn an_unanswered_invite_is_sent_again_and_fails_after_timer_b() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    assert_eq!(node.wait(600).only(BOB), at_bob);
    let turn = node.wait(32_000);
    assert_eq!(turn.event::<Rejected>().status, 408);
    assert_eq!(turn.lines(ALICE)[0], "408");
}

/// RFC 2543 allowed it. Its dialog would have no name, so nobody could end that call.
#[test]
fn an_answer_without_a_to_tag_is_dropped_and_counted() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
    for tag in ["", ";tag="] {
        let turn = node.receive(BOB, ok.replace(";tag=b", tag));
        assert!(turn.sent.is_empty());
        turn.assert_changes_nothing();
        assert_eq!(turn.refused, ["2xx to an INVITE without a To tag that is a token"]);
    }
    node.wait(12 * HOUR_MS);
    assert_eq!((node.living_activities(), node.count("sip.answered")), (0, 0));
    assert_eq!((node.count("sip.rejected"), node.count("sip.ended")), (1, 0));
}

#[test]
fn the_answer_has_a_dialog_however_many_have_rung() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        for ringing in 0..20 {
            node.receive(BOB, answer(&at_bob, 180, &format!("r{ringing}"), phone::BOB_CONTACT));
        }
        let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
        let dialog = Dialog::of(&ok);
        node.receive(ALICE, dialog.by_alice("ACK", 1)).only(BOB);
        if dies {
            node.take_over();
        }
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).event::<Ended>().at, node.now);
        node.wait(12 * HOUR_MS);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// An earlier version has kept it.
#[test]
fn an_answered_call_without_a_dialog_is_ended_by_its_longest_time() {
    let mut node = Node::for_bob();
    answered_call(&mut node);
    let (confirmed, early) = (b"\xa5state\xa9Confirmed", b"\xa5state\xa5Early");
    let state = node.held_state();
    let at = state.windows(confirmed.len()).position(|it| it == confirmed).expect("a dialog");
    state.splice(at..at + confirmed.len(), *early);
    node.take_over();
    let ended: Ended = node.wait(12 * HOUR_MS).event();
    assert_eq!((ended.at, ended.cause), (node.now, EndCause::MaxDuration));
    node.wait(MINUTE_MS);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

#[test]
fn requests_within_no_known_dialog_are_answered_481() {
    let mut node = Node::for_bob();
    let (_, dialog) = answered_call(&mut node);
    let stranger = dialog.by_alice("BYE", 2).replace("tag=b", "tag=x");
    assert_eq!(node.receive(ALICE, stranger).lines(ALICE), ["481"]);
    let mut fresh = Node::for_bob();
    assert_eq!(fresh.receive(ALICE, dialog.by_alice("BYE", 2)).lines(ALICE), ["481"]);
    assert!(fresh.receive(ALICE, dialog.by_alice("ACK", 1)).sent.is_empty());
    assert_eq!(fresh.receive(ALICE, follow_up("CANCEL", 1)).lines(ALICE), ["481"]);
}

#[test]
fn a_second_invite_of_the_same_call_is_refused() {
    let mut node = Node::for_bob();
    answered_call(&mut node);
    let turn = node.receive(ALICE, phone::invite_with(2, ""));
    assert_eq!(turn.lines(ALICE), ["482"]);
    turn.assert_changes_nothing();
}

#[test]
fn a_ringing_callee_is_cancelled_after_timer_c() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let turn = node.wait(180_000);
    assert_eq!(turn.lines(BOB), ["CANCEL"]);
    let turn = node.receive(BOB, bob_answers(&at_bob, 487));
    assert_eq!(turn.event::<Rejected>().status, 487);
}
