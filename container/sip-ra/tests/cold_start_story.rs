//! All nodes were dead, and one starts from its store: calls whose BYE nobody heard are found and
//! closed, the others go on.

mod harness;

use harness::phone::{
    self, ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, acknowledged_call,
    answer, bob_answers, invite,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended, Rejected, Side, SipCommand};
use resilee_sip_proto::HeaderName;
use std::time::Duration;

struct Call {
    node: Node,
    dialog: Dialog,
    /// The last message that the store knows of.
    last_commit_at: Timestamp,
}

/// Alice and Bob talk for a minute, then there is no node for ten.
fn call_before_the_outage() -> Call {
    let mut node = Node::for_bob();
    let dialog = acknowledged_call(&mut node);
    let last_commit_at = node.now;
    node.wait(60_000);
    Call { node, dialog, last_commit_at }
}

fn ended_at_last_proof(turn: &Turn, at: Timestamp) {
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by, ended.cause), (at, Side::Server, EndCause::LastProofOfLife));
    assert_eq!(ended.node, "server2");
}

#[test]
fn each_end_is_asked_once_in_the_name_of_the_other() {
    let Call { mut node, .. } = call_before_the_outage();
    let turn = node.cold_start();
    let (at_alice, at_bob) = (turn.only(ALICE), turn.only(BOB));
    let (alice, bob) = (parse(&at_alice), parse(&at_bob));
    assert_eq!((alice.method(), bob.method()), (Some("OPTIONS"), Some("OPTIONS")));
    assert_eq!(bob.request_uri(), Some(BOB_CONTACT));
    assert_eq!(alice.request_uri(), Some(ALICE_CONTACT));
    assert_eq!((bob.from_tag().unwrap(), bob.to_tag().unwrap()), ("a".into(), "b".into()));
    assert_eq!((alice.from_tag().unwrap(), alice.to_tag().unwrap()), ("b".into(), "a".into()));
    assert_eq!(bob.from_uri().unwrap(), "sip:alice@example.test");
    assert_eq!(alice.from_uri().unwrap(), "sip:bob@example.test");
    // Below the last number of the one in whose name it is; Bob has not sent a request yet.
    assert_eq!((bob.cseq().0, alice.cseq().0), (0, 0));
    assert_eq!(bob.call_id(), "call-1");
    assert!(phone::is_under_our_via(&at_bob) && bob.values(HeaderName::Via).len() == 1);
    assert_ne!(phone::top_branch(&at_alice), phone::top_branch(&at_bob));
    assert_eq!(node.wait(500).lines(BOB), ["OPTIONS"], "timer E");
}

/// RFC 3261 §19.1.5: they are none of a Request-URI.
#[test]
fn headers_of_a_contact_are_left_out_of_what_is_asked() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = answer(&at_bob, 200, "b", &format!("{BOB_CONTACT}?Subject=hello"));
    node.receive(BOB, ok);
    let turn = node.cold_start();
    assert_eq!(parse(&turn.only(BOB)).request_uri(), Some(BOB_CONTACT));
    let contact = format!("Contact: <{BOB_CONTACT}>\r\n");
    assert!(turn.only(ALICE).contains(&contact), "{}", turn.only(ALICE));
}

#[test]
fn a_take_over_asks_nobody() {
    let Call { mut node, .. } = call_before_the_outage();
    assert!(node.take_over().sent.is_empty());
}

#[test]
fn a_call_that_both_know_goes_on_and_that_is_a_proof_of_life() {
    let Call { mut node, dialog, .. } = call_before_the_outage();
    let turn = node.cold_start();
    node.wait(100);
    node.receive(BOB, bob_answers(&turn.only(BOB), 200)).types();
    let turn = node.receive(ALICE, answer(&turn.only(ALICE), 200, "", ALICE_CONTACT));
    assert_eq!((turn.types(), turn.commits), (vec![], 1));
    let proven_at = node.now;
    node.wait(60_000);
    let turn = node.cold_start();
    let turn = node.receive(BOB, bob_answers(&turn.only(BOB), 481));
    ended_at_last_proof(&turn, proven_at);
    assert_eq!(turn.lines(ALICE), ["BYE"]);
    drop(dialog);
}

