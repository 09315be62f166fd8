//! The shared tables (registrations, accounts, tariffs, …) as one immutable snapshot.
//!
//! Cloning is cheap and a clone never changes, so a delivery reads on another thread while the
//! container writes the next version. Who may write, and how a row is replicated, is not here.

use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

type Rows = RedBlackTreeMapSync<String, Arc<[u8]>>;

/// All tables by name; rows by key, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    tables: RedBlackTreeMapSync<String, Rows>,
}

impl Tables {
    /// The encoded row, if there is one.
    pub fn get(&self, table: &str, key: &str) -> Option<&Arc<[u8]>> {
        self.tables.get(table)?.get(key)
    }

    /// The rows of one table in the order of their keys; nothing for an unknown table.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&str, &[u8])> {
        let rows = self.tables.get(table).into_iter();
        rows.flat_map(|rows| rows.iter().map(|(key, row)| (key.as_str(), &row[..])))
    }

    /// Names of all tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Number of rows of one table.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, RedBlackTreeMapSync::size)
    }

    /// True if no table has a row.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(RedBlackTreeMapSync::is_empty)
    }

    /// Adds or replaces a row.
    pub fn put(&mut self, table: &str, key: &str, row: Vec<u8>) {
        let mut rows = self.tables.get(table).cloned().unwrap_or_default();
        rows.insert_mut(key.to_owned(), row.into());
        self.tables.insert_mut(table.to_owned(), rows);
    }

    /// Removes a row; false if there was none.
    pub fn remove(&mut self, table: &str, key: &str) -> bool {
        let Some(mut rows) = self.tables.get(table).cloned() else { return false };
        let removed = rows.remove_mut(key);
        self.tables.insert_mut(table.to_owned(), rows);
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_its_rows_while_the_table_changes() {
        let mut tables = Tables::default();
        tables.put("t", "b", vec![2]);
        tables.put("t", "a", vec![1]);
        let before = tables.clone();
        assert!(tables.remove("t", "a"));
        tables.put("t", "b", vec![3]);
        let rows: Vec<_> = before.rows("t").collect();
        assert_eq!(rows, [("a", &[1][..]), ("b", &[2][..])]);
        assert_eq!(tables.rows("t").collect::<Vec<_>>(), [("b", &[3][..])]);
        assert!(!tables.remove("t", "a") && !tables.remove("u", "a"));
    }
}
