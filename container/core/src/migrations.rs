//! Migrations: an operator lets a service take over what the one began that it replaced.
//!
//! The order is a row of a shared table, so that all nodes and all restarts agree; each node goes
//! through the cells that it owns, and how far it is follows from them: what has moved is of the
//! other service. So a survivor goes on by looking through the cells that it took over.
//!
//! | what                                       | what happens                                    |
//! |--------------------------------------------|-------------------------------------------------|
//! | the new service does not say that it takes | the order is refused                            |
//! | entities of the old one, is not active, or |                                                 |
//! | the old one is                             |                                                 |
//! | the old one is activated again, or the new | the order is taken back, in the same step: what |
//! | one deactivated                            | has moved stays with the new one                |
//! | a cell has root entities of the old one    | they move, one tree in each turn                |
//! |                                            | (`migrated_trees.rs`)                           |
//! | one of them stays                          | it is counted with its reason; an alarm says so |
//! |                                            | after all cells were looked at                  |
//! | the new one fails again and again, or too  | nothing moves for [`AGAIN_AFTER`]               |
//! | much hangs                                 |                                                 |
//! | some have stayed, or may be still to come  | all cells are looked at again after             |
//! |                                            | [`AGAIN_AFTER`]                                 |
//! | this run has adopted a view                | they are looked at from the first one on        |
//! | none of the old one is left                | that is all: it is inactive (`life_cycles.rs`)  |
//! | code of the new one does not return        | nothing moves here any more, and the order is   |
//! |                                            | taken back (`hangs.rs`): it is asked for each   |
//! |                                            | [`AGAIN_AFTER`] until it is                     |
//!
//! Calls go on meanwhile: [`MIGRATED_AT_ONCE_MAX`] trees move at once, and cells are looked at in
//! steps.

use crate::alarms::sources;
use crate::cell::{Cell, CellInput};
use crate::commit::RowChange;
use crate::core::Core;
use crate::management::{MigrationStatus, TableChange};
use crate::timers::Due;
use resilee_sbb::{CellId, Severity, Timestamp, cut, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

/// Orders, by the service whose entities move.
pub(crate) const MIGRATIONS: &str = "slee.migrations";
/// Orders of a cluster.
pub const MIGRATIONS_MAX: usize = 64;
/// Cells of a node in which a tree moves at once: fewer than handlers may hang, since all of them
/// run the same code.
pub const MIGRATED_AT_ONCE_MAX: usize = 4;
/// Cells that one step looks at.
const LOOKED_AT_MAX: usize = 1_024;
/// Time between two steps, unless a tree has moved.
const STEP: Duration = Duration::from_millis(5);
/// What stayed is tried again so long after all cells were looked at.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Reasons that are counted one by one; what else there is, together.
const REASONS_MAX: usize = 16;
/// Bytes of a reason, which is told with the others.
const REASON_BYTES_MAX: usize = 256;
/// What the others are called.
const OTHER_REASONS: &str = "other reasons";

/// An order, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MigrationRow {
    /// The service that takes the entities.
    pub to: String,
    /// Since when.
    pub since: Timestamp,
}

/// What becomes of the orders at this node.
#[derive(Debug, Default)]
pub(crate) struct Migrations {
    orders: BTreeMap<String, Order>,
    /// Cells in which a tree moves, or is to.
    under_way: BTreeSet<CellId>,
}

/// How far one is at this node.
#[derive(Debug)]
struct Order {
    row: MigrationRow,
    pass: Pass,
    /// Trees that have moved here.
    moved: u64,
    /// Trees that have stayed since the pass began, by their reasons; and in the one before.
    stayed: BTreeMap<String, u64>,
    stayed_before: Option<BTreeMap<String, u64>>,
    /// There are some of which nobody knows yet: at other nodes, or to come.
    is_left: bool,
    /// Text of the alarm about those that stayed.
    alarm: Option<String>,
}

/// Where it is in the cells of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Behind this cell; none: at the first one.
    Behind(Option<CellId>),
    /// All were looked at, and trees move still.
    Ends,
    /// It begins anew then.
    At(Timestamp),
    /// Nothing is left.
    Over,
    /// It must not go on. That it is taken back is asked again then.
    Stopped(Timestamp),
}

