//! Reading URIs and name-addr values. Nothing is printed back from the parts: what we did not
//! create goes on as it was written. Not here: building URIs, nor `tel:` and other schemes.

use crate::text::{is_space, is_token, param};
use crate::via::host_port;

/// A `sip:` or `sips:` URI, cut into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipUri<'a> {
    /// `sip` or `sips`, as written.
    pub scheme: &'a str,
    /// User, without password.
    pub user: Option<&'a str>,
    /// Host; an IPv6 address without its brackets.
    pub host: &'a str,
    /// Port, if written.
    pub port: Option<u16>,
    /// Parameters as written, without the first semicolon.
    pub params: &'a str,
    /// Headers as written, without the question mark.
    pub headers: &'a str,
}

impl<'a> SipUri<'a> {
    /// Reads a bare URI (no angle brackets).
    pub fn parse(uri: &'a str) -> Option<SipUri<'a>> {
        let (scheme, rest) = uri.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        // A user may hold ';' and '?', but never an unescaped '@'.
        let (user, rest) = match rest.split_once('@') {
            Some((user_info, rest)) => (Some(user_info.split(':').next()?), rest),
            None => (None, rest),
        };
        if user == Some("") {
            return None;
        }
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (host_and_port, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = host_port(host_and_port)?;
        Some(SipUri { scheme, user, host: &host_and_port[host], port, params, headers })
    }

    /// A parameter's value; `Some("")` if it has none, as `lr`.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        param(self.params, name)
    }

    /// `sip:user@host` (host in lower case, no port, no parameters): the key of bindings.
    pub fn address_of_record(&self) -> String {
        let mut address = String::from("sip:");
        if let Some(user) = self.user {
            push_canonical(&mut address, user);
            address.push('@');
        }
        let is_ipv6 = self.host.contains(':');
        if is_ipv6 {
            address.push('[');
        }
        // Two and three colons before an IPv4 part are the same (RFC 5118 §4.10).
        address.push_str(&self.host.to_ascii_lowercase().replace(":::", "::"));
        if is_ipv6 {
            address.push(']');
        }
        address
    }
}

/// A URI without its headers (`?Route=...`), which must not get into a Request-URI
/// (RFC 3261 §19.1.1); one of another scheme than `sip` and `sips` as it is.
pub fn without_headers(uri: &str) -> &str {
    let Some(headers) = SipUri::parse(uri).map(|parsed| parsed.headers) else { return uri };
    let end = uri.len() - headers.len();
    uri[..end].strip_suffix('?').unwrap_or(uri)
}

/// A From, To, Contact, Route or Record-Route value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// Display name as written, quotes taken off; empty if none.
    pub display: &'a str,
    /// The URI, without brackets.
    pub uri: &'a str,
    /// Header parameters as written, without the first semicolon.
    pub params: &'a str,
}

impl<'a> NameAddr<'a> {
    /// A header parameter's value; `Some("")` if it has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        param(self.params, name)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }
}

/// Reads one value, not a comma list. A URI with a question mark needs its angle brackets: the
/// headers behind it could be the value's as well (RFC 3261 §20).
pub fn name_addr(value: &str) -> Option<NameAddr<'_>> {
    let value = value.trim();
    let Some(open) = find_open_bracket(value) else {
        let (uri, params) = value.split_once(';').unwrap_or((value, ""));
        let uri = uri.trim_end();
        let has_uri = !uri.is_empty() && !uri.contains(['"', ' ', '>', '?']);
        return has_uri.then_some(NameAddr { display: "", uri, params });
    };
    let display = value[..open].trim();
    let unquoted = display.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let (uri, rest) = value[open + 1..].split_once('>')?;
    let rest = rest.trim_start();
    // A second address behind the first one, for instance: who reads that one reads another name.
    let params = if rest.is_empty() { rest } else { rest.strip_prefix(';')? };
    let uri = uri.trim();
    (!uri.is_empty()).then_some(NameAddr { display: unquoted.unwrap_or(display), uri, params })
}

/// Whether what stands before the `<` of a value is a quoted string or tokens (RFC 3261 §25.1),
/// so that everybody reads the same name and address. Letters that are not ASCII pass unquoted:
/// many phones send them so, and nobody cuts a value there.
pub fn is_display_name_sound(value: &str) -> bool {
    let Some(open) = find_open_bracket(value) else { return true };
    let display = value[..open].trim().as_bytes();
    match display {
        [b'"', quoted @ .., b'"'] => !has_bare_quote(quoted),
        _ => display.iter().all(|byte| is_token(*byte) || is_space(*byte) || !byte.is_ascii()),
    }
}

/// A quote that no backslash escapes, or a backslash that would escape the one behind the text.
fn has_bare_quote(text: &[u8]) -> bool {
    let mut escaped = false;
    let is_bare = |byte: &u8| {
        let is_quote = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_quote
    };
    text.iter().any(is_bare) || escaped
}

