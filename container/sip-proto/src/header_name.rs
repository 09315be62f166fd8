//! The headers a proxy looks at, by their long and compact names (RFC 3261 §7.3.3).

use crate::text::is_same_word;
use std::fmt;

/// A header's name; those without a variant are [`HeaderName::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderName {
    /// Via, v.
    Via,
    /// From, f.
    From,
    /// To, t.
    To,
    /// Call-ID, i.
    CallId,
    /// CSeq.
    CSeq,
    /// Contact, m.
    Contact,
    /// Route.
    Route,
    /// Record-Route.
    RecordRoute,
    /// Max-Forwards.
    MaxForwards,
    /// Max-Breadth.
    MaxBreadth,
    /// Expires.
    Expires,
    /// Authorization.
    Authorization,
    /// Proxy-Authorization.
    ProxyAuthorization,
    /// WWW-Authenticate.
    WwwAuthenticate,
    /// Proxy-Authenticate.
    ProxyAuthenticate,
    /// Content-Type, c.
    ContentType,
    /// Content-Length, l.
    ContentLength,
    /// Proxy-Require.
    ProxyRequire,
    /// Require.
    Require,
    /// Supported, k.
    Supported,
    /// User-Agent.
    UserAgent,
    /// Any other.
    Other,
}

impl HeaderName {
    /// How many there are.
    pub(crate) const COUNT: usize = HeaderName::Other as usize + 1;

    /// Its place in a set of names.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The name in front of a header line that is written as in the RFC, with a colon right behind
    /// it: nearly all are, and nothing else has to be looked at in those. Of others and of headers
    /// that few messages have there is none: [`Self::of`] knows them all.
    #[inline]
    pub(crate) fn in_front_of(line: &[u8]) -> Option<HeaderName> {
        use HeaderName::*;
        let name = match line.first()? {
            b'V' if line.starts_with(b"Via:") => Via,
            b'F' if line.starts_with(b"From:") => From,
            b'T' if line.starts_with(b"To:") => To,
            b'C' if line.starts_with(b"Call-ID:") => CallId,
            b'C' if line.starts_with(b"CSeq:") => CSeq,
            b'C' if line.starts_with(b"Contact:") => Contact,
            b'C' if line.starts_with(b"Content-Type:") => ContentType,
            b'C' if line.starts_with(b"Content-Length:") => ContentLength,
            b'R' if line.starts_with(b"Route:") => Route,
            b'R' if line.starts_with(b"Record-Route:") => RecordRoute,
            b'M' if line.starts_with(b"Max-Forwards:") => MaxForwards,
            b'M' if line.starts_with(b"Max-Breadth:") => MaxBreadth,
            b'E' if line.starts_with(b"Expires:") => Expires,
            b'S' if line.starts_with(b"Supported:") => Supported,
            b'U' if line.starts_with(b"User-Agent:") => UserAgent,
            _ => return None,
        };
        Some(name)
    }

    /// The name for bytes of a message, long or compact, in any letter case.
    pub fn of(written: &[u8]) -> HeaderName {
        use HeaderName::*;
        let long = long_name(written);
        // Length and first letter leave one name, or two that the second letter tells apart.
        let candidate = match (long.len(), long.first().map(u8::to_ascii_lowercase)) {
            (2, Some(b't')) => To,
            (3, Some(b'v')) => Via,
            (4, Some(b'f')) => From,
            (4, Some(b'c')) => CSeq,
            (5, Some(b'r')) => Route,
            (7, Some(b'c')) if long[1].eq_ignore_ascii_case(&b'a') => CallId,
            (7, Some(b'c')) => Contact,
            (7, Some(b'e')) => Expires,
            (7, Some(b'r')) => Require,
            (9, Some(b's')) => Supported,
            (10, Some(b'u')) => UserAgent,
            (11, Some(b'm')) => MaxBreadth,
            (12, Some(b'c')) => ContentType,
            (12, Some(b'm')) => MaxForwards,
            (12, Some(b'r')) => RecordRoute,
            (13, Some(b'a')) => Authorization,
            (13, Some(b'p')) => ProxyRequire,
            (14, Some(b'c')) => ContentLength,
            (16, Some(b'w')) => WwwAuthenticate,
            (18, Some(b'p')) => ProxyAuthenticate,
            (19, Some(b'p')) => ProxyAuthorization,
            _ => return Other,
        };
        if is_same_word(long, candidate.long().as_bytes()) { candidate } else { Other }
    }

