//! Profile tables whose rows a removed unit has left. Rows are of a schema that nobody has any
//! more: nothing else tells that they are profiles, and which attributes nobody was to see.
//!
//! | a unit is removed         | and                            | what is kept                    |
//! |---------------------------|--------------------------------|---------------------------------|
//! | there are profiles of it  |                                | its service, and the attributes |
//! |                           |                                | that it declared secret         |
//! |                           | another one had left some      | what it declared secret besides |
//! |                           | no more is kept, and some of   | it is not removed               |
//! |                           | its attributes are secret      |                                 |
//! | none are left of a table  |                                | nothing of that                 |
//!
//! Who declares such a table next gets its profiles, and declares as secret what was
//! (`unit_check.rs`): what a table has without secrets, whoever declares it may read.
//!
//! Earlier versions kept the service only. What it declared secret is known again once it is
//! uploaded and removed once more; until then no other service that declares such a table is
//! uploaded. One that is there stays: without it its node would not start.

use crate::commit::RowChange;
use crate::core::Core;
use crate::unit_rows::{Row, put, removed};
use resilee_sbb::{Descriptor, PROFILE_TABLES_MAX, Profile, ProfileTable, decode, encode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// They by their names.
const LEFT_TABLES: &str = "slee.left-profile-tables";
/// Tables of which it is kept that units have left them.
const LEFT_TABLES_MAX: usize = 4 * PROFILE_TABLES_MAX;

/// A table that was left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftTable {
    /// The service that declared it, the last one whose declaration made more secret.
    pub service: String,
    /// Names of attributes that are secret.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// What this service declared secret is not known: there may be more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_of_earlier_version: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl LeftTable {
    /// Earlier versions kept the service only.
    fn read(row: &[u8]) -> Option<Self> {
        let earlier = || {
            let (service, secrets) = (decode(row).ok()?, BTreeSet::new());
            Some(LeftTable { service, secrets, is_of_earlier_version: true })
        };
        decode(row).ok().or_else(earlier)
    }

    /// The same, once another service has left it, too.
    fn and(mut self, service: &str, secrets: impl IntoIterator<Item = String>) -> Self {
        let known = self.secrets.len();
        self.secrets.extend(secrets);
        self.is_of_earlier_version &= self.service != service;
        let says_more = self.secrets.len() > known && !self.is_of_earlier_version;
        if self.service.is_empty() || says_more {
            service.clone_into(&mut self.service);
        }
        self
    }

    /// An attribute that was secret, and is not in this declaration.
    pub fn shown_by(&self, table: &ProfileTable) -> Option<&str> {
        let declared: BTreeSet<_> = secrets(table).collect();
        self.secrets.iter().find(|it| !declared.contains(*it)).map(String::as_str)
    }
}

fn secrets(table: &ProfileTable) -> impl Iterator<Item = String> {
    table.attributes.iter().filter(|it| it.secret).map(|it| it.name.to_owned())
}

impl Core {
    /// What is kept of a table that a removed unit has left.
    pub(crate) fn left_table(&self, name: &str) -> Option<LeftTable> {
        LeftTable::read(self.tables.get(LEFT_TABLES, name)?)
    }

    /// What is in the way of a service that is compiled and about to be uploaded.
    pub fn in_the_way_of_upload(&self, service: &Descriptor) -> Option<String> {
        self.in_the_way(service).or_else(|| self.unknown_secrets(service))
    }

    /// A table of this service in which somebody has left what may be secret.
    fn unknown_secrets(&self, service: &Descriptor) -> Option<String> {
        let declares = |it: &Descriptor, name: &str| {
            it.deployment.profile_tables.iter().any(|table| table.name == name)
        };
        let tables = service.deployment.profile_tables.iter().map(|table| table.name);
        let mut left = tables.filter(|table| self.is_left(table)).filter_map(|table| {
            let left = self.left_table(table).filter(|it| it.is_of_earlier_version)?;
            let is_other = left.service != service.name;
            (is_other && !self.deployed().any(|it| declares(it, table))).then_some((table, left))
        });
        left.next().map(|(table, LeftTable { service, .. })| {
            format!(
                "it declares the profile table {table}, in which {service} has left profiles while \
                 an earlier build ran, which did not keep what of them is secret: upload {service} \
                 once more and remove it, then that is known"
            )
        })
    }

