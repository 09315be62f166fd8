//! Uploaded deployable units as rows of shared tables: which uploads are taken, and what may be
//! removed. What becomes of them is in `units.rs`.
//!
//! | an operator wants         | and                          | what happens                     |
//! |---------------------------|------------------------------|----------------------------------|
//! | a unit's first part there |                              | it is; unfinished uploads go     |
//! | a further part there      | the first one is             | it is                            |
//! |                           | the first one is not         | refused: so there is at most one |
//! |                           |                              | unfinished upload                |
//! | a unit there              | all its parts are            | it is                            |
//! | a unit removed            | its service is active, has   | refused                          |
//! |                           | entities or is to have some, |                                  |
//! |                           | or another one needs it      |                                  |
//! |                           | it serves nothing            | its rows go, those of its parts, |
//! |                           |                              | too; of profile tables that only |
//! |                           |                              | it declared, it is kept that     |
//! |                           |                              | their rows are profiles          |
//! |                           |                              | (`left_tables.rs`)               |

use crate::cell::Cell;
use crate::commit::RowChange;
use crate::core::Core;
use crate::life_cycles::SERVICES;
use crate::migrations::{MIGRATIONS, taken_back};
use crate::store::Restored;
use resilee_sbb::{Descriptor, Tables, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// Units by their id.
pub(crate) const UNITS: &str = "slee.units";
/// Their parts, by id and number.
pub(crate) const PARTS: &str = "slee.unit-parts";
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
/// A unit whose parts are all there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub service: String,
    pub bytes: u64,
    pub put_at: Timestamp,
    /// Secret attributes of its profile tables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, BTreeSet<String>>,
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
pub(crate) fn assembled(tables: &Tables, id: &str, row: &Row) -> Option<Vec<u8>> {
    let parts = tables.rows_from(PARTS, id).take_while(|(key, _)| key.starts_with(id));
    let bytes: Vec<u8> = parts.flat_map(|(_, part)| part.iter().copied()).collect();
    (bytes.len() as u64 == row.bytes).then_some(bytes)
}

fn part_key(id: &str, part: u32) -> String {
    format!("{id}/{part:06}")
}

pub(crate) fn put(table: &str, key: String, row: Vec<u8>) -> RowChange {
    RowChange { table: table.to_owned(), key, row: Some(ByteBuf::from(row)) }
}

pub(crate) fn removed(table: &str, key: &str) -> RowChange {
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
        if self.has_unit(id) {
            return Ok(Vec::new());
        }
        let begins = number == 0;
        if !begins && self.tables.get(PARTS, &part_key(id, 0)).is_none() {
            return Err("the first part of the unit is not here, somebody else may have uploaded \
                        another one meanwhile: upload it again, from the first part on"
                .to_owned());
        }
        let others = self.parts_of(id).filter(|(key, _)| !begins && *key != part_key(id, part));
        let others: u64 = others.map(|(_, part)| part.len() as u64).sum();
        self.check_room(others + size as u64)?;
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
    pub(crate) fn unit_put(&self, id: &str, row: Row) -> Result<Vec<RowChange>, String> {
        let service = row.service.as_str();
        check_id(id)?;
        if self.tables.get(UNITS, id).is_some() {
            return Ok(Vec::new());
        }
        if service.is_empty() {
            return Err("its service has no name: give it one".to_owned());
        }
        if assembled(&self.tables, id, &row).is_none() {
            return Err(format!(
                "not all parts of {service} are here, somebody else may have uploaded a unit \
                 meanwhile: upload it again"
            ));
        }
        if self.tables.len(UNITS) >= UNITS_MAX {
            return Err(format!("there are {UNITS_MAX} units: remove one that serves nothing"));
        }
        self.check_room(row.bytes)?;
        if self.is_deployed(service) || self.unit_rows().any(|(_, row)| row.service == service) {
            return Err(format!(
                "a service {service} is deployed: give yours another name, or remove that one"
            ));
        }
        // It would take calls at whichever member compiles it first.
        if self.is_wanted_active(service) {
            return Err(format!(
                "a service {service} was linked into the nodes and is still wanted active: \
                 deactivate {service}, upload this unit, and activate it once all nodes have it"
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
        let service = &row.service;
        if self.is_wanted_active(service) {
            return Err(format!(
                "{service} is active: deactivate it, and remove it once its calls are over"
            ));
        }
        if self.needs_unit(&row) {
            return Err(format!(
                "{service} still has entities: wait until its calls are over, or have them \
                 migrated to a service that has taken its place"
            ));
        }
        if let Some(other) = self.service_that_needs(service) {
            return Err(format!("{other} needs {service}: remove {other} before"));
        }
        let parts = self.parts_of(id).map(|(key, _)| removed(PARTS, key));
        let left = self.left_tables_changed(&row)?;
        let wanted = self.wanted_row_without(service);
        let migration = self.tables.get(MIGRATIONS, service).map(|_| taken_back(service));
        Ok(std::iter::once(removed(UNITS, id))
            .chain(parts)
            .chain(left)
            .chain(migration)
            .chain(wanted)
            .collect())
    }

    /// What was wanted of the service of a unit goes with it, unless a member may have another one
    /// of that name, linked into it, or it took the place of one that still has calls: the next of
    /// its name begins nothing beside them either.
    fn wanted_row_without(&self, service: &str) -> Option<RowChange> {
        let is_here = self.units.deployed().any(|(_, of)| of == service);
        let is_everywhere = is_here && self.lacks_unit(service).is_none();
        let mut replaced = self.wanted(SERVICES, service)?.instead_of;
        // Whoever is active again is replaced by nobody.
        replaced.retain(|it| !self.is_active(it));
        let is_over = self.needed_of(replaced.into_iter().collect()).is_empty();
        (is_everywhere && is_over).then(|| removed(SERVICES, service))
    }

    pub(crate) fn has_unit(&self, id: &str) -> bool {
        self.tables.get(UNITS, id).is_some()
    }

    pub(crate) fn unit_row(&self, id: &str) -> Option<Row> {
        decode(self.tables.get(UNITS, id)?).ok()
    }

    pub(crate) fn unit_rows(&self) -> impl Iterator<Item = (&str, Row)> {
        let rows = self.tables.rows(UNITS);
        rows.filter_map(|(id, row)| Some((id, decode(row).ok()?)))
    }

    /// The parts of a unit that are there.
    fn parts_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.tables.rows_from(PARTS, id).take_while(move |(key, _)| key.starts_with(id))
    }

    /// That units may have so many bytes more.
    fn check_room(&self, bytes: u64) -> Result<(), String> {
        let all: u64 = self.unit_rows().map(|(_, row)| row.bytes).sum();
        match all.saturating_add(bytes) <= UNITS_BYTES_MAX {
            true => Ok(()),
            false => Err(format!(
                "with it units would have more than {UNITS_BYTES_MAX} bytes: remove one that \
                 serves nothing"
            )),
        }
    }

    /// Another service that needs this one, which is deployed here. One that could not be deployed
    /// may be removed, to be uploaded anew.
    fn service_that_needs(&self, service: &str) -> Option<&'static str> {
        let others = self.deployed().copied().chain(self.units.waiting());
        let mut needing = others.filter(|it| it.deployment.needs.contains(&service));
        needing.find(|it| it.name != service && self.is_deployed(service)).map(|it| it.name)
    }

    /// The service of a unit, if calls depend on it, now or the next ones.
    pub fn service_in_need_of(&self, unit: &str) -> Option<String> {
        let (_, row) = self.unit_rows().find(|(id, _)| *id == unit)?;
        self.needs_unit(&row).then_some(row.service)
    }

    /// A unit that calls depend on, now or the next ones, and whose service is compiled, but not
    /// deployed here: its id, its service, and what is in its way.
    pub fn needed_unit_that_waits(&self) -> Option<(String, String, String)> {
        self.units.that_wait().find_map(|(id, service)| {
            let reason = self.in_the_way(&service)?;
            Some((id.clone(), self.service_in_need_of(id)?, reason))
        })
    }

    /// What is in the way of a service that is compiled.
    pub fn in_the_way(&self, service: &Descriptor) -> Option<String> {
        let lacks = service.deployment.needs.iter().find(|it| !self.is_deployed(it));
        match lacks {
            Some(needed) => Some(format!("it needs {needed}, which is not deployed here")),
            None => self.check_deployable(service).err(),
        }
    }

    /// True if calls depend on it, now or the next ones.
    pub(crate) fn needs_unit(&self, row: &Row) -> bool {
        self.needs_any_of(std::slice::from_ref(&row.service))
    }

    /// True if calls depend on any of these services, now or the next ones. Cells are looked at
    /// once, and if nothing else says so.
    pub(crate) fn needs_any_of(&self, services: &[String]) -> bool {
        let depends =
            |cell: &Cell| cell.services().any(|it| services.iter().any(|service| service == it));
        services.iter().any(|service| self.is_wanted_active(service))
            || services.iter().any(|service| self.is_under_way(service))
            || !services.is_empty() && self.cells.values().any(depends)
    }

    /// Those of these services that calls depend on, now or the next ones. Cells are looked at once
    /// for all of them.
    pub(crate) fn needed_of(&self, services: BTreeSet<String>) -> BTreeSet<String> {
        let is_needed = |it: &String| self.is_wanted_active(it) || self.is_under_way(it);
        let (mut needed, mut others): (BTreeSet<_>, BTreeSet<_>) =
            services.into_iter().partition(is_needed);
        for cell in self.cells.values() {
            if others.is_empty() {
                break;
            }
            needed.extend(cell.services().filter_map(|service| others.take(service)));
        }
        needed
    }
}

impl Cell {
    /// Services that it has entities of, or that one of its activities has a root entity of in
    /// another cell, or is to have one, maybe once a suspended event goes on; some of them again
    /// and again.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        let entities = self.entities.values().map(|entity| entity.service.as_str());
        let to_come = self.retries.iter().filter(|(number, _)| !self.entities.contains_key(number));
        let to_come = to_come.map(|(_, retry)| retry.service.as_str());
        let elsewhere = self.ties.values().map(|tie| tie.root.service.as_str());
        let suspended = self.activities.values().filter_map(|it| it.suspended.as_ref());
        let named = suspended.flat_map(|it| it.named.iter().map(|root| root.service.as_str()));
        entities.chain(to_come).chain(elsewhere).chain(named)
    }
}
