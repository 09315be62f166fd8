//! What a client may not say of itself, who is not listened to, and by which way a phone is
//! reached that somebody else brought here.

mod harness;

use harness::phone::{
    ALICE, BOB, BOB_CONTACT, Dialog, answer, bob_answers, follow_up, invite, invite_with, request,
};
use harness::{Node, Policy, flow, parse};
use resilee_core::{Ingress, ResourceAdaptor};
use resilee_sip_api::{OtherRequest, Register, SipCommand, Target};
use resilee_sip_proto::{HeaderName, Message};

const BOSS: &str = "P-Asserted-Identity: \"Boss\" <sip:boss@example.test>\r\n\
                    P-Preferred-Identity: <sip:boss@example.test>\r\n\
                    remote-party-id: <sip:boss@example.test>;party=calling\r\n";

#[test]
fn what_a_caller_asserts_of_itself_reaches_nobody() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite_with(1, BOSS)).only(BOB);
    assert!(!at_bob.contains("boss"), "{at_bob}");
    let at_bob = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", BOSS)).only(BOB);
    assert!(!at_bob.contains("boss"), "{at_bob}");
}

#[test]
fn what_an_end_asserts_within_a_call_reaches_nobody() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let with = |message: Vec<u8>| {
        let text = String::from_utf8(message).expect("text");
        text.replacen("From:", &format!("{BOSS}From:"), 1)
    };
    let ringing = node.receive(BOB, with(bob_answers(&at_bob, 180))).only(ALICE);
    let ok = node.receive(BOB, with(bob_answers(&at_bob, 200))).only(ALICE);
    assert!(!ringing.contains("boss") && !ok.contains("boss"), "{ringing}{ok}");
    let dialog = Dialog::of(&ok);
    let update = node.receive(ALICE, with(dialog.by_alice("UPDATE", 2).into())).only(BOB);
    assert!(!update.contains("boss"), "{update}");
}

#[test]
fn a_scanner_is_dropped_before_anything_begins() {
    let mut node = Node::for_bob();
    for method in ["OPTIONS", "REGISTER", "INVITE", "MESSAGE"] {
        let probe = "User-Agent: friendly-scanner\r\n";
        let probe = match method {
            "INVITE" => invite_with(1, probe),
            _ => request(method, "sip:100@example.test", probe),
        };
        let turn = node.receive("203.0.113.66:5060", probe);
        assert_eq!(turn.dropped, Some("request of a scanner"), "{method}");
    }
    let phone = request("OPTIONS", "sip:bob@example.test", "User-Agent: baresip\r\n");
    assert!(node.receive(ALICE, phone).dropped.is_none());
}

const EDGE: &str = "192.0.2.99:5060";
const PATH: &str = "Path: <sip:edge.example.net;lr>, <sip:10.0.0.9:5070;lr>\r\n";

/// A node that serves nobody looks at nothing of what it refuses.
#[test]
fn a_node_that_refuses_all_answers_neither_scanners_nor_what_wants_no_answer() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let now = node.now;
    let mut refuse = |message: Vec<u8>| node.ra.refuse(now, &Ingress::new(flow(ALICE), message), 5);
    let scan = request("OPTIONS", "sip:a@example.test", "User-Agent: friendly-scanner\r\n");
    let answer = bob_answers(&at_bob, 200);
    for message in [answer, follow_up("ACK", 1).into(), scan.into(), b"\r\n\r\n".to_vec()] {
        let text = String::from_utf8_lossy(&message).into_owned();
        assert_eq!(refuse(message), Vec::new(), "{text}");
    }
    assert_eq!(refuse(invite().into()).len(), 1);
}