    /// The rows after which it is kept what profile tables a service has left, and no more of those
    /// that nothing is left of.
    ///
    /// # Errors
    /// There is no room for that.
    pub(crate) fn left_tables_changed(&self, unit: &Row) -> Result<Vec<RowChange>, String> {
        let service = unit.service.as_str();
        let mut changes = Vec::new();
        let mut kept = 0;
        for (table, _) in self.tables.rows(LEFT_TABLES) {
            match self.tables.len(table) == 0 {
                true => changes.push(removed(LEFT_TABLES, table)),
                false => kept += 1,
            }
        }
        // It may be deployed at another node only, where its profiles were written.
        let here = self.deployed().copied().chain(self.units.waiting());
        let of_service = here.into_iter().find(|it| it.name == service);
        let declared = of_service.into_iter().flat_map(|it| it.deployment.profile_tables);
        let mut left: BTreeMap<&str, BTreeSet<String>> = declared
            .filter(|table| self.is_left(table.name) || self.has_profiles_of(table))
            .map(|table| (table.name, secrets(table).collect()))
            .collect();
        // Nobody else knows of them where it was never compiled.
        let of_row = unit.secrets.iter().filter(|(table, _)| self.tables.len(table) > 0);
        for (table, secrets) in of_row {
            left.entry(table).or_default().extend(secrets.iter().cloned());
        }
        for (table, secrets) in left {
            let known = self.left_table(table).filter(|_| self.tables.len(table) > 0);
            let left = known.clone().unwrap_or_default().and(service, secrets);
            if known.is_none() && kept >= LEFT_TABLES_MAX {
                match left.secrets.is_empty() {
                    true => continue,
                    false => return Err(no_room(service, table)),
                }
            }
            kept += usize::from(known.is_none());
            if known.as_ref() != Some(&left) {
                let row = encode(&left).expect("plain data can be encoded");
                changes.push(put(LEFT_TABLES, table.to_owned(), row));
            }
        }
        Ok(changes)
    }

    fn is_left(&self, table: &str) -> bool {
        self.tables.get(LEFT_TABLES, table).is_some() && self.tables.len(table) > 0
    }

    /// True if a row under the name of a table is a profile of its schema.
    pub(crate) fn has_profiles_of(&self, table: &ProfileTable) -> bool {
        self.tables.rows(table.name).any(|(key, row)| {
            Profile::from_row(row).is_ok_and(|profile| table.check(key, &profile).is_ok())
        })
    }
}

fn no_room(service: &str, table: &str) -> String {
    format!(
        "{service} would leave profiles with secrets in {}, and {LEFT_TABLES_MAX} tables are left \
         already: remove those profiles before",
        table
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::{Attribute, AttributeKind};

    const SHOWN: &[Attribute] = &[Attribute::new("pin", AttributeKind::Flag)];
    const SECRET: &[Attribute] = &[SHOWN[0].secret()];

    const fn table(attributes: &'static [Attribute]) -> ProfileTable {
        ProfileTable {
            name: "pins",
            about: "",
            attributes,
            named_by: &[],
            separator: "",
            profiles_max: 1,
        }
    }

    #[test]
    fn what_earlier_versions_kept_is_read() {
        let earlier = LeftTable::read(&encode(&"vault").expect("plain data"));
        let vault = LeftTable { service: "vault".to_owned(), ..LeftTable::default() };
        let known = LeftTable { is_of_earlier_version: true, ..vault.clone() };
        assert_eq!(earlier.as_ref(), Some(&known));
        assert_eq!(known.shown_by(&table(SHOWN)), None);
        let more = known.clone().and("safe", secrets(&table(SECRET)));
        assert!(more.is_of_earlier_version && more.service == "vault", "{more:?}");
        assert_eq!(LeftTable::read(&encode(&more).expect("plain data")), Some(more));
        assert!(!known.and("vault", secrets(&table(SECRET))).is_of_earlier_version);
        let more = vault.and("safe", secrets(&table(SECRET)));
        assert_eq!(LeftTable::read(&encode(&more).expect("plain data")), Some(more.clone()));
        assert_eq!(more.service, "safe");
        for attributes in [&[][..], SHOWN] {
            assert_eq!(more.shown_by(&table(attributes)), Some("pin"));
        }
        assert_eq!(more.clone().and("spare", secrets(&table(SHOWN))), more);
    }
}
