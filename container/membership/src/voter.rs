//! The voting rule: what one voter remembers, and what it answers to a proposed view.
//!
//! The first row that fits is the answer. *Locked*: this voter voted for a view that may have
//! been decided without its hearing of it.
//!
//! | the proposal                                                        | answer       |
//! |---------------------------------------------------------------------|--------------|
//! | is the highest view                                                 | granted      |
//! | is the one voted for, not yet superseded, and follows the highest   | granted      |
//! | has a number up to the highest view's                               | `Stale`      |
//! | has a number up to that of a vote for another view                  | `Voted`      |
//! | comes to a voter that has no memory, and was not told by all others | `Forgetful`  |
//! | follows a view that this voter does not know yet                    | `Behind`     |
//! | follows a view older than the highest                               | `Stale`      |
//! | has no members, or a cohort without a member as owner               | `Malformed`  |
//! | lacks a cohort that the proposer may not forget (`View::may_forget`) | `Malformed` |
//! | comes from a node that is not in the view this voter is locked on   | `Locked`     |
//! | comes from a member run of the highest view                         | granted      |
//! | comes from no node of the highest view (which has a number), or     |              |
//! | wants others than the proposer as members                           | `Stranger`   |
//! | comes while a member may live                                       | `MembersLive` |
//! | anything else (a cold start)                                        | granted      |
//!
//! **A grant may decide.** A proposer votes for its own view before it asks. With up to three
//! voters its vote and this one are a majority, so the voter takes the view as its highest with
//! the grant: nothing can get lost between the vote and the news of it. That holds, too, if it is
//! about to propose the same view itself: from then on it can't take its own vote back. With more
//! voters it is locked until it learns a higher view.
//!
//! **A voter without a memory** (a first start, or a store and its vote that are both gone: it
//! cannot tell) may have voted for a view that it does not know, and must not help to decide
//! another one of that number. It grants nothing until every other voter has told its highest view
//! since this run began (the seat does once what it granted is stored). That is enough with up to
//! three voters: whatever was decided with its lost vote was decided with the vote of one of those,
//! who stores it. A question of its own that
//! was never answered died with the run that asked. If one of the others is silent, the remaining
//! votes must do. Until then the lack is part of the state, so that a restart does not end it. With
//! more voters the others would have to tell their votes, too; no cluster has so many today.
//! The seat has a rule of its own (`seat/lost_memory.rs`): a first start with one node would have
//! to wait for the other one for ever.
//!
//! Not here: storing the state before the answer leaves (`persist_queue.rs`), who is a living
//! member (`member.rs`, `seat.rs`), and asking for votes (`member/proposal.rs`).

use crate::control::Verdict;
use crate::planted::{Planted, PlantedFault};
use crate::{RunId, View};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What a voter remembers for ever. It is stored whole before an answer leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterState {
    /// The highest view that this voter knows to be decided.
    pub highest: View,
    /// The last view that this voter voted for.
    pub vote: Option<View>,
    /// It began without a memory, and was not told by all others yet what they remember.
    #[serde(default)]
    pub forgetful: bool,
}

/// A question to a voter.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The run that asks.
    pub proposer: &'a RunId,
    /// The number of the view that the proposal follows.
    pub base: u64,
    /// The proposed view.
    pub view: &'a View,
}

/// What else the rule depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// How many voters the cluster has.
    pub voters: usize,
    /// No member lives as far as this voter can tell, so a node may start from cold.
    pub cold_start: bool,
    /// The number of a proposal of this voter itself that can't be decided any more; its own
    /// vote for it does not lock it.
    pub burnt: Option<u64>,
    /// What it does wrong on purpose.
    pub planted: Planted,
}

/// A yes, and whether the state changed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A new vote: store the state before the answer leaves.
    New,
    /// The same answer to a repeated question.
    Again,
}

/// Why a voter says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A view of that number or a higher one, or a later base, is decided.
    #[error("a later view is known")]
    Stale,
    /// The vote of that number is given to another view.
    #[error("voted for another view")]
    Voted,
    /// The voter's last vote may have decided a view without this proposer.
    #[error("an earlier vote for another view may have decided it")]
    Locked,
    /// The voter may have voted for what it does not know.
    #[error("the voter has lost its memory, and was not told by all others")]
    Forgetful,
    /// The voter must learn the base first.
    #[error("the view it follows is not known here")]
    Behind,
    /// No honest proposer sends this.
    #[error("the view is malformed")]
    Malformed,
    /// Neither a member nor a node that may start from cold.
    #[error("the proposer has no right to propose this")]
    Stranger,
    /// A balancer that does not hold the seat by the view that it knows has no vote.
    #[error("the balancer does not hold the seat")]
    Standby,
    /// A cold start while a member lives, or too early to tell.
    #[error("a member may be alive")]
    MembersLive,
}

