//! What goes into a balancer and what comes out of it.
//!
//! What it does in between is not here (`balancer.rs`).

use crate::drop_reason::DropReason;
use resilee_membership::{Flow, NodeName, RunId, SeatNotice, View, VoterState};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Which member gets a new call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The first server in the configuration that lives.
    #[default]
    FirstAlive,
    /// By a hash of the Call-ID.
    CallId,
    /// Each in turn.
    RoundRobin,
}

/// A node, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The node's name.
    pub name: NodeName,
    /// Where it receives from the balancer.
    pub address: SocketAddr,
}

/// What a balancer is told at its start.
#[derive(Clone, Debug)]
pub struct BalancerConfig {
    /// Where clients send to.
    pub listen: Vec<SocketAddr>,
    /// The nodes; outputs name them by their position here.
    pub servers: Vec<Server>,
    /// For new calls.
    pub algorithm: Algorithm,
    /// Time between two heartbeats.
    pub heartbeat_ms: u64,
    /// So many missed in a row are a loss.
    pub missed: u32,
}

/// Everything that can happen to a balancer.
#[derive(Clone, Copy, Debug)]
pub enum BalancerInput<'a> {
    /// A datagram from a client, or a message in a stream.
    FromClient {
        /// The client, and the balancer's address that it was sent to.
        flow: Flow,
        /// The datagram or message.
        bytes: &'a [u8],
    },
    /// A datagram from a node's address.
    FromNode {
        /// The node.
        server: usize,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// Nobody listens at the node's address.
    Refused {
        /// The node.
        server: usize,
    },
    /// The voter state of that number is stored.
    Persisted(u64),
    /// The moment of `poll_timeout` has come.
    Timeout,
}

/// Everything that a balancer wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalancerOutput {
    /// Send to a client.
    ToClient {
        /// The client, and from which of the balancer's addresses; the unspecified one: from any
        /// of its IP version.
        flow: Flow,
        /// What.
        bytes: Vec<u8>,
    },
    /// Send to a node.
    ToNode {
        /// The node.
        server: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// Store this whole, then answer [`BalancerInput::Persisted`] with its number.
    Persist {
        /// Counts the states to store.
        number: u64,
        /// What to store.
        state: VoterState,
    },
    /// For the log.
    Notice(BalancerNotice),
}

/// What a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalancerNotice {
    /// A new view holds.
    View {
        /// The view.
        view: View,
        /// The runs that are not in it any more.
        removed: Vec<Removed>,
        /// So many datagrams were sent again.
        resent: usize,
    },
    /// The seat noticed something.
    Seat(SeatNotice),
    /// Nobody listens at a node's address.
    Refused {
        /// The node.
        node: NodeName,
    },
    /// Datagrams were dropped; told at the first, the tenth, the hundredth and so on.
    Dropped {
        /// Why.
        reason: DropReason,
        /// How many until now.
        count: u64,
    },
}

/// A run that a view left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The run.
    pub run: RunId,
    /// Time from its node's last heartbeat until the view that leaves it out.
    pub silent_for: Option<Duration>,
}

impl fmt::Display for BalancerNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BalancerNotice::View { view, removed, resent } => {
                let members: Vec<String> = view.members.iter().map(RunId::to_string).collect();
                write!(f, "view {}: {}", view.number, members.join(", "))?;
                for Removed { run, silent_for } in removed {
                    write!(f, "; without {run}")?;
                    if let Some(time) = silent_for {
                        write!(f, ", last heard {} ms ago", time.as_millis())?;
                    }
                }
                if *resent > 0 {
                    write!(f, "; {resent} datagrams sent again")?;
                }
                Ok(())
            }
            BalancerNotice::Seat(notice) => notice.fmt(f),
            BalancerNotice::Refused { node } => write!(f, "nobody listens at {node}'s address"),
            BalancerNotice::Dropped { reason, count } => write!(f, "dropped {count}: {reason}"),
        }
    }
}
