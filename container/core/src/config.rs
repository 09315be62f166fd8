//! What a core is told at its start.

use crate::overload::{DELIVERIES_MAX, DELIVERY_AGE_MS_MAX};
use resilee_membership::{Key, NodeName, RunId, Unclean};
use std::net::SocketAddr;

/// Cells that a node holds unless it is told otherwise.
pub const CELLS_MAX: usize = 500_000;

/// Handlers that may not return before a node hands its calls over, unless it is told otherwise.
pub const HUNG_HANDLERS_MAX: usize = 8;

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

/// What a node takes on; new calls beyond it are refused at the entrance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cells that it holds, owned and as backup.
    pub cells_max: usize,
    /// Deliveries that wait for the answer of their handler.
    pub deliveries_max: usize,
    /// How long a tenth of them may wait, in milliseconds.
    pub delivery_age_ms_max: u64,
    /// Handlers that may not return before it hands its calls over, if it has a backup.
    pub hung_handlers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            cells_max: CELLS_MAX,
            deliveries_max: DELIVERIES_MAX,
            delivery_age_ms_max: DELIVERY_AGE_MS_MAX,
            hung_handlers_max: HUNG_HANDLERS_MAX,
        }
    }
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Its `[cluster] listen` address: heartbeats and votes go there by UDP.
    pub address: SocketAddr,
}
