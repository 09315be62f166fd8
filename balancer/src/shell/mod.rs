//! Where the balancer meets the world: files, clock, sockets and signals. It decides nothing.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the shell is the one place of this crate with sockets and a clock"
)]

mod address;
mod announce;
mod clock;
mod descriptors;
mod found_address;
mod front;
mod inherited;
mod keeper;
mod link_changes;
mod metrics;
mod netlink;
mod receivers;
mod rehearsal;
mod reload;
mod serving;
mod sockets;
mod state_file;
mod voter_store;
mod worker;

use crate::balancer::Balancer;
use crate::config::Config;
use inherited::Inherited;
pub use keeper::keep_sockets;
use resilee_config::{ConfigError, Place};
use resilee_membership::{Key, SeatProcess};
use sockets::Sockets;
use state_file::StateFile;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use voter_store::VoterStore;

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
    /// Of a pair: no cable is plugged in where clients are.
    #[error(transparent)]
    NoCarrier(ConfigError),
    /// The operating system refuses something that has no key.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Where a running balancer can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For clients, UDP.
    pub clients: Vec<SocketAddr>,
    /// For clients, TCP.
    pub tcp: Vec<SocketAddr>,
    /// For the nodes, one for each.
    pub nodes: Vec<SocketAddr>,
    /// For metrics.
    pub metrics: Option<SocketAddr>,
}

/// All that is read before anything runs.
struct Loaded {
    config: Config,
    key: Key,
    state_file: StateFile,
}

/// Checks the configuration and the files that it names, and nothing else.
///
/// # Errors
/// What is wrong, with file, line and key.
pub fn check(path: &Path) -> Result<(), RunError> {
    load(path).map(drop)
}

fn read_config(path: &Path) -> Result<Config, ConfigError> {
    Config::parse(path, &resilee_config::read_text(path)?, |name| {
        let mut addresses = name.to_socket_addrs().map_err(|error| error.to_string())?;
        addresses.next().ok_or_else(|| "it has no address".to_owned())
    })
}

fn load(path: &Path) -> Result<Loaded, RunError> {
    let config = read_config(path)?;
    let key = resilee_config::read_key(&config.key_file)?;
    let state_file = StateFile::new(config.state_file.clone());
    state_file.load()?;
    Ok(Loaded { config, key, state_file })
}

/// Runs a balancer until SIGTERM or SIGINT; blocks. It takes the sockets that were passed to
/// this process by systemd or by [`keep_sockets`], and opens the others. Logs go to the caller's
/// `tracing` subscriber.
///
/// # Errors
/// Says why it can't start.
pub fn run_from_file(path: &Path) -> anyhow::Result<()> {
    let inherited = Inherited::take()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = told_to_stop()?;
        run_with(path, inherited, |_| (), stop).await?;
        Ok(())
    })
}

/// Done once SIGTERM or SIGINT came after this call.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
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
    run_with(path, Inherited::default(), ready, stop).await
}

async fn run_with(
    path: &Path,
    mut inherited: Inherited,
    ready: impl FnOnce(&Addresses),
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    // Before it is read: what is written meanwhile is read again.
    let stamp = reload::stamp(path);
    let hang_up = signal(SignalKind::hangup())?;
    let Loaded { config, key, state_file, .. } = load(path)?;
    let _lock = state_file.lock()?;
    // Read under the lock: before that another process may have voted.
    let stored = state_file.load()?;
    let passed = inherited.count();
    let sockets = Sockets::open(&config, &mut inherited)?;
    let metrics = metrics::open(&config)?;
    let addresses = Addresses {
        metrics: metrics.as_ref().map(TcpListener::local_addr).transpose()?,
        ..sockets.addresses(&config)?
    };
    let view = stored.as_ref().map_or(0, |state| state.highest.number);
    for (key, addresses) in [
        ("listen", &addresses.clients),
        ("tcp_listen", &addresses.tcp),
        ("nodes_listen", &addresses.nodes),
        ("metrics.listen", &Vec::from_iter(addresses.metrics)),
    ] {
        let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        if !texts.is_empty() || key != "metrics.listen" {
            tracing::info!("{key}: {}", texts.join(", "));
        }
    }
    if passed > 0 {
        tracing::info!(
            "{passed} of these sockets were open already, and were passed to this process"
        );
    }
    if let Some(restarts) = inherited.restarts.filter(|restarts| *restarts > 0) {
        tracing::warn!("started again, restart {restarts} since the sockets were opened");
    }
    tracing::info!("ready; the last view known is {view}");
    ready(&addresses);
    let clock = clock::Clock::start();
    let store = VoterStore::new(state_file, stored.clone());
    let mut balancer = Balancer::new(clock.now(), config.balancer.clone(), key, stored);
    let restarts = inherited.restarts.unwrap_or(0);
    balancer.describe(SeatProcess { sockets_kept: passed > 0, restarts, ..SeatProcess::default() });
    let tcp = (descriptors::limited(config.tcp_limits), config.timers);
    let place = match config.balancer.pair {
        Some(_) => Some(serving::Place::new(&config)?),
        None => None,
    };
    let reloading = reload::Reloading::new(path, config, hang_up, stamp);
    let (worker, to_store) = worker::Worker::new(clock, balancer, sockets);
    let are_kept = passed > 0;
    let run = worker::Run { to_store, store, tcp, metrics, place, reloading, are_kept };
    worker.run(run, stop).await;
    tracing::info!("stopped");
    Ok(())
}
