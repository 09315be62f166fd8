//! Life cycles of the SLEE and of its services (JAIN SLEE 1.1): what an operator
//! wants is a row of a shared table, so that all nodes and all restarts agree; what follows from
//! it is seen from the cells.
//!
//! | the operator wants a service | it has entities | its state | new root entities |
//! |------------------------------|-----------------|-----------|-------------------|
//! | active                       | any             | active    | yes               |
//! | inactive                     | some            | stopping  | no                |
//! | inactive                     | none            | inactive  | no                |
//!
//! A root entity whose first event waits to be tried again counts as one that is there.
//!
//! | the operator wants the SLEE | this node    | there are calls | its state | new calls |
//! |-----------------------------|--------------|-----------------|-----------|-----------|
//! | running                     | no member    |                 | starting  | no        |
//! | running                     | member       |                 | running   | yes       |
//! | stopped                     |              | some            | stopping  | refused   |
//! | stopped                     |              | none            | stopped   | refused   |
//!
//! All nodes see the cells of all, so a state needs no commit when the last entity goes. Entities
//! that are there finish, whatever the state. A change of several services is one commit: there is
//! one point in the log before which the old service starts entities, and after which the new one
//! does; it starts none on an activity that an entity of the old one is attached to, here or in a
//! root cell. So it is after further upgrades: each takes over whom the replaced one replaced.
//!
//! Who may start a root entity is asked in `event_router.rs`; how a change becomes a commit is in
//! `table_changes.rs`.

use crate::adaptor_life_cycles::ADAPTORS;
use crate::alarms::sources;
use crate::cell::Cell;
use crate::commit::{Change, Part, Retry, RowChange};
use crate::core::Core;
use crate::management::{Changed, ServiceState, SleeState};
use crate::migrations::MIGRATIONS;
use crate::tracers::TRACE_LEVELS;
use resilee_sbb::{Begins, CellId, Descriptor, Severity, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is wanted of services, by name.
pub(crate) const SERVICES: &str = "slee.services";
/// What is wanted of the SLEE, under one key.
const SLEE: (&str, &str) = ("slee.state", "slee");
/// Services that one replaces, the latest first. An activity that is older than so many upgrades
/// may be served by two.
const REPLACED_MAX: usize = 64;
/// While something is raised about what is not deployed here, all cells are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What an operator wants of a service, or of the SLEE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// True: active, or running.
    pub active: bool,
    /// Since when.
    pub since: Timestamp,
    /// Services that were deactivated in the same step, and whom these had replaced, and whom it
    /// had itself: it replaces them.
    #[serde(default)]
    pub instead_of: Vec<String>,
}

/// What follows from the rows, for the router.
#[derive(Debug)]
pub(crate) struct LifeCycles {
    /// False: the SLEE is stopped, or stops.
    pub running: bool,
    /// Which root entities each service, in the order of the services, may start.
    pub entrances: Vec<Entrance>,
    /// Alarms about what is not deployed here, and when that was looked at.
    alarms: BTreeSet<String>,
    looked_at: Timestamp,
    /// Something has changed since.
    looks_again: bool,
}

/// Which root entities a service may start.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// The service is active, and has not failed too often; and the SLEE runs.
    pub open: bool,
    /// It starts none where an entity of these is attached, or is to come: what the old service
    /// began is the old one's to finish.
    instead_of: Vec<String>,
}

impl Entrance {
    /// True if the service may start a root entity on this activity.
    pub fn admits(&self, cell: &Cell, activity: u32) -> bool {
        if !self.open || self.instead_of.is_empty() {
            return self.open;
        }
        let known = cell.activities.get(&activity);
        let attached = known.into_iter().flat_map(|activity| &activity.attached);
        let mut entities = attached.filter_map(|it| cell.entities.get(it));
        let is_served = entities.any(|entity| self.instead_of.contains(&entity.service));
        let to_come = |retry: &Retry| {
            self.instead_of.contains(&retry.service) && retry.first_of(activity).is_some()
        };
        let is_served = is_served || cell.retries.values().any(to_come);
        // One whose handler hung has no entity here any more, and began something all the same.
        let serves = |old: &String| {
            cell.is_tied_to(old, activity)
                || cell.head.quarantined.contains(old)
                || known.is_some_and(|activity| activity.hung_roots.contains(old))
        };
        !is_served && !self.instead_of.iter().any(serves)
    }
}

