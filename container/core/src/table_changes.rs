//! Changes of shared tables that an operator asks for: made by the owner of the tables' cohort, as
//! a commit, and answered when that is held.
//!
//! | a change at a node that                   | what happens                                    |
//! |-------------------------------------------|-------------------------------------------------|
//! | is no member                              | refused                                         |
//! | owns the tables                           | checked, made, answered when it is held         |
//! | owns them, but hands them over            | waits for the view                              |
//! | owns them; a turn that runs has written   | waits for the end of that turn                  |
//! | the row                                   | (`pending_rows.rs`)                             |
//! | has a link to their owner                 | asked of the owner, whose answer is passed on   |
//! | lost that link, or its owner died         | asked again, of whoever owns the tables then    |
//! | has no answer after [`CHANGE_MAX`]        | refused if nobody was asked; else not known     |
//!
//! A change says how rows are to be, not how they differ, so that making it twice is as good as
//! once: what was asked of a node that died may be asked of its heir without knowing more. Changes
//! are made one after the other, in the order in which they reach the owner.
//!
//! The removal of a part of a cell goes the same way, to the owner of that cell
//! (`housekeeping.rs`). Orders about alarms and figures need no owner (`facility_orders.rs`).
//!
//! What a change may be is not here (`profiles.rs`, `life_cycles.rs`,
//! `adaptor_life_cycles.rs`, `migrations.rs`).

use crate::commit::RowChange;
use crate::core::Core;
use crate::frame::{AnsweredChange, AskedChange};
use crate::housekeeping::{RemovalStage, Removals};
use crate::io::Output;
use crate::link::FRAME_BYTES_MAX;
use crate::management::{Changed, Removal, TableChange};
use crate::unit_rows::Row;
use resilee_membership::{NodeName, PlantedFault, RunId};
use resilee_sbb::{CohortId, Timestamp, decode, encode};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a change may take; longer than a takeover.
pub(crate) const CHANGE_MAX: Duration = Duration::from_secs(3);
/// Changes that wait at a node, its own and those of others.
const WAITING_MAX: usize = 256;
/// Tokens of changes that the node itself wants; those of operators are smaller.
const OWN_TOKENS: u64 = 1 << 63;

/// Changes under way.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub waiting: Vec<Waiting>,
    /// What other nodes are to be told.
    pub words: BTreeMap<NodeName, Words>,
    /// Removals under way here.
    pub removals: Removals,
    /// Changes that the node itself wanted.
    own: u64,
}

/// What one node is to be told about changes.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub asked: Vec<AskedChange>,
    pub answered: Vec<AnsweredChange>,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    /// Who asked: an operator of this node, or another run.
    by: Option<RunId>,
    token: u64,
    until: Timestamp,
    change: TableChange,
    stage: Stage,
    /// Another node was asked to make it, and may have.
    may_be_made: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// The owner was asked.
    Asked(RunId),
    /// It is a removal, with this ticket, in its cell here.
    InCell(u64),
    /// It is made by this commit, or was before it.
    Made(u64),
}

impl Waiting {
    /// Who owns this cohort makes the change.
    fn cohort(&self) -> CohortId {
        match &self.change {
            TableChange::Remove(removal) => removal.what.cell().cohort,
            _ => CohortId::TABLES,
        }
    }

    /// What is changed.
    fn subject(&self) -> String {
        match &self.change {
            TableChange::Remove(removal) => format!("the call {}", removal.what.cell()),
            _ => "the shared tables".to_owned(),
        }
    }
}

impl Changes {
    /// What is to be told to a node with the next frame: as much as fits into one.
    pub fn take_words(&mut self, peer: &NodeName) -> (Vec<AskedChange>, Vec<AnsweredChange>) {
        let Some(words) = self.words.get_mut(peer) else { return Default::default() };
        let mut size = 0;
        let asked = fitting(&mut words.asked, &mut size, |asked| asked.change.len());
        let answered = fitting(&mut words.answered, &mut size, |it| it.changed.len());
        if words.asked.is_empty() && words.answered.is_empty() {
            self.words.remove(peer);
        }
        (asked, answered)
    }

    /// Nodes that are to be told something.
    pub fn listeners(&self) -> impl Iterator<Item = &NodeName> {
        self.words.keys()
    }
}

impl Core {
    /// An operator of this node wants a change.
    pub(crate) fn on_change(&mut self, now: Timestamp, token: u64, change: TableChange) {
        let me = &self.config.me.node;
        let refused = if !self.is_member() && !change.is_of_facilities() {
            Some(format!("{me} is no member of the view: ask a member"))
        } else if self.changes.waiting.len() >= WAITING_MAX {
            Some("too many changes wait: try again in a moment".to_owned())
        } else {
            None
        };
        if let Some(reason) = refused {
            return self
                .outputs
                .push_back(Output::Changed { token, changed: Changed::Refused(reason) });
        }
        let (by, until, stage, may_be_made) = (None, now + CHANGE_MAX, Stage::New, false);
        self.changes.waiting.push(Waiting { by, token, until, change, stage, may_be_made });
    }

