//! RFC 4475 §3.2 to §3.4: messages that can be read, but not all of them carried out.

use crate::harness::phone::{ALICE, BOB, invite};
use crate::harness::{Node, Policy, flow};
use crate::wire::{answered, dropped, proxied, refusal, refused, registered, sent_to_bob};
use crate::wire::{vector, with};
use resilee_sip_api::{OtherRequest, Register, SipCommand};
use resilee_sip_proto::{HeaderName, Message, SipUri, routing_key};

/// It is matched as a request of RFC 2543 is: also by Call-ID and CSeq number.
#[test]
fn badbranch() {
    let bytes = vector("badbranch");
    proxied(&bytes);
    let mut node = Node::for_bob();
    sent_to_bob(&node.receive(ALICE, &bytes));
    assert!(node.receive(ALICE, &bytes).sent.is_empty(), "a retransmission");
    sent_to_bob(&node.receive(ALICE, with(&bytes, "CSeq: 8 ", "CSeq: 9 ")));
}

/// The balancer cannot route it without a Call-ID, and drops it; a node's own answer names what
/// is missing first.
#[test]
fn insuf() {
    let bytes = vector("insuf");
    assert_eq!(routing_key::scan(&bytes), Err(routing_key::Unroutable::CallId));
    let expected = "SIP/2.0 400 Bad Request: no From\r\n\
        Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf;received=192.0.2.10\r\n\
        CSeq: 193942 INVITE\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(refused(&bytes), expected);
}

/// What the service gets of a request that is neither INVITE nor REGISTER, and answers with 416:
/// which schemes mean something to it, it alone knows (call control: none but `sip`).
fn told(bytes: &[u8]) -> OtherRequest {
    let refuse = SipCommand::Respond { status: 416, reason: String::new(), headers: Vec::new() };
    let turn = Node::new(Policy::Say(vec![refuse])).receive(ALICE, bytes);
    assert!(turn.sent[0].bytes.starts_with(b"SIP/2.0 416 Unsupported URI Scheme\r\n"));
    turn.event()
}

/// The To, which could be called, is not looked at instead.
#[test]
fn unkscm() {
    let uri = told(&vector("unkscm")).request_uri;
    assert_eq!(uri, "nobodyKnowsThisScheme:totallyopaquecontent");
    assert_eq!(SipUri::parse(&uri), None);
}

#[test]
fn novelsc() {
    let uri = told(&vector("novelsc")).request_uri;
    assert_eq!(uri, "soap.beep://192.0.2.103:3002");
    assert_eq!(SipUri::parse(&uri), None);
}

/// Here a registrar gets it; a request of another method is nobody's but the proxy's.
#[test]
fn unksm2() {
    let bytes = vector("unksm2");
    assert_eq!(refusal(&bytes), "400 To Is No SIP URI");
    let bytes = with(&bytes, "REGISTER sip:", "OPTIONS sip:");
    proxied(&with(&bytes, "234902 REGISTER", "234902 OPTIONS"));
}

/// A proxy says what it cannot do of Proxy-Require; Require is for the other end.
#[test]
fn bext01() {
    let answer = refused(&vector("bext01"));
    assert!(answer.starts_with("SIP/2.0 420 Bad Extension\r\n"), "{answer}");
    let unsupported = "\r\nUnsupported: noProxiesSupportThis, norDoAnyProxiesSupportThis\r\n";
    assert!(answer.contains(unsupported), "{answer}");
    let required = "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\r\n";
    proxied(&with(&vector("bext01"), required, ""));
}

#[test]
fn invut() {
    let forwarded = proxied(&vector("invut"));
    let body = Message::parse(&forwarded).unwrap().body();
    assert_eq!(body, b"<audio>\r\n <pcmu port=\"443\"/>\r\n</audio>\r\n");
}