impl Entrance {
    /// True if the service takes what this one took until it was deactivated.
    pub fn is_instead_of(&self, old: &str) -> bool {
        self.open && self.instead_of.iter().any(|it| it == old)
    }
}

impl LifeCycles {
    /// True if another service takes what this one took until it was deactivated.
    pub fn is_replaced(&self, service: &str) -> bool {
        self.entrances.iter().any(|entrance| entrance.is_instead_of(service))
    }

    /// True if the service in this place takes what the old one took until it was deactivated.
    pub fn replaces(&self, place: usize, old: &str) -> bool {
        let entrance = self.entrances.get(place);
        entrance.is_some_and(|entrance| entrance.instead_of.iter().any(|it| it == old))
    }

    /// What is raised about services that are not deployed here.
    pub fn alarms(&self) -> impl Iterator<Item = &str> {
        self.alarms.iter().map(String::as_str)
    }

    /// What is deployed here has changed.
    pub fn look_again(&mut self) {
        self.looks_again = true;
    }

    /// As long as nobody has said anything.
    pub fn new(services: &[Descriptor]) -> Self {
        let entrance = |service: &Descriptor| {
            let open = service.deployment.begins == Begins::Active;
            Entrance { open, instead_of: Vec::new() }
        };
        let entrances = services.iter().map(entrance).collect();
        let (alarms, looked_at) = (BTreeSet::new(), Timestamp::ZERO);
        LifeCycles { running: true, entrances, alarms, looked_at, looks_again: false }
    }
}

impl Core {
    /// A row was written: life cycles, and levels of tracers, follow at once.
    pub(crate) fn note_row(&mut self, table: &str) {
        self.units.note_row(table, self.tables.len(table) == 0);
        match table {
            TRACE_LEVELS => self.note_trace_levels(),
            SERVICES => {
                self.note_services();
                self.forget_failures_of_activated();
                self.life_cycles.looks_again = true;
            }
            ADAPTORS => self.note_adaptors(),
            MIGRATIONS => self.note_migrations(),
            table if table == SLEE.0 => self.note_services(),
            _ => {}
        }
    }

    /// Reads the life cycles from the rows.
    pub(crate) fn note_all_life_cycles(&mut self) {
        self.note_services();
        self.note_adaptors();
        self.note_migrations();
    }

    fn note_services(&mut self) {
        let running = self.wanted(SLEE.0, SLEE.1).is_none_or(|wanted| wanted.active);
        self.life_cycles.running = running;
        let entrances = self.services.iter().map(|service| {
            let wanted = self.wanted(SERVICES, service.name);
            let instead_of = wanted.map(|wanted| wanted.instead_of).unwrap_or_default();
            let takes = self.is_wanted(service) && !self.failures.refuses(service);
            Entrance { open: running && takes, instead_of }
        });
        self.life_cycles.entrances = entrances.collect();
    }

    pub(crate) fn wanted(&self, table: &str, key: &str) -> Option<Wanted> {
        decode(self.tables.get(table, key)?).ok()
    }

    /// True if an operator wants a service of this name active, deployed here or not.
    pub(crate) fn is_wanted_active(&self, service: &str) -> bool {
        self.wanted(SERVICES, service).is_some_and(|wanted| wanted.active)
    }

    /// True if a service is active: as an operator wants it, or as it begins.
    pub(crate) fn is_active(&self, service: &str) -> bool {
        match self.deployed().find(|it| it.name == service) {
            Some(deployed) => self.is_wanted(deployed),
            None => self.is_wanted_active(service),
        }
    }

