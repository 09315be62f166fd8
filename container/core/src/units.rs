//! Deployable units that are uploaded while nodes run: each is a row of a shared table with its
//! parts beside it, so it is replicated, stored, and in the snapshot that a joiner gets. Its id is
//! the hash of its bytes. What is in it, its node's shell knows: it compiles units to services.
//!
//! | what                                       | what happens                                    |
//! |--------------------------------------------|-------------------------------------------------|
//! | a part is put                              | a row; what an earlier upload left unfinished   |
//! |                                            | is dropped with its first part                  |
//! | a unit is put, and all its parts are there | a row: each node that reads it has it compiled  |
//! | it is compiled here                        | its service is deployed here, inactive; the     |
//! |                                            | other nodes hear of it ([`Extra::Units`])       |
//! | it cannot be compiled here                 | an alarm, and it is not deployed here           |
//! | its service is to be activated             | refused until every member has compiled it      |
//! | a node joins                               | it is not proposed before it has compiled all   |
//! |                                            | that are active or have entities                |
//! | a node starts from a store                 | they are compiled before ([`units_of`])         |
//! | it is removed                              | refused while its service is active or has      |
//! |                                            | entities; then its rows go, and the service     |
//! |                                            | with them                                       |
//!
//! So a node that lacks a unit owns none of its entities. Two versions of a service are two
//! services, whose names differ: an upgrade is that of `life_cycles.rs`, and what the old one began
//! stays with it.

use crate::commit::RowChange;
use crate::core::Core;
use crate::frame::Extra;
use crate::io::Output;
use crate::management::UnitStatus;
use crate::store::Restored;
use resilee_membership::RunId;
use resilee_sbb::{
    Begins, Descriptor, LinkedSbb, PROFILE_TABLES_MAX, ProfileTable, Severity, Tables, Timestamp,
    decode, encode,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// Units by their id.
const UNITS: &str = "slee.units";
/// Their parts, by id and number.
const PARTS: &str = "slee.unit-parts";
/// Units of a cluster.
pub const UNITS_MAX: usize = 64;
/// Bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 16 << 20;
/// Bytes of all units of a cluster; each node has them in memory.
pub const UNITS_BYTES_MAX: u64 = 64 << 20;
/// Bytes of each of its parts but the last one, which has no more: it goes into one frame.
pub const UNIT_PART_BYTES: usize = 64 << 10;
/// Characters of a unit's id: a hash of 32 bytes in hexadecimal digits.
const ID_CHARS: usize = 64;
/// Source of alarms about units.
const SOURCE: &str = "unit";

/// A unit whose parts are all there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    service: String,
    bytes: u64,
    put_at: Timestamp,
}

/// Units at this node.
#[derive(Debug, Default)]
pub(crate) struct Units {
    stages: BTreeMap<String, Stage>,
    /// What other runs have compiled, as far as they have said so.
    at_peers: BTreeMap<RunId, BTreeSet<String>>,
    /// Those of the store, which are compiled.
    of_store: BTreeMap<String, LinkedSbb>,
    /// Rows have changed since they were looked at.
    has_news: bool,
}

