//! What the balancer needs of a message: one pass over it, no allocation, stopped early.
//!
//! It reads the same values as [`crate::Message`] but checks far less: a message it can route may
//! still be malformed. Not here: MACs, which the node checks.

use crate::branch::{parse_branch_bytes, parse_route_cohort_bytes};
use crate::message::{MESSAGE_BYTES_MAX, read_digits};
use crate::text::{is_space, is_token, trim};

/// What decides where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingKey<'a> {
    /// A request, not a response.
    pub is_request: bool,
    /// The method of a request.
    pub method: Option<&'a str>,
    /// Call-ID, trimmed.
    pub call_id: &'a [u8],
    /// Number of the CSeq; `None` if it cannot be read, which the node answers.
    pub cseq_number: Option<u32>,
    /// Branch of the top Via; empty if it has none.
    pub top_via_branch: &'a [u8],
    /// `host[:port]` of the top Via.
    pub top_via_sent_by: &'a [u8],
    /// Of a response: from our branch in the top Via. Of a request: from the parameter `c` of the
    /// top Route, else of the Request-URI. `None` if there is none of ours.
    pub cohort: Option<u64>,
}

/// Why a message has no routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroutable {
    /// Nothing but line ends, or a first line that is neither a request's nor a response's.
    StartLine,
    /// More than [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// It ends within a header, before it says enough.
    Truncated,
    /// No Via, or one whose top entry cannot be read (RFC 3261 §20.42).
    Via,
    /// No Call-ID, or an empty one (§20.8).
    CallId,
    /// No CSeq (§20.16).
    Cseq,
}

/// Reads the routing key.
///
/// # Errors
/// Why the bytes are no SIP message that can be routed.
pub fn scan(bytes: &[u8]) -> Result<RoutingKey<'_>, Unroutable> {
    let skipped = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let bytes = &bytes[skipped.ok_or(Unroutable::StartLine)?..];
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Unroutable::TooLong);
    }
    let line_end = memchr::memchr(b'\n', bytes).ok_or(Unroutable::StartLine)?;
    let start_line = read_start_line(&bytes[..line_end]);
    let (method, request_uri) = start_line.ok_or(Unroutable::StartLine)?;
    let found = find_headers(bytes, line_end + 1, method.is_some()).ok_or(Unroutable::Truncated)?;
    let top_via = found.via.and_then(read_via);
    let (top_via_sent_by, top_via_branch) = top_via.ok_or(Unroutable::Via)?;
    let cohort = if method.is_some() {
        let of_route = found.route.and_then(parse_route_cohort_bytes);
        // A strict router has moved our Route into the Request-URI (RFC 3261 §16.4).
        of_route.or_else(|| parse_route_cohort_bytes(request_uri))
    } else {
        parse_branch_bytes(top_via_branch).map(|branch| branch.cohort)
    };
    let call_id = found.call_id.filter(|call_id| !call_id.is_empty());
    Ok(RoutingKey {
        is_request: method.is_some(),
        method,
        call_id: call_id.ok_or(Unroutable::CallId)?,
        cseq_number: read_cseq_number(found.cseq.ok_or(Unroutable::Cseq)?),
        top_via_branch,
        top_via_sent_by,
        cohort,
    })
}

/// Values of the headers that count, trimmed.
#[derive(Default)]
struct Found<'a> {
    via: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    /// Top entry of the Route, up to its `>`.
    route: Option<&'a [u8]>,
}

impl Found<'_> {
    /// A response needs no Route; a request without one is read to the end of its headers.
    fn is_enough(&self, is_request: bool) -> bool {
        let has_route = self.route.is_some() || !is_request;
        has_route && self.via.is_some() && self.call_id.is_some() && self.cseq.is_some()
    }
}

/// Method and Request-URI; neither for a response.
fn read_start_line(line: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let space = memchr::memchr(b' ', line)?;
    if line.get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return Some((None, &[]));
    }
    let method = &line[..space];
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let line = line.trim_ascii_end();
    let uri_end = memchr::memrchr(b' ', line)?.max(space + 1);
    // Any version: the node answers those that it does not speak.
    if !line[uri_end..].trim_ascii_start().get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    Some((Some(std::str::from_utf8(method).ok()?), &line[space + 1..uri_end]))
}

