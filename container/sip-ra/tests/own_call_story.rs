//! The server calls a phone: a service wants it, and no client has asked for it.

mod harness;

use harness::own_call::{by, by_bob, calling, hang_up, our_tag, talking_with, target, to_bob};
use harness::phone::{ALICE, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, answer, bob_answers};
use harness::{BALANCER, Node, Policy, Turn, parse};
use resilee_sip_api::{
    Answered, EndCause, Ended, NO_AUDIO, PhoneCall, Progress, Rejected, Side, SipCommand,
};
use resilee_sip_proto::{HeaderName, Message};
use std::time::Duration;

/// As long as anybody repeats anything, and behind it.
const LONG: u64 = 70_000;

fn to_bob_and_carol() -> PhoneCall {
    let targets = vec![target(BOB_CONTACT, BOB), target(CAROL_CONTACT, CAROL)];
    PhoneCall { targets, ..to_bob() }
}

/// Bob has answered.
fn talking() -> (Node, String) {
    let (node, invite, turn) = talking_with("");
    turn.event::<Answered>();
    (node, invite)
}

/// In the end nothing is left.
#[track_caller]
fn assert_ends(mut node: Node, history: &[&str]) {
    node.wait(LONG);
    assert_eq!(node.history(), history);
    assert_eq!(node.living_activities(), 0);
}

fn request_line(request: &str) -> &str {
    request.lines().next().unwrap()
}

#[test]
fn the_invite_is_a_request_of_our_own_with_an_offer() {
    let (_, invite) = calling();
    let message = parse(&invite);
    assert_eq!(request_line(&invite), format!("INVITE {BOB_CONTACT} SIP/2.0"));
    assert_eq!(message.values(HeaderName::Via).len(), 1);
    assert_eq!(message.top_via().sent_by(), BALANCER);
    assert_eq!(message.body(), NO_AUDIO.as_bytes());
    assert_eq!(message.cseq(), (1, "INVITE"));
    let from = message.header(HeaderName::From).unwrap().into_owned();
    assert!(from.starts_with("\"Wake-up call\" <sip:wake-up@example.test>;tag="), "{from}");
    assert_eq!(message.header(HeaderName::To).unwrap(), "<sip:bob@example.test>");
    for name in ["Max-Forwards: 70", "Content-Type: application/sdp", "Allow: "] {
        assert!(invite.contains(name), "{name}: {invite}");
    }
}

#[test]
fn a_call_that_the_phone_hangs_up_is_answered_and_ended_by_it() {
    let (mut node, invite) = calling();
    assert_eq!(node.receive(BOB, bob_answers(&invite, 100)).types(), [""; 0]);
    let ringing = node.receive(BOB, bob_answers(&invite, 180));
    assert_eq!(ringing.event::<Progress>().status, 180);
    node.receive(BOB, bob_answers(&invite, 180)).assert_changes_nothing();
    let turn = node.receive(BOB, bob_answers(&invite, 200));
    let ack = turn.only(BOB);
    assert_eq!(request_line(&ack), format!("ACK {BOB_CONTACT} SIP/2.0"));
    assert_eq!(parse(&ack).cseq(), (1, "ACK"));
    let tags = (parse(&ack).from_tag().unwrap(), parse(&ack).to_tag().unwrap());
    assert_eq!((tags.0.as_ref(), tags.1.as_ref()), (our_tag(&invite).as_str(), "b"));
    assert_ne!(parse(&ack).top_via().branch(), parse(&invite).top_via().branch());
    // Longer than any transaction.
    node.wait(LONG);
    let bye = by_bob(&invite, "BYE", 1);
    let ended = node.receive(BOB, &bye);
    assert_eq!(ended.lines(BOB), ["200"]);
    let Ended { by, cause, .. } = ended.event();
    assert_eq!((by, cause), (Side::Callee, EndCause::Bye));
    // Its 200 was lost.
    node.wait(500);
    let again = node.receive(BOB, &bye);
    assert_eq!(again.lines(BOB), ["200"]);
    again.assert_changes_nothing();
    assert!(node.command(&SipCommand::HangUp).is_err());
    assert_ends(node, &["sip.progress", "sip.answered", "sip.ended"]);
}

