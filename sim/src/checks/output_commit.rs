//! Promise P1, at each moment at which something leaves a node.
//!
//! | what leaves                             | what must be held                               |
//! |-----------------------------------------|-------------------------------------------------|
//! | a message of a commit                   | that commit                                     |
//! | a message of a turn that changed nothing | the last commit of its cell, before that turn   |
//! | the same, in a cell of the tables       | the last commit with rows                       |
//! | an answer outside any cell              | the last commit about the same Call-ID          |
//! | a record, into its journal              | its commit, unless the run is alone             |
//! | a message that no finished turn wanted  | it must not leave                               |
//!
//! | by the view of the sender               | held means                                      |
//! |-----------------------------------------|-------------------------------------------------|
//! | others are members                      | each of them has applied the commit             |
//! | it is the only member                   | its own disk has flushed the commit             |
//! | another view is being voted on          | both, for the members of both views             |
//!
//! What is held once stays held: it was by the rule of its time, and all commits before it were.
//!
//! Further: only the owner of a cell sends for it and has its commits applied by others; a message
//! at another member goes on to the owner, or is counted as dropped; who becomes a member has all
//! commits of which something left; what a dead run had committed, and not sent, is sent by its
//! heir.

use crate::checks::run::{Run, Ticket, said};
use crate::checks::{Violation, views::Views};
use resilee_core::{Observed, StoreBatch, StoreOp};
use resilee_membership::{RunId, View};
use resilee_sbb::{CellId, CohortId};
use resilee_sip_proto::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Watches all runs of all nodes.
#[derive(Debug, Default)]
pub struct OutputCommit {
    runs: BTreeMap<RunId, Run>,
    pub views: Views,
    /// Cells of which something is lost, because both nodes died before it was flushed.
    lost: BTreeSet<CellId>,
    /// Calls that nothing is promised for.
    given_up: BTreeSet<String>,
}

impl OutputCommit {
    /// A run begins.
    pub fn starts(&mut self, run: &RunId) {
        self.runs.insert(run.clone(), Run::new(run.clone()));
    }

    /// A run is dead: what it still owed for another one is lost with it.
    pub fn dies(&mut self, run: &RunId) {
        if let Some(run) = self.runs.get_mut(run) {
            run.debts.clear();
        }
    }

    /// A run dies, and nobody takes over: what its disk has not flushed is lost (promise P8).
    pub fn loses(&mut self, run: &RunId) {
        let unstored = self.runs.get(run).into_iter().flat_map(Run::unstored);
        self.lost.extend(unstored);
    }

    /// Nothing is promised for the call any more.
    pub fn gives_up(&mut self, call_id: &str) {
        self.given_up.insert(call_id.to_owned());
    }

    /// True if something of the call is lost: it was changed in the last moments before.
    pub fn is_lost(&self, call_id: &str) -> bool {
        let mut calls = self.runs.values().flat_map(Run::calls);
        let rows = self.lost.iter().any(|cell| cell.cohort == CohortId::TABLES);
        rows || self.given_up.contains(call_id)
            || calls.any(|(call, cell)| call == call_id && self.lost.contains(cell))
    }

    /// True if something of any call is lost.
    pub fn is_any_lost(&self) -> bool {
        !self.lost.is_empty() || !self.given_up.is_empty()
    }

    /// A run's disk has flushed a batch.
    pub fn flushed(&mut self, run: &RunId, batch: u64) {
        if let Some(run) = self.runs.get_mut(run) {
            run.flushed(batch);
        }
        self.note_held(run);
    }

    /// Commits of a run that are held by now, by the rule of the moment, stay so.
    fn note_held(&mut self, id: &RunId) {
        let Some(run) = self.runs.get(id) else { return };
        let (view, held) = (run.view.number, run.held);
        let last = (held + 1..=run.last()).take_while(|n| self.lacks(id, view, *n).is_none());
        let last = last.last().unwrap_or(held);
        if let Some(run) = self.runs.get_mut(id) {
            run.held = last;
        }
    }

    /// A run's disk takes nothing any more.
    pub fn store_failed(&mut self, run: &RunId) {
        if let Some(run) = self.runs.get_mut(run) {
            run.store_failed();
        }
    }

