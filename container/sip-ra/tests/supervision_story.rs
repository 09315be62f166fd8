//! Calls that nobody hangs up: asked, not refreshed, too long, or ended by a service. Each also at
//! the node that takes over.

mod harness;

use harness::phone::{
    self, ALICE, ALICE_CONTACT, BOB, Dialog, acknowledged_call, answer, bob_answers, follow_up,
    invite,
};
use harness::{Node, Turn, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended, Rejected, Side, SipCommand};
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;

struct Call {
    node: Node,
    dialog: Dialog,
    answered_at: Timestamp,
}

fn call() -> Call {
    let mut node = Node::for_bob();
    let dialog = acknowledged_call(&mut node);
    let answered_at = node.now;
    Call { node, dialog, answered_at }
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn both_answer(node: &mut Node, asked: &Turn, by_bob: u16) -> Turn {
    node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
    node.receive(BOB, bob_answers(&asked.only(BOB), by_bob))
}

#[test]
fn both_ends_of_a_call_that_is_silent_for_15_minutes_are_asked_and_asked_again() {
    let Call { mut node, .. } = call();
    for _ in 0..3 {
        assert!(node.wait(15 * MINUTE_MS - 1).sent.is_empty());
        let asked = node.wait(1);
        assert_eq!(
            (asked.lines(ALICE), asked.lines(BOB)),
            (words(&["OPTIONS"]), words(&["OPTIONS"]))
        );
        both_answer(&mut node, &asked, 200);
    }
    assert_eq!(node.count("sip.ended"), 0);
}

#[test]
fn a_message_of_the_call_puts_the_question_off() {
    let Call { mut node, dialog, .. } = call();
    node.wait(10 * MINUTE_MS);
    let info = node.receive(ALICE, dialog.by_alice("INFO", 2)).only(BOB);
    node.receive(BOB, bob_answers(&info, 200));
    assert!(node.wait(15 * MINUTE_MS - 1).to(BOB).is_empty());
    assert_eq!(node.wait(1).lines(BOB), ["OPTIONS"]);
}

#[test]
fn a_phone_that_is_silent_ends_the_call_at_its_last_proof_of_life() {
    for dies in [false, true] {
        let Call { mut node, answered_at, .. } = call();
        let asked = node.wait(15 * MINUTE_MS);
        if dies {
            node.take_over();
        }
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        let turn = node.wait(33_000);
        let ended: Ended = turn.event();
        let last_proof = (answered_at, Side::Server, EndCause::LastProofOfLife);
        assert_eq!((ended.at, ended.by, ended.cause), last_proof);
        assert_eq!(turn.lines(BOB).first().map(String::as_str), Some("BYE"));
    }
}

/// Alice is gone, and Bob's phone goes on sending.
#[test]
fn one_end_alone_proves_nothing_whatever_it_sends() {
    for (alices, dies) in [(Some(481), false), (Some(408), true), (None, false), (None, true)] {
        let Call { mut node, dialog, answered_at } = call();
        for minute in 1..15 {
            node.wait(MINUTE_MS);
            let info = node.receive(BOB, dialog.by_bob("INFO", minute)).only(ALICE);
            if let Some(status) = alices {
                node.receive(ALICE, answer(&info, status, "", ALICE_CONTACT));
            }
        }
        if dies {
            node.take_over();
        }
        let asked = node.wait(MINUTE_MS);
        let to_bob = asked.to(BOB).into_iter().find(|it| it.starts_with("OPTIONS"));
        node.receive(BOB, bob_answers(&to_bob.expect("he is asked"), 200));
        assert_eq!(node.wait(33_000).event::<Ended>().at, answered_at);
    }
}

/// Alice sends a BYE, and Bob challenges it half a second later. Since when she has hung up.
fn alice_is_challenged(node: &mut Node, dialog: &Dialog) -> Timestamp {
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(500);
    node.receive(BOB, bob_answers(&bye, 407));
    hung_up_at
}

/// Her phone does not say BYE again.
#[test]
fn who_was_challenged_for_a_bye_and_left_has_hung_up() {
    for dies in [false, true] {
        let Call { mut node, dialog, .. } = call();
        node.wait(MINUTE_MS);
        let hung_up_at = alice_is_challenged(&mut node, &dialog);
        if dies {
            node.take_over();
        }
        node.wait(1_000);
        let info = node.receive(BOB, dialog.by_bob("INFO", 1)).only(ALICE);
        node.receive(ALICE, answer(&info, 481, "", ALICE_CONTACT));
        assert!(node.wait(30_499).sent.is_empty(), "nobody is asked");
        let turn = node.wait(1);
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.by, ended.cause), (hung_up_at, Side::Caller, EndCause::Bye));
        assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (words(&["BYE"]), words(&["BYE"])));
        node.wait(2 * MINUTE_MS);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

