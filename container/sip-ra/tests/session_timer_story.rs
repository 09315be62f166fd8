//! Session timers (RFC 4028): inserted where absent, agreed on, refreshed, and the end of a call
//! that nobody refreshes.

mod harness;

use harness::phone::{ALICE, ALICE_CONTACT, BOB, Dialog, answer, bob_answers, invite_with};
use harness::{Node, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended};

const MINUTE_MS: u64 = 60_000;

fn header(message: &str, name: &str) -> Option<String> {
    parse(message).header_named(name).map(String::from)
}

fn session_expires(message: &str) -> Option<String> {
    header(message, "Session-Expires")
}

/// Alice's INVITE with these header lines as Bob gets it.
fn at_bob(node: &mut Node, headers: &str) -> String {
    node.receive(ALICE, invite_with(1, headers)).only(BOB)
}

/// Bob's 200 with these header lines.
fn ok(at_bob: &str, headers: &str) -> String {
    let ok = String::from_utf8(bob_answers(at_bob, 200)).expect("text");
    ok.replacen("Contact:", &format!("{headers}Contact:"), 1)
}

#[test]
fn an_invite_without_a_session_timer_gets_one_of_half_an_hour() {
    let at_bob = at_bob(&mut Node::for_bob(), "");
    assert_eq!(session_expires(&at_bob).as_deref(), Some("1800"));
    assert_eq!(header(&at_bob, "Min-SE"), None);
}

#[test]
fn ours_is_not_shorter_than_what_the_caller_bears() {
    let at_bob = at_bob(&mut Node::for_bob(), "Min-SE: 3600\r\n");
    assert_eq!(session_expires(&at_bob).as_deref(), Some("3600"));
}

#[test]
fn the_callers_own_goes_on_as_it_is() {
    let at_bob = at_bob(&mut Node::for_bob(), "x: 120;refresher=uac\r\nSupported: timer\r\n");
    assert!(at_bob.contains("\r\nx: 120;refresher=uac\r\n"), "{at_bob}");
    assert_eq!(parse(&at_bob).headers().filter(|it| it.1 == "Session-Expires").count(), 0);
}

/// RFC 4028 §8.1: only who knows what Min-SE is can be told to try again.
#[test]
fn an_interval_below_90_s_is_refused_or_raised() {
    let short = "Session-Expires: 30\r\n";
    let answer = Node::for_bob().receive(ALICE, invite_with(1, &format!("{short}k: timer\r\n")));
    assert!(answer.sent.iter().all(|sent| sent.flow.remote.to_string() == ALICE));
    let refusal = answer.only(ALICE);
    assert_eq!(
        (parse(&refusal).status(), header(&refusal, "Min-SE")),
        (Some(422), Some("90".into()))
    );
    let raised = at_bob(&mut Node::for_bob(), short);
    assert_eq!(
        (session_expires(&raised), header(&raised, "Min-SE")),
        (Some("90".into()), Some("90".into()))
    );
}

#[test]
fn a_caller_that_knows_session_timers_refreshes_for_a_callee_that_does_not() {
    let mut node = Node::for_bob();
    let at_bob = at_bob(&mut node, "Supported: 100rel, timer\r\n");
    let plain = ok(&at_bob, "");
    for _ in 0..2 {
        let at_alice = node.receive(BOB, &plain).only(ALICE);
        assert_eq!(session_expires(&at_alice).as_deref(), Some("1800;refresher=uac"));
        assert_eq!(
            header(&at_alice, "Require").as_deref(),
            Some("timer"),
            "also when it is repeated"
        );
        node.take_over();
    }
}

#[test]
fn what_the_callee_says_counts() {
    let mut node = Node::for_bob();
    let at_bob = at_bob(&mut node, "Supported: timer\r\n");
    let answer = ok(&at_bob, "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n");
    let at_alice = node.receive(BOB, answer).only(ALICE);
    assert_eq!(session_expires(&at_alice).as_deref(), Some("600;refresher=uas"));
    assert_eq!(parse(&at_alice).headers().filter(|it| it.1 == "Require").count(), 1);
}

