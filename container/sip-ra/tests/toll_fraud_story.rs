//! A bill ends only when an end of the call has told the other one: nobody hangs up on himself,
//! for somebody else, or with somebody else.

mod harness;

use harness::phone::{
    ALICE, BOB, BOB_CONTACT, Dialog, acknowledged_call, alice_answers, answer, answered_call,
    bob_answers, invite, invite_with,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{Ended, Side, SipCommand};
use resilee_sip_proto::HeaderName;

/// Somebody who has overheard the call: its Call-ID and tags.
const MALLORY: &str = "203.0.113.66:5060";
/// Highest CSeq number that a request may have.
const CSEQ_MAX: u32 = i32::MAX.unsigned_abs() - 1000;
/// Alice behind the same NAT, which has forgotten her port.
const ALICE_REBOUND: &str = "192.0.2.10:40777";

/// The call goes on, and nobody but the ends has heard of it.
#[track_caller]
fn assert_unharmed(node: &mut Node, turn: &Turn, sender: &str, dialog: &Dialog) {
    assert!(turn.sent.iter().all(|it| it.flow.remote.to_string() == sender), "{:?}", turn.sent);
    turn.assert_changes_nothing();
    assert_eq!(node.count("sip.ended"), 0);
    let bye = node.receive(BOB, dialog.by_bob("BYE", 90)).only(ALICE);
    node.receive(ALICE, alice_answers(&bye, 200));
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_caller_cannot_send_its_bye_to_itself() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for (cseq, uri) in (2..).zip(["sip:alice@192.0.2.10:40000", "sip:x@203.0.113.66", "tel:1"]) {
        let bye = dialog.by_alice("BYE", cseq).replace(BOB_CONTACT, uri);
        let at_bob = node.receive(ALICE, bye).only(BOB);
        assert_eq!(parse(&at_bob).request_uri(), Some(BOB_CONTACT));
    }
}

#[test]
fn a_caller_cannot_lead_its_bye_home_by_a_route() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let further = "Route: <sip:192.0.2.10:40000;lr>\r\nFrom:";
    let bye = dialog.by_alice("BYE", 2).replacen("From:", further, 1);
    let at_bob = node.receive(ALICE, bye).only(BOB);
    assert!(parse(&at_bob).values(HeaderName::Route).is_empty(), "{at_bob}");
}

#[test]
fn a_caller_cannot_hang_up_in_the_name_of_the_callee() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let turn = node.receive(ALICE, dialog.by_bob("BYE", 1));
    assert_eq!(turn.lines(ALICE), ["403"]);
    assert_unharmed(&mut node, &turn, ALICE, &dialog);
}

#[test]
fn an_eavesdropper_ends_no_call_and_sends_nothing_through_us() {
    for method in ["BYE", "INFO", "MESSAGE", "ACK", "PRACK"] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        for request in [dialog.by_alice(method, 2), dialog.by_bob(method, 1)] {
            let turn = node.receive(MALLORY, request);
            let refused = if method == "ACK" { vec![] } else { vec!["403".to_owned()] };
            assert_eq!(turn.lines(MALLORY), refused, "{method}");
            assert!(turn.to(ALICE).is_empty() && turn.to(BOB).is_empty(), "{method}");
        }
        let turn = node.receive(MALLORY, dialog.by_alice(method, 3));
        assert_unharmed(&mut node, &turn, MALLORY, &dialog);
    }
}

#[test]
fn nothing_in_a_call_goes_to_an_address_of_the_senders_choice() {
    for method in ["INVITE", "UPDATE", "INFO", "ACK", "BYE"] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let request = dialog.by_alice(method, 2).replace(BOB_CONTACT, "sip:victim@203.0.113.66");
        let routed = "Route: <sip:203.0.113.66;lr>, <sip:203.0.113.66>\r\nFrom:";
        let turn = node.receive(ALICE, request.replacen("From:", routed, 1));
        assert!(turn.to(MALLORY).is_empty(), "{method}");
        let at_bob = turn.only(BOB);
        assert!(parse(&at_bob).values(HeaderName::Route).is_empty(), "{method}");
    }
}

