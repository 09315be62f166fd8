//! The node's sockets: batches of datagrams in, single datagrams out.
//!
//! One socket faces the balancer (or the clients of a node alone), the other carries what nodes
//! say to each other. What is in a datagram is not looked at here.

use crate::config::{RuntimeConfig, RuntimeError};
use crate::slee::{Feed, Slee};
use crate::tcp::{self, TcpClients};
use actix::Addr;
use resilee_core::Input;
use resilee_membership::{Flow, Transport, dual_stack};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Asked of the system for datagrams that wait; it may give less.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Datagrams that are taken from a socket at once.
const BATCH_MAX: usize = 64;
/// No UDP datagram is larger.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// A socket is read again only so long after the last time: what comes meanwhile is one batch for
/// the core, its workers and its links, which would else be woken for each datagram. The system
/// keeps it until then; a datagram that comes alone is read at once.
const READ_PAUSE: Duration = Duration::from_millis(1);
/// A pause after an error that is not of a single datagram.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The sending side.
#[derive(Debug)]
pub(crate) struct Sockets {
    sip: UdpSocket,
    /// Where that one is bound.
    own: SocketAddr,
    cluster: Option<UdpSocket>,
    peers: BTreeSet<SocketAddr>,
    tcp: Option<tcp::Sender>,
}

/// What a socket's datagrams are to the core.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Sealed, from the balancer or a node.
    Packets,
    /// From clients, on this address.
    Datagrams(SocketAddr),
}

/// A socket that is ready to be read, and what it reads.
pub(crate) type Receiver = (tokio::net::UdpSocket, Kind);

/// All that is to be read.
pub(crate) struct Receivers {
    /// Datagrams.
    pub udp: Vec<Receiver>,
    /// Connections of clients, if there is no balancer.
    pub tcp: Option<TcpClients>,
}

impl Sockets {
    /// Opens the sockets.
    pub fn open(config: &RuntimeConfig) -> Result<(Sockets, Receivers), RuntimeError> {
        let (sip, sip_receiver) = open("[sip] listen", config.sip_listen)?;
        let local = sip_receiver.local_addr().unwrap_or(config.sip_listen);
        let kind = if config.behind_balancer { Kind::Packets } else { Kind::Datagrams(local) };
        let mut receivers = vec![(sip_receiver, kind)];
        let cluster = match config.cluster_listen {
            None => None,
            Some(address) => {
                let (cluster, receiver) = open("[cluster] listen", address)?;
                receivers.push((receiver, Kind::Packets));
                Some(cluster)
            }
        };
        let peers = config.peers.iter().map(|peer| peer.address).collect();
        let (tcp, clients) = match config.behind_balancer {
            true => (None, None),
            false => TcpClients::open(local, config.timers)
                .map(|(tcp, clients)| (Some(tcp), Some(clients)))
                .map_err(|reason| RuntimeError::ListenTcp { address: local, reason })?,
        };
        Ok((
            Sockets { sip, own: local, cluster, peers, tcp },
            Receivers { udp: receivers, tcp: clients },
        ))
    }

    /// Sends a sealed datagram to a node or to the balancer.
    pub fn send_packet(&self, destination: SocketAddr, bytes: &[u8]) {
        let cluster = self.cluster.as_ref().filter(|_| self.peers.contains(&destination));
        send(cluster.unwrap_or(&self.sip), destination, bytes);
    }

    /// Sends a message to a client.
    pub fn send_datagram(&self, flow: &Flow, bytes: &[u8]) {
        match (flow.transport, &self.tcp) {
            (Transport::Tcp, Some(tcp)) => {
                if tcp.try_send((*flow, bytes.to_vec())).is_err() {
                    tracing::warn!("dropped: a message for a TCP client, too many wait");
                }
            }
            _ => send(&self.sip, dual_stack::as_seen_by(self.own, flow.remote), bytes),
        }
    }
}

/// Reads a socket until its actor is gone.
pub(crate) async fn receive((socket, kind): Receiver, slee: Addr<Slee>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Err(error) = socket.readable().await {
            tracing::error!(%error, "cannot wait for datagrams");
            tokio::time::sleep(ERROR_PAUSE).await;
        }
        let inputs = read_batch(&socket, kind, &mut buffer);
        if inputs.is_empty() {
            continue;
        }
        let more_waits = inputs.len() >= BATCH_MAX;
        match slee.try_send(Feed::outside(inputs)) {
            Ok(()) => {}
            Err(actix::prelude::SendError::Full(feed)) => {
                tracing::warn!(datagrams = feed.len(), "dropped: the node is overloaded");
            }
            Err(actix::prelude::SendError::Closed(_)) => return,
        }
        if more_waits {
            // The core runs on this thread: it comes before the next batch.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(READ_PAUSE).await;
        }
    }
}

fn read_batch(socket: &tokio::net::UdpSocket, kind: Kind, buffer: &mut [u8]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for _ in 0..BATCH_MAX {
        match socket.try_recv_from(buffer) {
            Ok((length, source)) => {
                let bytes = buffer[..length].to_vec();
                inputs.push(match kind {
                    Kind::Packets => Input::Packet { source, bytes },
                    Kind::Datagrams(local) => {
                        let remote = dual_stack::canonical(source);
                        let flow = Flow { remote, local, transport: Transport::Udp };
                        Input::Datagram { flow, bytes }
                    }
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // News of an earlier datagram that could not be delivered: no datagram of ours.
            Err(error) => tracing::debug!(%error, "a datagram was not received"),
        }
    }
    inputs
}

/// A datagram that the system does not take is lost, as it may be on any network.
fn send(socket: &UdpSocket, destination: SocketAddr, bytes: &[u8]) {
    if let Err(error) = socket.send_to(bytes, destination) {
        tracing::debug!(%destination, %error, "a datagram was not sent");
    }
}

/// The sending and the receiving handle of one new socket.
fn open(
    key: &'static str,
    address: SocketAddr,
) -> Result<(UdpSocket, tokio::net::UdpSocket), RuntimeError> {
    let open = || -> io::Result<_> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // Smaller buffers only cost datagrams in a burst.
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
            tracing::warn!(%error, "the receive buffer stays small");
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        let sender = UdpSocket::from(socket);
        let receiver = tokio::net::UdpSocket::from_std(sender.try_clone()?)?;
        Ok((sender, receiver))
    };
    open().map_err(|reason| RuntimeError::Listen { key, address, reason })
}