#[test]
fn who_was_challenged_for_a_bye_has_hung_up_also_if_no_server_lived_when_it_counts() {
    let Call { mut node, dialog, .. } = call();
    let hung_up_at = alice_is_challenged(&mut node, &dialog);
    node.now = node.now + Duration::from_secs(3_600);
    node.cold_start();
    assert_eq!(node.wait(0).event::<Ended>().at, hung_up_at);
}

/// What ends the call before that says nothing of when she hung up.
#[test]
fn who_was_challenged_for_a_bye_has_hung_up_whatever_ends_the_call() {
    for end in ["a service", "a service when it has come again", "an end that is gone"] {
        let Call { mut node, dialog, .. } = call();
        node.wait(MINUTE_MS);
        let hung_up_at = alice_is_challenged(&mut node, &dialog);
        node.wait(1_000);
        if end.contains("again") {
            node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
        }
        let turn = if end.contains("service") {
            node.command(&SipCommand::HangUp).expect("it is up")
        } else {
            let asked = node.query_liveness();
            node.receive(ALICE, answer(&asked.only(ALICE), 481, "", ALICE_CONTACT))
        };
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller), "{end}");
    }
}

/// She talks no more since then, and nothing ends before the answer to it.
#[test]
fn a_bye_that_comes_again_ends_the_call_when_it_first_came() {
    for (status, dies) in [(200, false), (200, true), (481, false), (500, true)] {
        let Call { mut node, dialog, .. } = call();
        let hung_up_at = alice_is_challenged(&mut node, &dialog);
        node.wait(1_000);
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
        if dies {
            node.take_over();
        }
        assert!(node.wait(1_000).types().is_empty());
        let ended: Ended = node.receive(BOB, bob_answers(&bye, status)).event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller), "{status}");
        assert!(node.wait(2 * MINUTE_MS).to(ALICE).is_empty(), "{status}");
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// He has it challenged to hang up himself half a minute later.
#[test]
fn who_was_challenged_for_a_bye_has_hung_up_before_the_other_end_does() {
    for (status, dies) in [(200, false), (481, true)] {
        let Call { mut node, dialog, .. } = call();
        let hung_up_at = alice_is_challenged(&mut node, &dialog);
        node.wait(31_000);
        let bye = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
        if dies {
            node.take_over();
        }
        let ended: Ended = node.receive(ALICE, answer(&bye, status, "", ALICE_CONTACT)).event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller), "{status}");
        node.wait(2 * MINUTE_MS);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// As late as he can, just before the BYE counts as not answered.
#[test]
fn a_bye_that_is_challenged_late_ends_the_call_no_later_than_one_that_is_not_answered() {
    let Call { mut node, dialog, .. } = call();
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(31_900);
    node.receive(BOB, bob_answers(&bye, 401));
    let turn = node.wait(100);
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (words(&["BYE"]), words(&["BYE"])));
}

/// Who was asked and has hung up instead of an answer is not asked again.
#[test]
fn questions_of_a_call_end_with_it() {
    let Call { mut node, dialog, .. } = call();
    let asked = node.wait(15 * MINUTE_MS);
    assert_eq!((asked.lines(ALICE), asked.lines(BOB)), (words(&["OPTIONS"]), words(&["OPTIONS"])));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).types(), ["sip.ended"]);
    assert!(node.wait(MINUTE_MS).sent.is_empty());
    assert_eq!(node.living_activities(), 0);
}

