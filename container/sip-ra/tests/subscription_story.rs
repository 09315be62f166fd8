//! Dialogs of SUBSCRIBE and REFER: what follows goes from one end to the other, without a service
//! and without state, at any node. And requests that were here before.

mod harness;

use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, answer, bob_answers, by_strict_router, request,
};
use harness::{BALANCER, Node, Policy, parse};
use resilee_sip_proto::HeaderName;

const MALLORY: &str = "203.0.113.66:5060";
const HOUR_MS: u64 = 3_600_000;

fn subscribe() -> String {
    let headers = format!("Contact: <{ALICE_CONTACT}>\r\nEvent: presence\r\nExpires: 600\r\n");
    request("SUBSCRIBE", "sip:bob@example.test", &headers)
}

/// Bob's NOTIFY, as he knows the dialog from the SUBSCRIBE that he got.
fn notify(subscribe: &str, cseq: u32) -> String {
    let route = parse(subscribe).header(HeaderName::RecordRoute).expect("a route").into_owned();
    format!(
        "NOTIFY {ALICE_CONTACT} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;rport;\
         branch=z9hG4bKnotify{cseq}\r\nRoute: {route}\r\nFrom: <sip:alice@example.test>;tag=b\r\n\
         To: <sip:alice@example.test>;tag=a\r\nCall-ID: request-1\r\nCSeq: {cseq} NOTIFY\r\n\
         Max-Forwards: 70\r\nContact: <{BOB_CONTACT}>\r\nEvent: presence\r\n\
         Subscription-State: active\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_notify_reaches_the_subscriber_where_the_subscribe_came_from_and_its_answer_goes_back() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    // Also before the 2xx (RFC 6665 §4.1.2.4).
    let turn = node.receive(BOB, notify(&at_bob, 1));
    let at_alice = turn.only(ALICE);
    assert_eq!((parse(&at_alice).method(), turn.types().len()), (Some("NOTIFY"), 0));
    assert_eq!(parse(&at_alice).request_uri(), Some(ALICE_CONTACT));
    assert!(parse(&at_alice).values(HeaderName::Route).is_empty());
    assert_eq!(parse(&at_alice).max_forwards(), Some(69));
    let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
    assert_eq!(node.receive(ALICE, ok).lines(BOB), ["200"]);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_node_that_never_saw_the_subscribe_passes_its_notify_on() {
    let at_bob = Node::for_bob().receive(ALICE, subscribe()).only(BOB);
    let mut other = Node::new(Policy::Say(Vec::new()));
    let at_alice = other.receive(BOB, notify(&at_bob, 2)).only(ALICE);
    assert_eq!(other.receive(BOB, notify(&at_bob, 2)).sent.len(), 0, "a retransmission");
    other.take_over();
    let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
    assert_eq!(other.receive(ALICE, ok).lines(BOB), ["200"]);
}

/// RFC 3515 §2.4.4: who refers hears by NOTIFY what became of it.
#[test]
fn a_refer_outside_a_call_begins_a_dialog_whose_notify_comes_back_by_another_node() {
    let refer_to = "<sip:carol@example.test>";
    let headers = format!("Contact: <{ALICE_CONTACT}>\r\nRefer-To: {refer_to}\r\n");
    let refer = request("REFER", "sip:bob@example.test", &headers);
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, refer).only(BOB);
    assert_eq!(parse(&at_bob).header_named("Refer-To").as_deref(), Some(refer_to));
    let accepted = node.receive(BOB, bob_answers(&at_bob, 202)).only(ALICE);
    assert_eq!(parse(&accepted).status(), Some(202));
    let ours = |message: &str| parse(message).header(HeaderName::RecordRoute).map(String::from);
    assert!(ours(&accepted).is_some() && ours(&accepted) == ours(&at_bob));

    let mut other = Node::new(Policy::Say(Vec::new()));
    let notify = |cseq| notify(&at_bob, cseq).replace("Event: presence", "Event: refer");
    let turn = other.receive(BOB, notify(1));
    let at_alice = turn.only(ALICE);
    assert_eq!((parse(&at_alice).method(), turn.types().len()), (Some("NOTIFY"), 0));
    assert_eq!(parse(&at_alice).request_uri(), Some(ALICE_CONTACT));
    other.take_over();
    let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
    assert_eq!(other.receive(ALICE, ok).lines(BOB), ["200"]);
    assert_eq!(other.receive(ALICE, by_alice(&at_bob, "SUBSCRIBE")).lines(BOB), ["SUBSCRIBE"]);
    assert_eq!(other.receive(MALLORY, notify(2)).lines(MALLORY), ["403"]);
    other.wait(60_000);
    assert_eq!(other.living_activities(), 0);
}

/// RFC 3261 §16.4: Bob's proxy is of RFC 2543. It may have a Route of its own behind ours.
#[test]
fn what_a_strict_router_sends_within_a_subscription_is_put_right() {
    let at_bob = Node::for_bob().receive(ALICE, subscribe()).only(BOB);
    let further = "Route: <sip:192.0.2.11;lr>\r\nFrom:";
    for (routes, left) in [("From:", &[][..]), (further, &["<sip:192.0.2.11;lr>"])] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let strict = by_strict_router(&notify(&at_bob, 1).replacen("From:", routes, 1));
        assert!(parse(&strict).request_uri().expect("a URI").contains(";c="));
        let at_alice = node.receive(BOB, &strict).only(ALICE);
        assert_eq!(parse(&at_alice).request_uri(), Some(ALICE_CONTACT));
        assert_eq!(parse(&at_alice).values(HeaderName::Route), left);
        assert_eq!(node.receive(BOB, &strict).sent.len(), 0, "a retransmission");
        node.take_over();
        let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
        assert_eq!(node.receive(ALICE, ok).lines(BOB), ["200"]);
        assert_eq!(node.receive(MALLORY, strict.replace("fy1", "fy2")).lines(MALLORY), ["403"]);
    }
}

