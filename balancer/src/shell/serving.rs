//! Being where clients are: always, or for one of a pair as long as it serves.
//!
//! | it is to serve                | done                                                    |
//! |-------------------------------|---------------------------------------------------------|
//! | from now on                   | takes the addresses, opens the sockets, says so         |
//! | still, each 250 ms            | takes the addresses again; and if the interface changes |
//! | and something of it fails     | leaves them, says why, and tries again each 50 ms       |
//! | no more                       | closes the sockets and connections, leaves the addresses |
//! | not, each 250 ms              | tries and says whether it could (`rehearsal.rs`)        |
//!
//! Where another program moves the addresses, to take them is to find them at this host.
//!
//! Not here: whether it is to serve (`balancer/pair.rs`).

use super::RunError;
use super::address::{HostAddresses, KEEP_EACH};
use super::found_address::FoundAddresses;
use super::front::Front;
use super::inherited::Inherited;
use super::link_changes::LinkChanges;
use super::netlink::in_time;
use super::receivers::Receivers;
use super::rehearsal::rehearse;
use super::worker::{Shared, handle, lock, serve_tcp};
use crate::boundary::BalancerInput;
use crate::config::Config;
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::TcpLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What cannot be taken now is tried again after this time.
const TAKE_AGAIN: Duration = Duration::from_millis(50);

/// What one of a pair needs to be where clients are.
pub(super) struct Place {
    config: Config,
    addresses: Addresses,
}

/// The addresses at which clients are.
enum Addresses {
    Added(HostAddresses),
    Found(FoundAddresses),
}

impl Place {
    /// # Errors
    /// There is no such interface.
    pub(super) fn new(config: &Config) -> Result<Self, RunError> {
        let addresses = match HostAddresses::open(config)? {
            Some(host) => Addresses::Added(host),
            None => Addresses::Found(FoundAddresses::open(config)),
        };
        Ok(Place { config: config.clone(), addresses })
    }

    /// What is left at the end.
    pub(super) fn host(&self) -> Option<HostAddresses> {
        match &self.addresses {
            Addresses::Added(host) => Some(host.clone()),
            Addresses::Found(_) => None,
        }
    }

    /// Never ends by itself.
    async fn stand_by(&self, shared: &Shared) {
        let mut changes = self.changes();
        loop {
            // Who moves them does so only after it serves.
            let could = match &self.addresses {
                Addresses::Added(host) => {
                    in_time(host.rehearse()).await.and_then(|()| rehearse(&self.config))
                }
                Addresses::Found(_) => Ok(()),
            };
            match could {
                Ok(()) => handle(shared, BalancerInput::StandbyChecked(None)),
                Err(RunError::NoCarrier(why)) => {
                    handle(shared, BalancerInput::NoCarrier(&why.to_string()));
                }
                Err(why) => handle(shared, BalancerInput::StandbyChecked(Some(&why.to_string()))),
            }
            pause(&mut changes, KEEP_EACH).await;
        }
    }

    /// Never ends by itself; whoever drops it calls [`Place::leave`].
    async fn be_there(&mut self, shared: &Shared, tcp: (TcpLimits, TimerConfig)) {
        let (mut tasks, mut changes) = (None, self.changes());
        loop {
            let wait = match self.take(shared, &mut tasks, tcp).await {
                Ok(()) => {
                    handle(shared, BalancerInput::AddressTaken);
                    KEEP_EACH
                }
                Err(error) => {
                    let why = error.to_string();
                    handle(
                        shared,
                        match error {
                            RunError::NoCarrier(_) => BalancerInput::NoCarrier(&why),
                            _ => BalancerInput::AddressRefused(&why),
                        },
                    );
                    // With an address and no socket, clients would be told that nobody is there.
                    if let Addresses::Added(host) = &mut self.addresses {
                        host.give_up().await;
                    }
                    TAKE_AGAIN
                }
            };
            pause(&mut changes, wait).await;
        }
    }

    /// Of the interface; none where another program moves the addresses.
    fn changes(&self) -> Option<LinkChanges> {
        match &self.addresses {
            Addresses::Added(host) => Some(host.changes()),
            Addresses::Found(_) => None,
        }
    }

    async fn take(
        &mut self,
        shared: &Shared,
        tasks: &mut Option<Served>,
        tcp: (TcpLimits, TimerConfig),
    ) -> Result<(), RunError> {
        match &mut self.addresses {
            Addresses::Added(host) => in_time(host.take()).await?,
            Addresses::Found(found) => in_time(found.find()).await?,
        }
        if tasks.is_none() {
            let front = Arc::new(Front::open(&self.config, &mut Inherited::default())?);
            *tasks = Some(serve(shared, front, tcp, false)?);
        }
        match &mut self.addresses {
            Addresses::Added(host) => in_time(host.tell_neighbours()).await,
            Addresses::Found(_) => Ok(()),
        }
    }

    async fn leave(&mut self, shared: &Shared) {
        lock(shared).close();
        if let Addresses::Added(host) = &mut self.addresses {
            host.leave().await;
        }
    }
}

/// Waits for so long, or until the interface changes. Changes one upon the other cost no more than
/// what is tried again.
async fn pause(changes: &mut Option<LinkChanges>, wait: Duration) {
    tokio::time::sleep(TAKE_AGAIN).await;
    let changed = async {
        match changes {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
    };
    let _ = tokio::time::timeout(wait.saturating_sub(TAKE_AGAIN), changed).await;
}

/// What serves clients, until it is dropped.
pub(super) struct Served {
    _tcp: JoinSet<()>,
    _receivers: Receivers,
}

/// Serves clients at these sockets.
pub(super) fn serve(
    shared: &Shared,
    front: Arc<Front>,
    tcp: (TcpLimits, TimerConfig),
    are_kept: bool,
) -> Result<Served, RunError> {
    let (sockets, listeners) = (front.receivers()?, front.tcp_listeners()?);
    lock(shared).open(front);
    let started = Receivers::start(shared, sockets, are_kept);
    let receivers = started.inspect_err(|_| lock(shared).close())?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(serve_tcp(shared.clone(), listeners, tcp));
    Ok(Served { _tcp: tasks, _receivers: receivers })
}

/// Is where clients are whenever it is to.
pub(super) async fn take_turns(
    shared: Shared,
    mut place: Place,
    tcp: (TcpLimits, TimerConfig),
    mut serve: watch::Receiver<bool>,
) {
    let mut until = serve.clone();
    loop {
        tokio::select! {
            () = place.stand_by(&shared) => {}
            is_over = until_it_is(&mut serve, true) => {
                if is_over {
                    return;
                }
            }
        }
        tokio::select! {
            () = place.be_there(&shared, tcp) => {}
            _ = until_it_is(&mut until, false) => {}
        }
        place.leave(&shared).await;
    }
}

/// Waits for that; true if nobody says it any more. What is read is not held when this is done:
/// threads that receive end behind it, and may be about to say something else.
async fn until_it_is(serve: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    serve.wait_for(|serve| *serve == wanted).await.is_err()
}
