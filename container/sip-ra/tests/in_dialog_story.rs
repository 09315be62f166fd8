//! Requests within the dialogs of a call: where they go and what they change.

mod harness;

use harness::phone::{
    self, ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, answer,
    answered_call, bob_answers, invite, invite_with,
};
use harness::{Node, Policy, parse};
use resilee_sbb::Timestamp;
use resilee_sip_api::{Ended, Side, SipCommand};
use resilee_sip_proto::HeaderName;

const ELSEWHERE: &str = "203.0.113.9:1234";

#[test]
fn a_reinvite_refreshes_where_the_caller_is() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let turn = node.receive(ELSEWHERE, dialog.by_alice("INVITE", 2));
    assert_eq!(turn.lines(ELSEWHERE), ["100"]);
    let ok = node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    assert_eq!((ok.lines(ELSEWHERE), ok.types(), ok.commits), (vec!["200".to_owned()], vec![], 1));
    node.receive(ELSEWHERE, dialog.by_alice("ACK", 2)).only(BOB);
    node.receive(BOB, dialog.by_bob("BYE", 1)).only(ELSEWHERE);
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 488));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["ACK".into()], vec!["488".into()]));
    let mut ack = dialog.by_alice("ACK", 2);
    ack = ack.replace("z9hG4bKACK2ab", "z9hG4bKINVITE2ab");
    assert!(node.receive(ALICE, ack).sent.is_empty());
    assert!(node.wait(40_000).to(ALICE).is_empty());
    assert_eq!(node.living_activities(), 1);
}

#[test]
fn a_reinvite_is_cancelled() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let cancel = dialog.by_alice("CANCEL", 2).replace("z9hG4bKCANCEL2", "z9hG4bKINVITE2");
    let forged = node.receive(BOB, &cancel);
    assert_eq!((forged.lines(BOB), forged.sent.len()), (vec!["481".to_owned()], 1));
    let turn = node.receive(ALICE, cancel);
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (vec!["200".into()], vec!["CANCEL".into()]));
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 487)).lines(ALICE), ["487"]);
    assert_eq!(node.history(), ["sip.invite", "sip.answered"]);
}

/// RFC 3261 §9.2.
#[test]
fn a_cancel_of_a_request_within_a_call_that_is_no_invite_changes_nothing() {
    for method in ["INFO", "UPDATE", "BYE"] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice(method, 2)).only(BOB);
        let branch = format!("z9hG4bK{method}2");
        let cancel = dialog.by_alice("CANCEL", 2).replace("z9hG4bKCANCEL2", &branch);
        assert_eq!(node.receive(BOB, &cancel).lines(BOB), ["481"], "{method}");
        let turn = node.receive(ALICE, &cancel);
        turn.assert_changes_nothing();
        assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["200".to_owned()], 1), "{method}");
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
        assert_eq!(node.count("sip.ended"), usize::from(method == "BYE"));
    }
}

#[test]
fn an_update_of_the_callee_refreshes_where_it_is() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let update = dialog.by_bob("UPDATE", 1).replace(BOB_CONTACT, "sip:bob@203.0.113.9:1234");
    let at_alice = node.receive(ELSEWHERE, update).only(ALICE);
    let turn = node.receive(ALICE, answer(&at_alice, 200, "", ALICE_CONTACT));
    assert_eq!((turn.lines(ELSEWHERE), turn.commits), (vec!["200".to_owned()], 1));
    node.take_over();
    let bye = dialog.by_alice("BYE", 2).replace(BOB_CONTACT, "sip:bob@203.0.113.9:1234");
    node.receive(ALICE, bye).only(ELSEWHERE);
}

#[test]
fn an_early_dialog_carries_requests_before_the_answer() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 183));
    assert_eq!(turn.commits, 1);
    let dialog = Dialog::of(&turn.only(ALICE));
    node.take_over();
    let prack = node.receive(ALICE, dialog.by_alice("PRACK", 2)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&prack, 200)).lines(ALICE), ["200"]);
}

#[test]
fn a_bye_before_the_answer_ends_nothing_that_is_billed() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).lines(ALICE), ["200"]);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 487)).lines(ALICE), ["487"]);
    assert_eq!(node.history(), ["sip.invite", "sip.progress", "sip.rejected"]);
}

