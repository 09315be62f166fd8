//! Requests within a call that no living node has: they go to the other end of the call and nowhere
//! else, their responses find back, and a call that comes back ends when its BYE came.

mod harness;

use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, Dialog, answer, answered_call, bob_answers,
    by_strict_router, invite,
};
use harness::{Node, Policy, parse};
use resilee_core::Missed;
use resilee_sip_api::{Ended, Side};
use resilee_sip_proto::HeaderName;
use std::time::Duration;

const MALLORY: &str = "203.0.113.66:5060";
/// The ends of Alice's call to Bob, as an earlier version signed them.
const EARLIER: &str = ";e=c000020a9c40.c000021413c4.55b40a6f3dd49678";

/// A call, and a node of the same cluster that has no idea of it.
fn lost_call() -> (Node, Node, Dialog) {
    let mut had_it = Node::for_bob();
    let dialog = answered_call(&mut had_it);
    (had_it, Node::new(Policy::Say(Vec::new())), dialog)
}

#[test]
fn a_bye_goes_to_the_other_end_and_its_answer_back() {
    let (_, mut node, dialog) = lost_call();
    let passed = node.pass_on(ALICE, dialog.by_alice("BYE", 2)).expect("an end of the call");
    assert!(passed.missed.is_some());
    let at_bob = passed.only(BOB);
    assert!(parse(&at_bob).values(HeaderName::Route).is_empty());
    assert_eq!(parse(&at_bob).max_forwards(), Some(69));
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
    assert_eq!((parse(&ok).status(), parse(&ok).values(HeaderName::Via).len()), (Some(200), 1));
}

#[test]
fn the_callee_is_heard_as_well() {
    let (_, mut node, dialog) = lost_call();
    let at_alice = node.pass_on(BOB, dialog.by_bob("BYE", 1)).expect("an end").only(ALICE);
    let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
    assert_eq!(node.receive(ALICE, ok).lines(BOB), ["200"]);
}

#[test]
fn a_repeated_request_is_a_retransmission_to_its_receiver() {
    let (_, mut node, dialog) = lost_call();
    let bye = dialog.by_alice("BYE", 2);
    let first = node.pass_on(ALICE, &bye).expect("an end").only(BOB);
    assert_eq!(node.pass_on(ALICE, &bye).expect("an end").only(BOB), first);
}

#[test]
fn only_a_bye_must_be_heard_of() {
    for method in ["INVITE", "ACK", "UPDATE", "INFO", "CANCEL"] {
        let (_, mut node, dialog) = lost_call();
        let passed = node.pass_on(ALICE, dialog.by_alice(method, 2)).expect("an end");
        assert_eq!((passed.sent.len(), passed.missed), (1, None), "{method}");
    }
}

#[test]
fn nothing_goes_where_its_sender_wants() {
    for method in ["INVITE", "BYE", "INFO"] {
        let (_, mut node, dialog) = lost_call();
        let request = dialog.by_alice(method, 2).replace(BOB_CONTACT, "sip:x@203.0.113.66");
        let routed = "Route: <sip:203.0.113.66;lr>\r\nFrom:";
        let passed = node.pass_on(ALICE, request.replacen("From:", routed, 1)).expect("an end");
        assert_eq!(passed.sent.len(), 1);
        passed.only(BOB);
    }
}

#[test]
fn headers_in_a_request_uri_go_no_further() {
    let (_, mut node, dialog) = lost_call();
    let bye = dialog.by_alice("BYE", 2).replace(";ob SIP", ";ob?Route=%3Csip:x%3E SIP");
    let at_bob = node.pass_on(ALICE, bye).expect("an end").only(BOB);
    assert_eq!(parse(&at_bob).request_uri(), Some(BOB_CONTACT));
}

/// RFC 3261 §16.4.
#[test]
fn a_strict_router_is_put_right() {
    let (mut had_it, mut node, dialog) = lost_call();
    for method in ["BYE", "ACK", "INFO"] {
        let strict = by_strict_router(&dialog.by_alice(method, 2));
        let passed = node.pass_on(ALICE, &strict).expect("an end of the call");
        assert_eq!(passed.missed.is_some(), method == "BYE");
        let at_bob = passed.only(BOB);
        assert_eq!(parse(&at_bob).request_uri(), Some(BOB_CONTACT));
        assert!(parse(&at_bob).values(HeaderName::Route).is_empty());
        assert!(node.pass_on(MALLORY, &strict).is_none());
        let there = had_it.receive(ALICE, strict).only(BOB);
        assert_eq!(parse(&there).request_uri(), Some(BOB_CONTACT), "where the call is");
        assert!(parse(&there).values(HeaderName::Route).is_empty());
    }
}