/// Whoever moves is believed when the other end has accepted it, not before.
#[test]
fn a_reinvite_of_an_eavesdropper_that_is_refused_moves_nobody() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(MALLORY, dialog.by_alice("INVITE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 500));
    node.receive(BOB, dialog.by_bob("INFO", 1)).only(ALICE);
    assert_eq!(node.receive(MALLORY, dialog.by_alice("BYE", 3)).lines(MALLORY), ["403"]);
}

#[test]
fn a_caller_whose_nat_has_rebound_its_port_can_hang_up() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE_REBOUND, dialog.by_alice("BYE", 2)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE_REBOUND), ["200"]);
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn an_end_may_send_from_the_address_that_its_contact_names() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = answer(&at_bob, 200, "b", "sip:bob@203.0.113.66:5062");
    let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
    node.receive(MALLORY, dialog.by_bob("INFO", 1)).only(ALICE);
}

/// Alice leaves no way to be refused out: a number too low, an extension that nobody has, …
#[test]
fn a_bye_that_is_written_to_be_refused_does_not_leave_the_callee_in_the_call() {
    for status in [400, 403, 420, 500, 603] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        let turn = node.receive(BOB, bob_answers(&at_bob, status));
        assert_eq!(
            (turn.types(), turn.lines(ALICE)),
            (vec!["sip.ended"], vec![status.to_string()])
        );
        let bye = turn.our_bye(BOB);
        let message = parse(&bye);
        assert_eq!((message.request_uri(), message.cseq()), (Some(BOB_CONTACT), (102, "BYE")));
        assert_eq!(node.take_over().only(BOB), bye, "it is repeated by a survivor");
        node.receive(BOB, bob_answers(&bye, 200));
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// One that a callee took would make it refuse whatever we send later.
#[test]
fn a_number_that_leaves_no_higher_one_goes_no_further() {
    for method in ["INFO", "MESSAGE", "UPDATE", "INVITE", "BYE"] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        for number in [CSEQ_MAX + 1, i32::MAX.unsigned_abs(), u32::MAX] {
            let turn = node.receive(ALICE, dialog.by_alice(method, number));
            assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["400".to_owned()], 1));
            // A number that is none of RFC 3261 is malformed before that.
            if number <= i32::MAX.unsigned_abs() {
                assert_eq!(turn.refused, ["CSeq number too high for one of ours above it"]);
            }
            assert!(node.receive(ALICE, dialog.by_alice("ACK", number)).sent.is_empty());
            assert!(node.pass_on(ALICE, dialog.by_alice(method, number)).is_none(), "{method}");
        }
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 5)).only(BOB);
        let turn = node.receive(BOB, bob_answers(&at_bob, 500));
        assert_eq!(parse(&turn.our_bye(BOB)).cseq().0, 105, "{method}");
    }
}

#[test]
fn a_number_that_leaves_no_higher_one_begins_no_call() {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, invite_with(CSEQ_MAX + 1, ""));
    assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["400".to_owned()], 1));
    turn.assert_changes_nothing();
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn the_highest_number_that_is_taken_leaves_one_for_our_bye() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    node.receive(ALICE, dialog.by_alice("INFO", CSEQ_MAX)).only(BOB);
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 5)).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 500));
    assert_eq!(parse(&turn.our_bye(BOB)).cseq().0, CSEQ_MAX + 100);
}

#[test]
fn a_bye_that_is_heard_is_the_only_one() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    assert!(node.receive(BOB, bob_answers(&at_bob, 200)).to(BOB).is_empty());
    assert!(node.wait(60_000).to(BOB).is_empty());
}

/// 481 and 408 end the dialog of whoever sent the BYE (RFC 3261 §12.2.1.2). Whether its receiver
/// has hung up they do not say: it may have taken the BYE for one of another dialog, by something
/// that it reads in another way than we do. One that has no such call says so again.
#[test]
fn a_bye_that_the_callee_takes_for_one_of_another_dialog_is_said_again_once() {
    for status in [481, 408] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        let turn = node.receive(BOB, bob_answers(&at_bob, status));
        assert_eq!(
            (turn.types(), turn.lines(ALICE)),
            (vec!["sip.ended"], vec![status.to_string()])
        );
        let bye = turn.our_bye(BOB);
        assert!(node.receive(BOB, bob_answers(&bye, 481)).sent.is_empty(), "{status}");
        assert!(node.wait(60_000).sent.is_empty(), "{status}");
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Its parser may have dropped it, as the caller wanted.
#[test]
fn a_bye_that_the_callee_does_not_hear_is_said_again() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let hung_up_at = node.now;
        node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        if dies {
            node.take_over();
        }
        assert_eq!(node.wait(31_900).types(), Vec::<&str>::new());
        let turn = node.wait(200);
        assert_eq!(turn.event::<Ended>().at, hung_up_at);
        let bye = turn.our_bye(BOB);
        node.receive(BOB, bob_answers(&bye, 200));
        assert!(node.wait(60_000).sent.is_empty());
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Of two tags we might read one, and the callee the other one.
#[test]
fn a_second_tag_is_refused() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for (one, two) in [("tag=b\r", "tag=b;tag=x\r"), ("tag=a\r", "tag=a; x=\";\" ;Tag=\r")] {
        let turn = node.receive(ALICE, dialog.by_alice("BYE", 2).replace(one, two));
        assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["400".to_owned()], 1), "{two}");
    }
    let quoted = dialog.by_alice("INFO", 2).replace("tag=b\r", "tag=b;x=\";tag=c\"\r");
    node.receive(ALICE, quoted).only(BOB);
}