    /// The long name; empty for [`HeaderName::Other`].
    pub fn long(self) -> &'static str {
        use HeaderName::*;
        match self {
            Via => "Via",
            From => "From",
            To => "To",
            CallId => "Call-ID",
            CSeq => "CSeq",
            Contact => "Contact",
            Route => "Route",
            RecordRoute => "Record-Route",
            MaxForwards => "Max-Forwards",
            MaxBreadth => "Max-Breadth",
            Expires => "Expires",
            Authorization => "Authorization",
            ProxyAuthorization => "Proxy-Authorization",
            WwwAuthenticate => "WWW-Authenticate",
            ProxyAuthenticate => "Proxy-Authenticate",
            ContentType => "Content-Type",
            ContentLength => "Content-Length",
            ProxyRequire => "Proxy-Require",
            Require => "Require",
            Supported => "Supported",
            UserAgent => "User-Agent",
            Other => "",
        }
    }

    /// Its value is a comma list (RFC 3261 §7.3.1): `A: x, y` means `A: x` and `A: y`.
    pub fn is_list(self) -> bool {
        use HeaderName::{Contact, ProxyRequire, RecordRoute, Require, Route, Supported, Via};
        matches!(self, Via | Contact | Route | RecordRoute | ProxyRequire | Require | Supported)
    }

    /// Whether two names, long or compact, are of the same header.
    pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
        long_name(one).eq_ignore_ascii_case(long_name(other))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == HeaderName::Other { "other header" } else { self.long() })
    }
}

/// The long name of a compact one; any other name as it is. All registered forms are here.
fn long_name(written: &[u8]) -> &[u8] {
    let [letter] = written else { return written };
    match letter.to_ascii_lowercase() {
        b'a' => b"Accept-Contact",
        b'b' => b"Referred-By",
        b'c' => b"Content-Type",
        b'd' => b"Request-Disposition",
        b'e' => b"Content-Encoding",
        b'f' => b"From",
        b'i' => b"Call-ID",
        b'j' => b"Reject-Contact",
        b'k' => b"Supported",
        b'l' => b"Content-Length",
        b'm' => b"Contact",
        b'n' => b"Identity-Info",
        b'o' => b"Event",
        b'r' => b"Refer-To",
        b's' => b"Subject",
        b't' => b"To",
        b'u' => b"Allow-Events",
        b'v' => b"Via",
        b'x' => b"Session-Expires",
        b'y' => b"Identity",
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_long_and_compact_in_any_case() {
        assert_eq!(HeaderName::of(b"cAlL-iD"), HeaderName::CallId);
        assert_eq!(HeaderName::of(b"I"), HeaderName::CallId);
        assert_eq!(HeaderName::of(b"k"), HeaderName::Supported);
        assert_eq!(HeaderName::of(b"X-Via"), HeaderName::Other);
        assert_eq!(HeaderName::in_front_of(b"Call-ID:x"), Some(HeaderName::CallId));
        assert_eq!(HeaderName::in_front_of(b"Call-ID :x"), None);
        assert!(HeaderName::is_same(b"x", b"session-expires"));
        let names = [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
            HeaderName::Contact,
            HeaderName::Route,
            HeaderName::RecordRoute,
            HeaderName::MaxForwards,
            HeaderName::MaxBreadth,
            HeaderName::Expires,
            HeaderName::Authorization,
            HeaderName::ProxyAuthorization,
            HeaderName::WwwAuthenticate,
            HeaderName::ProxyAuthenticate,
            HeaderName::ContentType,
            HeaderName::ContentLength,
            HeaderName::ProxyRequire,
            HeaderName::Require,
            HeaderName::Supported,
            HeaderName::UserAgent,
        ];
        for name in names {
            let line = format!("{}: x\r\n", name.long());
            assert!(HeaderName::in_front_of(line.as_bytes()).is_none_or(|found| found == name));
            assert_eq!(HeaderName::of(name.long().as_bytes()), name);
            assert_eq!(HeaderName::of(name.long().to_uppercase().as_bytes()), name);
            assert_eq!(HeaderName::of(format!("{}x", name.long()).as_bytes()), HeaderName::Other);
        }
    }
}
