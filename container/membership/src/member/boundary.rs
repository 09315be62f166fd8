//! What goes into a member machine and what comes out of it.
//!
//! What it does in between is not here (`member.rs`).

use super::peer::PeerLoss;
use crate::{Balancers, Control, NodeName, RunId, SeatProcess, View, VoterId, VoterState};
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a member machine is told at its start.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// This run.
    pub me: RunId,
    /// The other nodes of the cluster; none: this node is its own only voter.
    pub peers: Vec<NodeName>,
    /// A balancer holds a vote.
    pub seat: bool,
    /// The names of the balancers of which one holds that vote; none: it has no name. With names
    /// a cluster has two nodes at most (`voter.rs`, *a grant may decide*).
    pub balancers: Balancers,
    /// Time between two heartbeats to each peer and to the seat.
    pub heartbeat_ms: u64,
    /// So many heartbeats missed in a row are a loss.
    pub missed: u32,
    /// So long no member must have been heard before a node may start from cold.
    pub cold_start_ms: u64,
    /// What to do when no vote but its own is to be had.
    pub unclean: Unclean,
}

/// What a node does that hears no other voter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unclean {
    /// It waits: no call is ever served by two.
    #[default]
    Refuse,
    /// It serves, with an alarm: two nodes that cannot hear each other may serve the same calls.
    Serve,
}

/// A text that is no [`Unclean`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither \"refuse\" (wait for a second vote) nor \"serve\" (do without it)")]
pub struct ParseUncleanError(String);

impl FromStr for Unclean {
    type Err = ParseUncleanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Unclean::Refuse),
            "serve" => Ok(Unclean::Serve),
            other => Err(ParseUncleanError(other.chars().take(64).collect())),
        }
    }
}

/// Where a control message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The balancer without a name, at the address its last heartbeat came from.
    Seat,
    /// A balancer with a name.
    Balancer(NodeName),
    /// A peer.
    Node(NodeName),
}

impl Destination {
    /// The balancer of that name, or the one without.
    pub fn of_balancer(name: Option<NodeName>) -> Self {
        name.map_or(Destination::Seat, Destination::Balancer)
    }
}

/// A balancer, as a node hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerStatus {
    /// Its name; none if it has none.
    pub name: Option<NodeName>,
    /// It holds the seat, by the highest view that is known.
    pub holds_seat: bool,
    /// When a heartbeat of it was taken last.
    pub last_heard: Option<Timestamp>,
    /// It is heard, and hears this node.
    pub alive: bool,
    /// It can be where clients are, as it said last.
    pub ready: bool,
    /// What it said last of its process; none if it was not heard.
    pub process: Option<SeatProcess>,
}

/// Everything that can happen to a member machine.
#[derive(Clone, Debug)]
pub enum MemberInput {
    /// An authentic control message arrived.
    Control(Control),
    /// The link to that run is up.
    LinkUp(RunId),
    /// The link to that run broke.
    LinkDown(RunId),
    /// That run, no member yet, acked the snapshot, and all commits whose effects were let out.
    JoinerReady(RunId),
    /// It does not have all that was let out any more.
    JoinerBehind(RunId),
    /// The state of that number, and all before it, is stored.
    Persisted(u64),
    /// How many commits of the members of the last view are in the store that this run starts
    /// from.
    CommitsStored(u64),
    /// These cohorts of dead runs have no cell any more, and all members hold that: the next view
    /// that this run proposes leaves out those that it owns.
    Finished(BTreeSet<CohortId>),
    /// This run has cells of these cohorts, which the view does not name: it wants to own them.
    /// It stands until the next view.
    Found(BTreeSet<CohortId>),
    /// Somebody sent something by an older view.
    OldView(Destination),
    /// The moment of `poll_timeout` has come.
    Timeout,
    /// Hand everything to the others and leave.
    Drain,
    /// Leave no more, if that has not happened yet.
    Stay,
    /// Propose that another member owns these cohorts of this run. Gates must have nothing of
    /// them waiting, and their cells must rest until the next [`MemberOutput::Adopt`].
    HandOver {
        /// Cohorts that this run owns.
        cohorts: BTreeSet<CohortId>,
        /// The member that is to own them.
        heir: RunId,
    },
    /// Do not wait for the votes of others this once.
    Force,
}

/// Everything that a member machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOutput {
    /// Send this control message.
    Send {
        /// To whom.
        to: Destination,
        /// What.
        control: Control,
    },
    /// Store this state whole, then answer [`MemberInput::Persisted`] with its number. Nothing
    /// that depends on it comes out before.
    Persist {
        /// Counts the states to store.
        number: u64,
        /// What to store.
        state: VoterState,
    },
    /// This view holds from now on.
    Adopt(View),
    /// This run is no member: ask that member for a snapshot over the link. It comes again for
    /// the same member when its link comes up.
    Join {
        /// The member.
        member: RunId,
    },
    /// This run is about to ask for votes for this view: gates hold for both views from now on,
    /// until the next [`MemberOutput::Adopt`].
    Proposing(View),
    /// What the last [`MemberOutput::Proposing`] named is not wanted any more, and nobody was
    /// asked for it: it will never hold.
    NotProposing,
    /// This run was a member and is not in this newer view: it may do nothing any more. The
    /// machine has ended; the shell builds a new run.
    VotedOut(View),
    /// For logs and alarms.
    Notice(MemberNotice),
}

