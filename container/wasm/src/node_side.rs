//! What a unit may ask its node for in a delivery: rows and profiles of tables that it may read.
//! And what it leaves behind if it is stopped: lines and alarms.

use crate::limits::TABLE_ELEMENTS_MAX;
use crate::stop::Stop;
use resilee_sbb::{
    CLUSTER_NAMES, Descriptor, EFFECTS_MAX, Effect, Permission, ProfileTable, TRACE_TEXT_MAX,
    Tables, TraceLevel, UnitLimits, cut, decode,
};
use wasmtime::component::Linker;
use wasmtime::{Error, ResourceLimiter, Result, StoreContextMut};

/// The interface that units import.
pub(crate) const HOST: &str = "resilee:sbb/host@0.1.0";
/// Rows or names that are given at once; fewer, if they are large.
const BATCH_MAX: usize = 64;
/// Bytes of rows that are given at once; one row may have more.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// Bytes of an encoded line or alarm: its text, its names, and their field names.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// The node's side of one delivery.
#[derive(Debug)]
pub(crate) struct NodeSide {
    limits: UnitLimits,
    /// None while a unit is asked what it is: then it may ask for nothing.
    service: Option<Descriptor>,
    tables: Tables,
    calls: u32,
    memory_bytes: usize,
    /// Lines and alarms, which stay if it is stopped.
    pub kept: Vec<Effect>,
    /// Why it is being stopped, if it is known here.
    pub stop: Option<Stop>,
}

impl NodeSide {
    pub fn new(limits: UnitLimits, service: Option<Descriptor>, tables: Tables) -> Self {
        NodeSide {
            limits,
            service,
            tables,
            calls: 0,
            memory_bytes: 0,
            kept: Vec::new(),
            stop: None,
        }
    }

    /// It is stopped, unless it is already for another reason.
    pub fn stopped(&mut self, why: Stop) -> Error {
        let why = self.stop.get_or_insert(why);
        Error::msg(why.to_string())
    }

    /// Counts a question about a table.
    fn asked(&mut self, table: &str) -> Result<()> {
        self.calls += 1;
        let max = self.limits.host_calls_max;
        if self.calls > max {
            return Err(self.stopped(Stop::HostCalls(max)));
        }
        let may_read = self.service.is_some_and(|service| {
            let deployment = service.deployment;
            let read = |it: &Permission| matches!(it, Permission::Read(name) if *name == table);
            table == CLUSTER_NAMES
                || deployment.profile_tables.iter().any(|it| it.name == table && !has_secret(it))
                || deployment.permissions.iter().any(read)
        });
        match may_read {
            true => Ok(()),
            false => Err(self.stopped(Stop::NotPermitted(cut(table.to_owned(), 64)))),
        }
    }

    fn row(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.asked(table)?;
        Ok(self.tables.get(table, key).map(|row| row.to_vec()))
    }

    fn rows(&mut self, table: &str, from: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.asked(table)?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for (key, row) in self.tables.rows_from(table, from).take(BATCH_MAX) {
            bytes += key.len() + row.len();
            if bytes > BATCH_BYTES_MAX && !rows.is_empty() {
                break;
            }
            rows.push((key.to_owned(), row.to_vec()));
        }
        Ok(rows)
    }

    fn find(
        &mut self,
        table: &str,
        attribute: &str,
        value: &str,
        after: &str,
    ) -> Result<Option<Vec<String>>> {
        self.asked(table)?;
        let found = self.tables.find_after(table, attribute, value, after);
        Ok(found.map(|names| names.take(BATCH_MAX).map(str::to_owned).collect()))
    }

    fn keep(&mut self, effect: &[u8]) -> Result<()> {
        if self.kept.len() >= EFFECTS_MAX {
            return Err(self.stopped(Stop::Kept));
        }
        let effect = Some(effect).filter(|effect| effect.len() <= KEPT_BYTES_MAX);
        match effect.and_then(|effect| decode::<Effect>(effect).ok()) {
            Some(effect) if effect.survives_roll_back() => {
                self.kept.push(effect);
                Ok(())
            }
            _ => Err(self.stopped(Stop::KeptWhat)),
        }
    }

    fn panicked(&mut self, text: String, place: &str) {
        let text = cut(text, TRACE_TEXT_MAX);
        if self.stop.is_some() {
            return;
        }
        if let Some(service) = self.service.filter(|_| self.kept.len() < EFFECTS_MAX) {
            let line = cut(format!("panicked at {place}: {text}"), TRACE_TEXT_MAX);
            let (tracer, level) = (service.name.to_owned(), TraceLevel::Severe);
            self.kept.push(Effect::Trace { tracer, level, text: line });
        }
        self.stop = Some(Stop::Panicked(text));
    }

    /// All that a unit may import.
    pub fn link(linker: &mut Linker<NodeSide>) -> Result<()> {
        type Of<'a> = StoreContextMut<'a, NodeSide>;
        let mut host = linker.instance(HOST)?;
        host.func_wrap("row", |mut of: Of<'_>, (table, key): (String, String)| {
            Ok((of.data_mut().row(&table, &key)?,))
        })?;
        host.func_wrap("rows", |mut of: Of<'_>, (table, from): (String, String)| {
            Ok((of.data_mut().rows(&table, &from)?,))
        })?;
        host.func_wrap("has-profile-table", |mut of: Of<'_>, (table,): (String,)| {
            of.data_mut().asked(&table)?;
            Ok((of.data().tables.has_profile_table(&table),))
        })?;
        type Find = (String, String, String, String);
        host.func_wrap("find", |mut of: Of<'_>, (table, attribute, value, after): Find| {
            Ok((of.data_mut().find(&table, &attribute, &value, &after)?,))
        })?;
        host.func_wrap("keep", |mut of: Of<'_>, (effect,): (Vec<u8>,)| {
            of.data_mut().keep(&effect)
        })?;
        host.func_wrap("panicked", |mut of: Of<'_>, (text, place): (String, String)| {
            of.data_mut().panicked(text, &place);
            Ok(())
        })
    }
}

/// To declare a table is not enough to read it then: anybody can declare one as it is.
fn has_secret(table: &ProfileTable) -> bool {
    table.attributes.iter().any(|attribute| attribute.secret)
}

impl ResourceLimiter for NodeSide {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let max = self.limits.memory_bytes_max;
        self.memory_bytes = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        match self.memory_bytes > max {
            true => Err(self.stopped(Stop::Memory(max >> 20))),
            false => Ok(true),
        }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        match desired > TABLE_ELEMENTS_MAX {
            true => Err(self.stopped(Stop::Table(TABLE_ELEMENTS_MAX))),
            false => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_says_again_and_again_that_it_panicked_leaves_one_line() {
        let service = Some(Descriptor::named("guest"));
        let mut side = NodeSide::new(UnitLimits::default(), service, Tables::default());
        for _ in 0..3 {
            side.panicked("no".to_owned(), "here");
        }
        assert_eq!(side.kept.len(), 1);
        assert_eq!(side.stop, Some(Stop::Panicked("no".to_owned())));
    }

    #[test]
    fn the_line_of_a_panic_counts_as_the_others_do() {
        let service = Some(Descriptor::named("guest"));
        let mut side = NodeSide::new(UnitLimits::default(), service, Tables::default());
        side.panicked("no".to_owned(), "here");
        side.kept = vec![side.kept[0].clone(); EFFECTS_MAX];
        side.stop = None;
        side.panicked("no".to_owned(), "here");
        assert_eq!(side.kept.len(), EFFECTS_MAX);
    }
}
