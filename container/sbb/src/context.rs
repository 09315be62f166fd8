//! What a handler may read and ask for during one delivery.
//!
//! Here is what concerns the delivery itself and the shared tables; activity contexts are in
//! `activity_contexts.rs`, the entity's tree is in `entity_tree.rs`, and each facility has a file:
//! `timer.rs`, `alarm.rs`, `trace.rs`, `usage.rs`.

use crate::codec::{decode, encode};
use crate::delivery::Deliver;
use crate::effect::Effect;
use crate::ids::{ActivityId, EntityId};
use crate::limits::DeliveryLimits;
use crate::linked::{Done, LinkedSbb, Run};
use crate::profile_value::AttributeValue;
use crate::sbb::Failure;
use crate::time::Timestamp;
use crate::transaction::Transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The facilities, for one entity in one delivery. Requests are collected and carried out at
/// commit.
#[derive(Debug)]
pub struct Context<'d> {
    pub(crate) deliver: &'d Deliver,
    pub(crate) tx: &'d mut Transaction,
    /// The service's root SBB.
    pub(crate) root: LinkedSbb,
    /// The entity whose handler runs.
    pub(crate) number: u32,
}

impl<'d> Context<'d> {
    pub(crate) fn new(
        deliver: &'d Deliver,
        tx: &'d mut Transaction,
        root: LinkedSbb,
        number: u32,
    ) -> Self {
        Context { deliver, tx, root, number }
    }

    /// Runs a handler of the context's entity, and keeps its state.
    pub(crate) fn run(&mut self, sbb: LinkedSbb, run: Run<'_>) -> Result<Done, Failure> {
        let state = self.tx.state(self.deliver, self.number);
        self.tx.running.push(self.number);
        let result = sbb.handle(self, &state, run);
        self.tx.running.pop();
        let (state, done) = result?;
        self.tx.write(self.number, state);
        Ok(done)
    }

    /// What this delivery may make of its tree and its cell.
    pub(crate) fn limits(&self) -> DeliveryLimits {
        self.deliver.limits
    }

    /// What is to be kept, unless it is too large; of what takes the place of something so large
    /// only growth is refused.
    pub(crate) fn bounded(
        &self,
        bytes: Vec<u8>,
        what: &str,
        instead_of: Option<usize>,
    ) -> Result<Vec<u8>, Failure> {
        let (size, max) = (bytes.len(), self.limits().attribute_bytes_max);
        match size > max.max(instead_of.unwrap_or_default()) {
            true => Err(Failure::new(format!("{what} of {size} bytes, {max} allowed"))),
            false => Ok(bytes),
        }
    }

    /// Cluster time of this delivery.
    pub fn now(&self) -> Timestamp {
        self.deliver.now
    }

    /// The entity that handles the event.
    pub fn entity(&self) -> EntityId {
        self.entity_id(self.number)
    }

    /// The activity of the event.
    pub fn activity(&self) -> ActivityId {
        self.deliver.event.activity
    }

    /// The SBB of the running entity, if it is a child.
    pub(crate) fn child_sbb(&self) -> Option<&'static str> {
        let sbb = self.tx.sbb(self.deliver, self.root, self.number).ok()?;
        let (own, root) = (sbb.descriptor().name, self.root.descriptor().name);
        (own != root).then_some(own)
    }

    pub(crate) fn entity_id(&self, number: u32) -> EntityId {
        EntityId { number, ..self.deliver.entity }
    }

    /// Sends a command to the resource adaptor of the event's activity.
    ///
    /// # Errors
    /// A command that cannot be encoded.
    pub fn send<C: Serialize>(&mut self, command: &C) -> Result<(), Failure> {
        self.send_on(self.activity(), command)
    }

    /// Sends a command to the resource adaptor of an activity of this cell.
    ///
    /// # Errors
    /// A command that cannot be encoded.
    pub fn send_on<C: Serialize>(
        &mut self,
        activity: ActivityId,
        command: &C,
    ) -> Result<(), Failure> {
        let payload = encode(command)?;
        self.tx.ask(Effect::Command { activity, payload });
        Ok(())
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

    /// A profile, as it was when the event was delivered.
    ///
    /// # Errors
    /// A table that no deployed service names, or a profile of another type.
    pub fn profile<T: DeserializeOwned>(
        &self,
        table: &str,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        match self.deliver.tables.has_profile_table(table) {
            true => self.row(table, name),
            false => Err(no_profile_table(table)),
        }
    }

    /// Names of the profiles whose attribute has this value, in their order.
    ///
    /// # Errors
    /// A table that no deployed service names, or an attribute without an index.
    pub fn find_profiles(
        &self,
        table: &str,
        attribute: &str,
        value: impl Into<AttributeValue>,
    ) -> Result<impl Iterator<Item = &str>, Failure> {
        let tables = &self.deliver.tables;
        let found = tables.find(table, attribute, &value.into());
        found.ok_or_else(|| match tables.has_profile_table(table) {
            true => Failure::new(format!(
                "{attribute} of {table} has no index: declare the attribute as indexed"
            )),
            false => no_profile_table(table),
        })
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
        let known = self.deliver.tables.get(table, key).map(|row| row.len());
        let row = self.bounded(encode(row)?, "row", known)?;
        self.tx.ask(Effect::PutRow { table: table.to_owned(), key: key.to_owned(), row });
        Ok(())
    }

    /// Removes a row of a shared table; the same rule as for [`Context::put_row`].
    pub fn remove_row(&mut self, table: &str, key: &str) {
        self.tx.ask(Effect::RemoveRow { table: table.to_owned(), key: key.to_owned() });
    }

    /// Writes a record that is kept for ever. Its key is the cell: a second record of the same
    /// cell in the same journal is dropped.
    ///
    /// # Errors
    /// A record that cannot be encoded or is too large.
    pub fn record<T: Serialize>(&mut self, journal: &str, record: &T) -> Result<(), Failure> {
        let record = self.bounded(encode(record)?, "record", None)?;
        self.tx.ask(Effect::Record { journal: journal.to_owned(), record });
        Ok(())
    }

    /// Rolls the transaction back, whatever this handler and its callers return.
    pub fn set_rollback_only(&mut self, reason: impl Into<String>) {
        self.tx.mark_for_roll_back(reason.into());
    }

    /// True if the transaction will be rolled back.
    pub fn is_rollback_only(&self) -> bool {
        self.tx.rollback_only.is_some()
    }

    /// The next number of a sequence that the delivery's seed determines (SplitMix64). Not for
    /// secrets.
    pub fn random(&mut self) -> u64 {
        self.tx.random = self.tx.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.tx.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn no_profile_table(table: &str) -> Failure {
    Failure::new(format!(
        "there is no profile table {table:?}: name it in the deployment of the service's descriptor"
    ))
}
