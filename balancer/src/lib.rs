//! The one address that phones see. The balancer forwards SIP to the node that owns the call,
//! notices when a node dies, sends the last datagrams again to the heir, and holds the seat: the
//! vote that decides between two nodes.
//!
//! [`Balancer`] decides and has no socket and no clock; `shell` has both and decides nothing.
//! The balancer keeps no call state: what it stores is the highest view and its vote.

mod affinity;
mod balancer;
mod boundary;
mod config;
mod drop_reason;
mod recent;
mod restarts;
mod shell;

pub use balancer::Balancer;
pub use boundary::{
    Algorithm, BalancerConfig, BalancerInput, BalancerNotice, BalancerOutput, Removed, Server,
};
pub use config::Config;
pub use drop_reason::DropReason;
pub use resilee_config::ConfigError;
pub use shell::{Addresses, RunError, check, keep_sockets, run, run_from_file};
