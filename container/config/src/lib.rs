//! What the property files of nodes and balancer share: reading them, the checks that many keys
//! need, and one wording for what is wrong: `FILE:LINE: KEY: what is wrong: what is expected`.
//!
//! The keys themselves are not here: `node.toml` is in `resilee-node`, `balancer.toml` in
//! `resilee-balancer`.

mod addresses;
mod files;
mod key_path;
mod one_or_many;
mod place;
mod source;

pub use addresses::{OwnAddresses, Protocol};
pub use files::{read_file, read_key, read_text};
pub use one_or_many::OneOrMany;
pub use place::{ConfigError, Located, Place};
pub use source::{Limits, Source};

/// Limits and default of the time between two heartbeats, in milliseconds.
pub const INTERVAL_MS: Limits<u64> = Limits { range: 10..=5_000, default: 50 };

/// Limits and default of SIP's T1, in milliseconds: of a node, and of its balancer.
pub const T1_MS: Limits<u64> = Limits { range: 10..=5_000, default: 500 };

/// Limits of how many heartbeats may be missed, and a node's default.
pub const MISSED: Limits<u32> = Limits { range: 2..=100, default: 6 };