#[test]
fn an_end_that_does_not_know_the_call_closes_it_and_the_other_is_told() {
    for status in [481, 408] {
        let Call { mut node, last_commit_at, .. } = call_before_the_outage();
        let probes = node.cold_start();
        node.wait(300);
        node.receive(ALICE, answer(&probes.only(ALICE), 200, "", ALICE_CONTACT));
        let turn = node.receive(BOB, bob_answers(&probes.only(BOB), status));
        ended_at_last_proof(&turn, last_commit_at);
        let bye = turn.only(ALICE);
        assert_eq!((parse(&bye).method(), parse(&bye).cseq().0), (Some("BYE"), 100));
        assert_eq!(parse(&bye).from_tag().unwrap(), "b");
        node.receive(ALICE, answer(&bye, 200, "", ALICE_CONTACT));
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

#[test]
fn silence_closes_the_call_and_a_bye_goes_to_who_is_there() {
    let Call { mut node, last_commit_at, .. } = call_before_the_outage();
    let probes = node.cold_start();
    node.receive(BOB, bob_answers(&probes.only(BOB), 200));
    assert!(node.wait(31_900).types().is_empty());
    let turn = node.wait(100);
    ended_at_last_proof(&turn, last_commit_at);
    let bye = turn.only(BOB);
    assert_eq!((parse(&bye).method(), parse(&bye).cseq().0), (Some("BYE"), 101));
    node.take_over();
    node.receive(BOB, bob_answers(&bye, 200));
    node.wait(60_000);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

#[test]
fn two_silent_ends_are_one_end_of_the_call() {
    let Call { mut node, .. } = call_before_the_outage();
    node.cold_start();
    node.wait(120_000);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

#[test]
fn an_end_that_refuses_options_is_alive() {
    let Call { mut node, dialog, .. } = call_before_the_outage();
    let probes = node.cold_start();
    node.receive(BOB, bob_answers(&probes.only(BOB), 500));
    node.receive(ALICE, answer(&probes.only(ALICE), 405, "", ALICE_CONTACT));
    node.wait(60_000);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (1, 0));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    let ended: Ended = node.receive(BOB, bob_answers(&bye, 200)).event();
    assert_eq!((ended.by, ended.cause), (Side::Caller, EndCause::Bye));
}

/// It has hung up while nobody lived, or it does not answer what it does not know.
#[test]
fn an_end_without_options_in_its_allow_is_asked_and_its_silence_says_nothing() {
    for status in [None, Some(405), Some(481)] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let ok = String::from_utf8(bob_answers(&at_bob, 200)).unwrap();
        let ok = node.receive(BOB, ok.replacen("Contact:", "Allow: INVITE, BYE\r\nContact:", 1));
        node.receive(ALICE, Dialog::of(&ok.only(ALICE)).by_alice("ACK", 1));
        let probes = node.cold_start();
        assert_eq!(probes.lines(BOB), ["OPTIONS"]);
        node.receive(ALICE, answer(&probes.only(ALICE), 200, "", ALICE_CONTACT));
        if let Some(status) = status {
            node.receive(BOB, bob_answers(&probes.only(BOB), status));
        }
        node.wait(60_000);
        assert_eq!(node.count("sip.ended"), usize::from(status == Some(481)), "{status:?}");
    }
}

#[test]
fn a_bye_that_is_still_repeated_ends_the_call_as_always() {
    let Call { mut node, dialog, .. } = call_before_the_outage();
    let probes = node.cold_start();
    node.wait(100);
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(ALICE, answer(&probes.only(ALICE), 481, "", ALICE_CONTACT));
    assert_eq!(node.count("sip.ended"), 0);
    let ended: Ended = node.receive(BOB, bob_answers(&bye, 200)).event();
    assert_eq!((ended.at, ended.by, ended.cause), (hung_up_at, Side::Caller, EndCause::Bye));
}

#[test]
fn a_caller_that_has_not_got_the_answer_yet_is_not_gone() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    let probes = node.cold_start();
    node.receive(ALICE, answer(&probes.only(ALICE), 481, "", ALICE_CONTACT));
    assert_eq!(node.count("sip.ended"), 0);
    let again = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(again.lines(ALICE), ["200"]);
}

/// It had got the answer and hung up while nobody lived: nobody repeats the 2xx for ever.
#[test]
fn a_caller_that_may_not_have_got_the_answer_is_asked_again_when_nobody_repeats_it() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    let answered_at = node.now;
    node.wait(10_000);
    let probes = node.cold_start();
    node.receive(ALICE, answer(&probes.only(ALICE), 481, "", ALICE_CONTACT));
    node.receive(BOB, bob_answers(&probes.only(BOB), 200));
    node.take_over();
    assert!(node.wait(21_900).to(ALICE).is_empty());
    let again = node.wait(100);
    assert_eq!(again.lines(ALICE), ["OPTIONS"]);
    let turn = node.receive(ALICE, answer(&again.only(ALICE), 481, "", ALICE_CONTACT));
    ended_at_last_proof(&turn, answered_at);
    assert_eq!(turn.lines(BOB), ["BYE"]);
}

