//! A datagram of a phone: read, changed as a proxy does, and given to a node.

use crate::alone::{Alone, flow};
use resilee_core::Input;
use resilee_sip_proto::{Edit, HeaderName, Message, SipUri, is_keepalive, name_addr, routing_key};
use std::time::Duration;

/// Longer than any transaction that nobody answers.
const LONG: Duration = Duration::from_secs(40);

/// It is understood or refused; what is not touched stays as it is; the node lives, and forgets.
///
/// # Panics
/// A rule is broken.
pub fn datagram(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        read(&message, bytes);
        change(&message);
    }
    let mut node = Alone::new(false);
    for _ in 0..2 {
        node.feed(Input::Datagram { flow: flow("192.0.2.10:40000"), bytes: bytes.to_vec() });
    }
    node.pass(LONG);
}

fn read(message: &Message<'_>, bytes: &[u8]) {
    assert!(!is_keepalive(message.bytes()));
    let key = routing_key::scan(bytes).expect("what a node reads, the balancer can route");
    assert_eq!(key.call_id, message.call_id().as_bytes());
    assert_eq!(key.is_request, message.is_request());
    for (_, _, value) in message.headers() {
        if let Some(address) = name_addr(&value) {
            let uri = SipUri::parse(address.uri);
            uri.map(|uri| uri.address_of_record());
        }
    }
    for name in [HeaderName::Via, HeaderName::Contact, HeaderName::Route, HeaderName::Require] {
        message.values(name);
    }
    let _ = (message.from_tag(), message.to_tag(), message.max_forwards(), message.reason());
}

/// What a proxy writes can be read again, and is what it wrote.
fn change(message: &Message<'_>) {
    // White space too much in the start line is not passed on.
    let untouched = Edit::new(message).finish();
    assert_eq!(behind_start_line(&untouched), behind_start_line(message.bytes()));
    let via = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1";
    let mut edit = Edit::new(message);
    edit.max_forwards(1).push_via(via).push_record_route("<sip:198.51.100.1;lr>");
    edit.request_uri("sip:bob@192.0.2.20");
    let changed = edit.finish();
    let again = Message::parse(&changed).expect("what a proxy wrote is a message");
    assert_eq!(again.top_via().branch(), Some("z9hG4bK1"));
    assert_eq!((again.max_forwards(), again.body()), (Some(1), message.body()));
    let mut back = Edit::new(&again);
    let popped = back.pop_via().finish();
    let popped = Message::parse(&popped).expect("and without its Via");
    assert_eq!(popped.top_via().sent_by(), message.top_via().sent_by());
    assert_eq!(popped.call_id(), message.call_id());
}

fn behind_start_line(message: &[u8]) -> &[u8] {
    let end = message.iter().position(|byte| *byte == b'\n').expect("a start line");
    &message[end..]
}