/// The first `<` outside a quoted string.
fn find_open_bracket(value: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    value.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' => return !quoted,
            _ => {}
        }
        false
    })
}

/// RFC 3261 §10.3 step 5: escapes of characters that need none are taken off; the others stay,
/// in capitals, so that equal users have equal keys.
fn push_canonical(out: &mut String, user: &str) {
    let mut rest = user;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2);
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            out.push('%');
            rest = after;
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        rest = &after[2..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_cut_into_its_parts() {
        let uri =
            SipUri::parse("sips:alice:pw@Atlanta.com:5061;transport=tcp;lr?subject=x").unwrap();
        assert_eq!((uri.scheme, uri.user, uri.host), ("sips", Some("alice"), "Atlanta.com"));
        assert_eq!((uri.port, uri.headers), (Some(5061), "subject=x"));
        assert_eq!((uri.param("lr"), uri.param("transport")), (Some(""), Some("tcp")));
        assert_eq!(uri.param("maddr"), None);
        assert_eq!(uri.address_of_record(), "sip:alice@atlanta.com");
    }

    #[test]
    fn a_user_may_hold_a_semicolon_rfc_4475_semiuri() {
        let uri = SipUri::parse("sip:user;par=u%40example.net@example.com").unwrap();
        assert_eq!((uri.user, uri.params), (Some("user;par=u%40example.net"), ""));
        assert_eq!(uri.address_of_record(), "sip:user;par=u%40example.net@example.com");
    }

    #[test]
    fn ipv6_hosts_are_read_and_keyed() {
        let uri = SipUri::parse("sip:bob@[2001:DB8::10]:5070;c=1.2").unwrap();
        assert_eq!((uri.host, uri.port), ("2001:DB8::10", Some(5070)));
        assert_eq!(uri.address_of_record(), "sip:bob@[2001:db8::10]");
        assert_eq!(SipUri::parse("sip:[::1]").unwrap().user, None);
    }

    #[test]
    fn equal_users_have_equal_keys() {
        let key = |uri| SipUri::parse(uri).unwrap().address_of_record();
        assert_eq!(key("sip:%61lice@b"), key("sip:alice@B:5060"));
        assert_eq!(key("sip:a%2fb%3c@c"), "sip:a/b%3C@c");
        assert_eq!(key("sip:100%@c"), "sip:100%@c");
    }

    #[test]
    fn a_third_colon_makes_no_other_address_rfc_5118_4_10() {
        let key = |uri| SipUri::parse(uri).unwrap().address_of_record();
        assert_eq!(key("sip:a@[2001:db8:::192.0.2.1]"), key("sip:a@[2001:DB8::192.0.2.1]"));
    }

    #[test]
    fn headers_are_cut_off_sip_uris_alone() {
        assert_eq!(without_headers("sip:a@b;lr?Route=%3Csip:c%3E"), "sip:a@b;lr");
        assert_eq!(without_headers("sip:a?b@c?"), "sip:a?b@c");
        assert_eq!(without_headers("sips:a@b"), "sips:a@b");
        assert_eq!(without_headers("http://a?b"), "http://a?b");
    }

    #[test]
    fn what_is_no_sip_uri_is_refused() {
        for uri in ["", "sip:", "tel:+123", "sip:@host", "sip:a@", "sip:a@b:x", "sip:a@[1]", "a"] {
            assert_eq!(SipUri::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn name_addrs_are_read() {
        let alice = name_addr(r#""A \" <Alice>" <sip:a@b;lr>;tag=88;q=0.5"#).unwrap();
        assert_eq!(alice.display, r#"A \" <Alice>"#);
        assert_eq!(
            (alice.uri, alice.tag(), alice.param("q")),
            ("sip:a@b;lr", Some("88"), Some("0.5"))
        );
        let bare = name_addr("sip:a@b ; tag = 7").unwrap();
        assert_eq!((bare.uri, bare.tag()), ("sip:a@b", Some("7")));
        assert_eq!(name_addr("Bob X <sip:b@c> ; x").unwrap().display, "Bob X");
        assert_eq!(name_addr("*").unwrap().uri, "*");
    }

    #[test]
    fn display_names_are_quoted_or_tokens() {
        for value in [
            "sip:a@b",
            "<sip:a>",
            "Bob X.<sip:a>",
            "Ölaf <sip:a>",
            r#""a, \\\"<" <sip:a>"#,
            "\"\" <sip:a>",
        ] {
            assert!(is_display_name_sound(value), "{value}");
        }
        for value in ["Bell, A <sip:a>", "a;b <sip:a>", r#""a" b <sip:a>"#, r#""a" "b" <sip:a>"#] {
            assert!(!is_display_name_sound(value), "{value}");
        }
    }

    #[test]
    fn what_is_no_name_addr_is_refused() {
        for value in ["", "<>", "<sip:a", r#""open <sip:a>"#, "a b", "sip:a@b?Route=c"] {
            assert_eq!(name_addr(value), None, "{value}");
        }
    }
}
