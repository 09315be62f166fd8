//! `cargo run --example` builds no other binary, so an example starts itself in the roles of the
//! balancer and of the nodes. What they run is in `resilee-balancer` and `resilee-node`.

use anyhow::Context;
use clap::ValueEnum;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::{Command, ExitCode};
use tracing_subscriber::EnvFilter;

/// A role in which an example starts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Keeps the balancer's sockets and starts it, again if it dies.
    Balancer,
    /// Works with these sockets, or opens its own.
    BalancerWorker,
    /// A server.
    Node,
}

/// As `--role` takes it.
const BALANCER_WORKER: &str = "balancer-worker";

impl Role {
    /// Is the balancer or a node, until it is killed.
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<ExitCode> {
        // Nothing is left behind, whatever becomes of the process that plays the story.
        prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this process to its parent")?;
        if self != Role::Node {
            // A node sets its log up itself. Standard output is a file that the story reads.
            let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
        }
        match self {
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
}
