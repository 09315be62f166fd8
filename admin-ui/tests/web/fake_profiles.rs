//! Profile tables of the fake node: tariffs and accounts, changed at once by what it is told.

use crate::fake_node::FakeNode;
use resilee_call_billing::TARIFF_PROFILES;
use resilee_core::management::{
    AdaptorOrder, AdaptorState, Answer, Changed, MigrationStatus, ProfileSource, ProfileStatus,
    ProfileTableStatus, ServiceState, SleeState, TableChange, UsageStatus,
};
use resilee_sbb::{Profile, ProfileTable, encode};
use resilee_sip_api::{ACCOUNT_PROFILES, Account};
use std::collections::BTreeMap;

/// Profiles by table and name.
pub type Profiles = BTreeMap<(&'static str, String), ProfileStatus>;

/// An account of alice, and the default tariff.
pub fn configured(tariff: &resilee_call_billing::Tariff) -> Profiles {
    let alice = Account::with_password("alice", "example.org", "secret");
    let rows = [
        ("accounts", "alice@example.org", encode(&alice).expect("plain")),
        ("tariffs", "", encode(tariff).expect("plain")),
    ];
    let rows = rows.map(|(table, name, row)| {
        let profile = Profile::from_row(&row).expect("a profile");
        let source = ProfileSource::Configured;
        ((table, name.to_owned()), ProfileStatus { name: name.to_owned(), profile, source })
    });
    rows.into()
}

fn known() -> [ProfileTable; 2] {
    [ACCOUNT_PROFILES, TARIFF_PROFILES]
}

impl FakeNode {
    pub fn profile_tables(&self) -> Answer {
        let rows =
            |table: &ProfileTable| self.profiles.keys().filter(|k| k.0 == table.name).count();
        let status = |table| ProfileTableStatus { table, profiles: rows(&table) };
        Answer::ProfileTables(known().map(status).to_vec())
    }

    pub fn profiles_of(&self, table: &str, from: &str, limit: usize) -> Answer {
        let rows = self.profiles.iter().filter(|((of, _), _)| *of == table);
        let rows = rows.filter(|((_, name), _)| name.as_str() >= from).take(limit);
        let exists = known().iter().any(|known| known.name == table);
        Answer::Profiles(exists.then(|| rows.map(|(_, row)| row.clone()).collect()))
    }

    /// Makes the change, unless it has another answer to give.
    pub fn change(&mut self, change: TableChange) -> Answer {
        if let Some(changed) = &self.changed {
            return Answer::Changed(changed.clone());
        }
        let name_of = |table: &str| known().iter().find(|k| k.name == table).expect("known").name;
        match change {
            TableChange::PutProfile { table, name, profile } => {
                let row =
                    ProfileStatus { name: name.clone(), profile, source: ProfileSource::Written };
                self.profiles.insert((name_of(&table), name), row);
            }
            TableChange::RemoveProfile { table, name } => {
                self.profiles.remove(&(name_of(&table), name));
            }
            TableChange::ResetProfile { table, name } => {
                let known = self.profiles.get_mut(&(name_of(&table), name)).expect("it is there");
                known.source = ProfileSource::Configured;
            }
            TableChange::Services { activate, deactivate } => {
                for service in &mut self.status.services {
                    if activate.contains(&service.name) {
                        service.state = ServiceState::Active;
                    } else if deactivate.contains(&service.name) {
                        service.state = ServiceState::Stopping;
                    }
                }
            }
            TableChange::PutUnitPart { part, bytes, .. } => self.put_unit_part(part, &bytes),
            TableChange::PutUnit { unit, service, bytes, .. } => {
                return Answer::Changed(self.put_unit(unit, service, bytes));
            }
            TableChange::RemoveUnit { unit } => return Answer::Changed(self.remove_unit(&unit)),
            TableChange::ClearAlarm { id } => {
                let before = self.status.alarms.len();
                self.status.alarms.retain(|alarm| alarm.id != id || alarm.lasting);
                if self.status.alarms.len() == before {
                    let reason = format!("no alarm {id} is raised at this node");
                    return Answer::Changed(Changed::Refused(reason));
                }
            }
            TableChange::ResetUsage { service } => {
                let known = self.status.services.iter_mut().find(|known| known.name == service);
                if let Some(known) = known {
                    known.usage = Some(UsageStatus::default());
                }
            }
            TableChange::TraceLevel { tracer, level } => {
                let known = self.status.tracers.iter_mut().find(|known| known.name == tracer);
                let Some(known) = known else {
                    let reason = format!("there is no tracer {tracer:?}");
                    return Answer::Changed(Changed::Refused(reason));
                };
                known.given = level;
                known.effective = level.unwrap_or_default();
            }
            TableChange::Migrate { from, to } => {
                let service = self.status.services.iter_mut().find(|it| it.name == from);
                let Some(service) = service else {
                    let reason = format!("server1 has no service {from:?} deployed");
                    return Answer::Changed(Changed::Refused(reason));
                };
                service.migration = to.map(|to| MigrationStatus {
                    to,
                    moved: 2,
                    stayed: 1,
                    reasons: [("it is not to move yet".to_owned(), 1)].into(),
                    done: false,
                });
            }
            TableChange::Remove(removal) => self.removed.push(removal),
            TableChange::Adaptor { name, order } => {
                let adaptors = self.status.adaptors.iter_mut();
                let adaptor = adaptors.into_iter().find(|it| it.name == name).expect("it is there");
                match order {
                    AdaptorOrder::Activate => adaptor.state = AdaptorState::Active,
                    AdaptorOrder::Deactivate => adaptor.state = AdaptorState::Stopping,
                    AdaptorOrder::Remove => adaptor.state = AdaptorState::Inactive,
                    AdaptorOrder::Configure { properties } => adaptor.properties = properties,
                    AdaptorOrder::QueryLiveness => adaptor.activities += 1,
                }
            }
            TableChange::Slee { running } => {
                self.status.slee = if running { SleeState::Running } else { SleeState::Stopped };
            }
        }
        Answer::Changed(Changed::Done)
    }
}
