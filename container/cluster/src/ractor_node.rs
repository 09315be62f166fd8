//! This process's `ractor_cluster` node: its node server, the one endpoint actor that other nodes
//! reach, and the news of sessions, all turned into [`SessionNews`] and [`EndpointNews`].
//!
//! Who gets a link is not decided here (`links.rs`); sockets are opened in `connect.rs`.

use crate::config::ClusterError;
use crate::links::SessionId;
use crate::tls;
use crate::wire::{FRAME_BYTES_MAX, OVERHEAD_BYTES_MAX};
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent, pg,
    pg::GroupChangeMessage,
};
use ractor_cluster::node::{NodeConnectionMode, NodeServerSessionInformation};
use ractor_cluster::{IncomingEncryptionMode, NodeEventSubscription, NodeServer};
use ractor_cluster::{NodeServerMessage, NodeSessionMessage};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Process group of the endpoints of all nodes.
const ENDPOINTS: &str = "resilee.endpoints";
/// Sealed frames on their way from the endpoint to the links task; a sender's window, which the
/// core keeps, bounds what waits before it.
const ENDPOINT_NEWS_MAX: usize = 1024;
/// Events that one session gives at most: opened, authenticated, ended.
const EVENTS_PER_SESSION: usize = 3;
/// Sessions at a time; `links_task.rs` opens no more.
pub(crate) const SESSIONS_MAX: usize = 64;

/// How long the end of a node's actors is waited for.
const STOP_MAX: Duration = Duration::from_secs(2);

/// What the node server says of a session.
#[derive(Debug)]
pub(crate) enum SessionNews {
    /// It is open, nothing is proven.
    Opened(OpenSession),
    /// The other side is this run.
    Authenticated(SessionId, String),
    /// It is gone.
    Ended(SessionId),
}

/// A session that was opened.
#[derive(Debug)]
pub(crate) struct OpenSession {
    pub id: SessionId,
    pub actor: ActorRef<NodeSessionMessage>,
    /// Address of the other side.
    pub address: Option<SocketAddr>,
    pub side: Side,
}

/// Which side of a connection this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// It dialed.
    Client,
    /// It accepted.
    Server,
}

/// What the endpoint actor sees.
#[derive(Debug)]
pub(crate) enum EndpointNews {
    /// A peer's endpoint is reachable.
    Joined(SessionId, ActorRef<Vec<u8>>),
    /// A peer's endpoint is gone.
    Left(SessionId),
    /// Bytes from a peer's endpoint.
    Bytes(Vec<u8>),
}

/// The actors of this node.
pub(crate) struct RactorNode {
    pub server: ActorRef<NodeServerMessage>,
    endpoint: ActorRef<Vec<u8>>,
    pub sessions: mpsc::Receiver<SessionNews>,
    pub endpoints: mpsc::Receiver<EndpointNews>,
}

impl RactorNode {
    /// Starts the actors on the current tokio runtime.
    pub async fn start(
        run: &str,
        listen: SocketAddr,
        cookie: String,
    ) -> Result<RactorNode, ClusterError> {
        let failed = |error: ractor::SpawnErr| ClusterError::Actors(error.to_string());
        let (news, endpoints) = mpsc::channel(ENDPOINT_NEWS_MAX);
        let (endpoint, _) = Actor::spawn(None, Endpoint { news }, ()).await.map_err(failed)?;
        // ractor takes two nodes with the same "host:port" for one; the address is unique.
        let mode = Some(NodeConnectionMode::Isolated);
        // Its own listener cannot be turned off: nobody gets past the handshake there.
        let closed = Some(IncomingEncryptionMode::Tls(tls::closed_acceptor()));
        let server = NodeServer::new(0, cookie, run.to_owned(), listen.to_string(), closed, mode)
            .with_listen_addr(Ipv4Addr::LOCALHOST.into())
            .with_max_inbound_frame_size(FRAME_BYTES_MAX as u64 + OVERHEAD_BYTES_MAX);
        let (server, _) = Actor::spawn(None, server, ()).await.map_err(failed)?;
        let (news, sessions) = mpsc::channel(SESSIONS_MAX * EVENTS_PER_SESSION);
        let subscription = Box::new(Subscription { news });
        server
            .cast(NodeServerMessage::SubscribeToEvents { id: ENDPOINTS.to_owned(), subscription })
            .map_err(|error| ClusterError::Actors(error.to_string()))?;
        Ok(RactorNode { server, endpoint, sessions, endpoints })
    }

