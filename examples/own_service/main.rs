//! A service of one's own in a pair that runs: it is built from its source, deployed at run time,
//! called through, and replaced by its next version while people talk. Then a server is killed, and
//! both versions go on at the other one with what they knew.
//!
//! ```text
//! cargo run --release --example own_service            # stays up for the admin UI
//! cargo run --release --example own_service -- --once  # exit code: did every check hold?
//! ```
//!
//! The service is the crate `call-screening`; README.md says what to look at.

mod operator;
mod story;
mod units;

use clap::Parser;
use resilee_examples::play::{Play, PlayOptions};
use resilee_examples::setting::ONE_BALANCER;
use std::path::PathBuf;
use std::process::ExitCode;
use units::Units;

/// Deploys a service to two servers that run, upgrades it in mid-call, and kills a server.
#[derive(Debug, Parser)]
#[command(name = "own_service", version)]
struct Args {
    #[command(flatten)]
    play: PlayOptions,
    /// Folder with call-screening.wasm and call-screening-2.wasm, as `cargo xtask unit` makes them;
    /// without it they are built.
    #[arg(long, value_name = "FOLDER")]
    units: Option<PathBuf>,
}

const PLAY: Play = Play {
    example: "own_service",
    setting: ONE_BALANCER,
    title: "A service of one's own",
    afterwards: "Numbers that begin with 0900 or 0190 are refused; see the page Units.",
};

fn main() -> ExitCode {
    let Args { play, units } = Args::parse();
    // Before anything starts.
    match units.map(|folder| Units::given(&folder)).transpose() {
        Ok(units) => PLAY.run(play, async |stage| story::tell(stage, units).await),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
