//! Being where clients are: always, or for one of a pair as long as it serves.
//!
//! | it is to serve                | done                                                    |
//! |-------------------------------|---------------------------------------------------------|
//! | from now on                   | takes the addresses, opens the sockets, says so         |
//! | still, each 250 ms            | takes the addresses again                               |
//! | and something of it fails     | says why, and tries again each 50 ms                    |
//! | no more                       | closes the sockets and connections, leaves the addresses |
//!
//! Not here: whether it is to serve (`balancer/pair.rs`).

use super::RunError;
use super::address::{HostAddresses, KEEP_EACH};
use super::front::Front;
use super::inherited::Inherited;
use super::worker::{Shared, handle, receive_from_clients, serve_tcp};
use crate::boundary::BalancerInput;
use crate::config::Config;
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::TcpLimits;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What cannot be taken now is tried again after this time.
const TAKE_AGAIN: Duration = Duration::from_millis(50);

/// What one of a pair needs to be where clients are.
pub(super) struct Place {
    config: Config,
    host: Option<HostAddresses>,
}

impl Place {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// There is no such interface.
    pub(super) fn new(config: &Config) -> Result<Self, RunError> {
        Ok(Place { config: config.clone(), host: HostAddresses::open(config)? })
    }

    /// What is left at the end.
    pub(super) fn host(&self) -> Option<HostAddresses> {
        self.host.clone()
    }

    /// Never ends by itself; whoever drops it calls [`Place::leave`].
    async fn be_there(&mut self, shared: &Shared, tcp: (TcpLimits, TimerConfig)) {
        let mut tasks = None;
        loop {
            let wait = match self.take(shared, &mut tasks, tcp).await {
                Ok(()) => {
                    handle(shared, BalancerInput::AddressTaken);
                    KEEP_EACH
                }
                Err(error) => {
                    handle(shared, BalancerInput::AddressRefused(&error.to_string()));
                    TAKE_AGAIN
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn take(
        &mut self,
        shared: &Shared,
        tasks: &mut Option<JoinSet<()>>,
        tcp: (TcpLimits, TimerConfig),
    ) -> Result<(), RunError> {
        if let Some(host) = &mut self.host {
            host.take().await?;
        }
        if tasks.is_none() {
            let front = Front::open(&self.config, &mut Inherited::default())?;
            *tasks = Some(serve(shared, front, tcp)?);
        }
        Ok(())
    }

    async fn leave(&mut self, shared: &Shared) {
        shared.borrow_mut().close();
        if let Some(host) = &mut self.host {
            host.leave().await;
        }
    }
}

/// Serves clients at these sockets, as long as what it returns is not dropped.
pub(super) fn serve(
    shared: &Shared,
    front: Front,
    tcp: (TcpLimits, TimerConfig),
) -> Result<JoinSet<()>, RunError> {
    let (receivers, listeners) = (front.receivers()?, front.tcp_listeners()?);
    shared.borrow_mut().open(front);
    let mut tasks = JoinSet::new();
    for (local, socket) in receivers {
        tasks.spawn_local(receive_from_clients(shared.clone(), local, socket));
    }
    tasks.spawn_local(serve_tcp(shared.clone(), listeners, tcp));
    Ok(tasks)
}

/// Is where clients are whenever it is to.
pub(super) async fn take_turns(
    shared: Shared,
    mut place: Place,
    tcp: (TcpLimits, TimerConfig),
    mut serve: watch::Receiver<bool>,
) {
    let mut until = serve.clone();
    while serve.wait_for(|serve| *serve).await.is_ok() {
        tokio::select! {
            () = place.be_there(&shared, tcp) => {}
            _ = until.wait_for(|serve| !*serve) => {}
        }
        place.leave(&shared).await;
    }
}
