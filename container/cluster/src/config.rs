//! What a cluster node is told at its start, and what it tells.

use crate::links::Run;
use std::net::SocketAddr;

/// Identity of this node and whom it may talk to.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// This run: `name#incarnation`, for example `server1#1767225600000`.
    pub node_name: String,
    /// Address of the links; loopback until links are encrypted.
    pub listen: SocketAddr,
    /// Name and address of each other node. Nobody else gets a link.
    pub peers: Vec<(String, SocketAddr)>,
    /// Shared secret of the cluster, proven by each side of a link.
    pub cookie: String,
}

impl ClusterConfig {
    /// Checks what can be checked before anything is opened.
    pub(crate) fn check(&self) -> Result<Run, ClusterError> {
        let bad_name = || ClusterError::NodeName(self.node_name.clone());
        let me = Run::parse(&self.node_name).ok_or_else(bad_name)?;
        let addresses = self.peers.iter().map(|(_, address)| *address);
        for address in addresses.chain([self.listen]) {
            if !address.ip().is_loopback() {
                return Err(ClusterError::NotLoopback(address));
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
    /// The link to a peer is open and both sides have proven the cookie.
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
}

/// Why a cluster node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A name without incarnation.
    #[error("{0:?} does not name a run: NAME#INCARNATION is expected")]
    NodeName(String),
    /// Links are not encrypted yet, so they must not leave the machine.
    #[error(
        "{0} is not a loopback address: cluster links are not encrypted yet and stay on this \
         machine; use an address of 127.0.0.0/8"
    )]
    NotLoopback(SocketAddr),
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
