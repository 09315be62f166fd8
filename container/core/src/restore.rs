//! What a store held becomes cells, rows and records again.
//!
//! What cannot be read is an alarm, and the rest goes on without it. Who owns what was restored is
//! not here: a view says so (`takeover.rs`).

use crate::alarms::sources;
use crate::commit::{Change, Part, RowChange};
use crate::core::Core;
use crate::store::Restored;
use resilee_sbb::{CellId, Severity, Timestamp, decode};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

impl Core {
    /// Loads what the store held; nothing of it is owned before a view says so.
    pub(crate) fn restore(&mut self, now: Timestamp, restored: Restored) {
        self.writes.journals = restored.journals;
        for notice in restored.notices {
            self.raise_alarm(now, Severity::Major, sources::STORE, &notice);
        }
        let mut parts: BTreeMap<CellId, Vec<Change>> = BTreeMap::new();
        for (key, value) in restored.cells {
            match Part::from_store_key(&key) {
                Some((cell, Part::Record)) => match decode(&value) {
                    Ok(record) => self.unpublished.push((cell, record)),
                    Err(_) => self.raise_unread(now, "a stored record cannot be read"),
                },
                Some((cell, part)) => {
                    let value = Some(ByteBuf::from(value));
                    parts.entry(cell).or_default().push(Change { part, value });
                }
                None => self.raise_unread(now, "a stored cell has a key of no cell"),
            }
        }
        for (cell, changes) in parts {
            if self.apply_changes(cell, &changes).is_err() {
                self.raise_unread(now, &format!("the stored cell {cell} cannot be read"));
                self.cells.remove(&cell);
            }
        }
        for (key, row) in restored.tables {
            match RowChange::from_store_key(&key) {
                Some((table, key)) => self.write_row(&table, &key, Some(&row)),
                None => self.raise_unread(now, "a stored row has a key of no table"),
            }
        }
    }

    fn raise_unread(&mut self, now: Timestamp, text: &str) {
        self.raise_alarm(now, Severity::Major, sources::STORE, text);
    }
}
