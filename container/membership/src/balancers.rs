//! The named balancers of a cluster, of which one holds the seat, and for how long it may forward.
//!
//! A view names who holds the seat. The voters of the view that follows it are the nodes and that
//! balancer: it votes on the seat's move, too, and if it is dead, the nodes are a majority without
//! it.
//!
//! **The lease.** The holder forwards while enough nodes confirmed it lately: so many that no
//! majority without the holder is left among the others. In a pair of nodes that is one of them,
//! since without the holder both must vote for a move. A confirmation counts from when the holder
//! sent the heartbeat that the node echoes, so whatever is late on its way was younger there.
//!
//! | a node confirms a balancer if                              | so that                       |
//! |------------------------------------------------------------|-------------------------------|
//! | the highest view that it knows names it                    |                               |
//! | it has voted for no later view that may move the seat      | an old holder's lease runs out |
//! | its memory is whole, or it is a member of that view        | a lost vote counts, too       |
//! | the view has named it for [`REST`], or this run is that old | the old holder's is over     |
//!
//! Whoever voted for a move as the holder knows it, and stops at once.
//!
//! Not here: when a move is asked for (`member/seats.rs`), and counting what is confirmed
//! (`seat/lease.rs`).

use crate::{NodeName, View, VoterId, VoterState};
use std::collections::BTreeSet;
use std::time::Duration;

/// So long a confirmation is good for.
pub(crate) const LEASE: Duration = Duration::from_millis(250);

/// So long a node waits before it confirms a new holder: the lease, and what clocks may differ in
/// that time.
pub(crate) const REST: Duration = Duration::from_millis(300);

/// Most nodes of a cluster whose balancers have names (`voter.rs`, *a grant may decide*).
pub const PAIR_NODES_MAX: usize = 2;

/// Most balancers with names.
pub const BALANCERS_MAX: usize = 2;

/// The longest heartbeat interval in such a cluster, in milliseconds: two heartbeats in a row, one
/// of a node and one of the balancer, may be lost, and the lease goes on.
pub const PAIR_INTERVAL_MS_MAX: u64 = 80;

/// The names of a cluster's balancers. None: there is one without a name, or none at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancers(BTreeSet<NodeName>);

impl Balancers {
    /// Of these names, in any order.
    pub fn new(names: impl IntoIterator<Item = NodeName>) -> Self {
        Balancers(names.into_iter().collect())
    }

    /// The balancer has no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It is one of them.
    pub fn contains(&self, name: &NodeName) -> bool {
        self.0.contains(name)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &NodeName> {
        self.0.iter()
    }

    /// Who holds the seat by this view: who it names, else the first by name; none without names.
    pub fn holder<'a>(&'a self, view: &'a View) -> Option<&'a NodeName> {
        if self.is_empty() { None } else { view.seat.as_ref().or(self.0.first()) }
    }

    /// The balancer that votes on what follows this view.
    pub(crate) fn voter(&self, view: &View) -> VoterId {
        self.holder(view).map_or(VoterId::Seat, |name| VoterId::Balancer(name.clone()))
    }

    /// A view that follows `base` may name this one's holder.
    pub(crate) fn may_seat(&self, base: &View, view: &View) -> bool {
        match &view.seat {
            Some(name) if !self.is_empty() => {
                self.contains(name) || Some(name) == self.holder(base)
            }
            seat => self.is_empty() && *seat == base.seat,
        }
    }

    /// As this voter knows it, the balancer holds the seat, and no vote of its own may move it.
    pub(crate) fn holds(&self, name: &NodeName, voter: &VoterState) -> bool {
        let vote = voter.vote.as_ref().filter(|vote| vote.number > voter.highest.number);
        self.holder(&voter.highest) == Some(name)
            && vote.is_none_or(|vote| self.holder(vote) == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    fn view(number: u64, seat: Option<&str>) -> View {
        View { number, seat: seat.map(name), ..View::default() }
    }

    #[test]
    fn the_first_by_name_holds_the_seat_until_a_view_names_another() {
        let pair = Balancers::new([name("y"), name("x")]);
        assert_eq!(pair.holder(&view(0, None)), Some(&name("x")));
        assert_eq!(pair.holder(&view(3, Some("y"))), Some(&name("y")));
        assert_eq!(Balancers::default().holder(&view(0, None)), None);
    }

    #[test]
    fn a_view_names_a_balancer_of_the_configuration_or_the_one_before() {
        let pair = Balancers::new([name("x"), name("y")]);
        let base = view(3, Some("gone"));
        for (seat, may) in
            [(Some("y"), true), (Some("gone"), true), (Some("z"), false), (None, false)]
        {
            assert_eq!(pair.may_seat(&base, &view(4, seat)), may, "{seat:?}");
        }
        let unnamed = Balancers::default();
        assert!(unnamed.may_seat(&view(3, None), &view(4, None)));
        assert!(!unnamed.may_seat(&view(3, None), &view(4, Some("x"))));
    }

    #[test]
    fn who_voted_for_a_move_does_not_take_the_old_holder_for_one() {
        let pair = Balancers::new([name("x"), name("y")]);
        let mut voter = VoterState { highest: view(3, Some("x")), ..VoterState::default() };
        assert!(pair.holds(&name("x"), &voter));
        voter.vote = Some(view(4, Some("y")));
        assert!(!pair.holds(&name("x"), &voter) && !pair.holds(&name("y"), &voter));
        voter.highest = view(5, Some("x"));
        assert!(pair.holds(&name("x"), &voter), "that vote is superseded");
    }
}
