//! The phone of a call of the server's own loses power, or hangs up while no server lives. Also at
//! the node that takes over.

mod harness;

use harness::own_call::{self, by_bob};
use harness::phone::{BOB, BOB_CONTACT, bob_answers};
use harness::{Node, Turn, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended, Side, SipCommand};

use std::time::Duration;

const MINUTE_MS: u64 = 60_000;

/// As long as anybody repeats anything, and behind it.
const LONG: u64 = 70_000;

/// Bob is called, and has answered.
struct Talk {
    node: Node,
    invite: String,
    answered_at: Timestamp,
}

fn talking() -> Talk {
    talking_with("")
}

/// He has answered with these headers.
fn talking_with(headers: &str) -> Talk {
    let (node, invite, _) = own_call::talking_with(headers);
    let answered_at = node.now;
    Talk { node, invite, answered_at }
}

/// The one OPTIONS that he has got.
#[track_caller]
fn question(turn: &Turn) -> String {
    let asked = turn.only(BOB);
    assert!(asked.starts_with(&format!("OPTIONS {BOB_CONTACT} SIP/2.0\r\n")), "{asked}");
    asked
}

/// It is over since the last proof of life, and nothing is left of it.
#[track_caller]
fn assert_is_gone_since(mut node: Node, turn: &Turn, last_proof: Timestamp) {
    let ended: Ended = turn.event();
    let expected = (last_proof, Side::Server, EndCause::LastProofOfLife);
    assert_eq!((ended.at, ended.by, ended.cause), expected);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
    assert_eq!(node.history(), ["sip.answered", "sip.ended"]);
}

fn after_an_outage(node: &mut Node, is_old_store: bool) -> Turn {
    node.now = node.now + Duration::from_secs(600);
    match is_old_store {
        true => node.take_over_from_an_old_store(),
        false => node.cold_start(),
    }
}

#[test]
fn a_phone_that_is_silent_for_15_minutes_is_asked_and_asked_again() {
    let Talk { mut node, invite, .. } = talking();
    for cseq in [2, 3, 4] {
        assert_eq!(node.wait(15 * MINUTE_MS - 1).sent.len(), 0);
        let asked = question(&node.wait(1));
        let message = parse(&asked);
        assert_eq!(message.cseq(), (cseq, "OPTIONS"));
        assert_eq!(message.from_tag(), parse(&invite).from_tag());
        assert_eq!(message.to_tag().unwrap(), "b");
        node.receive(BOB, bob_answers(&asked, if cseq == 3 { 501 } else { 200 }));
    }
    let bye = node.command(&SipCommand::HangUp).expect("it is up").our_bye(BOB);
    assert!(parse(&bye).cseq().0 > 4);
}

#[test]
fn a_phone_that_lost_power_ends_the_call_at_its_last_proof_of_life() {
    for dies in [false, true] {
        let Talk { mut node, answered_at, .. } = talking();
        let asked = question(&node.wait(15 * MINUTE_MS));
        if dies {
            assert_eq!(node.take_over().only(BOB), asked);
        }
        let turn = node.wait(33_000);
        assert_eq!(turn.lines(BOB).last().map(String::as_str), Some("BYE"));
        assert_is_gone_since(node, &turn, answered_at);
    }
}

/// It may have hung up just now.
#[test]
fn a_phone_that_does_not_know_the_call_is_asked_again_before_it_is_gone() {
    for (status, dies) in [(481, false), (408, false), (481, true)] {
        let Talk { mut node, answered_at, .. } = talking();
        let asked = question(&node.wait(15 * MINUTE_MS));
        assert_eq!(node.receive(BOB, bob_answers(&asked, status)).types(), [""; 0]);
        if dies {
            node.take_over();
        }
        assert_eq!(node.wait(31_900).sent.len(), 0);
        let again = question(&node.wait(100));
        let turn = node.receive(BOB, bob_answers(&again, status));
        assert_eq!(turn.sent.len(), 0, "he has no such dialog");
        assert_is_gone_since(node, &turn, answered_at);
    }
}