impl Migrations {
    /// Cells in which a tree moves, or is to.
    pub fn under_way(&self) -> impl Iterator<Item = &CellId> {
        self.under_way.iter()
    }

    /// Services whose entities are to move, with the alarm about those that stayed.
    pub fn orders(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.orders.iter().map(|(from, order)| (from.as_str(), order.alarm.as_deref()))
    }
}

impl Order {
    fn new(row: MigrationRow) -> Self {
        let (stayed, stayed_before) = (BTreeMap::new(), None);
        let pass = Pass::Behind(None);
        Order { row, pass, moved: 0, stayed, stayed_before, is_left: false, alarm: None }
    }

    fn begin_pass(&mut self) {
        if matches!(self.pass, Pass::Stopped(_)) {
            return;
        }
        (self.pass, self.is_left) = (Pass::Behind(None), false);
        self.stayed.clear();
    }
}

impl Core {
    /// Reads the orders from the rows.
    pub(crate) fn note_migrations(&mut self) {
        let rows = self.tables.rows(MIGRATIONS);
        let rows = rows.filter_map(|(from, row)| Some((from.to_owned(), decode(row).ok()?)));
        let rows: BTreeMap<String, MigrationRow> = rows.collect();
        let orders = std::mem::take(&mut self.migrations.orders);
        for (from, order) in orders {
            match rows.get(&from) == Some(&order.row) {
                true => drop(self.migrations.orders.insert(from, order)),
                false => {
                    order.alarm.iter().for_each(|text| self.clear_alarm(sources::LIFE_CYCLE, text))
                }
            }
        }
        for (from, row) in rows {
            self.migrations.orders.entry(from).or_insert_with(|| Order::new(row));
        }
        self.go_on_migrating(self.clock.now());
    }

    /// Cells may be owned here now that were not.
    pub(crate) fn migrate_from_the_first_cell(&mut self, now: Timestamp) {
        self.migrations.orders.values_mut().for_each(Order::begin_pass);
        self.go_on_migrating(now);
    }

    fn go_on_migrating(&mut self, now: Timestamp) {
        // Where one moves while its order is taken back, that is seen to its end.
        match self.migrations.orders.is_empty() && self.migrations.under_way.is_empty() {
            true => self.timers.set(Due::Migrate, None),
            false => self.timers.hasten(Due::Migrate, now),
        }
    }

    /// The service that takes the entities of this one, if that was ordered and holds still.
    pub(crate) fn migrates_to(&self, from: &str) -> Option<&str> {
        let order = self.migrations.orders.get(from)?;
        let to = order.row.to.as_str();
        let is_stopped = matches!(order.pass, Pass::Stopped(_));
        let goes_on = !is_stopped && self.is_active(to) && !self.is_active(from);
        goes_on.then_some(to)
    }

    /// In so many cells a tree may move at once: code that hangs may be in all of them, and beside
    /// what hangs already that must not be what a node is handed over for. Alone it is tried.
    fn migrated_at_once(&self) -> usize {
        let hang = self.hanging_threads();
        let spare = self.config.limits.hung_handlers_max.saturating_sub(1 + hang);
        spare.max(usize::from(hang == 0)).min(MIGRATED_AT_ONCE_MAX)
    }

    /// True if the service that takes entities of this one fails so often that it begins nothing
    /// new: what is well with the old one stays there meanwhile.
    fn takes_none_now(&self, from: &str) -> bool {
        let to = self.migrates_to(from);
        let new = to.and_then(|to| self.deployed().find(|service| service.name == to));
        new.is_none_or(|new| self.failures.refuses(new)) || self.migrated_at_once() == 0
    }

