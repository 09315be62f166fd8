//! User and address of record of a Request-URI, for requests whose event has only its text (an
//! older node took them), and for whether it is a SIP URI. Not
//! a URI parser: parameters, passwords and ports are passed over, nothing is unescaped.

use resilee_sip_api::Party;

/// Whom a `sip:` or `sips:` URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// User part; empty if there is none.
    pub(crate) user: String,
    /// `sip:user@host`, host in lower case; `sip:host` without a user.
    pub(crate) address_of_record: String,
}

/// Port of a URI without one (RFC 3261 §19.1.2).
const DEFAULT_PORT: &str = "5060";

/// Whether both URIs name the same user at the same host and port, whatever their parameters.
pub(crate) fn is_same_place(one: &str, other: &str) -> bool {
    place(one).is_some_and(|one| place(other) == Some(one))
}

fn place(uri: &str) -> Option<(String, &str)> {
    let callee = Callee::of_uri(uri)?;
    let (_, host_port) = host_port(uri.split_once(':')?.1);
    let (_, port) = host_port.rsplit_once(':').unwrap_or_default();
    // The last colon of an IPv6 address is none of a port.
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let has_port = is_port && !host_port.ends_with(']');
    Some((callee.address_of_record, if has_port { port } else { DEFAULT_PORT }))
}

/// User part, empty if there is none, and host with port, of what stands behind the scheme.
fn host_port(rest: &str) -> (&str, &str) {
    // A user part may hold `;` and `?`, so the `@` is looked for first.
    let (user, host_port) = rest.split_once('@').unwrap_or(("", rest));
    (user, host_port.split([';', '?']).next().unwrap_or_default())
}

impl Callee {
    /// Whom the adaptor has read out of it.
    pub(crate) fn of_party(party: &Party) -> Callee {
        let (user, address_of_record) = (party.user.clone(), party.address_of_record.clone());
        Callee { user, address_of_record }
    }

    /// Reads `uri`; `None` for another scheme or no host.
    pub(crate) fn of_uri(uri: &str) -> Option<Callee> {
        let (scheme, rest) = uri.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        let (user, host_port) = host_port(rest);
        let user = user.split(':').next().unwrap_or_default();
        let host = match host_port.find(']') {
            Some(end) => &host_port[..=end],
            None => host_port.split(':').next().unwrap_or_default(),
        };
        if host.is_empty() {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let address_of_record =
            if user.is_empty() { format!("sip:{host}") } else { format!("sip:{user}@{host}") };
        Some(Callee { user: user.to_owned(), address_of_record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_user_and_host_whatever_else_it_holds() {
        let named = [
            ("sip:bob@Example.COM", "bob", "sip:bob@example.com"),
            ("SIPS:Bob:secret@example.com:5061;transport=tls", "Bob", "sip:Bob@example.com"),
            ("sip:+1;phone-context=x@h?a=b", "+1;phone-context=x", "sip:+1;phone-context=x@h"),
            ("sip:bob@[2001:DB8::1]:5060", "bob", "sip:bob@[2001:db8::1]"),
            ("sip:example.com:5060;lr", "", "sip:example.com"),
            ("sip:@example.com", "", "sip:example.com"),
        ];
        for (uri, user, address) in named {
            let callee = Callee::of_uri(uri).expect(uri);
            assert_eq!((callee.user.as_str(), callee.address_of_record.as_str()), (user, address));
        }
    }

    #[test]
    fn a_place_is_a_user_at_a_host_and_port() {
        let bob = "sip:bob@10.0.0.1:5060;ob";
        for same in [bob, "sip:bob@10.0.0.1", "sip:bob@10.0.0.1?x=y", "sip:bob:pw@10.0.0.1;x=:1"] {
            assert!(is_same_place(bob, same), "{same}");
        }
        for other in ["sip:bob@10.0.0.1:5062", "sip:bo@10.0.0.1", "sip:bob@10.0.0.2", "tel:1"] {
            assert!(!is_same_place(bob, other), "{other}");
        }
        assert!(is_same_place("sip:b@[2001:DB8::1]", "sip:b@[2001:db8::1]:5060"));
        assert!(!is_same_place("sip:b@[2001:db8::1]:5062", "sip:b@[2001:db8::1]"));
        assert!(!is_same_place("tel:1", "tel:1"));
    }

    #[test]
    fn another_scheme_or_no_host_names_nobody() {
        for uri in ["", "bob", "tel:+1234", "sip:", "sip:bob@", "sip:bob@:5060", "sip:bob@;x"] {
            assert_eq!(Callee::of_uri(uri), None, "{uri}");
        }
    }
}