#[test]
fn a_call_that_rings_is_not_asked() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    assert!(node.cold_start().sent.iter().all(|it| !it.bytes.starts_with(b"OPTIONS")));
}

/// Alice calls Bob, whose phone rings, or has said 100; then there is no node for a while.
fn rings_before_the_outage(status: u16, outage_ms: u64) -> (Node, String) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, status));
    node.now = node.now + Duration::from_millis(outage_ms);
    (node, at_bob)
}

/// Its caller has given up, and nobody has heard that: who picks up would talk to nobody, and the
/// caller be billed.
#[test]
fn a_call_that_rang_before_a_long_outage_rings_no_longer() {
    for status in [180, 183, 100] {
        let (mut node, at_bob) = rings_before_the_outage(status, 120_000);
        let turn = node.cold_start();
        assert_eq!(turn.lines(ALICE), ["408"], "if she is there still");
        assert_eq!(turn.event::<Rejected>().status, 408);
        let cancel = turn.only(BOB);
        assert_eq!(parse(&cancel).method(), Some("CANCEL"), "and no INVITE");
        assert_eq!(node.take_over().lines(BOB), ["CANCEL"], "it is repeated by a survivor");
        node.receive(BOB, bob_answers(&cancel, 200));
        node.receive(BOB, bob_answers(&at_bob, 487));
        node.wait(300_000);
        assert_eq!((node.living_activities(), node.count("sip.answered")), (0, 0));
    }
}

/// He picks up just then.
#[test]
fn an_answer_to_a_call_that_rang_before_a_long_outage_is_ended() {
    let (mut node, at_bob) = rings_before_the_outage(180, 120_000);
    node.cold_start();
    let turn = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(turn.lines(BOB), ["ACK", "BYE"]);
    assert_eq!(node.count("sip.answered"), 0);
}

#[test]
fn a_call_that_rang_before_a_short_outage_rings_on() {
    for outage_ms in [5_000, 32_000] {
        let (mut node, at_bob) = rings_before_the_outage(180, outage_ms);
        let turn = node.cold_start();
        assert!(!turn.lines(BOB).contains(&"CANCEL".to_owned()), "{:?}", turn.sent);
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
        assert_eq!(node.count("sip.answered"), 1);
    }
}

/// A takeover is no outage: somebody had it all the time.
#[test]
fn a_call_that_has_rung_for_long_rings_on_at_a_survivor() {
    let (mut node, at_bob) = rings_before_the_outage(180, 120_000);
    node.take_over();
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
}