/// A number that is too low, or a callee who plays along: it rings on, and is answered.
#[test]
fn a_bye_before_the_answer_does_not_make_the_call_free() {
    for (status, dies) in [(500, false), (500, true), (200, false), (200, true)] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite_with(10, "")).only(BOB);
        let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE));
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 5)).only(BOB);
        node.receive(BOB, bob_answers(&bye, status));
        node.wait(1_000);
        if dies {
            node.take_over();
        }
        node.receive(BOB, bob_answers(&at_bob, 200));
        node.receive(ALICE, dialog.by_alice("ACK", 10));
        let asked = node.wait(15 * 60_000);
        node.receive(ALICE, answer(&asked.only(ALICE), 200, "", ALICE_CONTACT));
        node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        node.wait(1_000);
        let hung_up_at = node.now;
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 11)).only(BOB);
        let ended: Ended = node.receive(BOB, bob_answers(&bye, 200)).event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller), "{status} {dies}");
    }
}

/// He keeps her BYE waiting, and hangs up himself; his is answered first, or hers, or a service.
#[test]
fn who_said_bye_before_the_answer_has_hung_up_before_whoever_did_later() {
    for (first, dies) in [("his", false), ("hers", true), ("hers, by 401", false), ("none", false)]
    {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE));
        let hers = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        let answered_at = node.now;
        node.receive(BOB, bob_answers(&at_bob, 200));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        node.wait(20_000);
        let his = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
        if dies {
            node.take_over();
        }
        if first.contains("401") {
            node.receive(BOB, bob_answers(&hers, 401));
        }
        let turn = match first {
            "hers" => node.receive(BOB, bob_answers(&hers, 200)),
            "none" => node.command(&SipCommand::HangUp).expect("it is up"),
            _ => node.receive(ALICE, answer(&his, 200, "", ALICE_CONTACT)),
        };
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.by), (answered_at, Side::Caller), "{first}");
    }
}

/// Bob has her BYE, and has answered the call just before; and when that was.
fn bye_that_crosses_the_answer() -> (Node, String, Timestamp) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.wait(100);
    let answered_at = node.now;
    node.receive(BOB, bob_answers(&at_bob, 200));
    (node, bye, answered_at)
}

#[test]
fn a_bye_that_crosses_the_answer_ends_the_call_when_it_was_answered() {
    for (status, dies) in [(200, false), (200, true), (500, false), (481, true)] {
        let (mut node, bye, answered_at) = bye_that_crosses_the_answer();
        if dies {
            assert!(node.take_over().to(BOB).contains(&bye));
        }
        node.wait(100);
        let ended: Ended = node.receive(BOB, bob_answers(&bye, status)).event();
        assert_eq!((ended.at, ended.by), (answered_at, Side::Caller), "{status} {dies}");
    }
}

/// Whoever has sent it has hung up all the same, and does not come again.
#[test]
fn a_bye_that_crosses_the_answer_and_is_challenged_counts_half_a_minute_later() {
    let (mut node, bye, answered_at) = bye_that_crosses_the_answer();
    node.receive(BOB, bob_answers(&bye, 401));
    assert!(node.wait(31_999).types().is_empty());
    let ended: Ended = node.wait(1).event();
    assert_eq!((ended.at, ended.by), (answered_at, Side::Caller));
}

#[test]
fn our_routes_are_taken_off() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let ours = "Route: <sip:198.51.100.1;lr>\r\nRoute: <sip:198.51.100.1";
    let twice = dialog.by_alice("INFO", 2).replace("Route: <sip:198.51.100.1", ours);
    let at_bob = node.receive(ALICE, twice).only(BOB);
    assert!(parse(&at_bob).values(HeaderName::Route).is_empty());
}

#[test]
fn a_request_uri_without_the_default_port_is_the_same_target() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let bye = dialog.by_bob("BYE", 1).replace(ALICE_CONTACT, "sip:alice@10.0.0.1;x=y");
    node.receive(BOB, bye).only(ALICE);
}

#[test]
fn a_client_without_rport_is_answered_at_the_port_of_its_via() {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, invite().replace(";rport", ""));
    assert_eq!(turn.lines("192.0.2.10:5060"), ["100"]);
    assert_eq!(phone::top_branch(&turn.only("192.0.2.10:5060")), "z9hG4bKinvite1");
}