#[test]
fn its_bye_that_was_on_its_way_ends_the_call_as_always() {
    let Talk { mut node, invite, .. } = talking();
    let asked = question(&node.wait(15 * MINUTE_MS));
    node.receive(BOB, bob_answers(&asked, 481));
    node.wait(1_000);
    let ended: Ended = node.receive(BOB, by_bob(&invite, "BYE", 1)).event();
    assert_eq!((ended.at, ended.by, ended.cause), (node.now, Side::Callee, EndCause::Bye));
    assert_eq!(node.wait(60 * MINUTE_MS).sent.len(), 0, "nobody is asked any more");
    assert_eq!(node.living_activities(), 0);
}

/// A second question counts at once; the third is a first one again.
#[test]
fn a_phone_that_knows_the_call_again_is_given_time_again() {
    let Talk { mut node, .. } = talking();
    let asked = question(&node.wait(15 * MINUTE_MS));
    node.receive(BOB, bob_answers(&asked, 481));
    let asked = question(&node.wait(32_000));
    node.receive(BOB, bob_answers(&asked, 200));
    let asked = question(&node.wait(15 * MINUTE_MS));
    assert_eq!(node.receive(BOB, bob_answers(&asked, 481)).types(), [""; 0]);
}

#[test]
fn what_the_phone_sends_puts_the_question_off_and_is_a_proof_of_life() {
    let Talk { mut node, invite, .. } = talking();
    node.wait(10 * MINUTE_MS);
    assert_eq!(node.receive(BOB, by_bob(&invite, "OPTIONS", 1)).lines(BOB), ["200"]);
    let proof = node.now;
    assert_eq!(node.wait(15 * MINUTE_MS - 1).sent.len(), 0);
    question(&node.wait(1));
    let turn = node.wait(33_000);
    assert_is_gone_since(node, &turn, proof);
}

/// The question or its answer is lost each time.
#[test]
fn a_phone_that_says_something_while_it_is_asked_lives() {
    let Talk { mut node, invite, .. } = talking();
    question(&node.wait(15 * MINUTE_MS));
    node.wait(1_000);
    node.receive(BOB, by_bob(&invite, "OPTIONS", 1));
    assert_eq!(node.wait(40_000).types(), [""; 0]);
    assert!(node.command(&SipCommand::HangUp).is_ok());
}

#[test]
fn the_silence_of_a_phone_without_options_in_its_allow_says_nothing() {
    let Talk { mut node, .. } = talking_with("Allow: INVITE, ACK, BYE\r\n");
    let turn = node.wait(60 * MINUTE_MS);
    assert!(turn.lines(BOB).iter().all(|it| it == "OPTIONS") && turn.types().is_empty());
    question(&after_an_outage(&mut node, false));
    assert_eq!(node.wait(60 * MINUTE_MS).types(), [""; 0]);
}

/// All must take OPTIONS (RFC 3261 §11), and 405 is an answer.
#[test]
fn a_phone_that_has_answered_a_question_is_gone_when_it_says_nothing() {
    for (status, dies) in [(200, false), (405, false), (501, true)] {
        let Talk { mut node, .. } = talking_with("Allow: INVITE, ACK, BYE\r\n");
        let asked = question(&node.wait(15 * MINUTE_MS));
        node.receive(BOB, bob_answers(&asked, status));
        let proven_at = node.now;
        if dies {
            node.take_over();
        }
        let turn = node.wait(16 * MINUTE_MS);
        assert_is_gone_since(node, &turn, proven_at);
    }
}

/// Its BYE may have come while nobody lived.
#[test]
fn after_an_outage_a_phone_that_does_not_know_the_call_has_hung_up() {
    for is_old_store in [false, true] {
        let Talk { mut node, answered_at, .. } = talking();
        let asked = question(&after_an_outage(&mut node, is_old_store));
        let turn = node.receive(BOB, bob_answers(&asked, 481));
        assert_eq!(turn.sent.len(), 0);
        assert_is_gone_since(node, &turn, answered_at);
    }
}

#[test]
fn after_an_outage_a_phone_that_says_nothing_is_gone() {
    let Talk { mut node, answered_at, .. } = talking();
    question(&after_an_outage(&mut node, false));
    let turn = node.wait(33_000);
    assert_eq!(turn.lines(BOB).last().map(String::as_str), Some("BYE"));
    assert_is_gone_since(node, &turn, answered_at);
}