    /// The node itself wants a change, unless it waits for that already, or for too much else.
    pub(crate) fn change_by_itself(&mut self, now: Timestamp, change: TableChange) {
        let waiting = &self.changes.waiting;
        let is_same =
            |it: &Waiting| it.by.is_none() && it.token >= OWN_TOKENS && it.change == change;
        if waiting.len() >= WAITING_MAX || waiting.iter().any(is_same) {
            return;
        }
        let (token, until) = (OWN_TOKENS + self.changes.own, now + CHANGE_MAX);
        self.changes.own += 1;
        let (by, stage, may_be_made) = (None, Stage::New, false);
        self.changes.waiting.push(Waiting { by, token, until, change, stage, may_be_made });
    }

    /// Another node asks for changes.
    pub(crate) fn on_changes_asked(
        &mut self,
        now: Timestamp,
        from: &RunId,
        asked: Vec<AskedChange>,
    ) {
        for AskedChange { token, until, change, again } in asked {
            let known = |it: &Waiting| it.by.as_ref() == Some(from) && it.token == token;
            if self.changes.waiting.iter().any(known) {
                continue;
            }
            let change = decode::<TableChange>(&change).ok();
            let Some(change) = change.filter(|change| !change.is_of_facilities()) else {
                let me = &self.config.me.node;
                let reason = format!(
                    "{me}, which owns what is to be changed, does not know such a change: run \
                     the same version of Resilee on both"
                );
                self.tell_changed(from, token, &Changed::Refused(reason));
                continue;
            };
            if self.changes.waiting.len() >= WAITING_MAX {
                self.count_drop("change of a shared table behind too many others");
                continue;
            }
            let (by, stage) = (Some(from.clone()), Stage::New);
            // No node asks for more.
            let until = until.min(now + CHANGE_MAX);
            self.changes.waiting.push(Waiting {
                by,
                token,
                until,
                change,
                stage,
                may_be_made: again,
            });
        }
    }

    /// The owner has answered.
    pub(crate) fn on_changes_answered(&mut self, from: &RunId, answered: Vec<AnsweredChange>) {
        for AnsweredChange { token, changed, not_yet } in answered {
            let asked = |it: &Waiting| {
                it.by.is_none() && it.token == token && it.stage == Stage::Asked(from.clone())
            };
            let Some(at) = self.changes.waiting.iter().position(asked) else { continue };
            let waiting = self.changes.waiting.remove(at);
            let unreadable = |_| Changed::Unknown("the owner's answer cannot be read".to_owned());
            let changed = match decode(&changed).unwrap_or_else(unreadable) {
                Changed::Refused(reason) if not_yet => Changed::NotYet(reason),
                changed => changed,
            };
            self.answer_change(&waiting, changed);
        }
    }

    /// The link to a node is gone, with what was to be told by it.
    pub(crate) fn forget_change_words(&mut self, peer: &NodeName) {
        self.changes.words.remove(peer);
        for waiting in &mut self.changes.waiting {
            if matches!(&waiting.stage, Stage::Asked(run) if run.node == *peer) {
                waiting.stage = Stage::New;
            }
        }
    }

