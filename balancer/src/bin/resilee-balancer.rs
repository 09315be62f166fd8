//! The `resilee-balancer` binary: command line and log; everything else is in the library.

use clap::Parser;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Forwards SIP to the living nodes of a Resilee cluster, and holds the third vote.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The balancer's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only check the configuration and the files that it names.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = if arguments.check {
        resilee_balancer::check(&arguments.config).map_err(anyhow::Error::from).map(|()| {
            println!("{}: the configuration of the balancer is sound", arguments.config.display());
        })
    } else {
        resilee_balancer::run_from_file(&arguments.config)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
