//! The sockets of links: listens, dials peers until there is a link, and makes both secure.
//!
//! ractor's own listener and dialer are not used: sockets get a time-out for unacknowledged data
//! and a TLS handshake of ours. Of two nodes the one with the smaller name dials. Who may connect
//! is not decided here (`admission.rs`, `links.rs`).

use crate::config::{ClusterConfig, ClusterError, Limits};
use crate::ractor_node::Side;
use crate::tls::{self, HandshakeError, Tls};
use ractor_cluster::NetworkStream;
use socket2::SockRef;
use std::collections::BTreeSet;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// First pause between two dials of one peer; it doubles.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two dials of one peer.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long one dial may take.
const DIAL_MAX: Duration = Duration::from_secs(1);
/// How long the dialer waits for the link before it dials again.
const LINK_WAIT_MAX: Duration = Duration::from_millis(500);
/// Data that stays unacknowledged for so long ends a session.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// A connection that ractor may have.
pub(crate) struct Connection {
    pub stream: Box<NetworkStream>,
    /// Address of the other side.
    pub address: SocketAddr,
    pub side: Side,
    /// Nodes that may be at the other end.
    pub nodes: Vec<String>,
}

/// A second handle of a socket, which can end whatever is done with the first one.
#[derive(Debug)]
pub(crate) struct Hold(std::net::TcpStream);

impl Hold {
    /// A handle of `stream`.
    pub fn new(stream: &TcpStream) -> io::Result<Hold> {
        let second = stream.as_fd().try_clone_to_owned()?;
        Ok(Hold(std::net::TcpStream::from(second)))
    }

    /// Ends the connection.
    pub fn close(&self) {
        // It may be closed already, which is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
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

/// Makes an accepted connection secure, if there are certificates. `nodes` may come from there.
pub(crate) async fn secure_accepted(
    tls: Option<Tls>,
    stream: TcpStream,
    nodes: Vec<String>,
    limits: Limits,
) -> Result<Connection, HandshakeError> {
    let (address, local_addr) = prepare(&stream)?;
    let (peer_addr, side) = (address, Side::Server);
    let Some(tls) = tls else {
        let stream = Box::new(NetworkStream::Raw { peer_addr, local_addr, stream });
        return Ok(Connection { stream, address, side, nodes });
    };
    let proven = tls::accept(&tls, stream, &nodes, limits.handshake).await?;
    let stream = NetworkStream::TlsServer { peer_addr, local_addr, stream: proven.stream };
    Ok(Connection { stream: Box::new(stream), address, side, nodes: vec![proven.node] })
}

/// What the dialers share.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub config: ClusterConfig,
    /// Where connections go.
    pub connections: mpsc::Sender<Connection>,
    /// Peers whose link is up.
    pub linked: watch::Receiver<BTreeSet<String>>,
}

impl Dialer {
    /// Dials one peer whenever its link is down, until it is aborted.
    pub async fn run(mut self, peer: usize) {
        let (name, address) = self.config.peers[peer].clone();
        let mut backoff = BACKOFF_MIN;
        let mut failed = String::new();
        loop {
            if self.linked.wait_for(|linked| !linked.contains(&name)).await.is_err() {
                return;
            }
            match self.dial(&name, address).await {
                Ok(connection) => {
                    failed.clear();
                    if self.connections.send(connection).await.is_err() {
                        return;
                    }
                    let up = self.linked.wait_for(|linked| linked.contains(&name));
                    if let Ok(Ok(_)) = timeout(LINK_WAIT_MAX, up).await {
                        backoff = BACKOFF_MIN;
                        continue;
                    }
                }
                // A peer that is down is told by the link that went down.
                Err(DialError::Connect(why)) => tracing::debug!(peer = name, "no dial: {why}"),
                Err(DialError::Handshake(error)) => {
                    let why = error.to_string();
                    if why != failed {
                        tracing::warn!(peer = name, %address, "no cluster link: {why}");
                    }
                    failed = why;
                }
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn dial(&self, name: &str, address: SocketAddr) -> Result<Connection, DialError> {
        let stream = match timeout(DIAL_MAX, connect(self.config.listen, address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(DialError::Connect(error.to_string())),
            Err(_) => return Err(DialError::Connect("no answer".to_owned())),
        };
        let prepared = prepare(&stream).map_err(|error| DialError::Connect(error.to_string()));
        let (peer_addr, local_addr) = prepared?;
        let stream = match &self.config.tls {
            None => NetworkStream::Raw { peer_addr, local_addr, stream },
            Some(tls) => {
                let within = self.config.limits.handshake;
                let proven = tls::dial(tls, stream, name, within).await;
                let stream = proven.map_err(DialError::Handshake)?.stream;
                NetworkStream::TlsClient { peer_addr, local_addr, stream }
            }
        };
        let (stream, nodes) = (Box::new(stream), vec![name.to_owned()]);
        Ok(Connection { stream, address, side: Side::Client, nodes })
    }
}

enum DialError {
    Connect(String),
    Handshake(HandshakeError),
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

/// Sets the options of a link's socket; the addresses of the other side and of this one.
fn prepare(stream: &TcpStream) -> io::Result<(SocketAddr, SocketAddr)> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok((stream.peer_addr()?, stream.local_addr()?))
}