#[test]
fn a_call_that_the_service_hangs_up_ends_with_a_bye_that_is_repeated_until_it_is_answered() {
    let (mut node, invite) = talking();
    let turn = hang_up(&mut node);
    let bye = turn.our_bye(BOB);
    assert_eq!(turn.event::<Ended>().by, Side::Server);
    assert_eq!(request_line(&bye), format!("BYE {BOB_CONTACT} SIP/2.0"));
    assert!(parse(&bye).cseq().0 > 1);
    assert_eq!(parse(&bye).from_tag().unwrap(), our_tag(&invite));
    assert_eq!(node.wait(600).our_bye(BOB), bye);
    node.receive(BOB, bob_answers(&bye, 200)).assert_changes_nothing();
    assert_eq!(node.wait(LONG).lines(BOB), [""; 0]);
    assert_ends(node, &["sip.answered", "sip.ended"]);
}

#[test]
fn byes_that_cross_end_the_call_once() {
    let (mut node, invite) = talking();
    let bye = hang_up(&mut node).our_bye(BOB);
    let turn = node.receive(BOB, by_bob(&invite, "BYE", 1));
    assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["200".to_owned()], 0));
    node.receive(BOB, bob_answers(&bye, 481));
    assert_ends(node, &["sip.answered", "sip.ended"]);
}

/// A challenge is one: the server has no password at the phone.
#[test]
fn a_phone_that_refuses_has_its_ack_and_the_service_the_status() {
    for status in [302, 401, 407, 480, 486, 503, 603] {
        let (mut node, invite) = calling();
        let turn = node.receive(BOB, bob_answers(&invite, status));
        assert_eq!(turn.lines(BOB), ["ACK"], "{status}");
        assert_eq!(turn.event::<Rejected>().status, status);
        let again = node.receive(BOB, bob_answers(&invite, status));
        assert_eq!(again.lines(BOB), ["ACK"], "{status}");
        again.assert_changes_nothing();
        assert_ends(node, &["sip.rejected"]);
    }
}

#[test]
fn a_phone_that_says_nothing_is_asked_for_32_seconds() {
    let (mut node, invite) = calling();
    let turn = node.wait(31_900);
    assert_eq!(turn.lines(BOB), ["INVITE"; 6]);
    assert!(turn.to(BOB).iter().all(|it| *it == invite));
    assert_eq!(node.wait(200).event::<Rejected>().status, 408);
    assert_ends(node, &["sip.rejected"]);
}

#[test]
fn a_service_that_gives_up_cancels_the_phone_that_rings() {
    let (mut node, invite) = calling();
    node.receive(BOB, bob_answers(&invite, 180));
    let turn = hang_up(&mut node);
    assert_eq!(turn.event::<Rejected>().status, 487);
    let cancel = turn.only(BOB);
    assert_eq!(request_line(&cancel), format!("CANCEL {BOB_CONTACT} SIP/2.0"));
    assert_eq!(parse(&cancel).top_via().branch(), parse(&invite).top_via().branch());
    assert_eq!(parse(&cancel).cseq(), (1, "CANCEL"));
    node.receive(BOB, bob_answers(&cancel, 200));
    assert_eq!(node.receive(BOB, bob_answers(&invite, 487)).lines(BOB), ["ACK"]);
    assert_eq!(node.wait(LONG).lines(BOB), [""; 0]);
    assert_ends(node, &["sip.progress", "sip.rejected"]);
}

/// RFC 3261 §9.1.
#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let (mut node, invite) = calling();
    assert_eq!(hang_up(&mut node).lines(BOB), [""; 0]);
    let turn = node.receive(BOB, bob_answers(&invite, 180));
    assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["CANCEL".to_owned()], 0));
    assert_ends(node, &["sip.rejected"]);
}

