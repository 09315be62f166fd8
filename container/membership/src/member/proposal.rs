//! Proposing: which view this run wants next, and how it gets the votes for it.
//!
//! | this run is | it wants                                 | condition                   |
//! |-------------|------------------------------------------|-----------------------------|
//! | a member    | the seat at another balancer             | `seats.rs`                  |
//! | a member    | the members without the lost ones        | it hears the seat           |
//! | a member    | and with the runs that are ready to join | they live and hear the seat |
//! | a member    | when draining: the others without itself | another one is left         |
//! | a member    | its cohorts at another member, as told   | that one lives; `order.rs`  |
//! | a member    | and with the cohorts that it found       |                             |
//! | no member   | itself alone                             | `cold_start.rs`             |
//! | any         | the same without other votes, as told    | `order.rs`                  |
//!
//! | proposal | input                               | output                           | next   |
//! |----------|-------------------------------------|----------------------------------|--------|
//! | none     | a view is wanted                    | Proposing; own vote to the store | voted  |
//! | voted    | other members are wanted, or none   | NotProposing; the vote taken back | none  |
//! | voted    | own vote is stored                  | Propose to all                   | asking |
//! | asking   | one heartbeat interval passed       | Propose to all                   | same   |
//! | asking   | granted by a majority, own included | the view is decided              | none   |
//! | any      | other votes are not waited for      | own vote for a forced number     | forced |
//! | forced   | own vote is stored                  | the view is decided              | none   |
//! | asking   | never granted by too many           |                                  | burnt  |
//! | burnt    | 100 ms times this rank passed       | as from none, next number        | voted  |
//! | asking   | a peer never grants it, and the     |                                  |        |
//! |          | seat should move (`seats.rs`)       | after that time: the same view   |        |
//! |          |                                     | by the next number               | asking |
//! | any      | a view that is as high is learned   |                                  | none   |
//!
//! A run never gives up a number it has asked for: if what it wanted is over, it stops asking
//! (unless the view has a joiner: gates wait for the outcome), and asks for the same view before
//! it asks for another. So a grant that got lost on its way is never contradicted.
//!
//! Where the seat may move it does not stop: an open vote would be in the way of the next move.
//!
//! The seat's holder may die when two nodes have asked for two views of one number: then neither
//! can be decided or given up. Each goes on with the next number, and the same view: if the dead
//! holder has granted it, nothing else follows.
//!
//! Not here: the voting rule (`voter.rs`) and adopting what is decided (`member.rs`).

use super::cold_start::Candidate;
use super::{Member, MemberNotice, MemberOutput};
use crate::control::{ControlBody, Verdict, VoterId};
use crate::planted::PlantedFault;
use crate::voter::majority;
use crate::{COHORTS_MAX, NodeName, RunId, View};
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// A number that can't be decided any more is followed by the next one after this time, once for
/// each node of lower rank, so that two nodes do not burn numbers together for ever.
const BURNT_RETRY: Duration = Duration::from_millis(100);

/// The same view is asked for by the next number so many times before the time between them grows
/// no more: 25.6 s.
const AGAIN_SLOWER_MAX: u32 = 8;

/// A view that this run asks votes for.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) base: u64,
    pub(super) view: View,
    /// Who granted it; none is the seat.
    granted: BTreeSet<Option<NodeName>>,
    /// Who will never grant it.
    never: BTreeSet<Option<NodeName>>,
    ask_at: Timestamp,
    /// When the next number may be tried, once this one is burnt.
    pub(super) burnt_until: Option<Timestamp>,
    /// This run's own vote decides it.
    forced: bool,
    /// Others were asked for it: it may be granted from now on.
    asked: bool,
    /// When the same may be asked by the next number.
    again_at: Option<Timestamp>,
    /// So often it was.
    again: u32,
    /// The vote that this one follows.
    before: Option<View>,
}

impl Member {
    /// Starts, repeats or leaves alone a proposal, whatever is due.
    pub(super) fn pursue(&mut self, now: Timestamp) {
        let wanted = self.wanted(now);
        let forced = self.asking.as_ref().is_some_and(|asking| asking.forced);
        if let Some(view) = wanted.clone().filter(|_| !forced && self.does_without_votes(now)) {
            self.start_proposal(now, self.forced(now, view));
            self.asking.iter_mut().for_each(|asking| asking.forced = true);
            return;
        }
        self.drop_unasked_proposal(wanted.as_ref());
        let Some(asking) = &self.asking else {
            if let Some(view) = wanted {
                self.start_proposal(now, view);
            }
            return;
        };
        if let Some(until) = asking.burnt_until {
            if let Some(view) = wanted
                && now >= until
            {
                self.start_proposal(now, view);
            }
            return;
        }
        if let Some((view, again)) = self.same_by_next_number(now) {
            self.start_proposal(now, view);
            // As good as asked for: the one before it was, and stands by this one alone.
            let asking = self.asking.iter_mut();
            asking.for_each(|asking| (asking.asked, asking.again) = (true, again));
            return;
        }
        let Some(asking) = &self.asking else { return };
        let joint = asking.view.members.iter().any(|run| !self.view.contains(run))
            && self.view.contains(&self.config.me);
        let must_end = joint || (!self.config.balancers.is_empty() && asking.asked);
        let own_vote_stored = self.persist.stored().vote.as_ref() == Some(&asking.view);
        if own_vote_stored && (must_end || wanted.is_some()) && now >= asking.ask_at {
            self.ask_for_votes(now);
        }
    }

