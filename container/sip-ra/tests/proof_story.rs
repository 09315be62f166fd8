//! What proves that both ends of a call are there: an answer says no more of who is answered than
//! that it was there when it asked. Each also at the node that takes over.

mod harness;

use harness::Node;
use harness::phone::{ALICE, BOB, acknowledged_call, alice_answers, answered_call, bob_answers};
use resilee_sbb::{EventPayload, Timestamp};
use resilee_sip_api::Ended;

const MINUTE_MS: u64 = 60_000;

/// Alice sends a re-INVITE a minute after the answer, and loses power; since when.
fn alice_asks_and_is_gone(node: &mut Node) -> (String, Timestamp) {
    let dialog = acknowledged_call(node);
    node.wait(MINUTE_MS);
    let asked_at = node.now;
    let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
    (at_bob, asked_at)
}

/// Bob's phone lives, hers says nothing to anybody: the call ends by itself, and is billed until.
fn end_of_the_bill(node: &mut Node) -> Timestamp {
    for _ in 0..3_000 {
        let turn = node.wait(1_000);
        for asked in turn.to(BOB).into_iter().filter(|it| it.starts_with("OPTIONS")) {
            node.receive(BOB, bob_answers(&asked, 200));
        }
        if turn.types().contains(&Ended::TYPE) {
            return turn.event::<Ended>().at;
        }
    }
    panic!("the call never ends");
}

/// Some phones refuse a question of an old CSeq number (RFC 3261 §12.2.2), and who could choose an
/// answer that proves nothing would talk for hours and be billed none.
#[test]
fn whoever_is_asked_and_answers_is_billed_until_then_whatever_he_answers() {
    for (status, dies) in [(405, false), (486, false), (500, false), (500, true)] {
        let mut node = Node::for_bob();
        acknowledged_call(&mut node);
        let asked = node.wait(15 * MINUTE_MS);
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        node.receive(ALICE, alice_answers(&asked.only(ALICE), status));
        let proven_at = node.now;
        if dies {
            node.take_over();
        }
        assert_eq!(end_of_the_bill(&mut node), proven_at, "{status}");
    }
}

#[test]
fn rings_in_answer_to_an_old_request_prove_no_more_than_that_its_sender_was_there_then() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let answered_at = node.now;
        let (at_bob, asked_at) = alice_asks_and_is_gone(&mut node);
        for _ in 0..9 {
            node.receive(BOB, bob_answers(&at_bob, 183));
            node.wait(MINUTE_MS);
        }
        if dies {
            node.take_over();
        }
        // What rings changes nothing: a survivor knows of the answer to the call alone.
        let proven_at = if dies { answered_at } else { asked_at };
        assert_eq!(end_of_the_bill(&mut node), proven_at);
    }
}

#[test]
fn a_late_answer_to_a_reinvite_proves_no_more_than_that_its_sender_was_there_then() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let (at_bob, asked_at) = alice_asks_and_is_gone(&mut node);
        node.receive(BOB, bob_answers(&at_bob, 180));
        node.wait(2 * MINUTE_MS);
        node.receive(BOB, bob_answers(&at_bob, 200));
        if dies {
            node.take_over();
        }
        assert_eq!(end_of_the_bill(&mut node), asked_at);
    }
}

/// She has lost power before the answer came, and he acknowledges it in his own name.
#[test]
fn an_acknowledgement_of_the_callee_proves_nothing() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let answered_at = node.now;
        node.wait(14 * MINUTE_MS);
        node.receive(BOB, dialog.by_bob("ACK", 1));
        // That it came is known to a survivor, too, by what is committed behind it.
        node.receive(BOB, dialog.by_bob("INVITE", 2));
        if dies {
            node.take_over();
        }
        assert_eq!(end_of_the_bill(&mut node), answered_at);
    }
}

/// Her other network is out of reach by then, and her place there says nothing. So that silence
/// cannot tell her from one who has lost power and was moved by the other end.
#[test]
fn who_has_moved_to_another_network_lives_though_nobody_answers_where_she_was() {
    const ELSEWHERE: &str = "203.0.113.9:1234";
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        let at_bob = node.receive(ELSEWHERE, dialog.by_alice("UPDATE", 2)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 200));
        let asked = node.wait(15 * MINUTE_MS);
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        node.receive(ELSEWHERE, alice_answers(&asked.only(ELSEWHERE), 200));
        let proven_at = node.now;
        assert_eq!(asked.lines(ALICE), ["OPTIONS"]);
        if dies {
            node.take_over();
        }
        assert!(node.wait(14 * MINUTE_MS).types().is_empty());
        assert_eq!(end_of_the_bill(&mut node), proven_at);
    }
}

/// She has lost power, and Bob asks in her name, from his own address, what his phone refuses.
#[test]
fn what_is_refused_proves_nothing_of_an_end_in_whose_name_it_came_from_elsewhere() {
    for (method, status, dies) in [
        ("UPDATE", 500, false),
        ("UPDATE", 488, true),
        ("INVITE", 500, false),
        ("INVITE", 183, false),
        ("INVITE", 500, true),
    ] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        let answered_at = node.now;
        node.wait(14 * MINUTE_MS);
        let forged = node.receive(BOB, dialog.by_alice(method, 2)).to(BOB);
        let forged = forged.into_iter().find(|it| it.starts_with(method)).expect("it goes on");
        node.receive(BOB, bob_answers(&forged, status));
        if dies {
            node.receive(BOB, dialog.by_bob("INVITE", 2));
            node.take_over();
        }
        assert_eq!(end_of_the_bill(&mut node), answered_at, "{method} {status}");
    }
}

/// What she sends from where she is says that she is there, whatever he answers.
#[test]
fn what_is_refused_proves_that_its_sender_was_where_it_is() {
    for (method, status) in [("UPDATE", 500), ("INFO", 415), ("INVITE", 488)] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        node.wait(14 * MINUTE_MS);
        let proven_at = node.now;
        let at_bob = node.receive(ALICE, dialog.by_alice(method, 2)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, status));
        assert_eq!(end_of_the_bill(&mut node), proven_at, "{method}");
    }
}