/// The store knows messages only by commits; one that changes nothing makes none.
#[test]
fn the_last_proof_of_life_is_the_last_message_that_a_commit_came_after() {
    let Call { mut node, dialog, .. } = call_before_the_outage();
    let info = node.receive(ALICE, dialog.by_alice("INFO", 7));
    assert_eq!((info.commits, info.to(BOB).len()), (0, 1));
    let seen_at = node.now;
    let update = node.receive(BOB, dialog.by_bob("UPDATE", 1));
    let turn = node.receive(ALICE, answer(&update.only(ALICE), 200, "", ALICE_CONTACT));
    assert_eq!(turn.commits, 1);
    node.wait(50_000);
    let probes = node.cold_start();
    let at_bob = probes.to(BOB).pop().unwrap();
    assert_eq!(parse(&at_bob).cseq(), (6, "OPTIONS"), "below the number of the INFO");
    let turn = node.receive(ALICE, answer(&probes.only(ALICE), 481, "", ALICE_CONTACT));
    ended_at_last_proof(&turn, seen_at);
    assert_eq!(parse(&turn.only(BOB)).cseq().0, 107);
}

/// Nobody lived when it had lasted as long as a call may: until when they talked is asked first.
#[test]
fn a_call_whose_time_was_over_meanwhile_is_asked_for_before_it_is_ended() {
    for (knows, from_old_store) in [(false, false), (false, true), (true, false), (true, true)] {
        let Call { mut node, last_commit_at, .. } = call_before_the_outage();
        node.now = node.now + Duration::from_secs(2 * 86_400);
        let begin =
            if from_old_store { Node::take_over_from_an_old_store } else { Node::cold_start };
        let probes = begin(&mut node);
        assert_eq!(node.wait(0).types(), Vec::<&str>::new());
        node.receive(ALICE, answer(&probes.only(ALICE), 200, "", ALICE_CONTACT));
        let status = if knows { 200 } else { 481 };
        let mut turn = node.receive(BOB, bob_answers(&probes.only(BOB), status));
        if !knows {
            ended_at_last_proof(&turn, last_commit_at);
            continue;
        }
        turn = node.wait(32_000);
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.cause), (node.now, EndCause::MaxDuration));
    }
}

/// Each of them long after the call might have lasted longest.
fn two_days_later(node: &mut Node) -> Turn {
    node.now = node.now + Duration::from_secs(2 * 86_400);
    node.cold_start()
}

/// Her silence may be that of a phone to which the question is a copy of an earlier one: she is
/// asked once more, and nobody is billed for the outage meanwhile.
#[test]
fn an_end_that_is_asked_once_more_after_an_outage_is_heard_before_the_time_is_over() {
    for dies in [false, true] {
        let Call { mut node, .. } = call_before_the_outage();
        let asked = node.wait(840_000);
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
        let proven_at = node.now;
        let probes = two_days_later(&mut node);
        node.receive(BOB, bob_answers(&probes.only(BOB), 200));
        assert_eq!(node.wait(32_000).types(), [""; 0], "she is asked once more");
        if dies {
            node.take_over();
        }
        ended_at_last_proof(&node.wait(32_000), proven_at);
    }
}

/// A call with a session timer of so many seconds, which nobody refreshes.
fn session_before_the_outage(seconds: u32) -> Call {
    session_with(Some(seconds), "")
}