    /// Takes in what a run did inside an input, and the view that it has now.
    ///
    /// # Errors
    /// It applied what the sender had no right to change, or adopted what it may not.
    pub fn observes(
        &mut self,
        id: &RunId,
        observed: Vec<Observed>,
        (view, proposing): (&View, Option<&View>),
    ) -> Result<(), Violation> {
        for what in observed {
            if let Observed::Applied { from, cell, leaves_cell: false, .. } = &what {
                self.check_applied(id, from, *cell)?;
            }
            if let Observed::Applied { from, number, .. } = &what {
                self.check_once(id, from, *number)?;
            }
            let sent = |from: &RunId| self.runs.get(from)?.snapshots.get(id).copied();
            let upto = match &what {
                Observed::SnapshotApplied { from } => sent(from).unwrap_or_default(),
                _ => 0,
            };
            let Some(run) = self.runs.get_mut(id) else { continue };
            match what {
                Observed::Committed { number, cell, egress, journals, rows, .. } => {
                    if !run.committed((number, cell), &egress, journals, rows) {
                        let detail = format!("{id}: {cell}, commit {number}");
                        return Err(Violation::new("one record per cell and journal", detail));
                    }
                }
                Observed::Said { cell, egress } => run.said(cell, &egress),
                Observed::Batch(number) => run.batch(number),
                Observed::SnapshotSent { to, last_commit } => {
                    run.snapshots.insert(to, last_commit);
                }
                Observed::Applied { ref from, .. } | Observed::SnapshotApplied { ref from } => {
                    let from = from.clone();
                    run.applied(what, |_| upto);
                    self.note_held(&from);
                }
                what => run.applied(what, |_| upto),
            }
        }
        let Some(run) = self.runs.get_mut(id) else { return Ok(()) };
        run.proposing = proposing.cloned();
        if run.view.number == view.number {
            return Ok(());
        }
        let old = std::mem::replace(&mut run.view, view.clone());
        if self.views.adopted(view)? {
            self.check_new_members(view)?;
        }
        self.inherits(id, &old);
        Ok(())
    }

    fn check_once(&self, by: &RunId, from: &RunId, number: u64) -> Result<(), Violation> {
        let twice = |run: &Run| run.has_applied(from, number);
        if !self.runs.get(by).is_some_and(twice) {
            return Ok(());
        }
        let detail = format!("{by}: commit {number} of {from}");
        Err(Violation::new("a commit is applied once", detail))
    }

    fn check_applied(&self, by: &RunId, from: &RunId, cell: CellId) -> Result<(), Violation> {
        let Some(run) = self.runs.get(by) else { return Ok(()) };
        if self.views.owns_from(run.view.number, cell, from) {
            return Ok(());
        }
        let detail = format!("{by} applied a commit of {from} for {cell}");
        Err(Violation::new("only the owner of a cell changes it", detail))
    }

    /// Who becomes a member can go on from all that left before.
    fn check_new_members(&self, view: &View) -> Result<(), Violation> {
        let Some(before) = self.views.before(view.number) else { return Ok(()) };
        let new = view.members.iter().filter(|run| !before.contains(run));
        for joiner in new.filter_map(|run| self.runs.get(run)) {
            let senders = view.members.iter().filter(|run| before.contains(run));
            for sender in senders.filter_map(|run| self.runs.get(run)) {
                let missing = (1..=sender.released).find(|n| !joiner.has(&sender.id, *n));
                if let Some(commit) = missing {
                    let detail = format!("{} lacks commit {commit} of {}", joiner.id, sender.id);
                    return Err(Violation::new("a new member has all that left before", detail));
                }
            }
        }
        Ok(())
    }

    /// A run owns what another one owned, who is gone: what that one left undone is its debt.
    fn inherits(&mut self, heir: &RunId, old: &View) {
        let Some(run) = self.runs.get(heir) else { return };
        let owned = |gone: &&RunId| {
            let cohorts = old.cohorts.iter().filter(|(_, owner)| owner == gone);
            cohorts.map(|(cohort, _)| cohort).any(|c| run.view.owner(*c) == Some(heir))
        };
        let gone = old.members.iter().filter(|member| !run.view.contains(member)).filter(owned);
        let debts = gone.flat_map(|gone| {
            let left = self.runs.get(gone).map(|run| &run.left);
            let effects = run.holds.get(gone).into_iter().flat_map(|holding| &holding.effects);
            let undone = move |effect: &&(u64, u64)| left.is_none_or(|l| !l.contains(effect));
            effects.filter(undone).map(|(_, said)| *said)
        });
        let debts: Vec<_> = debts.collect();
        if let Some(run) = self.runs.get_mut(heir) {
            run.debts.extend(debts);
        }
    }

