//! Deployable units that are uploaded while nodes run: each is a row of a shared table with its
//! parts beside it, so it is replicated, stored, and in the snapshot that a joiner gets. Its id is
//! the hash of its bytes. What is in it, its node's shell knows: it compiles units to services.
//!
//! | what                                       | what happens                                    |
//! |--------------------------------------------|-------------------------------------------------|
//! | all of it is uploaded (`unit_rows.rs`)     | each node that reads its row has it compiled    |
//! | it is compiled here                        | its service is deployed here, inactive; the     |
//! |                                            | other nodes hear of it (`unit_members.rs`)      |
//! | the same, and its service needs one that   | it waits, with an alarm, until that is          |
//! | is not deployed here                       |                                                 |
//! | the same, and it takes names that are      | it waits, with an alarm, until they are free;   |
//! | somebody else's (`unit_check.rs`)          | of two that want one name, who calls depend on  |
//! |                                            | is first, and then who was uploaded first       |
//! | it cannot be compiled here                 | an alarm, and it is not deployed here           |
//! | the same, for a reason that may pass       | an alarm; it is tried again (`unit_retries.rs`) |
//! | its service is to be activated             | refused until every member has compiled it      |
//! | a node joins                               | it is not proposed before it has compiled all   |
//! |                                            | that are active or have entities                |
//! | a node starts from a store                 | they are compiled before ([`units_of`]); if one |
//! |                                            | that calls depend on cannot be                  |
//! |                                            | ([`Core::service_in_need_of`]), or something is |
//! |                                            | in its way ([`Core::needed_unit_that_waits`]),  |
//! |                                            | its shell does not start it: alone it would own |
//! |                                            | its entities                                    |
//! | its row is removed                         | what is kept of its service goes at once, and   |
//! |                                            | its service is not deployed any more            |
//! |                                            | (`deployed.rs`); profile tables that nobody     |
//! |                                            | else declares are no profile tables any more,   |
//! |                                            | and keep their rows for the next who does       |
//!
//! So a node that lacks a unit owns none of its entities. Two versions of a service are two
//! services, whose names differ: an upgrade is that of `life_cycles.rs`, and what the old one began
//! stays with it, unless an operator migrates it (`migrations.rs`).

use crate::alarms::sources;
use crate::core::Core;
use crate::deployed::place_of;
use crate::io::Output;
use crate::management::UnitStatus;
use crate::store::Restored;
use crate::unit_retries::Retry;
use crate::unit_rows::{PARTS, Row, UNITS, assembled};
use resilee_membership::RunId;
use resilee_sbb::{Begins, Cleared, Descriptor, LinkedSbb, NotCompiled, Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Services that a run remembers whose units were removed: what was on its way meanwhile is about
/// the latest ones.
const REMOVED_KEPT_MAX: usize = 256;

/// Units at this node.
#[derive(Debug, Default)]
pub(crate) struct Units {
    pub stages: BTreeMap<String, Stage>,
    /// What other runs have compiled, as far as they have said so.
    pub at_peers: BTreeMap<RunId, BTreeSet<String>>,
    /// Other nodes were told of some, once.
    pub told: bool,
    /// Those of the store, which are compiled.
    of_store: BTreeMap<String, LinkedSbb>,
    /// Rows have changed since they were looked at.
    has_news: bool,
    /// Services whose units were removed, the latest last.
    pub removed: VecDeque<String>,
    /// When cells may be looked at again for what a joiner lacks.
    pub next_look: Timestamp,
}

/// How far a unit is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The shell compiles it.
    Compiling,
    /// It could not be compiled for a reason that may pass.
    Again(Retry),
    /// Something is in the way of its service; the alarm that says what.
    Waits(LinkedSbb, String),
    /// The service of this name is deployed.
    Deployed(&'static str),
    /// The alarm that says why its service is not deployed here.
    Failed(String),
}

impl Stage {
    /// The alarm that says why its service is not deployed here.
    pub fn alarm(&self) -> Option<&str> {
        match self {
            Stage::Again(retry) => Some(&retry.alarm),
            Stage::Waits(_, alarm) | Stage::Failed(alarm) => Some(alarm),
            Stage::Compiling | Stage::Deployed(_) => None,
        }
    }

    /// The name of its service, if the shell has that.
    fn service(&self) -> Option<&'static str> {
        match self {
            Stage::Waits(sbb, _) => Some(sbb.descriptor().name),
            Stage::Deployed(service) => Some(service),
            Stage::Compiling | Stage::Again(_) | Stage::Failed(_) => None,
        }
    }
}

