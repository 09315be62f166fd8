//! Views: numbered agreements on the member runs and on the owner of each cohort.
//!
//! How a view is agreed on is not here (`voter.rs`, `member.rs`).

use resilee_sbb::CohortId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Cohorts that a view names at most, so that it fits into one datagram. A node that would add one
/// more is not let in; cohorts of dead runs are left out when their last cell is over.
pub const COHORTS_MAX: usize = 4_096;

/// Longest node name.
pub const NODE_NAME_BYTES_MAX: usize = 32;

/// The configured name of a node, for example `server1`: lower-case letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be a node name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a node name: 1 to 32 lower-case letters, digits and dashes are expected")]
pub struct ParseNodeNameError(String);

impl TryFrom<String> for NodeName {
    type Error = ParseNodeNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if text.is_empty() || text.len() > NODE_NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(ParseNodeNameError(text.chars().take(64).collect()));
        }
        Ok(NodeName(text))
    }
}

impl FromStr for NodeName {
    type Err = ParseNodeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NodeName::try_from(text.to_owned())
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> String {
        name.0
    }
}

/// One run of a node, from its start to its death. Members of a view are runs, so a node that
/// restarts, or that was voted out, is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// The node.
    pub node: NodeName,
    /// Grows with each run of that node: milliseconds since the epoch at its start.
    pub incarnation: u64,
}

impl RunId {
    /// The cohort of the cells that are born in this run; never [`CohortId::TABLES`].
    pub fn cohort(&self) -> CohortId {
        let hash = blake3::hash(self.to_string().as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_bytes()[..8]);
        CohortId(u64::from_be_bytes(id).max(1))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.node, self.incarnation)
    }
}

/// A numbered agreement: who are the members, and which of them owns each cohort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Number 0 is the view before the first: no members.
    pub number: u64,
    /// Member runs, sorted.
    pub members: Vec<RunId>,
    /// Owner of each cohort that has one.
    pub cohorts: BTreeMap<CohortId, RunId>,
    /// The balancer that holds the seat, where balancers have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<NodeName>,
}

impl View {
    /// True if `run` is a member.
    pub fn contains(&self, run: &RunId) -> bool {
        self.members.contains(run)
    }

    /// The owner of `cohort`.
    pub fn owner(&self, cohort: CohortId) -> Option<&RunId> {
        self.cohorts.get(&cohort)
    }

    /// The member run of `node`.
    pub fn member(&self, node: &NodeName) -> Option<&RunId> {
        self.members.iter().find(|run| run.node == *node)
    }

    /// The members other than `run`.
    pub fn others<'a>(&'a self, run: &'a RunId) -> impl Iterator<Item = &'a RunId> {
        self.members.iter().filter(move |member| *member != run)
    }

    /// The next view, with `members` and each cohort with its owner where that lives on, else
    /// with `heir`. Each member owns the cohort of its own run; the shared tables have an owner.
    /// The seat stays where it is.
    ///
    /// # Panics
    /// If `heir` is not among the members.
    pub fn next(&self, mut members: Vec<RunId>, heir: &RunId) -> View {
        assert!(members.contains(heir), "the heir is a member of the view it proposes");
        members.sort();
        members.dedup();
        let mut cohorts = self.cohorts.clone();
        cohorts.entry(CohortId::TABLES).or_insert_with(|| heir.clone());
        for owner in cohorts.values_mut() {
            if !members.contains(owner) {
                *owner = heir.clone();
            }
        }
        for member in &members {
            cohorts.entry(member.cohort()).or_insert_with(|| member.clone());
        }
        View { number: self.number + 1, members, cohorts, seat: self.seat.clone() }
    }

    /// True if a view that follows this one may leave the cohort out, should its owner propose
    /// it: the run that it was born in is no member, so that nothing is born in it any more.
    ///
    /// Only the owner can know that nothing is left in it, and that all members hold that. A
    /// message that names it belongs to a call that is over, and is answered so.
    pub fn may_forget(&self, cohort: CohortId, proposer: &RunId) -> bool {
        let born = |member: &RunId| member.cohort() == cohort;
        let own = cohort != CohortId::TABLES && self.owner(cohort) == Some(proposer);
        own && !self.members.iter().any(born)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(node: &str, incarnation: u64) -> RunId {
        RunId { node: node.parse().expect("a name"), incarnation }
    }

    #[test]
    fn the_survivor_inherits_the_cohorts_of_the_dead() {
        let (a, b) = (run("server1", 1), run("server2", 1));
        let first = View::default().next(vec![a.clone()], &a);
        let both = first.next(vec![a.clone(), b.clone()], &a);
        assert_eq!(both.owner(b.cohort()), Some(&b));
        assert_eq!(both.owner(CohortId::TABLES), Some(&a));
        let alone = both.next(vec![b.clone()], &b);
        assert_eq!(alone.number, 3);
        assert!(alone.cohorts.values().all(|owner| *owner == b));
    }

    #[test]
    fn a_node_that_comes_back_takes_nothing_back() {
        let (a, b, again) = (run("server1", 1), run("server2", 1), run("server1", 2));
        let both = View::default().next(vec![a.clone(), b.clone()], &a);
        let alone = both.next(vec![b.clone()], &b);
        let joined = alone.next(vec![again.clone(), b.clone()], &b);
        assert_eq!(joined.owner(a.cohort()), Some(&b));
        assert_eq!(joined.owner(again.cohort()), Some(&again));
    }

    #[test]
    fn only_its_owner_forgets_a_cohort_and_only_of_a_dead_run() {
        let (a, b) = (run("server1", 1), run("server2", 1));
        let both = View::default().next(vec![a.clone(), b.clone()], &a);
        assert!(!both.may_forget(a.cohort(), &a), "its run lives");
        assert!(!both.may_forget(CohortId::TABLES, &a));
        let alone = both.next(vec![b.clone()], &b);
        assert!(alone.may_forget(a.cohort(), &b));
        assert!(!alone.may_forget(a.cohort(), &run("server1", 2)));
    }

    #[test]
    fn a_bad_node_name_is_refused() {
        for text in ["", "Server1", "server 1", &"x".repeat(33)] {
            assert!(text.parse::<NodeName>().is_err(), "{text:?}");
        }
    }
}
