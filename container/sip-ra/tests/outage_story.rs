//! Nobody had a call for a while: until when it is billed if that is known of one end alone, or of
//! none, and what is not lost of what came meanwhile.

mod harness;

use harness::phone::{ALICE, BOB, BOB_CONTACT, Dialog, alice_answers, bob_answers, invite_with};
use harness::{Node, Turn};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended, Side, SipCommand};
use std::time::Duration;

/// Where Bob is after he has moved.
const ELSEWHERE: &str = "203.0.113.66:5060";
/// What a call lasts at most.
const LONGEST: Duration = Duration::from_secs(43_200);
/// A phone that need not answer questions.
const NO_OPTIONS: &str = "Allow: INVITE, BYE\r\n";

/// Alice and Bob talk.
struct Talk {
    node: Node,
    dialog: Dialog,
    answered_at: Timestamp,
}

/// With a session timer of so many seconds, or with none; Bob answers with these headers.
fn talking_with(session_s: Option<u32>, headers: &str) -> Talk {
    let mut node = Node::for_bob();
    let supported = if session_s.is_some() { "Supported: timer\r\n" } else { "" };
    let at_bob = node.receive(ALICE, invite_with(1, supported)).only(BOB);
    let ok = with_session(bob_answers(&at_bob, 200), session_s, headers);
    let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let answered_at = node.now;
    Talk { node, dialog, answered_at }
}

/// A 2xx with these headers and this session interval.
fn with_session(ok: Vec<u8>, session_s: Option<u32>, headers: &str) -> String {
    let timer = session_s.map(|it| format!("Session-Expires: {it};refresher=uas\r\n"));
    let headers = format!("{headers}{}Contact:", timer.unwrap_or_default());
    String::from_utf8(ok).expect("text").replacen("Contact:", &headers, 1)
}

/// All servers are dead for two days.
fn two_days_later(node: &mut Node) -> Turn {
    node.now = node.now + Duration::from_secs(2 * 86_400);
    node.cold_start()
}

/// The last question that this end has got.
#[track_caller]
fn asked(turns: &[&Turn], end: &str) -> String {
    let mut all = turns.iter().flat_map(|turn| turn.to(end));
    all.rfind(|it| it.starts_with("OPTIONS ")).expect("a question")
}

#[track_caller]
fn assert_ended(turn: &Turn, at: Timestamp, cause: EndCause) {
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by, ended.cause), (at, Side::Server, cause));
}

/// At a place where Bob was, by now somebody else may be.
#[test]
fn who_answers_where_an_end_was_before_does_not_prove_that_the_call_was_up() {
    for session_s in [None, Some(600)] {
        let Talk { mut node, dialog, answered_at } = talking_with(session_s, "");
        let update = dialog.by_bob("UPDATE", 1).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
        let at_alice = node.receive(ELSEWHERE, update).only(ALICE);
        node.receive(ALICE, with_session(alice_answers(&at_alice, 200), session_s, ""));
        let (first, anew) = (two_days_later(&mut node), node.wait(0));
        let turns = [&first, &anew];
        node.receive(ALICE, alice_answers(&asked(&turns, ALICE), 200));
        node.receive(BOB, bob_answers(&asked(&turns, BOB), 200));
        let turn = node.receive(ELSEWHERE, bob_answers(&asked(&turns, ELSEWHERE), 481));
        let lasts = session_s.map_or(LONGEST, |it| Duration::from_secs(it.into()));
        assert_ended(&turn, answered_at + lasts, EndCause::LastProofOfLife);
    }
}

/// What they were asked before is not answered any more.
#[test]
fn an_operator_who_asks_again_after_an_outage_does_not_have_a_call_billed_that_is_gone() {
    let Talk { mut node, answered_at, .. } = talking_with(None, "");
    two_days_later(&mut node);
    node.wait(10_000);
    let asked_again = node.query_liveness();
    node.receive(ALICE, alice_answers(&asked(&[&asked_again], ALICE), 200));
    assert_eq!(node.wait(31_999).types(), [""; 0]);
    let turn = node.wait(1);
    assert_ended(&turn, answered_at, EndCause::LastProofOfLife);
}

