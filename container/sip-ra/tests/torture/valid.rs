//! RFC 4475 §3.1.1: valid messages.

use crate::harness::phone::BOB;
use crate::harness::{Node, flow};
use crate::wire::{answered, dropped, edited, proxied, refused, registered, vector, with};
use resilee_sip_proto::{HeaderName, Message, SipUri};

/// It belongs to a dialog, which this proxy must know to follow it: as it is it gets 481, and as
/// the beginning of a call it is proxied.
#[test]
fn wsinv() {
    let bytes = vector("wsinv");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(message.from_tag().as_deref(), Some("98asjd8"));
    assert_eq!(message.from_uri().as_deref(), Some("sip:jdrosen@example.com"));
    assert_eq!((message.max_forwards(), message.cseq()), (Some(68), (9, "INVITE")));
    assert_eq!(message.top_via().sent_by(), "192.0.2.2");
    assert_eq!(message.values(HeaderName::Via).len(), 3);
    assert_eq!(message.header_named("Subject").as_deref(), Some(""));
    let unusual = message.header_named("UnknownHeaderWithUnusualValue");
    assert_eq!(unusual.as_deref(), Some(";;,,;;,;"));
    assert_eq!(message.header_param(HeaderName::Contact, "newparam").as_deref(), Some("newvalue"));
    assert_eq!(message.header_param(HeaderName::Contact, "secondparam").as_deref(), Some(""));
    assert_eq!(message.body().len(), 150);
    edited(&bytes);
    assert!(refused(&bytes).starts_with("SIP/2.0 481 "));
    proxied(&with(&bytes, " ;   tag    = 1918181833n", ""));
}

#[test]
fn intmeth() {
    let bytes = vector("intmeth");
    let message = Message::parse(&bytes).unwrap();
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!((message.method(), message.cseq()), (Some(method), (139_122_385, method)));
    let uri = SipUri::parse(message.request_uri().unwrap()).unwrap();
    let user = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*";
    assert_eq!((uri.user, uri.host), (Some(user), "example.com"));
    assert_eq!(message.top_via().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(message.to_uri().unwrap(), format!("sip:{user}@example.com"));
    assert_eq!(message.from_uri().as_deref(), Some("sip:mundane@example.com"));
    assert_eq!(message.from_tag().as_deref(), Some("_token~1'+`*%!-."));
    let param = message.header_param(HeaderName::From, "fromParam''~+*_!.-%");
    assert_eq!(param.as_deref(), Some("работающий"));
    assert_eq!(message.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    let extension = message.header_named("extensionHeader-!.%*+_`'~");
    assert_eq!(extension.as_deref(), Some("\u{feff}大停電"));
    proxied(&bytes);
}

/// `%41` behind an escaped percent sign is not unescaped a second time: nothing is, on its way.
#[test]
fn esc01() {
    let bytes = vector("esc01");
    let message = Message::parse(&bytes).unwrap();
    let uri = SipUri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.user, uri.host), (Some("sips%3Auser%40example.com"), "example.net"));
    let to = message.to_uri().unwrap();
    assert_eq!(SipUri::parse(&to).unwrap().address_of_record(), "sip:user@example.com");
    let contact = message.header(HeaderName::Contact).unwrap();
    assert!(contact.contains("n%61me=v%61lue%25%34%31"), "{contact}");
    proxied(&bytes);
}

#[test]
fn escnull() {
    let register = registered(&vector("escnull"));
    assert_eq!(register.to.user, "null-%00-null");
    assert_eq!(register.to.address_of_record, "sip:null-%00-null@example.com");
    let uris: Vec<_> = register.bindings.iter().map(|it| it.uri.as_str()).collect();
    assert_eq!(uris, ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"]);
}

/// Its method is no REGISTER and one of its headers no Contact, whatever escapes would make of
/// them: a proxy sends it on.
#[test]
fn esc02() {
    let bytes = vector("esc02");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.method(), Some("RE%47IST%45R"));
    assert_eq!(message.values(HeaderName::Contact).len(), 2);
    assert!(message.header_named("C%6Fntact").is_some());
    proxied(&bytes);
}

