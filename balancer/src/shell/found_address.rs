//! The addresses at which clients are, if another program moves them: whether this host has them.
//!
//! The kernel is asked as for a route: so it does not matter whether a socket may be bound to what
//! is not there (`ip_nonlocal_bind`), nor how the address became one of this host. A process that
//! may not ask takes them for there, as long as sockets can be bound to them.

use super::RunError;
use super::netlink::{Answer, Netlink, NetlinkError};
use crate::config::Config;
use futures_util::StreamExt as _;
use resilee_config::Place;
use rtnetlink::packet_route::route::{RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;

/// The addresses of `listen` and `tcp_listen` that are no wildcards, and where they are configured.
pub(super) struct FoundAddresses {
    addresses: BTreeMap<IpAddr, Place>,
    netlink: Option<Netlink>,
}

impl FoundAddresses {
    pub(super) fn open(config: &Config) -> Self {
        let netlink = Netlink::start().inspect_err(|error| {
            tracing::warn!("whether addresses are at this host is not known: netlink: {error}");
        });
        let all = config.client_addresses().map(|(address, place)| (address.ip(), place.clone()));
        let addresses = all.filter(|(ip, _)| !ip.is_unspecified()).collect();
        FoundAddresses { addresses, netlink: netlink.ok() }
    }

    /// All of them are there.
    pub(super) async fn find(&self) -> Result<(), RunError> {
        for (ip, place) in &self.addresses {
            let what = match self.is_local(*ip).await {
                Ok(true) => continue,
                Ok(false) => {
                    "is no address of this host now: whoever moves it has it elsewhere".to_owned()
                }
                Err(error) => format!("may be no address of this host now: {error}"),
            };
            return Err(place.error(format!("{ip} {what}")).into());
        }
        Ok(())
    }

    async fn is_local(&self, ip: IpAddr) -> Answer<bool> {
        let Some(netlink) = &self.netlink else { return Ok(true) };
        let ask = |handle: Handle| async move {
            let answers = handle.route().get(question(ip)).execute();
            pin!(answers).next().await.unwrap_or(Err(rtnetlink::Error::RequestFailed))
        };
        match netlink.ask(ask).await {
            Ok(route) => Ok(route.header.kind == RouteType::Local),
            // There is no way to it.
            Err(NetlinkError::Kernel(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Which way goes what is sent there?
fn question(ip: IpAddr) -> RouteMessage {
    match ip {
        IpAddr::V4(ip) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(ip, 32).build(),
        IpAddr::V6(ip) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(ip, 128).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn an_address_of_this_host_is_found_and_another_one_is_not() {
        let netlink = Netlink::start().unwrap();
        let found = FoundAddresses { addresses: BTreeMap::new(), netlink: Some(netlink) };
        for (ip, is_local) in [("127.0.0.1", true), ("192.0.2.10", false), ("2001:db8::1", false)] {
            assert_eq!(found.is_local(ip.parse().unwrap()).await.unwrap(), is_local, "{ip}");
        }
    }
}
