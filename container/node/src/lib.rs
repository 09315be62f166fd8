//! Builds a node from its configuration and runs it. Everything that a node does is in other
//! crates; here they are wired.
//!
//! A node with a service of one's own:
//!
//! ```no_run
//! # use resilee_call_billing::CallBilling as MyService;
//! fn main() -> anyhow::Result<()> {
//!     resilee_node::Node::builder().service::<MyService>().config("node.toml").run()
//! }
//! ```

mod account_ctl;
mod adaptor_ctl;
mod call_ctl;
mod cluster_ctl;
mod config;
mod ctl;
mod deployment;
mod facility_ctl;
mod housekeeping_ctl;
mod logging;
mod node;
mod profile_ctl;
mod service_ctl;
mod unit_ctl;

pub use account_ctl::{AccountOrder, account};
pub use adaptor_ctl::{AdaptorOrder, adaptor};
pub use call_ctl::{CallOrder, call};
pub use cluster_ctl::{ClusterOrder, Token, order};
pub use config::{AdminConfig, ConfigError, NodeConfig, SipConfig};
pub use ctl::{CtlError, Subject, report};
pub use facility_ctl::{FacilityOrder, facility};
pub use housekeeping_ctl::{HousekeepingOrder, housekeeping};
pub use node::{Node, NodeBuilder, load, run_from_file};
pub use profile_ctl::{ProfileOrder, profile};
pub use service_ctl::{ServiceOrder, SleeOrder, service, slee};
pub use unit_ctl::{Console, UnitOrder, unit};
