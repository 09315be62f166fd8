//! What the runtime is told at its start, and why it may not start.

use crate::store::StoreError;
use resilee_cluster::{ClusterError, Tls};
use resilee_core::{Adaptors, Egress, Limits, Peer};
use resilee_membership::{Balancers, Key, NodeName, RunId, Unclean};
use resilee_sbb::{LinkedSbb, NotCompiled, Tables, UnitCompiler};
use resilee_sip_proto::TimerConfig;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Actors of SBB entity trees that a node keeps, unless told otherwise.
pub const ACTORS_MAX: usize = 100_000;

/// Worker threads, unless told otherwise.
pub const WORKERS_DEFAULT: usize = 2;

/// A node's identity, addresses and limits.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Name of the node.
    pub node: NodeName,
    /// Folder of the store and the journals.
    pub data_dir: PathBuf,
    /// UDP socket for the balancer; UDP and TCP for clients if there is none.
    pub sip_listen: SocketAddr,
    /// True if clients are reached through a balancer.
    pub behind_balancer: bool,
    /// Names of the balancers, if there are two.
    pub balancers: Balancers,
    /// SIP timers of TCP clients, if there is no balancer: those that they would have over UDP.
    pub timers: TimerConfig,
    /// UDP socket of heartbeats and TCP address of links; `None`: a node without peers.
    pub cluster_listen: Option<SocketAddr>,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// The cluster key.
    pub key: Key,
    /// Certificates of the links; without them links stay on loopback addresses.
    pub tls: Option<Tls>,
    /// Time between heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// Heartbeats that may be missed.
    pub missed: u32,
    /// How long a cold start listens, in milliseconds.
    pub cold_start_ms: u64,
    /// What to do when no vote but its own is to be had.
    pub unclean: Unclean,
    /// What it takes on.
    pub limits: Limits,
    /// Actors of SBB entity trees that it keeps, on all workers together.
    pub actors_max: usize,
    /// Threads that run services.
    pub workers: usize,
}

/// Makes the protocols' machines for a run.
pub type AdaptorFactory = Box<dyn Fn(&RunId) -> Adaptors>;

/// Sends messages of adaptors other than the first one, by their own sockets; it may not block.
pub type Shell = Box<dyn Fn(Egress)>;

/// What runs on the runtime.
pub struct Parts {
    /// The services.
    pub services: Vec<LinkedSbb>,
    /// Called for the first run and after each rejoin.
    pub adaptors: AdaptorFactory,
    /// Where messages of other adaptors than the first one go; `None`: there are no others.
    pub shell: Option<Shell>,
    /// Rows of the configuration.
    pub tables: Tables,
    /// Makes services of uploaded units; `None`: this node cannot.
    pub compiler: Option<Arc<dyn UnitCompiler>>,
}

/// Why the runtime cannot start. The text says all; there is no source to print beside it.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// An address is taken, or is not one of this machine.
    #[error("cannot listen on {address} (UDP, {key}): {reason}")]
    Listen {
        /// The configuration key of the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The same for connections of clients.
    #[error("cannot listen on {address} (TCP, [sip] listen): {reason}")]
    ListenTcp {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The links cannot start.
    #[error("[cluster] listen: {0}")]
    Cluster(ClusterError),
    /// The store cannot be opened.
    #[error("[node] data_dir: {0}")]
    Store(StoreError),
    /// A unit of its store cannot be compiled, and calls depend on it: alone the node would own
    /// them, and serve them without it.
    #[error(
        "the unit {id} cannot be compiled here any more, and calls of this node's store depend on \
         its service {service}: {reason}; start it as it was when the unit was deployed: with the \
         same [limits], and by the same version of Resilee"
    )]
    Unit {
        /// The unit.
        id: String,
        /// Its service.
        service: String,
        /// What is wrong with it, or in its way.
        reason: NotCompiled,
    },
    /// The same of one that is compiled, and not deployed since something is in its way.
    #[error(
        "the unit {id} cannot be deployed here any more, and calls of this node's store depend on \
         its service {service}: {reason}; start it as it was when the unit was deployed: with the \
         same services, adaptors and profile tables"
    )]
    UnitWaits {
        /// The unit.
        id: String,
        /// Its service.
        service: String,
        /// What is in its way.
        reason: String,
    },
    /// The system has no thread or descriptor left.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl From<ClusterError> for RuntimeError {
    fn from(error: ClusterError) -> Self {
        RuntimeError::Cluster(error)
    }
}

impl From<StoreError> for RuntimeError {
    fn from(error: StoreError) -> Self {
        RuntimeError::Store(error)
    }
}
