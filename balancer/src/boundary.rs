//! What goes into a balancer and what comes out of it.
//!
//! | enum               | says                                  | file                      |
//! |--------------------|---------------------------------------|---------------------------|
//! | [`BalancerInput`]  | everything that can happen to it      | here                      |
//! | [`BalancerOutput`] | everything that it wants done         | here                      |
//! | [`BalancerNotice`] | what it tells people, in the log      | `boundary/notice.rs`      |
//! | [`DropReason`]     | why a datagram went no further        | `boundary/drop_reason.rs` |
//!
//! What it does in between is not here (`balancer.rs`).

mod drop_reason;
mod notice;

pub use drop_reason::DropReason;
pub use notice::{BalancerNotice, Removed};

use crate::protection::ProtectionConfig;
use resilee_membership::{Balancers, Flow, NodeName, VoterState};
use std::net::SocketAddr;

/// Which member gets a new call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The first server in the configuration that lives.
    #[default]
    FirstAlive,
    /// By a hash of the Call-ID: a server that dies or comes moves no other server's calls.
    CallId,
    /// Each in turn, by its weight.
    RoundRobin,
}

impl Algorithm {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::FirstAlive => "first-alive",
            Algorithm::CallId => "call-id",
            Algorithm::RoundRobin => "round-robin",
        }
    }
}

/// A node, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The node's name.
    pub name: NodeName,
    /// Where it receives from the balancer.
    pub address: SocketAddr,
    /// Its share of new calls beside the others', from 1 to 100; not used by
    /// [`Algorithm::FirstAlive`].
    pub weight: u32,
}

/// What a server must be like to get new calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// So long after it joined, in seconds, its share grows to the whole; 0: it has it at once.
    pub ramp_up_s: u64,
    /// So far back its requests and responses count, in seconds.
    pub window_s: u64,
    /// More of its requests without any response, in per cent, and it fails; 100: never.
    pub no_response_max_percent: u64,
    /// More 5xx among its final responses, in per cent, and it fails; 100: never.
    pub server_error_max_percent: u64,
    /// Fewer requests, or responses, in the window say nothing.
    pub requests_min: u64,
}

impl Default for HealthConfig {
    fn default() -> Self {
        HealthConfig {
            ramp_up_s: 10,
            window_s: 10,
            no_response_max_percent: 50,
            server_error_max_percent: 50,
            requests_min: 20,
        }
    }
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
    /// Who is fit for new calls.
    pub health: HealthConfig,
    /// What is let pass of clients.
    pub protection: ProtectionConfig,
    /// It is one of two.
    pub pair: Option<Pair>,
}

impl BalancerConfig {
    /// The names of the balancers; none: it has no name.
    pub(crate) fn balancers(&self) -> Balancers {
        let names = self.pair.iter().flat_map(|pair| [pair.name.clone(), pair.peer.clone()]);
        Balancers::new(names)
    }
}

/// Two balancers, of which one holds the seat and serves clients, and the other stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// This one's name.
    pub name: NodeName,
    /// The other one's.
    pub peer: NodeName,
    /// It adds the addresses of the clients itself; else another program moves them after it.
    pub adds_addresses: bool,
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
    /// What [`BalancerOutput::Serve`] asked for is done: it is where clients are.
    AddressTaken,
    /// It cannot be done now, and is tried again.
    AddressRefused(&'a str),
    /// The same, or while it stands by: no cable is plugged in, for this reason in words. Whoever
    /// stands by would see that as well.
    NoCarrier(&'a str),
    /// Of a pair, while it stands by: what would keep it from being where clients are, as far as
    /// that can be known there; `None`: nothing.
    StandbyChecked(Option<&'a str>),
    /// The last voter state can't be stored, for this reason; it is tried again.
    NotPersisted(&'a str),
    /// What is stored could be stored once more: so could the next one.
    StoreProven,
    /// The configuration was read again, and only what may change at run time is another.
    Reloaded(&'a BalancerConfig),
    /// The configuration was read again, and is refused for this reason.
    ReloadRefused(&'a str),
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
    /// Of a pair only: be where clients are, so take the addresses, or be there no more. Until the
    /// first of these it is not.
    Serve(bool),
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
