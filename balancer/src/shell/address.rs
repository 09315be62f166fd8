//! The addresses at which clients are, on an interface of this host, while this balancer serves.
//!
//! | what                         | how                                                         |
//! |------------------------------|-------------------------------------------------------------|
//! | taken, and kept              | added with a life of one second, again each 250 ms          |
//! | left                         | removed                                                     |
//! | its process dies, or stops   | their life ends: the kernel removes them, within 2 s        |
//! | neighbours are told          | when they are taken, and some times after (`announce.rs`)   |
//!
//! An address that another balancer has taken meanwhile is on two hosts for that second or two.
//! Its new holder tells the neighbours again and again, so that they send to that one.
//!
//! Not here: whether it serves (`balancer/pair.rs`), and the sockets there (`front.rs`).

use super::RunError;
use super::announce::announce;
use crate::config::Config;
use resilee_config::Located;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, CacheInfo};
use rtnetlink::{Handle, new_connection};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// So long an address lives without being taken again, in seconds: the least that Linux knows.
const LIFE_S: u32 = 1;

/// How often it is.
pub(super) const KEEP_EACH: Duration = Duration::from_millis(250);

/// Neighbours are told so many times of [`KEEP_EACH`] after an address was taken: over five
/// seconds, in which another host may still think that it has it.
const ANNOUNCED_AT: [u32; 7] = [0, 1, 2, 4, 8, 12, 20];

/// The addresses of `listen` and `tcp_listen`, and the interface that they are added to.
#[derive(Clone)]
pub(super) struct HostAddresses {
    interface: Located<String>,
    index: u32,
    addresses: BTreeSet<IpAddr>,
    netlink: Handle,
    /// How often they were taken since they were left.
    taken: u32,
}

impl HostAddresses {
    /// None if nobody is to add any. Must be called within a runtime.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, RunError> {
        let Some(interface) = config.interface.clone() else { return Ok(None) };
        let known = pnet_datalink::interfaces().into_iter().find(|it| it.name == interface.value);
        let index = known.map(|it| it.index).ok_or_else(|| {
            let what = "this host has no such interface: see `ip link` for those that it has";
            interface.place.error(format!("{:?}: {what}", interface.value))
        })?;
        let (connection, netlink, _) = new_connection()?;
        tokio::spawn(connection);
        let tcp = config.tcp_listen.iter().flatten().map(|address| address.value);
        let all = config.balancer.listen.iter().copied().chain(tcp);
        let addresses = all.map(|address| address.ip()).collect();
        Ok(Some(HostAddresses { interface, index, addresses, netlink, taken: 0 }))
    }

    /// Takes them, or keeps them for another second; neighbours are told now and then.
    pub(super) async fn take(&mut self) -> Result<(), RunError> {
        for ip in &self.addresses {
            self.add(*ip).await.map_err(|error| self.refused(*ip, "add", &error))?;
        }
        if ANNOUNCED_AT.contains(&self.taken) {
            for ip in &self.addresses {
                announce(&self.interface.value, *ip)
                    .map_err(|error| self.refused(*ip, "announce", &error))?;
            }
        }
        self.taken = self.taken.saturating_add(1);
        Ok(())
    }

    /// Leaves them to whoever serves now; those that are not there are none.
    pub(super) async fn leave(&mut self) {
        self.taken = 0;
        for ip in &self.addresses {
            let mut request = self.netlink.address().add(self.index, *ip, whole(*ip));
            let message = request.message_mut().clone();
            if let Err(error) = self.netlink.address().del(message).execute().await {
                tracing::debug!("{ip} on {}: {error}", self.interface.value);
            }
        }
    }

    async fn add(&self, ip: IpAddr) -> io::Result<()> {
        let mut request = self.netlink.address().add(self.index, ip, whole(ip)).replace();
        let mut life = CacheInfo::default();
        (life.ifa_preferred, life.ifa_valid) = (LIFE_S, LIFE_S);
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::CacheInfo(life));
        if ip.is_ipv6() {
            // It is ours by the nodes' votes: nobody needs to be asked whether it is free.
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        request.execute().await.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(error) => error.to_io(),
            other => io::Error::other(other),
        })
    }

    fn refused(&self, ip: IpAddr, verb: &str, error: &io::Error) -> RunError {
        let what = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "the capabilities CAP_NET_ADMIN and CAP_NET_RAW are needed for it".to_owned()
            }
            _ => error.to_string(),
        };
        let interface = &self.interface.value;
        self.interface.place.error(format!("cannot {verb} {ip} on {interface}: {what}")).into()
    }
}

/// The prefix of one address: its network is there by another address of the interface.
fn whole(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}