#[test]
fn an_answer_that_crosses_the_cancel_has_its_ack_and_a_bye() {
    let (mut node, invite) = calling();
    node.receive(BOB, bob_answers(&invite, 180));
    hang_up(&mut node);
    let turn = node.receive(BOB, bob_answers(&invite, 200));
    assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["ACK".into(), "BYE".into()], 0));
    let again = node.receive(BOB, bob_answers(&invite, 200));
    assert_eq!(again.lines(BOB), ["ACK"]);
    let bye = turn.our_bye(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    assert_ends(node, &["sip.progress", "sip.rejected"]);
}

#[test]
fn an_answer_that_is_repeated_has_the_same_ack_again_however_late() {
    let (mut node, invite) = calling();
    let ack = node.receive(BOB, bob_answers(&invite, 200)).only(BOB);
    for wait in [500, 31_000, 10_000] {
        node.wait(wait);
        let turn = node.receive(BOB, bob_answers(&invite, 200));
        assert_eq!(turn.only(BOB), ack);
        turn.assert_changes_nothing();
    }
}

#[test]
fn of_two_phones_the_first_that_answers_has_the_call() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let turn = node.call(&to_bob_and_carol()).unwrap();
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    let by_carol = |status| answer(&at_carol, status, "c", CAROL_CONTACT);
    node.receive(BOB, bob_answers(&at_bob, 180));
    node.receive(CAROL, by_carol(180));
    let turn = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!((turn.lines(BOB), turn.lines(CAROL)), (vec!["ACK".into()], vec!["CANCEL".into()]));
    // She picks up just then.
    let turn = node.receive(CAROL, by_carol(200));
    assert_eq!((turn.lines(CAROL), turn.types().len()), (vec!["ACK".into(), "BYE".into()], 0));
    assert_eq!(node.receive(BOB, by_bob(&at_bob, "BYE", 1)).event::<Ended>().by, Side::Callee);
    assert_ends(node, &["sip.progress", "sip.answered", "sip.ended"]);
}

#[test]
fn a_second_phone_that_answers_when_the_call_is_over_does_not_end_it_again() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let turn = node.call(&to_bob_and_carol()).unwrap();
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    node.receive(BOB, bob_answers(&at_bob, 200));
    node.receive(BOB, by_bob(&at_bob, "BYE", 1));
    let turn = node.receive(CAROL, answer(&at_carol, 200, "c", CAROL_CONTACT));
    assert_eq!((turn.lines(CAROL), turn.types().len()), (vec!["ACK".into(), "BYE".into()], 0));
    assert_ends(node, &["sip.answered", "sip.ended"]);
}

#[test]
fn a_phone_that_refuses_for_all_stops_the_others() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let turn = node.call(&to_bob_and_carol()).unwrap();
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    node.receive(BOB, bob_answers(&at_bob, 180));
    let turn = node.receive(CAROL, answer(&at_carol, 603, "c", CAROL_CONTACT));
    assert_eq!((turn.lines(BOB), turn.lines(CAROL)), (vec!["CANCEL".into()], vec!["ACK".into()]));
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 487)).event::<Rejected>().status, 603);
    assert_ends(node, &["sip.progress", "sip.rejected"]);
}

#[test]
fn of_two_phones_that_refuse_the_service_hears_the_best_refusal_once() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let turn = node.call(&to_bob_and_carol()).unwrap();
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 500)).types(), [""; 0]);
    let turn = node.receive(CAROL, answer(&at_carol, 486, "c", CAROL_CONTACT));
    assert_eq!(turn.event::<Rejected>().status, 486);
    assert_ends(node, &["sip.rejected"]);
}

