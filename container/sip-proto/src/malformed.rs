//! A request that is no [`Message`](crate::Message), but of which enough can be read to tell its
//! sender what is wrong with it.
//!
//! | what is wrong                                        | what becomes of it                  |
//! |------------------------------------------------------|-------------------------------------|
//! | a SIP version other than 2.0                         | 505                                 |
//! | a method nobody knows, CSeq names another one        | 501: a later version may define it  |
//! | anything else                                        | 400 that says what                  |
//! | a response, an ACK, no top Via that can be read      | no answer: none is due, or none     |
//! |                                                      | could find its way                  |
//! | too long, too many headers, a bare carriage return   | no answer: it was not meant well    |
//!
//! The answer repeats what came of Via, From, To, Call-ID and CSeq, and leaves out what did not;
//! of what came twice the first one. Not here: what is wrong with a message that can be read.

use crate::edit::amended_via;
use crate::header_line::HeaderLine;
use crate::header_name::HeaderName;
use crate::message::{HEADERS_MAX, ParseError, check_version, read_method, trim_end};
use crate::text::{is_closed, split_list, unfold};
use crate::uri::name_addr;
use crate::via::Via;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The registered methods. A 501 for one of them would be wrong: it is known, and malformed.
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

/// A malformed request that can be answered.
#[derive(Clone, Debug)]
pub struct Malformed<'a> {
    bytes: &'a [u8],
    headers: Vec<HeaderLine>,
    top_via: Via<'a>,
    status: u16,
    error: ParseError,
}

impl<'a> Malformed<'a> {
    /// Reads bytes that are no message because of `error`; `None` if they get no answer.
    pub fn read(bytes: &'a [u8], error: ParseError) -> Option<Malformed<'a>> {
        let skipped = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let bytes = &bytes[skipped..];
        let line_end = memchr::memchr(b'\n', bytes)?;
        let method = read_request_method(&bytes[trim_end(bytes, 0..line_end)])?;
        let status = status_of(error, method)?;
        let (headers, headers_end) = read_headers(bytes, line_end + 1);
        if has_bare_cr(&bytes[..headers_end]) {
            return None;
        }
        let top = headers.iter().find(|header| header.name == HeaderName::Via)?;
        let value = &bytes[top.value()];
        let top_via = Via::parse_of_any_version(unfold(&value[split_list(value).next()?]))?;
        Some(Malformed { bytes, headers, top_via, status, error })
    }

    /// Status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The top Via entry, of whatever SIP version.
    pub fn top_via(&self) -> &Via<'a> {
        &self.top_via
    }

    /// Call-ID; empty if there is none.
    pub fn call_id(&self) -> Cow<'a, str> {
        self.first(HeaderName::CallId).map_or(Cow::Borrowed(""), unfold)
    }

    /// User-Agent; empty if there is none.
    pub fn user_agent(&self) -> Cow<'a, str> {
        self.first(HeaderName::UserAgent).map_or(Cow::Borrowed(""), unfold)
    }

    /// The answer to the request, which came from `source`. The tag is put into the To if that
    /// can be read and has none.
    pub fn response(&self, source: SocketAddr, to_tag: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let reason = self.reason();
        bytes.extend_from_slice(format!("SIP/2.0 {} {reason}\r\n", self.status).as_bytes());
        let mut vias = self.headers.iter().filter(|header| header.name == HeaderName::Via);
        if let Some(top) = vias.next() {
            let value = &self.bytes[top.value()];
            let amended = amended_via(value, source.ip(), source.port());
            write(&mut bytes, HeaderName::Via, amended.as_deref().unwrap_or(value), "");
        }
        for via in vias {
            write(&mut bytes, HeaderName::Via, &self.bytes[via.value()], "");
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            let Some(value) = self.first(name) else { continue };
            let takes_tag = name == HeaderName::To && takes_tag(value);
            let tag = if takes_tag { format!(";tag={to_tag}") } else { String::new() };
            write(&mut bytes, name, value, &tag);
        }
        bytes.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        bytes
    }

    /// RFC 3261 §21.4.1: the reason phrase says what is wrong.
    fn reason(&self) -> String {
        match self.status {
            400 => format!("Bad Request: {}", self.error),
            status => crate::build::reason_phrase(status).to_owned(),
        }
    }

    fn first(&self, name: HeaderName) -> Option<&'a [u8]> {
        let found = self.headers.iter().find(|header| header.name == name)?;
        Some(&self.bytes[found.value()]).filter(|value| !value.is_empty())
    }
}

/// The method, if the line is a request line in all but details.
fn read_request_method(line: &[u8]) -> Option<&str> {
    let method = read_method(&line[..memchr::memchr(b' ', line)?])?;
    let version = &line[memchr::memrchr(b' ', line)? + 1..];
    let is_sip = !matches!(check_version(version), Err(ParseError::BadStartLine));
    is_sip.then_some(method)
}

