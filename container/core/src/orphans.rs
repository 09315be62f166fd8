//! Orphans: requests of calls that no living node has. They are passed on, and what their call must
//! hear of them is kept until a store comes that has the call (`stranded.rs`).
//!
//! A node that starts from a store while no member lives may lack what others had: a *gap*. The
//! cohorts that its first view names besides its own are noted, as a row; only what is of them, or
//! of a cohort that no view names, can be an orphan. So without a gap a request of a call that is
//! over is answered as ever.
//!
//! | a request that can be passed on, whose cell is not known      | what happens               |
//! |---------------------------------------------------------------|----------------------------|
//! | of a cohort of no gap                                         | the adaptor answers        |
//! | of a cohort that no view names, not at the tables' owner      | relayed to that one        |
//! | the cell must hear of it                                      | a row; it leaves behind it |
//! | the same again                                                | it leaves behind that row  |
//! | another one that it must hear of                              | in the same row, likewise  |
//! | the cell need not hear of it                                  | it leaves at once          |
//!
//! Which of several is the one that counts only the call itself can say: whoever is an end of it
//! can have anything passed on first. So all of them are kept, up to [`PER_CALL_MAX`].
//!
//! The owner of a cohort is the only one who writes the rows of its calls. Rows of both tables are
//! removed after [`KEPT`] by the owner of the shared tables, and an orphan's when it was used, or
//! when an operator knows that no store will come that has its call.

use crate::adaptors::{CellKey, of_adaptor};
use crate::alarms::sources;
use crate::commit::{Commit, RowChange};
use crate::core::Core;
use crate::frame::Update;
use crate::ingress::Routed;
use crate::inspection::Observed;
use crate::resource_adaptor::{Egress, Ingress, Missed, PassedOn};
use resilee_membership::{PlantedFault, View};
use resilee_sbb::{CellId, CohortId, Severity, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;
use std::time::Duration;

/// Requests that wait for a store that has their call; further ones are passed on and not kept.
pub const ORPHANS_MAX: usize = 100_000;
/// Bytes that are kept of one request.
const ORPHAN_BYTES_MAX: usize = 1_024;
/// Requests of one call that wait with it.
pub const PER_CALL_MAX: usize = 16;
/// Bytes of those in all.
const PER_CALL_BYTES_MAX: usize = 4_096;
/// So long a store may be away.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows that are too old are looked for this often, and so many removed at a time.
const TEND_EVERY: Duration = Duration::from_secs(10);
const REMOVED_AT_A_TIME: usize = 256;

/// What an operator can do about what waits.
const HELP: &str = "if that will never come: resilee ctl cluster forget-orphans";

/// What waits, by key of the call.
const ORPHANS: &str = "slee.orphans";
/// The last gap, under one key.
const GAP: (&str, &str) = ("slee.gap", "last");

/// A start from a store while no member lived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The view that began.
    pub view: u64,
    /// When it began.
    pub at: Timestamp,
    /// Cohorts of which cells may be missing.
    pub cohorts: BTreeSet<CohortId>,
}

/// What a cell must hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orphan {
    /// When the request came first.
    pub at: Timestamp,
    /// The adaptor's account of it.
    #[serde(with = "serde_bytes")]
    pub missed: Vec<u8>,
    /// What came behind it, and is not the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Missed>,
}

impl Orphan {
    fn has(&self, missed: &[u8]) -> bool {
        self.missed == missed || self.further.iter().any(|it| it.missed == missed)
    }

    fn has_room_for(&self, missed: &[u8]) -> bool {
        let all = self.further.iter().map(|it| it.missed.len());
        let bytes = all.sum::<usize>() + self.missed.len() + missed.len();
        self.further.len() + 1 < PER_CALL_MAX && bytes <= PER_CALL_BYTES_MAX
    }

    /// All that it must hear of, the first one first.
    pub fn all(self) -> Vec<Missed> {
        let first = Missed { at: self.at, missed: self.missed };
        std::iter::once(first).chain(self.further).collect()
    }
}

/// What this node remembers of orphans besides the rows.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// This run began without another vote: its store may be an old one.
    pub forced: bool,
    /// Text of the alarm, while something waits.
    alarm: Option<String>,
    tended_at: Timestamp,
    /// No row is too old before this. A row is never older than what was read before it came.
    none_old_before: Timestamp,
    /// Those that came up to then are to be forgotten.
    forget_up_to: Option<Timestamp>,
}

impl Orphans {
    /// The alarm that something waits, while it is raised.
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.as_deref()
    }
}