/// §16.6 step 6.
#[test]
fn what_goes_to_a_strict_router_names_it_in_the_request_uri() {
    let (_, mut node, dialog) = lost_call();
    let bye = dialog.by_alice("BYE", 2).replacen("From:", "Route: <sip:192.0.2.20>\r\nFrom:", 1);
    let at_bob = node.pass_on(ALICE, bye).expect("an end").only(BOB);
    assert_eq!(parse(&at_bob).request_uri(), Some("sip:192.0.2.20"));
    assert_eq!(parse(&at_bob).values(HeaderName::Route), [format!("<{BOB_CONTACT}>")]);
}

/// Nobody but us has said that it is where requests of this call come by.
#[test]
fn a_request_uri_that_we_did_not_sign_is_not_put_right() {
    let (_, mut node, dialog) = lost_call();
    let strict = by_strict_router(&dialog.by_alice("BYE", 2));
    for (ours, other) in [(";lr", ""), ("call-1", "call-2"), (";c=", ";c=0"), (";c=", ";d=")] {
        assert!(node.pass_on(ALICE, strict.replace(ours, other)).is_none(), "{other}");
    }
    let without_target = strict.replacen("Route: <", "X: <", 1);
    assert!(node.pass_on(ALICE, without_target).is_none());
}

#[test]
fn nobody_else_ends_a_lost_call() {
    let (_, mut node, dialog) = lost_call();
    assert!(node.pass_on(MALLORY, dialog.by_alice("BYE", 2)).is_none());
    assert!(node.pass_on(ALICE, dialog.by_bob("BYE", 2)).is_none(), "in the other one's name");
    let another_call = dialog.by_alice("BYE", 2).replace("call-1", "call-2");
    assert!(node.pass_on(ALICE, another_call).is_none());
    let other_tag = dialog.by_alice("BYE", 2).replace("tag=a\r", "tag=c\r");
    assert!(node.pass_on(ALICE, other_tag).is_none());
}

#[test]
fn an_end_of_a_lost_call_takes_no_other_name() {
    for method in ["INVITE", "INFO", "MESSAGE", "REFER"] {
        let (_, mut node, dialog) = lost_call();
        let request = dialog.by_alice(method, 2);
        let renamed = request.replace("From: <sip:alice@", "From: <sip:boss@");
        assert!(node.pass_on(ALICE, renamed).is_none(), "{method}");
        assert!(node.pass_on(ALICE, request).is_some(), "{method}");
    }
}

#[test]
fn ends_that_we_did_not_sign_are_none() {
    let (_, mut node, dialog) = lost_call();
    let bye = dialog.by_alice("BYE", 2);
    let at = bye.find(";e=").expect("the ends") + 3;
    // Each digit of caller, callee, time and signature, one after the other.
    for digit in at..at + 12 + 1 + 12 + 1 + 2 + 1 + 16 {
        let mut forged = bye.clone().into_bytes();
        forged[digit] = if forged[digit] == b'0' { b'1' } else { b'0' };
        assert!(node.pass_on(ALICE, forged).is_none(), "{digit}");
    }
}

/// Nobody would bill it: a call that this server has lost ends when all calls do. Its phones may
/// not know that, and when they hang up counts.
#[test]
fn of_what_is_older_than_any_call_only_its_end_is_passed_on() {
    for method in ["INVITE", "UPDATE", "MESSAGE", "INFO", "BYE", "ACK"] {
        let (_, mut node, dialog) = lost_call();
        for minutes in [60, 11 * 60] {
            node.now = node.now + Duration::from_secs(60 * minutes);
            assert!(node.pass_on(ALICE, dialog.by_alice(method, 2)).is_some(), "{method}");
            assert!(node.pass_on(BOB, dialog.by_bob(method, 2)).is_some(), "{method}");
        }
        node.now = node.now + Duration::from_secs(3_600);
        let goes = ["BYE", "ACK"].contains(&method);
        let by_alice = node.pass_on(ALICE, dialog.by_alice(method, 2));
        assert_eq!(by_alice.is_some(), goes, "{method}");
        assert_eq!(node.pass_on(BOB, dialog.by_bob(method, 2)).is_some(), goes, "{method}");
    }
}

/// A call that began before an update has no time in its Route.
#[test]
fn of_a_call_of_an_earlier_version_only_its_end_is_passed_on() {
    for (method, goes) in [("BYE", true), ("ACK", true), ("INVITE", false), ("MESSAGE", false)] {
        let (_, mut node, dialog) = lost_call();
        let request = dialog.by_alice(method, 2);
        let at = request.find(";e=").expect("the ends");
        let rest = request[at + 1..].find([';', '>']).expect("an end") + at + 1;
        let before = format!("{}{EARLIER}{}", &request[..at], &request[rest..]);
        assert_eq!(node.pass_on(ALICE, before).is_some(), goes, "{method}");
    }
}