/// `None` if the message ends before it says enough.
fn find_headers(bytes: &[u8], start: usize, is_request: bool) -> Option<Found<'_>> {
    let mut found = Found::default();
    let mut at = start;
    while !found.is_enough(is_request) {
        let end = header_end(bytes, at)?;
        let line = &bytes[at..end];
        match line[0] | 0x20 {
            b'v' => keep_first(&mut found.via, value_of(line, b"via", b"v")),
            b'i' => keep_first(&mut found.call_id, value_of(line, b"i", b"i")),
            b'c' => match line.get(1).map(|byte| byte | 0x20) {
                Some(b'a') => keep_first(&mut found.call_id, value_of(line, b"call-id", b"i")),
                Some(b's') => keep_first(&mut found.cseq, value_of(line, b"cseq", b"cseq")),
                // Contact, Content-Type, Content-Length: nearly all messages have them.
                _ => {}
            },
            b'r' if is_request => {
                let value = value_of(line, b"route", b"route");
                let top = value.map(|value| match memchr::memchr2(b'>', b',', value) {
                    Some(end) => &value[..end],
                    None => value,
                });
                keep_first(&mut found.route, top);
            }
            _ if matches!(line, [b'\n', ..] | [b'\r', b'\n', ..]) => break,
            _ => {}
        }
        at = end;
    }
    Some(found)
}

fn keep_first<'a>(kept: &mut Option<&'a [u8]>, value: Option<&'a [u8]>) {
    if kept.is_none() {
        *kept = value;
    }
}

/// Behind the header that starts at `start`, its folds included.
pub(crate) fn header_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    loop {
        end += memchr::memchr(b'\n', &bytes[end..])? + 1;
        let is_blank = matches!(bytes[start], b'\n' | b'\r');
        if is_blank || !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return Some(end);
        }
    }
}

/// The value of the line if it is of this header.
pub(crate) fn value_of<'a>(line: &'a [u8], long: &[u8], compact: &[u8]) -> Option<&'a [u8]> {
    let line = &line[line.iter().position(|byte| !is_space(*byte))?..];
    let value = behind_name(line, long).or_else(|| behind_name(line, compact))?;
    Some(&value[trim(value, 0..value.len())])
}

/// What is behind this name and its colon. Most lines are of other headers, and the first bytes of
/// those say so: no search for the colon.
fn behind_name<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    let colon = rest.iter().position(|byte| !is_space(*byte))?;
    (rest[colon] == b':').then(|| &rest[colon + 1..])
}

/// Sent-by and branch of the first entry.
fn read_via(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let name_end = memchr::memchr(b'/', value)?;
    let version_end = name_end + 1 + memchr::memchr(b'/', &value[name_end + 1..])?;
    let rest = &value[trim(value, version_end + 1..value.len())];
    let transport_end = rest.iter().position(|byte| is_space(*byte))?;
    let rest = &rest[transport_end..];
    let entry_end = memchr::memchr(b',', rest).unwrap_or(rest.len());
    let entry = &rest[..entry_end];
    let sent_by_end = memchr::memchr(b';', entry).unwrap_or(entry.len());
    let sent_by = &entry[trim(entry, 0..sent_by_end)];
    Some((sent_by, branch_of(&entry[sent_by_end..])))
}

fn branch_of(mut params: &[u8]) -> &[u8] {
    while let Some(semicolon) = memchr::memchr(b';', params) {
        params = &params[semicolon + 1..];
        let end = memchr::memchr(b';', params).unwrap_or(params.len());
        let equals = memchr::memchr(b'=', &params[..end]).unwrap_or(end);
        if params[trim(params, 0..equals)].eq_ignore_ascii_case(b"branch") {
            return &params[trim(params, (equals + 1).min(end)..end)];
        }
    }
    &[]
}

