//! Opens the sockets of links: accepts them, and dials peers until there is a link.
//!
//! ractor's own listener and dialer are not used: sockets get a time-out for unacknowledged data,
//! only addresses of peers are accepted, and the number of sessions is limited. Of two nodes the
//! one with the smaller name dials.

use crate::config::{ClusterConfig, ClusterError};
use ractor::ActorRef;
use ractor_cluster::{NetworkStream, NodeServerMessage};
use socket2::SockRef;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// First pause between two dials of one peer; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two dials of one peer.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long one dial may take.
const DIAL_MAX: Duration = Duration::from_secs(1);
/// How long the dialer waits for the handshake before it dials again.
const LINK_WAIT_MAX: Duration = Duration::from_millis(500);
/// Data that stays unacknowledged for so long ends a session.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// What the tasks of this file share.
#[derive(Clone)]
pub(crate) struct Connector {
    pub server: ActorRef<NodeServerMessage>,
    /// One permit for each session that may still be opened.
    pub permits: Arc<Semaphore>,
    /// Peers whose link is up.
    pub linked: watch::Receiver<BTreeSet<String>>,
}

/// Opens the listener of links.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, ClusterError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = new_socket(address)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|reason| ClusterError::Listen { address, reason })
}

/// Accepts links from addresses of peers until it is aborted.
pub(crate) async fn accept(connector: Connector, listener: TcpListener, peers: BTreeSet<IpAddr>) {
    loop {
        match listener.accept().await {
            Ok((_, source)) if !peers.contains(&source.ip()) => {
                tracing::warn!(%source, "cluster link refused: not an address of a peer");
            }
            Ok((stream, _)) => connector.hand_over(stream, Side::Server),
            Err(error) => {
                // Out of descriptors, most likely: a pause lets others give theirs back.
                tracing::warn!(%error, "cannot accept a cluster link");
                sleep(BACKOFF_MIN).await;
            }
        }
    }
}

/// Dials one peer whenever its link is down, until it is aborted.
pub(crate) async fn dial(mut connector: Connector, config: ClusterConfig, peer: usize) {
    let (name, address) = &config.peers[peer];
    let mut backoff = BACKOFF_MIN;
    loop {
        if connector.linked.wait_for(|linked| !linked.contains(name)).await.is_err() {
            return;
        }
        match timeout(DIAL_MAX, connect(config.listen, *address)).await {
            Ok(Ok(stream)) => {
                connector.hand_over(stream, Side::Client);
                let up = connector.linked.wait_for(|linked| linked.contains(name));
                if let Ok(Ok(_)) = timeout(LINK_WAIT_MAX, up).await {
                    backoff = BACKOFF_MIN;
                    continue;
                }
            }
            Ok(Err(error)) => tracing::debug!(peer = name, %error, "cannot dial"),
            Err(_) => tracing::debug!(peer = name, "no answer to a dial"),
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Which side of a session this node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Connector {
    /// Gives a connection to ractor, which starts the handshake.
    fn hand_over(&self, stream: TcpStream, side: Side) {
        let Ok(permit) = self.permits.try_acquire() else {
            tracing::warn!("cluster link refused: too many sessions");
            return;
        };
        match prepare(stream) {
            Ok(stream) => {
                let is_server = side == Side::Server;
                let message =
                    NodeServerMessage::ConnectionOpened { stream: Box::new(stream), is_server };
                if self.server.cast(message).is_ok() {
                    // Given back when the session has ended.
                    permit.forget();
                }
            }
            Err(error) => tracing::debug!(%error, "a connection died before its handshake"),
        }
    }
}

async fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = new_socket(to)?;
    // The other side accepts addresses of its peers only.
    socket.bind(SocketAddr::new(from.ip(), 0))?;
    socket.connect(to).await
}

fn new_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

fn prepare(stream: TcpStream) -> io::Result<NetworkStream> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    let (peer_addr, local_addr) = (stream.peer_addr()?, stream.local_addr()?);
    Ok(NetworkStream::Raw { peer_addr, local_addr, stream })
}