#[derive(Debug)]
enum Stage {
    Compiling,
    /// The service of this name is deployed.
    Deployed(&'static str),
    /// The alarm that says why not.
    Failed(String),
}

/// Units that a store holds, by their ids: a node compiles them before it starts, and gives them
/// back in [`Restored::units`].
pub fn units_of(restored: &Restored) -> BTreeMap<String, Vec<u8>> {
    let mut tables = Tables::default();
    for (key, row) in &restored.tables {
        if let Some((table, key)) = RowChange::from_store_key(key)
            && [UNITS, PARTS].contains(&table.as_str())
        {
            tables.put(&table, &key, row.clone());
        }
    }
    let whole = tables.rows(UNITS).filter_map(|(id, row)| {
        let row: Row = decode(row).ok()?;
        Some((id.to_owned(), assembled(&tables, id, &row)?))
    });
    whole.collect()
}

/// The bytes of a unit, once all its parts are there.
fn assembled(tables: &Tables, id: &str, row: &Row) -> Option<Vec<u8>> {
    let parts = tables.rows_from(PARTS, id).take_while(|(key, _)| key.starts_with(id));
    let bytes: Vec<u8> = parts.flat_map(|(_, part)| part.iter().copied()).collect();
    (bytes.len() as u64 == row.bytes).then_some(bytes)
}

fn part_key(id: &str, part: u32) -> String {
    format!("{id}/{part:06}")
}

fn put(table: &str, key: String, row: Vec<u8>) -> RowChange {
    RowChange { table: table.to_owned(), key, row: Some(ByteBuf::from(row)) }
}

fn removed(table: &str, key: &str) -> RowChange {
    RowChange { table: table.to_owned(), key: key.to_owned(), row: None }
}

fn check_id(id: &str) -> Result<(), String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match id.len() == ID_CHARS && id.bytes().all(is_digit) {
        true => Ok(()),
        false => {
            Err(format!("{id:?} is no id of a unit: it is a hash of {ID_CHARS} hexadecimal digits"))
        }
    }
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

    fn deployed(&self) -> impl Iterator<Item = (&String, &'static str)> {
        self.stages.iter().filter_map(|(id, stage)| match stage {
            Stage::Deployed(service) => Some((id, *service)),
            Stage::Compiling | Stage::Failed(_) => None,
        })
    }
}

