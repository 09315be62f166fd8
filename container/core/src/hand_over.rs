//! A planned hand-over: cohorts of this run get another owner while both are members.
//!
//! | stage    | what holds for the cells of the cohorts             | ends when            |
//! |----------|-----------------------------------------------------|----------------------|
//! | resting  | running turns end; no turn begins: what comes waits | no delivery is out   |
//! | settling | the same                                            | all commits are held |
//! | asked    | the same; the membership asks for the view          | any view is adopted  |
//!
//! So when the view is adopted, both nodes have the same of every cell, and nothing of it is on
//! its way. The cells come alive at their new owner as after a takeover; this node relays what
//! waited, and what still comes. If the view turns out to be another one, or the cells do not
//! come to rest within [`REST_MAX`], what waited goes on here.
//!
//! Asking for the view is not here (the membership's `order.rs`), nor what a view means for cells
//! (`takeover.rs`).

use crate::core::Core;
use crate::io::Output;
use crate::management::{Command, Notice};
use resilee_membership::{MemberInput, NodeName, RunId};
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long cells may take to come to rest; clients repeat after 500 ms, so this is long already.
const REST_MAX: Duration = Duration::from_secs(2);

/// A hand-over that is under way.
#[derive(Clone, Debug)]
pub(crate) struct HandOver {
    cohorts: BTreeSet<CohortId>,
    heir: RunId,
    since: Timestamp,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Resting,
    /// All commits up to this one must be held.
    Settling(u64),
    Asked,
}

impl Core {
    /// Says whether a command can be carried out now.
    ///
    /// # Errors
    /// Why not, and what to do instead.
    pub fn check_command(&self, command: &Command) -> Result<(), String> {
        match command {
            Command::HandOver { cohort, to } => self.cohorts_to_hand_over(*cohort, to).map(|_| ()),
            Command::Force => self.check_force(),
            Command::ForgetOrphans => self.check_forget_orphans(),
        }
    }

    /// Carries out a command; one that cannot be carried out any more is dropped with a notice.
    pub(crate) fn on_command(&mut self, now: Timestamp, command: Command) {
        let done = match command {
            Command::HandOver { cohort, to } => {
                self.cohorts_to_hand_over(cohort, &to).map(|(cohorts, heir)| {
                    let stage = Stage::Resting;
                    self.hand_over = Some(HandOver { cohorts, heir, since: now, stage });
                })
            }
            Command::Force => self.check_force().map(|()| self.tell_member(MemberInput::Force)),
            Command::ForgetOrphans => {
                self.check_forget_orphans().map(|()| self.forget_orphans(now))
            }
        };
        if let Err(reason) = done {
            self.outputs.push_back(Output::Notice(Notice::CommandRefused(reason)));
        }
    }

    fn cohorts_to_hand_over(
        &self,
        cohort: Option<CohortId>,
        to: &NodeName,
    ) -> Result<(BTreeSet<CohortId>, RunId), String> {
        let me = &self.config.me;
        if !self.is_member() {
            return Err(format!("{} is no member of the view: ask a member", me.node));
        }
        if self.proposing.is_some() || self.hand_over.is_some() {
            return Err("the view is about to change: try again in a moment".to_owned());
        }
        if *to == me.node {
            return Err(format!("{to} is the node that is asked: ask the node that hands over"));
        }
        let Some(heir) = self.view.member(to).cloned() else {
            return Err(format!("{to} is no member of view {}: start it first", self.view.number));
        };
        let link = self.links.get(to);
        if !link.is_some_and(|link| link.up && link.run.as_ref() == Some(&heir)) {
            return Err(format!("there is no link to {to}: it may lack the last changes"));
        }
        let owned = |cohort: &CohortId| self.view.owner(*cohort) == Some(me);
        let wanted = |known: &CohortId| cohort.is_none_or(|wanted| wanted == *known);
        let cohorts: BTreeSet<_> = self
            .view
            .cohorts
            .keys()
            .filter(|known| wanted(known) && owned(known))
            .copied()
            .collect();
        match (cohorts.is_empty(), cohort.and_then(|cohort| self.view.owner(cohort))) {
            (false, _) => Ok((cohorts, heir)),
            (true, Some(owner)) => Err(format!("{} owns this cohort: ask it", owner.node)),
            (true, None) if cohort.is_some() => Err("there is no such cohort".to_owned()),
            (true, None) => Err(format!("{} owns no cohort: ask the other node", me.node)),
        }
    }

    fn check_force(&self) -> Result<(), String> {
        let has_lost = self.view.others(&self.config.me).any(|run| self.member.has_lost(run));
        if self.is_member() && !has_lost {
            let text = "this node is a member and has lost nobody: there is nothing to force";
            return Err(text.to_owned());
        }
        Ok(())
    }

    /// True if the cells of a cohort rest: no turn of them may begin.
    pub(crate) fn rests(&self, cohort: CohortId) -> bool {
        self.hand_over.as_ref().is_some_and(|hand_over| hand_over.cohorts.contains(&cohort))
    }

    /// Goes on with a hand-over as far as it can.
    pub(crate) fn advance_hand_over(&mut self, now: Timestamp) {
        let Some(mut hand_over) = self.hand_over.take() else { return };
        if hand_over.stage == Stage::Resting {
            // Between two inputs, a turn that runs has a delivery out.
            let runs = |cohort: &CohortId| hand_over.cohorts.contains(cohort);
            if !self.deliveries.values().any(|out| runs(&out.cell.cohort)) {
                hand_over.stage = Stage::Settling(self.gate.last_commit());
            }
        }
        let held = matches!(hand_over.stage, Stage::Settling(last) if self.gate.held() >= last);
        let late = now.since(hand_over.since) >= REST_MAX;
        if held && self.view.contains(&hand_over.heir) {
            hand_over.stage = Stage::Asked;
            let (cohorts, heir) = (hand_over.cohorts.clone(), hand_over.heir.clone());
            self.hand_over = Some(hand_over);
            self.tell_member(MemberInput::HandOver { cohorts, heir });
            self.drive_member(now);
        } else if hand_over.stage != Stage::Asked && late {
            self.outputs.push_back(Output::Notice(Notice::HandOverGivenUp(hand_over.heir)));
            self.wake_resting(now);
        } else {
            self.hand_over = Some(hand_over);
        }
    }

    /// Whatever the adopted view says of the cells that rested: they may go on now.
    pub(crate) fn end_hand_over(&mut self, now: Timestamp) {
        let Some(hand_over) = self.hand_over.take() else { return };
        let given = |cohort: &CohortId| self.view.owner(*cohort) == Some(&hand_over.heir);
        let cohorts = hand_over.cohorts.iter().filter(|cohort| given(cohort)).count();
        if cohorts > 0 {
            let to = hand_over.heir;
            self.outputs.push_back(Output::Notice(Notice::HandedOver { cohorts, to }));
        }
        self.wake_resting(now);
    }

    /// Begins the turns that waited, and takes in the messages that did.
    fn wake_resting(&mut self, now: Timestamp) {
        let waits = |cell: &&crate::cell::Cell| cell.turn.is_none() && !cell.inbox.is_empty();
        let waiting: Vec<_> = self.cells_of(true).filter(waits).map(|cell| cell.id).collect();
        for id in waiting {
            if let Some(input) = self.next_input(now, id) {
                self.begin_turn(now, id, input);
            }
        }
        self.take_in_early(now);
    }
}
