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
use crate::config::{Config, ConfigError};
use resilee_membership::{Key, KeyError};
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
    /// A file can't be read or written.
    #[error("{key}: {path}: {error}")]
    File {
        /// Which file, by its key in the configuration.
        key: &'static str,
        /// Its path.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key file holds no key.
    #[error("key_file: {path}: {error}")]
    Key {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// The state file holds no voter state.
    #[error(
        "state_file: {path} is damaged ({what}); remove it only while the nodes run, \
         so that they can tell the view"
    )]
    State {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An address is in use.
    #[error("{key}: the address {address} is taken by another program")]
    AddressTaken {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An address can't be used for another reason.
    #[error("{key}: {address}: {error}")]
    Address {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        error: io::Error,
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

/// Reads and checks the configuration and the key, and nothing else.
///
/// # Errors
/// Says what is wrong where.
pub fn load(path: &Path) -> Result<(Config, Key), RunError> {
    let text = std::fs::read_to_string(path).map_err(|error| RunError::File {
        key: "config",
        path: path.to_owned(),
        error,
    })?;
    let config = Config::parse(path, &text)?;
    let bytes = std::fs::read(&config.key_file).map_err(|error| {
        let path = config.key_file.clone();
        RunError::File { key: "key_file", path, error }
    })?;
    let key = Key::from_file_bytes(&bytes)
        .map_err(|error| RunError::Key { path: config.key_file.clone(), error })?;
    Ok((config, key))
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
    let (config, key) = load(path)?;
    let state_file = StateFile::new(config.state_file.clone());
    let stored = state_file.load()?;
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
