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
mod data_plane;
mod file_watch;
mod new_calls;
mod node_state;
mod protection;
mod recent;
mod restarts;
mod shell;
mod status;
mod unavailable;

pub use balancer::Balancer;
pub use boundary::{
    Algorithm, BalancerConfig, BalancerInput, BalancerNotice, BalancerOutput, DropReason,
    HealthConfig, Pair, Removed, Server,
};
pub use config::Config;
pub use data_plane::Failing;
pub use node_state::NodeState;
pub use protection::{BANS_MAX, KNOWN_MAX, Prefix, PrefixError, ProtectionConfig, SOURCES_MAX};
pub use resilee_config::ConfigError;
pub use shell::{Addresses, RunError, check, keep_sockets, run, run_from_file};
pub use status::{PairStatus, Reloads, ServerStatus, Status, ViewStatus};
