//! The addresses that clients know: one, or one of each IP version. Each client is told the one
//! that it can reach.

use resilee_membership::{Flow, Transport};
use std::net::SocketAddr;

/// The cluster's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    first: SocketAddr,
    /// Of the other IP version.
    other: Option<SocketAddr>,
}

impl From<SocketAddr> for Advertised {
    fn from(first: SocketAddr) -> Self {
        Advertised { first, other: None }
    }
}

impl Advertised {
    /// One of each IP version; nothing if both are of the same.
    pub fn both(first: SocketAddr, other: SocketAddr) -> Option<Self> {
        let differ = first.is_ipv4() != other.is_ipv4();
        differ.then_some(Advertised { first, other: Some(other) })
    }

    /// All of them.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        [Some(self.first), self.other].into_iter().flatten()
    }

    /// The one that this client is told.
    pub(crate) fn to(&self, client: &Flow) -> SocketAddr {
        let is_v4 = client.remote.ip().to_canonical().is_ipv4();
        self.addresses().find(|own| own.is_ipv4() == is_v4).unwrap_or(self.first)
    }

    /// Whether it is one of them, also as IPv6 writes an IPv4 address (RFC 4291 §2.5.5.2).
    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        let place = |it: SocketAddr| (it.ip().to_canonical(), it.port());
        self.addresses().any(|own| place(own) == place(address))
    }
}

/// Our Via in a request to this client.
pub(crate) fn via(advertised: &Advertised, client: &Flow, branch: &str) -> String {
    let transport = match client.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    };
    format!("SIP/2.0/{transport} {};branch={branch};rport", advertised.to(client))
}

/// Where this client reaches us, as a URI without parameters of its own.
pub(crate) fn contact(advertised: &Advertised, client: &Flow) -> String {
    let address = advertised.to(client);
    match client.transport {
        Transport::Udp => format!("sip:{address}"),
        Transport::Tcp => format!("sip:{address};transport=tcp"),
    }
}

/// Where this client sends what goes by our Record-Route, as a URI without parameters of its own.
pub(crate) fn uri(advertised: &Advertised, client: &Flow) -> String {
    format!("{};lr", contact(advertised, client))
}
