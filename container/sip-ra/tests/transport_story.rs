//! Calls between clients of different transports and IP versions: each side is told the address
//! and transport that it can use (RFC 5658), and what is sent goes where that side is.

mod harness;

use harness::own_call::{target, to_bob};
use harness::phone::{BOB_CONTACT, answer, invite};
use harness::{BALANCER, BALANCER_V6, Node, Policy, Turn, parse};
use resilee_membership::Transport;
use resilee_sip_api::{Invite, PhoneCall, Rejected, SipCommand};
use resilee_sip_proto::HeaderName;

const ALICE_TCP: &str = "192.0.2.10:40000;transport=tcp";
const BOB_V6: &str = "[2001:db8::20]:5060";
const BOB_TCP: &str = "192.0.2.20:41000;transport=tcp";

/// A node that sends every call there.
fn for_bob_at(address: &'static str) -> Node {
    Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, address)]))
}

fn over_tcp(message: &str) -> String {
    message.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

/// Record-Routes from the top, without what is signed.
fn record_routes(message: &str) -> Vec<String> {
    let message = parse(message);
    let routes = message.values(HeaderName::RecordRoute);
    routes.iter().map(|it| it.split(";c=").next().unwrap_or_default().to_owned()).collect()
}

/// The dialog's request with these Routes.
fn request(
    method: &str,
    (via, from, to): (&str, &str, &str),
    uri: &str,
    routes: &[String],
) -> String {
    let routes: String = routes.iter().map(|it| format!("Route: {it}\r\n")).collect();
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{method}\r\n{routes}\
         From: <sip:{from}@example.test>;tag={}\r\nTo: <sip:{to}@example.test>;tag={}\r\n\
         Call-ID: call-1\r\nCSeq: 9 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        &from[..1],
        &to[..1],
    )
}

fn all_record_routes(message: &str) -> Vec<String> {
    let message = parse(message);
    message.values(HeaderName::RecordRoute).iter().map(ToString::to_string).collect()
}

/// What was sent to the only receiver of this turn but the sender.
fn flows(turn: &Turn) -> Vec<(String, Transport)> {
    turn.sent.iter().map(|sent| (sent.flow.remote.to_string(), sent.flow.transport)).collect()
}

#[test]
fn between_two_clients_over_udp_and_ipv4_one_record_route_is_enough() {
    let mut node = for_bob_at("192.0.2.20:5060");
    let turn = node.receive("192.0.2.10:40000", invite());
    assert_eq!(record_routes(&turn.only("192.0.2.20:5060")), [format!("<sip:{BALANCER};lr")]);
}

#[test]
fn rfc5658_a_call_from_tcp_to_ipv6_has_a_record_route_for_each_side() {
    let mut node = for_bob_at(BOB_V6);
    let turn = node.receive(ALICE_TCP, over_tcp(&invite()));
    assert_eq!(turn.event::<Invite>().source, ALICE_TCP, "services learn the transport");
    let at_bob = turn.only(BOB_V6);
    let via = parse(&at_bob).top_via().text().to_owned();
    assert!(via.starts_with(&format!("SIP/2.0/UDP {BALANCER_V6};branch=")), "{via}");
    let expected = [format!("<sip:{BALANCER_V6};lr"), format!("<sip:{BALANCER};transport=tcp;lr")];
    assert_eq!(record_routes(&at_bob), expected);
    let to_bob = turn.sent.iter().find(|sent| sent.flow.remote.is_ipv6()).expect("sent");
    assert!(to_bob.flow.local.is_ipv6(), "from any of the balancer's own of that version");
}

#[test]
fn requests_of_both_sides_find_the_other_one_and_carry_none_of_our_routes() {
    let mut node = for_bob_at(BOB_V6);
    let at_bob = node.receive(ALICE_TCP, over_tcp(&invite())).only(BOB_V6);
    let routes_of_bob = all_record_routes(&at_bob);
    let ok = node.receive(BOB_V6, answer(&at_bob, 200, "b", BOB_CONTACT)).only(ALICE_TCP);
    let mut routes_of_alice = all_record_routes(&ok);
    routes_of_alice.reverse();

    let by_alice = ("TCP 10.0.0.1:5060", "alice", "bob");
    let ack = node.receive(ALICE_TCP, request("ACK", by_alice, BOB_CONTACT, &routes_of_alice));
    assert_eq!(flows(&ack), [("[2001:db8::20]:5060".to_owned(), Transport::Udp)]);
    assert!(parse(&ack.only(BOB_V6)).values(HeaderName::Route).is_empty());

    let by_bob = ("UDP [2001:db8::20]:5060", "bob", "alice");
    let uri = "sip:alice@10.0.0.1:5060;transport=tcp";
    let info = node.receive(BOB_V6, request("INFO", by_bob, uri, &routes_of_bob));
    let at_alice = info.only(ALICE_TCP);
    assert!(parse(&at_alice).values(HeaderName::Route).is_empty());
    let via = parse(&at_alice).top_via().text().to_owned();
    assert!(via.starts_with(&format!("SIP/2.0/TCP {BALANCER};branch=")), "{via}");
    assert!(info.sent.iter().any(|it| it.flow.transport == Transport::Tcp));
}