impl Units {
    /// Those of the store.
    pub fn of(restored: &mut Restored) -> Self {
        Units { of_store: std::mem::take(&mut restored.units), ..Units::default() }
    }

    /// A row of these tables was written, or the last one was removed of a table that a service
    /// waits for.
    pub fn note_row(&mut self, table: &str, is_empty: bool) {
        let declares =
            |it: Descriptor| it.deployment.profile_tables.iter().any(|it| it.name == table);
        self.has_news |=
            [UNITS, PARTS].contains(&table) || is_empty && self.waiting().any(declares);
    }

    /// All of a snapshot is there: what is not in it is gone.
    pub fn look_again(&mut self) {
        self.has_news = true;
    }

    /// The unit of a service was removed.
    pub fn note_removed(&mut self, service: &str) {
        self.removed.retain(|it| it != service);
        self.removed.push_back(service.to_owned());
        if self.removed.len() > REMOVED_KEPT_MAX {
            self.removed.pop_front();
        }
    }

    /// What a node has said that is gone.
    pub fn forget(&mut self, run: &RunId) {
        self.at_peers.remove(run);
    }

    /// Those whose services are deployed here, with these.
    pub fn deployed(&self) -> impl Iterator<Item = (&String, &'static str)> {
        self.stages.iter().filter_map(|(id, stage)| match stage {
            Stage::Deployed(service) => Some((id, *service)),
            Stage::Compiling | Stage::Again(_) | Stage::Waits(..) | Stage::Failed(_) => None,
        })
    }

    pub fn ids_deployed(&self) -> Vec<String> {
        self.deployed().map(|(id, _)| id.clone()).collect()
    }

    /// Services that wait for others.
    pub fn waiting(&self) -> impl Iterator<Item = Descriptor> {
        self.that_wait().map(|(_, service)| service)
    }

    /// The same with their units.
    pub fn that_wait(&self) -> impl Iterator<Item = (&String, Descriptor)> {
        self.stages.iter().filter_map(|(id, stage)| match stage {
            Stage::Waits(sbb, _) => Some((id, sbb.descriptor())),
            Stage::Compiling | Stage::Again(_) | Stage::Deployed(_) | Stage::Failed(_) => None,
        })
    }
}

impl Core {
    /// Undeploys what is gone, and has compiled what is new.
    pub(crate) fn advance_units(&mut self, now: Timestamp) {
        if !std::mem::take(&mut self.units.has_news) {
            return;
        }
        let before = self.units.ids_deployed();
        self.forget_units(now);
        self.compile_units(now);
        self.deploy_waiting(now);
        if self.units.ids_deployed() != before {
            self.tell_units();
        }
    }

    /// Who is gone makes room for the next one of its name: the shell hears of it first.
    fn forget_units(&mut self, now: Timestamp) {
        // What a joiner has dropped comes again with the snapshot.
        let is_joining = self.joining.as_ref().is_some_and(|joining| !joining.whole);
        let is_gone = |unit: &&String| self.tables.get(UNITS, unit).is_none() && !is_joining;
        let gone: Vec<_> = self.units.stages.keys().filter(is_gone).cloned().collect();
        for unit in gone {
            match self.units.stages.remove(&unit) {
                Some(Stage::Deployed(service)) => self.undeploy_unit(now, service),
                Some(
                    Stage::Failed(alarm)
                    | Stage::Waits(_, alarm)
                    | Stage::Again(Retry { alarm, .. }),
                ) => self.clear_alarm(sources::UNIT, &alarm),
                Some(Stage::Compiling) | None => {}
            }
            self.outputs.push_back(Output::ForgetUnit { unit });
        }
    }

    fn compile_units(&mut self, now: Timestamp) {
        let new = self.unit_rows().filter(|(id, row)| {
            !self.units.stages.contains_key(*id) && !self.is_kept_by_another(&row.service)
        });
        let mut new: Vec<_> = new
            .filter_map(|(id, row)| {
                let bytes = assembled(&self.tables, id, &row)?;
                Some((row.put_at, id.to_owned(), bytes))
            })
            .collect();
        new.sort();
        for (_, unit, bytes) in new {
            self.units.stages.insert(unit.clone(), Stage::Compiling);
            match self.units.of_store.remove(&unit) {
                Some(sbb) => self.take_compiled(now, &unit, Ok(sbb)),
                None => self.outputs.push_back(Output::Compile { unit, bytes }),
            }
        }
    }

    /// True if a joiner keeps a unit of this service which the snapshot has no row of yet. If it is
    /// whole and there is none, that one is forgotten, and its name is free.
    fn is_kept_by_another(&self, service: &str) -> bool {
        let is_gone = |unit: &str| self.tables.get(UNITS, unit).is_none();
        self.units.stages.iter().any(|(unit, it)| it.service() == Some(service) && is_gone(unit))
    }