/// It may have hung up just now.
#[test]
fn a_phone_that_does_not_know_the_call_is_asked_again_before_it_is_gone() {
    let Call { mut node, answered_at, .. } = call();
    let asked = node.wait(15 * MINUTE_MS);
    assert!(both_answer(&mut node, &asked, 481).types().is_empty());
    node.take_over();
    assert!(node.wait(31_900).sent.is_empty());
    let again = node.wait(100);
    let turn = both_answer(&mut node, &again, 481);
    assert_eq!(turn.event::<Ended>().at, answered_at);
    assert_eq!(turn.lines(ALICE), ["BYE"]);
}

#[test]
fn its_bye_that_was_on_its_way_ends_the_call_as_always() {
    let Call { mut node, dialog, .. } = call();
    let asked = node.wait(15 * MINUTE_MS);
    both_answer(&mut node, &asked, 481);
    node.wait(1_000);
    let hung_up_at = node.now;
    let bye = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
    let ended: Ended = node.receive(ALICE, answer(&bye, 200, "", ALICE_CONTACT)).event();
    assert_eq!((ended.at, ended.by, ended.cause), (hung_up_at, Side::Callee, EndCause::Bye));
    assert!(node.wait(60 * MINUTE_MS).sent.is_empty(), "nobody is asked any more");
    assert_eq!(node.living_activities(), 0);
}

/// A second question counts at once; the third is a first one again.
#[test]
fn a_phone_that_knows_the_call_again_is_given_time_again() {
    let Call { mut node, .. } = call();
    let asked = node.wait(15 * MINUTE_MS);
    both_answer(&mut node, &asked, 481);
    let asked = node.wait(32_000);
    both_answer(&mut node, &asked, 200);
    let asked = node.wait(15 * MINUTE_MS);
    assert!(both_answer(&mut node, &asked, 481).types().is_empty());
}

#[test]
fn a_call_of_12_hours_is_ended_for_both() {
    for dies in [false, true] {
        let Call { mut node, .. } = call();
        for _ in 0..47 {
            let asked = node.wait(15 * MINUTE_MS);
            both_answer(&mut node, &asked, 200);
        }
        if dies {
            node.take_over();
        }
        node.wait(15 * MINUTE_MS - 1);
        let turn = node.wait(1);
        let ended: Ended = turn.event();
        let too_long = (node.now, Side::Server, EndCause::MaxDuration);
        assert_eq!((ended.at, ended.by, ended.cause), too_long);
        assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (words(&["BYE"]), words(&["BYE"])));
    }
}

#[test]
fn a_service_ends_a_call_and_its_byes_are_repeated_by_whoever_survives() {
    let Call { mut node, .. } = call();
    node.wait(MINUTE_MS);
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by, ended.cause), (node.now, Side::Server, EndCause::Bye));
    let (at_alice, at_bob) = (turn.only(ALICE), turn.only(BOB));
    // In the name of the other one, with a number that leaves room for requests not seen.
    let (alice, bob) = (parse(&at_alice), parse(&at_bob));
    assert_eq!((alice.cseq(), bob.cseq()), ((100, "BYE"), (101, "BYE")));
    assert_eq!((alice.from_tag().unwrap(), alice.to_tag().unwrap()), ("b".into(), "a".into()));
    assert_eq!((bob.from_tag().unwrap(), bob.to_tag().unwrap()), ("a".into(), "b".into()));
    assert_eq!(alice.request_uri(), Some(ALICE_CONTACT));
    let resent = node.take_over();
    assert_eq!((resent.only(ALICE), resent.only(BOB)), (at_alice.clone(), at_bob.clone()));
    node.receive(ALICE, answer(&at_alice, 200, "", ALICE_CONTACT));
    node.receive(BOB, bob_answers(&at_bob, 200));
    node.wait(MINUTE_MS);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

/// RFC 3261 §15: a BYE to the caller might overtake the 2xx, and the callee would not repeat it.
#[test]
fn a_call_whose_answer_is_not_acknowledged_yet_is_ended_with_the_ack() {
    for acked in [true, false] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        assert_eq!((turn.sent.len(), turn.types().len(), turn.commits), (0, 0, 1));
        node.take_over();
        let turn = match acked {
            true => node.receive(ALICE, dialog.by_alice("ACK", 1)),
            false => node.wait(32_000),
        };
        assert_eq!(turn.event::<Ended>().at, node.now);
        assert_eq!(turn.lines(ALICE), ["BYE"]);
        assert_eq!(turn.lines(BOB).last().map(String::as_str), Some("BYE"));
    }
}

