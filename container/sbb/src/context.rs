//! What a handler may read and ask for during one delivery.

use crate::codec::{decode, encode};
use crate::delivery::{ATTRIBUTE_BYTES_MAX, Deliver, Effect, TraceLevel};
use crate::ids::{ActivityId, EntityId, TimerId};
use crate::sbb::Failure;
use crate::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The facilities, for one delivery. Requests are collected and carried out at commit.
#[derive(Debug)]
pub struct Context<'d> {
    deliver: &'d Deliver,
    effects: Vec<Effect>,
    random: u64,
}

impl<'d> Context<'d> {
    /// The context of `deliver`.
    pub fn new(deliver: &'d Deliver) -> Self {
        Context { deliver, effects: Vec::new(), random: deliver.seed }
    }

    /// Cluster time of this delivery.
    pub fn now(&self) -> Timestamp {
        self.deliver.now
    }

    /// The entity that handles the event.
    pub fn entity(&self) -> EntityId {
        self.deliver.entity
    }

    /// The activity of the event.
    pub fn activity(&self) -> ActivityId {
        self.deliver.event.activity
    }

    /// Sends a command to the resource adaptor of the event's activity.
    ///
    /// # Errors
    /// A command that cannot be encoded.
    pub fn send<C: Serialize>(&mut self, command: &C) -> Result<(), Failure> {
        let activity = self.activity();
        self.effects.push(Effect::Command { activity, payload: encode(command)? });
        Ok(())
    }

    /// Sets a timer of this entity `delay` from now; an id that is set already is moved.
    pub fn set_timer(&mut self, timer: TimerId, delay: Duration) {
        let due = self.deliver.due(delay);
        self.effects.push(Effect::SetTimer { timer, due });
    }

    /// Cancels a timer of this entity.
    pub fn cancel_timer(&mut self, timer: TimerId) {
        self.effects.push(Effect::CancelTimer { timer });
    }

    /// A row of a shared table, as it was when the event was delivered.
    ///
    /// # Errors
    /// A row of another type.
    pub fn row<T: DeserializeOwned>(&self, table: &str, key: &str) -> Result<Option<T>, Failure> {
        Ok(self.deliver.tables.get(table, key).map(|row| decode(row)).transpose()?)
    }

    /// Keys and encoded rows of a shared table, in the order of their keys.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&str, &[u8])> {
        self.deliver.tables.rows(table)
    }

    /// Adds or replaces a row of a shared table. Only a service whose event belongs to the
    /// tables' cohort may (a registrar on a REGISTER); others are rolled back.
    ///
    /// # Errors
    /// A row that cannot be encoded or is too large.
    pub fn put_row<T: Serialize>(
        &mut self,
        table: &str,
        key: &str,
        row: &T,
    ) -> Result<(), Failure> {
        let row = bounded(encode(row)?, "row")?;
        self.effects.push(Effect::PutRow { table: table.to_owned(), key: key.to_owned(), row });
        Ok(())
    }

    /// Removes a row of a shared table; the same rule as for [`Context::put_row`].
    pub fn remove_row(&mut self, table: &str, key: &str) {
        self.effects.push(Effect::RemoveRow { table: table.to_owned(), key: key.to_owned() });
    }

    /// Writes a record that is kept for ever. Its key is the cell: a second record of the same
    /// cell in the same journal is dropped.
    ///
    /// # Errors
    /// A record that cannot be encoded or is too large.
    pub fn record<T: Serialize>(&mut self, journal: &str, record: &T) -> Result<(), Failure> {
        let record = bounded(encode(record)?, "record")?;
        self.effects.push(Effect::Record { journal: journal.to_owned(), record });
        Ok(())
    }

    /// An attribute of the event's activity context: what services of one call share.
    ///
    /// # Errors
    /// An attribute of another type.
    pub fn attribute<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let own = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::SetAttribute { name: set, value } if set == name => Some(value),
            _ => None,
        });
        let value = own.or_else(|| self.deliver.attributes.get(name));
        Ok(value.map(|value| decode(value)).transpose()?)
    }

    /// Sets an attribute of the event's activity context.
    ///
    /// # Errors
    /// A value that cannot be encoded or is too large.
    pub fn set_attribute<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        let value = bounded(encode(value)?, "attribute")?;
        self.effects.push(Effect::SetAttribute { name: name.to_owned(), value });
        Ok(())
    }

    /// Detaches this entity from the event's activity context. An entity that is attached to
    /// none is removed.
    pub fn detach(&mut self) {
        self.effects.push(Effect::Detach);
    }

    /// Writes a line to the trace, also if the transaction rolls back.
    pub fn trace(&mut self, level: TraceLevel, text: impl Into<String>) {
        self.effects.push(Effect::Trace { level, text: text.into() });
    }

    /// Raises an alarm, also if the transaction rolls back.
    pub fn raise_alarm(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::RaiseAlarm { text: text.into() });
    }

    /// The next number of a sequence that the delivery's seed determines (SplitMix64). Not for
    /// secrets.
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// What was asked for, in order.
    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}

fn bounded(bytes: Vec<u8>, what: &str) -> Result<Vec<u8>, Failure> {
    if bytes.len() > ATTRIBUTE_BYTES_MAX {
        let size = bytes.len();
        let text = format!("{what} of {size} bytes, {ATTRIBUTE_BYTES_MAX} allowed");
        return Err(Failure::new(text));
    }
    Ok(bytes)
}