    /// When the next change has waited too long.
    pub(crate) fn next_change_end(&self) -> Option<Timestamp> {
        self.changes.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Goes on with each change as far as it can.
    pub(crate) fn advance_changes(&mut self, now: Timestamp) {
        for mut waiting in std::mem::take(&mut self.changes.waiting) {
            let answer = match self.advance_change(now, &mut waiting) {
                None if waiting.until <= now => Some(self.change_overdue(&waiting)),
                answer => answer,
            };
            match answer {
                Some(changed) => {
                    if let Stage::InCell(ticket) = waiting.stage {
                        self.forget_removal(ticket);
                    }
                    self.answer_change(&waiting, changed);
                }
                None => self.changes.waiting.push(waiting),
            }
        }
    }

    fn advance_change(&mut self, now: Timestamp, waiting: &mut Waiting) -> Option<Changed> {
        if waiting.stage == Stage::New
            && let Some(outcome) = self.obey(now, &waiting.change)
        {
            match outcome {
                Ok(commit) => waiting.stage = Stage::Made(commit),
                Err(reason) => return Some(Changed::Refused(reason)),
            }
        }
        let cohort = waiting.cohort();
        let owner = self.view.owner(cohort).filter(|_| self.is_member()).cloned();
        if matches!(&waiting.stage, Stage::Asked(run) if owner.as_ref() != Some(run)) {
            waiting.stage = Stage::New;
        }
        if let (TableChange::Remove(removal), true) = (&waiting.change, self.is_member()) {
            let removal = removal.clone();
            return self.advance_removal(now, waiting, &removal, owner);
        }
        if waiting.stage == Stage::New && waiting.until > now {
            let owner = owner?;
            if owner != self.config.me {
                self.ask_owner(&owner, waiting);
            } else if !self.rests(CohortId::TABLES) && !self.is_behind_turn(&waiting.change) {
                match self.make_change(now, &waiting.change, waiting.may_be_made) {
                    Ok(commit) => waiting.stage = Stage::Made(commit),
                    Err(changed) => return Some(changed),
                }
            }
        }
        self.once_held(waiting)
    }

    /// True if a service has written the row in a turn that runs: only profile tables are written
    /// by both.
    fn is_behind_turn(&self, change: &TableChange) -> bool {
        match change {
            TableChange::PutProfile { table, name, .. }
            | TableChange::RemoveProfile { table, name }
            | TableChange::ResetProfile { table, name } => self.is_pending(table, name),
            _ => false,
        }
    }

    fn once_held(&self, waiting: &Waiting) -> Option<Changed> {
        match waiting.stage {
            Stage::Made(commit) if !self.gate.is_closed(commit) => Some(Changed::Done),
            Stage::Made(_)
                if self.planted.is(PlantedFault::AnswerOrdersAtOnce)
                    && waiting.change.is_of_facilities() =>
            {
                Some(Changed::Done)
            }
            _ => None,
        }
    }

    fn advance_removal(
        &mut self,
        now: Timestamp,
        waiting: &mut Waiting,
        removal: &Removal,
        owner: Option<RunId>,
    ) -> Option<Changed> {
        let cell = removal.what.cell();
        let is_mine = owner.as_ref() == Some(&self.config.me);
        if let Stage::InCell(ticket) = waiting.stage
            && !is_mine
        {
            // Its cell went to another node before its turn came.
            self.forget_removal(ticket);
            waiting.stage = Stage::New;
        }
        if waiting.stage == Stage::New && waiting.until > now {
            match owner {
                Some(owner) if !is_mine => {
                    let again = removal.again || waiting.may_be_made;
                    waiting.change = TableChange::Remove(Removal { again, ..removal.clone() });
                    self.ask_owner(&owner, waiting);
                }
                Some(_) if self.rests(cell.cohort) => {}
                Some(_) if self.cells.contains_key(&cell) => {
                    waiting.stage = Stage::InCell(self.begin_removal(now, removal));
                }
                _ => return self.nothing_to_remove(waiting, removal),
            }
        }
        if let Stage::InCell(ticket) = waiting.stage {
            match self.removal_stage(cell, ticket) {
                RemovalStage::Running => {}
                RemovalStage::Made => {
                    self.forget_removal(ticket);
                    waiting.stage = Stage::Made(self.gate.last_commit());
                }
                RemovalStage::NotThere => {
                    self.forget_removal(ticket);
                    return self.nothing_to_remove(waiting, removal);
                }
            }
        }
        self.once_held(waiting)
    }

    /// What is to be removed is not there: an error, unless a dead owner may have removed it.
    fn nothing_to_remove(&self, waiting: &mut Waiting, removal: &Removal) -> Option<Changed> {
        let Removal { what, again, .. } = removal;
        if !again && !waiting.may_be_made {
            let kind = what.kind();
            return Some(Changed::Refused(format!(
                "there is no {kind} {what}: it is over, or never was; look for it again"
            )));
        }
        waiting.stage = Stage::Made(self.gate.last_commit());
        self.once_held(waiting)
    }

    fn ask_owner(&mut self, owner: &RunId, waiting: &mut Waiting) {
        let link = self.links.get(&owner.node);
        let linked = link.is_some_and(|link| link.up && link.run.as_ref() == Some(owner));
        // What another node asked of this one is its own to ask again.
        if !linked || waiting.by.is_some() {
            return;
        }
        let change = encode(&waiting.change).expect("plain data can be encoded");
        let (token, until) = (waiting.token, waiting.until);
        let (change, again) = (ByteBuf::from(change), waiting.may_be_made);
        let asked = AskedChange { token, until, change, again };
        self.changes.words.entry(owner.node.clone()).or_default().asked.push(asked);
        waiting.stage = Stage::Asked(owner.clone());
        waiting.may_be_made = true;
    }

    /// Checks a change, which a dead owner may have made, and commits its rows; the commit that it
    /// depends on.
    fn make_change(
        &mut self,
        now: Timestamp,
        change: &TableChange,
        may_be_made: bool,
    ) -> Result<u64, Changed> {
        let rows = match change {
            TableChange::PutProfile { table, name, profile } => {
                self.profile_put(table, name, profile.clone())?
            }
            TableChange::RemoveProfile { table, name } => self.profile_removed(table, name)?,
            TableChange::ResetProfile { table, name } => self.profile_reset(table, name)?,
            TableChange::Services { activate, deactivate } => {
                self.services_changed(now, activate, deactivate)?
            }
            TableChange::Slee { running } => self.slee_changed(now, *running),
            TableChange::Adaptor { name, order } => self.adaptor_changed(now, name, order)?,
            TableChange::TraceLevel { tracer, level } => {
                self.trace_level_changed(tracer, *level)?
            }
            TableChange::PutUnitPart { unit, part, bytes } => {
                self.unit_part_put(unit, *part, bytes)?
            }
            TableChange::PutUnit { unit, service, bytes, secrets } => {
                let (service, secrets) = (service.clone(), secrets.clone());
                self.unit_put(unit, Row { service, bytes: *bytes, put_at: now, secrets })?
            }
            TableChange::Migrate { from, to } => {
                self.migration_changed(now, from, to.as_deref())?
            }
            TableChange::RemoveUnit { unit } if may_be_made && !self.has_unit(unit) => Vec::new(),
            TableChange::RemoveUnit { unit } => self.unit_removed(unit)?,
            // They go through its cell, and need no owner.
            TableChange::Remove(_)
            | TableChange::ClearAlarm { .. }
            | TableChange::ResetUsage { .. } => Vec::new(),
        };
        if !rows.is_empty() {
            self.commit_table_rows(rows);
        }
        // Also a change that changes nothing speaks of rows: it waits for all of them.
        Ok(self.gate.last_commit())
    }

    /// The whole turn of a cell of the tables' cohort: its rows.
    fn commit_table_rows(&mut self, rows: Vec<RowChange>) {
        let cell = self.next_cell_of(CohortId::TABLES);
        self.commit_rows(cell, rows, Vec::new());
    }

    fn change_overdue(&self, waiting: &Waiting) -> Changed {
        let within = format!("within {} s", CHANGE_MAX.as_secs());
        let owner = self.view.owner(waiting.cohort());
        let owner = owner.map_or("nobody".to_owned(), |owner| owner.node.to_string());
        let subject = waiting.subject();
        match waiting.stage {
            Stage::Made(_) => Changed::Unknown(format!(
                "the change is made, but nobody else has it {within}: it is lost if this node \
                 dies now; look again in a moment"
            )),
            Stage::InCell(_) => Changed::Unknown(format!(
                "{subject} is busy {within}, a handler may hang: look whether it is made in a \
                 moment"
            )),
            _ if waiting.may_be_made => Changed::Unknown(format!(
                "{owner} owns {subject} and did not answer {within}: look whether the \
                 change is made, and ask again if it is not"
            )),
            _ if self.is_behind_turn(&waiting.change) => Changed::Refused(format!(
                "a service is writing {subject} and is not done {within}, a handler may hang: \
                 nothing was changed; try again in a moment"
            )),
            _ => Changed::Refused(format!(
                "{owner} owns {subject}, and is out of reach {within}: nothing was \
                 changed; ask {owner}, or try again when the cluster is whole"
            )),
        }
    }

    fn answer_change(&mut self, waiting: &Waiting, changed: Changed) {
        let token = waiting.token;
        match &waiting.by {
            None if token >= OWN_TOKENS => self.on_own_change(&waiting.change, &changed),
            None => self.outputs.push_back(Output::Changed { token, changed }),
            Some(run) => self.tell_changed(run, token, &changed),
        }
    }

    fn tell_changed(&mut self, run: &RunId, token: u64, changed: &Changed) {
        let link = self.links.get(&run.node).filter(|link| link.run.as_ref() == Some(run));
        // Without a link the node has asked nobody, and asks again when there is one.
        if link.is_some_and(|link| link.up) {
            let (not_yet, changed) = match changed {
                Changed::NotYet(reason) => (true, &Changed::Refused(reason.clone())),
                changed => (false, changed),
            };
            let changed = ByteBuf::from(encode(changed).expect("plain data can be encoded"));
            let words = self.changes.words.entry(run.node.clone()).or_default();
            words.answered.push(AnsweredChange { token, changed, not_yet });
        }
    }
}

/// As many words, from the first one on, as a frame has room for.
fn fitting<T>(words: &mut Vec<T>, size: &mut usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let fits = |word: &&T| {
        let fits = *size < FRAME_BYTES_MAX;
        *size += bytes(word);
        fits
    };
    let count = words.iter().take_while(fits).count();
    words.drain(..count).collect()
}
