//! The addresses at which clients are, on an interface of this host, while this balancer serves.
//!
//! | what                         | how                                                         |
//! |------------------------------|-------------------------------------------------------------|
//! | taken, and kept              | added with a life of one second, again each 250 ms          |
//! | left                         | removed                                                     |
//! | its process dies, or stops   | their life ends: the kernel removes them, within 2 s        |
//! | neighbours are told          | when they are taken, and some times after (`announce.rs`)   |
//! | there is no cable            | refused, and left                                           |
//! | the interface is another one | taken there, as if they had been left                       |
//!
//! An address that another balancer has taken meanwhile is on two hosts for that second or two.
//! Its new holder tells the neighbours again and again, so that they send to that one.
//!
//! Not here: whether it serves (`balancer/pair.rs`), the sockets there (`front.rs`), and addresses
//! that another program adds (`found_address.rs`).

use super::RunError;
use super::announce::{announce, rehearse};
use super::link_changes::LinkChanges;
use super::netlink::{Answer, Netlink, NetlinkError, in_time};
use crate::config::Config;
use futures_util::StreamExt as _;
use nix::errno::Errno;
use resilee_config::Located;
use rtnetlink::Handle;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::link::{LinkFlags, LinkHeader};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// So long an address lives without being taken again, in seconds: the least that Linux knows.
const LIFE_S: u32 = 1;

/// How often it is.
pub(super) const KEEP_EACH: Duration = Duration::from_millis(250);

/// The number of no interface: they are counted up from 1.
const NO_INTERFACE: u32 = i32::MAX as u32;

/// Neighbours are told so many times of [`KEEP_EACH`] after an address was taken: over five
/// seconds, in which another host may still think that it has it.
const ANNOUNCED_AT: [u32; 7] = [0, 1, 2, 4, 8, 12, 20];

/// The addresses of `listen` and `tcp_listen`, and the interface that they are added to.
#[derive(Clone)]
pub(super) struct HostAddresses {
    interface: Located<String>,
    addresses: BTreeSet<IpAddr>,
    netlink: Netlink,
    changes: LinkChanges,
    /// Number of the interface that has some of them, or may have.
    index: Option<u32>,
    /// How often they were taken since they were left.
    taken: u32,
}