    /// Stops all sessions and the actors, and waits until they are gone.
    pub async fn stop(self) {
        drop((self.sessions, self.endpoints));
        // An error means that the actor is gone already, which is what is wanted.
        let _ = self.server.stop_and_wait(None, None).await;
        let _ = self.endpoint.stop_and_wait(None, None).await;
        // The next node server counts its sessions from 0 again: no proxy of this one may be left.
        let gone = async {
            while !pg::get_members(&ENDPOINTS.to_owned()).is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(STOP_MAX, gone).await.is_err() {
            tracing::error!("proxies of the old cluster node are still there");
        }
    }
}

/// The only actor that other nodes see.
struct Endpoint {
    news: mpsc::Sender<EndpointNews>,
}

impl Actor for Endpoint {
    type Msg = Vec<u8>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, me: ActorRef<Vec<u8>>, _: ()) -> Result<(), ActorProcessingErr> {
        pg::join(ENDPOINTS.to_owned(), vec![me.get_cell()]);
        pg::monitor(ENDPOINTS.to_owned(), me.get_cell());
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Vec<u8>>,
        bytes: Vec<u8>,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        // Fails only while the cluster is being stopped.
        let _ = self.news.send(EndpointNews::Bytes(bytes)).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Vec<u8>>,
        event: SupervisionEvent,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let SupervisionEvent::ProcessGroupChanged(change) = event else { return Ok(()) };
        let news: Vec<EndpointNews> = match change {
            GroupChangeMessage::Join(_, _, cells) => cells.into_iter().filter_map(joined).collect(),
            GroupChangeMessage::Leave(_, _, cells) => cells.iter().filter_map(left).collect(),
        };
        for news in news {
            // Fails only while the cluster is being stopped.
            let _ = self.news.send(news).await;
        }
        Ok(())
    }
}

fn joined(cell: ActorCell) -> Option<EndpointNews> {
    let ActorId::Remote { node_id, .. } = cell.get_id() else { return None };
    Some(EndpointNews::Joined(node_id, cell.into()))
}

fn left(cell: &ActorCell) -> Option<EndpointNews> {
    let ActorId::Remote { node_id, .. } = cell.get_id() else { return None };
    Some(EndpointNews::Left(node_id))
}

struct Subscription {
    news: mpsc::Sender<SessionNews>,
}

impl Subscription {
    /// Sessions are counted until their end was taken in, so there is always room; an error
    /// means that the cluster is being stopped.
    fn tell(&self, news: SessionNews) {
        if let Err(mpsc::error::TrySendError::Full(news)) = self.news.try_send(news) {
            tracing::error!(?news, "no room for the news of a session");
        }
    }
}

impl NodeEventSubscription for Subscription {
    fn node_session_opened(&self, session: NodeServerSessionInformation) {
        let address = session.peer_addr.parse().ok();
        let side = if session.is_server { Side::Server } else { Side::Client };
        let (id, actor) = (session.node_id, session.actor);
        self.tell(SessionNews::Opened(OpenSession { id, actor, address, side }));
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        self.tell(SessionNews::Ended(session.node_id));
    }

    fn node_session_authenticated(&self, session: NodeServerSessionInformation) {
        let name = session.peer_name.map(|message| message.name).unwrap_or_default();
        // "run@host"; the host is for ractor's own comparisons.
        let run = name.split('@').next().unwrap_or_default().to_owned();
        self.tell(SessionNews::Authenticated(session.node_id, run));
    }
}
