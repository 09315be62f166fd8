//! What a balancer tells people. In which words and how loud is all that a log needs to know.

use super::DropReason;
use crate::data_plane::Failing;
use crate::node_state::NodeState;
use resilee_membership::{NodeName, RunId, SeatNotice, View};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

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
    /// A node is another thing to the balancer than before.
    State {
        /// The node.
        node: NodeName,
        /// What it is now.
        state: NodeState,
        /// If it fails: why.
        why: Option<Failing>,
    },
    /// No node serves, and clients are told so from now on; or a node serves again.
    Unavailable {
        /// None serves.
        hopeless: bool,
        /// How many requests were answered until now.
        answers: u64,
    },
    /// Of a pair: it holds the seat and a lease, and serves clients from now on; or not any more.
    Serves(bool),
    /// Of a pair: it serves, and is now where clients are.
    AddressTaken,
    /// Of a pair: it serves, and cannot be where clients are; it is tried again.
    AddressRefused {
        /// What is wrong.
        why: String,
    },
    /// Of a pair: it could not serve clients, and the other one should; for this reason. None: it
    /// can, or can again.
    Unfit(Option<String>),
    /// The configuration was read again and holds.
    Reloaded {
        /// The keys and tables that differ from before.
        changed: Vec<&'static str>,
    },
    /// The configuration was read again and refused: the one before stays.
    ReloadRefused {
        /// What is wrong, with file, line and key.
        why: String,
    },
    /// Datagrams were dropped; told at the first, the tenth, the hundredth and so on.
    Dropped {
        /// Why.
        reason: DropReason,
        /// How many until now.
        count: u64,
    },
    /// A client is banned for a while; told at the first, the tenth, the hundredth and so on.
    Banned {
        /// Its address; of IPv6 its whole /64 is banned.
        client: IpAddr,
        /// What it did at last.
        reason: DropReason,
        /// How many bans there were until now.
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
            BalancerNotice::State { node, state, why: Some(why) } => {
                write!(f, "{node} is {state}: {why}; new calls go elsewhere if they can")
            }
            BalancerNotice::State { node, state, why: None } => write!(f, "{node} is {state}"),
            BalancerNotice::Unavailable { hopeless: true, .. } => {
                f.write_str("no node serves: new requests get 503 with Retry-After")
            }
            BalancerNotice::Unavailable { hopeless: false, answers } => {
                write!(f, "a node serves again; {answers} requests got 503 until now")
            }
            BalancerNotice::Serves(true) => f.write_str("it holds the seat, and serves clients"),
            BalancerNotice::Serves(false) => f.write_str(
                "it stands by: the seat is at the other balancer, or no node confirms it",
            ),
            BalancerNotice::AddressTaken => f.write_str("it is where clients are"),
            BalancerNotice::AddressRefused { why } => {
                write!(f, "it should be where clients are, and cannot; it is tried again: {why}")
            }
            BalancerNotice::Unfit(Some(why)) => {
                write!(
                    f,
                    "it is not fit to serve, and the other balancer is to have the seat: {why}"
                )
            }
            BalancerNotice::Unfit(None) => f.write_str("it is fit to serve"),
            BalancerNotice::Reloaded { changed } if changed.is_empty() => {
                f.write_str("the configuration was read again and says the same")
            }
            BalancerNotice::Reloaded { changed } => {
                write!(f, "the configuration was read again; changed: {}", changed.join(", "))
            }
            BalancerNotice::ReloadRefused { why } => {
                write!(f, "the configuration was read again and refused, the old one stays: {why}")
            }
            BalancerNotice::Dropped { reason, count } => write!(f, "dropped {count}: {reason}"),
            BalancerNotice::Banned { client, reason, count } => {
                write!(f, "banned {client}, ban {count}; its last message: {reason}")
            }
        }
    }
}
