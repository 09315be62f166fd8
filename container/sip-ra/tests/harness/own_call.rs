//! A call of the server's own: a service has Bob called, and no client has asked for it.

use super::phone::{BOB, BOB_CONTACT, bob_answers};
use super::{Node, Policy, Turn, parse};
use resilee_sip_api::{NO_AUDIO, PhoneCall, SipCommand, Target};
use resilee_sip_proto::{HeaderName, name_addr};

/// A phone that is called at this URI and address.
pub fn target(uri: &str, destination: &str) -> Target {
    let (uri, destination) = (uri.to_owned(), destination.to_owned());
    Target { uri, destination, ..Target::default() }
}

/// A call to Bob's phone.
pub fn to_bob() -> PhoneCall {
    PhoneCall {
        from: "sip:wake-up@example.test".to_owned(),
        display: "Wake-up call".to_owned(),
        to: "sip:bob@example.test".to_owned(),
        targets: vec![target(BOB_CONTACT, BOB)],
        offer: NO_AUDIO.to_owned(),
    }
}

/// A node without services that take calls, and the INVITE that Bob has got.
pub fn calling() -> (Node, String) {
    let mut node = Node::new(Policy::Say(Vec::new()));
    let invite = node.call(&to_bob()).unwrap().only(BOB);
    (node, invite)
}

/// The same, and Bob has answered with these headers; with what came of that.
pub fn talking_with(headers: &str) -> (Node, String, Turn) {
    let (mut node, invite) = calling();
    let ok = String::from_utf8(bob_answers(&invite, 200)).expect("text");
    let turn = node.receive(BOB, ok.replacen("Contact:", &format!("{headers}Contact:"), 1));
    assert_eq!(turn.lines(BOB), ["ACK"]);
    (node, invite, turn)
}

/// A request of Bob within the dialog that this INVITE began.
pub fn by_bob(invite: &str, method: &str, cseq: u32) -> String {
    by(invite, method, cseq, ("b", &our_tag(invite)))
}

/// The same with other tags.
pub fn by(invite: &str, method: &str, cseq: u32, (from_tag, to_tag): (&str, &str)) -> String {
    let invite = parse(invite);
    let contact = invite.header(HeaderName::Contact).unwrap();
    let uri = name_addr(&contact).unwrap().uri.to_owned();
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK{method}{cseq}\r\n\
         From: <sip:bob@example.test>;tag={from_tag}\r\n\
         To: <sip:wake-up@example.test>;tag={to_tag}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\nContact: <{BOB_CONTACT}>\r\nContent-Length: 0\r\n\r\n",
        invite.call_id()
    )
}

/// The server's own tag.
pub fn our_tag(invite: &str) -> String {
    parse(invite).from_tag().unwrap().into_owned()
}

/// The service hangs up.
pub fn hang_up(node: &mut Node) -> Turn {
    node.command(&SipCommand::HangUp).unwrap()
}