/// Each is rung on its own, so each has its own ACK, and hears of the end.
#[test]
fn two_phones_that_answer_with_the_same_tag_are_two_phones() {
    for dies in [false, true] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let turn = node.call(&to_bob_and_carol()).unwrap();
        let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
        let by_carol = answer(&at_carol, 200, "b", CAROL_CONTACT);
        node.receive(BOB, bob_answers(&at_bob, 200));
        let turn = node.receive(CAROL, &by_carol);
        assert_eq!(turn.lines(CAROL), ["ACK", "BYE"]);
        assert_eq!(request_line(&turn.to(CAROL)[0]), format!("ACK {CAROL_CONTACT} SIP/2.0"));
        let bye = turn.our_bye(CAROL);
        if dies {
            node.take_over();
        }
        let again = node.receive(CAROL, &by_carol);
        assert_eq!(again.to(CAROL), turn.to(CAROL)[..1]);
        again.assert_changes_nothing();
        node.receive(CAROL, answer(&bye, 200, "b", CAROL_CONTACT));
        let hers = node.receive(CAROL, by_bob(&at_carol, "BYE", 1));
        assert_eq!((hers.lines(CAROL), hers.types().len()), (vec!["200".into()], 0));
        assert_eq!(node.receive(BOB, by_bob(&at_bob, "BYE", 1)).event::<Ended>().by, Side::Callee);
        assert_ends(node, &["sip.answered", "sip.ended"]);
    }
}

/// As the ends of other calls: behind a NAT the old connection is gone.
#[test]
fn a_phone_over_tcp_is_hung_up_where_it_spoke_last() {
    let [first, second] = [1, 2].map(|it| format!("192.0.2.20:{it}0000;transport=tcp"));
    for dies in [false, true] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let targets = vec![target(BOB_CONTACT, &first)];
        let invite = node.call(&PhoneCall { targets, ..to_bob() }).unwrap().only(&first);
        node.receive(&first, bob_answers(&invite, 200)).event::<Answered>();
        assert_eq!(node.receive(&second, by_bob(&invite, "OPTIONS", 1)).lines(&second), ["200"]);
        if dies {
            node.take_over();
        }
        let turn = hang_up(&mut node);
        assert!(turn.to(&first).is_empty());
        let bye = turn.our_bye(&second);
        node.receive(&second, bob_answers(&bye, 200));
        assert_ends(node, &["sip.answered", "sip.ended"]);
    }
}

/// RFC 3261 §19.1.5: they are none of a Request-URI.
#[test]
fn headers_of_the_phones_contact_are_left_out_of_ack_and_bye() {
    let (mut node, invite) = calling();
    let ok = answer(&invite, 200, "b", &format!("{BOB_CONTACT}?Subject=hello"));
    let ack = node.receive(BOB, ok).only(BOB);
    let bye = hang_up(&mut node).our_bye(BOB);
    assert_eq!(request_line(&ack), format!("ACK {BOB_CONTACT} SIP/2.0"));
    assert_eq!(request_line(&bye), format!("BYE {BOB_CONTACT} SIP/2.0"));
}

#[test]
fn a_phone_with_the_longest_offer_can_be_cancelled() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let offer = format!("{NO_AUDIO}{}", "a".repeat(16 * 1024 - NO_AUDIO.len()));
    let invite = node.call(&PhoneCall { offer, ..to_bob() }).unwrap().only(BOB);
    node.receive(BOB, bob_answers(&invite, 180));
    assert_eq!(hang_up(&mut node).lines(BOB), ["CANCEL"]);
}

/// RFC 3261 §16.8, though this is no proxy.
#[test]
fn a_phone_that_rings_for_three_minutes_is_cancelled() {
    for is_silent in [false, true] {
        let (mut node, invite) = calling();
        node.receive(BOB, bob_answers(&invite, 180));
        node.wait(60_000);
        node.receive(BOB, bob_answers(&invite, 180));
        assert!(node.wait(179_900).sent.is_empty());
        let cancel = node.wait(100).only(BOB);
        assert_eq!(request_line(&cancel), format!("CANCEL {BOB_CONTACT} SIP/2.0"));
        let (turn, status) = match is_silent {
            true => (node.wait(32_000), 408),
            false => (node.receive(BOB, bob_answers(&invite, 487)), 487),
        };
        assert_eq!(turn.event::<Rejected>().status, status);
        assert_ends(node, &["sip.progress", "sip.rejected"]);
    }
}