/// However often: whoever asks does not keep it from having lasted too long.
#[test]
fn questions_do_not_put_off_for_ever_that_a_call_has_lasted_too_long() {
    let Talk { mut node, answered_at, .. } = talking_with(None, "");
    two_days_later(&mut node);
    for _ in 0..3 {
        assert_eq!(node.wait(30_000).types(), [""; 0]);
        node.query_liveness();
    }
    node.wait(30_000);
    node.query_liveness();
    let turn = node.wait(30_000);
    assert_ended(&turn, answered_at + LONGEST, EndCause::MaxDuration);
}

/// They are not asked meanwhile; that Bob refuses what she sends proves that both are there.
#[test]
fn of_a_second_outage_no_more_is_billed_than_a_call_may_last() {
    let Talk { mut node, dialog, .. } = talking_with(None, NO_OPTIONS);
    two_days_later(&mut node);
    let heard_by = node.now + Duration::from_secs(32);
    node.wait(1_000);
    let sent = node.receive(ALICE, dialog.by_alice("INVITE", 2)).to(BOB);
    let at_bob = sent.into_iter().find(|it| it.starts_with("INVITE ")).expect("it goes on");
    node.receive(BOB, bob_answers(&at_bob, 488));
    let again = two_days_later(&mut node);
    node.receive(ALICE, alice_answers(&asked(&[&again], ALICE), 200));
    let turn = node.wait(32_000);
    assert_ended(&turn, heard_by, EndCause::MaxDuration);
}

/// The call was in a store that was away for two hours; others lived, and pass on what comes of it.
fn back_from_an_old_store(node: &mut Node, is_missed: bool) -> Turn {
    node.now = node.now + Duration::from_secs(7_200);
    if is_missed {
        // Nothing of that ends it.
        node.take_over();
        return node.missed_all(&[]);
    }
    node.take_over_from_an_old_store()
}

/// The refreshes went by the others.
#[test]
fn a_session_that_may_have_been_refreshed_by_others_goes_on_when_the_call_is_back() {
    for is_missed in [false, true] {
        let Talk { mut node, .. } = talking_with(Some(600), "");
        let first = back_from_an_old_store(&mut node, is_missed);
        let turns = [&first, &node.wait(0)];
        node.receive(ALICE, alice_answers(&asked(&turns, ALICE), 200));
        node.receive(BOB, bob_answers(&asked(&turns, BOB), 200));
        assert_eq!(node.count("sip.ended"), 0);
        let later = node.wait(599_999);
        assert_eq!((later.to(ALICE).len(), later.types().len()), (0, 0));
        // Nobody refreshes it any more.
        let over = node.wait(1);
        assert_eq!((over.lines(ALICE), over.lines(BOB)), (options(), options()));
    }
}

fn options() -> Vec<String> {
    vec!["OPTIONS".to_owned()]
}

/// He need not answer, and may have refreshed it.
#[test]
fn a_session_that_may_have_been_refreshed_by_others_is_not_billed_to_its_end_before_that() {
    for is_missed in [false, true] {
        let Talk { mut node, .. } = talking_with(Some(600), NO_OPTIONS);
        let mut turn = back_from_an_old_store(&mut node, is_missed);
        let back_at = node.now;
        while !turn.types().contains(&"sip.ended") {
            assert!(node.now < back_at + Duration::from_secs(700));
            for question in turn.to(ALICE).iter().filter(|it| it.starts_with("OPTIONS ")) {
                node.receive(ALICE, alice_answers(question, 200));
            }
            turn = node.wait(1_000);
        }
        let over = back_at + Duration::from_secs(632);
        assert_ended(&turn, over, EndCause::LastProofOfLife);
    }
}

/// Its state does not say how long its session lasts.
#[test]
fn a_session_of_an_earlier_version_that_others_may_have_refreshed_has_no_end() {
    let Talk { mut node, .. } = talking_with(Some(600), "");
    let state = node.held_state();
    let name = b"session_s";
    let at = state.windows(name.len()).position(|it| it == name).expect("it is named");
    state[at..at + name.len()].copy_from_slice(b"session_x");
    let back = node.take_over_from_an_old_store();
    node.receive(ALICE, alice_answers(&asked(&[&back], ALICE), 200));
    node.receive(BOB, bob_answers(&asked(&[&back], BOB), 200));
    assert_eq!(node.wait(850_000).types(), [""; 0]);
}

