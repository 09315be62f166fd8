//! The sockets: one for each node, and those at which clients are (`front.rs`). One of a pair opens
//! the latter only while it serves: two on one machine can have the same address for them.
//!
//! A node's socket is connected, so that the kernel reports a dead node's refusal and drops what
//! comes from elsewhere. Each has a port of its own; nodes answer to where the last valid
//! heartbeat came from, so no port needs to be configured.
//! Receiving blocks (`receivers.rs`), sending never does: a full send buffer drops the datagram, as
//! a network would.

use super::front::Front;
use super::inherited::Inherited;
use super::receivers::Origin;
use super::{Addresses, RunError};
use crate::config::{Config, counted_up};
use resilee_config::{ConfigError, Located, Place};
use resilee_membership::Flow;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What is asked of the system for each socket: what arrives while no process reads it waits
/// there. The system gives at most `net.core.rmem_max`; what does not fit is lost, as on a network.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A send does not wait for room.
pub(super) const NEVER_WAIT: i32 = nix::libc::MSG_DONTWAIT;

/// One socket, for sending.
#[derive(Clone)]
pub(super) struct Sockets {
    nodes: Arc<[UdpSocket]>,
    /// None while another balancer serves.
    pub(super) front: Option<Arc<Front>>,
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
        let front = match config.balancer.pair {
            Some(_) => None,
            None => Some(Front::open(config, inherited)?),
        };
        if let Some(place) = config.listen_places.first() {
            inherited.check_all_taken(place)?;
        }
        Ok(Sockets { nodes: nodes.into(), front: front.map(Arc::new) })
    }

    /// All of them, to be passed to another process.
    pub(super) fn passed(&self) -> io::Result<Vec<OwnedFd>> {
        let nodes = self.nodes.iter().map(|socket| Ok(socket.try_clone()?.into()));
        self.front.iter().flat_map(|front| front.passed()).chain(nodes).collect()
    }

    /// Where it can be reached; for one of a pair, where it can be once it serves.
    pub(super) fn addresses(&self, config: &Config) -> io::Result<Addresses> {
        let listen = || config.balancer.listen.clone();
        let (clients, tcp) = match &self.front {
            Some(front) => (front.clients(), front.tcp()?),
            None => match &config.tcp_listen {
                Some(tcp) => (listen(), tcp.iter().map(|it| it.value).collect()),
                None => (listen(), listen()),
            },
        };
        let nodes = self.nodes.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        Ok(Addresses { clients, tcp, nodes, metrics: None })
    }

    /// The receiving sides of the nodes' sockets.
    pub(super) fn node_receivers(&self) -> io::Result<Vec<(Origin, UdpSocket)>> {
        let nodes = self.nodes.iter().enumerate();
        nodes.map(|(server, socket)| Ok((Origin::Node(server), socket.try_clone()?))).collect()
    }

    /// To nobody while another balancer serves.
    pub(super) fn send_to_client(&self, flow: &Flow, bytes: &[u8]) -> io::Result<()> {
        self.front.as_ref().map_or(Ok(()), |front| front.send(flow, bytes))
    }

    pub(super) fn send_to_node(&self, server: usize, bytes: &[u8]) -> io::Result<()> {
        SockRef::from(&self.nodes[server]).send_with_flags(bytes, NEVER_WAIT).map(drop)
    }
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

pub(super) fn bind(address: SocketAddr, place: &Place) -> Result<UdpSocket, RunError> {
    let socket = UdpSocket::bind(address).map_err(|error| refused(address, place, &error))?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

/// Why no datagrams come there.
pub(super) fn refused(address: SocketAddr, place: &Place, error: &io::Error) -> RunError {
    match error.kind() {
        io::ErrorKind::AddrInUse => RunError::AddressTaken { place: place.clone(), address },
        _ => place.error(format!("cannot listen on {address}: {error}")).into(),
    }
}
