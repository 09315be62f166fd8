//! What may be ordered: an end, a hand-over of cohorts, a forced start, a name for cohorts that
//! were found; and when a node that may not wait for votes (`unclean = "serve"`) does without them.
//!
//! | order     | it stands until         | what it changes                                  |
//! |-----------|-------------------------|--------------------------------------------------|
//! | drain     | the end, or *stay*      | the view wanted is without this run              |
//! | hand over | the next view           | the view wanted has the cohorts at their heir    |
//! | find      | the next view           | the view wanted names the cohorts, owned here    |
//! | force     | the next view           | this run's own vote decides its proposal         |
//!
//! **What a forced view gives up.** Without a majority the other side may do the same: both then
//! act for the same calls (promise P7 is off), and so may two balancers: the forced view names one
//! that is heard here, and the other side may confirm the one before it. When they hear each other
//! again, the view of the higher number holds, and the run that is not in it begins anew: what it
//! did alone is dropped. So forced views have numbers of their own ([`FORCED_STEP`] apart, by the
//! rank of the node): two of them differ, and so do the views that follow them.
//!
//! Not here: how a view is asked for (`proposal.rs`), and whether a cohort is quiet enough to be
//! handed over (the core sees to it).

use super::{Member, MemberNotice, Unclean};
use crate::{RunId, View};
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Numbers between a forced view and the one before it, for each rank: regular views that follow
/// one side's forced view stay below those of the other side.
const FORCED_STEP: u64 = 100;

/// What was ordered and is not done yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    hand_over: Option<(BTreeSet<CohortId>, RunId)>,
    /// Cohorts of which this run has cells.
    pub(super) found: BTreeSet<CohortId>,
    force: bool,
    /// Since when no other voter is heard.
    alone_since: Option<Timestamp>,
}

impl Orders {
    /// A view was adopted: what was ordered before it is done or void.
    pub(super) fn clear(&mut self) {
        (self.hand_over, self.force) = (None, false);
        self.found.clear();
    }
}

impl Member {
    /// Takes an order to leave; whoever has nothing to hand over is done at once.
    pub(super) fn on_drain(&mut self) {
        self.draining = true;
        if !self.view.contains(&self.config.me) {
            self.ended = true;
            self.notice(MemberNotice::Drained);
        }
    }

    /// Takes an order to hand over; void unless this run owns the cohorts and the heir is a
    /// member.
    pub(super) fn on_hand_over(&mut self, cohorts: BTreeSet<CohortId>, heir: RunId) {
        let me = &self.config.me;
        let owned = cohorts.iter().all(|cohort| self.view.owner(*cohort) == Some(me));
        if owned && self.view.contains(me) && self.view.contains(&heir) {
            self.orders.hand_over = Some((cohorts, heir));
        }
    }

    /// Takes an order to do without the other votes; void for a member that has lost nobody.
    pub(super) fn on_force(&mut self, now: Timestamp) {
        let me = &self.config.me;
        let waits = |run| self.loss(now, run).is_some();
        self.orders.force = !self.view.contains(me) || self.view.others(me).any(waits);
    }

    /// The view with the cohorts at their heir, while both are members and live.
    pub(super) fn handed_over(&self, now: Timestamp) -> Option<View> {
        let (cohorts, heir) = self.orders.hand_over.as_ref()?;
        if !self.view.contains(heir) || self.loss(now, heir).is_some() {
            return None;
        }
        let mut view = self.next_view(self.view.members.clone(), &self.config.me);
        for cohort in cohorts {
            view.cohorts.insert(*cohort, heir.clone());
        }
        (view.cohorts != self.view.cohorts).then_some(view)
    }

    /// The view with the cohorts that were found, if it lacks one.
    pub(super) fn with_found(&self) -> Option<View> {
        let view = self.next_view(self.view.members.clone(), &self.config.me);
        let lacks = |cohort: &CohortId| self.view.owner(*cohort).is_none();
        self.orders.found.iter().any(lacks).then_some(view)
    }

    /// Keeps the time since when no other voter is heard.
    pub(super) fn notice_solitude(&mut self, now: Timestamp) {
        let seat = self.config.seat && self.hears_seat(now);
        let heard = seat || self.peers.values().any(|peer| peer.detector.is_alive(now));
        self.orders.alone_since = if heard { None } else { self.orders.alone_since.or(Some(now)) };
    }

    /// This run's own vote is enough: it was forced, or no other voter is heard for a while and
    /// the configuration says so.
    pub(super) fn does_without_votes(&self, now: Timestamp) -> bool {
        if self.orders.force {
            return true;
        }
        let silence = self.config.heartbeat_ms * u64::from(self.config.missed);
        let wait = Duration::from_millis(2 * silence);
        let alone = self.orders.alone_since.is_some_and(|since| now.since(since) >= wait);
        alone && self.config.unclean == Unclean::Serve && !self.config.peers.is_empty()
    }

    /// A run that is no member may start without being asked by the others.
    pub(super) fn may_start_unclean(&self, now: Timestamp) -> bool {
        let known = self.view.number == 0
            || self.store_at_start.may_follow(&self.view, &self.config.me.node);
        self.orders.force || (self.does_without_votes(now) && known && self.cold.is_quiet(now))
    }

    /// A view that is not decided by a majority: its number, and the seat at a balancer that is
    /// heard.
    pub(super) fn forced(&self, now: Timestamp, view: View) -> View {
        let number = view.number + FORCED_STEP * u64::from(1 + self.rank());
        View { number, seat: self.heard_heir(now).or(view.seat), ..view }
    }
}
