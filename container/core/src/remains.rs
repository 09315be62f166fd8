//! What a node still has when all calls are over and all is said. For whoever checks it from
//! outside (the simulator, the tests): nothing in the core reads it.
//!
//! | of what is over                          | nothing may be in                                 |
//! |------------------------------------------|---------------------------------------------------|
//! | calls                                    | cells, their index, root names, timers, ties,     |
//! |                                          | deliveries, names of the cluster, rows that wait  |
//! |                                          | for turns, alarms of what waits                   |
//! | commits                                  | the gate, the store's batches, links, outboxes    |
//! | what an operator has asked for           | changes, removals, moves of trees, a hand-over    |
//! | a start or a join                        | what waits for a view, is set aside, is offered   |
//!
//! | what stays is about what is there   | that is                                                |
//! |-------------------------------------|--------------------------------------------------------|
//! | figures, alarms, orders             | a service that is deployed here, or in a unit          |
//! | counters, failures, profile tables  | a service that is deployed here                        |
//! | a unit's stage                      | its row                                                |
//! | parts of a unit                     | its row, or the one upload that is under way           |
//! | an alarm that lasts                 | its condition                                          |
//! | requests that wait for a store      | the gap in which there is one                          |
//! | alarms and units of another run     | a member, or who joins                                 |
//!
//! What stays for good: profiles and rows of services, alarms until somebody clears them, figures,
//! levels of tracers, what is wanted of the SLEE and of adaptors. What is wanted of a service stays
//! as well where another node may have it linked into it (`unit_rows.rs`). A table that was left
//! without profiles is forgotten with the next unit that is removed (`left_tables.rs`).

use crate::alarms::sources;
use crate::core::Core;
use crate::life_cycles::SERVICES;
use crate::migrations::MIGRATIONS;
use crate::unit_rows::{PARTS, UNITS};
use resilee_membership::RunId;
use resilee_sbb::CLUSTER_NAMES;
use std::collections::{BTreeMap, BTreeSet};

impl Core {
    /// What is there of calls, of changes and of commits, in words: nothing, when all of them are
    /// over and all is said.
    pub fn remains(&self) -> Vec<String> {
        let cells = self.cells.keys().map(|id| format!("cell {id} is there"));
        let timers = self.timers.all().map(|due| format!("{due:?} is awaited"));
        let deliveries = self.deliveries.keys().map(|id| format!("{id:?} is out"));
        let keys = self.index.keys().map(|key| format!("{key:?} leads to a cell"));
        let roots = self.words.roots.keys().map(|root| format!("{root:?} has a cell"));
        let names = self.tables.rows(CLUSTER_NAMES).map(|(it, _)| format!("{it:?} is a name"));
        let retries = self.retry_alarms.raised();
        let retries = retries.map(|(alarm, who)| format!("{who:?} wait behind {alarm:?}"));
        let moves = self.migrations.under_way().map(|id| format!("a tree moves in {id}"));
        let of_calls = cells.chain(timers).chain(deliveries).chain(keys).chain(roots).chain(names);
        let found = of_calls.chain(retries).chain(moves).chain(self.loose_ties());
        found.chain(self.unfinished()).collect()
    }

