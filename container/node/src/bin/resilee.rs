//! The `resilee` command: runs a node, or asks a running one.

use clap::{Parser, Subcommand};
use resilee_node::{Subject, load, report, run_from_file};
use std::path::PathBuf;
use std::process::ExitCode;

/// A SLEE whose calls survive the death of a server.
#[derive(Debug, Parser)]
#[command(name = "resilee", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node until SIGTERM or Ctrl-C.
    Node {
        /// The node's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only check the configuration.
        #[arg(long)]
        check: bool,
    },
    /// Asks a running node.
    Ctl {
        /// Address of the node's admin interface.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
        admin: String,
        /// What to ask for.
        subject: Subject,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Node { config, check: true } => {
            let name = load(&config)?.name;
            println!("{}: the configuration of {name} is sound", config.display());
        }
        Command::Node { config, check: false } => run_from_file(&config)?,
        Command::Ctl { admin, subject } => print!("{}", report(&admin, subject)?),
    }
    Ok(())
}