    /// A peer refused it for ever, and a holder that is not heard may have granted it. If the peer
    /// asked for a view without this run, none of both helps before the holder is back: then each
    /// time takes twice as long.
    fn same_by_next_number(&mut self, now: Timestamp) -> Option<(View, u32)> {
        self.heir_of_lost(now)?;
        let number = self.voter.next_number().max(self.proposed + 1);
        let rank = self.rank();
        let asking = self.asking.as_mut().filter(|it| it.asked && !it.forced)?;
        let refused = asking.never.iter().any(Option::is_some);
        let slower = 1 << asking.again.min(AGAIN_SLOWER_MAX);
        let retry = now + BURNT_RETRY * (rank + slower - 1);
        let due = refused.then(|| *asking.again_at.get_or_insert(retry))?;
        (now >= due).then(|| (View { number, ..asking.view.clone() }, asking.again + 1))
    }

    /// A link that was down for a moment leaves no proposal behind, which would hold up all that
    /// waits for the next view.
    fn drop_unasked_proposal(&mut self, wanted: Option<&View>) {
        let Some(asking) = self.asking.as_ref().filter(|it| !it.asked && !it.forced) else {
            return;
        };
        if wanted.is_none_or(|view| view.members != asking.view.members) {
            self.take_back_vote();
            if self.view.contains(&self.config.me) {
                self.outputs.push_back(MemberOutput::NotProposing);
            }
        }
    }

    /// The own vote for it would bind this voter to a view that nobody will ever ask for: without
    /// the seat, others could decide nothing before it is back.
    ///
    /// A vote may be taken back because no message has named it, and none of what is stored counts
    /// before others are asked. (If another asked for the same view, it became the highest, and
    /// this run asks for nothing any more: `drop_outdated_proposal`.) A start may still find it,
    /// if that comes before the next write, or in the older one of two copies: then it binds as
    /// before. Its number is not used again by this run (`proposed`), so a stored vote is never
    /// taken for a later one of that number.
    fn take_back_vote(&mut self) {
        let Some(Asking { view, before, .. }) = self.asking.take() else { return };
        // With more voters two copies of the state, with votes for two views of one number, could
        // not be told apart by what else is in them.
        if majority(self.voters()) <= 2 {
            self.voter.take_back(&view, before);
            self.store();
        }
    }

    /// When [`Member::pursue`] has something to do that no input announces.
    pub(super) fn proposal_timeout(&self) -> Option<Timestamp> {
        let asking = self.asking.as_ref()?;
        let due = asking.burnt_until.unwrap_or(asking.ask_at);
        (due > self.now).then_some(due)
    }

    pub(super) fn on_vote(
        &mut self,
        from: &VoterId,
        (number, proposer): (u64, RunId),
        verdict: Verdict,
    ) {
        if !self.votes(from) {
            return;
        }
        let from = from.node().cloned();
        let Some(asking) = &mut self.asking else { return };
        if asking.view.number != number || proposer != self.config.me {
            return;
        }
        match verdict {
            Verdict::Granted => drop(asking.granted.insert(from)),
            Verdict::Never => drop(asking.never.insert(from)),
            Verdict::NotNow => {}
        }
    }

    /// Decides the proposal, or gives its number up, when the votes allow it.
    pub(super) fn count_votes(&mut self, now: Timestamp) {
        let (voters, rank) = (self.voters(), self.rank());
        let Some(asking) = &mut self.asking else { return };
        if self.persist.stored().vote.as_ref() != Some(&asking.view) {
            return;
        }
        let alone = asking.forced || self.planted.is(PlantedFault::MajorityOfOne);
        let majority = if alone { 1 } else { majority(voters) };
        if asking.burnt_until.is_none() && 1 + asking.granted.len() >= majority {
            let view = asking.view.clone();
            if asking.forced {
                self.outputs
                    .push_back(MemberOutput::Notice(MemberNotice::Forced { number: view.number }));
            }
            self.learn(&view);
        } else if asking.burnt_until.is_none() && voters - asking.never.len() < majority {
            asking.burnt_until = Some(now + BURNT_RETRY * rank);
        }
    }

