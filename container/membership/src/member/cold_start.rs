//! Cold start: when a run that is no member may propose a view with itself alone.
//!
//! | highest view     | the others                            | this run may propose itself     |
//! |------------------|---------------------------------------|---------------------------------|
//! | any              | a member spoke within `cold_start_ms` | no: it joins                    |
//! | any              | the seat (if there is one) is silent, | no                              |
//! |                  | and should not move (`seats.rs`)      |                                 |
//! | 0                | all others (peers and seat) say 0     | at once, if first               |
//! | 0                | not all answer                        | after `cold_start_ms`, if first |
//! | not 0, not in it |                                       | no                              |
//! | not 0, no store  |                                       | no                              |
//! | of this node     | no member spoke; an unused store      | after `cold_start_ms`           |
//! | not 0, in it     | no member spoke                       | after `cold_start_ms`, if first |
//!
//! *First* among the nodes that answered and that may propose themselves: one with something in
//! its store, then the one with more commits in it, then the lower name. All have learned the
//! highest view that any of them stores by the time they compare, since answers carry it.
//!
//! **What is compared.** A store keeps, for each member run of the view it was written in, the
//! number of that run's last commit that it has; a node says the sum. Commits of a run come to a
//! store in their order, so of two stores of one view the one with the greater sum has what the
//! other has; unless each has last commits that the other lacks, the last milliseconds before both
//! died: then it lacks fewer. *No store* is one that no member ever wrote to, whatever its voter
//! remembers, and one whose run dropped its cells for a snapshot and died before it was a member.
//!
//! **Why "at once" is safe.** A decided view is stored by a majority before any member acts on
//! it. When every voter says that it stores none, then either none was decided, so no living
//! member can act, or every voter has lost its memory, and nothing is left to contradict. A
//! living member would itself have been asked, and its answer is its view. Silence is no answer:
//! with one voter silent the wait stays. The voters that grant it check the same
//! (`Circumstances::cold_start`), and give one vote for number 1.
//!
//! **A missing data directory** looks like a first start. The rows above keep such a run from
//! proposing itself while anybody knows a view; what it may grant is in `voter.rs` (*a voter
//! without a memory*).
//!
//! **An unused store.** The first run of a cluster may die when others have voted for it, and
//! before it has written anything: then there is a view, and nobody has anything by it. Its node
//! may go on, if the view has that run alone and the store is whole since it began: had it acted
//! by the view, that would be in the store.
//!
//! Not here: how the proposal is voted on (`proposal.rs`, `voter.rs`).

use super::StoreAtStart;
use crate::{NodeName, RunId, View};
use resilee_sbb::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// A run that is no member asks everyone this often.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);

/// An answer older than this may come from somebody who is dead by now.
const ANSWER_VALID: Duration = Duration::from_millis(1_000);

/// What another voter answered.
#[derive(Debug)]
struct Answer {
    at: Timestamp,
    number: u64,
    last_commit: u64,
    store_empty: bool,
}

/// How well a node's store fits to start from; the greatest is first.
type Rank<'a> = (bool, u64, Reverse<&'a NodeName>);

/// What a run that is no member has heard from the others.
#[derive(Debug)]
pub(super) struct ColdStart {
    wait: Duration,
    started_at: Timestamp,
    /// When a living member of the highest view was heard last.
    member_heard_at: Option<Timestamp>,
    /// By node; none is the seat.
    answers: BTreeMap<Option<NodeName>, Answer>,
}

/// The part of the question that this run answers itself.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) me: &'a RunId,
    pub(super) highest: &'a View,
    pub(super) last_commit: u64,
    pub(super) store: StoreAtStart,
    /// Other voters of the cluster.
    pub(super) others: usize,
    pub(super) seat: bool,
}

impl ColdStart {
    pub(super) fn new(now: Timestamp, wait_ms: u64) -> Self {
        ColdStart {
            wait: Duration::from_millis(wait_ms),
            started_at: now,
            member_heard_at: None,
            answers: BTreeMap::new(),
        }
    }

    pub(super) fn handle_member_heard(&mut self, now: Timestamp) {
        self.member_heard_at = Some(now);
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Timestamp,
        from: Option<NodeName>,
        (number, last_commit, store_empty): (u64, u64, bool),
    ) {
        self.answers.insert(from, Answer { at: now, number, last_commit, store_empty });
    }

    /// Another balancer holds the seat: it has not answered yet.
    pub(super) fn handle_other_seat(&mut self) {
        self.answers.remove(&None);
    }

    /// We did not run for so long, so we could not hear anybody.
    pub(super) fn handle_own_pause(&mut self, pause: Duration) {
        self.started_at = self.started_at + pause;
        self.member_heard_at = self.member_heard_at.map(|at| at + pause);
    }

    /// No member was heard for the whole wait, counted from this run's own start.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        now.since(self.member_heard_at.unwrap_or(self.started_at).max(self.started_at)) >= self.wait
    }

    /// All `others` voters said lately that they store no view.
    pub(super) fn all_new(&self, now: Timestamp, others: usize) -> bool {
        let valid = self.answers.values().filter(|answer| answer.is_valid(now));
        self.member_heard_at.is_none()
            && valid.filter(|answer| answer.number == 0).count() == others
    }

    /// All `others` voters have told their highest view since this run began.
    pub(super) fn all_told(&self, others: usize) -> bool {
        self.answers.len() >= others
    }

    /// This run may propose itself now.
    pub(super) fn may_propose(&self, now: Timestamp, candidate: &Candidate<'_>) -> bool {
        let Candidate { me, highest, store, .. } = *candidate;
        if highest.number > 0 && !store.may_follow(highest, &me.node) {
            return false;
        }
        let seat_answered = self.answers.get(&None).is_some_and(|answer| answer.is_valid(now));
        if candidate.seat && !seat_answered {
            return false;
        }
        let at_once = highest.number == 0 && self.all_new(now, candidate.others);
        (at_once || self.is_quiet(now)) && self.is_first(now, candidate)
    }

    fn is_first(&self, now: Timestamp, candidate: &Candidate<'_>) -> bool {
        let highest = candidate.highest;
        let mine = rank(candidate.store.is_empty(), candidate.last_commit, &candidate.me.node);
        self.answers
            .iter()
            .filter_map(|(from, answer)| from.as_ref().map(|node| (node, answer)))
            .filter(|(_, answer)| answer.is_valid(now))
            .filter(|(node, answer)| {
                highest.number == 0 || (!answer.store_empty && highest.member(node).is_some())
            })
            .all(|(node, answer)| rank(answer.store_empty, answer.last_commit, node) < mine)
    }
}

impl Answer {
    fn is_valid(&self, now: Timestamp) -> bool {
        now.since(self.at) <= ANSWER_VALID
    }
}

fn rank(store_empty: bool, last_commit: u64, node: &NodeName) -> Rank<'_> {
    (!store_empty, last_commit, Reverse(node))
}