#[test]
fn a_survivor_without_the_call_passes_requests_to_the_other_transport() {
    let mut node = for_bob_at(BOB_TCP);
    let at_bob = node.receive("192.0.2.10:40000", invite()).only(BOB_TCP);
    let ok = node.receive(BOB_TCP, answer(&at_bob, 200, "b", BOB_CONTACT)).only("192.0.2.10:40000");
    let mut routes = all_record_routes(&ok);
    routes.reverse();
    let by_alice = ("UDP 10.0.0.1:5060;rport", "alice", "bob");
    let bye = request("BYE", by_alice, BOB_CONTACT, &routes);
    let passed = node.pass_on("192.0.2.10:40000", &bye).expect("it is of an end");
    assert_eq!(flows(&passed), [("192.0.2.20:41000".to_owned(), Transport::Tcp)]);
    let sent = passed.only(BOB_TCP);
    assert!(parse(&sent).top_via().text().starts_with("SIP/2.0/TCP"), "{sent}");
}

#[test]
fn s18_2_2_a_response_over_tcp_goes_back_on_its_connection_whatever_the_via_says() {
    let refuse = SipCommand::Respond { status: 486, reason: String::new(), headers: Vec::new() };
    let mut node = Node::new(Policy::Say(vec![refuse]));
    let without_rport = over_tcp(&invite()).replace(";rport", "");
    let turn = node.receive(ALICE_TCP, without_rport);
    assert_eq!(turn.event::<Rejected>().status, 486);
    assert_eq!(turn.lines(ALICE_TCP), ["486"]);
}

#[test]
fn a_hang_up_says_bye_to_each_side_over_its_transport() {
    let mut node = for_bob_at(BOB_V6);
    let at_bob = node.receive(ALICE_TCP, over_tcp(&invite())).only(BOB_V6);
    let ok = node.receive(BOB_V6, answer(&at_bob, 200, "b", BOB_CONTACT)).only(ALICE_TCP);
    let mut routes = all_record_routes(&ok);
    routes.reverse();
    let by_alice = ("TCP 10.0.0.1:5060", "alice", "bob");
    node.receive(ALICE_TCP, request("ACK", by_alice, BOB_CONTACT, &routes));
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    let via = |text: String| parse(&text).top_via().transport().to_owned();
    assert_eq!(via(turn.only(ALICE_TCP)), "TCP");
    assert_eq!(via(turn.only(BOB_V6)), "UDP");
}

#[test]
fn a_call_of_our_own_goes_by_the_transport_and_ip_version_of_the_phone() {
    let ways = [
        (BOB_TCP, format!("SIP/2.0/TCP {BALANCER};"), format!("sip:{BALANCER};transport=tcp;c=")),
        (BOB_V6, format!("SIP/2.0/UDP {BALANCER_V6};"), format!("sip:{BALANCER_V6};c=")),
    ];
    for (bob, via, contact) in ways {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let wanted = PhoneCall { targets: vec![target(BOB_CONTACT, bob)], ..to_bob() };
        let is_sound = |request: &str| {
            let message = parse(request);
            assert!(message.top_via().text().starts_with(&via), "{request}");
            let is_tcp = message.top_via().transport() == "TCP";
            is_tcp == bob.ends_with("tcp")
        };
        let turn = node.call(&wanted).expect("it can be called");
        let transport = turn.sent[0].flow.transport;
        assert_eq!(transport == Transport::Tcp, bob == BOB_TCP);
        let invite = only(&turn);
        let named = parse(&invite).header(HeaderName::Contact).expect("one").into_owned();
        assert!(is_sound(&invite) && named.starts_with(&format!("<{contact}")), "{named}");
        let ack = only(&node.receive(bob, answer(&invite, 200, "b", BOB_CONTACT)));
        let bye = only(&node.command(&SipCommand::HangUp).expect("it is up"));
        assert!(is_sound(&ack) && is_sound(&bye));
    }
}

/// The one message that was sent.
fn only(turn: &Turn) -> String {
    assert_eq!(turn.sent.len(), 1);
    String::from_utf8(turn.sent[0].bytes.clone()).expect("text")
}