    /// Since when an operator wants it active.
    pub(crate) fn active_since(&self, service: &str) -> Option<Timestamp> {
        self.wanted(SERVICES, service).filter(|wanted| wanted.active).map(|wanted| wanted.since)
    }

    /// Since when an operator wants it inactive.
    pub(crate) fn inactive_since(&self, service: &str) -> Option<Timestamp> {
        self.wanted(SERVICES, service).filter(|wanted| !wanted.active).map(|wanted| wanted.since)
    }

    /// True if an operator wants the service active, or nobody has said anything else.
    pub(crate) fn is_wanted(&self, service: &Descriptor) -> bool {
        let begins = service.deployment.begins == Begins::Active;
        self.wanted(SERVICES, service.name).map_or(begins, |wanted| wanted.active)
    }

    /// State of the SLEE at this node.
    pub(crate) fn slee_state(&self) -> SleeState {
        match (self.life_cycles.running, self.is_member(), self.cells.is_empty()) {
            (true, true, _) => SleeState::Running,
            (true, false, _) => SleeState::Starting,
            (false, _, false) => SleeState::Stopping,
            (false, _, true) => SleeState::Stopped,
        }
    }

    /// State of a service, with the number of its entities in the cluster, and of those to come.
    pub(crate) fn service_state(&self, service: &Descriptor, entities: u64) -> ServiceState {
        match (self.is_wanted(service), entities) {
            (true, _) => ServiceState::Active,
            (false, 0) => ServiceState::Inactive,
            (false, _) => ServiceState::Stopping,
        }
    }

    /// Active services that cannot do without this one.
    pub(crate) fn needed_by(&self, service: &str) -> Vec<String> {
        let needs = |other: &&Descriptor| other.deployment.needs.contains(&service);
        let active = self.deployed().filter(|other| self.is_wanted(other));
        active.filter(needs).map(|other| other.name.to_owned()).collect()
    }

    /// The rows after which the SLEE is wanted running or stopped.
    pub(crate) fn slee_changed(&self, now: Timestamp, running: bool) -> Vec<RowChange> {
        let known = self.wanted(SLEE.0, SLEE.1).is_none_or(|wanted| wanted.active);
        let changed = known != running;
        let wanted = Wanted { active: running, since: now, instead_of: Vec::new() };
        changed.then(|| row(SLEE.0, SLEE.1, &wanted)).into_iter().collect()
    }

    /// The rows after which services are wanted active or inactive. A name may be that of a
    /// deployable unit: it stands for all services of it. What is deactivated need not be deployed
    /// here, if it is known: it may have failed to be.
    ///
    /// # Errors
    /// A service that is not known, whose dependencies would be broken, or that a member has not
    /// compiled yet.
    pub(crate) fn services_changed(
        &self,
        now: Timestamp,
        activate: &[String],
        deactivate: &[String],
    ) -> Result<Vec<RowChange>, Changed> {
        let undeployed: BTreeSet<_> =
            deactivate.iter().filter(|name| self.is_known_undeployed(name)).cloned().collect();
        let deployed = deactivate.iter().filter(|name| !undeployed.contains(*name));
        let (activate, mut deactivate) = (self.named(activate)?, self.named(deployed)?);
        deactivate.extend(undeployed.clone());
        if activate.is_empty() && deactivate.is_empty() {
            let text = "no service is named: name one to activate or to deactivate";
            return Err(Changed::Refused(text.to_owned()));
        }
        if let Some(both) = activate.intersection(&deactivate).next() {
            let text = format!("{both} is to be activated and deactivated: name it once");
            return Err(Changed::Refused(text));
        }
        let active = self.active_then(&activate, &deactivate)?;
        let mut begin = active.iter().filter(|name| activate.contains(**name));
        if let Some(reason) = begin.find_map(|name| self.lacks_unit(name)) {
            return Err(Changed::NotYet(reason));
        }
        let changed = self.deployed().filter_map(|service| {
            let is_active = active.contains(service.name);
            let before = self.wanted(SERVICES, service.name);
            // Who is activated once more begins anew, whatever it failed at before.
            let again = activate.contains(service.name);
            let stays = is_active == self.is_wanted(service) && !again;
            let mut wanted = match before.clone().filter(|_| stays) {
                Some(before) => before,
                None if stays => return None,
                None => {
                    let replaced = is_active.then_some(&deactivate);
                    let instead_of = self.replaced_by(service.name, replaced);
                    Wanted { active: is_active, since: now, instead_of }
                }
            };
            // Both at the same time is what is wanted now: neither gives way to the other one.
            wanted.instead_of.retain(|old| !(is_active && active.contains(old.as_str())));
            let is_new = before.as_ref() != Some(&wanted);
            is_new.then(|| row(SERVICES, service.name, &wanted))
        });
        let elsewhere = undeployed.iter().filter(|name| self.is_wanted_active(name));
        let elsewhere = elsewhere.map(|name| {
            let instead_of = self.replaced_by(name, None);
            row(SERVICES, name, &Wanted { active: false, since: now, instead_of })
        });
        let migrations = self.migrations_without(&active);
        Ok(changed.chain(elsewhere).chain(migrations).collect())
    }