#[test]
fn what_the_phone_asks_within_the_dialog_is_answered_without_changing_it() {
    let (mut node, invite) = talking();
    let asked = [("OPTIONS", "200"), ("INVITE", "488"), ("UPDATE", "405"), ("INFO", "405")];
    for (cseq, (method, status)) in (1..).zip(asked) {
        let turn = node.receive(BOB, by_bob(&invite, method, cseq));
        assert_eq!(turn.lines(BOB), [status], "{method}");
        turn.assert_changes_nothing();
        // RFC 3261 §8.2.1, §11.2.
        let allowed = parse(&turn.only(BOB)).values_named("Allow").join(", ");
        let is_told = status != "488";
        assert_eq!(allowed == "INVITE, ACK, BYE, CANCEL, OPTIONS", is_told, "{method}: {allowed}");
    }
    assert!(node.receive(BOB, by_bob(&invite, "ACK", 2)).sent.is_empty());
    hang_up(&mut node);
    assert_eq!(node.receive(BOB, by_bob(&invite, "OPTIONS", 9)).lines(BOB), ["481"]);
}

/// RFC 3261 §12.2.2.
#[test]
fn a_request_of_the_phone_that_comes_out_of_order_is_refused() {
    for dies in [false, true] {
        let (mut node, invite) = talking();
        assert_eq!(node.receive(BOB, by_bob(&invite, "OPTIONS", 5)).lines(BOB), ["200"]);
        for method in ["OPTIONS", "INFO", "BYE"] {
            let turn = node.receive(BOB, by_bob(&invite, method, 4));
            assert_eq!(turn.lines(BOB), ["500"], "{method}");
            turn.assert_changes_nothing();
        }
        assert_eq!(node.receive(BOB, by_bob(&invite, "OPTIONS", 5)).lines(BOB), ["200"], "again");
        // An ACK has the number of the INVITE; and nobody else counts for him.
        assert!(node.receive(BOB, by_bob(&invite, "ACK", 1)).sent.is_empty());
        assert_eq!(node.receive(ALICE, by_bob(&invite, "OPTIONS", 50)).lines(ALICE), ["403"]);
        if dies {
            node.take_over();
        }
        let turn = node.receive(BOB, by_bob(&invite, "BYE", 6));
        assert_eq!((turn.lines(BOB), turn.types()), (vec!["200".to_owned()], vec!["sip.ended"]));
        assert_eq!(node.receive(BOB, by_bob(&invite, "BYE", 6)).lines(BOB), ["200"], "again");
        assert_ends(node, &["sip.answered", "sip.ended"]);
    }
}

#[test]
fn responses_that_are_not_to_its_requests_change_nothing() {
    let (mut node, invite) = calling();
    let ok = String::from_utf8(bob_answers(&invite, 200)).unwrap();
    let branch = parse(&invite).top_via().branch().unwrap().to_owned();
    let guessed = format!("{}0000", &branch[..branch.len() - 4]);
    let call_id = parse(&invite).call_id().to_owned();
    let other_call = format!("{}0000", &call_id[..call_id.len() - 4]);
    let below = "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx\r\nFrom: ";
    for forged in [
        ok.replace(&branch, &guessed),
        ok.replace(&call_id, &other_call),
        ok.replace("From: ", below),
    ] {
        let turn = node.receive(BOB, &forged);
        turn.assert_changes_nothing();
        assert_eq!(turn.lines(BOB), [""; 0], "{forged}");
    }
    node.receive(BOB, &ok).event::<Answered>();
}