#[test]
fn after_an_outage_a_phone_that_lives_talks_on() {
    let Talk { mut node, .. } = talking();
    let asked = question(&after_an_outage(&mut node, false));
    node.receive(BOB, bob_answers(&asked, 200));
    assert_eq!(node.wait(15 * MINUTE_MS - 1).types(), [""; 0]);
    assert!(node.command(&SipCommand::HangUp).is_ok());
}

/// Nobody lived when it had lasted as long as a call may: until when it lasted is asked first.
#[test]
fn after_an_outage_a_call_whose_time_is_over_is_asked_for_first() {
    for (status, is_old_store) in
        [(None, false), (Some(481), false), (Some(481), true), (Some(200), false)]
    {
        let Talk { mut node, answered_at, .. } = talking();
        node.now = node.now + Duration::from_secs(2 * 86_400);
        let asked = question(&after_an_outage(&mut node, is_old_store));
        assert_eq!(node.wait(0).types(), [""; 0]);
        let turn = match status {
            Some(status) => node.receive(BOB, bob_answers(&asked, status)),
            None => node.wait(32_000),
        };
        if status == Some(200) {
            let ended: Ended = node.wait(32_000).event();
            assert_eq!((ended.at, ended.cause), (node.now, EndCause::MaxDuration));
            continue;
        }
        assert_is_gone_since(node, &turn, answered_at);
    }
}

/// Its silence does not say that it is gone, nor does anything say that it was there so long.
#[test]
fn after_an_outage_a_call_of_a_phone_that_may_not_answer_lasted_as_long_as_it_might() {
    let Talk { mut node, answered_at, .. } = talking_with("Allow: INVITE, ACK, BYE\r\n");
    node.now = node.now + Duration::from_secs(2 * 86_400);
    question(&after_an_outage(&mut node, false));
    let ended: Ended = node.wait(32_000).event();
    let longest = Duration::from_secs(43_200);
    assert_eq!((ended.at, ended.cause), (answered_at + longest, EndCause::MaxDuration));
}

/// As by a service whose timer was due meanwhile.
#[test]
fn a_hang_up_after_an_outage_is_done_when_the_phone_is_heard() {
    for (status, dies) in [(None, false), (Some(481), true), (Some(200), false), (Some(200), true)]
    {
        let Talk { mut node, answered_at, .. } = talking();
        let asked = question(&after_an_outage(&mut node, false));
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        turn.assert_changes_nothing_but_its_state();
        if dies {
            node.take_over();
        }
        is_over_once_heard(node, (&asked, status), (answered_at, None));
    }
}

/// The phone answers what it was asked, or does not: until when its call is billed, which was
/// hung up.
#[track_caller]
fn is_over_once_heard(
    mut node: Node,
    (asked, status): (&str, Option<u16>),
    (answered_at, due): (Timestamp, Option<Timestamp>),
) {
    let turn = match status {
        Some(status) => node.receive(BOB, bob_answers(asked, status)),
        None => node.wait(32_000),
    };
    if status != Some(200) {
        return assert_is_gone_since(node, &turn, answered_at);
    }
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.cause), (due.unwrap_or(node.now), EndCause::Bye));
    turn.our_bye(BOB);
}

/// Until when it could have answered after the first one has passed by then.
#[test]
fn a_hang_up_between_two_outages_waits_until_the_phone_is_heard_after_the_second_one() {
    for (status, dies) in [(None, false), (Some(481), true), (Some(200), false), (Some(200), true)]
    {
        let Talk { mut node, answered_at, .. } = talking();
        after_an_outage(&mut node, false);
        node.command(&SipCommand::HangUp).expect("it is up");
        let due = node.now + Duration::from_secs(128);
        node.wait(10_000);
        let asked = question(&after_an_outage(&mut node, false));
        if dies {
            node.take_over();
        }
        assert_eq!(node.wait(0).types(), [""; 0]);
        is_over_once_heard(node, (&asked, status), (answered_at, Some(due)));
    }
}

