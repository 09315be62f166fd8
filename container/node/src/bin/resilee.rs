//! The `resilee` command: runs a node, or asks a running one.

use clap::{Parser, Subcommand};
use resilee_node::{ClusterOrder, Subject, load, order, report, run_from_file};
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
    /// Asks a running node, or tells it what to do.
    Ctl {
        /// Address of the node's admin interface.
        #[arg(long, global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
        admin: String,
        #[command(subcommand)]
        what: Ctl,
    },
}

#[derive(Debug, Subcommand)]
enum Ctl {
    /// View, nodes and balancer.
    Status,
    /// Calls in progress.
    Calls,
    /// The newest bills.
    Bills,
    /// Raised alarms.
    Alarms,
    /// Orders to the cluster.
    #[command(subcommand)]
    Cluster(ClusterOrder),
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
        Command::Ctl { admin, what } => print!("{}", ask(&admin, &what)?),
    }
    Ok(())
}

fn ask(admin: &str, what: &Ctl) -> anyhow::Result<String> {
    let subject = match what {
        Ctl::Status => Subject::Status,
        Ctl::Calls => Subject::Calls,
        Ctl::Bills => Subject::Bills,
        Ctl::Alarms => Subject::Alarms,
        Ctl::Cluster(given) => return Ok(order(admin, given)?),
    };
    Ok(report(admin, subject)?)
}