#[test]
fn nobody_else_hangs_up() {
    let (mut node, invite) = talking();
    let tag = our_tag(&invite);
    // From elsewhere; and with tags that are not the dialog's.
    let forged = [
        (ALICE, by_bob(&invite, "BYE", 1), "403"),
        (BOB, by(&invite, "BYE", 1, ("x", &tag)), "481"),
        (BOB, by(&invite, "BYE", 1, ("b", "x")), "481"),
        (BOB, by(&invite, "BYE", 1, (&tag, "b")), "481"),
    ];
    for (from, bye, status) in forged {
        let turn = node.receive(from, bye);
        turn.assert_changes_nothing();
        let sent: Vec<_> = turn.sent.iter().collect();
        let answer = Message::parse(&sent[0].bytes).unwrap();
        assert_eq!(answer.status().unwrap().to_string(), status);
    }
    let bye = by_bob(&invite, "BYE", 1);
    node.receive(BOB, bye).event::<Ended>();
}

/// The phone forwards the INVITE to somebody of this cluster: that is a call as any other.
#[test]
fn an_invite_of_our_own_that_comes_back_is_another_call() {
    let mut node = Node::new(Policy::ProxyTo(vec![(CAROL_CONTACT, CAROL)]));
    let invite = node.call(&to_bob()).unwrap().only(BOB);
    let via = "Via: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bKforward\r\nVia: ";
    let uri = format!("INVITE {BOB_CONTACT} ");
    let forwarded =
        invite.replacen("Via: ", via, 1).replace(&uri, "INVITE sip:carol@example.test ");
    let at_carol = node.receive(BOB, &forwarded).to(CAROL).pop().unwrap();
    let turn = node.receive(CAROL, answer(&at_carol, 200, "c", CAROL_CONTACT));
    assert_eq!(turn.lines(BOB), ["200"]);
    let ok = turn.only(BOB);
    let back = ok.lines().filter(|line| !line.contains("z9hG4bKforward"));
    let back = back.map(|line| format!("{line}\r\n")).collect::<String>();
    let turn = node.receive(BOB, back);
    assert_eq!(turn.lines(BOB), ["ACK"]);
    assert_eq!(node.count("sip.answered"), 2);
    let ack = turn.only(BOB);
    let routes = parse(&ack).values(HeaderName::Route).len();
    assert_eq!(routes, 1, "{ack}");
    // She hangs up: by our Record-Route, to who has called her.
    let route = parse(&ok).header(HeaderName::RecordRoute).unwrap().into_owned();
    let bye = by(&invite, "BYE", 1, ("c", &our_tag(&invite)));
    let bye = bye.replacen("\r\n", &format!("\r\nRoute: {route}\r\n"), 1);
    assert_eq!(node.receive(CAROL, bye).lines(BOB), ["BYE"]);
}

#[test]
fn a_call_that_nobody_ends_is_ended_after_twelve_hours() {
    let (mut node, _) = talking();
    for _ in 0..47 {
        let asked = node.wait(15 * 60_000).only(BOB);
        assert!(asked.starts_with("OPTIONS "), "{asked}");
        node.receive(BOB, bob_answers(&asked, 200));
    }
    let turn = node.wait(15 * 60_000);
    let Ended { by, cause, .. } = turn.event();
    assert_eq!((by, cause), (Side::Server, EndCause::MaxDuration));
    assert_eq!(turn.lines(BOB), ["BYE"]);
    assert_ends(node, &["sip.answered", "sip.ended"]);
}

#[test]
fn what_cannot_be_called_is_said() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let wanted = [
        (PhoneCall { from: "bob".into(), ..to_bob() }, "from"),
        (PhoneCall { to: "sip:b>@x".into(), ..to_bob() }, "to"),
        (PhoneCall { display: "a\"b".into(), ..to_bob() }, "display"),
        (PhoneCall { offer: "a".repeat(16 * 1024 + 1), ..to_bob() }, "offer"),
        (PhoneCall { targets: Vec::new(), ..to_bob() }, "targets"),
        (PhoneCall { targets: vec![target(BOB_CONTACT, "bob")], ..to_bob() }, "address"),
    ];
    for (call, part) in wanted {
        let failure = node.call(&call).err().unwrap().to_string();
        assert!(failure.contains(part), "{failure}");
    }
    node.call(&to_bob()).unwrap();
    let respond = SipCommand::Respond { status: 486, reason: "".into(), headers: Vec::new() };
    let proxy = SipCommand::Proxy { targets: to_bob().targets };
    let redirect = SipCommand::Redirect { targets: to_bob().targets, diversion: None };
    let (realm, algorithms) = ("example.test".to_owned(), Vec::new());
    let challenge = SipCommand::Challenge { realm, stale: false, proxy: true, algorithms };
    for command in [respond, proxy, redirect, challenge] {
        assert!(node.command(&command).is_err(), "{command:?}");
    }
}

