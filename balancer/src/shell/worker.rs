//! The worker: feeds the machine what sockets, clock and store report, and does what it says.
//!
//! All tasks run on one thread and share the worker; none holds it across an `await`.

use super::clock::Clock;
use super::front::Front;
use super::metrics;
use super::reload::Reloading;
use super::serving::{Place, serve, take_turns};
use super::sockets::Sockets;
use super::voter_store::VoterStore;
use crate::balancer::Balancer;
use crate::boundary::{BalancerInput, BalancerNotice, BalancerOutput};
use resilee_membership::{DATAGRAM_BYTES_MAX, Flow, SeatNotice, Transport, VoterState, dual_stack};
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::{TcpFront, TcpLimits};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

/// Most datagrams read from one socket before the others get their turn.
const BATCH_MAX: usize = 64;

/// TCP clients are looked after at least so often: what a node sends may need it sooner than what
/// was known before.
const TCP_LOOK: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Worker {
    clock: Clock,
    balancer: Balancer,
    sockets: Sockets,
    /// Of a pair: it is to be where clients are.
    serve: watch::Sender<bool>,
    store: VoterStore,
    /// Nodes whose refusal the machine has yet to be told.
    refused: VecDeque<usize>,
    /// A state to store, with its number; the task that stores it takes it from here.
    unsaved: Option<(u64, VoterState)>,
    /// TCP clients; none until it runs, and while another balancer serves.
    tcp: Option<TcpFront>,
    /// Messages of TCP clients that the machine has yet to be told.
    of_tcp: VecDeque<(Flow, Vec<u8>)>,
}

pub(super) type Shared = Rc<RefCell<Worker>>;

impl Worker {
    pub(super) fn new(
        clock: Clock,
        balancer: Balancer,
        sockets: Sockets,
        store: VoterStore,
    ) -> Self {
        Worker {
            clock,
            balancer,
            sockets,
            serve: watch::Sender::new(false),
            store,
            refused: VecDeque::new(),
            unsaved: None,
            tcp: None,
            of_tcp: VecDeque::new(),
        }
    }

