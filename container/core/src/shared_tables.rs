//! Rows of the shared tables: those of the configuration, and those that were written since.
//!
//! | a key                                       | what is read                            |
//! |---------------------------------------------|-----------------------------------------|
//! | is configured, nothing was written          | the configured row                      |
//! | was written                                 | what was written last, configured or not |
//! | is configured, and was removed              | nothing                                 |
//! | was written or removed, and that was undone | the configured row, if there is one     |
//!
//! So the configuration is what a table begins with, and what was written wins until it is undone.
//! Configured rows are each node's own: they are neither replicated nor stored. That a configured
//! row was removed is kept as an empty row, which no codec writes.
//!
//! Who may write, and when, is not here (`conflicts.rs`, `table_changes.rs`).

use crate::commit::RowChange;
use crate::core::Core;
use crate::pending_rows::written_by;
use crate::resource_adaptor::Scope;
use crate::unit_rows::UNITS;
use resilee_sbb::{Effect, Tables};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;

/// Keys of which something was written that is not simply the row which is read: a configured
/// row was replaced, or one was removed.
pub(crate) type WrittenOver = BTreeSet<(String, String)>;

/// Names of the container's own tables begin so.
const OWN_TABLES: &str = "slee.";

impl Core {
    /// The shared tables, as services read them.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Puts a row (`Some`), removes a configured one (`Some`, empty), or undoes both (`None`).
    pub(crate) fn write_row(&mut self, table: &str, key: &str, row: Option<&[u8]>) {
        if self.read_facility_row(table, key, row) {
            return;
        }
        let unit = (table == UNITS).then(|| self.unit_row(key)).flatten();
        write(&mut self.tables, &self.configured, table, key, row);
        let place = (table.to_owned(), key.to_owned());
        let is_configured = self.configured.get(table, key).is_some();
        match row {
            Some(row) if row.is_empty() || is_configured => self.written_over.insert(place),
            _ => self.written_over.remove(&place),
        };
        self.note_row(table);
        if let Some(unit) = unit.filter(|_| self.tables.get(UNITS, key).is_none()) {
            self.forget_kept_of(&unit);
        }
    }

    /// What removes a row: a configured one stays away.
    pub(crate) fn removal(&self, table: &str, key: &str) -> RowChange {
        let configured = self.configured.get(table, key).is_some();
        let row = configured.then(ByteBuf::new);
        RowChange { table: table.to_owned(), key: key.to_owned(), row }
    }

    /// True if the row that is read is the configuration's.
    pub(crate) fn is_configured(&self, table: &str, key: &str) -> bool {
        let place = (table.to_owned(), key.to_owned());
        self.configured.get(table, key).is_some() && !self.written_over.contains(&place)
    }

    /// All that was written, for a snapshot, and what the facilities keep in the same way.
    pub(crate) fn snapshot_rows(&self) -> Vec<RowChange> {
        let names: Vec<_> = self.tables.names().map(str::to_owned).collect();
        let rows = names.iter().flat_map(|table| {
            let written = |(key, _): &(&str, &[u8])| !self.is_configured(table, key);
            self.tables.rows(table).filter(written).map(move |(key, row)| RowChange {
                table: table.clone(),
                key: key.to_owned(),
                row: Some(ByteBuf::from(row)),
            })
        });
        let removed = self.written_over.iter();
        let removed = removed.filter(|(table, key)| self.tables.get(table, key).is_none());
        let removed = removed.map(|(table, key)| RowChange {
            table: table.clone(),
            key: key.clone(),
            row: Some(ByteBuf::new()),
        });
        rows.chain(removed).chain(self.facility_rows()).collect()
    }

    /// Drops all that was written.
    pub(crate) fn forget_written_rows(&mut self) {
        self.written_over.clear();
        self.tables = with_profiles(&self.configured, &self.services);
        self.note_all_life_cycles();
        self.note_trace_levels();
        self.forget_facilities();
    }
}

/// Why a delivery may not write its rows.
pub(crate) fn refuse_rows(scope: Scope, effects: &[Effect]) -> Option<String> {
    let mut written = effects.iter().filter_map(written_by).peekable();
    written.peek()?;
    if scope != Scope::Tables {
        return Some("a shared table is written outside a cell of the tables' cohort".to_owned());
    }
    let (table, key) = written.find(|(table, _)| table.starts_with(OWN_TABLES))?;
    Some(format!(
        "{table} is the container's own table: a service cannot write {key:?} in it; choose a \
         name that does not begin with {OWN_TABLES}"
    ))
}

/// What is read once a row is written.
pub(crate) fn write(
    tables: &mut Tables,
    configured: &Tables,
    table: &str,
    key: &str,
    row: Option<&[u8]>,
) {
    match row.or_else(|| Some(configured.get(table, key)?)) {
        Some(row) if !row.is_empty() => tables.put(table, key, row.to_vec()),
        _ => drop(tables.remove(table, key)),
    }
}

/// The configured rows, with the indexes of the profile tables that services name.
pub(crate) fn with_profiles(configured: &Tables, services: &[resilee_sbb::Descriptor]) -> Tables {
    let mut tables = configured.clone();
    for table in services.iter().flat_map(|service| service.deployment.profile_tables) {
        tables.declare(table);
    }
    tables
}
