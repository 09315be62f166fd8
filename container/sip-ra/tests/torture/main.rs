//! The messages of RFC 4475, and those of RFC 5118 (IPv6): one test for each, named after the
//! RFC's own name for it.
//!
//! The vectors are the bytes of the archives in the RFCs' appendices. Each is sent to an adaptor:
//! what is valid must go on unharmed, what is not gets the answer that the RFC asks for, or is
//! dropped and counted. Where an RFC leaves the choice, the test says what was chosen and why.

#[path = "../harness/mod.rs"]
mod harness;

mod ipv6;
mod malformed;
mod semantics;
mod valid;
mod wire;

use resilee_sip_proto::{Message, routing_key};
use wire::{all, vector};

#[test]
fn all_messages_are_there() {
    assert_eq!((all("rfc4475").len(), all("rfc5118").len()), (49, 12));
}

/// What the balancer drops and counts: it needs a Call-ID to say whose a message is, and looks for
/// a Route to the end of the headers, which three messages of the archives lack.
#[test]
fn four_messages_do_not_get_past_the_balancer() {
    let cut = ["baddn", "ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"];
    for (name, bytes) in all("rfc4475").into_iter().chain(all("rfc5118")) {
        let key = routing_key::scan(&bytes).ok();
        let is_stopped = name == "insuf" || cut.contains(&name.as_str());
        assert_eq!(key.is_none(), is_stopped, "{name}");
        let (Some(key), Ok(message)) = (key, Message::parse(&bytes)) else { continue };
        assert_eq!(key.call_id, message.call_id().as_bytes(), "{name}");
        assert_eq!(key.cseq_number, Some(message.cseq().0), "{name}");
        assert_eq!(key.method, message.method(), "{name}");
    }
}

/// Whether lines end with LF or CRLF makes no difference to what is read.
#[test]
fn line_ends_make_no_difference() {
    for (name, bytes) in all("rfc5118") {
        let text = String::from_utf8(bytes).unwrap();
        let crlf = text.replace('\n', "\r\n");
        let (Ok(lf), Ok(crlf)) = (Message::parse(text.as_bytes()), Message::parse(crlf.as_bytes()))
        else {
            continue;
        };
        assert_eq!(lf.request_uri(), crlf.request_uri(), "{name}");
        assert!(lf.headers().eq(crlf.headers()), "{name}");
    }
    assert!(!vector("ipv6-good").contains(&b'\r'));
}
