//! The question whether a phone is there, by its CSeq number: where its peer has sent it nothing,
//! there is no lower one than the last. Each also at the node that takes over.

mod harness;

use harness::phone::{
    ALICE, BOB, Dialog, acknowledged_call, alice_answers, bob_answers, invite, invite_with,
};
use harness::{Node, Turn, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Ended};

const MINUTE_MS: u64 = 60_000;

/// Silence lasts so long, and no longer.
const SILENCE_MS: u64 = 32_000;

/// The OPTIONS that Alice's phone has got, and its CSeq number.
#[track_caller]
fn question(turn: &Turn) -> (String, u32) {
    let mut asked = turn.to(ALICE);
    let question = asked.remove(0);
    assert!(question.starts_with("OPTIONS"), "{question}");
    assert!(asked.iter().all(|it| *it == question), "repeated, and nothing else: {asked:#?}");
    let cseq = parse(&question).cseq().0;
    (question, cseq)
}

/// To Alice's phone what has the CSeq number of the last request is a copy, to which it says
/// nothing, and a lower one is refused.
#[derive(Default)]
struct Strict {
    last: Option<u32>,
}

impl Strict {
    fn answer(&mut self, node: &mut Node, (asked, cseq): (String, u32)) -> bool {
        let status = match self.last {
            Some(last) if cseq == last => return false,
            Some(last) if cseq < last => 500,
            _ => 200,
        };
        self.last = self.last.max(Some(cseq));
        node.receive(ALICE, alice_answers(&asked, status));
        true
    }
}

#[test]
fn a_phone_to_which_the_same_number_is_a_copy_is_asked_by_another_one_and_lives() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        acknowledged_call(&mut node);
        let mut phone = Strict::default();
        let mut numbers = Vec::new();
        for _ in 0..4 {
            let asked = node.wait(15 * MINUTE_MS);
            node.receive(BOB, bob_answers(&asked.only(BOB), 200));
            numbers.push(question(&asked).1);
            if !phone.answer(&mut node, question(&asked)) {
                if dies {
                    node.take_over();
                }
                let again = node.wait(SILENCE_MS).to(ALICE).pop().expect("once more");
                if dies {
                    assert_eq!(node.take_over().only(ALICE), again);
                }
                numbers.push(parse(&again).cseq().0);
                let cseq = parse(&again).cseq().0;
                assert!(phone.answer(&mut node, (again, cseq)));
            }
        }
        assert_eq!(numbers, [0, 0, 1, 0, 0]);
        assert_eq!(node.count("sip.ended"), 0);
    }
}

/// Bob's phone answers whenever it is asked; up to when the call is billed, and when that is known.
fn gone(node: &mut Node) -> (Timestamp, Timestamp) {
    for _ in 0..2_000 {
        let turn = node.wait(1_000);
        for asked in turn.to(BOB).into_iter().filter(|it| it.starts_with("OPTIONS")) {
            node.receive(BOB, bob_answers(&asked, 200));
        }
        if turn.types().contains(&"sip.ended") {
            let ended: Ended = turn.event();
            assert_eq!(ended.cause, EndCause::LastProofOfLife);
            return (ended.at, node.now);
        }
    }
    panic!("the call never ends");
}

#[test]
fn a_phone_that_has_answered_and_is_silent_to_both_is_gone_since_its_last_proof_of_life() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        acknowledged_call(&mut node);
        let asked = node.wait(15 * MINUTE_MS);
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        node.receive(ALICE, alice_answers(&question(&asked).0, 200));
        let proven_at = node.now;
        if dies {
            node.take_over();
        }
        node.wait(15 * MINUTE_MS - 1);
        let (billed_until, known_at) = gone(&mut node);
        assert_eq!(billed_until, proven_at);
        let silent_ms = known_at.since(proven_at).as_millis() - u128::from(15 * MINUTE_MS);
        assert!((64_000..=66_000).contains(&silent_ms), "{silent_ms}");
    }
}

/// His requests are there to be below.
#[test]
fn a_phone_that_has_got_a_request_of_its_peer_is_asked_once() {
    let mut node = Node::for_bob();
    let dialog = acknowledged_call(&mut node);
    let info = node.receive(BOB, dialog.by_bob("INFO", 7)).only(ALICE);
    node.receive(ALICE, alice_answers(&info, 200));
    let asked = node.wait(15 * MINUTE_MS);
    assert_eq!(question(&asked).1, 6);
    node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    let turn = node.wait(SILENCE_MS);
    assert_eq!(turn.types(), ["sip.ended"]);
}

