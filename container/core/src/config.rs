//! What a core is told at its start.

use crate::limits::Limits;
use resilee_membership::{Balancers, Key, NodeName, RunId, Unclean};
use std::net::SocketAddr;

/// Identity of the node and the shape of its cluster.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// This run.
    pub me: RunId,
    /// The cluster key: seals every datagram between nodes and balancer.
    pub key: Key,
    /// The other nodes; none: a node alone.
    pub peers: Vec<Peer>,
    /// True if clients are reached through a balancer, which holds the seat.
    pub behind_balancer: bool,
    /// The names of the balancers of which one holds it; none: there is one without a name.
    pub balancers: Balancers,
    /// Time between heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// Heartbeats that may be missed before a peer counts as lost.
    pub missed: u32,
    /// How long a cold start listens for living members, in milliseconds.
    pub cold_start_ms: u64,
    /// What to do when no vote but its own is to be had.
    pub unclean: Unclean,
    /// What it takes on.
    pub limits: Limits,
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Its `[cluster] listen` address: heartbeats and votes go there by UDP.
    pub address: SocketAddr,
}