/// RFC 3261 §16.6 step 6: the same the other way round.
#[test]
fn what_goes_to_a_strict_router_names_it_in_the_request_uri() {
    let at_bob = Node::for_bob().receive(ALICE, subscribe()).only(BOB);
    let (strict, loose) = ("<sip:192.0.2.10:40000;x=y>", "<sip:192.0.2.11;lr>");
    let further = format!("Route: {strict}, {loose}\r\nFrom:");
    let notify = notify(&at_bob, 1).replacen("From:", &further, 1);
    let at_alice = Node::for_bob().receive(BOB, notify).only(ALICE);
    assert_eq!(parse(&at_alice).request_uri(), Some("sip:192.0.2.10:40000;x=y"));
    let target = format!("<{ALICE_CONTACT}>");
    assert_eq!(parse(&at_alice).values(HeaderName::Route), [loose, &target]);
}

#[test]
fn nobody_else_notifies_and_nothing_goes_where_its_sender_wants() {
    let at_bob = Node::for_bob().receive(ALICE, subscribe()).only(BOB);
    let mut node = Node::for_bob();
    assert_eq!(node.receive(MALLORY, notify(&at_bob, 1)).lines(MALLORY), ["403"]);
    let other_call = notify(&at_bob, 1).replace("request-1", "request-2");
    assert_eq!(node.receive(BOB, other_call).lines(BOB), ["481"]);
    let elsewhere = notify(&at_bob, 1).replace(ALICE_CONTACT, "sip:x@203.0.113.66");
    node.receive(BOB, elsewhere).only(ALICE);
}

/// RFC 3261 §19.1.1: a phone may take them from a Contact.
#[test]
fn headers_of_a_request_uri_are_left_out() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    let with_headers = format!("{ALICE_CONTACT}?Subject=x");
    let notify = notify(&at_bob, 1).replace(ALICE_CONTACT, &with_headers);
    assert!(notify.contains(&with_headers));
    let at_alice = node.receive(BOB, notify).only(ALICE);
    assert_eq!(parse(&at_alice).request_uri(), Some(ALICE_CONTACT));
}

