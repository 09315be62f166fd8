//! Where the balancer meets the world: files, clock, sockets and signals. It decides nothing.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the shell is the one place of this crate with sockets and a clock"
)]

mod clock;
mod sockets;
mod state_file;
mod worker;

use crate::balancer::Balancer;
use crate::config::Config;
use resilee_config::{ConfigError, Place};
use resilee_membership::{Key, VoterState};
use sockets::Sockets;
use state_file::StateFile;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// Why a balancer can't start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong, or a file that it names cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state file holds no voter state.
    #[error(
        "{place}: {path} is damaged ({what}); remove it only while the nodes run, so that they \
         can tell the view"
    )]
    State {
        /// Where the configuration names it.
        place: Place,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An address is in use.
    #[error("{place}: the address {address} is taken by another program")]
    AddressTaken {
        /// Where it stands in the configuration.
        place: Place,
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refuses something that has no key.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Where a running balancer can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For clients.
    pub clients: Vec<SocketAddr>,
    /// For the nodes, one for each.
    pub nodes: Vec<SocketAddr>,
}

/// All that is read before anything runs.
struct Loaded {
    config: Config,
    key: Key,
    state_file: StateFile,
    stored: Option<VoterState>,
}

/// Checks the configuration and the files that it names, and nothing else.
///
/// # Errors
/// What is wrong, with file, line and key.
pub fn check(path: &Path) -> Result<(), RunError> {
    load(path).map(drop)
}

fn load(path: &Path) -> Result<Loaded, RunError> {
    let config = Config::parse(path, &resilee_config::read_text(path)?)?;
    let key = resilee_config::read_key(&config.key_file)?;
    let state_file = StateFile::new(config.state_file.clone());
    let stored = state_file.load()?;
    Ok(Loaded { config, key, state_file, stored })
}

/// Runs a balancer until SIGTERM or SIGINT; blocks. Logs go to the caller's `tracing` subscriber.
///
/// # Errors
/// Says why it can't start.
pub fn run_from_file(path: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run(path, |_| (), stop).await?;
        Ok(())
    })
}

/// Runs a balancer until `stop` is done, on the caller's current-thread runtime. `ready` is
/// called once its sockets are open.
///
/// # Errors
/// Says why it can't start.
pub async fn run(
    path: &Path,
    ready: impl FnOnce(&Addresses),
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let Loaded { config, key, state_file, stored } = load(path)?;
    let sockets = Sockets::open(&config)?;
    let addresses = sockets.addresses()?;
    let view = stored.as_ref().map_or(0, |state| state.highest.number);
    for (key, addresses) in [("listen", &addresses.clients), ("nodes_listen", &addresses.nodes)] {
        let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        tracing::info!("{key}: {}", texts.join(", "));
    }
    tracing::info!("ready; the last view known is {view}");
    ready(&addresses);
    let clock = clock::Clock::start();
    let balancer = Balancer::new(clock.now(), config.balancer, key, stored);
    worker::Worker::new(clock, balancer, sockets, state_file).run(stop).await;
    tracing::info!("stopped");
    Ok(())
}