    /// The shell has compiled a unit, or could not.
    pub(crate) fn on_compiled(
        &mut self,
        now: Timestamp,
        unit: &str,
        compiled: Result<LinkedSbb, NotCompiled>,
    ) {
        let is_awaited = match self.units.stages.get(unit) {
            Some(Stage::Compiling) => true,
            Some(Stage::Again(retry)) => retry.is_being_compiled(),
            _ => false,
        };
        if is_awaited {
            self.take_compiled(now, unit, compiled);
            self.deploy_waiting(now);
            self.tell_units();
        }
    }

    fn take_compiled(
        &mut self,
        now: Timestamp,
        unit: &str,
        compiled: Result<LinkedSbb, NotCompiled>,
    ) {
        let before = match self.units.stages.remove(unit) {
            Some(Stage::Again(retry)) => Some(retry),
            _ => None,
        };
        let is_passing = matches!(compiled, Err(NotCompiled::Passing(_)));
        let row = self.unit_rows().find(|(id, _)| *id == unit).map(|(_, row)| row);
        // It is removed by now, or a joiner has dropped it for a moment.
        if let Some(before) = before.as_ref().filter(|_| !is_passing || row.is_none()) {
            self.clear_alarm(sources::UNIT, &before.alarm);
        }
        let Some(row) = row else {
            self.units.has_news = true;
            self.outputs.push_back(Output::ForgetUnit { unit: unit.to_owned() });
            return;
        };
        let stage = match compiled {
            Ok(sbb) if sbb.descriptor().name == row.service => Stage::Waits(sbb, String::new()),
            Ok(sbb) => {
                let says = sbb.descriptor().name;
                self.fail(now, &row, &format!("it says that it is {says}"))
            }
            Err(NotCompiled::Passing(reason)) => self.compile_later(now, &row, &reason, before),
            Err(NotCompiled::Lasting(reason)) => self.fail(now, &row, &reason),
        };
        self.units.stages.insert(unit.to_owned(), stage);
    }

    /// Deploys what waits and nothing is in the way of, and says what is in the way of the others.
    fn deploy_waiting(&mut self, now: Timestamp) {
        let needed = self.needed_of_what_comes();
        loop {
            let waiting = self.units_that_wait(&needed);
            let next = waiting.into_iter().find(|(.., sbb)| self.obstacle(sbb).is_none());
            let Some((unit, before, sbb)) = next else { break };
            if self.awaits_one_of(&needed) {
                break;
            }
            self.clear_alarm(sources::UNIT, &before);
            let service = self.deploy(now, sbb);
            self.units.stages.insert(unit, Stage::Deployed(service));
        }
        for (unit, before, sbb) in self.units_that_wait(&needed) {
            let Some((severity, text)) = self.obstacle(&sbb) else { continue };
            if text != before {
                self.clear_alarm(sources::UNIT, &before);
                self.raise_condition(now, severity, sources::UNIT, &text);
                self.units.stages.insert(unit, Stage::Waits(sbb, text));
            }
        }
    }

    /// Services that calls depend on, of units that wait or are not compiled yet. Who is alone is
    /// first in any case: no call is looked at for it.
    fn needed_of_what_comes(&self) -> BTreeSet<String> {
        let comes = |id: &str| self.is_to_be_compiled(id) || self.waits(id);
        let coming = self.unit_rows().filter(|(id, _)| comes(id)).map(|(_, row)| row.service);
        let coming: Vec<_> = coming.collect();
        match coming.len() > 1 && self.units.waiting().next().is_some() {
            true => self.needed_of(coming.into_iter().collect()),
            false => BTreeSet::new(),
        }
    }

    /// Somebody who joins compiles one that calls depend on, or is to try again: it is first,
    /// whoever else takes its name.
    fn awaits_one_of(&self, needed: &BTreeSet<String>) -> bool {
        self.unit_rows()
            .any(|(id, row)| self.is_to_be_compiled(id) && needed.contains(&row.service))
    }

    fn is_to_be_compiled(&self, id: &str) -> bool {
        matches!(self.units.stages.get(id), Some(Stage::Compiling | Stage::Again(_)))
    }

    fn waits(&self, id: &str) -> bool {
        matches!(self.units.stages.get(id), Some(Stage::Waits(..)))
    }