/// What was answered is kept for who did not get the answer, and not in the way of what follows.
#[test]
fn a_busy_subscription_is_served_on() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200));
    for cseq in 1..=40 {
        let at_alice = node.receive(BOB, notify(&at_bob, cseq)).only(ALICE);
        let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
        assert_eq!(node.receive(ALICE, ok).lines(BOB), ["200"], "{cseq}");
    }
    // Those that wait for an answer are not forgotten.
    let refused = (41..=80).map(|cseq| node.receive(BOB, notify(&at_bob, cseq)).lines(BOB));
    let refused = refused.filter(|lines| *lines == ["503"]).count();
    assert_eq!(refused, 40 - 16);
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0);
}

/// No service is asked within these dialogs, so the names are those of the SUBSCRIBE, which
/// had to prove its own.
#[test]
fn nobody_takes_another_name_within_a_subscription() {
    let subscribe = subscribe().replace("To: <sip:alice@", "To: <sip:bob@");
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, &subscribe).only(BOB);
    let renamed = |request: &str, from: &str, to: &str| {
        request
            .replace("From: <sip:alice@example.test>", &format!("From: {from}"))
            .replace("To: <sip:alice@example.test>", &format!("To: {to}"))
    };
    let notify = |cseq, from, to| renamed(&notify(&at_bob, cseq), from, to);
    let (alice, bob, boss) =
        ("<sip:alice@example.test>", "<sip:bob@example.test>", "<sip:boss@example.test>");
    assert_eq!(node.receive(BOB, notify(1, boss, alice)).lines(BOB), ["481"]);
    assert_eq!(node.receive(BOB, notify(1, alice, bob)).lines(BOB), ["481"]);
    let other_letters = notify(2, "\"B\" <sip:%62ob@Example.test;x=y>", alice);
    assert_eq!(node.receive(BOB, other_letters).lines(ALICE), ["NOTIFY"]);
    // Alice prolongs it.
    let route = parse(&at_bob).header(HeaderName::RecordRoute).expect("a route").into_owned();
    let again = subscribe
        .replace("To: <sip:bob@example.test>", &format!("Route: {route}\r\nTo: {bob};tag=b"))
        .replace("CSeq: 7", "CSeq: 8")
        .replace("z9hG4bKrequest", "z9hG4bKagain");
    let by_boss = again.replace("From: <sip:alice@", "From: <sip:boss@");
    assert_eq!(node.receive(ALICE, by_boss).lines(ALICE), ["481"]);
    assert_eq!(node.receive(ALICE, again).lines(BOB), ["SUBSCRIBE"]);
}

/// A call that is over is not one of these dialogs.
#[test]
fn the_route_of_a_call_leads_nowhere_without_the_call() {
    let invite = harness::phone::invite();
    let at_bob = Node::for_bob().receive(ALICE, invite).only(BOB);
    let strayed = notify(&at_bob, 1).replace("request-1", "call-1");
    assert_eq!(Node::for_bob().receive(BOB, strayed).lines(BOB), ["481"]);
}

