//! The cluster as one node sees it: which nodes there are, which of them are members of the view,
//! whose heartbeats come, and whether there is a backup. What is decided about it is the
//! membership's; this only tells.

use crate::live_call::LiveCalls;
use crate::moment;
use resilee_core::management::{BalancerStatus, PeerStatus, Status};
use resilee_membership::{RunId, SeatProcess};
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Name of a balancer that has none.
const BALANCER: &str = "balancer";

/// How a node, or the balancer, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Alive, and a member of the view if it is a node.
    Up,
    /// Alive, but not (or not for long) a member.
    Joining,
    /// This node hands over.
    Draining,
    /// No heartbeats come.
    Silent,
}

impl Health {
    /// One word for people and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Health::Up => "up",
            Health::Joining => "joining",
            Health::Draining => "draining",
            Health::Silent => "silent",
        }
    }
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its configured name.
    pub name: String,
    /// True for the node that answers.
    pub this: bool,
    /// True if a run of it is a member of the view.
    pub member: bool,
    /// How it does.
    pub health: Health,
    /// Its member run, or this run.
    pub run: Option<RunId>,
    /// How long ago its run started, in words; empty if that is not known.
    pub started: String,
    /// Age of its last heartbeat; none for this node, and where none ever came.
    pub heartbeat_age: Option<Duration>,
    /// True if the cluster link to it is open; none for this node.
    pub linked: Option<bool>,
    /// Commits that it has not acknowledged.
    pub unacknowledged: u64,
    /// Cells that it owns.
    pub cells: u64,
    /// Calls among them.
    pub calls: usize,
    /// Cohorts that it owns.
    pub cohorts: Vec<CohortId>,
}

impl Node {
    /// Its part in the view.
    pub fn role(&self) -> &'static str {
        match (self.member, self.cells) {
            (true, 0) => "member",
            (true, _) => "member, owner",
            (false, _) => "not a member",
        }
    }

    /// Age of the last heartbeat in words.
    pub fn heartbeat(&self) -> String {
        heartbeat(self.heartbeat_age)
    }

    /// How far its copy of our state is.
    pub fn replication(&self) -> String {
        match (self.linked, self.unacknowledged) {
            (None, _) => "–".to_owned(),
            (Some(false), _) => "link down".to_owned(),
            (Some(true), 0) => "in step".to_owned(),
            (Some(true), behind) => format!("{behind} behind"),
        }
    }
}

/// A balancer.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// Its name; `balancer` if it is the only one.
    pub name: String,
    /// It holds the seat, or is the only one.
    pub holds_seat: bool,
    /// Up or silent.
    pub health: Health,
    /// Age of its last heartbeat.
    pub heartbeat_age: Option<Duration>,
    /// It could serve phones, as it says; none of a silent one.
    pub ready: Option<bool>,
    /// What it says of its process, once it was heard.
    pub process: Option<SeatProcess>,
}

impl Balancer {
    fn new(status: &Status, balancer: &BalancerStatus) -> Self {
        Balancer {
            name: balancer.name.clone().unwrap_or_else(|| BALANCER.to_owned()),
            holds_seat: balancer.holds_seat,
            health: if balancer.alive { Health::Up } else { Health::Silent },
            heartbeat_age: balancer.last_heard.map(|at| status.now.since(at)),
            ready: balancer.alive.then_some(balancer.ready),
            process: balancer.process.clone(),
        }
    }

    /// Its part.
    pub fn role(&self) -> &'static str {
        match (self.holds_seat, self.ready) {
            (true, Some(false)) => "third vote; not ready",
            (true, _) => "entry, third vote",
            (false, Some(false)) => "stands by; not ready",
            (false, _) => "stands by",
        }
    }

    /// Of a pair: whether it is at the phones' address; nobody knows that of a silent one.
    pub fn holds_address(&self) -> Option<bool> {
        let process = self.process.as_ref().filter(|_| self.health == Health::Up)?;
        process.holds_address
    }

    /// The same in words.
    pub fn address(&self) -> Option<&'static str> {
        self.holds_address().map(|holds| if holds { "here" } else { "not here" })
    }

    /// Whether its sockets outlive its process, and how often they had to.
    pub fn sockets(&self) -> String {
        match &self.process {
            None => "–".to_owned(),
            Some(SeatProcess { sockets_kept: false, .. }) => "its own".to_owned(),
            Some(SeatProcess { restarts: 0, .. }) => "kept".to_owned(),
            Some(SeatProcess { restarts: 1, .. }) => "kept, started again once".to_owned(),
            Some(SeatProcess { restarts, .. }) => format!("kept, started again {restarts} times"),
        }
    }

    /// How long its process has run, in words.
    pub fn started(&self) -> String {
        let ago =
            |it: &SeatProcess| format!("{} ago", moment::age(Duration::from_millis(it.up_ms)));
        self.process.as_ref().map_or_else(|| "–".to_owned(), ago)
    }

    /// Age of the last heartbeat in words.
    pub fn heartbeat(&self) -> String {
        heartbeat(self.heartbeat_age)
    }
}

