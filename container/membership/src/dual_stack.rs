//! An IPv6 socket that serves IPv4 clients, too, calls them `::ffff:192.0.2.1`. Everybody else
//! calls them by their own addresses.

use std::net::{IpAddr, SocketAddr};

/// A client's address as everybody else knows it.
pub fn canonical(seen: SocketAddr) -> SocketAddr {
    SocketAddr::new(seen.ip().to_canonical(), seen.port())
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