    /// Tables of what is under way, if they are not empty.
    fn unfinished(&self) -> impl Iterator<Item = String> {
        let writes = &self.writes;
        let outboxes = self.outbox.values().map(BTreeMap::len);
        let unacknowledged = self.links.values().map(|link| link.unacknowledged());
        let words = self.changes.words.values();
        let said = words.map(|it| it.asked.len() + it.answered.len());
        let pending = usize::from(!self.pending_rows.is_empty());
        // What a store that has failed will never flush is in memory for good.
        let unflushed = if writes.failed { 0 } else { writes.unflushed.len() };
        [
            ("effects wait", self.gate.len()),
            ("cells wait for their next turn", self.next_turns.len()),
            ("turns have written rows, or wait for one that has", pending),
            ("changes are not answered", self.changes.waiting.len()),
            ("removals are under way", self.changes.removals.len()),
            ("words about changes are not said", said.sum()),
            ("hand-overs are under way", usize::from(self.hand_over.is_some())),
            ("messages wait for a view", self.early.len()),
            ("updates wait for a view", self.early_frames.len()),
            ("effects of others are not known to be done", outboxes.sum()),
            ("updates are not acknowledged", unacknowledged.sum()),
            ("cells and records are set aside", self.stranded.len()),
            ("records are not published", self.unpublished.len()),
            ("records are offered", usize::from(self.offer.is_some())),
            ("operations wait for a batch", writes.ops.len()),
            ("batches are not flushed", writes.under_way.len()),
            ("records are not flushed", unflushed),
            ("records are loaded", writes.loads.len()),
            ("changes of alarms are not committed", usize::from(self.alarms.has_changes())),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
    }

    /// What is kept about something that is not there (any more), in words: nothing, when all is
    /// said. Another node's program may have a service that is neither deployed here nor in a unit.
    pub fn kept_of_none(&self) -> Vec<String> {
        let mut found = Vec::new();
        let uploaded: BTreeSet<_> = self.unit_rows().map(|(_, row)| row.service).collect();
        let is_here = |name: &str| self.is_deployed(name);
        let is_known = |name: &str| is_here(name) || uploaded.contains(name);
        let mut note = |what: &str, of: &mut dyn Iterator<Item = &str>| {
            found.extend(of.map(|name| format!("{what} of {name}")));
        };
        let of_services = self.alarms.of_services();
        note("figures", &mut self.usage.services().filter(|it| !is_known(it)));
        note("an alarm", &mut of_services.filter(|it| !is_known(it)));
        note("an order", &mut self.keys(SERVICES).filter(|it| !is_known(it)));
        note("a migration", &mut self.keys(MIGRATIONS).filter(|it| !is_known(it)));
        let orders = self.migrations.orders().map(|(from, _)| from);
        note("a migration", &mut orders.filter(|it| self.tables.get(MIGRATIONS, it).is_none()));
        note("counters", &mut self.counters.keys().copied().filter(|it| !is_here(it)));
        let failed = self.failures.failed().map(|(name, _)| name);
        note("failures", &mut failed.filter(|it| !is_here(it)));
        let declares = |table: &str| {
            let tables = |it: &resilee_sbb::Descriptor| it.deployment.profile_tables;
            self.deployed().flat_map(tables).any(|it| it.name == table)
        };
        let tables = self.tables.profile_tables().map(|it| it.name);
        note("a declaration", &mut tables.filter(|it| !declares(it)));
        let stages = self.units.stages.keys().map(String::as_str);
        note("a stage", &mut stages.filter(|it| self.tables.get(UNITS, it).is_none()));
        let parts = self.keys(PARTS).filter_map(|key| key.split('/').next());
        let of_none: BTreeSet<_> =
            parts.filter(|it| self.tables.get(UNITS, it).is_none()).collect();
        note("parts", &mut of_none.into_iter().skip(1));
        found.extend(self.lasting_of_none());
        if self.orphans_waiting() > 0 && self.gap().is_none() {
            found.push(format!("{} requests, of a store that is away", self.orphans_waiting()));
        }
        if self.is_member() {
            self.note_runs(&mut found, "alarms", self.alarms.runs());
            self.note_runs(&mut found, "units", self.units.at_peers.keys());
            self.note_runs(&mut found, "effects", self.outbox.keys());
            self.note_runs(&mut found, "a last commit", self.applied.keys());
        }
        found
    }

    fn keys(&self, table: &str) -> impl Iterator<Item = &str> {
        self.tables.rows(table).map(|(key, _)| key)
    }

    /// Runs that are neither members nor at the other end of a link.
    fn note_runs<'r>(
        &self,
        found: &mut Vec<String>,
        what: &str,
        runs: impl Iterator<Item = &'r RunId>,
    ) {
        let is_there = |run: &RunId| {
            self.view.contains(run) || self.links.values().any(|it| it.run.as_ref() == Some(run))
        };
        found.extend(runs.filter(|run| !is_there(run)).map(|run| format!("{what} of {run}")));
    }

    /// Alarms that last, and of which nobody would see the end.
    fn lasting_of_none(&self) -> impl Iterator<Item = String> {
        let raised = self.alarms.raised().into_iter().filter(|alarm| alarm.lasting);
        let lost = raised.filter(|alarm| !self.has_condition(&alarm.source, &alarm.text));
        lost.map(|alarm| format!("an alarm that lasts, of nothing: {:?}", alarm.text))
    }

    fn has_condition(&self, source: &str, text: &str) -> bool {
        let is = |alarm: Option<&str>| alarm == Some(text);
        let of_source = match source {
            sources::CLUSTER => is(self.orphans.alarm()) || self.is_alone_by(source, text),
            sources::CLOCK => self.is_of_a_clock(text),
            sources::LIFE_CYCLE => {
                self.life_cycles.alarms().any(|alarm| alarm == text)
                    || self.failures.failed().any(|(_, alarm)| is(alarm))
                    || self.migrations.orders().any(|(_, alarm)| is(alarm))
            }
            sources::OVERLOAD => self.overload.alarms().any(|alarm| alarm == text),
            sources::SLEE => is(self.hangs.alarm()),
            sources::STORE => is(self.votes.alarm()),
            sources::UNIT => self.units.stages.values().any(|stage| is(stage.alarm())),
            _ => false,
        };
        let waits = self.retry_alarms.raised().any(|(alarm, _)| alarm == (source, text));
        of_source || waits || self.is_condition(source, text)
    }
}
