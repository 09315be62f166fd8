//! Where a client is, and by what it is reached: as services say it (`192.0.2.1:5060`, or
//! `192.0.2.1:40000;transport=tcp`), and as our Record-Route does.

use resilee_membership::{Flow, Transport};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What marks a client over TCP in text.
const TCP: &str = ";transport=tcp";

/// Hexadecimal digits of a port.
const PORT_DIGITS: usize = 4;

/// A client's side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

impl Client {
    /// The client of a flow.
    pub(crate) fn of(flow: &Flow) -> Self {
        Client { address: flow.remote, transport: flow.transport }
    }

    /// The flow to this client, seen from where `other` comes to: from the same address, unless it
    /// is one of another IP version.
    pub(crate) fn flow_beside(self, other: &Flow) -> Flow {
        let remote = self.address;
        let local = match remote {
            _ if remote.is_ipv4() == other.local.is_ipv4() => other.local,
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        Flow { remote, local, transport: self.transport }
    }

    /// In hexadecimal: nothing that a URI would have to escape.
    pub(crate) fn digits(self) -> String {
        let port = self.address.port();
        let tcp = if self.transport == Transport::Tcp { "t" } else { "" };
        match self.address.ip() {
            IpAddr::V4(ip) => format!("{:08x}{port:04x}{tcp}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032x}{port:04x}{tcp}", ip.to_bits()),
        }
    }

    /// The other way round.
    pub(crate) fn from_digits(digits: &str) -> Option<Client> {
        let (digits, transport) = match digits.strip_suffix('t') {
            Some(digits) => (digits, Transport::Tcp),
            None => (digits, Transport::Udp),
        };
        let (ip, port) = digits.split_at_checked(digits.len().checked_sub(PORT_DIGITS)?)?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let ip = match ip.len() {
            8 => IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(ip, 16).ok()?)),
            32 => IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(ip, 16).ok()?)),
            _ => return None,
        };
        Some(Client { address: SocketAddr::new(ip, port), transport })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp = if self.transport == Transport::Tcp { TCP } else { "" };
        write!(f, "{}{tcp}", self.address)
    }
}

impl FromStr for Client {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, transport) = match text.strip_suffix(TCP) {
            Some(address) => (address, Transport::Tcp),
            None => (text, Transport::Udp),
        };
        Ok(Client { address: address.parse()?, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_back() {
        for text in ["192.0.2.10:40000", "[2001:db8::7]:5060", "0.0.0.0:0;transport=tcp"] {
            let one: Client = text.parse().unwrap();
            assert_eq!(one.to_string(), text);
            assert_eq!(Client::from_digits(&one.digits()), Some(one));
        }
        for text in ["", "t", "13c4", "c000020a", "c000020a13c4ff", "g000020a13c4", "é00020a13c4"]
        {
            assert_eq!(Client::from_digits(text), None, "{text}");
        }
    }

    #[test]
    fn a_client_of_another_ip_version_is_reached_from_any_address_of_that() {
        let flow = |text: &str| {
            let phone: Client = "192.0.2.1:5060".parse().unwrap();
            let local = "[2001:db8::1]:5060".parse().unwrap();
            let other = Flow { remote: phone.address, local, transport: Transport::Udp };
            text.parse::<Client>().unwrap().flow_beside(&other)
        };
        assert_eq!(flow("[2001:db8::9]:1").local, "[2001:db8::1]:5060".parse().unwrap());
        assert_eq!(flow("192.0.2.9:1;transport=tcp").local, "0.0.0.0:0".parse().unwrap());
        assert_eq!(flow("192.0.2.9:1;transport=tcp").transport, Transport::Tcp);
    }
}
