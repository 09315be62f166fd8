//! The links task: feeds the [`Links`] machine and carries out its actions.
//!
//! It decides nothing; who gets a link is in `links.rs`.

use crate::config::{ClusterConfig, ClusterError, ClusterEvent};
use crate::connect::{self, Connector};
use crate::links::{Action, Links, SessionId};
use crate::ractor_node::{EndpointNews, RactorNode, SESSIONS_MAX, SessionNews};
use crate::wire::FRAME_BYTES_MAX;
use ractor::ActorRef;
use ractor_cluster::NodeSessionMessage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

/// Frames to send that wait for the links task; one more is refused.
const COMMANDS_MAX: usize = 4096;
/// How often late handshakes are looked for.
const TICK: Duration = Duration::from_secs(1);

/// This process's place in the cluster.
#[derive(Debug)]
pub struct Cluster {}

/// Sends frames and closes links. Dropping it ends all links.
#[derive(Debug)]
pub struct ClusterHandle {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// A frame that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It would end the link.
    #[error("the frame has {0} bytes, {FRAME_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// `COMMANDS_MAX` frames wait already.
    #[error("{COMMANDS_MAX} frames wait already")]
    Busy,
    /// The cluster has ended.
    #[error("the cluster node has ended")]
    Ended,
}

enum Command {
    Send { peer: String, frame: Vec<u8> },
    Close { peer: String, reason: String },
}

impl Cluster {
    /// Listens, dials the peers, and reports to `events`. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// A configuration that makes no sense, or an address that cannot be listened on.
    pub async fn start(
        config: ClusterConfig,
        events: mpsc::Sender<ClusterEvent>,
    ) -> Result<ClusterHandle, ClusterError> {
        let me = config.check()?;
        let listener = connect::bind(config.listen)?;
        let node =
            RactorNode::start(&config.node_name, config.listen, config.cookie.clone()).await?;
        let permits = Arc::new(Semaphore::new(SESSIONS_MAX));
        let (linked, linked_seen) = watch::channel(BTreeSet::new());
        let server = node.server.clone();
        let connector = Connector { server, permits: permits.clone(), linked: linked_seen };
        let mut sockets = JoinSet::new();
        let addresses = config.peers.iter().map(|(_, address)| address.ip()).collect();
        sockets.spawn(connect::accept(connector.clone(), listener, addresses));
        for (index, (peer, _)) in config.peers.iter().enumerate() {
            if me.node < *peer {
                sockets.spawn(connect::dial(connector.clone(), config.clone(), index));
            }
        }
        let (commands, commands_seen) = mpsc::channel(COMMANDS_MAX);
        let peers = config.peers.into_iter().map(|(name, _)| name);
        let task = LinksTask {
            links: Links::new(&config.node_name, peers),
            sessions: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            linked,
            permits,
            events,
        };
        let task = tokio::spawn(task.run(node, commands_seen, sockets));
        Ok(ClusterHandle { commands, task })
    }
}

impl ClusterHandle {
    /// Sends a frame to a peer. Without a link it is lost: the core sends it again.
    ///
    /// # Errors
    /// A frame that is too large, or too many frames that wait.
    pub fn send(&self, peer: &str, frame: Vec<u8>) -> Result<(), SendError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(SendError::TooLarge(frame.len()));
        }
        self.command(Command::Send { peer: peer.to_owned(), frame })
    }

    /// Closes the link to a peer; the smaller name dials again.
    ///
    /// # Errors
    /// Too many commands that wait.
    pub fn close(&self, peer: &str, reason: &str) -> Result<(), SendError> {
        self.command(Command::Close { peer: peer.to_owned(), reason: reason.to_owned() })
    }

    /// Ends all links and waits until the address is free again.
    pub async fn stop(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the cluster task failed");
        }
    }

    fn command(&self, command: Command) -> Result<(), SendError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Busy,
            mpsc::error::TrySendError::Closed(_) => SendError::Ended,
        })
    }
}

struct LinksTask {
    links: Links,
    sessions: BTreeMap<SessionId, ActorRef<NodeSessionMessage>>,
    endpoints: BTreeMap<SessionId, ActorRef<Vec<u8>>>,
    linked: watch::Sender<BTreeSet<String>>,
    permits: Arc<Semaphore>,
    events: mpsc::Sender<ClusterEvent>,
}

impl LinksTask {
    async fn run(
        mut self,
        mut node: RactorNode,
        mut commands: mpsc::Receiver<Command>,
        mut sockets: JoinSet<()>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // A lost link must not wait behind its frames.
                biased;
                Some(news) = node.sessions.recv() => self.handle_session(news),
                Some(news) = node.endpoints.recv() => self.handle_endpoint(news),
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(&command),
                    None => break,
                },
                _ = tick.tick() => self.links.handle_tick(Instant::now()),
            }
            while let Some(action) = self.links.poll_action() {
                self.carry_out(action).await;
            }
        }
        sockets.shutdown().await;
        node.stop().await;
    }

    fn handle_session(&mut self, news: SessionNews) {
        match news {
            SessionNews::Opened(id, actor) => {
                self.sessions.insert(id, actor);
                self.links.handle_opened(Instant::now(), id);
            }
            SessionNews::Authenticated(id, name) => self.links.handle_authenticated(id, &name),
            SessionNews::Ended(id) => {
                self.sessions.remove(&id);
                self.permits.add_permits(1);
                self.links.handle_ended(id);
            }
        }
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
                    ClusterEvent::Frame { .. } => false,
                });
                if self.events.send(event).await.is_err() {
                    tracing::debug!("nobody listens to the cluster any more");
                }
            }
            Action::Stop(id, reason) => {
                if let Some(session) = self.sessions.get(&id) {
                    tracing::info!(reason, "cluster session stopped");
                    session.stop(Some(reason));
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
}
