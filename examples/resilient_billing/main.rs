//! Resilient call billing, end to end: two servers, a balancer and two phones, as real processes
//! with real SIP and RTP. A server is killed in the middle of a call; the call goes on, and one
//! bill is written.
//!
//! ```text
//! cargo run --release --example resilient_billing            # stays up for the admin UI
//! cargo run --release --example resilient_billing -- --once  # exit code: did every check hold?
//! ```
//!
//! `cargo run --example` builds no other binary, so this one starts itself in the roles of the
//! balancer and of the nodes. What they run is in `resilee-balancer` and `resilee-node`; here is
//! only the play around them.

mod bill;
mod checks;
mod cluster;
mod logs;
mod phones;
mod ports;
mod process;
mod report;
mod rest;
mod story;
mod variations;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tracing_subscriber::EnvFilter;

/// Plays the failover story with real processes: two servers, a balancer, two phones, one bill.
#[derive(Debug, Parser)]
#[command(name = "resilient_billing", version)]
pub struct Args {
    /// End after the story: exit code 0 only if every check held.
    #[arg(long)]
    once: bool,
    /// UDP port that the phones see; the next six are used inside the cluster.
    #[arg(long, default_value_t = 5060)]
    sip_port: u16,
    /// Port of server1's admin UI; server2 takes the next.
    #[arg(long, default_value_t = 8081)]
    http_port: u16,
    /// Folder for configuration, stores and logs; a fresh temporary one if not given.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// What this process is, when the example started it.
    #[arg(long, hide = true, requires = "config")]
    role: Option<Role>,
    /// Its configuration.
    #[arg(long, hide = true)]
    config: Option<PathBuf>,
}

/// A role in which the example starts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Keeps the balancer's sockets and starts it, again if it dies.
    Balancer,
    /// Works with these sockets.
    BalancerWorker,
    Node,
}

/// As `--role` takes it.
const BALANCER_WORKER: &str = "balancer-worker";

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match (args.role, &args.config) {
        (Some(role), Some(config)) => run_role(role, config),
        _ => play(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Is the balancer or a node, until it is killed.
fn run_role(role: Role, config: &Path) -> anyhow::Result<ExitCode> {
    // Nothing is left behind, whatever becomes of the process that plays the story.
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this process to its parent")?;
    if role != Role::Node {
        // A node sets its log up itself. Standard output is a file that the story reads.
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
    }
    match role {
        Role::Balancer => {
            let program = std::env::current_exe().context("cannot find this executable")?;
            return resilee_balancer::keep_sockets(config, || {
                let mut worker = Command::new(&program);
                worker.args(["--role", BALANCER_WORKER, "--config"]).arg(config);
                worker
            });
        }
        Role::BalancerWorker => resilee_balancer::run_from_file(config)?,
        Role::Node => resilee_node::run_from_file(config)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn play(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // The story runs on this thread: children are tied to the thread that started them.
    runtime.block_on(story::play(args))
}
