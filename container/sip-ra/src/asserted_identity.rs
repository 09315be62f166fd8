//! What a client asserts of itself or of others, which only a trusted element may: there is none
//! besides this server, so it is taken off, of requests and of responses (RFC 3325 §5, §6).
//!
//! Who calls is what From says, which call control compares with the credentials. Nothing is set
//! in place of what is taken off: who gets it would have to be trusted to heed `Privacy`.

use resilee_sip_proto::{Edit, HeaderName, Message};

/// Headers that say who somebody is, and that phones show or believe before From.
const ASSERTIONS: [&str; 4] =
    ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "P-Asserted-Service"];

/// Takes them off.
pub(crate) fn strip_assertions(message: &Message<'_>, edit: &mut Edit<'_>) {
    let is_assertion =
        |written: &str| ASSERTIONS.iter().find(|it| it.eq_ignore_ascii_case(written));
    for (name, written, _) in message.headers() {
        if name == HeaderName::Other
            && let Some(assertion) = is_assertion(written.trim())
        {
            edit.remove(assertion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_asserts_of_itself_is_taken_off_in_any_letter_case() {
        let text = "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
                    From: <sip:a@b>;tag=1\r\nP-ASSERTED-identity: <sip:boss@b>\r\n\
                    To: <sip:b@c>\r\nCall-ID: 1\r\nRemote-Party-ID : <sip:boss@b>\r\n\
                    P-Preferred-Identity: <sip:boss@b>,\r\n <tel:1>\r\nP-Early-Media: x\r\n\
                    CSeq: 1 OPTIONS\r\n\r\n";
        let message = Message::parse(text.as_bytes()).expect("a request");
        let mut edit = Edit::new(&message);
        strip_assertions(&message, &mut edit);
        let left = String::from_utf8(edit.finish()).expect("text");
        assert!(!left.contains("boss") && !left.contains("tel:1"), "{left}");
        assert!(left.contains("P-Early-Media: x"), "{left}");
    }
}
