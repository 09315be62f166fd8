//! An IPv6 socket that serves IPv4 clients, too, calls them `::ffff:192.0.2.1`. Everybody else
//! calls them by their own addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A client's address as everybody else knows it.
pub fn canonical(seen: SocketAddr) -> SocketAddr {
    SocketAddr::new(seen.ip().to_canonical(), seen.port())
}

/// The well-known prefix of IPv4 addresses behind a translator (RFC 6052 §2.1): 96 bits.
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// The IPv4 client that an address is one of: itself, as an IPv6 socket sees it, or as a server
/// without IPv4 gets it from a translator (RFC 7915, RFC 6146). All of IPv4 would be one network
/// otherwise.
pub fn ipv4_of(address: IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            let is_translated = bits >> 32 == TRANSLATED >> 32;
            let [.., a, b, c, d] = ip.octets();
            is_translated.then(|| Ipv4Addr::new(a, b, c, d))
        }
    }
}

/// A client's address as the socket bound to `own` knows it.
pub fn as_seen_by(own: SocketAddr, client: SocketAddr) -> SocketAddr {
    match client.ip() {
        IpAddr::V4(ip) if own.is_ipv6() => (ip.to_ipv6_mapped(), client.port()).into(),
        _ => client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_behind_a_translator_is_known_by_its_address() {
        let of = |text: &str| ipv4_of(text.parse().unwrap()).map(|ip| ip.to_string());
        for text in ["192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1"] {
            assert_eq!(of(text).as_deref(), Some("192.0.2.1"), "{text}");
        }
        for text in ["2001:db8::1", "64:ff9b::1:c000:201", "64:ff9b:1::c000:201", "::1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn an_ipv4_client_is_one_behind_either_socket() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let client = address("192.0.2.1:5060");
        for own in ["[::]:5060", "0.0.0.0:5060"] {
            assert_eq!(canonical(as_seen_by(address(own), client)), client);
        }
        assert_eq!(as_seen_by(address("[::]:1"), client), address("[::ffff:192.0.2.1]:5060"));
        let other = address("[2001:db8::1]:5060");
        assert_eq!(as_seen_by(address("[::]:1"), canonical(other)), other);
    }
}