fn status_of(error: ParseError, method: &str) -> Option<u16> {
    use ParseError::{BadVersion, BareCarriageReturn, CSeqMethodMismatch, TooLong, TooManyHeaders};
    match error {
        _ if method == "ACK" => None,
        ParseError::Empty | TooLong | TooManyHeaders | BareCarriageReturn => None,
        BadVersion => Some(505),
        CSeqMethodMismatch if !METHODS.contains(&method) => Some(501),
        _ => Some(400),
    }
}

/// The header lines that can be read, and where they end.
fn read_headers(bytes: &[u8], start: usize) -> (Vec<HeaderLine>, usize) {
    let mut headers: Vec<HeaderLine> = Vec::new();
    let mut at = start;
    let mut is_readable = false;
    while at < bytes.len() && headers.len() < HEADERS_MAX {
        let rest = &bytes[at..];
        let line_end = memchr::memchr(b'\n', rest).map_or(bytes.len(), |end| at + end + 1);
        match rest {
            [b'\n', ..] | [b'\r', b'\n', ..] => break,
            // A fold goes with its line, also if that could not be read.
            [b' ' | b'\t', ..] => {
                let folded = headers.last_mut().filter(|_| is_readable);
                folded.into_iter().for_each(|folded| folded.fold(bytes, line_end));
            }
            _ => {
                let line = HeaderLine::read(bytes, at..line_end);
                is_readable = line.is_ok();
                headers.extend(line);
            }
        }
        at = line_end;
    }
    (headers, at)
}

fn takes_tag(to: &[u8]) -> bool {
    let has_no_tag = name_addr(&unfold(to)).is_some_and(|to| to.tag().is_none());
    has_no_tag && is_closed(to)
}

fn write(bytes: &mut Vec<u8>, name: HeaderName, value: &[u8], suffix: &str) {
    for part in [name.long().as_bytes(), b": ", value, suffix.as_bytes(), b"\r\n"] {
        bytes.extend_from_slice(part);
    }
}

/// A carriage return without a line feed behind it.
fn has_bare_cr(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\r', head).any(|at| head.get(at + 1) != Some(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";

    fn answer(from: &str, to: &str) -> Option<String> {
        assert!(OPTIONS.contains(from), "{from}");
        let text = OPTIONS.replacen(from, to, 1);
        let error = Message::parse(text.as_bytes()).unwrap_err();
        let malformed = Malformed::read(text.as_bytes(), error)?;
        let bytes = malformed.response("192.0.2.1:99".parse().unwrap(), "t");
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_answer_repeats_what_came_and_says_what_is_wrong() {
        let expected = "SIP/2.0 400 Bad Request: bad CSeq\r\n\
            Via: SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.1\r\n\
            From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=t\r\nCall-ID: x\r\nCSeq: 1e OPTIONS\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(answer("1 OPTIONS", "1e OPTIONS").unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_with_its_folds() {
        let text = answer("To: <sip:a@b>", "T o: <sip:a@b>\r\n ;x\r\ni: x").unwrap();
        assert!(text.starts_with("SIP/2.0 400 Bad Request: bad header line\r\n"), "{text}");
        assert!(!text.contains(";x") && !text.contains("To:"), "{text}");
        assert_eq!(text.matches("Call-ID").count(), 1);
        let cut = answer("CSeq: 1 OPTIONS\r\n\r\n", "CSeq: 1 OPT").unwrap();
        assert!(cut.ends_with("CSeq: 1 OPT\r\nContent-Length: 0\r\n\r\n"), "{cut}");
    }

    #[test]
    fn no_tag_is_put_where_it_would_be_no_tag() {
        for (to, kept) in [("\"o <sip:a>", "\"o <sip:a>\r\n"), ("<sip:a>;tag=7", ";tag=7\r\n")] {
            let text = answer("<sip:a@b>\r\nCall-ID: x", to).unwrap();
            assert!(text.contains(kept), "{text}");
        }
    }

    #[test]
    fn versions_and_methods_of_the_future_get_answers_of_their_own() {
        assert!(answer("SIP/2.0\r", "SIP/2.1\r").unwrap().starts_with("SIP/2.0 505 Version"));
        let unknown = answer("OPTIONS sip:", "DANCE sip:").unwrap();
        assert!(unknown.starts_with("SIP/2.0 501 Not Implemented"));
        assert!(answer("OPTIONS sip:", "BYE sip:").unwrap().starts_with("SIP/2.0 400 "));
    }

    #[test]
    fn what_may_or_can_not_be_answered_is_not() {
        let many = format!("X: y\r\n{}Call-ID", "X: y\r\n".repeat(HEADERS_MAX));
        for (from, to) in [
            ("OPTIONS sip:", "ACK sip:"),
            ("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 700 x"),
            ("SIP/2.0\r", "HTTP/1.1\r"),
            ("OPTIONS sip:", "OPT(ONS sip:"),
            ("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", ""),
            ("UDP h;", "UDP h:x;"),
            ("Call-ID: x", "Call-ID: x\rEvil: y"),
            ("Call-ID: x", "T o: z\rEvil: y\r\nCall-ID: x"),
            ("Call-ID", &many),
        ] {
            assert_eq!(answer(from, to), None, "{from} -> {to}");
        }
        assert!(Malformed::read(b"\r\n", ParseError::Empty).is_none());
    }
}
