//! The worker: feeds the machine what sockets, clock and store report, and does what it says.
//!
//! Threads that receive (`receivers.rs`) and the tasks of one more thread share the worker under a
//! lock; no task holds it across an `await`.

use super::RunError;
use super::clock::Clock;
use super::front::Front;
use super::metrics;
use super::receivers::Receivers;
use super::reload::Reloading;
use super::serving::{Place, serve, take_turns};
use super::sockets::Sockets;
use super::voter_store::VoterStore;
use crate::balancer::Balancer;
use crate::boundary::{BalancerInput, BalancerNotice, BalancerOutput};
use resilee_membership::{Flow, SeatNotice, Transport, VoterState};
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::{Drops, TcpDrop, TcpFront, TcpLimits};
use smallvec::SmallVec;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

/// Messages of nodes that wait to be given to the TCP clients' task.
const TO_TCP_MAX: usize = 1_024;

/// See the module.
pub(super) struct Worker {
    clock: Clock,
    balancer: Balancer,
    /// Sent with outside of the lock, by whoever has fed the machine.
    sockets: Arc<Sockets>,
    /// Of a pair: it is to be where clients are.
    serve: watch::Sender<bool>,
    /// States to store, with their numbers. The machine asks for the next one only when it is told
    /// that the last one is stored.
    votes: mpsc::Sender<(u64, VoterState)>,
    /// To the task of the TCP clients; none until it runs, and while another balancer serves.
    tcp: Option<mpsc::Sender<(Flow, Vec<u8>)>>,
    /// What that task has dropped.
    tcp_drops: Drops<TcpDrop>,
}

pub(super) type Shared = Arc<Mutex<Worker>>;

/// Whoever panics with it ends the process, so nobody finds it half changed.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Worker> {
    shared.lock().expect("no thread has panicked")
}

impl Worker {
    /// The worker, and what it wants stored.
    pub(super) fn new(
        clock: Clock,
        balancer: Balancer,
        sockets: Sockets,
    ) -> (Self, mpsc::Receiver<(u64, VoterState)>) {
        let (votes, to_store) = mpsc::channel(1);
        let worker = Worker {
            clock,
            balancer,
            sockets: Arc::new(sockets),
            serve: watch::Sender::new(false),
            votes,
            tcp: None,
            tcp_drops: Drops::default(),
        };
        (worker, to_store)
    }

    /// Runs until `stop` is done.
    pub(super) async fn run(self, run: Run, stop: impl Future<Output = ()>) {
        let Run { to_store, store, tcp, metrics, place, reloading, are_kept } = run;
        let tasks = LocalSet::new();
        let nodes = match self.sockets.node_receivers() {
            Ok(nodes) => nodes,
            Err(error) => return tracing::error!("cannot receive: {error}"),
        };
        let shared = Arc::new(Mutex::new(self));
        tasks.spawn_local(store_votes(shared.clone(), store.clone(), to_store));
        tasks.spawn_local(keep_time(shared.clone()));
        if let Some(listener) = metrics {
            tasks.spawn_local(serve_metrics(shared.clone(), listener));
        }
        tasks.spawn_local(reload(shared.clone(), reloading));
        let host = place.as_ref().and_then(Place::host);
        let front = Arc::make_mut(&mut lock(&shared).sockets).front.take();
        tasks
            .run_until(async {
                let served: Result<_, RunError> = match (front, place) {
                    (Some(front), _) => serve(&shared, front, tcp, are_kept).map(Some),
                    (None, Some(place)) => {
                        spawn_local(store.prove(shared.clone()));
                        let told = lock(&shared).serve.subscribe();
                        spawn_local(take_turns(shared.clone(), place, tcp, told));
                        Ok(None)
                    }
                    (None, None) => Ok(None),
                };
                // What nodes sent while no process received needs the clients' sockets.
                let receiving = served
                    .and_then(|served| Ok((served, Receivers::start(&shared, nodes, are_kept)?)));
                match receiving {
                    Ok(_receiving) => stop.await,
                    Err(error) => tracing::error!("cannot receive: {error}"),
                }
            })
            .await;
        drop(tasks);
        if let Some(mut host) = host {
            host.leave().await;
        }
    }

