//! One entry of a Via header (RFC 3261 §20.42, RFC 3581), read but never printed from its parts.

use crate::message::read_digits;
use crate::text::{is_closed, is_host, is_same_word, is_space, is_token, param_ranges, trim};
use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Range;

/// One Via entry, read but kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The entry as written; the ranges below are of it.
    text: Cow<'a, str>,
    transport: Range<usize>,
    sent_by: Range<usize>,
    host: Range<usize>,
    port: Option<u16>,
    branch: Option<Range<usize>>,
    received: Option<Range<usize>>,
    /// `Some(None)` if the parameter has no value.
    rport: Option<Option<u16>>,
}

impl<'a> Via<'a> {
    /// Reads one entry, without its neighbours in a comma list.
    pub fn parse(text: Cow<'a, str>) -> Option<Via<'a>> {
        Via::read(text, |version| version == "2.0")
    }

    /// [`Self::parse`] for a request of any SIP version: its sender is told by a 505.
    pub(crate) fn parse_of_any_version(text: Cow<'a, str>) -> Option<Via<'a>> {
        Via::read(text, |version| is_closed(version.as_bytes()))
    }

    fn read(text: Cow<'a, str>, is_version: impl Fn(&str) -> bool) -> Option<Via<'a>> {
        let bytes = text.as_bytes();
        let (version, version_end) = read_version(&text)?;
        if !is_version(&text[version]) {
            return None;
        }
        let params_start =
            memchr::memchr(b';', &bytes[version_end..]).map_or(text.len(), |at| version_end + at);
        // Quotes and brackets that are in order can be nowhere else.
        if !is_closed(&bytes[params_start..]) {
            return None;
        }
        let rest = trim(bytes, version_end + 1..params_start);
        let transport_end = bytes[rest.clone()].iter().position(|byte| is_space(*byte))?;
        let transport = rest.start..rest.start + transport_end;
        if !bytes[transport.clone()].iter().all(|byte| is_token(*byte)) {
            return None;
        }
        let sent_by = trim(bytes, transport.end..rest.end);
        let (host, port) = host_port(&text[sent_by.clone()])?;
        let host = sent_by.start + host.start..sent_by.start + host.end;
        let mut via = Via {
            transport,
            sent_by,
            host,
            port,
            branch: None,
            received: None,
            rport: None,
            text: Cow::Borrowed(""),
        };
        via.read_params(&text, params_start);
        via.text = text;
        Some(via)
    }

    /// The entry as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `UDP`, `TCP`, ..., as written.
    pub fn transport(&self) -> &str {
        &self.text[self.transport.clone()]
    }

    /// `host[:port]` as written.
    pub fn sent_by(&self) -> &str {
        &self.text[self.sent_by.clone()]
    }

    /// Host of the sent-by; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.text[self.host.clone()]
    }

    /// Port of the sent-by.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        self.branch.clone().map(|range| &self.text[range])
    }

    /// The address the message really came from, written by the next hop; without brackets.
    pub fn received(&self) -> Option<&str> {
        self.received.clone().map(|range| &self.text[range])
    }

    /// `None`: no `rport`; `Some(None)`: asked for; `Some(Some(port))`: filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.rport
    }

    fn read_params(&mut self, text: &str, params_start: usize) {
        // Behind the first semicolon.
        let start = text.len().min(params_start + 1);
        let bytes = &text.as_bytes()[start..];
        for (name, value) in param_ranges(bytes) {
            let name = &bytes[name];
            let value = start + value.start..start + value.end;
            if is_same_word(name, b"branch") {
                self.branch.get_or_insert(value);
            } else if is_same_word(name, b"received") {
                self.received.get_or_insert(unbracketed(text, value));
            } else if is_same_word(name, b"rport") {
                self.rport.get_or_insert(text[value].parse().ok());
            }
        }
    }
}

/// Where the version is in `SIP/2.0/UDP`, and where the slash behind it is.
fn read_version(text: &str) -> Option<(Range<usize>, usize)> {
    // Nearly all are written so.
    if text.starts_with("SIP/2.0/") {
        return Some((4..7, 7));
    }
    let bytes = text.as_bytes();
    let name_end = memchr::memchr(b'/', bytes)?;
    let version_end = name_end + 1 + memchr::memchr(b'/', &bytes[name_end + 1..])?;
    let is_sip = text[..name_end].trim().eq_ignore_ascii_case("SIP");
    is_sip.then(|| (trim(bytes, name_end + 1..version_end), version_end))
}