fn read_cseq_number(value: &[u8]) -> Option<u32> {
    let end = value.iter().position(|byte| is_space(*byte))?;
    u32::try_from(read_digits(&value[..end])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::branch::{BranchIdentity, BranchKey};

    const KEY: BranchKey = BranchKey::new([7; 32]);

    fn our_branch() -> String {
        let identity = BranchIdentity {
            received_branch: "z9hG4bK1",
            received_sent_by: "a",
            call_id: "c",
            cseq_number: 1,
            target: 0,
            attempt: 0,
        };
        KEY.branch(0xbeef, &identity, b"")
    }

    #[test]
    fn a_request_is_keyed_by_its_top_route() {
        let token = KEY.route_token(0xbeef, "c1");
        let text = format!(
            "\r\nBYE sip:bob@192.0.2.4;c={} SIP/2.0\r\n\
             v: SIP/2.0/UDP [::1]:5060 ;x;Branch= z9hG4bK77 , SIP/2.0/UDP b;branch=other\r\n\
             Record-Route: <sip:no>\r\n\
             CSeq :\r\n 0231 BYE\r\ncall-id:  c1 \r\n\
             Route: <sip:lb;c={token};lr>, <sip:other>\r\n",
            KEY.route_token(1, "c1")
        );
        let key = scan(text.as_bytes()).unwrap();
        assert_eq!(
            (key.method, key.call_id, key.cseq_number),
            (Some("BYE"), &b"c1"[..], Some(231))
        );
        assert_eq!(key.top_via_branch, b"z9hG4bK77");
        assert_eq!(key.top_via_sent_by, b"[::1]:5060");
        assert_eq!(key.cohort, Some(0xbeef));
    }

    #[test]
    fn a_request_without_a_route_is_keyed_by_its_uri() {
        let token = KEY.route_token(0xabc, "c1");
        let text = format!(
            "BYE sip:bob@lb;c={token} SIP/2.0\r\nVia: SIP/2.0/UDP a\r\ni: c1\r\n\
             CSeq: 1 BYE\r\n\r\n"
        );
        let key = scan(text.as_bytes()).unwrap();
        assert_eq!((key.cohort, key.top_via_branch), (Some(0xabc), &b""[..]));
    }

    #[test]
    fn a_request_of_a_strict_router_is_keyed_by_its_uri() {
        let token = KEY.route_token(0xabc, "c1");
        let text = format!(
            "BYE sip:lb;lr;c={token} SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\
             Route: <sip:bob@192.0.2.4;ob>\r\ni: c1\r\nCSeq: 1 BYE\r\n\r\n"
        );
        assert_eq!(scan(text.as_bytes()).unwrap().cohort, Some(0xabc));
    }

    #[test]
    fn a_response_is_keyed_by_our_branch() {
        let text = format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP lb;branch={}\nCall-ID: c\nCSeq: 1 INVITE\n",
            our_branch()
        );
        let key = scan(text.as_bytes()).unwrap();
        assert_eq!((key.is_request, key.method, key.cohort), (false, None, Some(0xbeef)));
    }

    #[test]
    fn a_header_is_known_by_its_whole_name_however_it_is_written() {
        for line in ["Via:x", "VIA\t : x \r\n", "v :x\n", "via\r\n : x\r\n", " \tVia: x"] {
            assert_eq!(value_of(line.as_bytes(), b"via", b"v"), Some(&b"x"[..]), "{line:?}");
        }
        for line in ["", "V", "Via", "Via \r\n", "Vi:x", "Viaa:x", "Vi a:x", "\r\n", "-Via:x"] {
            assert_eq!(value_of(line.as_bytes(), b"via", b"v"), None, "{line:?}");
        }
        assert_eq!(value_of(b"v:", b"via", b"v"), Some(&b""[..]));
        assert_eq!(value_of(b"v::a:", b"via", b"v"), Some(&b":a:"[..]));
    }

    #[test]
    fn what_only_a_node_can_refuse_has_a_key() {
        let text = "INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCall-ID: b\r\nCSeq: x\r\n\r\n";
        assert_eq!(scan(text.as_bytes()).unwrap().cseq_number, None);
    }

    #[test]
    fn what_cannot_be_routed_has_no_key_and_a_reason() {
        use Unroutable::*;
        for (text, reason) in [
            ("", StartLine),
            ("\r\n\r\n", StartLine),
            ("INVITE", StartLine),
            ("GET / HTTP/1.1\r\n\r\n", StartLine),
            ("INVITE sip:a SIP/9.9\r\n\r\n", Via),
            ("\x01\x02 sip:a SIP/2.0\r\n\r\n", StartLine),
            ("INVITE sip:a SIP/2.0\r\n", Truncated),
            ("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCall-ID: b\r\n\r\nCSeq: 1 A\r\n", Cseq),
            ("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 INVITE\r\n\r\n", CallId),
            ("SIP/2.0 200 OK\r\nVia: SIP/2.0 a\r\nCall-ID: b\r\nCSeq: 1 INVITE\r\n\r\n", Via),
        ] {
            assert_eq!(scan(text.as_bytes()), Err(reason), "{text}");
        }
        let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
        assert_eq!(scan(long.as_bytes()), Err(TooLong));
    }
}
