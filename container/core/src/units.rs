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
//! | it cannot be compiled here, or takes names | an alarm, and it is not deployed here           |
//! | that are somebody else's (`unit_check.rs`) |                                                 |
//! | its service is to be activated             | refused until every member has compiled it      |
//! | a node joins                               | it is not proposed before it has compiled all   |
//! |                                            | that are active or have entities                |
//! | a node starts from a store                 | they are compiled before ([`units_of`])         |
//! | it is removed                              | its service is not deployed any more            |
//! |                                            | (`deployed.rs`); profile tables that nobody     |
//! |                                            | else declares are no profile tables any more,   |
//! |                                            | and keep their rows for the next who does       |
//!
//! So a node that lacks a unit owns none of its entities. Two versions of a service are two
//! services, whose names differ: an upgrade is that of `life_cycles.rs`, and what the old one began
//! stays with it.

use crate::core::Core;
use crate::deployed::place_of;
use crate::io::Output;
use crate::management::UnitStatus;
use crate::store::Restored;
use crate::unit_rows::{PARTS, Row, UNITS, assembled};
use resilee_membership::RunId;
use resilee_sbb::{Begins, Descriptor, LinkedSbb, Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Source of alarms about units.
pub(crate) const SOURCE: &str = "unit";

/// Units at this node.
#[derive(Debug, Default)]
pub(crate) struct Units {
    stages: BTreeMap<String, Stage>,
    /// What other runs have compiled, as far as they have said so.
    pub at_peers: BTreeMap<RunId, BTreeSet<String>>,
    /// Other nodes were told of some, once.
    pub told: bool,
    /// Those of the store, which are compiled.
    of_store: BTreeMap<String, LinkedSbb>,
    /// Rows have changed since they were looked at.
    has_news: bool,
}

#[derive(Debug)]
enum Stage {
    Compiling,
    /// Its service needs one that is not deployed here; the alarm that says so.
    Waits(LinkedSbb, String),
    /// The service of this name is deployed.
    Deployed(&'static str),
    /// The alarm that says why not.
    Failed(String),
}

impl Units {
    /// Those of the store.
    pub fn of(restored: &mut Restored) -> Self {
        Units { of_store: std::mem::take(&mut restored.units), ..Units::default() }
    }

    /// A row of these tables was written.
    pub fn note_row(&mut self, table: &str) {
        self.has_news |= [UNITS, PARTS].contains(&table);
    }

    /// All of a snapshot is there: what is in none of its rows is gone.
    pub fn look_again(&mut self) {
        self.has_news = true;
    }

    /// What a node has said that is gone.
    pub fn forget(&mut self, run: &RunId) {
        self.at_peers.remove(run);
    }

    /// Those whose services are deployed here, with these.
    pub fn deployed(&self) -> impl Iterator<Item = (&String, &'static str)> {
        self.stages.iter().filter_map(|(id, stage)| match stage {
            Stage::Deployed(service) => Some((id, *service)),
            Stage::Compiling | Stage::Waits(..) | Stage::Failed(_) => None,
        })
    }

    pub fn ids_deployed(&self) -> Vec<String> {
        self.deployed().map(|(id, _)| id.clone()).collect()
    }

    /// Services that wait for others.
    pub fn waiting(&self) -> impl Iterator<Item = Descriptor> {
        self.stages.values().filter_map(|stage| match stage {
            Stage::Waits(sbb, _) => Some(sbb.descriptor()),
            Stage::Compiling | Stage::Deployed(_) | Stage::Failed(_) => None,
        })
    }
}

impl Core {
    /// Has compiled what is new, and undeploys what is gone.
    pub(crate) fn advance_units(&mut self, now: Timestamp) {
        // What a joiner has dropped comes again with the snapshot.
        let is_joining = self.joining.as_ref().is_some_and(|joining| !joining.whole);
        if !std::mem::take(&mut self.units.has_news) {
            return;
        }
        let before = self.units.ids_deployed();
        let mut new: Vec<_> = self
            .unit_rows()
            .filter(|(id, _)| !self.units.stages.contains_key(*id))
            .filter_map(|(id, row)| {
                Some((row.put_at, id.to_owned(), assembled(&self.tables, id, &row)?))
            })
            .collect();
        // As they were uploaded: of two that take the same name all nodes refuse the same one.
        new.sort();
        for (_, unit, bytes) in new {
            self.units.stages.insert(unit.clone(), Stage::Compiling);
            match self.units.of_store.remove(&unit) {
                Some(sbb) => self.take_compiled(now, &unit, Ok(sbb)),
                None => self.outputs.push_back(Output::Compile { unit, bytes }),
            }
        }
        let is_gone = |unit: &&String| self.tables.get(UNITS, unit).is_none() && !is_joining;
        let gone: Vec<_> = self.units.stages.keys().filter(is_gone).cloned().collect();
        for unit in gone {
            match self.units.stages.remove(&unit) {
                Some(Stage::Deployed(service)) => self.undeploy_unit(now, service),
                Some(Stage::Failed(alarm) | Stage::Waits(_, alarm)) => {
                    self.clear_alarm(SOURCE, &alarm);
                }
                Some(Stage::Compiling) | None => {}
            }
            self.outputs.push_back(Output::ForgetUnit { unit });
        }
        self.deploy_waiting(now);
        if self.units.ids_deployed() != before {
            self.tell_units();
        }
    }

    /// The shell has compiled a unit, or could not.
    pub(crate) fn on_compiled(
        &mut self,
        now: Timestamp,
        unit: &str,
        compiled: Result<LinkedSbb, String>,
    ) {
        if matches!(self.units.stages.get(unit), Some(Stage::Compiling)) {
            self.take_compiled(now, unit, compiled);
            self.deploy_waiting(now);
            self.tell_units();
        }
    }

    fn take_compiled(&mut self, now: Timestamp, unit: &str, compiled: Result<LinkedSbb, String>) {
        let row = self.unit_rows().find(|(id, _)| *id == unit).map(|(_, row)| row);
        // It is removed by now, or a joiner has dropped it for a moment.
        let Some(row) = row else {
            self.units.stages.remove(unit);
            self.units.has_news = true;
            self.outputs.push_back(Output::ForgetUnit { unit: unit.to_owned() });
            return;
        };
        let stage = match compiled {
            Ok(sbb) if self.waits(&row, &sbb.descriptor()) => Stage::Waits(sbb, String::new()),
            Ok(sbb) => self.deploy(now, &row, sbb),
            Err(reason) => self.fail(now, &row, &reason),
        };
        self.units.stages.insert(unit.to_owned(), stage);
    }

    fn waits(&self, row: &Row, service: &Descriptor) -> bool {
        service.name == row.service && self.waits_for_service(service).is_some()
    }

    /// What a service needs and what is not deployed here.
    fn waits_for_service(&self, service: &Descriptor) -> Option<&'static str> {
        service.deployment.needs.iter().copied().find(|needed| !self.is_deployed(needed))
    }

    /// Deploys what waits no more, and says what does.
    fn deploy_waiting(&mut self, now: Timestamp) {
        loop {
            let rows = self.unit_rows().map(|(id, row)| (id.to_owned(), row));
            let next = rows.into_iter().find_map(|(id, row)| match self.units.stages.get(&id) {
                Some(Stage::Waits(sbb, alarm)) => {
                    let is_ready = self.waits_for_service(&sbb.descriptor()).is_none();
                    is_ready.then(|| (id, row, *sbb, alarm.clone()))
                }
                _ => None,
            });
            let Some((unit, row, sbb, alarm)) = next else { break };
            self.clear_alarm(SOURCE, &alarm);
            let stage = self.deploy(now, &row, sbb);
            self.units.stages.insert(unit, stage);
        }
        let waiting = self.units.stages.iter().filter_map(|(unit, stage)| match stage {
            Stage::Waits(sbb, alarm) => Some((unit.clone(), sbb.descriptor(), alarm.clone())),
            Stage::Compiling | Stage::Deployed(_) | Stage::Failed(_) => None,
        });
        for (unit, service, before) in waiting.collect::<Vec<_>>() {
            let needed = self.waits_for_service(&service).unwrap_or_default();
            let text = format!(
                "{} waits for {needed}, which is not deployed here: upload that, or remove the \
                 unit",
                service.name
            );
            if text != before {
                self.clear_alarm(SOURCE, &before);
                self.raise_condition(now, Severity::Minor, SOURCE, &text);
            }
            if let Some(Stage::Waits(_, alarm)) = self.units.stages.get_mut(&unit) {
                *alarm = text;
            }
        }
    }

    fn fail(&mut self, now: Timestamp, row: &Row, reason: &str) -> Stage {
        let text = format!(
            "{} is not deployed here: {reason}; remove the unit, or run the same version of \
             Resilee at all nodes",
            row.service
        );
        self.raise_condition(now, Severity::Major, SOURCE, &text);
        Stage::Failed(text)
    }

    fn deploy(&mut self, now: Timestamp, row: &Row, sbb: LinkedSbb) -> Stage {
        match self.deploy_service(now, row, sbb) {
            Ok(service) => Stage::Deployed(service),
            Err(reason) => self.fail(now, row, &reason),
        }
    }

    /// Adds a service, inactive until an operator wants it active.
    fn deploy_service(
        &mut self,
        now: Timestamp,
        row: &Row,
        sbb: LinkedSbb,
    ) -> Result<&'static str, String> {
        let mut service = sbb.descriptor();
        service.deployment.begins = Begins::Inactive;
        if service.name != row.service {
            return Err(format!("it says that it is {}", service.name));
        }
        self.check_deployable(&service)?;
        for table in service.deployment.profile_tables {
            self.tables.declare(table);
        }
        self.counters.entry(service.name).or_default();
        self.tracers.add(service.name);
        self.usage.add(now, &service);
        self.give_place(service);
        Ok(service.name)
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

    /// What operators see of units.
    pub(crate) fn unit_statuses(&self) -> Vec<UnitStatus> {
        let statuses = self.unit_rows().map(|(id, row)| {
            let (is_here, problem) = match self.units.stages.get(id) {
                Some(Stage::Deployed(_)) => (true, None),
                Some(Stage::Failed(text) | Stage::Waits(_, text)) => (false, Some(text.clone())),
                Some(Stage::Compiling) | None => (false, None),
            };
            let peers = self.units.at_peers.iter().filter(|(_, units)| units.contains(id));
            let here = is_here.then(|| self.config.me.node.to_string());
            let nodes = peers.map(|(run, _)| run.node.to_string()).chain(here).collect();
            UnitStatus {
                id: id.to_owned(),
                service: row.service,
                bytes: row.bytes,
                put_at: row.put_at,
                nodes,
                problem,
            }
        });
        statuses.collect()
    }
}