/// Alice's request within the dialog that her SUBSCRIBE began.
fn by_alice(at_bob: &str, method: &str) -> String {
    let route = parse(at_bob).header(HeaderName::RecordRoute).expect("a route").into_owned();
    format!(
        "{method} {BOB_CONTACT} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;\
         branch=z9hG4bKwithin{method}\r\nRoute: {route}\r\nFrom: <sip:alice@example.test>;tag=a\r\n\
         To: <sip:alice@example.test>;tag=b\r\nCall-ID: request-1\r\nCSeq: 8 {method}\r\n\
         Max-Forwards: 70\r\nContact: <{ALICE_CONTACT}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// It would be a call that no service has admitted, and that nobody bills.
#[test]
fn no_call_begins_within_a_subscription() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    for method in ["INVITE", "UPDATE", "PRACK", "INFO", "BYE", "MESSAGE"] {
        let here = node.receive(ALICE, by_alice(&at_bob, method));
        assert_eq!((here.lines(ALICE), here.lines(BOB).len()), (vec!["481".into()], 0), "{method}");
        let there = Node::for_bob().receive(ALICE, by_alice(&at_bob, method));
        assert_eq!((there.lines(ALICE), there.to(BOB).len()), (vec!["481".into()], 0), "{method}");
    }
    for method in ["SUBSCRIBE", "NOTIFY", "REFER", "OPTIONS"] {
        assert_eq!(node.receive(ALICE, by_alice(&at_bob, method)).lines(BOB), [method]);
    }
}

#[test]
fn the_route_of_a_subscription_leads_nowhere_after_a_day() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    node.wait(23 * HOUR_MS);
    assert_eq!(node.receive(BOB, notify(&at_bob, 1)).lines(ALICE), ["NOTIFY"]);
    node.wait(HOUR_MS);
    assert_eq!(node.receive(BOB, notify(&at_bob, 2)).lines(BOB), ["481"]);
    let later = by_alice(&at_bob, "SUBSCRIBE");
    let forged = later.replacen("13c4.0.", "13c4.18.", 1);
    assert_ne!(later, forged, "the hour is in the Route");
    for late in [later, forged] {
        assert_eq!(node.receive(ALICE, late).lines(ALICE), ["481"]);
    }
}

#[test]
fn a_message_begins_no_dialog() {
    let message = request("MESSAGE", "sip:bob@example.test", "");
    let at_bob = Node::for_bob().receive(ALICE, message).only(BOB);
    assert!(parse(&at_bob).values(HeaderName::RecordRoute).is_empty());
}

#[test]
fn a_request_that_was_here_before_is_a_loop() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", "")).only(BOB);
    // Bob's proxy sends it back as it was when it came to us.
    let via = "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKbob\r\nVia: SIP";
    let back = at_bob.replacen("Via: SIP", via, 1);
    let looped = back.replacen(BOB_CONTACT, "sip:bob@example.test", 1);
    let refused = node.receive(BOB, &looped);
    assert!(refused.only("192.0.2.20:5060").starts_with("SIP/2.0 482 Loop Detected"));
    // With another Request-URI it is a spiral.
    let spiral = back.replacen(BOB_CONTACT, "sip:carol@example.test", 1);
    assert_eq!(node.receive(BOB, spiral).lines(BOB), ["MESSAGE"]);
    // And nobody can pretend that it was: the branch is signed.
    let forged = looped.replace("z9hG4bK-", "z9hG4bK-0").replace("4bKbob", "4bKbob2");
    assert!(forged.contains(BALANCER));
    assert_eq!(node.receive(BOB, forged).lines(BOB), ["MESSAGE"]);
}

const ALICE_TCP: &str = "192.0.2.10:40000;transport=tcp";
const ALICE_AGAIN: &str = "192.0.2.10:40001;transport=tcp";