#[test]
fn between_two_that_do_not_know_session_timers_there_is_none() {
    let mut node = Node::for_bob();
    let at_bob = at_bob(&mut node, "");
    let at_alice = node.receive(BOB, ok(&at_bob, "")).only(ALICE);
    assert_eq!((session_expires(&at_alice), header(&at_alice, "Require")), (None, None));
}

/// A call of a session of ten minutes, which Bob refreshes.
fn session() -> (Node, Dialog) {
    let mut node = Node::for_bob();
    let at_bob = at_bob(&mut node, "Supported: timer\r\n");
    let answer = ok(&at_bob, "Session-Expires: 600;refresher=uas\r\n");
    let dialog = Dialog::of(&node.receive(BOB, answer).only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    (node, dialog)
}

fn words(word: &str) -> Vec<String> {
    vec![word.to_owned()]
}

/// That nobody refreshes it proves nothing: who is to do so may leave it, and talk on. So the ends
/// are asked before the call is over; it was over since its last proof of life at once before.
#[test]
fn a_session_that_nobody_refreshes_is_over_once_both_ends_have_said_that_they_talk() {
    for dies in [false, true] {
        let (mut node, _) = session();
        assert!(node.wait(10 * MINUTE_MS - 1).sent.is_empty());
        if dies {
            node.take_over();
        }
        let asked = node.wait(1);
        assert_eq!((asked.lines(ALICE), asked.lines(BOB)), (words("OPTIONS"), words("OPTIONS")));
        if dies {
            node.take_over();
        }
        assert!(node.receive(BOB, bob_answers(&asked.only(BOB), 200)).types().is_empty());
        let turn = node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.cause), (node.now, EndCause::LastProofOfLife));
        assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (words("BYE"), words("BYE")));
        node.wait(MINUTE_MS);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

#[test]
fn a_session_that_nobody_refreshes_is_over_since_its_last_proof_of_life_if_an_end_is_gone() {
    for (dies, by_bob) in [(false, Some(481)), (true, Some(481)), (false, None), (true, None)] {
        let (mut node, _) = session();
        let answered_at = node.now;
        let asked = node.wait(10 * MINUTE_MS);
        if dies {
            node.take_over();
        }
        let alice = answer(&asked.only(ALICE), 200, "", ALICE_CONTACT);
        assert!(node.receive(ALICE, alice).types().is_empty());
        let turn = match by_bob {
            Some(status) => node.receive(BOB, bob_answers(&asked.only(BOB), status)),
            None => node.wait(32_000),
        };
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.cause), (answered_at, EndCause::LastProofOfLife));
        assert_eq!(turn.lines(ALICE), ["BYE"]);
        assert_eq!(turn.lines(BOB).last().map(String::as_str), Some("BYE"));
        node.wait(MINUTE_MS);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// The caller has promised to refresh it, and does not.
#[test]
fn a_caller_that_does_not_refresh_pays_all_the_same() {
    let mut node = Node::for_bob();
    let headers = "Supported: timer\r\nSession-Expires: 899\r\n";
    let at_bob = at_bob(&mut node, headers);
    let ok = node.receive(BOB, ok(&at_bob, "")).only(ALICE);
    assert_eq!(session_expires(&ok).as_deref(), Some("899;refresher=uac"));
    node.receive(ALICE, Dialog::of(&ok).by_alice("ACK", 1));
    let asked = node.wait(899_000);
    node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
    let turn = node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    assert_eq!(turn.event::<Ended>().at, node.now);
}

/// Bob has challenged her BYE, and answers in her place.
#[test]
fn a_session_that_is_over_when_a_bye_was_challenged_ends_by_that_bye() {
    let (mut node, dialog) = session();
    node.wait(10 * MINUTE_MS - 1_000);
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(500);
    node.receive(BOB, bob_answers(&bye, 401));
    let asked = node.wait(500);
    node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
    let turn = node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
}

