//! Starts this process's place in the cluster, and is its handle.

use crate::config::{ClusterConfig, ClusterError, ClusterEvent, Refusals};
use crate::connect;
use crate::links_task::{Command, LinksTask};
use crate::ractor_node::RactorNode;
use crate::wire::FRAME_BYTES_MAX;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Frames to send that wait for the links task; one more is refused.
const COMMANDS_MAX: usize = 4096;

/// This process's place in the cluster.
#[derive(Debug)]
pub struct Cluster {}

/// Sends frames and closes links. Dropping it ends all links.
#[derive(Debug)]
pub struct ClusterHandle {
    commands: mpsc::Sender<Command>,
    refusals: watch::Receiver<Refusals>,
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
        let (commands, commands_seen) = mpsc::channel(COMMANDS_MAX);
        let (refused, refusals) = watch::channel(Refusals::default());
        let task = LinksTask::new(me, config, node, events, refused);
        let task = tokio::spawn(task.run(listener, commands_seen));
        Ok(ClusterHandle { commands, refusals, task })
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

    /// What was refused since the start.
    pub fn refusals(&self) -> Refusals {
        *self.refusals.borrow()
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
