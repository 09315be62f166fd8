//! A node with a service of one's own: calls from and to certain numbers are refused.
//!
//! ```text
//! cargo run --release --example own_service                         # with node.toml beside this
//! cargo run --release --example own_service -- --config FILE        # with one of your own
//! ```
//!
//! The service is in `call_screening`; here it is only linked into a node.

mod call_screening;
#[cfg(test)]
mod screening_test;

use call_screening::CallScreening;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The example's own file, wherever it is started from.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/own_service/node.toml");

/// A node that screens calls.
#[derive(Debug, Parser)]
#[command(name = "own_service", version)]
struct Args {
    /// The node's configuration; that of the example if not given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = args.config.as_deref().unwrap_or(Path::new(CONFIG));
    let node = resilee_node::Node::builder().service::<CallScreening>();
    match node.run_from_file(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if args.config.is_none() && !config.exists() {
                eprintln!("The example has been moved: give a configuration with --config FILE.");
            }
            ExitCode::FAILURE
        }
    }
}