/// A BYE might overtake the 2xx all the same.
#[test]
fn what_follows_an_early_answer_is_no_acknowledgement_of_the_2xx() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let early = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 183)).only(ALICE));
    let prack = node.receive(ALICE, early.by_alice("PRACK", 2)).only(BOB);
    node.receive(BOB, bob_answers(&prack, 200));
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    node.receive(ALICE, dialog.by_alice("PRACK", 3));
    assert!(node.command(&SipCommand::HangUp).expect("it is up").sent.is_empty());
    assert_eq!(node.receive(ALICE, dialog.by_alice("ACK", 1)).lines(ALICE), ["BYE"]);
}

#[test]
fn a_call_is_ended_once() {
    let Call { mut node, .. } = call();
    node.command(&SipCommand::HangUp).expect("it is up");
    let refused = node.command(&SipCommand::HangUp).err().expect("it is over");
    assert!(refused.to_string().contains("the call is over"), "{refused}");
}

/// A BYE and a service's end cross each other: the phone's counts, it came first.
#[test]
fn who_has_hung_up_before_a_service_has_ended_it() {
    let Call { mut node, dialog, .. } = call();
    node.wait(1_000);
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(100);
    let ended: Ended = node.command(&SipCommand::HangUp).expect("it is up").event();
    assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
    assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).lines(ALICE), ["200"]);
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_service_that_ends_a_ringing_call_gives_480_and_stops_the_ringing() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let turn = node.command(&SipCommand::HangUp).expect("it rings");
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (words(&["480"]), words(&["CANCEL"])));
    assert_eq!(turn.event::<Rejected>().status, 480);
    node.receive(ALICE, follow_up("ACK", 1));
    node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    let ended = node.receive(BOB, bob_answers(&at_bob, 487));
    assert_eq!(ended.lines(BOB), ["ACK"]);
    node.wait(MINUTE_MS);
    assert_eq!(node.living_activities(), 0);
    assert!(phone::is_under_our_via(&at_bob));
}

/// What is challenged, or refreshed, when the call is over keeps nothing of it.
#[test]
fn a_bye_that_is_challenged_when_the_call_is_over_asks_nobody() {
    for by_service in [false, true] {
        let Call { mut node, dialog, .. } = call();
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        if by_service {
            node.command(&SipCommand::HangUp).expect("it is up");
        } else {
            let crossing = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
            node.receive(ALICE, answer(&crossing, 200, "", ALICE_CONTACT));
        }
        assert_eq!(node.count("sip.ended"), 1);
        node.receive(BOB, bob_answers(&bye, 401));
        node.wait(2 * MINUTE_MS);
        assert_eq!(node.living_activities(), 0, "{by_service}");
    }
}

#[test]
fn a_refresh_that_is_accepted_when_the_call_is_over_keeps_nothing_of_it() {
    let Call { mut node, dialog, .. } = call();
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    let update = node.receive(ALICE, dialog.by_alice("UPDATE", 3)).only(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    let ok = String::from_utf8(bob_answers(&update, 200)).expect("text");
    node.receive(BOB, ok.replacen("Contact:", "Session-Expires: 4294967295\r\nContact:", 1));
    node.wait(2 * MINUTE_MS);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_refresh_before_the_answer_keeps_nothing_of_a_call_that_is_refused() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let early = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 183)).only(ALICE));
    let update = node.receive(ALICE, early.by_alice("UPDATE", 2)).only(BOB);
    let ok = String::from_utf8(bob_answers(&update, 200)).expect("text");
    node.receive(BOB, ok.replacen("Contact:", "Session-Expires: 90000\r\nContact:", 1));
    node.receive(BOB, bob_answers(&at_bob, 486));
    node.receive(ALICE, harness::phone::follow_up("ACK", 1));
    node.wait(2 * MINUTE_MS);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_2xx_that_is_repeated_when_the_call_is_over_changes_nothing() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    node.receive(BOB, bob_answers(&at_bob, 200)).assert_changes_nothing();
}