/// As a unit whose timer was due meanwhile: it fires right behind.
#[test]
fn a_hang_up_after_an_outage_is_billed_to_the_last_proof_of_life_of_a_call_that_was_gone() {
    for (status, dies) in [(Some(481), false), (Some(481), true), (None, false), (None, true)] {
        let Talk { mut node, answered_at, .. } = talking_with(None, "");
        let questions = two_days_later(&mut node);
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        turn.assert_changes_nothing_but_its_state();
        if dies {
            node.take_over();
        }
        node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
        let turn = match status {
            Some(status) => node.receive(BOB, bob_answers(&asked(&[&questions], BOB), status)),
            None => node.wait(32_000),
        };
        assert_ended(&turn, answered_at, EndCause::LastProofOfLife);
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

#[test]
fn a_hang_up_after_an_outage_is_done_when_both_ends_have_said_that_they_talk() {
    for dies in [false, true] {
        let Talk { mut node, .. } = talking_with(None, "");
        let questions = two_days_later(&mut node);
        for _ in 0..2 {
            node.command(&SipCommand::HangUp).expect("it is up");
        }
        if dies {
            node.take_over();
        }
        node.wait(300);
        node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
        let turn = node.receive(BOB, bob_answers(&asked(&[&questions], BOB), 200));
        assert_ended(&turn, node.now, EndCause::Bye);
        turn.our_bye(ALICE);
        turn.our_bye(BOB);
    }
}

/// His silence says nothing, nor does anything say that he talked so long.
#[test]
fn a_hang_up_after_an_outage_is_billed_for_no_more_than_a_call_may_last() {
    let Talk { mut node, answered_at, .. } = talking_with(None, NO_OPTIONS);
    let questions = two_days_later(&mut node);
    node.command(&SipCommand::HangUp).expect("it is up");
    node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
    let turn = node.wait(32_000);
    assert_ended(&turn, answered_at + LONGEST, EndCause::Bye);
}

/// The last server died before they were heard. His silence says nothing.
#[test]
fn a_hang_up_between_two_outages_is_billed_for_no_more_than_the_first_one() {
    for is_removed in [false, true] {
        let Talk { mut node, .. } = talking_with(None, NO_OPTIONS);
        node.wait(60_000);
        node.cold_start();
        node.command(&SipCommand::HangUp).expect("it is up");
        // Four questions, one after the other, could have been answered by then.
        let due = node.now + Duration::from_secs(128);
        let questions = two_days_later(&mut node);
        node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
        let turn = if is_removed { node.removed() } else { node.wait(32_000) };
        assert_ended(&turn, due, EndCause::Bye);
    }
}

/// When they could all have answered after the first outage has passed by then.
#[test]
fn a_hang_up_between_two_outages_waits_until_the_ends_are_heard_after_the_second_one() {
    for (status, dies) in [
        (Some(481), false),
        (Some(481), true),
        (None, false),
        (Some(200), false),
        (Some(200), true),
    ] {
        let Talk { mut node, answered_at, .. } = talking_with(None, "");
        node.now = node.now + Duration::from_secs(3_600);
        node.cold_start();
        node.command(&SipCommand::HangUp).expect("it is up");
        let due = node.now + Duration::from_secs(128);
        node.wait(10_000);
        node.now = node.now + Duration::from_secs(600);
        let questions = node.cold_start();
        if dies {
            node.take_over();
        }
        assert_eq!(node.wait(0).types(), [""; 0]);
        node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
        let turn = match status {
            Some(status) => node.receive(BOB, bob_answers(&asked(&[&questions], BOB), status)),
            None => node.wait(32_000),
        };
        match status {
            Some(200) => assert_ended(&turn, due, EndCause::Bye),
            _ => assert_ended(&turn, answered_at, EndCause::LastProofOfLife),
        }
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Whoever removes a call by force does not wait for its ends.
#[test]
fn a_call_that_is_removed_after_an_outage_is_billed_for_no_more_than_it_may_last() {
    for hangs_up in [false, true] {
        let Talk { mut node, answered_at, .. } = talking_with(None, "");
        two_days_later(&mut node);
        if hangs_up {
            node.command(&SipCommand::HangUp).expect("it is up");
        }
        assert_ended(&node.removed(), answered_at + LONGEST, EndCause::Bye);
    }
}

/// Nobody is asked any more.
#[test]
fn a_hang_up_after_the_ends_were_heard_is_done_at_once() {
    for headers in ["", NO_OPTIONS] {
        let Talk { mut node, .. } = talking_with(None, headers);
        node.wait(60_000);
        let questions = node.cold_start();
        node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
        if headers.is_empty() {
            node.receive(BOB, bob_answers(&asked(&[&questions], BOB), 200));
        }
        node.wait(32_000);
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        assert_ended(&turn, node.now, EndCause::Bye);
    }
}

/// Questions are under way still, but one has answered what the other one sent.
#[test]
fn a_hang_up_after_an_outage_is_done_at_once_if_the_call_was_proven_to_be_up_since() {
    let Talk { mut node, dialog, .. } = talking_with(None, "");
    two_days_later(&mut node);
    node.wait(100);
    let sent = node.receive(ALICE, dialog.by_alice("INFO", 2)).to(BOB);
    let at_bob = sent.into_iter().find(|it| it.starts_with("INFO ")).expect("it goes on");
    node.receive(BOB, bob_answers(&at_bob, 200));
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    assert_ended(&turn, node.now, EndCause::Bye);
}

/// Bob has answered, and nothing is heard of Alice's ACK.
fn answered() -> (Node, Dialog, Timestamp) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite_with(1, "")).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    let answered_at = node.now;
    (node, dialog, answered_at)
}

/// The last server died before the ACK that it waited for, which is there when one lives again.
#[test]
fn a_hang_up_that_was_due_in_an_outage_is_billed_until_then_though_its_ack_comes_behind_that() {
    let (mut node, dialog, answered_at) = answered();
    node.command(&SipCommand::HangUp).expect("it is up");
    two_days_later(&mut node);
    let turn = node.receive(ALICE, dialog.by_alice("ACK", 1));
    // Nobody repeats the answer any more, and no ACK comes.
    assert_ended(&turn, answered_at + Duration::from_secs(32), EndCause::Bye);
}

/// Her phone is gone, and his: the ACK that it waits for never comes.
#[test]
fn a_hang_up_between_an_outage_and_the_ack_is_billed_to_the_last_proof_of_a_call_that_was_gone() {
    let (mut node, _, answered_at) = answered();
    node.now = node.now + Duration::from_secs(20);
    node.cold_start();
    node.command(&SipCommand::HangUp).expect("it is up");
    assert_eq!(node.wait(31_999).types(), [""; 0]);
    let turn = node.wait(1);
    assert_ended(&turn, answered_at, EndCause::LastProofOfLife);
    node.wait(60_000);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

/// They have said that they talk before: nothing else is to be heard then.
#[test]
fn a_hang_up_between_an_outage_and_the_ack_is_done_when_that_cannot_come_any_more() {
    let (mut node, _, answered_at) = answered();
    node.now = node.now + Duration::from_secs(20);
    let questions = node.cold_start();
    node.command(&SipCommand::HangUp).expect("it is up");
    node.receive(ALICE, alice_answers(&asked(&[&questions], ALICE), 200));
    node.receive(BOB, bob_answers(&asked(&[&questions], BOB), 200));
    assert_eq!(node.wait(11_999).types(), [""; 0]);
    let turn = node.wait(1);
    assert_ended(&turn, answered_at + Duration::from_secs(32), EndCause::Bye);
}

/// Whoever removes it by force comes before all that is due when a server lives again.
#[test]
fn a_call_that_is_removed_is_billed_until_a_hang_up_that_was_due_in_an_outage() {
    for is_repeated in [true, false] {
        let (mut node, _, answered_at) = answered();
        let mut due = answered_at + Duration::from_secs(32);
        if !is_repeated {
            node.wait(60_000);
            node.cold_start();
            due = node.now + Duration::from_secs(128);
        }
        node.command(&SipCommand::HangUp).expect("it is up");
        two_days_later(&mut node);
        assert_ended(&node.removed(), due, EndCause::Bye);
    }
}