#[test]
fn an_operator_who_removes_it_has_it_cancelled_or_ended() {
    let (mut node, invite) = calling();
    node.receive(BOB, bob_answers(&invite, 180));
    assert_eq!(node.removed().lines(BOB), ["CANCEL"]);
    let (mut node, _) = talking();
    assert_eq!(node.removed().lines(BOB), ["BYE"]);
}

/// Steps of a call: what Bob sends, or the service wants.
#[derive(Clone, Copy, Debug)]
enum Act {
    Bob(u16),
    ByeOfBob,
    HangUp,
    BobToBye(u16),
}

/// A call with these steps behind its INVITE; before each of them time passes. The node dies after
/// the step of this number, 0 being the INVITE; what the dead node sent in it is lost if `is_lost`.
fn story(acts: &[Act], death: usize, is_lost: bool) -> Node {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let invite = node.call(&to_bob()).unwrap().only(BOB);
    let (mut bye, mut turn) = (None, Turn::default());
    for step in 0..=acts.len() {
        if step > 0 {
            node.wait(300);
            turn = match acts[step - 1] {
                Act::Bob(status) => node.receive(BOB, bob_answers(&invite, status)),
                Act::ByeOfBob => node.receive(BOB, by_bob(&invite, "BYE", 1)),
                Act::HangUp => hang_up(&mut node),
                Act::BobToBye(status) => {
                    let bye: &String = bye.as_ref().expect("a BYE came");
                    node.receive(BOB, bob_answers(bye, status))
                }
            };
        }
        let is_bye = |it: &String| it.starts_with("BYE ");
        if step == death {
            let survivors = node.take_over();
            let sent = if is_lost { &survivors } else { &turn };
            bye = sent.to(BOB).into_iter().find(is_bye).or(bye);
            // An INVITE is said again in the same words.
            let invites = survivors.to(BOB).into_iter().filter(|it| it.starts_with("INVITE "));
            assert!(invites.into_iter().all(|it| it == invite));
            if is_lost
                && step > 0
                && let Act::Bob(200..) = acts[step - 1]
            {
                // Bob has no ACK, and says it again.
                let Act::Bob(status) = acts[step - 1] else { unreachable!() };
                let again = node.receive(BOB, bob_answers(&invite, status));
                assert_eq!(again.lines(BOB), ["ACK"], "{acts:?}, {death}");
                again.assert_changes_nothing();
            }
        } else {
            bye = turn.to(BOB).into_iter().find(is_bye).or(bye);
        }
    }
    node
}

#[test]
fn a_call_of_our_own_survives_the_death_of_its_node_after_any_step() {
    use Act::{Bob, BobToBye, ByeOfBob, HangUp};
    let stories: [(&[Act], &[&str]); 5] = [
        (&[Bob(100), Bob(180), Bob(200), ByeOfBob], &["progress", "answered", "ended"]),
        (&[Bob(180), Bob(200), HangUp, BobToBye(200)], &["progress", "answered", "ended"]),
        (&[Bob(180), Bob(486)], &["progress", "rejected"]),
        (&[Bob(180), HangUp, Bob(487)], &["progress", "rejected"]),
        (&[Bob(180), HangUp, Bob(200), BobToBye(200)], &["progress", "rejected"]),
    ];
    for (acts, history) in stories {
        let history: Vec<_> = history.iter().map(|event| format!("sip.{event}")).collect();
        for (death, is_lost) in (0..=acts.len()).flat_map(|it| [(it, false), (it, true)]) {
            let mut node = story(acts, death, is_lost);
            assert_eq!(node.history(), history, "{acts:?}, {death}, {is_lost}");
            node.wait(LONG);
            assert_eq!(node.history(), history, "{acts:?}, {death}, {is_lost}");
            assert_eq!(node.living_activities(), 0, "{acts:?}, {death}, {is_lost}");
        }
    }
}

