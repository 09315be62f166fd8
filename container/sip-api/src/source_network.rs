//! The network that a message came from, as far as somebody who sends from it can be told from
//! others: an IPv4 address, or the /64 of an IPv6 address, of which a home has all addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The well-known prefix of IPv4 addresses behind a translator (RFC 6052 §2.1), 96 bits. A server
/// that has no IPv4 knows all its IPv4 clients by it, and they are not one network.
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// An IPv4 address, or 64 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceNetwork(IpAddr);

impl SourceNetwork {
    /// That of this address.
    pub fn of(address: IpAddr) -> Self {
        SourceNetwork(match address.to_canonical() {
            IpAddr::V6(ip) if ip.to_bits() >> 32 == TRANSLATED >> 32 => {
                let [.., a, b, c, d] = ip.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        })
    }

    /// What it has in common with all networks of one home, which may have a /56; none of an IPv4
    /// address.
    pub fn home(self) -> Option<u64> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 72).ok(),
        }
    }

    /// The same of one site, as a company or a rented server, which may have a /48.
    pub fn site(self) -> Option<u64> {
        self.home().map(|home| home >> 8)
    }

    /// Its bytes, to be hashed.
    pub fn bytes(self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }
    }
}

impl std::fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_with_ipv6_is_one_network_and_an_ipv4_address_is_one() {
        let of = |text: &str| SourceNetwork::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("64:ff9b::192.0.2.1"), of("192.0.2.1"), "behind a translator");
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_eq!(of("64:ff9b:1::1").to_string(), "64:ff9b:1::/64");
        assert_eq!(of("2001:db8::7").to_string(), "2001:db8::/64");
        assert_eq!(of("2001:db8::1").home(), of("2001:db8:0:ff::1").home());
        assert_ne!(of("2001:db8::1").home(), of("2001:db8:0:100::1").home());
        assert_eq!(of("192.0.2.1").home(), None);
        assert_eq!(of("2001:db8::1").site(), of("2001:db8:0:ffff::1").site());
        assert_ne!(of("2001:db8::1").site(), of("2001:db8:1::1").site());
        assert_eq!(of("192.0.2.1").site(), None);
    }
}
