//! The headers a proxy looks at, by their long and compact names (RFC 3261 §7.3.3).

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

/// Every variant but `Other`, with its long name.
const LONG_NAMES: [(HeaderName, &str); 20] = [
    (HeaderName::Via, "Via"),
    (HeaderName::From, "From"),
    (HeaderName::To, "To"),
    (HeaderName::CallId, "Call-ID"),
    (HeaderName::CSeq, "CSeq"),
    (HeaderName::Contact, "Contact"),
    (HeaderName::Route, "Route"),
    (HeaderName::RecordRoute, "Record-Route"),
    (HeaderName::MaxForwards, "Max-Forwards"),
    (HeaderName::Expires, "Expires"),
    (HeaderName::Authorization, "Authorization"),
    (HeaderName::ProxyAuthorization, "Proxy-Authorization"),
    (HeaderName::WwwAuthenticate, "WWW-Authenticate"),
    (HeaderName::ProxyAuthenticate, "Proxy-Authenticate"),
    (HeaderName::ContentType, "Content-Type"),
    (HeaderName::ContentLength, "Content-Length"),
    (HeaderName::ProxyRequire, "Proxy-Require"),
    (HeaderName::Require, "Require"),
    (HeaderName::Supported, "Supported"),
    (HeaderName::UserAgent, "User-Agent"),
];

impl HeaderName {
    /// The name for bytes of a message, long or compact, in any letter case.
    pub fn of(written: &[u8]) -> HeaderName {
        let long = long_name(written);
        let is_it = |entry: &&(HeaderName, &str)| long.eq_ignore_ascii_case(entry.1.as_bytes());
        LONG_NAMES.iter().find(is_it).map_or(HeaderName::Other, |entry| entry.0)
    }

    /// The long name; empty for [`HeaderName::Other`].
    pub fn long(self) -> &'static str {
        LONG_NAMES.iter().find(|entry| entry.0 == self).map_or("", |entry| entry.1)
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
        assert!(HeaderName::is_same(b"x", b"session-expires"));
        for (name, long) in LONG_NAMES {
            assert_eq!((HeaderName::of(long.as_bytes()), name.long()), (name, long));
        }
    }
}