/// Her connection is gone with the balancer, and behind her NAT she takes none.
#[test]
fn a_subscriber_that_has_connected_again_is_reached_where_it_prolongs_the_subscription() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE_TCP, subscribe()).only(BOB);
    assert_eq!(node.receive(BOB, notify(&at_bob, 1)).lines(ALICE_TCP), ["NOTIFY"]);
    node.wait(60_000);
    // Nobody else moves her, nor does she move to another network.
    for (sender, answered) in [(MALLORY, "403"), ("203.0.113.66:1;transport=tcp", "403")] {
        let moved = node.receive(sender, by_alice(&at_bob, "OPTIONS"));
        assert_eq!(moved.lines(sender), [answered]);
    }
    assert_eq!(node.receive(BOB, notify(&at_bob, 2)).lines(ALICE_TCP), ["NOTIFY"]);
    node.wait(60_000);
    assert_eq!(node.receive(ALICE_AGAIN, by_alice(&at_bob, "SUBSCRIBE")).lines(BOB), ["SUBSCRIBE"]);
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0, "that is not in what is kept of it");
    let at_alice = node.receive(BOB, notify(&at_bob, 3)).only(ALICE_AGAIN);
    let ok = answer(&at_alice, 200, "", ALICE_CONTACT);
    assert_eq!(node.receive(ALICE_AGAIN, ok).lines(BOB), ["200"]);
    // Of another dialog nothing is known.
    let other = notify(&at_bob, 4).replace(";tag=b\r", ";tag=c\r");
    assert_eq!(node.receive(BOB, other).lines(ALICE_TCP), ["NOTIFY"]);
    // She is back where she was.
    let back = by_alice(&at_bob, "OPTIONS");
    assert_eq!(node.receive(ALICE_TCP, back).lines(BOB), ["OPTIONS"]);
    assert_eq!(node.receive(BOB, notify(&at_bob, 5)).lines(ALICE_TCP), ["NOTIFY"]);
}

/// Over UDP a NAT may give her another port for each request.
#[test]
fn a_subscriber_over_udp_is_reached_where_it_was() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, subscribe()).only(BOB);
    let rebound = "192.0.2.10:40777";
    assert_eq!(node.receive(rebound, by_alice(&at_bob, "SUBSCRIBE")).lines(BOB), ["SUBSCRIBE"]);
    assert_eq!(node.receive(BOB, notify(&at_bob, 1)).lines(ALICE), ["NOTIFY"]);
}

/// Whoever knows Call-ID and tags can subscribe by them, in a name of his own: his Route is signed
/// for his ends, and moves nobody else's.
#[test]
fn nobody_moves_a_subscriber_by_a_subscription_of_his_own() {
    const MALLORY_TCP: &str = "203.0.113.66:40000;transport=tcp";
    const MALLORY_AGAIN: &str = "203.0.113.66:40001;transport=tcp";
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE_TCP, subscribe()).only(BOB);
    let his = |request: String| request.replace("sip:alice@example", "sip:mallory@example");
    let again = |request: String| request.replace("z9hG4bK", "z9hG4bKmallory");
    let his_at_bob = node.receive(MALLORY_TCP, again(his(subscribe()))).only(BOB);
    let moved = again(his(by_alice(&his_at_bob, "SUBSCRIBE")));
    assert_eq!(node.receive(MALLORY_AGAIN, moved).lines(BOB), ["SUBSCRIBE"]);
    assert_eq!(node.receive(BOB, notify(&at_bob, 1)).lines(ALICE_TCP), ["NOTIFY"]);
    let to_mallory = again(his(notify(&his_at_bob, 1)));
    assert_eq!(node.receive(BOB, to_mallory).lines(MALLORY_AGAIN), ["NOTIFY"]);
}

/// The other end's tag is what its sender says: of one Route few dialogs are remembered.
#[test]
fn of_one_route_the_last_ends_that_moved_are_remembered() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE_TCP, subscribe()).only(BOB);
    let of_dialog = |request: String, number: u32| {
        request.replace("tag=b\r", &format!("tag=b{number}\r")).replace("z9hG4bK", "z9hG4bKx")
    };
    for number in 1..=5 {
        let moved = of_dialog(by_alice(&at_bob, "SUBSCRIBE"), number);
        let moved = moved.replace("4bKx", &format!("4bK{number}"));
        assert_eq!(node.receive(ALICE_AGAIN, moved).lines(BOB), ["SUBSCRIBE"]);
    }
    for (number, place) in [(5, ALICE_AGAIN), (2, ALICE_AGAIN), (1, ALICE_TCP)] {
        let notify = of_dialog(notify(&at_bob, number), number);
        assert_eq!(node.receive(BOB, notify).lines(place), ["NOTIFY"], "{number}");
    }
}