/// What is wrong with it is not told to a scanner either.
#[test]
fn a_malformed_request_of_a_scanner_is_dropped_unanswered() {
    let mut node = Node::for_bob();
    let scan = request("OPTIONS", "sip:100@example.test", "User-Agent: SIPVicious\r\n");
    for (from, to) in [
        ("CSeq: 7 OPTIONS", "CSeq: x OPTIONS"),
        ("SIP/2.0\r", "SIP/3.0\r"),
        ("Content-Length: 0", "Content-Length: 9"),
        ("Max-Forwards: 70\r\n", "T o: <sip:a@b>\r\n"),
        ("User-Agent: SIP", "Call-ID: 2\r\nUser-Agent:\r\n SIP"),
    ] {
        let malformed = scan.replacen(from, to, 1);
        let turn = node.receive(ALICE, &malformed);
        assert_eq!((turn.sent.len(), turn.dropped), (0, Some("request of a scanner")), "{to}");
        let phone = node.receive(ALICE, malformed.replace("SIPVicious", "Linphone"));
        assert_eq!(phone.sent.len(), 1, "{to}");
    }
}

fn registered() -> Policy {
    let headers = vec![("Path".to_owned(), "<sip:edge.example.net;lr>".to_owned())];
    Policy::Say(vec![SipCommand::Respond { status: 200, reason: String::new(), headers }])
}

fn register(headers: &str) -> String {
    request("REGISTER", "sip:example.test", headers)
}

#[test]
fn the_registrar_gets_the_path_of_a_phone_that_knows_of_it() {
    let mut node = Node::new(registered());
    let turn = node.receive(EDGE, register(&format!("Supported: outbound, Path\r\n{PATH}")));
    let paths = ["<sip:edge.example.net;lr>", "<sip:10.0.0.9:5070;lr>"];
    assert_eq!(turn.event::<Register>().path, paths);
    assert!(turn.only(EDGE).contains("Path: <sip:edge.example.net;lr>\r\n"));
}

/// RFC 3327 §5.3 leaves it to the registrar. Many phones never say `Supported: path`, and the proxy
/// in front of them adds a Path all the same: without that they could not be called.
#[test]
fn the_registrar_gets_the_path_of_a_phone_that_does_not_know_of_it_and_the_phone_does_not() {
    for headers in ["", "Supported: outbound\r\n"] {
        let mut node = Node::new(registered());
        let turn = node.receive(EDGE, register(&format!("{headers}{PATH}")));
        let paths = ["<sip:edge.example.net;lr>", "<sip:10.0.0.9:5070;lr>"];
        assert_eq!(turn.event::<Register>().path, paths);
        let accepted = turn.only(EDGE);
        assert_eq!(parse(&accepted).status(), Some(200));
        assert!(parse(&accepted).values_named("Path").is_empty(), "{accepted}");
    }
}

#[test]
fn a_path_that_nobody_can_read_is_refused() {
    let mut node = Node::new(registered());
    let long = "<sip:a;lr>,".repeat(9);
    for path in ["<sip:>", "<tel:1>", "<sip:a?x=y>", "x", long.trim_end_matches(',')] {
        let refused = register(&format!("Supported: path\r\nPath: {path}\r\n"));
        let refused = node.receive(EDGE, refused).only(EDGE);
        assert_eq!(parse(&refused).status(), Some(400), "{path}");
    }
}

#[test]
fn a_register_that_requires_what_is_not_there_is_told_so() {
    let mut node = Node::new(registered());
    let refused = node.receive(EDGE, register("Require: gruu, path, x\r\n")).only(EDGE);
    assert_eq!(parse(&refused).status(), Some(420));
    assert_eq!(parse(&refused).header_named("Unsupported").as_deref(), Some("gruu, x"));
    let path = register("Require: path\r\nSupported: path\r\n");
    assert_eq!(parse(&node.receive(EDGE, path).only(EDGE)).status(), Some(200));
}

/// RFC 3261 §25.1: `*` has no parameters and no brackets. A phone must not think that it is gone.
#[test]
fn a_register_whose_star_is_none_is_refused() {
    for star in ["*;expires=0", "<*>", "\"all\" <*>;expires=0"] {
        let turn =
            Node::new(registered()).receive(ALICE, register(&format!("Contact: {star}\r\n")));
        assert_eq!(turn.lines(ALICE), ["400"], "{star}");
        assert!(turn.events.is_empty(), "{star}");
    }
    let turn = Node::new(registered()).receive(ALICE, register("Contact: *\r\nExpires: 0\r\n"));
    assert!(turn.event::<Register>().wildcard);
}