    /// The view that should follow, if the one that holds is not as it should be.
    fn wanted(&self, now: Timestamp) -> Option<View> {
        let me = &self.config.me;
        if self.view.number != self.voter.highest.number {
            return None;
        }
        let heir = self.seat_heir(now);
        if !self.view.contains(me) {
            let may_start = self.may_start_from_cold(now) || self.may_start_unclean(now);
            let view = may_start.then(|| self.next_view(vec![me.clone()], me))?;
            return Some(View { seat: heir.or(view.seat), ..view });
        }
        if let Some(heir) = heir {
            return Some(self.with_seat_at(heir));
        }
        let (mut members, lost): (Vec<RunId>, Vec<RunId>) =
            self.view.others(me).cloned().partition(|run| self.loss(now, run).is_none());
        if !lost.is_empty() && !self.hears_seat(now) && !self.does_without_votes(now) {
            return None;
        }
        for joiner in self.joiners.values().filter(|run| self.may_join(now, run)) {
            members.retain(|run| run.node != joiner.node);
            members.push(joiner.clone());
        }
        let heir = if self.draining { members.first()?.clone() } else { me.clone() };
        if !self.draining {
            members.push(heir.clone());
        }
        members.sort();
        if members == self.view.members {
            return self.handed_over(now).or_else(|| self.with_found());
        }
        Some(self.next_view(members, &heir))
    }

    fn may_join(&self, now: Timestamp, run: &RunId) -> bool {
        let peer = self.peers.get(&run.node);
        let fit = peer.is_some_and(|peer| peer.may_join(now, self.hears_seat(now)));
        fit && self.loss(now, run).is_none() && self.view.cohorts.len() < COHORTS_MAX
    }

    pub(super) fn next_view(&self, members: Vec<RunId>, heir: &RunId) -> View {
        let mut view = self.view.next(members, heir);
        let me = &self.config.me;
        let stays = view.contains(me);
        view.cohorts.retain(|cohort, _| {
            !self.finished.contains(cohort) || !self.view.may_forget(*cohort, me)
        });
        for cohort in self.orders.found.iter().filter(|_| stays) {
            if view.cohorts.len() < COHORTS_MAX {
                view.cohorts.entry(*cohort).or_insert_with(|| me.clone());
            }
        }
        if self.planted.is(PlantedFault::ForgetCohort) {
            let lives = |cohort: &CohortId| view.members.iter().any(|run| run.cohort() == *cohort);
            view.cohorts.retain(|cohort, _| *cohort == CohortId::TABLES || lives(cohort));
        }
        let seat = self.config.balancers.holder(&self.view).cloned().or(view.seat);
        View { number: self.voter.next_number().max(self.proposed + 1), seat, ..view }
    }

    fn may_start_from_cold(&self, now: Timestamp) -> bool {
        let candidate = Candidate {
            me: &self.config.me,
            highest: &self.view,
            last_commit: self.last_commit,
            store: self.store_at_start,
            others: self.voters() - 1,
            seat: self.config.seat && self.heir_of_lost(now).is_none(),
        };
        let alone = self.config.peers.is_empty();
        !self.draining && (alone || self.cold.may_propose(now, &candidate))
    }

    fn start_proposal(&mut self, now: Timestamp, view: View) {
        if self.view.contains(&self.config.me) {
            self.outputs.push_back(MemberOutput::Proposing(view.clone()));
        } else if !self.config.peers.is_empty() {
            self.notice(MemberNotice::ColdStart { base: self.view.number });
        }
        let before = self.voter.vote.clone();
        self.proposed = view.number;
        self.voter.vote_for_own(view.clone());
        self.asking = Some(Asking {
            base: self.view.number,
            view,
            granted: BTreeSet::new(),
            never: BTreeSet::new(),
            ask_at: now,
            burnt_until: None,
            forced: false,
            asked: false,
            again_at: None,
            again: 0,
            before,
        });
        self.store();
    }

    fn ask_for_votes(&mut self, now: Timestamp) {
        let interval = Duration::from_millis(self.config.heartbeat_ms);
        let Some(asking) = &mut self.asking else { return };
        (asking.ask_at, asking.asked) = (now + interval, true);
        let body = ControlBody::Propose { base: asking.base, view: asking.view.clone() };
        self.send_to_all(&body);
    }

    /// The position of this node among all nodes, by name.
    pub(super) fn rank(&self) -> u32 {
        let lower = self.config.peers.iter().filter(|peer| **peer < self.config.me.node).count();
        u32::try_from(lower).unwrap_or(u32::MAX)
    }
}
