//! RFC 5118: IPv6. Its archive ends lines with LF alone; two of its messages lack the blank line
//! behind the headers.

use crate::harness::phone::ALICE;
use crate::harness::{Node, Policy};
use crate::wire::{
    completed, edited, ok, proxied, proxied_from, refusal, registered, sent_to_bob, vector, with,
};
use resilee_sip_proto::{HeaderName, Message, SipUri, Via};
use std::borrow::Cow;

/// Host and port of the Request-URI.
fn target(bytes: &[u8]) -> (String, Option<u16>) {
    let message = Message::parse(bytes).unwrap();
    let uri = SipUri::parse(message.request_uri().unwrap()).unwrap();
    (uri.host.to_owned(), uri.port)
}

#[test]
fn ipv6_good() {
    let bytes = vector("ipv6-good");
    assert_eq!(target(&bytes), ("2001:db8::10".to_owned(), None));
    assert_eq!(Message::parse(&bytes).unwrap().top_via().host(), "2001:db8::9:1");
    assert_eq!(registered(&bytes).bindings[0].uri, "sip:caller@[2001:db8::1]");
    // It came from where the Via says: the answer goes there, and adds nothing to the Via.
    let mut node = Node::new(Policy::Say(vec![ok()]));
    let answer = node.receive("[2001:db8::9:1]:40000", &bytes).only("[2001:db8::9:1]:5060");
    assert!(answer.contains("\r\nVia: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\r\n"));
}

#[test]
fn ipv6_bad() {
    assert_eq!(refusal(&vector("ipv6-bad")), "400 Bad Request-URI");
}

/// What was meant as a port is a part of the address, and nobody could know better.
#[test]
fn port_ambiguous() {
    let bytes = vector("port-ambiguous");
    assert_eq!(target(&bytes), ("2001:db8::10:5070".to_owned(), None));
    registered(&bytes);
}

#[test]
fn port_unambiguous() {
    let bytes = vector("port-unambiguous");
    assert_eq!(target(&bytes), ("2001:db8::10".to_owned(), Some(5070)));
    registered(&bytes);
}

/// It belongs to a dialog that nobody knows: 481.
#[test]
fn via_received_param_with_delim() {
    let bytes = vector("via-received-param-with-delim");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().received(), Some("2001:db8::9:255"));
    edited(&bytes);
    assert_eq!(refusal(&bytes), "481 Call/Transaction Does Not Exist");
}

/// What the Via says already stays if it is true; without brackets, as we write it ourselves.
#[test]
fn via_received_param_no_delim() {
    let bytes = vector("via-received-param-no-delim");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().received(), Some("2001:db8::9:255"));
    proxied_from("[2001:db8::9:255]:40000", &bytes);
    let forwarded = sent_to_bob(&Node::for_bob().receive("[::9]:1", &bytes));
    let forwarded = Message::parse(&forwarded).unwrap();
    let below = forwarded.values(HeaderName::Via)[1].clone().into_owned();
    assert_eq!(Via::parse(Cow::Owned(below)).unwrap().received(), Some("::9"));
}

/// Its Content-Length of 268 is wrong, in the RFC's text and in its archive: as it is it is
/// refused as `clerr` is, with the right one it is proxied.
#[test]
fn ipv6_in_sdp() {
    let bytes = vector("ipv6-in-sdp");
    assert_eq!(refusal(&bytes), "400 Bad Request: body shorter than Content-Length");
    let forwarded = proxied(&with(&bytes, "Length: 268", "Length: 242"));
    assert!(forwarded.ends_with(b"a=rtpmap:107 H263-1998/90000\n"));
}

/// It belongs to a dialog that nobody knows: 481. As a request outside one it is proxied.
#[test]
fn mult_ip_in_header() {
    let bytes = vector("mult-ip-in-header");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().sent_by(), "[2001:db8::9:1]:6050");
    let last = Via::parse(message.values(HeaderName::Via)[2].clone()).unwrap();
    assert_eq!((last.host(), last.received()), ("2001:db8::9:255", Some("192.0.2.200")));
    edited(&bytes);
    assert_eq!(refusal(&bytes), "481 Call/Transaction Does Not Exist");
    let bytes = with(&with(&bytes, "BYE sip:", "OPTIONS sip:"), "89187 BYE", "89187 OPTIONS");
    proxied(&with(&bytes, ";tag=9817--94", ""));
}

/// Its Content-Length of 181 is wrong by one, counted with LF; with CRLF it is by eight.
#[test]
fn mult_ip_in_sdp() {
    let bytes = vector("mult-ip-in-sdp");
    assert_eq!(refusal(&bytes), "400 Bad Request: body shorter than Content-Length");
    proxied(&with(&bytes, "Length: 181", "Length: 180"));
}

#[test]
fn ipv4_mapped_ipv6() {
    let bytes = vector("ipv4-mapped-ipv6");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.top_via().sent_by(), "[::ffff:192.0.2.10]:19823");
    // It came from where the Via says, so no `received` is added.
    let forwarded = proxied_from(ALICE, &bytes);
    assert!(!String::from_utf8(forwarded).unwrap().contains("received"));
    proxied_from("[::ffff:192.0.2.10]:19823", &bytes);
}

/// The third colon is tolerated; where such a URI is a Request-URI, the target's replaces it.
#[test]
fn ipv6_bug_abnf_3_colons() {
    let bytes = completed("ipv6-bug-abnf-3-colons", "\n");
    assert_eq!(target(&bytes), ("2001:db8:::192.0.2.1".to_owned(), None));
    let to = Message::parse(&bytes).unwrap().to_uri().unwrap().into_owned();
    let key = SipUri::parse(&to).unwrap().address_of_record();
    assert_eq!(key, "sip:user@[2001:db8::192.0.2.1]");
    proxied(&bytes);
}

#[test]
fn ipv6_correct_abnf_2_colons() {
    let bytes = completed("ipv6-correct-abnf-2-colons", "\n");
    assert_eq!(target(&bytes), ("2001:db8::192.0.2.1".to_owned(), None));
    proxied(&bytes);
}