impl Core {
    /// Notes a gap if the adopted view is a start from nothing but a store.
    pub(crate) fn note_gap(&mut self, now: Timestamp, old: &View) {
        let me = &self.config.me;
        let begins = self.view.members == [me.clone()] && !old.contains(me);
        let born_since = [CohortId::TABLES, me.cohort()];
        let named = self.view.cohorts.keys().copied();
        let cohorts: BTreeSet<_> = named.filter(|cohort| !born_since.contains(cohort)).collect();
        if !begins || self.config.peers.is_empty() || cohorts.is_empty() {
            return;
        }
        let gap = Gap { view: self.view.number, at: now, cohorts };
        let row = Some(ByteBuf::from(encode(&gap).expect("plain data can be encoded")));
        let (table, key) = (GAP.0.to_owned(), GAP.1.to_owned());
        self.commit_orphan_rows(vec![RowChange { table, key, row }], Vec::new());
    }

    /// The last gap, while it is remembered.
    pub(crate) fn gap(&self) -> Option<Gap> {
        decode(self.tables.get(GAP.0, GAP.1)?).ok()
    }

    /// True if a cell of the cohort may be in a store that is away.
    pub(crate) fn may_be_lost(&self, cohort: CohortId) -> bool {
        let unnamed = self.view.owner(cohort).is_none();
        self.gap().is_some_and(|gap| unnamed || gap.cohorts.contains(&cohort))
    }

    /// A message for a cell that is not known, at whoever owns its cohort, or of no cohort.
    pub(crate) fn on_unknown(
        &mut self,
        now: Timestamp,
        ingress: Ingress,
        relayed: bool,
        routed: &Routed,
    ) {
        let lost = routed.cohort.filter(|cohort| self.may_be_lost(*cohort));
        let adaptor = self.adaptors.get_mut(ingress.adaptor).filter(|_| lost.is_some());
        let passed = adaptor.and_then(|adaptor| adaptor.pass_on(now, &ingress));
        let Some(PassedOn { egress, missed }) = passed else {
            return self.answer_by(&ingress, |adaptor| adaptor.unknown(now, &ingress));
        };
        let egress = of_adaptor(ingress.adaptor, egress);
        let unnamed = routed.cohort.is_none_or(|cohort| self.view.owner(cohort).is_none());
        let tables = self.view.owner(CohortId::TABLES).filter(|_| unnamed).cloned();
        match (tables.filter(|owner| *owner != self.config.me), missed) {
            (Some(owner), _) => self.relay(&owner.node, ingress, relayed),
            (None, Some(missed)) => self.keep_orphan(now, routed.key, egress, missed),
            (None, None) => self.answer(egress),
        }
    }

    fn keep_orphan(&mut self, now: Timestamp, key: CellKey, egress: Vec<Egress>, missed: Vec<u8>) {
        let waiting = self.orphan(key);
        if waiting.as_ref().is_some_and(|orphan| orphan.has(&missed)) {
            self.observe(|| Observed::Said { cell: None, egress: egress.clone() });
            return self.send_behind(self.gate.last_commit(), egress);
        }
        let has_room = match &waiting {
            Some(orphan) => orphan.has_room_for(&missed),
            None => self.tables.len(ORPHANS) < ORPHANS_MAX,
        };
        let full = !has_room || missed.len() > ORPHAN_BYTES_MAX;
        if full || self.planted.is(PlantedFault::ForgetOrphan) {
            self.count_drop("end of a lost call that could not be kept");
            return self.answer(egress);
        }
        let orphan = match waiting {
            Some(mut orphan) => {
                orphan.further.push(Missed { at: now, missed });
                orphan
            }
            None => Orphan { at: now, missed, further: Vec::new() },
        };
        let row = Some(ByteBuf::from(encode(&orphan).expect("plain data can be encoded")));
        let row = RowChange { table: ORPHANS.to_owned(), key: row_key(key), row };
        self.commit_orphan_rows(vec![row], egress);
    }

    /// What the call with this key must hear of.
    pub(crate) fn orphan(&self, key: CellKey) -> Option<Orphan> {
        decode(self.tables.get(ORPHANS, &row_key(key))?).ok()
    }

    /// Table and key of the row of a call.
    pub(crate) fn orphan_row(key: CellKey) -> (String, String) {
        (ORPHANS.to_owned(), row_key(key))
    }

    /// Requests that wait for a store that has their call.
    pub(crate) fn orphans_waiting(&self) -> usize {
        self.tables.len(ORPHANS)
    }

    /// Keeps the alarm, and removes what is too old.
    pub(crate) fn tend_orphans(&mut self, now: Timestamp) {
        let due = now.since(self.orphans.tended_at) >= TEND_EVERY;
        if due || self.orphans.alarm.is_some() != (self.orphans_waiting() > 0) {
            self.keep_alarm(now);
        }
        if due {
            self.orphans.tended_at = now;
        }
        if (due && now >= self.orphans.none_old_before) || self.orphans.forget_up_to.is_some() {
            self.remove_old(now);
        }
    }

