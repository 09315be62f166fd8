//! The sockets: one for each address that clients send or connect to, and one for each node.
//!
//! A node's socket is connected, so that the kernel reports a dead node's refusal and drops what
//! comes from elsewhere. Each has a port of its own; nodes answer to where the last valid
//! heartbeat came from, so no port needs to be configured.
//! Sending goes by the plain socket: a full send buffer drops the datagram, as a network would.

use super::inherited::Inherited;
use super::{Addresses, RunError};
use crate::config::{Config, counted_up};
use resilee_config::{ConfigError, Located, Place};
use resilee_membership::{Flow, dual_stack};
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use tokio::net::UdpSocket as AsyncUdpSocket;

/// What is asked of the system for each socket: what arrives while no process reads it waits
/// there. The system gives at most `net.core.rmem_max`; what does not fit is lost, as on a network.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// One socket, for sending.
pub(super) struct Sockets {
    clients: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<TcpListener>,
    nodes: Vec<UdpSocket>,
}

impl Sockets {
    /// Takes what was passed to this process and binds the rest.
    pub(super) fn open(config: &Config, inherited: &mut Inherited) -> Result<Self, RunError> {
        let mut nodes = Vec::new();
        let servers = config.balancer.servers.iter().zip(&config.server_places);
        for (position, (server, place)) in servers.enumerate() {
            let (local, local_place) = match &config.nodes_listen {
                Some(Located { value, place }) => {
                    (counted_up(*value, position).ok_or_else(|| no_port(place))?, place)
                }
                None => (any_port(server.address), place),
            };
            let socket = match inherited.for_server(server.address, Some(local)) {
                Some(socket) => socket,
                None => bind(local, local_place)?,
            };
            socket.connect(server.address).map_err(|error| {
                place.error(format!("cannot send to {}: {error}", server.address))
            })?;
            nodes.push(socket);
        }
        let mut clients = Vec::new();
        for (address, place) in config.balancer.listen.iter().zip(&config.listen_places) {
            let socket = match inherited.for_clients(*address) {
                Some(socket) => socket,
                None => bind(*address, place)?,
            };
            clients.push((socket.local_addr()?, socket));
        }
        let tcp = open_tcp(config, &clients, inherited)?;
        if let Some(place) = config.listen_places.first() {
            inherited.check_all_taken(place)?;
        }
        Ok(Sockets { clients, tcp, nodes })
    }

    /// All of them, to be passed to another process.
    pub(super) fn passed(&self) -> io::Result<Vec<OwnedFd>> {
        let clients = self.clients.iter().map(|(_, socket)| socket);
        let udp = clients.chain(&self.nodes).map(|socket| Ok(socket.try_clone()?.into()));
        let tcp = self.tcp.iter().map(|socket| Ok(socket.try_clone()?.into()));
        udp.chain(tcp).collect()
    }

    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            clients: self.clients.iter().map(|(address, _)| *address).collect(),
            tcp: self.tcp.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?,
            nodes: self.nodes.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?,
            metrics: None,
        })
    }

    /// The receiving sides of the clients' sockets, with their addresses.
    pub(super) fn client_receivers(&self) -> io::Result<Vec<(SocketAddr, AsyncUdpSocket)>> {
        let receiver =
            |(address, socket): &(SocketAddr, UdpSocket)| Ok((*address, receiver(socket)?));
        self.clients.iter().map(receiver).collect()
    }

    /// The receiving sides of the nodes' sockets.
    pub(super) fn node_receivers(&self) -> io::Result<Vec<AsyncUdpSocket>> {
        self.nodes.iter().map(receiver).collect()
    }

    /// The sockets that TCP clients connect to.
    pub(super) fn tcp_listeners(&self) -> io::Result<Vec<TcpListener>> {
        self.tcp.iter().map(TcpListener::try_clone).collect()
    }

    /// From the socket bound to the flow's own address, else from the first of its IP version.
    pub(super) fn send_to_client(&self, flow: &Flow, bytes: &[u8]) -> io::Result<()> {
        let is_it = |(address, _): &&(SocketAddr, UdpSocket)| *address == flow.local;
        let fits =
            |(address, _): &&(SocketAddr, UdpSocket)| address.is_ipv4() == flow.remote.is_ipv4();
        let mut sockets = self.clients.iter();
        let found = sockets.clone().find(is_it).or_else(|| sockets.find(fits));
        let Some((own, socket)) = found.or(self.clients.first()) else { return Ok(()) };
        socket.send_to(bytes, dual_stack::as_seen_by(*own, flow.remote)).map(drop)
    }

    pub(super) fn send_to_node(&self, server: usize, bytes: &[u8]) -> io::Result<()> {
        self.nodes[server].send(bytes).map(drop)
    }
}

/// At the addresses of `tcp_listen`, else at those where datagrams come.
fn open_tcp(
    config: &Config,
    clients: &[(SocketAddr, UdpSocket)],
    inherited: &mut Inherited,
) -> Result<Vec<TcpListener>, RunError> {
    let wanted: Vec<(SocketAddr, &Place)> = match &config.tcp_listen {
        Some(addresses) => addresses.iter().map(|it| (it.value, &it.place)).collect(),
        None => clients.iter().map(|(address, _)| *address).zip(&config.listen_places).collect(),
    };
    let open = |(address, place): (SocketAddr, &Place)| match inherited.for_tcp(address) {
        Some(listener) => Ok(listener),
        None => resilee_sip_tcp::listen(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                let what = "is taken by another program: set tcp_listen, or [] for no TCP";
                place.error(format!("the address {address} (TCP) {what}")).into()
            }
            _ => place.error(format!("cannot listen on {address} (TCP): {error}")).into(),
        }),
    };
    wanted.into_iter().map(open).collect()
}

fn any_port(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

fn no_port(place: &Place) -> ConfigError {
    place.error("each server needs a port, counted up from this one")
}

fn bind(address: SocketAddr, place: &Place) -> Result<UdpSocket, RunError> {
    let socket = UdpSocket::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => RunError::AddressTaken { place: place.clone(), address },
        _ => place.error(format!("cannot listen on {address}: {error}")).into(),
    })?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

fn receiver(socket: &UdpSocket) -> io::Result<AsyncUdpSocket> {
    AsyncUdpSocket::from_std(socket.try_clone()?)
}
