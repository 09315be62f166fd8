//! A node with a service that answers a web hook and calls another one.
//!
//! ```text
//! cargo run --release --example web_hooks                         # with node.toml beside this
//! curl -i -H 'x-relay-to: http://127.0.0.1:8000/' -d '{}' http://127.0.0.1:8087/hooks/relay
//! ```
//!
//! The service is in `relay`; here it is only linked into a node.

mod relay;

use clap::Parser;
use relay::Relay;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The example's own file, wherever it is started from.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web_hooks/node.toml");

/// A node that passes web hooks on.
#[derive(Debug, Parser)]
#[command(name = "web_hooks", version)]
struct Args {
    /// The node's configuration; that of the example if not given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = args.config.as_deref().unwrap_or(Path::new(CONFIG));
    let node = resilee_node::Node::builder().service::<Relay>();
    match node.run_from_file(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