/// Host (as a range, without the brackets of an IPv6 address) and port of `host[:port]`.
pub(crate) fn host_port(text: &str) -> Option<(Range<usize>, Option<u16>)> {
    let bytes = text.as_bytes();
    let (host, host_end) = if bytes.first() == Some(&b'[') {
        let end = memchr::memchr(b']', bytes)?;
        (1..end, end + 1)
    } else {
        let start = trim(bytes, 0..bytes.len()).start;
        let length = bytes[start..].iter().position(|byte| !is_host(*byte));
        let end = length.map_or(bytes.len(), |length| start + length);
        (start..end, end)
    };
    let is_valid =
        if host.end < host_end { is_ipv6(&text[host.clone()]) } else { !host.is_empty() };
    let after_host = trim(bytes, host_end..bytes.len());
    let port = match bytes[after_host.clone()] {
        [] => None,
        [b':', ..] => {
            let port = trim(bytes, after_host.start + 1..after_host.end);
            Some(u16::try_from(read_digits(&bytes[port])?).ok()?)
        }
        _ => return None,
    };
    is_valid.then_some((host, port))
}

/// The grammar of RFC 3261 also allows a third colon before the IPv4 part (RFC 5118 §4.10).
fn is_ipv6(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok()
        || host.contains(":::") && host.replacen(":::", "::", 1).parse::<Ipv6Addr>().is_ok()
}

fn unbracketed(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = &text.as_bytes()[range.clone()];
    match bytes {
        [b'[', .., b']'] => range.start + 1..range.end - 1,
        _ => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Option<Via<'_>> {
        Via::parse(Cow::Borrowed(text))
    }

    #[test]
    fn a_plain_via_is_read() {
        let via = via("SIP/2.0/UDP pc33.atlanta.com:5066;branch=z9hG4bKnash;rport").unwrap();
        assert_eq!(
            (via.transport(), via.host(), via.port()),
            ("UDP", "pc33.atlanta.com", Some(5066))
        );
        assert_eq!(via.sent_by(), "pc33.atlanta.com:5066");
        assert_eq!((via.branch(), via.received()), (Some("z9hG4bKnash"), None));
        assert_eq!(via.rport(), Some(None));
    }

    #[test]
    fn white_space_may_be_anywhere() {
        let via = via("SIP  / 2.0  / TCP     spindle.example.com   ;  branch  =   z9 ").unwrap();
        assert_eq!((via.transport(), via.host()), ("TCP", "spindle.example.com"));
        assert_eq!((via.branch(), via.rport()), (Some("z9"), None));
    }

    #[test]
    fn ipv6_addresses_lose_their_brackets() {
        let text = "SIP/2.0/TLS [2001:db8::9:1]:5061;received=[2001:db8::9:255];rport=99";
        let via = via(text).unwrap();
        assert_eq!((via.host(), via.port()), ("2001:db8::9:1", Some(5061)));
        assert_eq!(via.sent_by(), "[2001:db8::9:1]:5061");
        assert_eq!((via.received(), via.rport()), (Some("2001:db8::9:255"), Some(Some(99))));
    }

    #[test]
    fn a_third_colon_is_tolerated_rfc_5118_4_10() {
        let via = via("SIP/2.0/UDP [2001:db8:::192.0.2.1]:5061").unwrap();
        assert_eq!((via.host(), via.port()), ("2001:db8:::192.0.2.1", Some(5061)));
    }

    #[test]
    fn another_version_is_read_only_when_asked_for() {
        let text = Cow::Borrowed("SIP / 7.0/UDP c.example.com;branch=z9hG4bK1");
        assert_eq!(Via::parse(text.clone()), None);
        assert_eq!(Via::parse_of_any_version(text).unwrap().host(), "c.example.com");
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP host",
            "HTTP/2.0/UDP host",
            "SIP/2.0/UDP host:port",
            "SIP/2.0/UDP host:99999",
            "SIP/2.0/UDP host:+5060",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP [x]",
            "SIP/2.0/UDP [2001::::1]",
            "SIP/2.0/UDP ho st",
            "SIP/2.0/U(P host",
            "SIP/2.0/UDP host;x=\"y",
            "SIP/2.0/UDP host;x=<y",
        ] {
            assert_eq!(via(text), None, "{text}");
        }
    }
}