/// It need not answer.
#[test]
fn a_hang_up_between_two_outages_is_billed_for_no_more_than_the_first_one() {
    for is_removed in [false, true] {
        let Talk { mut node, .. } = talking_with("Allow: INVITE, ACK, BYE\r\n");
        after_an_outage(&mut node, false);
        node.command(&SipCommand::HangUp).expect("it is up");
        let due = node.now + Duration::from_secs(128);
        node.wait(10_000);
        after_an_outage(&mut node, false);
        let turn = if is_removed { node.removed() } else { node.wait(32_000) };
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.cause), (due, EndCause::Bye));
    }
}

/// It need not answer, but has sent something; or it says nothing at all.
#[test]
fn a_hang_up_after_an_outage_lasts_no_longer_than_the_call_might() {
    for (is_heard, is_removed) in [(false, false), (false, true), (true, false)] {
        let Talk { mut node, invite, answered_at } = talking_with("Allow: INVITE, ACK, BYE\r\n");
        node.now = node.now + Duration::from_secs(2 * 86_400);
        after_an_outage(&mut node, false);
        node.command(&SipCommand::HangUp).expect("it is up");
        let turn = match (is_heard, is_removed) {
            (true, _) => node.receive(BOB, by_bob(&invite, "OPTIONS", 1)),
            (false, true) => node.removed(),
            (false, false) => node.wait(32_000),
        };
        let longest = answered_at + Duration::from_secs(43_200);
        let over = if is_heard { node.now } else { longest };
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.cause), (over, EndCause::Bye));
    }
}

/// Whoever removes it by force comes before all that is due when a server lives again.
#[test]
fn a_call_that_is_removed_lasted_until_a_hang_up_that_was_due_in_an_outage() {
    let Talk { mut node, .. } = talking();
    after_an_outage(&mut node, false);
    let due = node.now + Duration::from_secs(128);
    node.command(&SipCommand::HangUp).expect("it is up");
    node.now = node.now + Duration::from_secs(2 * 86_400);
    after_an_outage(&mut node, false);
    let ended: Ended = node.removed().event();
    assert_eq!((ended.at, ended.cause), (due, EndCause::Bye));
}

/// The phone was heard in between.
#[test]
fn of_a_second_outage_a_call_lasts_no_longer_than_it_might() {
    let Talk { mut node, invite, .. } = talking_with("Allow: INVITE, ACK, BYE\r\n");
    node.now = node.now + Duration::from_secs(2 * 86_400);
    after_an_outage(&mut node, false);
    let heard_by = node.now + Duration::from_secs(32);
    node.wait(1_000);
    // So far ahead that a survivor has to know it.
    assert_eq!(node.receive(BOB, by_bob(&invite, "OPTIONS", 90)).commits, 1);
    node.now = node.now + Duration::from_secs(2 * 86_400);
    after_an_outage(&mut node, false);
    let ended: Ended = node.wait(32_000).event();
    assert_eq!((ended.at, ended.cause), (heard_by, EndCause::MaxDuration));
}

/// The question before is not answered any more.
#[test]
fn an_operator_who_asks_again_after_an_outage_does_not_have_a_call_billed_that_is_gone() {
    let Talk { mut node, answered_at, .. } = talking();
    node.now = node.now + Duration::from_secs(2 * 86_400);
    question(&after_an_outage(&mut node, false));
    node.wait(10_000);
    node.query_liveness();
    assert_eq!(node.wait(31_999).types(), [""; 0]);
    let turn = node.wait(1);
    assert_is_gone_since(node, &turn, answered_at);
}

#[test]
fn an_operator_asks_the_phone() {
    let Talk { mut node, answered_at, .. } = talking();
    node.wait(MINUTE_MS);
    let asked = question(&node.query_liveness());
    let turn = node.receive(BOB, bob_answers(&asked, 481));
    assert_is_gone_since(node, &turn, answered_at);
}

/// Its state says nothing of any questions.
#[test]
fn a_call_of_an_earlier_version_is_asked_once_another_node_has_it() {
    let Talk { mut node, .. } = talking();
    let state = node.held_state();
    let name = b"life";
    let at = state.windows(name.len()).position(|it| it == name).expect("it is named");
    state[at..at + name.len()].copy_from_slice(b"none");
    node.take_over();
    assert_eq!(node.wait(15 * MINUTE_MS - 1).sent.len(), 0);
    question(&node.wait(1));
}
