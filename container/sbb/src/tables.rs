//! The shared tables (registrations, profiles, …) as one immutable snapshot.
//!
//! Cloning is cheap and a clone never changes, so a delivery reads on another thread while the
//! container writes the next version. A profile table that was declared has an index of each
//! attribute that it is searched by; it is kept with each write, and is neither replicated nor
//! stored. Who may write, and how a row is replicated, is not here.
//!
//! The tables of a unit are empty, and have a [`Host`] that is asked for what a handler reads.

use crate::descriptor::Descriptor;
use crate::host::{Host, names_of, rows_of};
use crate::profile::{Index, Profile, ProfileError, ProfileTable};
use crate::profile_value::AttributeValue;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use std::ops::Bound;
use std::sync::Arc;

type Rows = RedBlackTreeMapSync<String, Arc<[u8]>>;

/// All tables by name; rows by key, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    tables: RedBlackTreeMapSync<String, Rows>,
    profiles: RedBlackTreeMapSync<String, Declared>,
    host: Option<HostOfUnit>,
}

/// Who has the rows, of the tables of a unit.
#[derive(Clone, Copy, Debug)]
struct HostOfUnit(&'static dyn Host);

impl PartialEq for HostOfUnit {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.0, other.0)
    }
}

impl Eq for HostOfUnit {}

/// A profile table with the indexes of its attributes: value, a zero byte, name of the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Declared {
    table: ProfileTable,
    indexes: RedBlackTreeMapSync<String, RedBlackTreeSetSync<String>>,
}

impl Tables {
    /// The empty tables of a node with these services: for tests of a service.
    pub fn of(services: &[Descriptor]) -> Self {
        let mut tables = Tables::default();
        for table in services.iter().flat_map(|service| service.deployment.profile_tables) {
            tables.declare(table);
        }
        tables
    }

    /// The tables of a delivery within a unit: rows that are read are asked for, and stay in memory
    /// as long as the unit's instance, which is for this delivery.
    pub fn of_host(host: &'static dyn Host) -> Self {
        Tables { host: Some(HostOfUnit(host)), ..Tables::default() }
    }