impl Core {
    /// The rows after which a part of a unit is there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn unit_part_put(
        &self,
        id: &str,
        part: u32,
        bytes: &[u8],
    ) -> Result<Vec<RowChange>, String> {
        check_id(id)?;
        let (size, number) = (bytes.len(), part as usize);
        if size == 0 || size > UNIT_PART_BYTES {
            return Err(format!("a part of {size} bytes: it has 1 to {UNIT_PART_BYTES}"));
        }
        if number * UNIT_PART_BYTES + size > UNIT_BYTES_MAX {
            return Err(format!("a unit has {UNIT_BYTES_MAX} bytes at most"));
        }
        if self.tables.get(UNITS, id).is_some() {
            return Ok(Vec::new());
        }
        let begins = number == 0;
        let is_left = |key: &&str| {
            let unit = key.split('/').next().unwrap_or_default();
            begins && self.tables.get(UNITS, unit).is_none()
        };
        let left = self.tables.rows(PARTS).map(|(key, _)| key).filter(is_left);
        let mut rows: Vec<_> = left.map(|key| removed(PARTS, key)).collect();
        rows.push(put(PARTS, part_key(id, part), bytes.to_vec()));
        Ok(rows)
    }

    /// The rows after which a unit is there, whose parts are.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn unit_put(
        &self,
        now: Timestamp,
        id: &str,
        service: &str,
        bytes: u64,
    ) -> Result<Vec<RowChange>, String> {
        check_id(id)?;
        if self.tables.get(UNITS, id).is_some() {
            return Ok(Vec::new());
        }
        let row = Row { service: service.to_owned(), bytes, put_at: now };
        if assembled(&self.tables, id, &row).is_none() {
            return Err(format!(
                "not all parts of {service} are here, somebody else may have uploaded a unit \
                 meanwhile: upload it again"
            ));
        }
        if self.tables.len(UNITS) >= UNITS_MAX {
            return Err(format!("there are {UNITS_MAX} units: remove one that serves nothing"));
        }
        let all: u64 = self.unit_rows().map(|(_, row)| row.bytes).sum();
        if all.saturating_add(bytes) > UNITS_BYTES_MAX {
            return Err(format!(
                "with it units would have more than {UNITS_BYTES_MAX} bytes: remove one that \
                 serves nothing"
            ));
        }
        let other = self.services.iter().find(|known| known.name == service);
        if other.is_some() || self.unit_rows().any(|(_, row)| row.service == service) {
            return Err(format!(
                "a service {service} is deployed: give yours another version, or remove that one"
            ));
        }
        Ok(vec![put(UNITS, id.to_owned(), encode(&row).expect("plain data can be encoded"))])
    }

    /// The rows after which a unit is not there any more.
    ///
    /// # Errors
    /// One that is needed.
    pub(crate) fn unit_removed(&self, id: &str) -> Result<Vec<RowChange>, String> {
        let Some((_, row)) = self.unit_rows().find(|(known, _)| *known == id) else {
            return Err(format!("there is no unit {id:?}: it was removed, or never was"));
        };
        if self.needs_unit(&row) {
            let service = &row.service;
            return Err(format!(
                "{service} is active or has entities: deactivate it, and wait until its calls \
                 are over"
            ));
        }
        let parts = self.tables.rows_from(PARTS, id).map(|(key, _)| key);
        let parts = parts.take_while(|key| key.starts_with(id)).map(|key| removed(PARTS, key));
        Ok(std::iter::once(removed(UNITS, id)).chain(parts).collect())
    }

    fn unit_rows(&self) -> impl Iterator<Item = (&str, Row)> {
        let rows = self.tables.rows(UNITS);
        rows.filter_map(|(id, row)| Some((id, decode(row).ok()?)))
    }

    /// True if calls depend on it, now or the next ones.
    fn needs_unit(&self, row: &Row) -> bool {
        self.is_wanted_active(&row.service)
            || self.cells.values().any(|cell| {
                cell.entities.values().any(|entity| entity.service == row.service)
                    || cell.roots_to_come(&row.service) > 0
            })
    }

    /// Has compiled what is new, and undeploys what is gone.
    pub(crate) fn advance_units(&mut self, now: Timestamp) {
        // What a joiner has dropped comes again with the snapshot.
        let is_joining = self.joining.as_ref().is_some_and(|joining| !joining.whole);
        if !std::mem::take(&mut self.units.has_news) {
            return;
        }
        let new: Vec<_> = self
            .unit_rows()
            .filter(|(id, _)| !self.units.stages.contains_key(*id))
            .filter_map(|(id, row)| Some((id.to_owned(), assembled(&self.tables, id, &row)?)))
            .collect();
        for (unit, bytes) in new {
            self.units.stages.insert(unit.clone(), Stage::Compiling);
            match self.units.of_store.remove(&unit) {
                Some(sbb) => self.on_compiled(now, &unit, Ok(sbb)),
                None => self.outputs.push_back(Output::Compile { unit, bytes }),
            }
        }
        let is_gone = |unit: &&String| self.tables.get(UNITS, unit).is_none() && !is_joining;
        let gone: Vec<_> = self.units.stages.keys().filter(is_gone).cloned().collect();
        for unit in gone {
            match self.units.stages.remove(&unit) {
                Some(Stage::Deployed(service)) => self.undeploy(service),
                Some(Stage::Failed(alarm)) => self.clear_alarm(SOURCE, &alarm),
                Some(Stage::Compiling) | None => {}
            }
            self.outputs.push_back(Output::ForgetUnit { unit });
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
        if !matches!(self.units.stages.get(unit), Some(Stage::Compiling)) {
            return;
        }
        let row = self.unit_rows().find(|(id, _)| *id == unit).map(|(_, row)| row);
        // It is removed by now, or a joiner has dropped it for a moment.
        let Some(row) = row else {
            self.units.stages.remove(unit);
            self.units.has_news = true;
            return;
        };
        let stage = match compiled.and_then(|sbb| self.deploy(now, &row, sbb)) {
            Ok(service) => Stage::Deployed(service),
            Err(reason) => {
                let text = format!(
                    "{} is not deployed here: {reason}; remove the unit, or run the same version \
                     of Resilee at all nodes",
                    row.service
                );
                self.raise_condition(now, Severity::Major, SOURCE, &text);
                Stage::Failed(text)
            }
        };
        self.units.stages.insert(unit.to_owned(), stage);
        self.tell_units();
    }

    /// Adds a service behind the others, inactive until an operator wants it active.
    fn deploy(
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
        match self.services.iter_mut().find(|known| known.name == UNDEPLOYED) {
            Some(place) => *place = service,
            None => self.services.push(service),
        }
        self.note_all_life_cycles();
        self.life_cycles.look_again();
        Ok(service.name)
    }

    fn check_deployable(&self, service: &Descriptor) -> Result<(), String> {
        let deployed = |name: &str| self.services.iter().any(|it| it.name == name);
        let units: Vec<_> = self.services.iter().map(Descriptor::unit).collect();
        if deployed(service.name) || units.contains(&service.name) {
            return Err(format!("there is a service or unit {} already", service.name));
        }
        if let Some(lacking) = service.deployment.needs.iter().find(|it| !deployed(it)) {
            return Err(format!("it needs {lacking}, which is not deployed"));
        }
        let known = || self.services.iter().flat_map(|it| it.deployment.profile_tables);
        for table in service.deployment.profile_tables {
            table.check_schema().map_err(|error| error.to_string())?;
            let differs = |other: &&&ProfileTable| other.name == table.name && ***other != **table;
            if let Some(other) = known().find(differs) {
                return Err(format!("it declares the profile table {} differently", other.name));
            }
        }
        let all = known().chain(service.deployment.profile_tables).map(|table| table.name);
        match all.collect::<BTreeSet<_>>().len() <= PROFILE_TABLES_MAX {
            true => Ok(()),
            false => Err(format!("there would be more than {PROFILE_TABLES_MAX} profile tables")),
        }
    }

    /// Its place stays, since deliveries name services by their places; a later one may have it.
    fn undeploy(&mut self, name: &'static str) {
        if let Some(service) = self.services.iter_mut().find(|it| it.name == name) {
            *service = Descriptor::named(UNDEPLOYED);
        }
        self.note_all_life_cycles();
    }

    /// Tells the other nodes what is compiled here.
    pub(crate) fn tell_units(&mut self) {
        let units: Vec<_> = self.units.deployed().map(|(id, _)| id.clone()).collect();
        for link in self.links.values_mut() {
            link.say(Extra::Units(units.clone()));
        }
    }

    /// Another node has compiled these.
    pub(crate) fn on_units_told(&mut self, from: &RunId, units: Vec<String>) {
        let units = units.into_iter().take(UNITS_MAX).collect();
        self.units.at_peers.retain(|run, _| run.node != from.node);
        self.units.at_peers.insert(from.clone(), units);
    }

    /// True if another run has compiled all that calls depend on.
    pub(crate) fn has_units(&self, run: &RunId) -> bool {
        let there = self.units.at_peers.get(run);
        let has = |id: &str| there.is_some_and(|units| units.contains(id));
        self.unit_rows().all(|(id, row)| has(id) || !self.needs_unit(&row))
    }

    /// Why the service of a unit cannot be activated yet, if it is one.
    pub(crate) fn lacks_unit(&self, service: &str) -> Option<String> {
        let (id, _) = self.units.deployed().find(|(_, name)| *name == service)?;
        let lacks = |run: &&RunId| {
            let there = self.units.at_peers.get(run);
            **run != self.config.me && !there.is_some_and(|units| units.contains(id))
        };
        let run = self.view.members.iter().find(lacks)?;
        Some(format!(
            "{} has not compiled {service} yet: try again in a moment, or look at its alarms",
            run.node
        ))
    }

    /// What operators see of units.
    pub(crate) fn unit_statuses(&self) -> Vec<UnitStatus> {
        let statuses = self.unit_rows().map(|(id, row)| {
            let (is_here, problem) = match self.units.stages.get(id) {
                Some(Stage::Deployed(_)) => (true, None),
                Some(Stage::Failed(text)) => (false, Some(text.clone())),
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

/// In place of a service that was undeployed.
pub(crate) const UNDEPLOYED: &str = "";