/// The bill of one who does not answer questions, and does not refresh, is not that of one who has
/// gone: its Allow has said so.
#[test]
fn a_caller_that_takes_no_options_and_does_not_refresh_pays_all_the_same() {
    let mut node = Node::for_bob();
    let headers = "Supported: timer\r\nSession-Expires: 40000;refresher=uac\r\n\
                   Allow: INVITE, ACK, BYE, CANCEL\r\n";
    let at_bob = at_bob(&mut node, headers);
    let ok = node.receive(BOB, ok(&at_bob, "Session-Expires: 40000;refresher=uac\r\n"));
    node.receive(ALICE, Dialog::of(&ok.only(ALICE)).by_alice("ACK", 1));
    let turn = loop {
        let turn = node.wait(1_000);
        if turn.types().contains(&"sip.ended") {
            break turn;
        }
        if !turn.to(BOB).is_empty() {
            node.receive(BOB, bob_answers(&turn.only(BOB), 200));
        }
        assert!(turn.lines(ALICE).iter().all(|it| it == "OPTIONS"));
        assert!(node.now < Timestamp::from_millis(42_000_000));
    };
    // The session was over 32 s before.
    assert!(node.now >= Timestamp::from_millis(41_032_000));
    assert_eq!(turn.event::<Ended>().at, node.now);
    turn.our_bye(ALICE);
    assert_eq!(turn.lines(BOB), words("BYE"));
}

/// Alice's phone does not answer what it does not know, and the session was refreshed all the same.
#[test]
fn silence_to_a_question_does_not_count_after_a_later_proof_of_life() {
    let (mut node, dialog) = session();
    let asked = node.wait(10 * MINUTE_MS);
    node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    node.wait(5_000);
    let at_alice = node.receive(BOB, dialog.by_bob("UPDATE", 1));
    let at_alice = at_alice.to(ALICE).into_iter().find(|it| it.starts_with("UPDATE"));
    let agreed = answer(&at_alice.expect("an UPDATE"), 200, "", ALICE_CONTACT);
    let agreed = String::from_utf8(agreed).expect("text");
    let agreed = agreed.replacen("Contact:", "Session-Expires: 600\r\nContact:", 1);
    node.receive(ALICE, agreed);
    node.take_over();
    node.wait(9 * MINUTE_MS);
    assert_eq!(node.count("sip.ended"), 0);
}

#[test]
fn a_refresh_that_comes_while_they_are_asked_prolongs_it() {
    let (mut node, dialog) = session();
    let asked = node.wait(10 * MINUTE_MS);
    let refresh = dialog.by_bob("UPDATE", 1);
    let at_alice = node.receive(BOB, refresh).only(ALICE);
    let agreed = String::from_utf8(answer(&at_alice, 200, "", ALICE_CONTACT)).expect("text");
    let agreed = agreed.replacen("Contact:", "Session-Expires: 600\r\nContact:", 1);
    node.receive(ALICE, agreed);
    node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
    node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    node.wait(10 * MINUTE_MS - 1);
    assert_eq!(node.count("sip.ended"), 0);
}

#[test]
fn a_refresh_by_update_or_invite_prolongs_it_also_for_the_survivor() {
    for method in ["UPDATE", "INVITE"] {
        let (mut node, dialog) = session();
        node.wait(5 * MINUTE_MS);
        let refresh = dialog.by_bob(method, 1);
        let refresh = refresh.replacen("Contact:", "Session-Expires: 600\r\nContact:", 1);
        let at_alice = node.receive(BOB, refresh).only(ALICE);
        assert_eq!(session_expires(&at_alice).as_deref(), Some("600"), "{method}");
        let agreed = String::from_utf8(answer(&at_alice, 200, "", ALICE_CONTACT)).expect("text");
        let agreed =
            agreed.replacen("Contact:", "Session-Expires: 600;refresher=uac\r\nContact:", 1);
        node.receive(ALICE, agreed);
        node.take_over();
        assert!(node.wait(10 * MINUTE_MS - 1).to(BOB).is_empty(), "{method}");
        assert_eq!(node.wait(1).lines(BOB), ["OPTIONS"], "{method}");
        node.wait(MINUTE_MS);
        assert_eq!(node.count("sip.ended"), 1, "{method}");
    }
}

