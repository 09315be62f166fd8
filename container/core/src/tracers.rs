//! The trace facility (JAIN SLEE 1.1 chapter 13): tracers by name, their levels, and how many lines
//! each of them may write on this node.
//!
//! Levels are the cluster's: rows of a shared table, so that a call is traced alike wherever it is,
//! and after a restart. They travel with each delivery, so a line below its tracer's level is not
//! made; one that a unit makes nevertheless is not written. Which lines a service asks for is in
//! `resilee_sbb`.

use crate::commit::RowChange;
use crate::core::Core;
use crate::management::TracerStatus;
use resilee_sbb::{
    ROOT_TRACER, TRACER_NAME_MAX, Timestamp, TraceLevel, TraceLevels, decode, encode,
};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Lines that one tracer writes in a second; further ones are counted.
pub const LINES_PER_SECOND_MAX: u32 = 100;
/// Lines that all tracers of one service write in a second: a unit may name new ones at will.
pub const SERVICE_LINES_PER_SECOND_MAX: u32 = 400;
/// Tracers that are known by name; lines of further ones are written by that of their service.
pub const TRACERS_MAX: usize = 256;

/// Levels of tracers, by name.
pub(crate) const TRACE_LEVELS: &str = "slee.tracers";

const SECOND: Duration = Duration::from_secs(1);

/// All tracers.
#[derive(Debug, Default)]
pub(crate) struct Tracers {
    levels: Arc<TraceLevels>,
    known: BTreeMap<String, Tracer>,
    /// By service: the second that runs, and how many lines all its tracers wrote in it.
    in_second: BTreeMap<String, (Timestamp, u32)>,
}

/// What one tracer wrote.
#[derive(Debug, Default)]
struct Tracer {
    /// Lines since this run began.
    lines: u64,
    /// Lines that were too many.
    left_out: u64,
    /// The second that runs, and how many lines were written in it.
    second: Timestamp,
    in_second: u32,
    /// Lines of that second that were too many.
    not_told: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Who writes it.
    pub tracer: String,
    /// How many lines were left out before it, if any.
    pub left_out: u64,
}

impl Tracers {
    /// A tracer for each service.
    pub fn new<'s>(services: impl Iterator<Item = &'s str>) -> Self {
        let known = services.map(|name| (name.to_owned(), Tracer::default())).collect();
        Tracers { levels: Arc::default(), known, in_second: BTreeMap::new() }
    }

    /// A service begins to be deployed.
    pub fn add(&mut self, service: &str) {
        self.known.entry(service.to_owned()).or_default();
    }

    /// A service is not deployed any more, and these are: its tracers go, and the levels that
    /// somebody gave stay. Those of `a.b` are not of `a` where there is a service `a.b`.
    pub fn remove<'s>(&mut self, service: &str, deployed: impl Iterator<Item = &'s str> + Clone) {
        let is_of = |name: &str, service: &str| {
            let rest = name.strip_prefix(service);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.in_second.remove(service);
        let within = deployed.filter(|other| is_of(other, service));
        self.known.retain(|name, _| {
            !is_of(name, service) || within.clone().any(|other| is_of(name, other))
        });
    }

    /// The levels as they are now, for a delivery.
    pub fn levels(&self) -> Arc<TraceLevels> {
        Arc::clone(&self.levels)
    }

    /// True if a tracer writes lines of this level, as it is now.
    pub fn is_traceable(&self, tracer: &str, level: TraceLevel) -> bool {
        self.levels.is_traceable(tracer, level)
    }

    /// A line that a service asked for; `None`: there are too many in this second.
    pub fn admit(&mut self, now: Timestamp, service: &str, tracer: String) -> Option<Admitted> {
        let full = self.known.len() >= TRACERS_MAX && !self.known.contains_key(&tracer);
        let tracer = if full { service.to_owned() } else { tracer };
        let own = self.known.entry(tracer.clone()).or_default();
        if now.since(own.second) >= SECOND {
            (own.second, own.in_second) = (now, 0);
        }
        let (second, of_all) = self.in_second.entry(service.to_owned()).or_default();
        if now.since(*second) >= SECOND {
            (*second, *of_all) = (now, 0);
        }
        if own.in_second >= LINES_PER_SECOND_MAX || *of_all >= SERVICE_LINES_PER_SECOND_MAX {
            own.left_out += 1;
            own.not_told += 1;
            return None;
        }
        own.in_second += 1;
        *of_all += 1;
        own.lines += 1;
        Some(Admitted { tracer, left_out: std::mem::take(&mut own.not_told) })
    }

    /// That a tracer may be given a level.
    ///
    /// # Errors
    /// A name of no tracer, or one too many.
    pub fn check(&self, tracer: &str) -> Result<(), String> {
        if tracer == ROOT_TRACER || self.names().contains(tracer) {
            return Ok(());
        }
        // A service may have dots in its name.
        let mut above = tracer.match_indices('.').map(|(dot, _)| &tracer[..dot]);
        if !above.any(|name| self.known.contains_key(name)) {
            return Err(format!(
                "there is no tracer {tracer:?}: take {ROOT_TRACER:?}, a service's name, or one \
                 below it after a dot"
            ));
        }
        if tracer.len() > TRACER_NAME_MAX || tracer.split('.').any(str::is_empty) {
            return Err(format!(
                "{tracer:?} is no name of a tracer: words with dots between them are expected, at \
                 most {TRACER_NAME_MAX} bytes"
            ));
        }
        match self.names().len() >= TRACERS_MAX {
            true => Err(format!("{TRACERS_MAX} tracers are known already: name one of them")),
            false => Ok(()),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.known.keys().map(String::as_str).chain(self.levels.names()).collect()
    }

    /// What operators see: the root first, then by name.
    pub fn statuses(&self) -> Vec<TracerStatus> {
        let status = |name: &str| {
            let wrote = self.known.get(name);
            TracerStatus {
                name: name.to_owned(),
                given: self.levels.given(name),
                effective: self.levels.effective(name),
                lines: wrote.map_or(0, |tracer| tracer.lines),
                left_out: wrote.map_or(0, |tracer| tracer.left_out),
            }
        };
        [ROOT_TRACER].into_iter().chain(self.names()).map(status).collect()
    }
}

impl Core {
    /// The rows after which a tracer has a level, or none of its own.
    ///
    /// # Errors
    /// A name of no tracer, or one too many.
    pub(crate) fn trace_level_changed(
        &self,
        tracer: &str,
        level: Option<TraceLevel>,
    ) -> Result<Vec<RowChange>, String> {
        self.tracers.check(tracer)?;
        let row = level.map(|level| ByteBuf::from(encode(&level).expect("plain data")));
        let known = self.tables.get(TRACE_LEVELS, tracer).map(|row| &row[..]);
        if known == row.as_ref().map(|row| &row[..]) {
            return Ok(Vec::new());
        }
        Ok(vec![RowChange { table: TRACE_LEVELS.to_owned(), key: tracer.to_owned(), row }])
    }

    /// Reads the levels from the rows.
    pub(crate) fn note_trace_levels(&mut self) {
        let mut levels = TraceLevels::default();
        for (tracer, row) in self.tables.rows(TRACE_LEVELS).take(TRACERS_MAX) {
            levels.set(tracer, decode(row).ok());
        }
        self.tracers.levels = Arc::new(levels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_below_a_service_with_a_dot_in_its_name_may_be_given_a_level() {
        let tracers = Tracers::new(["acme.billing"].into_iter());
        assert_eq!(tracers.check("acme.billing.rates"), Ok(()));
        assert!(tracers.check("acme.rates").is_err(), "there is no service acme");
    }
}