/// Whether a call would outlive the death of a node now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// There is a backup.
    Backed,
    /// A view of one, though other nodes are configured.
    Degraded,
    /// A view of one, and no other node is configured.
    Single,
    /// This node is no member: others, if any, serve.
    Outside,
}

/// Nodes, balancer and view.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Name of the node that answers.
    pub this: String,
    /// Number of its view.
    pub view: u64,
    /// Members of that view.
    pub members: usize,
    /// All nodes that it knows, by name.
    pub nodes: Vec<Node>,
    /// The balancers, by name.
    pub balancers: Vec<Balancer>,
    /// Whether there is a backup.
    pub protection: Protection,
    /// Effects of this node that wait for an acknowledgement.
    pub gated: u64,
}

impl Cluster {
    /// The cluster in `status`.
    pub fn new(status: &Status, calls: &LiveCalls) -> Self {
        let peers = status.peers.iter();
        let mut names: BTreeSet<&str> = peers.map(|peer| peer.name.as_str()).collect();
        names.insert(status.run.node.as_str());
        names.extend(status.view.members.iter().map(|run| run.node.as_str()));
        let node = |name: &&str| node(name, status, calls);
        let nodes: Vec<Node> = names.iter().map(node).collect();
        Cluster {
            this: status.run.node.to_string(),
            view: status.view.number,
            members: status.view.members.len(),
            protection: protection(status, nodes.len()),
            nodes,
            gated: status.gated,
            balancers: status.balancers.iter().map(|it| Balancer::new(status, it)).collect(),
        }
    }

    /// Nodes that serve.
    pub fn nodes_up(&self) -> usize {
        let serves = |node: &&Node| matches!(node.health, Health::Up | Health::Draining);
        self.nodes.iter().filter(serves).count()
    }

    /// Names of the nodes that are silent.
    pub fn silent(&self) -> String {
        let silent = self.nodes.iter().filter(|node| node.health == Health::Silent);
        silent.map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn node(name: &str, status: &Status, calls: &LiveCalls) -> Node {
    let this = name == status.run.node.as_str();
    let peer = status.peers.iter().find(|peer| peer.name == name);
    let member = status.view.members.iter().find(|run| run.node.as_str() == name);
    let is_member = if this { status.member } else { member.is_some() };
    let alive = this || peer.is_some_and(|peer| peer.alive);
    let owned = status.view.cohorts.iter().filter(|(_, owner)| owner.node.as_str() == name);
    let run = if this { Some(status.run.clone()) } else { member.cloned() };
    // An incarnation is the time at which the run started.
    let started = |run: &RunId| moment::ago(status.now, Timestamp::from_millis(run.incarnation));
    Node {
        name: name.to_owned(),
        this,
        member: is_member,
        health: match (alive, is_member) {
            (false, _) => Health::Silent,
            (true, _) if this && status.draining => Health::Draining,
            (true, true) => Health::Up,
            (true, false) => Health::Joining,
        },
        started: run.as_ref().map(started).unwrap_or_default(),
        run,
        heartbeat_age: peer.and_then(|peer| heartbeat_age(status, peer)),
        linked: peer.map(|peer| peer.linked),
        unacknowledged: peer.map_or(0, |peer| peer.unacknowledged),
        cells: status.cells.get(name).copied().unwrap_or(0),
        calls: calls.owned_by(name),
        cohorts: owned.map(|(cohort, _)| *cohort).collect(),
    }
}

fn heartbeat(age: Option<Duration>) -> String {
    age.map_or("never".to_owned(), |age| format!("{} ago", moment::age(age)))
}

fn heartbeat_age(status: &Status, peer: &PeerStatus) -> Option<Duration> {
    peer.last_heard.map(|at| status.now.since(at))
}

fn protection(status: &Status, nodes: usize) -> Protection {
    match (status.member, status.view.members.len()) {
        (false, _) => Protection::Outside,
        (true, 0 | 1) if nodes > 1 => Protection::Degraded,
        (true, 0 | 1) => Protection::Single,
        (true, _) => Protection::Backed,
    }
}
