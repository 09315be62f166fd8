//! The links task: feeds the machines [`Links`] and [`Admission`] and carries out what they want.
//!
//! It decides nothing; who gets a link is in `links.rs`, who may wait for one in `admission.rs`.

use crate::admission::{Admission, Admitted};
use crate::config::{ClusterConfig, ClusterEvent, Refusals};
use crate::connect::{self, BACKOFF_MIN, Connection, Dialer, Hold};
use crate::links::{Action, Links, Run, SessionId};
use crate::ractor_node::{EndpointNews, OpenSession, RactorNode, SESSIONS_MAX, SessionNews, Side};
use crate::tls::{self, HandshakeError};
use ractor::ActorRef;
use ractor_cluster::{NodeServerMessage, NodeSessionMessage};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, sleep};

/// Dialed connections that wait for the links task.
const CONNECTIONS_MAX: usize = 8;
/// Late sessions are looked for at least so often, and four times in the time they have.
const TICK_MAX: Duration = Duration::from_secs(1);
/// See [`TICK_MAX`].
const TICK_MIN: Duration = Duration::from_millis(10);

/// What the handle wants done.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send a frame.
    Send { peer: String, frame: Vec<u8> },
    /// Close the link.
    Close { peer: String, reason: String },
}

/// A session of ractor.
struct Session {
    actor: ActorRef<NodeSessionMessage>,
    address: Option<SocketAddr>,
    side: Side,
}

/// A connection on its way to ractor.
struct Given {
    at: Instant,
    /// Nodes that may be at the other end.
    nodes: Vec<String>,
}

/// See the head of the file.
pub(crate) struct LinksTask {
    config: ClusterConfig,
    node: RactorNode,
    links: Links,
    admission: Admission,
    /// Connections that ractor was given, until it has opened their sessions.
    given: BTreeMap<(SocketAddr, Side), Given>,
    sessions: BTreeMap<SessionId, Session>,
    endpoints: BTreeMap<SessionId, ActorRef<Vec<u8>>>,
    /// Sockets of accepted connections that have proven nothing yet.
    holds: BTreeMap<SocketAddr, Hold>,
    handshakes: JoinSet<(SocketAddr, Result<Connection, HandshakeError>)>,
    linked: watch::Sender<BTreeSet<String>>,
    refusals: watch::Sender<Refusals>,
    events: mpsc::Sender<ClusterEvent>,
    /// The node without incarnation.
    me: String,
}

impl LinksTask {
    /// A task of the run `me`.
    pub fn new(
        me: Run,
        config: ClusterConfig,
        node: RactorNode,
        events: mpsc::Sender<ClusterEvent>,
        refusals: watch::Sender<Refusals>,
    ) -> Self {
        let peers = config.peers.iter().map(|(name, _)| name.clone());
        let addresses = config.peers.iter().map(|(_, address)| address.ip());
        LinksTask {
            links: Links::new(&config.node_name, peers, config.limits.authentication),
            admission: Admission::new(addresses, &config.limits),
            config,
            node,
            given: BTreeMap::new(),
            sessions: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            holds: BTreeMap::new(),
            handshakes: JoinSet::new(),
            linked: watch::channel(BTreeSet::new()).0,
            refusals,
            events,
            me: me.node,
        }
    }