    /// Removes rows that are too old or to be forgotten; the rest of many the next time.
    fn remove_old(&mut self, now: Timestamp) {
        if self.check_tables_owner().is_err() {
            self.orphans.forget_up_to = None;
            return;
        }
        let forget = self.orphans.forget_up_to;
        let (mut rows, mut none_old_before) = (Vec::new(), now + KEPT);
        for (key, row) in self.tables.rows(ORPHANS) {
            let at = decode(row).ok().map(|orphan: Orphan| orphan.at);
            match at.filter(|at| now.since(*at) < KEPT && forget.is_none_or(|up_to| *at > up_to)) {
                Some(at) => none_old_before = none_old_before.min(at + KEPT),
                None => rows.push(removed(ORPHANS, key)),
            }
            if rows.len() == REMOVED_AT_A_TIME {
                none_old_before = now;
                break;
            }
        }
        if rows.len() < REMOVED_AT_A_TIME {
            self.orphans.forget_up_to = None;
        }
        match self.gap() {
            Some(gap) if now.since(gap.at) >= KEPT => rows.push(removed(GAP.0, GAP.1)),
            Some(gap) => none_old_before = none_old_before.min(gap.at + KEPT),
            None => {}
        }
        self.orphans.none_old_before = none_old_before;
        if !rows.is_empty() {
            self.commit_orphan_rows(rows, Vec::new());
        }
    }

    /// Whoever owns the shared tables removes from them.
    fn check_tables_owner(&self) -> Result<(), String> {
        let owner = self.view.owner(CohortId::TABLES);
        match owner.filter(|owner| **owner != self.config.me) {
            Some(owner) => Err(format!("{} owns the shared tables: ask that node", owner.node)),
            None if !self.is_member() => {
                Err(format!("{} is no member of the view: ask a member", self.config.me.node))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn check_forget_orphans(&self) -> Result<(), String> {
        self.check_tables_owner()?;
        match self.orphans_waiting() {
            0 => Err("no end of a call waits: there is nothing to forget".to_owned()),
            _ => Ok(()),
        }
    }

    /// Forgets all that waits now.
    pub(crate) fn forget_orphans(&mut self, now: Timestamp) {
        self.orphans.forget_up_to = Some(now);
        self.remove_old(now);
        self.keep_alarm(now);
    }

    fn keep_alarm(&mut self, now: Timestamp) {
        let text = match self.orphans_waiting() {
            0 => None,
            1 => Some(format!("1 ended call waits for a store that has it, to be billed; {HELP}")),
            n => Some(format!(
                "{n} ended calls wait for a store that has them, to be billed; {HELP}"
            )),
        };
        if text == self.orphans.alarm {
            return;
        }
        if let Some(old) = std::mem::replace(&mut self.orphans.alarm, text.clone()) {
            self.clear_alarm(sources::CLUSTER, &old);
        }
        if let Some(text) = text {
            self.raise_condition(now, Severity::Warning, sources::CLUSTER, &text);
        }
    }

    /// Commits rows of orphans outside any cell, in the name of a cohort that is owned here: this
    /// run's own one may have been handed over, and its owner takes nothing of it from others.
    fn commit_orphan_rows(&mut self, rows: Vec<RowChange>, egress: Vec<Egress>) {
        let me = &self.config.me;
        let owned = self.view.cohorts.iter().find(|(_, owner)| *owner == me);
        let cohort = owned.map_or_else(|| me.cohort(), |(cohort, _)| *cohort);
        let cell = CellId { cohort, number: 0 };
        self.commit_rows(cell, rows, egress);
    }

    /// Commits rows in the name of a cell that has nothing else, with what may leave behind them.
    pub(crate) fn commit_rows(&mut self, cell: CellId, rows: Vec<RowChange>, egress: Vec<Egress>) {
        let number = self.gate.next_commit();
        if !rows.is_empty() {
            self.rows_commit = number;
        }
        let commit = Commit { rows, egress, ..Commit::empty(number, cell) };
        self.apply_rows(&commit.rows);
        self.replicate(&Update::Commit(commit.clone()), number);
        self.observe(|| commit.observed());
        self.gate.behind(number).egress.extend(commit.egress);
    }
}

fn row_key(CellKey { adaptor, key, .. }: CellKey) -> String {
    match adaptor.is_first() {
        true => format!("{key:016x}"),
        false => format!("{}-{key:016x}", adaptor.0),
    }
}

fn removed(table: &str, key: &str) -> RowChange {
    RowChange { table: table.to_owned(), key: key.to_owned(), row: None }
}
