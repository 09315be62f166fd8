//! Sets of IP addresses, written as addresses and prefixes (RFC 4632 §3.1, RFC 4291 §2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    /// How many bits count; the others of `address` are 0.
    bits: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// Neither an address nor a prefix.
    Syntax,
    /// Bits behind the prefix are not 0: this prefix would be meant, or another length.
    HostBits(Prefix),
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixError::Syntax => f.write_str(
                "an IP address or a prefix, like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32, is \
                 expected",
            ),
            PrefixError::HostBits(prefix) => {
                write!(f, "the address goes on behind the prefix: {prefix} would be one")
            }
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Syntax)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| PrefixError::Syntax)?;
        if bits > bits_max {
            return Err(PrefixError::Syntax);
        }
        let first = match address {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !host_v4(bits)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !host_v6(bits)).into(),
        };
        let prefix = Prefix { address: first, bits };
        if first == address { Ok(prefix) } else { Err(PrefixError::HostBits(prefix)) }
    }
}

/// The bits behind the prefix.
fn host_v4(bits: u8) -> u32 {
    u32::MAX.checked_shr(bits.into()).unwrap_or(0)
}

fn host_v6(bits: u8) -> u128 {
    u128::MAX.checked_shr(bits.into()).unwrap_or(0)
}

/// Many of them, as ranges: however many there are, one binary search finds the only one that
/// may hold an address.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Prefixes {
    pub(super) fn new(prefixes: &[Prefix]) -> Self {
        let mut all = Prefixes::default();
        for Prefix { address, bits } in prefixes {
            match address {
                IpAddr::V4(ip) => all.v4.push((ip.to_bits(), ip.to_bits() | host_v4(*bits))),
                IpAddr::V6(ip) => all.v6.push((ip.to_bits(), ip.to_bits() | host_v6(*bits))),
            }
        }
        make_disjoint(&mut all.v4);
        make_disjoint(&mut all.v6);
        all
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(ip) => is_in(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => is_in(&self.v6, ip.to_bits()),
        }
    }
}

/// Two prefixes are apart, or one holds the other, which is left out then.
fn make_disjoint<T: Copy + Ord>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    ranges.dedup_by(|next, kept| next.1 <= kept.1);
}

fn is_in<T: Copy + Ord>(ranges: &[(T, T)], value: T) -> bool {
    let behind = ranges.partition_point(|range| range.0 <= value);
    behind.checked_sub(1).is_some_and(|position| value <= ranges[position].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Prefixes {
        Prefixes::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn addresses_are_found_by_their_first_bits() {
        let all = prefixes(&[
            "192.0.2.0/24",
            "192.0.2.7",
            "10.0.0.0/8",
            "198.51.100.4/31",
            "2001:db8::/32",
            "2001:db8:1::/48",
            "fe80::1",
        ]);
        for text in ["192.0.2.0", "192.0.2.7", "192.0.2.255", "10.9.9.9", "198.51.100.5"] {
            assert!(all.contain(text.parse().unwrap()), "{text}");
        }
        for text in ["2001:db8::", "2001:db8:ffff::1", "fe80::1"] {
            assert!(all.contain(text.parse().unwrap()), "{text}");
        }
        for text in ["192.0.3.0", "192.0.1.255", "9.255.255.255", "198.51.100.6", "0.0.0.0"] {
            assert!(!all.contain(text.parse().unwrap()), "{text}");
        }
        for text in ["2001:db9::", "fe80::2", "::", "::a00:1"] {
            assert!(!all.contain(text.parse().unwrap()), "{text}");
        }
        assert!(prefixes(&["0.0.0.0/0"]).contain("203.0.113.1".parse().unwrap()));
        assert!(!prefixes(&["::/0"]).contain("203.0.113.1".parse().unwrap()), "IPv6 only");
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_is_expected() {
        for text in ["", "localhost", "192.0.2.0/33", "::/129", "1.2.3/8", "192.0.2.0/-1", "/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Syntax), "{text}");
        }
        let meant = |text: &str| text.parse::<Prefix>().unwrap_err().to_string();
        assert!(meant("192.0.2.1/24").ends_with("192.0.2.0/24 would be one"));
        assert!(meant("2001:db8::1/64").ends_with("2001:db8::/64 would be one"));
    }
}
