//! A message that came as a datagram, as it goes into a stream: what a datagram may lack or have
//! otherwise, and its reader needs to find the end of the headers and of the body.
//!
//! | as a datagram               | in a stream                                                   |
//! |-----------------------------|---------------------------------------------------------------|
//! | no Content-Length           | one: the body would be taken for the next message             |
//! |                             | (RFC 3261 §18.3, §20.14)                                      |
//! | header lines that end in LF | they end in CRLF: a strict reader looks for the blank line by |
//! |                             | CRLF CRLF (RFC 3261 §7)                                       |
//!
//! The body is never changed. Nearly all messages have both, and go on without a copy.

use resilee_sip_proto::{Edit, HeaderName, Message};
use std::borrow::Cow;

/// The message as a stream needs it.
pub(crate) fn fit_for_stream<'m>(message: &Message<'m>) -> Cow<'m, [u8]> {
    let body_length = message.body().len();
    let bytes = match message.header(HeaderName::ContentLength) {
        Some(_) => Cow::Borrowed(message.bytes()),
        None => {
            let length = body_length.to_string();
            let mut edit = Edit::new(message);
            Cow::Owned(edit.set(HeaderName::ContentLength.long(), &length).finish())
        }
    };
    let (headers, body) = bytes.split_at(bytes.len() - body_length);
    match has_bare_line_feed(headers) {
        false => bytes,
        true => Cow::Owned(with_line_ends(headers, body)),
    }
}

fn has_bare_line_feed(headers: &[u8]) -> bool {
    let mut before = 0;
    headers.iter().any(|byte| std::mem::replace(&mut before, *byte) != b'\r' && *byte == b'\n')
}

fn with_line_ends(headers: &[u8], body: &[u8]) -> Vec<u8> {
    let lines = headers.iter().filter(|byte| **byte == b'\n').count();
    let mut bytes = Vec::with_capacity(headers.len() + lines + body.len());
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                bytes.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                bytes.extend_from_slice(b"\r\n");
            }
            None => bytes.extend_from_slice(line),
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(text: &str) -> Cow<'_, str> {
        let message = Message::parse(text.as_bytes()).expect("a message");
        match fit_for_stream(&message) {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).expect("text")),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).expect("text")),
        }
    }

    const GOOD: &str = "MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
                        From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nSubject: a\r\n b\r\n\
                        Call-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Length: 7\r\n\r\na\nb\r\nc\n";

    #[test]
    fn a_message_that_is_fit_is_not_copied() {
        assert!(matches!(fit(GOOD), Cow::Borrowed(GOOD)));
    }

    #[test]
    fn header_lines_end_in_crlf_and_the_body_stays() {
        let (headers, body) = GOOD.split_once("\r\n\r\n").unwrap();
        let only_lf = format!("{}\n\n{body}", headers.replace("\r\n", "\n"));
        assert_eq!(fit(&only_lf), GOOD);
        let first_line = GOOD.replacen("\r\n", "\n", 1);
        assert_eq!(fit(&first_line), GOOD);
        let blank_line = GOOD.replacen("\r\n\r\n", "\r\n\n", 1);
        assert_eq!(fit(&blank_line), GOOD);
        let no_length = only_lf.replace("Content-Length: 7\n", "");
        assert_eq!(fit(&no_length), GOOD);
    }
}