/// Nobody has refreshed the session: what the phone says to the second question counts as well.
#[test]
fn a_strict_phone_talks_until_its_session_is_over() {
    let mut node = Node::for_bob();
    let headers = "Session-Expires: 1000;refresher=uac\r\nSupported: timer\r\nMax-Forwards";
    let at_bob = node.receive(ALICE, invite().replacen("Max-Forwards", headers, 1)).only(BOB);
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
    let ok = ok.replacen("Contact:", "Session-Expires: 1000;refresher=uac\r\nContact:", 1);
    let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let mut phone = Strict::default();
    let asked = node.wait(15 * MINUTE_MS);
    node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    phone.answer(&mut node, question(&asked));
    let asked = node.wait(1_000_000 - 15 * MINUTE_MS);
    assert_eq!(node.receive(BOB, bob_answers(&asked.only(BOB), 200)).types(), [""; 0]);
    assert!(!phone.answer(&mut node, question(&asked)));
    let again = node.wait(SILENCE_MS);
    assert_eq!(again.types(), [""; 0]);
    let again = again.to(ALICE).pop().expect("once more");
    node.wait(1_000);
    let over = node.receive(ALICE, alice_answers(&again, 200));
    assert_eq!(over.event::<Ended>().at, node.now);
}

/// Alice's phone names no OPTIONS in its Allow.
fn call_without_options() -> (Node, Timestamp) {
    let mut node = Node::for_bob();
    let headers = "Allow: INVITE, ACK, BYE, CANCEL\r\nMax-Forwards";
    let at_bob = node.receive(ALICE, invite().replacen("Max-Forwards", headers, 1)).only(BOB);
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
    node.receive(ALICE, Dialog::of(&ok).by_alice("ACK", 1));
    let answered_at = node.now;
    (node, answered_at)
}

/// RFC 3261 §11: all must take it; and whoever refuses it is there.
#[test]
fn a_phone_without_options_in_its_allow_is_asked_and_its_answer_is_a_proof() {
    for (status, dies) in [(200, false), (405, false), (405, true), (501, true)] {
        let (mut node, _) = call_without_options();
        let asked = node.wait(15 * MINUTE_MS);
        node.receive(ALICE, alice_answers(&question(&asked).0, status));
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        let proven_at = node.now;
        if dies {
            node.take_over();
        }
        // It has shown that it answers: its silence counts now.
        assert_eq!(gone(&mut node).0, proven_at, "{status}");
    }
}

/// It may not answer what it does not know.
#[test]
fn the_silence_of_a_phone_without_options_in_its_allow_neither_ends_nor_proves_a_call() {
    for dies in [false, true] {
        let (mut node, answered_at) = call_without_options();
        for _ in 0..3 {
            let asked = node.wait(15 * MINUTE_MS);
            node.receive(BOB, bob_answers(&asked.only(BOB), 200));
            if dies {
                node.take_over();
            }
        }
        assert_eq!(node.count("sip.ended"), 0);
        // He does not know the call any more, also when he is asked again.
        for is_over in [false, true] {
            let asked = node.wait(if is_over { SILENCE_MS } else { 15 * MINUTE_MS });
            let to_bob = asked.to(BOB).pop().expect("a question");
            let turn = node.receive(BOB, bob_answers(&to_bob, 481));
            assert_eq!(turn.types().contains(&"sip.ended"), is_over);
            if is_over {
                assert_eq!(turn.event::<Ended>().at, answered_at);
                turn.our_bye(ALICE);
            }
        }
    }
}

/// The number of the INVITE is there to be a copy of before any question is.
#[test]
fn a_callee_of_an_invite_without_a_lower_number_is_asked_by_another_one() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite_with(0, "")).only(BOB);
        let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
        node.receive(ALICE, Dialog::of(&ok).by_alice("ACK", 0));
        let asked = node.wait(15 * MINUTE_MS);
        let first = asked.only(BOB);
        assert_eq!(parse(&first).cseq(), (0, "OPTIONS"), "he says nothing to it");
        node.receive(ALICE, alice_answers(&question(&asked).0, 200));
        if dies {
            node.take_over();
        }
        let again = node.wait(SILENCE_MS).to(BOB).pop().expect("once more");
        assert_eq!(parse(&again).cseq(), (1, "OPTIONS"));
        assert!(node.receive(BOB, bob_answers(&again, 200)).types().is_empty());
        assert_eq!(node.count("sip.ended"), 0);
    }
}