    /// Is where clients are from now on.
    pub(super) fn open(&mut self, front: Arc<Front>) {
        Arc::make_mut(&mut self.sockets).front = Some(front);
    }

    /// Is there no more: connections end, too.
    pub(super) fn close(&mut self) {
        Arc::make_mut(&mut self.sockets).front = None;
        if self.tcp.take().is_some() {
            self.balancer.note_tcp_end(&self.tcp_drops);
            self.tcp_drops = Drops::default();
        }
    }

    /// Feeds the machine. Does what it wants but for datagrams, which are to be sent without the
    /// lock: to send one takes longer than to decide about it.
    fn feed(&mut self, input: BalancerInput<'_>) -> (Arc<Sockets>, Datagrams) {
        let now = self.clock.now();
        self.balancer.handle_input(now, input);
        let mut datagrams = Datagrams::new();
        while let Some(output) = self.balancer.poll_output() {
            match output {
                BalancerOutput::ToClient { flow, bytes } => match flow.transport {
                    Transport::Udp => datagrams.push(Datagram::ToClient(flow, bytes)),
                    Transport::Tcp => self.send_by_tcp(flow, bytes),
                },
                BalancerOutput::ToNode { server, bytes } => {
                    datagrams.push(Datagram::ToNode(server, bytes));
                }
                BalancerOutput::Serve(serve) => drop(self.serve.send_replace(serve)),
                BalancerOutput::Persist { number, state } => {
                    // Nobody takes it any more at the end only.
                    let _ = self.votes.try_send((number, state));
                }
                BalancerOutput::Notice(notice) => log(&notice),
            }
        }
        (self.sockets.clone(), datagrams)
    }

    fn send_by_tcp(&mut self, flow: Flow, bytes: Vec<u8>) {
        let Some(tcp) = &self.tcp else { return };
        if let Err(TrySendError::Full(_)) = tcp.try_send((flow, bytes)) {
            self.balancer.note_tcp_drop(TcpDrop::TooManyWaiting);
        }
    }
}

/// Nearly always one comes in and one goes out.
type Datagrams = SmallVec<[Datagram; 1]>;

/// What goes out by UDP.
enum Datagram {
    ToClient(Flow, Vec<u8>),
    ToNode(usize, Vec<u8>),
}

/// Feeds the machine, and does what it wants.
pub(super) fn handle(shared: &Shared, input: BalancerInput<'_>) {
    let (sockets, datagrams) = lock(shared).feed(input);
    for datagram in datagrams {
        match datagram {
            Datagram::ToClient(flow, bytes) => {
                if let Err(error) = sockets.send_to_client(&flow, &bytes) {
                    tracing::debug!("to {}: {error}", flow.remote);
                }
            }
            Datagram::ToNode(server, bytes) => match sockets.send_to_node(server, &bytes) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    handle(shared, BalancerInput::Refused { server });
                }
                Err(error) => tracing::debug!("to server {server}: {error}"),
                Ok(()) => {}
            },
        }
    }
}

/// What a worker runs with.
pub(super) struct Run {
    pub(super) to_store: mpsc::Receiver<(u64, VoterState)>,
    pub(super) store: VoterStore,
    pub(super) tcp: (TcpLimits, TimerConfig),
    pub(super) metrics: Option<TcpListener>,
    pub(super) place: Option<Place>,
    pub(super) reloading: Reloading,
    /// Its sockets were passed to it, and others have them, too.
    pub(super) are_kept: bool,
}

async fn store_votes(
    shared: Shared,
    store: VoterStore,
    mut to_store: mpsc::Receiver<(u64, VoterState)>,
) {
    while let Some((number, state)) = to_store.recv().await {
        store.clone().save(shared.clone(), number, state).await;
    }
}