fn by(routes: &[&str]) -> Node {
    let routes = routes.iter().map(|route| (*route).to_owned()).collect();
    let (uri, destination) = (BOB_CONTACT.to_owned(), EDGE.to_owned());
    Node::new(Policy::ProxyBy(Target { uri, destination, routes }))
}

fn routes(message: &str) -> Vec<String> {
    parse(message).values(HeaderName::Route).into_iter().map(String::from).collect()
}

#[test]
fn a_call_to_a_phone_with_a_path_goes_along_it_and_so_does_its_cancel() {
    let path = ["<sip:edge.example.net;lr>", "<sip:10.0.0.9:5070;lr>"];
    let mut node = by(&path);
    let own_route = "Route: <sip:203.0.113.66;lr>\r\n";
    let at_edge = node.receive(ALICE, invite_with(1, own_route)).only(EDGE);
    assert_eq!(parse(&at_edge).request_uri(), Some(BOB_CONTACT));
    assert_eq!(routes(&at_edge), path, "and not the caller's own");
    node.receive(EDGE, bob_answers(&at_edge, 180));
    let cancel = node.receive(ALICE, follow_up("CANCEL", 1)).only(EDGE);
    assert_eq!(
        (parse(&cancel).method(), routes(&cancel)),
        (Some("CANCEL"), path.map(String::from).to_vec())
    );
    let message = request("MESSAGE", "sip:bob@example.test", "");
    let at_edge = node.receive(ALICE, message).only(EDGE);
    assert_eq!(routes(&at_edge), path);
}

/// RFC 3261 §16.6 step 6.
#[test]
fn a_path_that_begins_with_a_strict_router_is_gone_strictly() {
    let mut node = by(&["<sip:edge.example.net>", "<sip:10.0.0.9;lr>"]);
    let at_edge = node.receive(ALICE, invite()).only(EDGE);
    assert_eq!(parse(&at_edge).request_uri(), Some("sip:edge.example.net"));
    assert_eq!(routes(&at_edge), ["<sip:10.0.0.9;lr>".to_owned(), format!("<{BOB_CONTACT}>")]);
}

#[test]
fn a_request_tells_its_service_where_it_came_from() {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, request("MESSAGE", "sip:bob@example.test", ""));
    assert_eq!(turn.event::<OtherRequest>().source, ALICE);
}

/// Whoever calls as Alice goes on as Alice: phones show the From of the last request.
#[test]
fn nobody_takes_another_name_within_a_call() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    for (cseq, method) in (2..).zip(["INVITE", "UPDATE", "INFO", "REFER", "SUBSCRIBE", "MESSAGE"]) {
        let renamed =
            dialog.by_alice(method, cseq).replace("sip:alice@example", "sip:boss@example");
        let turn = node.receive(ALICE, renamed);
        assert_eq!(turn.lines(ALICE).last().map(String::as_str), Some("403"), "{method}");
        assert!(turn.to(BOB).is_empty(), "{method}");
    }
    let update = dialog.by_bob("UPDATE", 90);
    assert!(Message::parse(update.as_bytes()).is_ok());
    let renamed = update.replace("sip:bob@example", "sip:boss@example");
    assert_eq!(node.receive(BOB, renamed).lines(BOB), ["403"]);
    let at_alice = node.receive(BOB, update.replace("=z9hG4bK", "=z9hG4bKx")).only(ALICE);
    assert_eq!(parse(&at_alice).method(), Some("UPDATE"));
    node.receive(ALICE, answer(&at_alice, 200, "", BOB_CONTACT));
    let bye = dialog.by_alice("BYE", 99).replace("sip:alice@example", "sip:boss@example");
    assert_eq!(node.receive(ALICE, bye).lines(BOB), ["BYE"], "who hangs up has hung up");
}