/// Behind one NAT each can play the other from a port of its own.
#[test]
fn an_end_hears_of_a_bye_that_came_from_another_port_of_its_address() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_alice = node.receive("192.0.2.20:6666", dialog.by_bob("BYE", 1)).only(ALICE);
    let turn = node.receive(ALICE, alice_answers(&at_alice, 200));
    assert_eq!(turn.lines("192.0.2.20:6666"), ["200"]);
    turn.our_bye(BOB);
}

const ALICE_TCP: &str = "192.0.2.10:40000;transport=tcp";
const BOB_TCP: &str = "192.0.2.20:41000;transport=tcp";

/// Over TCP, too, where whoever sends is reached by the connection that it used last.
#[test]
fn an_end_hears_of_a_bye_that_came_over_another_connection_of_its_address() {
    for before in [None, Some("INFO")] {
        let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB_TCP)]));
        let at_bob = node.receive(ALICE_TCP, invite()).only(BOB_TCP);
        let dialog = Dialog::of(&node.receive(BOB_TCP, bob_answers(&at_bob, 200)).only(ALICE_TCP));
        let other = "192.0.2.20:6666;transport=tcp";
        if let Some(method) = before {
            let at_alice = node.receive(other, dialog.by_bob(method, 1)).only(ALICE_TCP);
            node.receive(ALICE_TCP, alice_answers(&at_alice, 200));
            let bye = node.receive(ALICE_TCP, dialog.by_alice("BYE", 2)).only(other);
            node.receive(other, bob_answers(&bye, 200)).our_bye(BOB_TCP);
            continue;
        }
        let at_alice = node.receive(other, dialog.by_bob("BYE", 1)).only(ALICE_TCP);
        node.receive(ALICE_TCP, alice_answers(&at_alice, 200)).our_bye(BOB_TCP);
    }
}

/// What a survivor does not know it cannot go beyond.
#[test]
fn a_number_far_ahead_is_known_to_a_survivor() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let turn = node.receive(ALICE, dialog.by_alice("INFO", 1_000_000));
    assert_eq!(turn.commits, 1);
    node.receive(ALICE, dialog.by_alice("INFO", 1_000_001)).assert_changes_nothing();
    node.take_over();
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 5)).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 500));
    assert_eq!(parse(&turn.our_bye(BOB)).cseq().0, 1_000_100);
}

/// Some parsers take the quotes for a part of it, and know none of our requests then.
#[test]
fn a_tag_is_a_token() {
    let mut node = Node::for_bob();
    for tag in ["\"a\"", "a b", "", "\u{fffd}", "\"a"] {
        let turn = node.receive(ALICE, invite().replace(";tag=a\r", &format!(";tag={tag}\r")));
        assert_eq!((turn.lines(ALICE), node.living_activities()), (vec!["400".to_owned()], 0));
    }
    let dialog = answered_call(&mut node);
    let turn = node.receive(ALICE, dialog.by_alice("INFO", 2).replace(";tag=b\r", ";tag=\"b\"\r"));
    assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["400".to_owned()], 1));
}

#[test]
fn another_connection_of_an_end_is_known_to_a_survivor() {
    let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB_TCP)]));
    let at_bob = node.receive(ALICE_TCP, invite()).only(BOB_TCP);
    let dialog = Dialog::of(&node.receive(BOB_TCP, bob_answers(&at_bob, 200)).only(ALICE_TCP));
    let again = "192.0.2.10:40001;transport=tcp";
    assert_eq!(node.receive(again, dialog.by_alice("INFO", 2)).commits, 1);
    node.take_over();
    node.receive(BOB_TCP, dialog.by_bob("BYE", 1)).only(again);
}