#[test]
fn lwsdisp() {
    let bytes = vector("lwsdisp");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.from_uri().as_deref(), Some("sip:caller@example.com"));
    assert_eq!(message.from_tag().as_deref(), Some("323"));
    proxied(&bytes);
}

#[test]
fn longreq() {
    let bytes = vector("longreq");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.values(HeaderName::Via).len(), 34);
    assert_eq!(message.from_tag().unwrap(), format!("12{}424", "982".repeat(50)));
    let call_id = format!("longreq.one{}longcallid", "really".repeat(20));
    assert_eq!(message.call_id(), call_id);
    let to = message.to_uri().unwrap();
    let uri = SipUri::parse(&to).unwrap();
    assert_eq!((uri.host, uri.port), ("example.com", Some(6000)));
    let value = format!("very{}value", "long".repeat(20));
    assert_eq!(uri.param("unknownparam1"), Some(value.as_str()));
    proxied(&bytes);
}

/// Of two requests in one datagram only the first one is there.
#[test]
fn dblreq() {
    let bytes = vector("dblreq");
    assert_eq!(Message::parse(&bytes).unwrap().body(), b"");
    let register = registered(&bytes);
    assert_eq!(register.bindings[0].uri, "sip:j.user@host.example.com");
    let other = with(&with(&bytes, "REGISTER sip:", "MESSAGE sip:"), "8 REGISTER", "8 MESSAGE");
    let forwarded = proxied(&other);
    assert!(forwarded.ends_with(b"Content-Length: 0\r\n\r\n"));
}

/// The user is `user;par=u@example.net`: the escape stays, or the URI would mean another host.
#[test]
fn semiuri() {
    let bytes = vector("semiuri");
    let message = Message::parse(&bytes).unwrap();
    let uri = SipUri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.user, uri.host), (Some("user;par=u%40example.net"), "example.com"));
    assert_eq!(uri.params, "");
    proxied(&bytes);
}

#[test]
fn transports() {
    let bytes = vector("transports");
    let message = Message::parse(&bytes).unwrap();
    let vias = message.values(HeaderName::Via);
    let named = ["UDP t1", "SCTP t2", "TLS t3", "UNKNOWN t4", "TCP t5"];
    assert!(vias.iter().zip(named).all(|(via, named)| via.contains(named)), "{vias:?}");
    proxied(&bytes);
}

#[test]
fn mpart01() {
    let bytes = vector("mpart01");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.body().len(), 553);
    assert!(message.body().contains(&0) && message.body().contains(&0xff));
    let forwarded = proxied(&bytes);
    assert_eq!(Message::parse(&forwarded).unwrap().body(), message.body());
}

/// Under a Via that is not ours it is dropped; as the answer to a request of ours it reaches the
/// caller byte by byte.
#[test]
fn unreason() {
    let bytes = vector("unreason");
    let message = Message::parse(&bytes).unwrap();
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!((message.status(), message.reason().as_deref()), (Some(200), Some(reason)));
    assert_eq!(dropped(&bytes), "response for another element");
    let via = message.top_via().text();
    let mut call = answered(&bytes, "192.0.2.198:5060", &[via]);
    let turn = call.node.receive(BOB, &call.response);
    assert_eq!(turn.sent[0].flow.remote, flow(&call.caller).remote);
    assert_eq!(turn.sent[0].bytes, bytes);
}

/// A 100 is for the hop that sent the request: it stops the retransmissions and goes no further.
#[test]
fn noreason() {
    let bytes = vector("noreason");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.status(), message.reason().as_deref()), (Some(100), Some("")));
    assert_eq!(dropped(&bytes), "response for another element");
    let caller = "192.0.2.105:5060";
    let resent = |node: &mut Node| node.wait(10_000).to(BOB).len();
    let mut unanswered = answered(&bytes, caller, &[message.top_via().text()]);
    assert!(resent(&mut unanswered.node) > 0);
    let mut call = answered(&bytes, caller, &[message.top_via().text()]);
    assert!(call.node.receive(BOB, &call.response).sent.is_empty());
    assert_eq!(resent(&mut call.node), 0);
}
