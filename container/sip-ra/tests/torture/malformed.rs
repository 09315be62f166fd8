//! RFC 4475 §3.1.2: messages whose syntax is wrong.

use crate::harness::phone::{ALICE, BOB, Dialog, bob_answers, invite};
use crate::harness::{Node, parse};
use crate::wire::{
    completed, dropped, proxied, refusal, refused, registered, sent_to_bob, vector, with,
};
use resilee_sip_proto::{HeaderName, Message, ParseError};

/// The Via has entries that are none; the empty parameters of the Contact alone would pass.
#[test]
fn badinv01() {
    assert_eq!(refusal(&vector("badinv01")), "400 Bad Via");
    proxied(&with(&vector("badinv01"), "192.0.2.15;;,;,,", "192.0.2.15"));
}

#[test]
fn clerr() {
    let expected = "400 Bad Request: body shorter than Content-Length";
    assert_eq!(refusal(&vector("clerr")), expected);
}

#[test]
fn ncl() {
    let bytes = vector("ncl");
    assert_eq!(refusal(&bytes), "400 Bad Request: bad Content-Length");
    assert_eq!(refusal(&with(&bytes, "-999", "five")), "400 Bad Request: bad Content-Length");
    // The CSeq number of 0 is none of its faults.
    proxied(&with(&bytes, "-999", "152"));
}

/// Only the CSeq is a reason to refuse it. A Max-Forwards that is too large counts as none, so
/// that nobody gets more hops than others; expiries that are too large are as long as may be.
#[test]
fn scalar02() {
    let bytes = vector("scalar02");
    let answer = refused(&bytes);
    assert!(answer.starts_with("SIP/2.0 400 Bad Request: bad CSeq\r\n"), "{answer}");
    assert!(answer.contains("\r\nCSeq: 36893488147419103232 REGISTER\r\n"), "{answer}");
    let bytes = with(&bytes, "36893488147419103232", "1");
    let register = registered(&bytes);
    assert_eq!(register.expires_s, Some(u32::MAX));
    assert_eq!(register.bindings[0].expires_s, Some(u32::MAX));
    let bytes = with(&with(&bytes, "REGISTER sip:", "OPTIONS sip:"), "1 REGISTER", "1 OPTIONS");
    let at_bob = sent_to_bob(&Node::for_bob().receive(ALICE, &bytes));
    assert_eq!(Message::parse(&at_bob).unwrap().max_forwards(), Some(70));
}

#[test]
fn scalarlg() {
    let bytes = vector("scalarlg");
    assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::Bad(HeaderName::CSeq));
    assert_eq!(dropped(&bytes), "malformed");
}

/// The missing quote is not guessed: it could be anywhere.
#[test]
fn quotbal() {
    assert_eq!(refusal(&vector("quotbal")), "400 Bad From Or To");
}

#[test]
fn ltgtruri() {
    assert_eq!(refusal(&vector("ltgtruri")), "400 Bad Request-URI");
}

#[test]
fn lwsruri() {
    assert_eq!(refusal(&vector("lwsruri")), "400 Bad Request: bad start line");
}

/// Spaces too many are tolerated, since they mean nothing else, and do not go on.
#[test]
fn lwsstart() {
    let forwarded = proxied(&vector("lwsstart"));
    assert!(forwarded.starts_with(b"INVITE sip:bob@192.0.2.20:5060;ob SIP/2.0\r\n"));
}

/// As [`lwsstart`].
#[test]
fn trws() {
    let forwarded = proxied(&vector("trws"));
    assert!(forwarded.starts_with(b"OPTIONS sip:bob@192.0.2.20:5060;ob SIP/2.0\r\n"));
}

/// The RFC also lets one ignore the headers. They are no honest client's: it is refused, and
/// within a call, which must be able to end, they are taken off.
#[test]
fn escruri() {
    assert_eq!(refusal(&vector("escruri")), "400 Headers In Request-URI");
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    let bye = dialog.by_alice("BYE", 2);
    let bye = with(bye.as_bytes(), ";ob SIP/2.0", ";ob?Route=%3Csip:example.com%3E SIP/2.0");
    let at_bob = node.receive(ALICE, bye).only(BOB);
    assert_eq!(parse(&at_bob).request_uri(), Some("sip:bob@192.0.2.20:5060;ob"));
}

/// A proxy has no use for the Date: it goes on as it is.
#[test]
fn baddate() {
    proxied(&vector("baddate"));
}

/// The brackets are not guessed: behind a question mark could be parameters of either.
#[test]
fn regbadct() {
    assert_eq!(refusal(&vector("regbadct")), "400 Bad Contact");
}

/// The spaces around the URI cannot be misread: they are passed over, and go on as they came.
#[test]
fn badaspec() {
    let bytes = vector("badaspec");
    let to = Message::parse(&bytes).unwrap().to_uri().map(|uri| uri.into_owned());
    assert_eq!(to.as_deref(), Some("sip:t.watson@example.org"));
    proxied(&bytes);
}

/// A comma outside quotes may be read as the end of the value. From and To go on as they came,
/// so it is refused. (In the archive it has no blank line, which is a fault of its own.)
#[test]
fn baddn() {
    let expected = "400 Bad Request: no blank line after the headers";
    assert_eq!(refusal(&vector("baddn")), expected);
    let bytes = completed("baddn", "\r\n");
    assert_eq!(refusal(&bytes), "400 Bad From Or To");
    let bytes = with(&bytes, "Bell, Alexander", "\"Bell, Alexander\"");
    assert_eq!(refusal(&bytes), "400 Bad From Or To");
    proxied(&with(&bytes, "Watson, Thomas", "\"Watson, Thomas\""));
}

#[test]
fn badvers() {
    let answer = refused(&vector("badvers"));
    let start = "SIP/2.0 505 Version Not Supported\r\nVia: SIP/7.0/UDP c.example.com;branch=";
    assert!(answer.starts_with(start), "{answer}");
    assert!(answer.contains("\r\nTo: T. Watson <sip:t.watson@example.org>;tag="), "{answer}");
}

#[test]
fn mismatch01() {
    let expected = "400 Bad Request: CSeq names another method";
    assert_eq!(refusal(&vector("mismatch01")), expected);
}

/// A 400 would do as well; the 501 also tells the client of a later SIP why.
#[test]
fn mismatch02() {
    assert_eq!(refusal(&vector("mismatch02")), "501 Not Implemented");
}

#[test]
fn bigcode() {
    let bytes = vector("bigcode");
    assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::BadStartLine);
    assert_eq!(dropped(&bytes), "not SIP");
}