/// Its phones would know none of our requests, and we none of theirs.
#[test]
fn an_answer_whose_tag_is_no_token_is_none() {
    for tag in ["\"b\"", "b:c", "b;tag=c"] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let answered = |status| answer(&at_bob, status, tag, BOB_CONTACT);
        let ringing = node.receive(BOB, answered(180));
        assert_eq!(ringing.lines(ALICE), ["180"], "{tag}");
        let turn = node.receive(BOB, answered(200));
        assert_eq!(turn.refused, ["2xx to an INVITE without a To tag that is a token"]);
        assert!(turn.sent.is_empty());
        turn.assert_changes_nothing();
    }
}

/// Alice has sent Bob's phone a request of a high number, past the server: to it what the server
/// sends is out of order from then on (RFC 3261 §12.2.2), and both talk on behind the bill.
#[test]
fn who_was_told_a_high_number_behind_our_back_hears_of_the_end_all_the_same() {
    for (by_service, dies) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut node = Node::for_bob();
        let dialog = acknowledged_call(&mut node);
        let bye = if by_service {
            let turn = node.command(&SipCommand::HangUp).expect("it is up");
            node.receive(ALICE, alice_answers(&turn.our_bye(ALICE), 200));
            turn.our_bye(BOB)
        } else {
            let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
            node.receive(BOB, bob_answers(&at_bob, 500)).our_bye(BOB)
        };
        if dies {
            node.take_over();
        }
        let last = node.receive(BOB, bob_answers(&bye, 500)).our_bye(BOB);
        assert_eq!(parse(&last).cseq(), (i32::MAX.unsigned_abs(), "BYE"));
        if dies {
            assert_eq!(node.take_over().only(BOB), last, "it is repeated by a survivor");
        }
        assert!(node.receive(BOB, bob_answers(&bye, 500)).sent.is_empty(), "a retransmission");
        assert!(node.receive(BOB, bob_answers(&last, 500)).sent.is_empty(), "there is no higher");
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Who has no such dialog hears nothing more; who was moved may be deaf where it was.
#[test]
fn a_bye_that_is_refused_goes_again_where_it_was_refused() {
    const ELSEWHERE: &str = "203.0.113.9:1234";
    let mut node = Node::for_bob();
    let dialog = acknowledged_call(&mut node);
    let at_bob = node.receive(ELSEWHERE, dialog.by_alice("UPDATE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    let (here, before) = (turn.our_bye(ELSEWHERE), turn.our_bye(ALICE));
    assert!(node.receive(ELSEWHERE, alice_answers(&here, 481)).sent.is_empty());
    let again = node.receive(ALICE, alice_answers(&before, 500));
    assert_eq!((again.sent.len(), again.lines(ALICE)), (1, vec!["BYE".to_owned()]));
}

/// Bob's phone answers once more, as another phone of his would. Hers takes no notice of that.
fn answered_twice(node: &mut Node) -> [Dialog; 2] {
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let first = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    node.receive(ALICE, first.by_alice("ACK", 1)).only(BOB);
    node.wait(20_000);
    let further = answer(&at_bob, 200, "b2", BOB_CONTACT);
    [first, Dialog::of(&node.receive(BOB, further).only(ALICE))]
}

/// She hangs up, and he says that he has heard it; since when.
fn alice_hangs_up(node: &mut Node, dialog: &Dialog, tag: &str) -> (Timestamp, Turn) {
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    (hung_up_at, node.receive(BOB, answer(&bye, 200, tag, BOB_CONTACT)))
}

#[test]
fn a_further_answer_that_nobody_acknowledges_does_not_keep_the_bill_running() {
    for (talk_ms, dies) in [(5_000, false), (5_000, true), (60_000, false), (60_000, true)] {
        let mut node = Node::for_bob();
        let [first, further] = answered_twice(&mut node);
        node.wait(talk_ms);
        if dies {
            node.take_over();
        }
        let (hung_up_at, mut turn) = alice_hangs_up(&mut node, &first, "b");
        if talk_ms < 32_000 {
            assert_eq!(node.count("sip.ended"), 0, "her acknowledgement may be on its way");
            if dies {
                node.take_over();
            }
            turn = node.wait(32_000);
        }
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller), "{talk_ms} {dies}");
        assert!(turn.lines(BOB).contains(&"BYE".to_owned()), "{:?}", turn.sent);
        assert!(turn.lines(ALICE).contains(&"BYE".to_owned()), "{:?}", turn.sent);
        node.wait(900_000);
        let late = node.receive(BOB, further.by_bob("BYE", 1));
        assert_eq!(late.lines(BOB), ["481"]);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Her phone says 200 to a question about any call.
#[test]
fn answers_to_questions_are_no_acknowledgement() {
    let mut node = Node::for_bob();
    let [first, _] = answered_twice(&mut node);
    let asked = node.wait(900_000);
    for question in asked.to(ALICE) {
        node.receive(ALICE, alice_answers(&question, 200));
    }
    for question in asked.to(BOB) {
        node.receive(BOB, answer(&question, 200, "", BOB_CONTACT));
    }
    node.wait(60_000);
    let (hung_up_at, turn) = alice_hangs_up(&mut node, &first, "b");
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
}

/// He hangs up what she never took, before its time is over.
#[test]
fn a_bye_of_an_answer_that_nobody_acknowledged_is_not_the_end_of_the_bill() {
    let mut node = Node::for_bob();
    let [first, further] = answered_twice(&mut node);
    let (hung_up_at, _) = alice_hangs_up(&mut node, &first, "b");
    node.wait(10_000);
    let bye = node.receive(BOB, further.by_bob("BYE", 1)).only(ALICE);
    let turn = node.receive(ALICE, alice_answers(&bye, 481));
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
}

/// Each end knows all tags: he can write her acknowledgement, but not from where she is.
#[test]
fn the_callee_cannot_acknowledge_its_own_further_answer() {
    const BOBS_OTHER: &str = "203.0.113.9:1234";
    for in_dialog in [0, 1] {
        let mut node = Node::for_bob();
        let dialogs = answered_twice(&mut node);
        let tag = ["b", "b2"][in_dialog];
        let forged = node.receive(BOBS_OTHER, dialogs[in_dialog].by_alice("UPDATE", 2)).only(BOB);
        node.receive(BOB, answer(&forged, 200, tag, BOB_CONTACT));
        node.receive(BOBS_OTHER, dialogs[1].by_alice("ACK", 1));
        node.wait(60_000);
        let hung_up_at = node.now;
        let bye = node.receive(ALICE, dialogs[0].by_alice("BYE", 3)).only(BOB);
        let turn = node.receive(BOB, bob_answers(&bye, 200));
        assert_eq!(turn.event::<Ended>().at, hung_up_at, "{in_dialog}");
    }
}

/// The phone that she talks with answered second: that call lasts as long as they talk.
#[test]
fn a_further_answer_that_is_acknowledged_is_a_call() {
    for (dies_at, hears_first) in [(0, true), (1, true), (2, true), (0, false), (2, false)] {
        let mut node = Node::for_bob();
        let [first, further] = answered_twice(&mut node);
        let die = |node: &mut Node, now| drop((dies_at == now).then(|| node.take_over()));
        die(&mut node, 1);
        let acked = node.receive(ALICE, further.by_alice("ACK", 1));
        assert_eq!(acked.commits, 1, "a survivor has to know");
        die(&mut node, 2);
        let bye = node.receive(BOB, first.by_bob("BYE", 1)).only(ALICE);
        let status = if hears_first { 200 } else { 481 };
        node.receive(ALICE, alice_answers(&bye, status));
        node.wait(300_000);
        assert_eq!(node.count("sip.ended"), 0);
        let (hung_up_at, turn) = alice_hangs_up(&mut node, &further, "b2");
        assert_eq!(turn.event::<Ended>().at, hung_up_at);
    }
}

/// The acknowledgement was no commit when there was one answer only.
#[test]
fn a_survivor_does_not_cut_a_call_for_an_acknowledgement_that_it_has_not_heard_of() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let first = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    node.receive(ALICE, first.by_alice("ACK", 1)).only(BOB);
    node.take_over();
    let further = answer(&at_bob, 200, "b2", BOB_CONTACT);
    let further = Dialog::of(&node.receive(BOB, further).only(ALICE));
    node.receive(ALICE, further.by_alice("ACK", 1));
    let bye = node.receive(ALICE, further.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, answer(&bye, 200, "b2", BOB_CONTACT));
    node.wait(300_000);
    assert_eq!(node.count("sip.ended"), 0);
    let (hung_up_at, turn) = alice_hangs_up(&mut node, &first, "b");
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
}
