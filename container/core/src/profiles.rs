//! Profiles (JAIN SLEE 1.1 chapter 10): what an operator writes into profile tables, and what is
//! shown of them.
//!
//! Schema and indexes are not here (`resilee_sbb::ProfileTable`, `Tables`), nor how a change
//! becomes a commit (`table_changes.rs`).

use crate::commit::RowChange;
use crate::core::Core;
use crate::management::{ProfileSource, ProfileStatus, ProfileTableStatus};
use resilee_sbb::{CellId, Effect, Profile, ProfileTable, Tables};
use serde_bytes::ByteBuf;

impl Core {
    /// The row that makes a profile what it is to be. A secret that is not given stays.
    pub(crate) fn profile_put(
        &self,
        table: &str,
        name: &str,
        mut profile: Profile,
    ) -> Result<Vec<RowChange>, String> {
        let table = self.known_profile_table(table)?;
        table.complete(name, &mut profile);
        let old = self.tables.get(table.name, name).cloned();
        let known = old.as_ref().and_then(|row| Profile::from_row(row).ok()).unwrap_or_default();
        for secret in table.attributes.iter().filter(|attribute| attribute.secret) {
            if let Some(value) = known.attributes.get(secret.name) {
                let given = profile.attributes.entry(secret.name.to_owned());
                given.or_insert_with(|| value.clone());
            }
        }
        let checked = self.tables.check_profile(&table, name, &profile);
        checked.map_err(|error| error.to_string())?;
        let row = profile.to_row();
        if old.is_some_and(|old| old[..] == row[..]) {
            return Ok(Vec::new());
        }
        let (table, key) = (table.name.to_owned(), name.to_owned());
        Ok(vec![RowChange { table, key, row: Some(ByteBuf::from(row)) }])
    }

    /// The row that removes a profile; nothing if there is none.
    pub(crate) fn profile_removed(
        &self,
        table: &str,
        name: &str,
    ) -> Result<Vec<RowChange>, String> {
        let table = self.known_profile_table(table)?;
        let known = self.tables.get(table.name, name).is_some();
        Ok(known.then(|| self.removal(table.name, name)).into_iter().collect())
    }

    /// The row that makes a profile what the configuration says.
    pub(crate) fn profile_reset(&self, table: &str, name: &str) -> Result<Vec<RowChange>, String> {
        let table = self.known_profile_table(table)?;
        let Some(row) = self.configured.get(table.name, name) else {
            let error =
                table.error(name, None, "it is not in the configuration: remove it instead");
            return Err(error.to_string());
        };
        if self.is_configured(table.name, name) {
            return Ok(Vec::new());
        }
        if let Some(wrong) = wrong_in(&self.tables, table.name, name, row) {
            return Err(wrong);
        }
        let (table, key) = (table.name.to_owned(), name.to_owned());
        Ok(vec![RowChange { table, key, row: None }])
    }

    fn known_profile_table(&self, table: &str) -> Result<ProfileTable, String> {
        self.tables.profile_table(table).copied().ok_or_else(|| {
            let known: Vec<_> = self.tables.profile_tables().map(|known| known.name).collect();
            format!("there is no profile table {table:?}: known are {}", known.join(", "))
        })
    }

    /// Rows that a delivery writes into profile tables must be profiles of them, each beside those
    /// before it: what is wrong.
    pub(crate) fn check_profile_effects(&self, id: CellId, effects: &[Effect]) -> Option<String> {
        let mut tables = self.tables_in_turn(id).into_owned();
        effects.iter().find_map(|effect| {
            match effect {
                Effect::PutRow { table, key, row } => {
                    let wrong = wrong_in(&tables, table, key, row);
                    tables.put(table, key, row.clone());
                    return wrong;
                }
                Effect::RemoveRow { table, key } => drop(tables.remove(table, key)),
                _ => {}
            }
            None
        })
    }

    /// The profile tables with their sizes.
    pub fn profile_tables(&self) -> Vec<ProfileTableStatus> {
        let tables = self.tables.profile_tables();
        let status = |table: &ProfileTable| ProfileTableStatus {
            table: *table,
            profiles: self.tables.len(table.name),
        };
        tables.map(status).collect()
    }

    /// Profiles of a table by name, from `from` on, at most `limit`; `None` for no such table.
    pub fn profiles(&self, table: &str, from: &str, limit: usize) -> Option<Vec<ProfileStatus>> {
        self.tables.profile_table(table)?;
        let rows = self.tables.rows_from(table, from).take(limit);
        let status = |(name, row): (&str, &[u8])| ProfileStatus {
            name: name.to_owned(),
            // A row that is no profile is shown without attributes.
            profile: Profile::from_row(row).unwrap_or_default(),
            source: match (self.is_configured(table, name), self.configured.get(table, name)) {
                (true, _) => ProfileSource::Configured,
                (false, Some(_)) => ProfileSource::WrittenOver,
                (false, None) => ProfileSource::Written,
            },
        };
        Some(rows.map(status).collect())
    }
}

/// What is wrong with a row, if it is that of a profile table.
fn wrong_in(tables: &Tables, table: &str, key: &str, row: &[u8]) -> Option<String> {
    let known = tables.profile_table(table)?;
    let profile = match Profile::from_row(row) {
        Ok(profile) => profile,
        Err(error) => return Some(known.error(key, None, error.to_string()).to_string()),
    };
    tables.check_profile(known, key, &profile).err().map(|error| error.to_string())
}