#[test]
fn a_response_that_leads_elsewhere_is_dropped() {
    let (_, mut node, dialog) = lost_call();
    let at_bob = node.pass_on(ALICE, dialog.by_alice("BYE", 2)).expect("an end").only(BOB);
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
    for forged in [
        ok.replace("received=192.0.2.10", "received=203.0.113.66"),
        ok.replace("rport=40000", "rport=40001"),
        ok.replace("call-1", "call-2"),
    ] {
        assert_ne!(forged, ok);
        assert!(node.receive(BOB, forged).sent.is_empty());
    }
}

#[test]
fn a_call_that_is_back_ends_when_its_bye_came() {
    let (mut had_it, mut node, dialog) = lost_call();
    let passed = node.pass_on(ALICE, dialog.by_alice("BYE", 2)).expect("an end");
    let missed = passed.missed.expect("its call must hear of it");
    let at = had_it.now;
    had_it.wait(120_000);
    had_it.take_over();
    let turn = had_it.missed(at, &missed);
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by), (at, Side::Caller));
    assert_eq!(turn.lines(BOB), ["BYE"], "who knows what the callee made of the first one");
    had_it.missed(at, &missed).assert_changes_nothing_but_its_state();
    had_it.wait(60_000);
    assert_eq!((had_it.living_activities(), had_it.count("sip.ended")), (0, 1));
}

/// A BYE that is passed on, with another tag of hers or his, which our Route does not name.
fn missed_bye(node: &mut Node, bye: String) -> Missed {
    let missed = node.pass_on(ALICE, bye).expect("an end").missed.expect("its call must hear");
    Missed { at: node.now, missed }
}

#[test]
fn a_call_that_is_back_ends_by_the_bye_that_is_one_of_it() {
    for dies in [false, true] {
        let (mut had_it, mut node, dialog) = lost_call();
        let bogus = dialog.by_alice("BYE", 2).replace("tag=b\r", "tag=x\r");
        let bogus = missed_bye(&mut node, bogus);
        node.wait(3_600_000);
        let right = missed_bye(&mut node, dialog.by_alice("BYE", 3));
        had_it.now = had_it.now + Duration::from_secs(7_200);
        had_it.take_over();
        if dies {
            had_it.take_over();
        }
        let ended: Ended = had_it.missed_all(&[bogus, right.clone()]).event();
        assert_eq!((ended.at, ended.by), (right.at, Side::Caller));
    }
}

#[test]
fn a_call_that_is_back_and_that_no_bye_was_of_is_asked_for() {
    let (mut had_it, mut node, dialog) = lost_call();
    let answered_at = had_it.now;
    let bogus = dialog.by_alice("BYE", 2).replace("tag=b\r", "tag=x\r");
    let bogus = missed_bye(&mut node, bogus);
    had_it.now = had_it.now + Duration::from_secs(2 * 86_400);
    had_it.take_over();
    let asked = had_it.missed_all(&[bogus]);
    assert!(had_it.wait(0).types().is_empty(), "whatever was due meanwhile");
    assert_eq!((asked.lines(ALICE), asked.lines(BOB)), (one("OPTIONS"), one("OPTIONS")));
    let turn = had_it.receive(BOB, bob_answers(&asked.only(BOB), 481));
    assert_eq!(turn.event::<Ended>().at, answered_at);
}

fn one(line: &str) -> Vec<String> {
    vec![line.to_owned()]
}

/// Hers was challenged before; then there was no node for two hours, and he hangs up.
#[test]
fn a_call_that_is_back_ends_when_an_earlier_bye_came_that_was_challenged() {
    let (mut had_it, mut node, dialog) = lost_call();
    let hung_up_at = had_it.now;
    let bye = had_it.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    had_it.receive(BOB, bob_answers(&bye, 401));
    let passed = node.pass_on(BOB, dialog.by_bob("BYE", 1)).expect("an end");
    let missed = passed.missed.expect("its call must hear of it");
    had_it.now = had_it.now + Duration::from_secs(7_200);
    let at = had_it.now;
    had_it.take_over();
    let ended: Ended = had_it.missed(at, &missed).event();
    assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
    had_it.wait(60_000);
    assert_eq!((had_it.living_activities(), had_it.count("sip.ended")), (0, 1));
}

#[test]
fn an_old_call_that_was_not_answered_ends_without_a_word() {
    let mut node = Node::for_bob();
    node.receive(ALICE, invite()).only(BOB);
    let turn = node.take_over_from_an_old_store();
    assert!(turn.sent.is_empty(), "{:?}", turn.sent);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn an_old_call_that_was_answered_is_asked_for() {
    let mut node = Node::for_bob();
    answered_call(&mut node);
    let turn = node.take_over_from_an_old_store();
    assert!(turn.lines(BOB).contains(&"OPTIONS".to_owned()), "{:?}", turn.sent);
    assert!(turn.lines(ALICE).contains(&"OPTIONS".to_owned()), "{:?}", turn.sent);
}