impl Refusal {
    /// How the refusal is told to the proposer.
    pub fn verdict(self) -> Verdict {
        match self {
            Refusal::Stale | Refusal::Voted => Verdict::Never,
            Refusal::Locked | Refusal::Behind | Refusal::MembersLive => Verdict::NotNow,
            Refusal::Forgetful | Refusal::Malformed | Refusal::Stranger | Refusal::Standby => {
                Verdict::NotNow
            }
        }
    }
}

/// How many of `voters` agree on a view.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

impl VoterState {
    /// Of a voter that has nothing stored.
    pub fn forgetful() -> Self {
        VoterState { forgetful: true, ..VoterState::default() }
    }

    /// Answers a proposal of another voter.
    ///
    /// # Errors
    /// Says why the answer is no.
    pub fn handle_proposal(
        &mut self,
        proposal: Proposal<'_>,
        circumstances: Circumstances,
    ) -> Result<Grant, Refusal> {
        let decides = majority(circumstances.voters) <= 2;
        if *proposal.view == self.highest || (!decides && self.has_voted(proposal.view)) {
            return Ok(Grant::Again);
        }
        let again = circumstances.planted.is(PlantedFault::VoteTwice)
            && proposal.view.number == self.highest.number;
        if self.has_voted(proposal.view) {
            self.check_base(proposal.base)?;
        } else if !again {
            self.check(proposal, circumstances)?;
        }
        self.vote = Some(proposal.view.clone());
        if decides {
            self.highest = proposal.view.clone();
        }
        Ok(Grant::New)
    }

    /// Votes for a proposal of this voter's own, whose number is [`VoterState::next_number`].
    pub fn vote_for_own(&mut self, view: View) {
        assert!(view.number >= self.next_number(), "one vote per number");
        self.vote = Some(view);
    }

    /// Takes back the vote for a proposal of its own that nobody was asked for; what stood before
    /// it stands again. Nobody knows of it, so it can have decided nothing.
    pub fn take_back(&mut self, view: &View, before: Option<View>) {
        if self.vote.as_ref() == Some(view) {
            self.vote = before;
        }
    }

    /// The lowest number that this voter has not used.
    pub fn next_number(&self) -> u64 {
        let voted = self.vote.as_ref().map_or(0, |vote| vote.number);
        self.highest.number.max(voted) + 1
    }

    /// Takes over a decided view if it is higher; says whether it was.
    pub fn learn(&mut self, view: &View) -> bool {
        let higher = view.number > self.highest.number;
        if higher {
            self.highest = view.clone();
        }
        higher
    }

    fn has_voted(&self, view: &View) -> bool {
        self.vote.as_ref() == Some(view) && view.number > self.highest.number
    }

    fn check_base(&self, base: u64) -> Result<(), Refusal> {
        match base.cmp(&self.highest.number) {
            Ordering::Greater => Err(Refusal::Behind),
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(Refusal::Stale),
        }
    }

    fn check(&self, proposal: Proposal<'_>, on: Circumstances) -> Result<(), Refusal> {
        let Proposal { proposer, base, view } = proposal;
        if view.number <= self.highest.number {
            return Err(Refusal::Stale);
        }
        if self.vote.as_ref().is_some_and(|vote| vote.number >= view.number) {
            return Err(Refusal::Voted);
        }
        if self.forgetful {
            return Err(Refusal::Forgetful);
        }
        self.check_base(base)?;
        if !self.is_well_formed(proposer, view) {
            return Err(Refusal::Malformed);
        }
        if self.is_locked_against(proposer, on.burnt) {
            return Err(Refusal::Locked);
        }
        if self.highest.contains(proposer) {
            return Ok(());
        }
        let known = self.highest.number == 0 || descends(&self.highest, proposer);
        if !known || view.members != [proposer.clone()] {
            return Err(Refusal::Stranger);
        }
        if on.cold_start { Ok(()) } else { Err(Refusal::MembersLive) }
    }

