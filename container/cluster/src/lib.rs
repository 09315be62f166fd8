//! Carries frames of bytes between the nodes of a cluster, and reports link up and link down.
//!
//! The links are `ractor_cluster` sessions. Nothing else is here: not what a frame means, no
//! sequence numbers, acknowledgements, resends or heartbeats (the core's replication has them), no
//! encryption. A frame is delivered at most once, in order, while its link is up.
//!
//! ractor keeps registries that are global to the process, so a process has one cluster node.

mod cluster;
mod config;
mod connect;
mod links;
mod ractor_node;
mod wire;

pub use cluster::{Cluster, ClusterHandle, SendError};
pub use config::{ClusterConfig, ClusterError, ClusterEvent};
pub use wire::FRAME_BYTES_MAX;
