//! The holder's lease: what nodes confirmed, and whether the balancer may forward by it.
//!
//! Not here: when a node confirms, and why that is enough (`balancers.rs`).

use super::{Node, Seat};
use crate::balancers::LEASE;
use crate::planted::PlantedFault;
use crate::voter::majority;
use resilee_sbb::Timestamp;
use std::collections::VecDeque;

/// Heartbeats to a node that an echo may confirm; more are not remembered. It is a lease full at
/// one heartbeat in 4 ms.
const SENT_MAX: usize = 64;

/// What one node confirmed.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Heartbeats of this process that are younger than the lease: sequence, and when it was sent.
    sent: VecDeque<(u64, Timestamp)>,
    /// When the last confirmed one was sent.
    from: Option<Timestamp>,
}

impl Lease {
    pub(super) fn handle_sent(&mut self, now: Timestamp, sequence: u64) {
        let over = |sent: &(u64, Timestamp)| now.since(sent.1) >= LEASE;
        while self.sent.len() >= SENT_MAX || self.sent.front().is_some_and(over) {
            self.sent.pop_front();
        }
        self.sent.push_back((sequence, now));
    }

    /// The node confirms; an echo of what an earlier process has sent counts for nothing.
    pub(super) fn handle_confirmed(&mut self, echo: u64) {
        let sent = self.sent.iter().find(|(sequence, _)| *sequence == echo);
        self.from = self.from.max(sent.map(|(_, at)| *at));
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.from.is_some_and(|from| now.since(from) < LEASE)
    }
}

impl Seat {
    /// The balancer may forward at `now`: it has no name, or holds the seat and a lease.
    ///
    /// To be asked for each datagram, with the time of that moment: a lease ends while nothing
    /// else happens.
    pub fn may_forward(&self, now: Timestamp) -> bool {
        let Some(me) = &self.config.name else { return true };
        let balancers = &self.config.balancers;
        balancers.holder(&self.view) == Some(me)
            && balancers.holds(me, &self.voter)
            && (self.is_confirmed(now) || self.planted.is(PlantedFault::ForwardWithoutLease))
    }

    fn is_confirmed(&self, now: Timestamp) -> bool {
        let nodes = self.nodes.len();
        let voters = if nodes == 1 { 1 } else { nodes + 1 };
        let confirmed = self.nodes.values().filter(|node| node.lease.holds(now)).count();
        let enough = confirmed + majority(voters) > nodes;
        // A vote that this one has forgotten may have moved the seat together with any member.
        let forgetful = self.voter.forgetful && !self.all_told(now);
        let holds = |node: Option<&Node>| node.is_some_and(|node| node.lease.holds(now));
        enough
            && (!forgetful || self.view.members.iter().all(|run| holds(self.nodes.get(&run.node))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn it_counts_from_when_the_confirmed_heartbeat_was_sent() {
        let mut lease = Lease::default();
        lease.handle_sent(at(0), 1);
        lease.handle_sent(at(50), 2);
        assert!(!lease.holds(at(60)), "nothing is confirmed");
        lease.handle_confirmed(2);
        lease.handle_confirmed(1);
        assert!(lease.holds(at(299)));
        assert!(!lease.holds(at(300)));
    }

    #[test]
    fn an_echo_of_what_this_process_did_not_send_lately_counts_for_nothing() {
        let mut lease = Lease::default();
        lease.handle_sent(at(0), 7);
        lease.handle_sent(at(300), 8);
        for sequence in [6, 7, 9] {
            lease.handle_confirmed(sequence);
            assert!(!lease.holds(at(300)), "{sequence}");
        }
    }

    #[test]
    fn heartbeats_without_an_answer_cost_bounded_memory() {
        let mut lease = Lease::default();
        (0..10_000).for_each(|sequence| lease.handle_sent(at(0), sequence));
        assert_eq!(lease.sent.len(), SENT_MAX);
    }
}
