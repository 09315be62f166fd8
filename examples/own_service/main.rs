//! A node with a service of one's own: calls from and to certain numbers are refused.
//!
//! ```text
//! cargo run --release --example own_service -- --config examples/own_service/node.toml
//! ```
//!
//! The service is in `call_screening`; here it is only linked into a node.

mod call_screening;
#[cfg(test)]
mod screening_test;

use anyhow::Context;
use call_screening::CallScreening;
use clap::Parser;
use std::path::PathBuf;

/// A node that screens calls.
#[derive(Debug, Parser)]
#[command(name = "own_service", version)]
struct Args {
    /// The node's configuration.
    #[arg(long, default_value = "examples/own_service/node.toml")]
    config: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    resilee_node::Node::builder()
        .service::<CallScreening>()
        .run_from_file(&args.config)
        .with_context(|| format!("cannot run the node of {}", args.config.display()))
}