    /// Runs until the handle is dropped.
    pub async fn run(mut self, listener: TcpListener, mut commands: mpsc::Receiver<Command>) {
        let (connections, mut dialed) = mpsc::channel(CONNECTIONS_MAX);
        let mut tasks = self.start_tasks(connections);
        let tick = self.config.limits.authentication / 4;
        let mut tick = tokio::time::interval(tick.clamp(TICK_MIN, TICK_MAX));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A lost link must not wait behind its frames.
            while let Ok(news) = self.node.sessions.try_recv() {
                self.handle_session(news);
            }
            self.finish_turn().await;
            tokio::select! {
                Some(news) = self.node.sessions.recv() => self.handle_session(news),
                Some(news) = self.node.endpoints.recv() => self.handle_endpoint(news),
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(&command),
                    None => break,
                },
                Some(connection) = dialed.recv() => self.give(connection),
                Some(done) = self.handshakes.join_next() => match done {
                    Ok((source, done)) => self.handle_handshake(source, done),
                    Err(error) => tracing::error!(%error, "a handshake ended badly"),
                },
                accepted = listener.accept() => self.handle_accepted(accepted).await,
                _ = tick.tick() => self.handle_tick(Instant::now()),
            }
            self.finish_turn().await;
        }
        drop(listener);
        self.handshakes.shutdown().await;
        tasks.shutdown().await;
        self.node.stop().await;
    }

    /// Dials the peers with larger names, and looks after the certificates.
    fn start_tasks(&self, connections: mpsc::Sender<Connection>) -> JoinSet<()> {
        let (config, linked) = (self.config.clone(), self.linked.subscribe());
        let dialer = Dialer { config, connections, linked };
        let mut tasks = JoinSet::new();
        for (index, (peer, _)) in self.config.peers.iter().enumerate() {
            if self.me < *peer {
                tasks.spawn(dialer.clone().run(index));
            }
        }
        if let Some(tls) = self.config.tls.clone() {
            tasks.spawn(tls::watch(tls, self.config.limits.look_at_files, self.events.clone()));
        }
        tasks
    }

    /// Carries out what the links want.
    async fn finish_turn(&mut self) {
        while let Some(action) = self.links.poll_action() {
            self.carry_out(action).await;
        }
        let (sessions, foreign_bytes) = (self.links.refused(), self.links.foreign_bytes());
        self.count(|refusals| {
            (refusals.sessions, refusals.foreign_bytes) = (sessions, foreign_bytes);
        });
    }

    fn handle_tick(&mut self, now: Instant) {
        self.links.handle_tick(now);
        // ractor opens a session at once, or never.
        let late = self.config.limits.authentication;
        self.given.retain(|_, given| now.saturating_duration_since(given.at) <= late);
    }

    async fn handle_accepted(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: a pause lets others give theirs back.
                tracing::warn!(%error, "cannot accept a cluster link");
                return sleep(BACKOFF_MIN).await;
            }
        };
        match self.admission.handle_accepted(source) {
            Admitted::Stranger => {
                let count = self.count(|refusals| {
                    refusals.strangers += 1;
                    refusals.strangers
                });
                if count.is_power_of_two() {
                    tracing::warn!(%source, count, "cluster link refused: no peer's address");
                }
                return;
            }
            Admitted::Yes => {}
            Admitted::InPlaceOf(oldest) => {
                let count = self.count(|refusals| {
                    refusals.crowded_out += 1;
                    refusals.crowded_out
                });
                if count.is_power_of_two() {
                    let why = "too many connections wait to prove who they are";
                    tracing::warn!(source = %oldest, count, "cluster link refused: {why}");
                }
                if let Some(hold) = self.holds.remove(&oldest) {
                    hold.close();
                }
            }
        }
        match Hold::new(&stream) {
            Ok(hold) => drop(self.holds.insert(source, hold)),
            Err(error) => {
                tracing::warn!(%error, "cannot keep a cluster link");
                return self.admission.handle_settled(source);
            }
        }
        let at_source = self.config.peers.iter().filter(|(_, peer)| peer.ip() == source.ip());
        let nodes = at_source.map(|(name, _)| name.clone()).collect();
        let (tls, limits) = (self.config.tls.clone(), self.config.limits.clone());
        self.handshakes.spawn(async move {
            (source, connect::secure_accepted(tls, stream, nodes, limits).await)
        });
    }

    fn handle_handshake(&mut self, source: SocketAddr, done: Result<Connection, HandshakeError>) {
        match done {
            Ok(connection) => self.give(connection),
            Err(error) => {
                self.settle(source);
                let count = self.count(|refusals| {
                    refusals.handshakes += 1;
                    refusals.handshakes
                });
                if count.is_power_of_two() {
                    tracing::warn!(%source, count, "cluster link refused: {error}");
                } else {
                    tracing::debug!(%source, count, "cluster link refused: {error}");
                }
            }
        }
    }

    /// Gives a connection to ractor, which proves the cookie.
    fn give(&mut self, connection: Connection) {
        let Connection { stream, address, side, nodes } = connection;
        if self.sessions.len() + self.given.len() >= SESSIONS_MAX {
            tracing::warn!("cluster link refused: too many sessions");
            return self.settle(address);
        }
        let is_server = side == Side::Server;
        let message = NodeServerMessage::ConnectionOpened { stream, is_server };
        match self.node.server.cast(message) {
            Ok(()) => {
                let given = Given { at: Instant::now(), nodes };
                self.given.insert((address, side), given);
            }
            Err(error) => tracing::error!(%error, "the cluster actors are gone"),
        }
    }

    fn handle_session(&mut self, news: SessionNews) {
        match news {
            SessionNews::Opened(OpenSession { id, actor, address, side }) => {
                let given = address.and_then(|address| self.given.remove(&(address, side)));
                self.sessions.insert(id, Session { actor, address, side });
                // A session that was not given has no node that may be at its other end.
                self.links.handle_opened(
                    Instant::now(),
                    id,
                    given.map_or_else(Vec::new, |given| given.nodes),
                );
            }
            SessionNews::Authenticated(id, name) => {
                self.links.handle_authenticated(id, &name);
                if self.links.is_proven(id) {
                    self.settle_session(id);
                }
            }
            SessionNews::Ended(id) => {
                self.settle_session(id);
                self.sessions.remove(&id);
                self.links.handle_ended(id);
            }
        }
    }

    fn settle_session(&mut self, id: SessionId) {
        let session = self.sessions.get(&id).filter(|session| session.side == Side::Server);
        if let Some(source) = session.and_then(|session| session.address) {
            self.settle(source);
        }
    }

    /// An accepted connection does not wait any more.
    fn settle(&mut self, source: SocketAddr) {
        self.admission.handle_settled(source);
        self.holds.remove(&source);
    }

    fn handle_endpoint(&mut self, news: EndpointNews) {
        match news {
            EndpointNews::Joined(id, endpoint) => {
                self.endpoints.insert(id, endpoint);
                self.links.handle_endpoint_joined(id);
            }
            EndpointNews::Left(id) => {
                self.endpoints.remove(&id);
                self.links.handle_endpoint_left(id);
            }
            EndpointNews::Bytes(bytes) => self.links.handle_bytes(&bytes),
        }
    }

    fn handle_command(&mut self, command: &Command) {
        match command {
            Command::Send { peer, frame } => {
                if !self.links.handle_send(peer, frame) {
                    tracing::debug!(peer, "a frame was lost: no link");
                }
            }
            Command::Close { peer, reason } => self.links.handle_close(peer, reason),
        }
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Event(event) => {
                self.linked.send_if_modified(|linked| match &event {
                    ClusterEvent::LinkUp { peer } => linked.insert(peer.clone()),
                    ClusterEvent::LinkDown { peer } => linked.remove(peer),
                    _ => false,
                });
                if self.events.send(event).await.is_err() {
                    tracing::debug!("nobody listens to the cluster any more");
                }
            }
            Action::Stop(id, reason) => {
                if let Some(session) = self.sessions.get(&id) {
                    tracing::info!(reason, "cluster session stopped");
                    session.actor.stop(Some(reason));
                }
            }
            Action::Cast(id, bytes) => {
                let sent = self.endpoints.get(&id).map(|endpoint| endpoint.cast(bytes));
                if !matches!(sent, Some(Ok(()))) {
                    tracing::debug!("a frame was lost: the link is going down");
                }
            }
        }
    }

    /// Changes the counters; those who look are not woken.
    fn count<T>(&self, change: impl FnOnce(&mut Refusals) -> T) -> T {
        let mut result = None;
        self.refusals.send_if_modified(|refusals| {
            result = Some(change(refusals));
            false
        });
        result.expect("the change was made")
    }
}
