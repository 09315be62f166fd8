//! The sockets at which clients are: one for each address that they send or connect to.

use super::RunError;
use super::inherited::Inherited;
use super::receivers::Origin;
use super::sockets::{NEVER_WAIT, bind};
use crate::config::Config;
use resilee_config::Place;
use resilee_membership::{Flow, dual_stack};
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

/// Open as long as this balancer is where clients are.
pub(super) struct Front {
    clients: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<TcpListener>,
}

impl Front {
    /// Takes what was passed to this process and binds the rest.
    pub(super) fn open(config: &Config, inherited: &mut Inherited) -> Result<Self, RunError> {
        let mut clients = Vec::new();
        for (address, place) in config.balancer.listen.iter().zip(&config.listen_places) {
            let socket = match inherited.for_clients(*address) {
                Some(socket) => socket,
                None => bind(*address, place)?,
            };
            clients.push((socket.local_addr()?, socket));
        }
        let tcp = open_tcp(config, &clients, inherited)?;
        Ok(Front { clients, tcp })
    }

    /// All of them, to be passed to another process.
    pub(super) fn passed(&self) -> impl Iterator<Item = io::Result<OwnedFd>> {
        let clients = self.clients.iter().map(|(_, socket)| Ok(socket.try_clone()?.into()));
        clients.chain(self.tcp.iter().map(|socket| Ok(socket.try_clone()?.into())))
    }

    /// Where clients send to.
    pub(super) fn clients(&self) -> Vec<SocketAddr> {
        self.clients.iter().map(|(address, _)| *address).collect()
    }

    /// Where clients connect to.
    pub(super) fn tcp(&self) -> io::Result<Vec<SocketAddr>> {
        self.tcp.iter().map(TcpListener::local_addr).collect()
    }

    /// The receiving sides of the clients' sockets.
    pub(super) fn receivers(&self) -> io::Result<Vec<(Origin, UdpSocket)>> {
        let receiver = |(address, socket): &(SocketAddr, UdpSocket)| {
            Ok((Origin::Clients(*address), socket.try_clone()?))
        };
        self.clients.iter().map(receiver).collect()
    }

    /// The sockets that TCP clients connect to.
    pub(super) fn tcp_listeners(&self) -> io::Result<Vec<TcpListener>> {
        self.tcp.iter().map(TcpListener::try_clone).collect()
    }

    /// From the socket bound to the flow's own address, else from the first of its IP version.
    pub(super) fn send(&self, flow: &Flow, bytes: &[u8]) -> io::Result<()> {
        let is_it = |(address, _): &&(SocketAddr, UdpSocket)| *address == flow.local;
        let fits =
            |(address, _): &&(SocketAddr, UdpSocket)| address.is_ipv4() == flow.remote.is_ipv4();
        let mut sockets = self.clients.iter();
        let found = sockets.clone().find(is_it).or_else(|| sockets.find(fits));
        let Some((own, socket)) = found.or(self.clients.first()) else { return Ok(()) };
        let to = dual_stack::as_seen_by(*own, flow.remote);
        SockRef::from(socket).send_to_with_flags(bytes, &to.into(), NEVER_WAIT).map(drop)
    }
}

/// An address, and where it is configured.
pub(super) type Wanted<'a> = (SocketAddr, &'a Place);

/// The addresses of `tcp_listen`, else those where datagrams come.
pub(super) fn tcp_wanted<'a>(
    config: &'a Config,
    clients: impl Iterator<Item = Wanted<'a>>,
) -> Vec<Wanted<'a>> {
    match &config.tcp_listen {
        Some(addresses) => addresses.iter().map(|it| (it.value, &it.place)).collect(),
        None => clients.collect(),
    }
}

/// Why nobody can connect there.
pub(super) fn tcp_refused(address: SocketAddr, place: &Place, error: &io::Error) -> RunError {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let what = "is taken by another program: set tcp_listen, or [] for no TCP";
            place.error(format!("the address {address} (TCP) {what}")).into()
        }
        _ => place.error(format!("cannot listen on {address} (TCP): {error}")).into(),
    }
}

fn open_tcp(
    config: &Config,
    clients: &[(SocketAddr, UdpSocket)],
    inherited: &mut Inherited,
) -> Result<Vec<TcpListener>, RunError> {
    let here = clients.iter().map(|(address, _)| *address).zip(&config.listen_places);
    let open = |(address, place): Wanted<'_>| match inherited.for_tcp(address) {
        Some(listener) => Ok(listener),
        None => {
            resilee_sip_tcp::listen(address).map_err(|error| tcp_refused(address, place, &error))
        }
    };
    tcp_wanted(config, here).into_iter().map(open).collect()
}
