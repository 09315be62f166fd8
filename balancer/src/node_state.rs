//! What a node is to the balancer.
//!
//! | state    | when                                                 | new calls               |
//! |----------|------------------------------------------------------|-------------------------|
//! | Down     | not heard, or deaf, or its address refuses           | if all members are down |
//! | Draining | it says that it leaves                               | if no other one lives   |
//! | Failing  | it is heard, but answers too little, or with errors  | if no other one is fit  |
//! | Starting | heard and no member yet; or a member since just now  | none; a growing share   |
//! | Ready    | all other times                                      | its whole share         |
//!
//! The first row that fits holds. Calls that a node has are not asked: they follow their cohort.
//! Not here: what makes a node fail (`data_plane.rs`), who gets a new call (`new_calls.rs`).

use std::fmt;

/// See the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// Not heard, or it does not hear the balancer, or nobody listens at its address.
    Down,
    /// It said that it is about to leave.
    Draining,
    /// Its heartbeats come, but its SIP fails.
    Failing,
    /// It is about to become a member, or became one a short while ago.
    Starting,
    /// It takes its whole share of new calls.
    Ready,
}

impl NodeState {
    /// All of them, in their order.
    pub const ALL: [NodeState; 5] = [
        NodeState::Down,
        NodeState::Draining,
        NodeState::Failing,
        NodeState::Starting,
        NodeState::Ready,
    ];

    /// Its name for programs and people.
    pub fn name(self) -> &'static str {
        match self {
            NodeState::Down => "down",
            NodeState::Draining => "draining",
            NodeState::Failing => "failing",
            NodeState::Starting => "starting",
            NodeState::Ready => "ready",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