/// RFC 4028 §8.2: who has asked for a session timer hears that the refreshes are up to it, also by
/// the 2xx of an UPDATE, if the other end knows of none.
#[test]
fn the_2xx_of_an_update_says_that_its_sender_refreshes_also_at_a_survivor() {
    for (dies_before, dies_behind) in [(false, false), (true, false), (false, true)] {
        let (mut node, dialog) = session();
        node.wait(5 * MINUTE_MS);
        let headers = "Session-Expires: 700\r\nSupported: timer\r\nContact:";
        let update = dialog.by_bob("UPDATE", 1).replacen("Contact:", headers, 1);
        let at_alice = node.receive(BOB, &update).only(ALICE);
        if dies_before {
            node.take_over();
            assert_eq!(node.receive(BOB, &update).only(ALICE), at_alice);
        }
        let plain = answer(&at_alice, 200, "", ALICE_CONTACT);
        let mut agreed = node.receive(ALICE, plain).only(BOB);
        if dies_behind {
            node.take_over();
            agreed = node.receive(BOB, &update).only(BOB);
        }
        assert_eq!(session_expires(&agreed).as_deref(), Some("700;refresher=uac"));
        assert_eq!(header(&agreed, "Require").as_deref(), Some("timer"));
        assert!(node.wait(700_000 - 1).to(BOB).is_empty());
        assert_eq!(node.wait(1).lines(BOB), ["OPTIONS"], "so long the session lasts");
    }
}

#[test]
fn the_2xx_of_an_update_goes_on_as_it_is_where_its_sender_or_its_receiver_has_decided() {
    let of_bob = "Session-Expires: 700\r\nContact:";
    let of_alice = "Require: timer\r\nSession-Expires: 300;refresher=uas\r\nContact:";
    let supported = "Supported: timer\r\nContact:";
    let both = format!("Supported: timer\r\n{of_bob}");
    for (asks, answers, expected) in [
        (of_bob, "Contact:", None),
        (supported, "Contact:", None),
        (&both, of_alice, Some("300;refresher=uas")),
    ] {
        let (mut node, dialog) = session();
        let update = dialog.by_bob("UPDATE", 1).replacen("Contact:", asks, 1);
        let at_alice = node.receive(BOB, update).only(ALICE);
        let answer = String::from_utf8(answer(&at_alice, 200, "", ALICE_CONTACT)).expect("text");
        let agreed = node.receive(ALICE, answer.replacen("Contact:", answers, 1)).only(BOB);
        assert_eq!(session_expires(&agreed).as_deref(), expected);
        assert_eq!(header(&agreed, "Require").is_some(), expected.is_some());
    }
}

#[test]
fn a_refresh_that_is_refused_prolongs_nothing() {
    let (mut node, dialog) = session();
    node.wait(5 * MINUTE_MS);
    let at_alice = node.receive(BOB, dialog.by_bob("UPDATE", 1)).only(ALICE);
    node.receive(ALICE, answer(&at_alice, 491, "", ALICE_CONTACT));
    node.wait(6 * MINUTE_MS);
    assert_eq!(node.count("sip.ended"), 1);
}

/// RFC 4028 §8.2: its 2xx without Session-Expires switches the session timer off.
#[test]
fn a_refresh_without_an_interval_ends_the_session_timer() {
    let (mut node, dialog) = session();
    node.wait(5 * MINUTE_MS);
    let at_alice = node.receive(BOB, dialog.by_bob("UPDATE", 1)).only(ALICE);
    node.receive(ALICE, answer(&at_alice, 200, "", ALICE_CONTACT));
    node.wait(14 * MINUTE_MS);
    assert_eq!(node.count("sip.ended"), 0);
}