impl HostAddresses {
    /// None if nobody is to add any.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, RunError> {
        let Some(interface) = config.interface.clone() else { return Ok(None) };
        if !pnet_datalink::interfaces().iter().any(|it| it.name == interface.value) {
            return Err(no_such(&interface));
        }
        let netlink = Netlink::start()?;
        let changes = LinkChanges::start(interface.value.clone())?;
        let addresses = config.client_addresses().map(|(address, _)| address.ip()).collect();
        Ok(Some(HostAddresses { interface, addresses, netlink, changes, index: None, taken: 0 }))
    }

    /// Tells when the interface has changed.
    pub(super) fn changes(&self) -> LinkChanges {
        self.changes.clone()
    }

    /// Takes them, or keeps them for another second.
    pub(super) async fn take(&mut self) -> Result<(), RunError> {
        let index = self.usable().await?.index;
        if self.index.replace(index) != Some(index) {
            self.taken = 0;
        }
        for ip in &self.addresses {
            self.add(index, *ip).await.map_err(|error| self.refused(*ip, "add", &error))?;
        }
        Ok(())
    }

    /// All that belongs to them is there: neighbours are told, at first and now and then.
    pub(super) async fn tell_neighbours(&mut self) -> Result<(), RunError> {
        if ANNOUNCED_AT.contains(&self.taken) {
            for ip in self.addresses.iter().copied() {
                let interface = self.interface.value.clone();
                // It waits for the kernel's list of interfaces.
                let told = spawn_blocking(move || announce(&interface, ip)).await;
                let told = told.map_err(io::Error::other).flatten();
                told.map_err(|error| self.refused(ip, "announce", &error))?;
            }
        }
        self.taken = self.taken.saturating_add(1);
        Ok(())
    }

    /// The number of the interface, if a client may be behind it: without a carrier an address may
    /// be added, and reaches nobody.
    async fn usable(&self) -> Result<LinkHeader, RunError> {
        let link = self.link().await.map_err(|error| self.unknown(&error))?;
        if !link.flags.contains(LinkFlags::Up | LinkFlags::LowerUp) {
            let what = "the interface is down, or has no carrier: see `ip link`";
            let name = &self.interface.value;
            return Err(RunError::NoCarrier(
                self.interface.place.error(format!("{name:?}: {what}")),
            ));
        }
        Ok(link)
    }

    /// They could be taken, as far as that can be known where they are not.
    pub(super) async fn rehearse(&self) -> Result<(), RunError> {
        let link = self.usable().await?;
        for ip in &self.addresses {
            self.may_change(*ip).await.map_err(|error| self.refused(*ip, "add", &error))?;
            if !link.flags.contains(LinkFlags::Loopback) {
                rehearse(*ip).map_err(|error| self.refused(*ip, "announce", &error))?;
            }
        }
        Ok(())
    }

    /// Whether this process has the right to: it is asked for before the kernel looks for the
    /// interface, so what is asked for is done at one that never is.
    async fn may_change(&self, ip: IpAddr) -> io::Result<()> {
        match self.remove(NO_INTERFACE, ip).await {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(()),
        }
    }

    /// The interface as it is now: with another number after a VLAN or bond was made again.
    async fn link(&self) -> Answer<LinkHeader> {
        let name = self.interface.value.clone();
        let ask = |handle: Handle| async move {
            let answers = handle.link().get().match_name(name).execute();
            pin!(answers).next().await.unwrap_or(Err(rtnetlink::Error::RequestFailed))
        };
        self.netlink.ask(ask).await.map(|link| link.header)
    }

    fn unknown(&self, error: &NetlinkError) -> RunError {
        let no_device = Errno::ENODEV as i32;
        match error {
            NetlinkError::Kernel(said) if said.raw_os_error() == Some(no_device) => {
                no_such(&self.interface)
            }
            _ => {
                let what = format!("{:?} cannot be looked at: {error}", self.interface.value);
                self.interface.place.error(what).into()
            }
        }
    }

    /// Leaves what was taken, or may have been.
    pub(super) async fn give_up(&mut self) {
        if self.index.is_some() {
            self.leave().await;
        }
    }

    /// Leaves them to whoever serves now; those that are not there are none. What the kernel does
    /// not do in time happens by itself when their life ends.
    pub(super) async fn leave(&mut self) {
        (self.index, self.taken) = (None, 0);
        if let Err(error) = in_time(self.remove_all()).await {
            tracing::debug!("{}: {error}", self.interface.value);
        }
    }

    async fn remove_all(&self) -> io::Result<()> {
        let index = self.link().await?.index;
        for ip in &self.addresses {
            if let Err(error) = self.remove(index, *ip).await {
                tracing::debug!("{ip} on {}: {error}", self.interface.value);
            }
        }
        Ok(())
    }

    async fn remove(&self, index: u32, ip: IpAddr) -> io::Result<()> {
        let ask = |handle: Handle| async move {
            let mut request = handle.address().add(index, ip, whole(ip));
            let message = request.message_mut().clone();
            handle.address().del(message).execute().await
        };
        self.netlink.ask(ask).await.map_err(io::Error::from)
    }

    async fn add(&self, index: u32, ip: IpAddr) -> io::Result<()> {
        let ask = |handle: Handle| async move {
            let mut request = handle.address().add(index, ip, whole(ip)).replace();
            live_shortly(request.message_mut(), ip);
            request.execute().await
        };
        self.netlink.ask(ask).await.map_err(io::Error::from)
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

fn no_such(interface: &Located<String>) -> RunError {
    let what = "this host has no such interface: see `ip link` for those that it has";
    interface.place.error(format!("{:?}: {what}", interface.value)).into()
}

/// How the address lives.
///
/// One of IPv6 is deprecated from the start (RFC 4862 §5.5.4): sockets may be bound to it, and what
/// is bound to no address does not choose it as its source. Otherwise those to the servers would,
/// when they are connected, and would be cut off once another host has the address.
fn live_shortly(message: &mut AddressMessage, ip: IpAddr) {
    let mut life = CacheInfo::default();
    life.ifa_valid = LIFE_S;
    life.ifa_preferred = if ip.is_ipv6() { 0 } else { LIFE_S };
    message.attributes.push(AddressAttribute::CacheInfo(life));
    if ip.is_ipv6() {
        // It is ours by the nodes' votes: nobody needs to be asked whether it is free.
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
}

/// The prefix of one address: its network is there by another address of the interface.
fn whole(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_core::Emitable;
    use std::path::Path;

    /// `IFA_CACHEINFO`, whose length is 20 with its own header.
    const CACHE_INFO: [u8; 4] = [20, 0, 6, 0];

    /// Preferred and valid life, as the kernel reads them.
    fn lives(ip: &str) -> [u32; 2] {
        let mut message = AddressMessage::default();
        live_shortly(&mut message, ip.parse().unwrap());
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        let at = bytes.windows(4).position(|it| it == CACHE_INFO).expect("it has a life") + 4;
        [at, at + 4].map(|at| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn an_address_of_ipv6_is_never_preferred_as_a_source() {
        assert_eq!(lives("192.0.2.10"), [1, 1]);
        assert_eq!(lives("2001:db8::10"), [0, 1]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_an_interface_that_the_kernel_does_not_know_is_none() {
        let text = "listen = \"192.0.2.10:5060\"\nkey_file = \"k\"\n\
                    [pair]\nname = \"x\"\npeer = \"y\"\ninterface = \"lo\"\n\
                    [[server]]\nname = \"one\"\naddress = \"192.0.2.1:5063\"\n";
        let config =
            Config::parse(Path::new("balancer.toml"), text, |_| unreachable!("no names")).unwrap();
        let mut host = HostAddresses::open(&config).unwrap().expect("it has an interface");
        let mut why = async |name: &str| {
            name.clone_into(&mut host.interface.value);
            host.usable().await.unwrap_err().to_string()
        };
        assert!(why("none0").await.contains("no such interface"));
        let too_long = why(&"e".repeat(40)).await;
        assert!(too_long.contains("cannot be looked at"), "{too_long}");
    }
}
