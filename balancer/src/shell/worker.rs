//! The worker: feeds the machine what sockets, clock and store report, and does what it says.
//!
//! All tasks run on one thread and share the worker; none holds it across an `await`.

use super::clock::Clock;
use super::sockets::Sockets;
use super::state_file::StateFile;
use crate::balancer::Balancer;
use crate::boundary::{BalancerInput, BalancerNotice, BalancerOutput};
use resilee_membership::{DATAGRAM_BYTES_MAX, SeatNotice, VoterState};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::LocalSet;

/// Most datagrams read from one socket before the others get their turn.
const BATCH_MAX: usize = 64;

/// A state that could not be stored is tried again after this time.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Worker {
    clock: Clock,
    balancer: Balancer,
    sockets: Sockets,
    state_file: StateFile,
    /// Nodes whose refusal the machine has yet to be told.
    refused: VecDeque<usize>,
    /// A state to store, with its number; the task that stores it takes it from here.
    unsaved: Option<(u64, VoterState)>,
}

type Shared = Rc<RefCell<Worker>>;

impl Worker {
    pub(super) fn new(
        clock: Clock,
        balancer: Balancer,
        sockets: Sockets,
        state_file: StateFile,
    ) -> Self {
        Worker { clock, balancer, sockets, state_file, refused: VecDeque::new(), unsaved: None }
    }

    pub(super) async fn run(self, stop: impl Future<Output = ()>) {
        let tasks = LocalSet::new();
        let receivers =
            self.sockets.client_receivers().and_then(|c| Ok((c, self.sockets.node_receivers()?)));
        let (clients, nodes) = match receivers {
            Ok(receivers) => receivers,
            Err(error) => return tracing::error!("cannot receive: {error}"),
        };
        let shared = Rc::new(RefCell::new(self));
        for (local, socket) in clients {
            tasks.spawn_local(receive_from_clients(shared.clone(), local, socket));
        }
        for (server, socket) in nodes.into_iter().enumerate() {
            tasks.spawn_local(receive_from_node(shared.clone(), server, socket));
        }
        tasks.spawn_local(keep_time(shared));
        tasks.run_until(stop).await;
    }

    fn handle(&mut self, input: BalancerInput<'_>) {
        let now = self.clock.now();
        self.balancer.handle_input(now, input);
        self.carry_out();
        while let Some(server) = self.refused.pop_front() {
            self.balancer.handle_input(now, BalancerInput::Refused { server });
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.balancer.poll_output() {
            match output {
                BalancerOutput::ToClient { local, destination, bytes } => {
                    if let Err(error) = self.sockets.send_to_client(local, destination, &bytes) {
                        tracing::debug!("to {destination}: {error}");
                    }
                }
                BalancerOutput::ToNode { server, bytes } => {
                    let sent = self.sockets.send_to_node(server, &bytes);
                    self.note_send(server, sent);
                }
                BalancerOutput::Persist { number, state } => self.unsaved = Some((number, state)),
                BalancerOutput::Notice(notice) => log(&notice),
            }
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

async fn receive_from_clients(shared: Shared, local: SocketAddr, socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Err(error) = socket.readable().await {
            return tracing::error!("{local}: {error}");
        }
        for _ in 0..BATCH_MAX {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let bytes = &buffer[..length];
                    handle(&shared, BalancerInput::FromClient { source, local, bytes });
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
        handle(&shared, BalancerInput::Timeout);
    }
}

/// Feeds the machine, and starts to store what it wants stored.
fn handle(shared: &Shared, input: BalancerInput<'_>) {
    let mut worker = shared.borrow_mut();
    worker.handle(input);
    if let Some((number, state)) = worker.unsaved.take() {
        let file = worker.state_file.clone();
        tokio::task::spawn_local(save(shared.clone(), file, number, state));
    }
}

/// The machine asks for the next state only when it is told that this one is stored.
async fn save(shared: Shared, file: StateFile, number: u64, state: VoterState) {
    loop {
        let (file, state) = (file.clone(), state.clone());
        let saved = tokio::task::spawn_blocking(move || file.save(&state)).await;
        match saved.map_err(io::Error::other).flatten() {
            Ok(()) => return handle(&shared, BalancerInput::Persisted(number)),
            Err(error) => tracing::error!("state_file: {error}; the seat cannot vote"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

fn log(notice: &BalancerNotice) {
    match notice {
        BalancerNotice::View { .. } | BalancerNotice::Seat(SeatNotice::NodeBack { .. }) => {
            tracing::info!("{notice}");
        }
        BalancerNotice::Seat(SeatNotice::Conflict { .. } | SeatNotice::Forgetful { .. }) => {
            tracing::error!("{notice}");
        }
        BalancerNotice::Seat(SeatNotice::NodeLost { .. })
        | BalancerNotice::Refused { .. }
        | BalancerNotice::Dropped { .. } => tracing::warn!("{notice}"),
    }
}