    fn is_well_formed(&self, proposer: &RunId, view: &View) -> bool {
        let owned = view.cohorts.values().all(|owner| view.contains(owner));
        let lost = self.highest.cohorts.keys().filter(|c| !view.cohorts.contains_key(c));
        let mut lost = lost.copied();
        !view.members.is_empty() && owned && lost.all(|c| self.highest.may_forget(c, proposer))
    }

    fn is_locked_against(&self, proposer: &RunId, burnt: Option<u64>) -> bool {
        self.vote.as_ref().is_some_and(|vote| {
            let open = vote.number > self.highest.number && burnt != Some(vote.number);
            open && !descends(vote, proposer)
        })
    }
}

/// True if `run` is a member of `view`, or a later run of a member's node: that proves the
/// member dead.
fn descends(view: &View, run: &RunId) -> bool {
    view.member(&run.node).is_some_and(|member| member.incarnation <= run.incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn circumstances(voters: usize, cold_start: bool) -> Circumstances {
        Circumstances { voters, cold_start, burnt: None, planted: Planted::NONE }
    }

    const PAIR: Circumstances = circumstances(3, false);
    const COLD: Circumstances = circumstances(3, true);
    const FOUR: Circumstances = circumstances(4, false);

    fn run(node: &str, incarnation: u64) -> RunId {
        RunId { node: node.parse().expect("a name"), incarnation }
    }

    /// A voter that knows view 2 with `a` and `b`.
    fn voter() -> (VoterState, RunId, RunId) {
        let (a, b) = (run("a", 1), run("b", 1));
        let first = View::default().next(vec![a.clone()], &a);
        let highest = first.next(vec![a.clone(), b.clone()], &a);
        (VoterState { highest, ..VoterState::default() }, a, b)
    }

    fn ask(
        voter: &mut VoterState,
        proposer: &RunId,
        view: &View,
        on: Circumstances,
    ) -> Result<Grant, Refusal> {
        let base = voter.highest.number;
        voter.handle_proposal(Proposal { proposer, base, view }, on)
    }

    #[test]
    fn the_first_who_asks_gets_the_vote_and_keeps_it() {
        let (mut voter, a, b) = voter();
        let for_a = voter.highest.next(vec![a.clone()], &a);
        let for_b = voter.highest.next(vec![b.clone()], &b);
        assert_eq!(ask(&mut voter, &b, &for_b, PAIR), Ok(Grant::New));
        assert_eq!(ask(&mut voter, &a, &for_a, PAIR), Err(Refusal::Stale));
        assert_eq!(ask(&mut voter, &b, &for_b, PAIR), Ok(Grant::Again));
        assert_eq!(voter.highest, for_b);
    }

    #[test]
    fn with_four_voters_a_vote_locks_until_a_higher_view_is_known() {
        let (mut voter, a, b) = voter();
        let for_a = voter.highest.next(vec![a.clone()], &a);
        let mut for_b = voter.highest.next(vec![b.clone()], &b);
        assert_eq!(ask(&mut voter, &a, &for_a, FOUR), Ok(Grant::New));
        assert_eq!(voter.highest.number, 2);
        assert_eq!(ask(&mut voter, &b, &for_b, FOUR), Err(Refusal::Voted));
        for_b.number = 4;
        assert_eq!(ask(&mut voter, &b, &for_b, FOUR), Err(Refusal::Locked));
        let burnt = Circumstances { burnt: Some(3), ..FOUR };
        assert_eq!(ask(&mut voter, &b, &for_b, burnt), Ok(Grant::New));
    }

    #[test]
    fn a_run_that_was_voted_out_has_no_say() {
        let (mut voter, a, b) = voter();
        let alone = voter.highest.next(vec![b.clone()], &b);
        voter.learn(&alone);
        let back = alone.next(vec![a.clone()], &a);
        assert_eq!(ask(&mut voter, &a, &back, COLD), Err(Refusal::Stranger));
        let stale = Proposal { proposer: &a, base: 2, view: &back };
        assert_eq!(voter.handle_proposal(stale, COLD), Err(Refusal::Stale));
    }

    #[test]
    fn a_new_run_of_a_member_may_start_from_cold_when_nobody_lives() {
        let (mut voter, ..) = voter();
        let again = run("b", 2);
        let view = voter.highest.next(vec![again.clone()], &again);
        assert_eq!(ask(&mut voter, &again, &view, PAIR), Err(Refusal::MembersLive));
        assert_eq!(ask(&mut voter, &again, &view, COLD), Ok(Grant::New));
    }

    #[test]
    fn a_voter_that_does_not_know_the_base_learns_it_first() {
        let (known, a, _) = voter();
        let view = known.highest.next(vec![a.clone()], &a);
        let mut empty = VoterState::default();
        let proposal = Proposal { proposer: &a, base: 2, view: &view };
        assert_eq!(empty.handle_proposal(proposal, PAIR), Err(Refusal::Behind));
        empty.learn(&known.highest);
        assert_eq!(empty.handle_proposal(proposal, PAIR), Ok(Grant::New));
    }

    #[test]
    fn a_voter_without_a_memory_grants_nothing() {
        let (known, a, _) = voter();
        let view = known.highest.next(vec![a.clone()], &a);
        let mut voter = VoterState { highest: known.highest, ..VoterState::forgetful() };
        assert_eq!(ask(&mut voter, &a, &view, PAIR), Err(Refusal::Forgetful));
        voter.forgetful = false;
        assert_eq!(ask(&mut voter, &a, &view, PAIR), Ok(Grant::New));
    }

    #[test]
    fn a_view_that_loses_a_cohort_is_refused() {
        let (mut voter, a, _) = voter();
        let mut view = voter.highest.next(vec![a.clone()], &a);
        view.cohorts.pop_last();
        assert_eq!(ask(&mut voter, &a, &view, PAIR), Err(Refusal::Malformed));
    }

    #[test]
    fn a_finished_cohort_is_left_out_by_its_owner_only() {
        let (mut voter, a, b) = voter();
        voter.learn(&voter.highest.next(vec![b.clone()], &b));
        let joiner = run("a", 2);
        let mut view = voter.highest.next(vec![joiner.clone(), b.clone()], &b);
        view.cohorts.remove(&a.cohort());
        assert_eq!(ask(&mut voter.clone(), &b, &view, PAIR), Ok(Grant::New));
        view.cohorts.remove(&b.cohort());
        assert_eq!(ask(&mut voter, &b, &view, PAIR), Err(Refusal::Malformed));
        let mut cold = voter.highest.next(vec![run("b", 2)], &run("b", 2));
        cold.cohorts.remove(&a.cohort());
        assert_eq!(ask(&mut voter, &run("b", 2), &cold, COLD), Err(Refusal::Malformed));
    }

    #[test]
    fn an_own_vote_that_another_asks_for_makes_that_view_the_highest() {
        let (mut voter, a, b) = voter();
        let before = voter.clone();
        let alone = voter.highest.next(vec![b.clone()], &b);
        voter.vote_for_own(alone.clone());
        assert_eq!(ask(&mut voter, &b, &alone, PAIR), Ok(Grant::New));
        assert_eq!(ask(&mut voter, &b, &alone, PAIR), Ok(Grant::Again));
        voter.take_back(&alone, before.vote);
        assert_eq!(voter.highest, alone, "it may be decided");
        let for_a = View { number: 4, ..before.highest.next(vec![a.clone()], &a) };
        let late = Proposal { proposer: &a, base: 2, view: &for_a };
        assert_eq!(voter.handle_proposal(late, PAIR), Err(Refusal::Stale));
    }

    #[test]
    fn an_own_vote_is_granted_by_the_base_that_holds_only() {
        let (mut voter, _, b) = voter();
        let alone = voter.highest.next(vec![b.clone()], &b);
        voter.vote_for_own(alone.clone());
        for (base, refusal) in [(1, Refusal::Stale), (3, Refusal::Behind)] {
            let proposal = Proposal { proposer: &b, base, view: &alone };
            assert_eq!(voter.handle_proposal(proposal, PAIR), Err(refusal));
        }
        assert_eq!(voter.highest.number, 2);
    }

    #[test]
    fn an_own_vote_blocks_another_of_the_same_number() {
        let (mut voter, a, b) = voter();
        voter.vote_for_own(voter.highest.next(vec![a.clone()], &a));
        let for_b = voter.highest.next(vec![b.clone()], &b);
        assert_eq!(ask(&mut voter, &b, &for_b, PAIR), Err(Refusal::Voted));
        assert_eq!(voter.next_number(), 4);
    }
}