    /// One step through the cells.
    pub(crate) fn migrate_some(&mut self, now: Timestamp) {
        // Who becomes a member adopts a view.
        if !self.is_member() {
            return;
        }
        let moves = |id: &CellId| {
            let cell = self.cells.get(id).filter(|cell| cell.live);
            cell.is_some_and(Cell::has_migration)
        };
        self.migrations.under_way.retain(moves);
        let services: Vec<_> = self.migrations.orders.keys().cloned().collect();
        services.iter().for_each(|from| self.migrate_some_of(now, from));
        let next = self.migrations.orders.values().filter_map(|order| match order.pass {
            Pass::Behind(_) | Pass::Ends => Some(now + STEP),
            Pass::At(at) | Pass::Stopped(at) => Some(at),
            Pass::Over => None,
        });
        let ends = (!self.migrations.under_way.is_empty()).then_some(now + STEP);
        self.timers.set(Due::Migrate, next.min().or(ends));
    }

    fn migrate_some_of(&mut self, now: Timestamp, from: &str) {
        let waits = self.takes_none_now(from);
        let at_once = self.migrated_at_once();
        let Some(order) = self.migrations.orders.get_mut(from) else { return };
        match order.pass {
            Pass::Behind(_) | Pass::At(_) if waits => {
                order.pass = Pass::At(now + AGAIN_AFTER);
                return;
            }
            Pass::At(at) if at <= now => order.begin_pass(),
            Pass::Stopped(at) if at <= now => return self.stop_migrating(now, from),
            Pass::Ends if self.migrations.under_way.is_empty() => {
                return self.end_pass(now, from);
            }
            _ => {}
        }
        let Pass::Behind(behind) = order.pass else { return };
        let room = at_once.saturating_sub(self.migrations.under_way.len());
        let (mut last, mut looked_at, mut found) = (behind, 0, Vec::new());
        let mut cells =
            self.cells.range((behind.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        order.pass = loop {
            if looked_at >= LOOKED_AT_MAX || found.len() >= room {
                break Pass::Behind(last);
            }
            let Some((id, cell)) = cells.next() else { break Pass::Ends };
            (last, looked_at) = (Some(*id), looked_at + 1);
            let has_some = cell.entities.values().any(|entity| entity.service == from);
            order.is_left |= cell.roots_to_come(from) > 0 || has_some && !cell.live;
            if has_some && cell.live {
                found.push(*id);
            }
        };
        for id in found {
            self.migrations.under_way.insert(id);
            self.enqueue(now, id, CellInput::Migrate(from.to_owned(), 0));
        }
    }

    /// All cells were looked at, and no tree moves.
    fn end_pass(&mut self, now: Timestamp, from: &str) {
        // What is out, or waits for a row, may bear one.
        let is_under_way = self.is_under_way(from);
        let Some(order) = self.migrations.orders.get_mut(from) else { return };
        let has_stayed = order.stayed.iter().max_by_key(|(_, count)| **count);
        let text = has_stayed.map(|(reason, _)| {
            format!("entities of {from} stay with it and do not move to {}: {reason}", order.row.to)
        });
        let is_left = order.is_left || is_under_way || text.is_some();
        order.pass = if is_left { Pass::At(now + AGAIN_AFTER) } else { Pass::Over };
        order.stayed_before = Some(std::mem::take(&mut order.stayed));
        let before = std::mem::replace(&mut order.alarm, text.clone());
        if let Some(before) = before.filter(|before| text.as_ref() != Some(before)) {
            self.clear_alarm(sources::LIFE_CYCLE, &before);
        }
        if let Some(text) = text {
            self.raise_condition(now, Severity::Minor, sources::LIFE_CYCLE, &text);
        }
    }

    /// A tree has moved.
    pub(crate) fn note_migrated(&mut self, now: Timestamp, from: &str) {
        self.migrations.orders.get_mut(from).into_iter().for_each(|order| order.moved += 1);
        self.go_on_migrating(now);
    }

    /// A tree has stayed.
    pub(crate) fn note_stayed(&mut self, now: Timestamp, from: &str, reason: String) {
        if let Some(order) = self.migrations.orders.get_mut(from) {
            let mut reason = cut(reason, REASON_BYTES_MAX);
            if order.stayed.len() >= REASONS_MAX && !order.stayed.contains_key(&reason) {
                reason = OTHER_REASONS.to_owned();
            }
            *order.stayed.entry(reason).or_default() += 1;
        }
        self.go_on_migrating(now);
    }

    /// Code of the service that takes entities of this one does not return: no further tree moves.
    pub(crate) fn stop_migrating(&mut self, now: Timestamp, from: &str) {
        let Some(order) = self.migrations.orders.get_mut(from) else { return };
        order.pass = Pass::Stopped(now + AGAIN_AFTER);
        self.change_by_itself(now, TableChange::Migrate { from: from.to_owned(), to: None });
        self.go_on_migrating(now);
    }

    /// The rows after which entities of a service move to another one, or do not any more.
    ///
    /// # Errors
    /// Why they cannot, and what to do.
    pub(crate) fn migration_changed(
        &self,
        now: Timestamp,
        from: &str,
        to: Option<&str>,
    ) -> Result<Vec<RowChange>, String> {
        let Some(to) = to else {
            let is_there = self.tables.get(MIGRATIONS, from).is_some();
            return Ok(is_there.then(|| taken_back(from)).into_iter().collect());
        };
        let find = |name: &str| {
            let me = &self.config.me.node;
            let found = self.deployed().find(|service| service.name == name);
            found.ok_or_else(|| {
                format!("{me} has no service {name:?} deployed: see resilee ctl service list")
            })
        };
        let (old, new) = (find(from)?, find(to)?);
        if !new.deployment.migrates_from.contains(&from) {
            return Err(format!(
                "{to} does not say that it reads states of {from}: its author names {from} in \
                 migrates_from of its deployment"
            ));
        }
        if !self.is_wanted(new) || self.is_wanted(old) {
            return Err(format!(
                "{to} is to be active, and {from} is not, so that it begins nothing more: switch \
                 from {from} to {to} before"
            ));
        }
        // Of services that are gone.
        let others = self.tables.rows(MIGRATIONS).map(|(other, _)| other);
        let (known, gone): (Vec<_>, Vec<_>) =
            others.filter(|other| *other != from).partition(|other| self.is_deployed(other));
        if known.len() >= MIGRATIONS_MAX {
            return Err(format!(
                "entities of {MIGRATIONS_MAX} services are to be migrated: wait until some are \
                 through and remove those services"
            ));
        }
        let row = encode(&MigrationRow { to: to.to_owned(), since: now });
        let row = Some(ByteBuf::from(row.expect("plain data can be encoded")));
        let order = RowChange { table: MIGRATIONS.to_owned(), key: from.to_owned(), row };
        Ok(gone.into_iter().map(taken_back).chain([order]).collect())
    }

    /// Orders that are taken back when these services are the active ones.
    pub(crate) fn migrations_without(&self, active: &BTreeSet<&str>) -> Vec<RowChange> {
        let is_active = |name: &str| match self.is_deployed(name) {
            true => active.contains(name),
            false => self.is_wanted_active(name),
        };
        let rows = self.tables.rows(MIGRATIONS).filter(|(from, row)| {
            let order = decode::<MigrationRow>(row);
            is_active(from) || !order.is_ok_and(|order| is_active(&order.to))
        });
        rows.map(|(from, _)| taken_back(from)).collect()
    }

    /// How far the migration of a service's entities is.
    pub(crate) fn migration_status(&self, from: &str, left: u64) -> Option<MigrationStatus> {
        let order = self.migrations.orders.get(from)?;
        let reasons = order.stayed_before.as_ref().unwrap_or(&order.stayed);
        Some(MigrationStatus {
            to: order.row.to.clone(),
            moved: order.moved,
            stayed: reasons.values().sum(),
            reasons: reasons.clone(),
            done: left == 0,
        })
    }
}

/// That there is no order for this service any more.
pub(crate) fn taken_back(from: &str) -> RowChange {
    RowChange { table: MIGRATIONS.to_owned(), key: from.to_owned(), row: None }
}

impl Cell {
    /// True if a tree of it moves, or is to.
    fn has_migration(&self) -> bool {
        let waits = |input: &CellInput| matches!(input, CellInput::Migrate(..));
        self.turn.as_ref().is_some_and(|turn| turn.migration.is_some())
            || self.inbox.iter().any(waits)
    }
}