    /// A message leaves a run by a view.
    ///
    /// # Errors
    /// It leaves too early, or by a run that does not own its cell.
    pub fn leaves(
        &mut self,
        id: &RunId,
        view: u64,
        (remote, bytes): (SocketAddr, &[u8]),
    ) -> Result<(), Violation> {
        let what = said(remote, bytes);
        let first = || String::from_utf8_lossy(bytes.split(|b| *b == b'\r').next().unwrap_or(b""));
        // The same text may wait for several commits: whichever is held may let it out.
        let tickets = self.runs.get(id).and_then(|run| run.due.get(&what));
        let lacking = |ticket: &Ticket| self.lacks(id, view, ticket.commit);
        let tickets = tickets.into_iter().flatten().enumerate();
        let mut allowed = tickets.map(|(at, ticket)| (at, *ticket, lacking(ticket))).peekable();
        let Some((_, early, missing)) = allowed.peek().cloned() else {
            let detail = format!("{id}: {}", first());
            return Err(Violation::new("nothing leaves before its turn has ended", detail));
        };
        let Some((at, Ticket { commit, cell }, _)) = allowed.find(|(.., who)| who.is_none()) else {
            let who = missing.unwrap_or_default();
            let detail = format!("{id}: commit {}, not held by {who}: {}", early.commit, first());
            return Err(Violation::new("nothing leaves before it is held", detail));
        };
        let owner = self.views.get(view).and_then(|view| view.owner(cell?.cohort));
        if cell.is_some() && owner != Some(id) {
            let detail = format!("{id} in view {view}: {}", first());
            return Err(Violation::new("only the owner of a cell acts for it", detail));
        }
        if let Some(run) = self.runs.get_mut(id) {
            run.leaves(what, at, commit);
        }
        Ok(())
    }

    /// Who should hold the commit and does not.
    fn lacks(&self, id: &RunId, view: u64, commit: u64) -> Option<String> {
        let run = self.runs.get(id)?;
        if commit <= run.held {
            return None;
        }
        let members = &self.views.get(view)?.members;
        let joint = run.proposing.iter().flat_map(|view| &view.members);
        let mut others = members.iter().chain(joint).filter(|member| *member != id).peekable();
        // A hand-over proposes a view of the same members: no backup is to be won or lost.
        let changes = run.proposing.as_ref().is_some_and(|view| view.members != *members);
        let by_disk = changes || others.peek().is_none();
        if by_disk && !run.has_stored(commit) {
            return Some("its own disk".to_owned());
        }
        let has = |run: &&RunId| self.runs.get(run).is_some_and(|run| run.has(id, commit));
        others.find(|member| !has(member)).map(ToString::to_string)
    }

    /// True if a message of a client that comes to a run belongs to a cell of another member.
    pub fn is_elsewhere(&self, id: &RunId, bytes: &[u8]) -> bool {
        let Some(run) = self.runs.get(id).filter(|run| run.view.contains(id)) else { return false };
        let Ok(message) = Message::parse(bytes) else { return false };
        let others = run.view.members.iter().filter(|member| *member != id);
        let mut others = others.filter_map(|member| self.runs.get(member));
        others.any(|other| {
            let cell = other.cell_of(message.call_id()).filter(|cell| run.knows.contains(cell));
            cell.is_some_and(|cell| run.view.owner(cell.cohort) == Some(&other.id))
        })
    }

    /// A run writes a batch: a record in it is a bill that can be seen.
    ///
    /// # Errors
    /// A record whose commit the other members do not hold.
    pub fn writes(&self, id: &RunId, batch: &StoreBatch) -> Result<(), Violation> {
        let Some(run) = self.runs.get(id) else { return Ok(()) };
        for op in &batch.ops {
            let StoreOp::Record { journal, cell, .. } = op else { continue };
            let Some(commit) = run.records.get(&(*cell, journal.clone())) else { continue };
            let joint = run.proposing.iter().flat_map(|view| &view.members);
            let mut others = run.view.members.iter().chain(joint).filter(|other| *other != id);
            let has = |other: &&RunId| self.runs.get(other).is_some_and(|r| r.has(id, *commit));
            if let Some(other) = others.find(|other| !has(other)) {
                let detail = format!("{id}: {journal} of {cell}, not held by {other}");
                return Err(Violation::new("no record is seen before it is held", detail));
            }
        }
        Ok(())
    }

    /// At the end: all that was committed was sent, by its run or by its heir.
    ///
    /// # Errors
    /// What was not.
    pub fn check_rest(&self, living: &RunId) -> Result<(), Violation> {
        let Some(run) = self.runs.get(living) else { return Ok(()) };
        let waiting = run.due.values().map(|tickets| tickets.len()).sum::<usize>();
        if waiting > 0 {
            let detail = format!("{living}: {waiting} messages");
            return Err(Violation::new("what a turn wants sent is sent", detail));
        }
        if !run.debts.is_empty() {
            let detail = format!("{living}: {} messages of a dead run", run.debts.len());
            return Err(Violation::new("what a dead run committed is sent", detail));
        }
        self.check_records()
    }

    /// No cell has two records for a journal that anybody else holds.
    fn check_records(&self) -> Result<(), Violation> {
        let mut seen: BTreeMap<&(CellId, String), &RunId> = BTreeMap::new();
        for run in self.runs.values() {
            for (key, commit) in &run.records {
                let held = self.runs.values().any(|other| other.has(&run.id, *commit));
                if !held || self.lost.contains(&key.0) {
                    continue;
                }
                if let Some(first) = seen.insert(key, &run.id) {
                    let detail = format!("{} of {}: {first} and {}", key.1, key.0, run.id);
                    return Err(Violation::new("one record per cell and journal", detail));
                }
            }
        }
        Ok(())
    }
}