    /// With their alarms. Those that calls depend on are first, and then as they were uploaded: of
    /// two that take the same name all nodes refuse the same one, whenever they start.
    fn units_that_wait(&self, needed: &BTreeSet<String>) -> Vec<(String, String, LinkedSbb)> {
        let waiting = self.unit_rows().filter_map(|(id, row)| match self.units.stages.get(id) {
            Some(Stage::Waits(sbb, alarm)) => Some((row, id.to_owned(), alarm.clone(), *sbb)),
            _ => None,
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_cached_key(|(row, id, ..)| {
            (!needed.contains(&row.service), row.put_at, id.clone())
        });
        waiting.into_iter().map(|(_, id, alarm, sbb)| (id, alarm, sbb)).collect()
    }

    /// What is in the way of a service that is compiled, as an alarm.
    fn obstacle(&self, sbb: &LinkedSbb) -> Option<(Severity, String)> {
        let service = sbb.descriptor();
        let name = service.name;
        if let Some(needed) = service.deployment.needs.iter().find(|it| !self.is_deployed(it)) {
            let text = format!(
                "{name} waits for {needed}, which is not deployed here: upload that, or remove the \
                 unit"
            );
            return Some((Severity::Minor, text));
        }
        let reason = self.check_deployable(&service).err()?;
        let text = format!(
            "{name} is not deployed here: {reason}; remove the unit, or what is in its way"
        );
        Some((Severity::Major, text))
    }

    fn fail(&mut self, now: Timestamp, row: &Row, reason: &str) -> Stage {
        let text = format!(
            "{} is not deployed here: {reason}; remove the unit, or run the same version of \
             Resilee at all nodes",
            row.service
        );
        self.raise_condition(now, Severity::Major, sources::UNIT, &text);
        Stage::Failed(text)
    }

    /// Adds a service, inactive until an operator wants it active.
    fn deploy(&mut self, now: Timestamp, sbb: LinkedSbb) -> &'static str {
        let mut service = sbb.descriptor();
        service.deployment.begins = Begins::Inactive;
        for table in service.deployment.profile_tables {
            self.tables.declare(table);
        }
        self.counters.entry(service.name).or_default();
        self.tracers.add(service.name);
        self.usage.add(now, &service);
        self.give_place(service);
        service.name
    }

    fn undeploy_unit(&mut self, now: Timestamp, name: &str) {
        let place = place_of(&self.services, name);
        let service = place.map(|place| self.services[place].deployment);
        self.undeploy(now, name);
        for table in service.into_iter().flat_map(|it| it.profile_tables) {
            let declares = |it: &Descriptor| {
                it.deployment.profile_tables.iter().any(|known| known.name == table.name)
            };
            if !self.deployed().any(declares) {
                self.tables.undeclare(table.name);
            }
        }
    }

    /// The row of a unit is removed, by whichever commit, at a joiner as well: what was counted
    /// with it goes at once, and what its service raised. The next thing that is heard may be of
    /// its next upload. Nobody else would clear it: it outlives all calls, and each node. What only
    /// is not in a joiner's snapshot removes nothing: that says itself what is kept.
    pub(crate) fn forget_kept_of(&mut self, removed: &Row) {
        let service = &removed.service;
        // Another one of that name may be there.
        if !self.is_linked(service) && !self.unit_rows().any(|(_, row)| row.service == *service) {
            self.usage.remove(self.clock.now(), service);
            self.clear_service_alarms(self.clock.now(), service, &Cleared::All);
        }
    }

    /// True if a service is deployed here, and is of no unit.
    pub(crate) fn is_linked(&self, service: &str) -> bool {
        self.is_deployed(service) && !self.units.deployed().any(|(_, of)| of == service)
    }

    /// What operators see of units.
    pub(crate) fn unit_statuses(&self) -> Vec<UnitStatus> {
        let statuses = self.unit_rows().map(|(id, row)| {
            let stage = self.units.stages.get(id);
            let (is_here, problem) = match stage {
                Some(Stage::Deployed(_)) => (true, None),
                Some(
                    Stage::Failed(text)
                    | Stage::Waits(_, text)
                    | Stage::Again(Retry { alarm: text, .. }),
                ) => (false, Some(text.clone()).filter(|text| !text.is_empty())),
                Some(Stage::Compiling) | None => (false, None),
            };
            let peers = self.units.at_peers.iter().filter(|(_, units)| units.contains(id));
            let here = is_here.then(|| self.config.me.node.to_string());
            let mut nodes: Vec<_> =
                peers.map(|(run, _)| run.node.to_string()).chain(here).collect();
            // All nodes show them in one order.
            nodes.sort();
            UnitStatus {
                id: id.to_owned(),
                service: row.service,
                bytes: row.bytes,
                put_at: row.put_at,
                nodes,
                problem,
                is_passing: matches!(stage, Some(Stage::Again(_))),
            }
        });
        statuses.collect()
    }
}