    /// Services that are active after a change.
    ///
    /// # Errors
    /// One of them needs another that is not.
    fn active_then(
        &self,
        activate: &BTreeSet<String>,
        deactivate: &BTreeSet<String>,
    ) -> Result<BTreeSet<&'static str>, String> {
        let wanted = |service: &&Descriptor| match activate.contains(service.name) {
            true => true,
            false => self.is_wanted(service) && !deactivate.contains(service.name),
        };
        let active: BTreeSet<_> = self.deployed().filter(wanted).map(|it| it.name).collect();
        let broken = |name: &str, needed: &str| {
            format!("{name} is active and needs {needed}: deactivate {name} as well")
        };
        for service in self.deployed().filter(|service| active.contains(service.name)) {
            let mut needs = service.deployment.needs.iter();
            if let Some(lacking) = needs.find(|needed| !active.contains(**needed)) {
                let name = service.name;
                return Err(match activate.contains(name) {
                    true => format!("{name} needs {lacking}: activate {lacking} as well"),
                    false => broken(name, lacking),
                });
            }
        }
        // Another node may have deployed what waits here for others.
        let stays =
            |it: &Descriptor| self.is_wanted_active(it.name) && !deactivate.contains(it.name);
        for service in self.units.waiting().filter(stays) {
            let mut needs = service.deployment.needs.iter();
            if let Some(needed) = needs.find(|needed| deactivate.contains(**needed)) {
                return Err(broken(service.name, needed));
            }
        }
        Ok(active)
    }

    /// Whom a service replaces that is activated while these are deactivated, the latest first; or
    /// one that is deactivated itself.
    fn replaced_by(&self, service: &str, now: Option<&BTreeSet<String>>) -> Vec<String> {
        let of_row = |name: &str| {
            let wanted = self.wanted(SERVICES, name);
            wanted.map(|wanted| wanted.instead_of).unwrap_or_default()
        };
        let latest = now.into_iter().flatten();
        let before = latest.clone().flat_map(|name| of_row(name));
        let all = latest.cloned().chain(before).chain(of_row(service));
        let mut replaced: Vec<String> = Vec::new();
        for name in all {
            if name != service && !replaced.contains(&name) && replaced.len() < REPLACED_MAX {
                replaced.push(name);
            }
        }
        replaced
    }

    /// The services of these names and units.
    fn named<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<BTreeSet<String>, String> {
        let mut services = BTreeSet::new();
        for name in names {
            let found = self.services_of(name);
            if found.is_empty() {
                let known: Vec<_> = self.deployed().map(|known| known.name).collect();
                let (me, known) = (&self.config.me.node, known.join(", "));
                return Err(format!(
                    "{me} has no service or unit {name:?} deployed: deployed are {known}"
                ));
            }
            services.extend(found);
        }
        Ok(services)
    }

    /// The deployed service of this name, or those of the unit of this name.
    fn services_of(&self, name: &str) -> Vec<String> {
        match self.is_deployed(name) {
            true => vec![name.to_owned()],
            false => {
                let of_unit = self.deployed().filter(|it| it.unit() == name);
                of_unit.map(|it| it.name.to_owned()).collect()
            }
        }
    }

    /// True for a service that is not deployed here, and that an operator has spoken of, or is in
    /// an uploaded unit.
    fn is_known_undeployed(&self, name: &str) -> bool {
        let is_known = self.tables.get(SERVICES, name).is_some()
            || self.unit_rows().any(|(_, row)| row.service == name);
        is_known && self.services_of(name).is_empty()
    }

    /// Looks again whether what is not deployed here is gone.
    pub(crate) fn look_for_undeployed(&mut self, now: Timestamp) {
        let LifeCycles { alarms, looked_at, looks_again, .. } = &self.life_cycles;
        if *looks_again || !alarms.is_empty() && now.since(*looked_at) >= LOOK_EVERY {
            self.note_undeployed(now);
        }
    }

    /// The owner of a cell has changed it. While an alarm is raised, all are looked at anyway.
    pub(crate) fn note_services_of(&mut self, cell: CellId, changes: &[Change]) {
        if !self.life_cycles.alarms.is_empty() {
            return;
        }
        let Some(cell) = self.cells.get(&cell) else { return };
        let service = |change: &Change| match change.part {
            Part::Entity(number) => Some(&cell.entities.get(&number)?.service),
            Part::Retry(number) => Some(&cell.retries.get(&number)?.service),
            _ => None,
        };
        let lacks = |name: &String| !self.is_deployed(name);
        self.life_cycles.looks_again |= changes.iter().filter_map(service).any(lacks);
    }

    /// Alarms about services that are wanted, or have entities, and are not deployed here: their
    /// calls would go on without them.
    pub(crate) fn note_undeployed(&mut self, now: Timestamp) {
        self.life_cycles.looked_at = now;
        self.life_cycles.looks_again = false;
        let deployed = |name: &str| self.is_deployed(name);
        let rows = self.tables.rows(SERVICES);
        let active = rows.filter(|(_, row)| decode(row).is_ok_and(|it: Wanted| it.active));
        let wanted = active.filter(|(name, _)| !deployed(name)).map(|(name, _)| {
            format!(
                "{name} is active in the cluster and not deployed here: deploy it, or \
                     deactivate it at a node that has it"
            )
        });
        let entities = self.cells.values().flat_map(|cell| cell.entities.values());
        let to_come = self.cells.values().flat_map(|cell| cell.retries.values());
        let names = entities.map(|entity| entity.service.as_str());
        let names = names.chain(to_come.map(|retry| retry.service.as_str()));
        let orphaned: BTreeSet<_> = names.filter(|name| !deployed(name)).collect();
        let orphaned = orphaned.into_iter().map(|name| {
            format!(
                "there are entities of {name}, which is not deployed here: they get no \
                     events; deploy it until they are gone"
            )
        });
        let now_true: BTreeSet<_> = wanted.chain(orphaned).collect();
        let before = std::mem::replace(&mut self.life_cycles.alarms, now_true.clone());
        before.difference(&now_true).for_each(|text| self.clear_alarm(sources::LIFE_CYCLE, text));
        for text in now_true.difference(&before) {
            self.raise_condition(now, Severity::Major, sources::LIFE_CYCLE, text);
        }
    }
}

fn row(table: &str, key: &str, wanted: &Wanted) -> RowChange {
    let row = encode(wanted).expect("plain data can be encoded");
    let (table, key) = (table.to_owned(), key.to_owned());
    RowChange { table, key, row: Some(ByteBuf::from(row)) }
}