/// The same, or none, and Bob answers with these headers.
fn session_with(seconds: Option<u32>, headers: &str) -> Call {
    let mut node = Node::for_bob();
    let supported = if seconds.is_some() { "Supported: timer\r\n" } else { "" };
    let at_bob = node.receive(ALICE, phone::invite_with(1, supported)).only(BOB);
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
    let timer = seconds.map(|it| format!("Session-Expires: {it};refresher=uas\r\n"));
    let headers = format!("{headers}{}Contact:", timer.unwrap_or_default());
    let ok = node.receive(BOB, ok.replacen("Contact:", &headers, 1));
    let dialog = Dialog::of(&ok.only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let last_commit_at = node.now;
    Call { node, dialog, last_commit_at }
}

/// Or is over just when they have been asked: then they are asked anew.
#[test]
fn a_session_that_is_over_after_an_outage_is_billed_to_its_last_proof_of_life() {
    for seconds in [600, 2 * 86_400 + 10] {
        let Call { mut node, last_commit_at, .. } = session_before_the_outage(seconds);
        two_days_later(&mut node);
        ended_at_last_proof(&node.wait(43_000), last_commit_at);
    }
}

/// Its silence does not say that he is gone, nor does anything say that he talked so long.
#[test]
fn a_call_with_a_phone_that_may_not_answer_is_billed_for_no_more_than_it_may_last() {
    for (seconds, bob_knows) in [(None, false), (Some(600), false), (None, true), (Some(600), true)]
    {
        let allow = "Allow: INVITE, BYE\r\n";
        let Call { mut node, last_commit_at, .. } = session_with(seconds, allow);
        let (probes, anew) = (two_days_later(&mut node), node.wait(0));
        let last = |end| [probes.to(end), anew.to(end)].concat().pop().expect("a question");
        let alice = answer(&last(ALICE), 200, "", ALICE_CONTACT);
        let mut turn = node.receive(ALICE, alice);
        if bob_knows {
            turn = node.receive(BOB, bob_answers(&last(BOB), 200));
        }
        if seconds.is_none() || !bob_knows {
            turn = node.wait(32_000);
        }
        let ended: Ended = turn.event();
        let lasts = Duration::from_secs(seconds.unwrap_or(43_200).into());
        let over = if bob_knows { node.now } else { last_commit_at + lasts };
        assert_eq!(ended.at, over, "{seconds:?} {bob_knows}");
    }
}

/// The ends were being asked when the last node died.
#[test]
fn a_session_whose_ends_were_asked_before_the_outage_is_asked_for_again() {
    for answers in [false, true] {
        let Call { mut node, last_commit_at, .. } = session_before_the_outage(600);
        node.wait(600_000);
        let probes = two_days_later(&mut node);
        assert_eq!(node.wait(0).types(), [""; 0]);
        if !answers {
            ended_at_last_proof(&node.wait(32_000), last_commit_at);
            continue;
        }
        let last = |end| probes.to(end).pop().expect("a question");
        node.receive(BOB, bob_answers(&last(BOB), 200));
        let turn = node.receive(ALICE, answer(&last(ALICE), 200, "", ALICE_CONTACT));
        ended_at_last_proof(&turn, node.now);
    }
}

/// A service has hung up, and the caller's ACK was still awaited when the last node died.
#[test]
fn a_hang_up_that_was_due_when_nobody_lived_is_billed_to_its_moment() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    let due = node.now + Duration::from_secs(32);
    node.command(&SipCommand::HangUp).expect("it is up");
    two_days_later(&mut node);
    let ended: Ended = node.wait(0).event();
    assert_eq!((ended.at, ended.cause), (due, EndCause::Bye));
}

#[test]
fn a_second_cold_start_asks_anew() {
    let Call { mut node, last_commit_at, .. } = call_before_the_outage();
    let first = node.cold_start();
    node.wait(1_000);
    let second = node.cold_start();
    let last = |turn: &Turn| turn.to(BOB).pop().unwrap();
    assert_ne!(phone::top_branch(&last(&first)), phone::top_branch(&last(&second)));
    assert!(node.receive(BOB, bob_answers(&last(&first), 481)).types().is_empty());
    let turn = node.receive(BOB, bob_answers(&last(&second), 481));
    ended_at_last_proof(&turn, last_commit_at);
}

#[test]
fn of_two_dialogs_the_call_lasts_as_long_as_one() {
    let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]));
    let turn = node.receive(ALICE, invite());
    node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    node.receive(CAROL, answer(&turn.only(CAROL), 200, "c", CAROL_CONTACT));
    let probes = node.cold_start();
    assert_eq!(probes.lines(ALICE), ["OPTIONS", "OPTIONS"]);
    let turn = node.receive(BOB, bob_answers(&probes.only(BOB), 481));
    assert_eq!((turn.types(), turn.lines(ALICE)), (vec![], vec!["BYE".to_owned()]));
    let turn = node.receive(CAROL, answer(&probes.only(CAROL), 481, "c", CAROL_CONTACT));
    assert_eq!(turn.event::<Ended>().cause, EndCause::LastProofOfLife);
}