    pub(super) async fn run(
        self,
        tcp: (TcpLimits, TimerConfig),
        metrics: Option<TcpListener>,
        place: Option<Place>,
        reloading: Reloading,
        stop: impl Future<Output = ()>,
    ) {
        let tasks = LocalSet::new();
        let nodes = match self.sockets.node_receivers() {
            Ok(nodes) => nodes,
            Err(error) => return tracing::error!("cannot receive: {error}"),
        };
        let shared = Rc::new(RefCell::new(self));
        for (server, socket) in nodes.into_iter().enumerate() {
            tasks.spawn_local(receive_from_node(shared.clone(), server, socket));
        }
        tasks.spawn_local(keep_time(shared.clone()));
        if let Some(listener) = metrics {
            tasks.spawn_local(serve_metrics(shared.clone(), listener));
        }
        tasks.spawn_local(reload(shared.clone(), reloading));
        let host = place.as_ref().and_then(Place::host);
        let front = shared.borrow_mut().sockets.front.take();
        tasks
            .run_until(async {
                let served = match (front, place) {
                    (Some(front), _) => serve(&shared, front, tcp).map(Some),
                    (None, Some(place)) => {
                        spawn_local(shared.borrow().store.clone().prove(shared.clone()));
                        let told = shared.borrow().serve.subscribe();
                        spawn_local(take_turns(shared, place, tcp, told));
                        Ok(None)
                    }
                    (None, None) => Ok(None),
                };
                match served {
                    Ok(_served) => stop.await,
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
    pub(super) fn open(&mut self, front: Front) {
        self.sockets.front = Some(front);
    }

    /// Is there no more: connections end, too.
    pub(super) fn close(&mut self) {
        self.sockets.front = None;
        if let Some(tcp) = self.tcp.take() {
            self.balancer.note_tcp_end(tcp.drops());
        }
        self.of_tcp.clear();
    }

    /// What is done may have more to be told to the machine.
    fn settle(&mut self) {
        let now = self.clock.now();
        loop {
            self.carry_out();
            if let Some(server) = self.refused.pop_front() {
                self.balancer.handle_input(now, BalancerInput::Refused { server });
            } else if let Some((flow, bytes)) = self.of_tcp.pop_front() {
                self.balancer.handle_input(now, BalancerInput::FromClient { flow, bytes: &bytes });
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.balancer.poll_output() {
            match output {
                BalancerOutput::ToClient { flow, bytes } => self.send_to_client(flow, &bytes),
                BalancerOutput::ToNode { server, bytes } => {
                    let sent = self.sockets.send_to_node(server, &bytes);
                    self.note_send(server, sent);
                }
                BalancerOutput::Serve(serve) => drop(self.serve.send_replace(serve)),
                BalancerOutput::Persist { number, state } => self.unsaved = Some((number, state)),
                BalancerOutput::Notice(notice) => log(&notice),
            }
        }
    }

    fn send_to_client(&mut self, flow: Flow, bytes: &[u8]) {
        match (flow.transport, &mut self.tcp) {
            (Transport::Udp, _) => {
                let Some(front) = &self.sockets.front else { return };
                if let Err(error) = front.send(&flow, bytes) {
                    tracing::debug!("to {}: {error}", flow.remote);
                }
            }
            (Transport::Tcp, Some(tcp)) => {
                self.of_tcp.extend(tcp.send(self.clock.now(), flow, bytes));
            }
            (Transport::Tcp, None) => {}
        }
    }

    fn note_send(&mut self, server: usize, sent: io::Result<()>) {
        match sent {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // More than one entry per server says nothing new.
                if !self.refused.contains(&server) {
                    self.refused.push_back(server);
                }
            }
            Err(error) => tracing::debug!("to server {server}: {error}"),
            Ok(()) => {}
        }
    }
}

pub(super) async fn receive_from_clients(shared: Shared, local: SocketAddr, socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Err(error) = socket.readable().await {
            return tracing::error!("{local}: {error}");
        }
        for _ in 0..BATCH_MAX {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let remote = dual_stack::canonical(source);
                    let flow = Flow { remote, local, transport: Transport::Udp };
                    let bytes = &buffer[..length];
                    handle(&shared, BalancerInput::FromClient { flow, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A client that went away; the socket is not connected, so nothing is lost.
                Err(error) => tracing::debug!("{local}: {error}"),
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn receive_from_node(shared: Shared, server: usize, socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Err(error) = socket.readable().await {
            return tracing::error!("server {server}: {error}");
        }
        for _ in 0..BATCH_MAX {
            match socket.try_recv(&mut buffer) {
                Ok(length) => {
                    let bytes = &buffer[..length];
                    handle(&shared, BalancerInput::FromNode { server, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    handle(&shared, BalancerInput::Refused { server });
                }
                Err(error) => tracing::debug!("server {server}: {error}"),
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn keep_time(shared: Shared) {
    loop {
        let wait = {
            let worker = shared.borrow();
            worker.balancer.poll_timeout().since(worker.clock.now())
        };
        tokio::time::sleep(wait).await;
        {
            let worker = &mut *shared.borrow_mut();
            if let Some(tcp) = &worker.tcp {
                worker.balancer.note_tcp_drops(tcp.drops());
            }
        }
        handle(&shared, BalancerInput::Timeout);
    }
}

/// Puts a copy of the status where the server finds it.
async fn serve_metrics(shared: Shared, listener: TcpListener) {
    let copy = |shared: &Shared| {
        let worker = shared.borrow();
        let at = worker.clock.now();
        metrics::Copy { at, status: worker.balancer.status(at) }
    };
    let clock = shared.borrow().clock;
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
    let (front, mut events) = match TcpFront::start(listeners, limits, timers) {
        Ok(started) => started,
        Err(error) => return tracing::error!("cannot accept TCP clients: {error}"),
    };
    shared.borrow_mut().tcp = Some(front);
    loop {
        let wait = {
            let worker = shared.borrow();
            let due = worker.tcp.as_ref().and_then(TcpFront::poll_timeout);
            due.map_or(TCP_LOOK, |due| due.since(worker.clock.now()).min(TCP_LOOK))
        };
        let event = tokio::time::timeout(wait, events.recv()).await;
        let mut worker = shared.borrow_mut();
        let now = worker.clock.now();
        let Some(tcp) = &mut worker.tcp else { return };
        let mut messages = match event {
            Ok(Some(event)) => tcp.handle_event(now, event),
            Ok(None) => return,
            Err(_) => Vec::new(),
        };
        messages.extend(tcp.on_timeout(now));
        worker.of_tcp.extend(messages);
        drop(worker);
        settle(&shared);
    }
}

/// Feeds the machine.
pub(super) fn handle(shared: &Shared, input: BalancerInput<'_>) {
    let mut worker = shared.borrow_mut();
    let now = worker.clock.now();
    worker.balancer.handle_input(now, input);
    drop(worker);
    settle(shared);
}

/// Does what the machine wants, and starts to store what it wants stored.
fn settle(shared: &Shared) {
    let mut worker = shared.borrow_mut();
    worker.settle();
    if let Some((number, state)) = worker.unsaved.take() {
        spawn_local(worker.store.clone().save(shared.clone(), number, state));
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