/// What a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberNotice {
    /// A member is lost to this one.
    PeerLost {
        /// The member.
        run: RunId,
        /// Why it counts as lost.
        why: PeerLoss,
        /// Time since it was heard last; none if it never was.
        silent_for: Option<Duration>,
    },
    /// A member that was lost is heard again, or a new run of its node.
    PeerBack {
        /// The run.
        run: RunId,
    },
    /// The seat is not heard any more, or does not hear this node.
    SeatLost,
    /// The seat is heard and hears this node.
    SeatBack,
    /// A balancer that stands by is not heard, or does not hear this node.
    StandbyLost {
        /// Its name.
        name: NodeName,
    },
    /// A balancer that was lost so is heard and hears this node, or holds the seat.
    StandbyBack {
        /// Its name.
        name: NodeName,
    },
    /// A balancer with a name has said for a while that it cannot serve clients.
    BalancerUnready {
        /// Its name.
        name: NodeName,
        /// It holds the seat all the same: no other one can, either.
        holds_seat: bool,
    },
    /// What was noticed so is over: it can, or it is not heard, or the seat has moved.
    BalancerReady {
        /// Its name.
        name: NodeName,
        /// As it was said before.
        holds_seat: bool,
    },
    /// A balancer speaks that the configuration does not name: nobody listens to it here.
    UnknownBalancer {
        /// Who it says that it is.
        from: VoterId,
        /// Those that are named; none if the only one has no name.
        known: Vec<String>,
    },
    /// No member lives, so this run proposes itself.
    ColdStart {
        /// The number of the view it follows.
        base: u64,
    },
    /// Two different views have the same number: some voter lost its memory.
    Conflict {
        /// The number.
        number: u64,
    },
    /// The view of this number is decided by this run's own vote: others may act as well.
    Forced {
        /// The number.
        number: u64,
    },
    /// A draining node has handed over everything, or had nothing to hand over. The machine has
    /// ended.
    Drained,
}

impl fmt::Display for MemberNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberNotice::PeerLost { run, why, silent_for: Some(time) } => {
                write!(f, "{run} is lost: {why} (last heard {} ms ago)", time.as_millis())
            }
            MemberNotice::PeerLost { run, why, silent_for: None } => {
                write!(f, "{run} is lost: {why} (never heard)")
            }
            MemberNotice::PeerBack { run } => write!(f, "{run} is back"),
            MemberNotice::SeatLost => f.write_str("the balancer is lost"),
            MemberNotice::SeatBack => f.write_str("the balancer is heard"),
            MemberNotice::StandbyLost { name } => {
                write!(f, "the balancer {name}, which stands by, is lost")
            }
            MemberNotice::StandbyBack { name } => write!(f, "the balancer {name} is heard"),
            MemberNotice::BalancerUnready { name, holds_seat: true } => {
                write!(f, "the balancer {name}, which holds the seat, is not ready")
            }
            MemberNotice::BalancerUnready { name, holds_seat: false } => {
                write!(f, "the balancer {name}, which stands by, is not ready")
            }
            MemberNotice::BalancerReady { name, .. } => {
                write!(f, "that the balancer {name} is not ready is over")
            }
            MemberNotice::UnknownBalancer { from, known } => {
                let who = match from {
                    VoterId::Balancer(name) => format!("a balancer {name}"),
                    _ => "a balancer without a name".to_owned(),
                };
                write!(
                    f,
                    "{who} speaks, and is not listened to: `[cluster] balancers` names {known:?}; \
                     `[pair] name` of its balancer.toml must be one of them"
                )
            }
            MemberNotice::ColdStart { base } => {
                write!(f, "no member lives: starting from view {base}")
            }
            MemberNotice::Conflict { number } => {
                write!(f, "two different views have the number {number}: a voter lost its memory")
            }
            MemberNotice::Forced { number } => {
                write!(f, "view {number} was forced: it has no vote but this node's own")
            }
            MemberNotice::Drained => f.write_str("everything is handed over"),
        }
    }
}

/// What is known about a peer, for pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerStatus {
    /// The run heard last.
    pub run: Option<RunId>,
    /// When a heartbeat of it was heard last.
    pub last_heard: Option<Timestamp>,
    /// When it last confirmed to hear this node.
    pub last_echo: Option<Timestamp>,
    /// It says that it hears the seat.
    pub hears_seat: bool,
    /// It is about to leave.
    pub draining: bool,
    /// Why it counts as lost, if it does.
    pub lost: Option<PeerLoss>,
}
