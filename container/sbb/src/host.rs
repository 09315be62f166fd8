//! What a unit reaches of the node that runs it. The node's side is in whoever runs units; the
//! unit's side is generated.
//!
//! A unit lives for one delivery, so whatever it reads is kept as long as the unit.

use crate::effect::Effect;
use crate::profile_value::AttributeValue;
use std::fmt;
use std::iter;

/// The node, as a unit sees it in one delivery.
pub trait Host: fmt::Debug + Sync {
    /// The encoded row of a shared table, if there is one.
    fn row(&self, table: &str, key: &str) -> Option<Vec<u8>>;

    /// Some rows of a shared table, in the order of their keys, none of which is less than `from`;
    /// none if there are no more.
    fn rows(&self, table: &str, from: &str) -> Vec<(String, Vec<u8>)>;

    /// True if a profile table was declared.
    fn has_profile_table(&self, table: &str) -> bool;

    /// Names of some profiles whose attribute has this value, in their order, all behind `after`;
    /// none if there are no more; `None` without an index.
    fn find(&self, table: &str, attribute: &str, value: &str, after: &str) -> Option<Vec<String>>;

    /// An effect that stays whatever becomes of the delivery, and of the unit.
    fn keep(&self, effect: &Effect);
}

/// All rows, as they are asked for.
pub(crate) fn rows_of<'t>(
    host: &'static dyn Host,
    table: String,
    from: &str,
) -> impl Iterator<Item = (&'t str, &'t [u8])> + use<'t> {
    let mut next = Some(from.to_owned());
    let batches = iter::from_fn(move || {
        let rows = host.rows(&table, &next.take()?);
        // The least key behind the last one.
        next = rows.last().map(|(key, _)| format!("{key}\0"));
        Some(rows)
    });
    batches.flatten().map(|(key, row)| (&*key.leak(), &*row.leak()))
}

/// All names, as they are asked for; `None` without an index.
pub(crate) fn names_of<'t>(
    host: &'static dyn Host,
    table: &str,
    attribute: &str,
    value: &AttributeValue,
) -> Option<impl Iterator<Item = &'t str> + use<'t>> {
    let (table, attribute, value) = (table.to_owned(), attribute.to_owned(), value.to_string());
    let mut batch = host.find(&table, &attribute, &value, "")?;
    let batches = iter::from_fn(move || {
        let last = batch.last()?.clone();
        let next = host.find(&table, &attribute, &value, &last).unwrap_or_default();
        Some(std::mem::replace(&mut batch, next))
    });
    Some(batches.flatten().map(|name| &*name.leak()))
}
