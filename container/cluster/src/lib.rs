//! Carries frames of bytes between the nodes of a cluster, and reports link up and link down.
//!
//! The links are `ractor_cluster` sessions. Nothing else is here: not what a frame means, no
//! sequence numbers, acknowledgements, resends or heartbeats (the core's replication has them). A
//! frame is delivered at most once, in order, while its link is up.
//!
//! Links are TLS with certificates on both sides, or stay on loopback addresses; see
//! `docs/cluster-security.md`.
//!
//! ractor keeps registries that are global to the process, so a process has one cluster node.

mod admission;
mod certificates;
mod cluster;
mod config;
mod connect;
mod links;
mod links_task;
mod ractor_node;
mod tls;
mod wire;

pub use certificates::{Authority, CertificatesError, Pair, TRIAL_DAYS, make_certificates};

pub use cluster::{Cluster, ClusterHandle, SendError};
pub use config::{ClusterConfig, ClusterError, ClusterEvent, Limits, Refusals};
pub use tls::{CERTIFICATE_ENDS_SOON, Tls, TlsError, TlsFile, TlsFiles};
pub use wire::FRAME_BYTES_MAX;
