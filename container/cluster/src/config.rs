//! What a cluster node is told at its start, and what it tells.

use crate::links::Run;
use crate::tls::Tls;
use std::net::SocketAddr;
use std::time::Duration;

/// Identity of this node and whom it may talk to.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// This run: `name#incarnation`, for example `server1#1767225600000`.
    pub node_name: String,
    /// Address of the links. Peers accept links from addresses of their list only.
    pub listen: SocketAddr,
    /// Name and address of each other node. Nobody else gets a link.
    pub peers: Vec<(String, SocketAddr)>,
    /// Shared secret of the cluster, proven by each side of a link.
    pub cookie: String,
    /// Certificates; without them links stay on loopback addresses and are not encrypted.
    pub tls: Option<Tls>,
    /// How long strangers may take, and how many may wait.
    pub limits: Limits,
}

/// What somebody who has not proven anything may take of this node.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From an accepted or dialed connection to the end of its TLS handshake.
    pub handshake: Duration,
    /// From there until both sides have proven the cookie and the link is up.
    pub authentication: Duration,
    /// Accepted connections that have proven nothing yet; one more closes the oldest.
    pub pending_max: usize,
    /// The same, from one IP address.
    pub pending_per_source_max: usize,
    /// How often the files of the certificates are looked at.
    pub look_at_files: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(2),
            authentication: Duration::from_secs(5),
            pending_max: 32,
            pending_per_source_max: 8,
            look_at_files: Duration::from_secs(10),
        }
    }
}

impl ClusterConfig {
    /// Checks what can be checked before anything is opened.
    pub(crate) fn check(&self) -> Result<Run, ClusterError> {
        let bad_name = || ClusterError::NodeName(self.node_name.clone());
        let me = Run::parse(&self.node_name).ok_or_else(bad_name)?;
        let addresses = self.peers.iter().map(|(_, address)| *address);
        for address in addresses.chain([self.listen]) {
            if self.tls.is_none() && !address.ip().is_loopback() {
                return Err(ClusterError::NotEncrypted(address));
            }
            if address.ip().is_unspecified() {
                return Err(ClusterError::Unspecified(address));
            }
        }
        if let Some((name, _)) = self.peers.iter().find(|(name, _)| *name == me.node) {
            return Err(ClusterError::OwnPeer(name.clone()));
        }
        Ok(me)
    }
}

/// What happened on the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The link to a peer is open and both sides have proven who they are.
    LinkUp {
        /// Its node name, without incarnation.
        peer: String,
    },
    /// The link to a peer is gone; frames under way are lost.
    LinkDown {
        /// Its node name, without incarnation.
        peer: String,
    },
    /// A frame came.
    Frame {
        /// The sender's node name, without incarnation.
        peer: String,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// An operator must do something: a certificate ends soon, or its file cannot be read.
    AlarmRaised {
        /// What, and by when.
        text: String,
    },
    /// It was done.
    AlarmOver {
        /// The text of [`ClusterEvent::AlarmRaised`].
        text: String,
    },
}

/// What was refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Connections from addresses of no peer; closed at once.
    pub strangers: u64,
    /// Connections closed to make room: too many had proven nothing.
    pub crowded_out: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes: u64,
    /// Sessions that did not become a link: a wrong cookie, a wrong name, or too late.
    pub sessions: u64,
    /// Bytes on a link that no node of this cluster wrote.
    pub foreign_bytes: u64,
}

/// Why a cluster node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A name without incarnation.
    #[error("{0:?} does not name a run: NAME#INCARNATION is expected")]
    NodeName(String),
    /// Links without certificates must not leave the machine.
    #[error(
        "{0} is not a loopback address: without certificates cluster links are not encrypted and \
         stay on this machine; set certificate_file, private_key_file and ca_file in [cluster], \
         or use an address of 127.0.0.0/8"
    )]
    NotEncrypted(SocketAddr),
    /// Peers know a node by its address.
    #[error("{0}: peers accept this node by its address: an address of one interface is expected")]
    Unspecified(SocketAddr),
    /// A node that is its own peer.
    #[error("{0:?} is this node's own name and cannot be one of its peers")]
    OwnPeer(String),
    /// The address is taken or not an address of this machine.
    #[error("cannot listen on {address} (TCP, cluster links): {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
    /// ractor did not start.
    #[error("cannot start the cluster actors: {0}")]
    Actors(String),
}