    /// Who is asked, within a unit.
    pub(crate) fn host(&self) -> Option<&'static dyn Host> {
        self.host.map(|host| host.0)
    }

    /// The encoded row, if there is one.
    pub fn get(&self, table: &str, key: &str) -> Option<&Arc<[u8]>> {
        if let Some(host) = self.host() {
            return host.row(table, key).map(|row| &*Box::leak(Box::new(row.into())));
        }
        self.tables.get(table)?.get(key)
    }

    /// The rows of one table in the order of their keys; nothing for an unknown table.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&str, &[u8])> {
        self.rows_from(table, "")
    }

    /// The rows of one table whose keys are not less than `from`.
    pub fn rows_from<'t>(
        &'t self,
        table: &str,
        from: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t [u8])> {
        let of_host = self.host().into_iter().flat_map({
            let table = table.to_owned();
            move |host| rows_of(host, table.clone(), from)
        });
        let range = (Bound::Included(from), Bound::Unbounded);
        let rows = self.tables.get(table).into_iter();
        let rows = rows.flat_map(move |rows| rows.range::<str, _>(range));
        rows.map(|(key, row)| (key.as_str(), &row[..])).chain(of_host)
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
        self.index_write(table, key, Some(&row));
        let mut rows = self.tables.get(table).cloned().unwrap_or_default();
        rows.insert_mut(key.to_owned(), row.into());
        self.tables.insert_mut(table.to_owned(), rows);
    }

    /// Removes a row; false if there was none.
    pub fn remove(&mut self, table: &str, key: &str) -> bool {
        self.index_write(table, key, None);
        let Some(mut rows) = self.tables.get(table).cloned() else { return false };
        let removed = rows.remove_mut(key);
        self.tables.insert_mut(table.to_owned(), rows);
        removed
    }

    /// Declares a profile table: its rows, also those that are there, are found by its indexes.
    pub fn declare(&mut self, table: &ProfileTable) {
        let index = |it: &crate::Attribute| (it.name.to_owned(), RedBlackTreeSetSync::default());
        let indexes = table.indexed().map(index).collect();
        self.profiles.insert_mut(table.name.to_owned(), Declared { table: *table, indexes });
        let read = |(name, row): (&str, &[u8])| (name.to_owned(), read(row));
        let all: Vec<_> = self.rows(table.name).map(read).collect();
        for (name, profile) in all {
            self.index(table.name, &name, &Profile::default(), &profile);
        }
    }

    /// A profile table is not one any more: its indexes go, and its rows stay, for whoever declares
    /// it again.
    pub fn undeclare(&mut self, table: &str) {
        self.profiles.remove_mut(table);
    }

    /// The declared profile tables in the order of their names.
    pub fn profile_tables(&self) -> impl Iterator<Item = &ProfileTable> {
        self.profiles.values().map(|declared| &declared.table)
    }

    /// True if a profile table was declared.
    pub fn has_profile_table(&self, table: &str) -> bool {
        match self.host() {
            Some(host) => host.has_profile_table(table),
            None => self.profiles.contains_key(table),
        }
    }

    /// A profile table, if it was declared.
    pub fn profile_table(&self, table: &str) -> Option<&ProfileTable> {
        self.profiles.get(table).map(|declared| &declared.table)
    }

    /// Names of the profiles whose attribute has this value; `None` if there is no such index. It
    /// costs what it finds, whatever the table has besides.
    pub fn find(
        &self,
        table: &str,
        attribute: &str,
        value: &AttributeValue,
    ) -> Option<impl Iterator<Item = &str> + use<'_>> {
        let (asked, own) = match self.host() {
            Some(host) => (Some(names_of(host, table, attribute, value)?), None),
            None => (None, Some(self.find_after(table, attribute, &value.to_string(), "")?)),
        };
        Some(own.into_iter().flatten().chain(asked.into_iter().flatten()))
    }

    /// The same behind the profile of a name: the next ones, for a unit.
    pub fn find_after(
        &self,
        table: &str,
        attribute: &str,
        value: &str,
        after: &str,
    ) -> Option<impl Iterator<Item = &str> + use<'_>> {
        let index = self.profiles.get(table)?.indexes.get(attribute)?;
        let (first, end) = (format!("{value}\0{after}"), format!("{value}\u{1}"));
        let found = index.range::<String, _>((Bound::Excluded(first), Bound::Excluded(end)));
        Some(found.filter_map(|entry| Some(entry.split_once('\0')?.1)))
    }

    /// Checks whether a table takes a profile: by its schema, by what is unique, and by its size.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check_profile(
        &self,
        table: &ProfileTable,
        name: &str,
        profile: &Profile,
    ) -> Result<(), ProfileError> {
        table.check(name, profile)?;
        for attribute in table.indexed().filter(|attribute| attribute.index == Index::Unique) {
            let Some(value) = profile.attributes.get(attribute.name) else { continue };
            let mut found = self.find(table.name, attribute.name, value).into_iter().flatten();
            if let Some(other) = found.find(|other| *other != name) {
                let what = format!("profile {other:?} has this value: give another one");
                return Err(table.error(name, Some(attribute.name), what));
            }
        }
        let max = table.profiles_max;
        if self.len(table.name) >= max && self.get(table.name, name).is_none() {
            let what = format!("the table is full ({max} profiles): remove one first");
            return Err(table.error(name, None, what));
        }
        Ok(())
    }

    /// Keeps the indexes: `row` is about to replace what is there.
    fn index_write(&mut self, table: &str, key: &str, row: Option<&[u8]>) {
        if self.profiles.get(table).is_some_and(|declared| declared.indexes.size() > 0) {
            let old = self.get(table, key).map(|row| read(row)).unwrap_or_default();
            self.index(table, key, &old, &row.map(read).unwrap_or_default());
        }
    }

    fn index(&mut self, table: &str, key: &str, old: &Profile, new: &Profile) {
        let Some(mut declared) = self.profiles.get(table).cloned() else { return };
        for attribute in declared.table.indexed() {
            let name = attribute.name;
            let entry = |of: &Profile| of.attributes.get(name).map(|it| format!("{it}\0{key}"));
            let (old, new) = (entry(old), entry(new));
            if old == new {
                continue;
            }
            let mut index = declared.indexes.get(name).cloned().unwrap_or_default();
            if let Some(entry) = old {
                index.remove_mut(&entry);
            }
            if let Some(entry) = new {
                index.insert_mut(entry);
            }
            declared.indexes.insert_mut(name.to_owned(), index);
        }
        self.profiles.insert_mut(table.to_owned(), declared);
    }
}