/// The survivor says what nobody has answered in the words of the dead node.
#[test]
fn what_was_not_answered_is_said_again_under_the_same_branch() {
    let (mut node, invite) = calling();
    assert_eq!(node.take_over().only(BOB), invite);
    node.receive(BOB, bob_answers(&invite, 180));
    let cancel = hang_up(&mut node).only(BOB);
    assert_eq!(node.take_over().only(BOB), cancel);

    let (mut node, _) = talking();
    assert_eq!(node.take_over().lines(BOB), [""; 0]);
    let bye = hang_up(&mut node).our_bye(BOB);
    assert_eq!(node.take_over().only(BOB), bye);
    node.receive(BOB, bob_answers(&bye, 200));
    assert_ends(node, &["sip.answered", "sip.ended"]);
}

/// All nodes were dead for a while: nobody is rung for what was wanted then, and who rings is
/// cancelled, also if his first word came while nobody lived.
#[test]
fn a_call_that_was_not_answered_before_the_outage_is_given_up_and_the_service_told() {
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    for (is_old_store, is_ringing) in kinds {
        let (mut node, invite) = calling();
        if is_ringing {
            node.receive(BOB, bob_answers(&invite, 180));
        }
        let turn = after_an_outage(&mut node, is_old_store);
        let cancel = turn.only(BOB);
        assert_eq!(request_line(&cancel), format!("CANCEL {BOB_CONTACT} SIP/2.0"));
        assert_eq!(turn.event::<Rejected>().status, 503);
        node.receive(BOB, bob_answers(&cancel, 200));
        // He picks up just then.
        let turn = node.receive(BOB, bob_answers(&invite, 200));
        assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["ACK".into(), "BYE".into()], 0));
        let history: &[_] = match is_ringing {
            true => &["sip.progress", "sip.rejected"],
            false => &["sip.rejected"],
        };
        assert_ends(node, history);
    }
}

/// The CANCEL waited for the phone's first word, which came while nobody lived.
#[test]
fn a_call_that_was_given_up_before_the_outage_is_cancelled_behind_it() {
    let (mut node, invite) = calling();
    hang_up(&mut node);
    let turn = after_an_outage(&mut node, false);
    assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["CANCEL".to_owned()], 0));
    assert_eq!(node.receive(BOB, bob_answers(&invite, 487)).lines(BOB), ["ACK"]);
    assert_ends(node, &["sip.rejected"]);
}

/// Also from a store that others may have gone on without: the phone may talk still, and is asked.
/// Who hangs up before it has answered waits for that (`own_call_life_story.rs`).
#[test]
fn a_call_that_is_up_after_an_outage_is_its_services_to_end() {
    for is_old_store in [false, true] {
        let (mut node, _) = talking();
        let turn = after_an_outage(&mut node, is_old_store);
        assert_eq!((turn.lines(BOB), turn.types().len()), (vec!["OPTIONS".to_owned()], 0));
        node.receive(BOB, bob_answers(&turn.only(BOB), 200)).types();
        let bye = hang_up(&mut node).our_bye(BOB);
        assert_eq!(after_an_outage(&mut node, is_old_store).only(BOB), bye);
        assert_ends(node, &["sip.answered", "sip.ended"]);
    }
}

fn after_an_outage(node: &mut Node, is_old_store: bool) -> Turn {
    node.now = node.now + Duration::from_secs(600);
    match is_old_store {
        true => node.take_over_from_an_old_store(),
        false => node.cold_start(),
    }
}