/// The scheme is passed over: the registrar sees no credentials and challenges anew.
#[test]
fn regaut01() {
    let bytes = vector("regaut01");
    assert_eq!(registered(&bytes).credentials, None);
    let challenge = SipCommand::Challenge {
        realm: "r".to_owned(),
        stale: false,
        proxy: false,
        algorithms: Vec::new(),
    };
    let turn = Node::new(Policy::Say(vec![challenge])).receive(ALICE, &bytes);
    let answer = Message::parse(&turn.sent[0].bytes).unwrap();
    assert_eq!(answer.status(), Some(401));
    assert!(answer.header(HeaderName::WwwAuthenticate).unwrap().starts_with("Digest realm="));
    // On its way through a proxy it stays.
    let bytes = with(&with(&bytes, "REGISTER sip:", "OPTIONS sip:"), "9338 REGISTER", "1 OPTIONS");
    proxied(&bytes);
}

/// The answer repeats one of each header: two would make it malformed as well.
#[test]
fn multi01() {
    let answer = refused(&vector("multi01"));
    assert!(answer.starts_with("SIP/2.0 400 Bad Request: more than one From\r\n"), "{answer}");
    for name in ["From", "To", "Call-ID", "CSeq"] {
        assert_eq!(answer.matches(&format!("\r\n{name}: ")).count(), 1, "{answer}");
    }
    Message::parse(answer.as_bytes()).unwrap();
}

#[test]
fn mcl01() {
    assert_eq!(refusal(&vector("mcl01")), "400 Bad Request: more than one Content-Length");
}

/// Under a Via that is not ours it is dropped. Under ours it goes to where the request came
/// from, whatever the Via below says.
#[test]
fn bcast() {
    let bytes = vector("bcast");
    assert_eq!(Message::parse(&bytes).unwrap().values(HeaderName::Via).len(), 2);
    assert_eq!(dropped(&bytes), "response for another element");
    let below = "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23";
    let mut call = answered(&bytes, "192.0.2.66:5060", &[below]);
    let top = "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\n";
    let turn = call.node.receive(BOB, with(&call.response, top, ""));
    let [answer] = &turn.sent[..] else { panic!("one answer, not {}", turn.sent.len()) };
    assert_eq!(answer.flow.remote, flow(&call.caller).remote);
    assert!(answer.bytes.starts_with(format!("SIP/2.0 200 OK\r\nVia: {below}\r\n").as_bytes()));
}

#[test]
fn zeromf() {
    assert_eq!(refusal(&vector("zeromf")), "483 Too Many Hops");
}

#[test]
fn cparam01() {
    let register = registered(&vector("cparam01"));
    assert_eq!(register.bindings[0].uri, "sip:+19725552222@gw1.example.net");
}

#[test]
fn cparam02() {
    let register = registered(&vector("cparam02"));
    assert_eq!(register.bindings[0].uri, "sip:+19725552222@gw1.example.net;unknownparam");
}

/// The header is kept with the contact, and does not get into a Request-URI, where it is not
/// allowed (RFC 3261 §19.1.1).
#[test]
fn regescrt() {
    let Register { bindings, .. } = registered(&vector("regescrt"));
    let uri = "sip:user@example.com?Route=%3Csip:sip.example.com%3E";
    assert_eq!((bindings.len(), bindings[0].uri.as_str()), (1, uri));
    let mut node = Node::new(Policy::ProxyTo(vec![(uri, BOB)]));
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    assert!(at_bob.starts_with("INVITE sip:user@example.com SIP/2.0\r\n"), "{at_bob}");
    assert!(!at_bob.contains("sip.example.com"), "{at_bob}");
}

/// What the Accept asks for is between the two ends.
#[test]
fn sdp01() {
    proxied(&vector("sdp01"));
}

/// Legal in 1999. A call of this proxy is billed, and hung up for a client that fell silent: it
/// needs both ends' tags and contacts, so the client is told what is missing.
#[test]
fn inv2543() {
    let bytes = vector("inv2543");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.body().len(), message.top_via().branch()), (105, None));
    assert_eq!(message.to_uri().as_deref(), Some("sip:+16505552222@ss1.example.net"));
    assert_eq!(refusal(&bytes), "400 Missing From Tag");
    // What a dialog does not need may be missing: branch, Content-Length and Max-Forwards.
    let bytes = with(&bytes, ";user=phone>\r\n", ";user=phone>;tag=1\r\nContact: <sip:a@b>\r\n");
    proxied(&bytes);
}
