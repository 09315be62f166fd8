//! Control messages between voters: heartbeats, and the questions and answers about views.
//!
//! How they travel is not here (`envelope.rs`), nor what they cause (`member.rs`, `seat.rs`).

use crate::{NodeName, RunId, View};
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Who speaks: the balancer's vote, or a run of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VoterId {
    /// A balancer without a name, which holds a vote.
    Seat,
    /// A balancer with a name: it votes while it holds the seat.
    Balancer(NodeName),
    /// A run of a node. Votes count per node: a new run inherits what its node has voted.
    Run(RunId),
}

impl VoterId {
    /// The node, or none for a balancer.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            VoterId::Seat | VoterId::Balancer(_) => None,
            VoterId::Run(run) => Some(&run.node),
        }
    }
}

impl fmt::Display for VoterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VoterId::Seat => f.write_str("the seat"),
            VoterId::Balancer(name) => write!(f, "balancer {name}"),
            VoterId::Run(run) => run.fmt(f),
        }
    }
}

/// What a seat says of its own process, for pages; no decision depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatProcess {
    /// How long it has run, in milliseconds.
    #[serde(default)]
    pub up_ms: u64,
    /// Its sockets were opened by another process, and outlive it.
    #[serde(default)]
    pub sockets_kept: bool,
    /// How often that process had to start it again; 0 where it does not count.
    #[serde(default)]
    pub restarts: u64,
    /// Of a pair: it is at the addresses of the clients; none if it is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_address: Option<bool>,
    /// Datagrams and connections that it dropped since its start, by reason in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
}

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The number of the highest view that the sender has stored; in a node's heartbeat, of the
    /// highest that it knows.
    pub view: u64,
    /// Who sends it.
    pub from: VoterId,
    /// What it says.
    pub body: ControlBody,
}

/// What a control message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlBody {
    /// I live, and I hear you.
    Heartbeat {
        /// Grows with each heartbeat of the sender to this receiver, also across its restarts.
        sequence: u64,
        /// The last sequence that the sender heard from this receiver; 0 is none.
        echo: u64,
        /// The sender hears the seat (and is heard by it).
        hears_seat: bool,
        /// When it was sent, by the sender's cluster time (of a seat: by its own clock). The
        /// machines here put their own clock in; who sends it puts its cluster time there.
        sent_at: Timestamp,
        /// The sender is about to leave and wants no new calls.
        draining: bool,
        /// Of a node: it is a member of the view it knows, so it may serve. Of a balancer: it can
        /// be where clients are, and store its votes; one that does not know the word says so.
        ready: bool,
        /// Of a balancer that is not ready: nothing keeps it from it any more, as it has looked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rests: bool,
        /// Of the seat: how its process does.
        #[serde(default)]
        seat: Option<SeatProcess>,
        /// To a balancer with a name: it may forward, counted from when it sent what is echoed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        confirms: bool,
    },
    /// Which is the highest view you know?
    AskView,
    /// The highest view I have stored.
    TellView {
        /// That view.
        #[serde(with = "crate::view_on_wire")]
        view: View,
        /// The sender's run is a member of it and lives.
        member: bool,
        /// How many commits were in the store that the sender's run started from, to compare two
        /// nodes at a cold start.
        last_commit: u64,
        /// The sender's store had nothing to start from.
        store_empty: bool,
    },
    /// Vote for this view, please.
    Propose {
        /// The number of the view that the proposal follows.
        base: u64,
        /// The proposed view.
        #[serde(with = "crate::view_on_wire")]
        view: View,
    },
    /// The answer to [`ControlBody::Propose`].
    Vote {
        /// The number that was proposed.
        number: u64,
        /// The run that proposed it.
        proposer: RunId,
        /// What the voter says.
        verdict: Verdict,
        /// The highest view that the voter has stored.
        #[serde(with = "crate::view_on_wire")]
        highest: View,
    },
}

/// A voter's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes.
    Granted,
    /// No, but it may become a yes.
    NotNow,
    /// No, and this number will never get a yes from this voter.
    Never,
}