/// RFC 3261 §12.2.2: nobody has that dialog any more. What was sent before may come again, and so
/// may the ACK of the answer, which a BYE may overtake.
#[test]
fn nothing_begins_in_a_dialog_that_a_bye_has_ended_while_its_answer_may_be_repeated() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let bye = dialog.by_alice("BYE", 2);
        let at_bob = node.receive(ALICE, &bye).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
        if dies {
            node.take_over();
        }
        for method in ["INVITE", "UPDATE", "REFER", "MESSAGE", "INFO", "OPTIONS", "PRACK"] {
            let turn = node.receive(BOB, dialog.by_bob(method, 3));
            assert_eq!((turn.lines(BOB), turn.sent.len()), (vec!["481".into()], 1), "{method}");
            let turn = node.receive(ALICE, dialog.by_alice(method, 3));
            assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["481".into()], 1), "{method}");
        }
        assert_eq!(node.receive(ALICE, &bye).lines(ALICE), ["200"], "a retransmission");
        assert_eq!(node.receive(ALICE, dialog.by_alice("ACK", 1)).lines(BOB), ["ACK"]);
        node.wait(70_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// Its BYE is answered when the other one's has ended the dialog.
#[test]
fn a_bye_that_crosses_the_one_that_ends_the_dialog_is_passed_on() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let by_alice = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&by_alice, 200));
    let by_bob = node.receive(BOB, dialog.by_bob("BYE", 1)).only(ALICE);
    let turn = node.receive(ALICE, answer(&by_bob, 200, "", ALICE_CONTACT));
    assert_eq!((turn.lines(BOB), turn.types()), (vec!["200".to_owned()], vec![]));
}

/// Each of them is of a transaction of its own, whose answer may be repeated for as long again.
#[test]
fn nobody_keeps_a_call_that_has_ended_by_further_byes() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 200));
        node.wait(31_000);
        if dies {
            node.take_over();
        }
        let at_bob = node.receive(ALICE, dialog.by_alice("BYE", 3)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 481)).lines(ALICE), ["481"]);
        node.wait(31_000);
        for method in ["BYE", "ACK"] {
            let turn = node.receive(ALICE, dialog.by_alice(method, 4));
            let refused = if method == "BYE" { vec!["481".to_owned()] } else { vec![] };
            assert_eq!((turn.lines(ALICE), turn.sent.len()), (refused.clone(), refused.len()));
        }
        node.wait(1_000);
        assert_eq!(node.living_activities(), 0);
    }
}

/// RFC 3261 §12.3: a final failure ends the early dialogs.
#[test]
fn nothing_begins_in_an_early_dialog_of_a_call_that_has_failed() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 183)).only(ALICE));
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 486)).lines(ALICE), ["486"]);
        if dies {
            node.take_over();
        }
        for method in ["INVITE", "UPDATE", "REFER", "MESSAGE", "INFO", "PRACK", "BYE"] {
            let turn = node.receive(ALICE, dialog.by_alice(method, 3));
            assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["481".into()], 1), "{method}");
        }
    }
}

/// RFC 3261 §13.2.2.4: who rang and did not answer has no dialog any more, to disturb the call or
/// to play its caller.
#[test]
fn an_early_dialog_is_over_when_nobody_repeats_the_answer_of_another_phone() {
    for dies in [false, true] {
        let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]));
        let turn = node.receive(ALICE, invite());
        let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
        let early = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 180)).only(ALICE));
        let ok = node.receive(CAROL, answer(&at_carol, 200, "c", CAROL_CONTACT));
        let dialog = Dialog::of(&ok.only(ALICE));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        node.receive(BOB, bob_answers(&at_bob, 487));
        node.wait(31_999);
        assert_eq!(node.receive(BOB, early.by_bob("INFO", 1)).lines(ALICE), ["INFO"]);
        node.wait(1);
        if dies {
            node.take_over();
        }
        for method in ["INVITE", "UPDATE", "INFO", "MESSAGE", "REFER", "BYE"] {
            let turn = node.receive(BOB, early.by_bob(method, 2));
            assert_eq!((turn.lines(BOB), turn.sent.len()), (vec!["481".into()], 1), "{method}");
        }
        let as_alice = node.receive(BOB, early.by_alice("UPDATE", 9));
        assert_eq!((as_alice.lines(BOB), as_alice.sent.len()), (vec!["481".to_owned()], 1));
        assert_eq!(node.receive(ALICE, dialog.by_alice("BYE", 2)).lines(CAROL), ["BYE"]);
    }
}