async fn keep_time(shared: Shared) {
    loop {
        let wait = {
            let worker = lock(&shared);
            worker.balancer.poll_timeout().since(worker.clock.now())
        };
        tokio::time::sleep(wait).await;
        handle(&shared, BalancerInput::Timeout);
    }
}

/// Puts a copy of the status where the server finds it.
async fn serve_metrics(shared: Shared, listener: TcpListener) {
    let copy = |shared: &Shared| {
        let worker = lock(shared);
        let at = worker.clock.now();
        metrics::Copy { at, status: worker.balancer.status(at) }
    };
    let clock = lock(&shared).clock;
    let (put, latest) = watch::channel(copy(&shared));
    tokio::task::spawn_local(async move {
        let Err(error) = metrics::serve(listener, clock, latest).await else { return };
        tracing::error!("metrics are not served: {error}");
    });
    loop {
        tokio::time::sleep(metrics::COPY_EACH).await;
        if put.send(copy(&shared)).is_err() {
            return;
        }
    }
}

async fn reload(shared: Shared, mut reloading: Reloading) {
    loop {
        match reloading.next().await {
            Ok(config) => handle(&shared, BalancerInput::Reloaded(&config.balancer)),
            Err(why) => handle(&shared, BalancerInput::ReloadRefused(&why)),
        }
    }
}

pub(super) async fn serve_tcp(
    shared: Shared,
    listeners: Vec<TcpListener>,
    (limits, timers): (TcpLimits, TimerConfig),
) {
    let (mut front, mut events) = match TcpFront::start(listeners, limits, timers) {
        Ok(started) => started,
        Err(error) => return tracing::error!("cannot accept TCP clients: {error}"),
    };
    let (to_clients, mut of_nodes) = mpsc::channel(TO_TCP_MAX);
    let clock = {
        let mut worker = lock(&shared);
        worker.tcp = Some(to_clients);
        worker.clock
    };
    loop {
        let due = front.poll_timeout().map(|due| due.since(clock.now()));
        let told = tokio::select! {
            event = events.recv() => event.map(|event| front.handle_event(clock.now(), event)),
            message = of_nodes.recv() => {
                message.map(|(flow, bytes)| front.send(clock.now(), flow, &bytes))
            }
            () = tokio::time::sleep(due.unwrap_or(Duration::MAX)) => Some(Vec::new()),
        };
        let Some(mut messages) = told else { return };
        messages.extend(front.on_timeout(clock.now()));
        for (flow, bytes) in messages {
            handle(&shared, BalancerInput::FromClient { flow, bytes: &bytes });
        }
        let worker = &mut *lock(&shared);
        if worker.tcp_drops != *front.drops() {
            worker.tcp_drops = front.drops().clone();
            worker.balancer.note_tcp_drops(&worker.tcp_drops);
        }
    }
}

fn log(notice: &BalancerNotice) {
    match notice {
        BalancerNotice::View { .. }
        | BalancerNotice::Serves(_)
        | BalancerNotice::AddressTaken
        | BalancerNotice::Unfit(None)
        | BalancerNotice::Seat(SeatNotice::NodeBack { .. })
        | BalancerNotice::State { why: None, .. }
        | BalancerNotice::Reloaded { .. }
        | BalancerNotice::Unavailable { hopeless: false, .. } => tracing::info!("{notice}"),
        BalancerNotice::Seat(SeatNotice::Conflict { .. } | SeatNotice::Forgetful { .. })
        | BalancerNotice::AddressRefused { .. }
        | BalancerNotice::Unfit(Some(_))
        | BalancerNotice::Unavailable { hopeless: true, .. } => tracing::error!("{notice}"),
        BalancerNotice::Seat(SeatNotice::NodeLost { .. })
        | BalancerNotice::Refused { .. }
        | BalancerNotice::State { why: Some(_), .. }
        | BalancerNotice::ReloadRefused { .. }
        | BalancerNotice::Banned { .. }
        | BalancerNotice::Dropped { .. } => tracing::warn!("{notice}"),
    }
}