/// A row that is no profile is found by its name only.
fn read(row: &[u8]) -> Profile {
    Profile::from_row(row).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, AttributeKind};

    const PHONES: ProfileTable = ProfileTable {
        name: "phones",
        about: "",
        attributes: &[
            Attribute::new("owner", AttributeKind::Text { chars_max: 20 }).indexed(),
            Attribute::new("number", AttributeKind::Number { min: 0, max: 999 }).unique(),
        ],
        named_by: &[],
        separator: "",
        profiles_max: 3,
    };

    fn phone(owner: &str, number: i64) -> Profile {
        let pairs = [("owner", AttributeValue::from(owner)), ("number", number.into())];
        Profile { attributes: pairs.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    fn found(tables: &Tables, owner: &str) -> Vec<String> {
        let found = tables.find("phones", "owner", &owner.into()).expect("an index");
        found.map(str::to_owned).collect()
    }

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

    #[test]
    fn an_index_follows_each_write_and_a_snapshot_has_its_own() {
        let mut tables = Tables::default();
        tables.put("phones", "old", phone("ann", 1).to_row());
        tables.declare(&PHONES);
        tables.put("phones", "new", phone("ann", 2).to_row());
        tables.put("phones", "other", phone("anna", 3).to_row());
        assert_eq!(found(&tables, "ann"), ["new", "old"]);
        let before = tables.clone();
        tables.put("phones", "new", phone("bob", 2).to_row());
        tables.remove("phones", "old");
        assert_eq!(found(&tables, "ann"), Vec::<String>::new());
        assert_eq!(found(&tables, "bob"), ["new"]);
        assert_eq!(found(&before, "ann"), ["new", "old"]);
        assert!(tables.find("phones", "colour", &"red".into()).is_none(), "no such index");
    }

    #[test]
    fn a_unique_value_and_the_size_of_a_table_are_checked() {
        let mut tables = Tables::default();
        tables.declare(&PHONES);
        tables.put("phones", "a", phone("ann", 1).to_row());
        let taken = tables.check_profile(&PHONES, "b", &phone("bob", 1)).unwrap_err();
        let text = "profile \"b\" of phones, attribute number: profile \"a\" has this value: give \
                    another one";
        assert_eq!(taken.to_string(), text);
        assert_eq!(tables.check_profile(&PHONES, "a", &phone("bob", 1)), Ok(()), "its own");
        tables.put("phones", "b", phone("ann", 2).to_row());
        tables.put("phones", "c", phone("ann", 3).to_row());
        let full = tables.check_profile(&PHONES, "d", &phone("ann", 4)).unwrap_err();
        let text = "profile \"d\" of phones: the table is full (3 profiles): remove one first";
        assert_eq!(full.to_string(), text);
        assert_eq!(tables.check_profile(&PHONES, "c", &phone("ann", 4)), Ok(()), "it replaces");
    }
}
