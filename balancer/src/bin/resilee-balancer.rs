//! The `resilee-balancer` binary: command line and log; everything else is in the library.

use anyhow::Context;
use clap::Parser;
use mimalloc::MiMalloc;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use tracing_subscriber::EnvFilter;

// Its many small buffers are what this one is fastest at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    /// Open the sockets in a parent process that starts the balancer, and starts it again if it
    /// dies: what phones send meanwhile waits for the next one.
    #[arg(long, conflicts_with = "check")]
    keep_sockets: bool,
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
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { config, check, keep_sockets }: &Arguments) -> anyhow::Result<ExitCode> {
    if *check {
        resilee_balancer::check(config)?;
        println!("{}: the configuration of the balancer is sound", config.display());
    } else if *keep_sockets {
        let program = std::env::current_exe().context("cannot find this executable")?;
        return resilee_balancer::keep_sockets(config, || {
            let mut worker = Command::new(&program);
            worker.arg("--config").arg(config);
            worker
        });
    } else {
        resilee_balancer::run_from_file(config)?;
    }
    Ok(ExitCode::SUCCESS)
}
