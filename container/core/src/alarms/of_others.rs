//! Alarms of the other nodes: what their services raised, in commits and rows, and what they say of
//! all that is raised there. All of it is untrusted.
//!
//! | an alarm in                 | is left out, and counted, if                                 |
//! |-----------------------------|--------------------------------------------------------------|
//! | a commit, a row             | no service can have raised it; there are too many of its     |
//! |                             | run; there are too many runs                                 |
//! | what a node says it has     | no node can have raised it; there are too many               |
//!
//! | of a run that is no member any more | whoever owns the shared tables                       |
//! |-------------------------------------|------------------------------------------------------|
//! | an alarm of a service               | has it from then on, among its own                   |
//! | the same, of one that its program   | ends it, as those of a removed unit: nobody else     |
//! | has not and that is in no unit      | would                                                |

use super::{ALARM_BYTES_MAX, ALARMS_END, Alarms, key};
use crate::commit::RowChange;
use crate::management::Alarm;
use crate::noted::AlarmChange;
use resilee_membership::{NodeName, RunId};
use resilee_sbb::{ALARM_NAME_MAX, NAME_BYTES_MAX, decode, encode};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// Runs whose alarms are kept: a view has as many members at most, and the dead ones are emptied.
pub(super) const RUNS_MAX: usize = 64;
/// Bytes of an alarm's source.
const SOURCE_BYTES_MAX: usize = NAME_BYTES_MAX;
/// Table of the rows in which alarms of services are stored.
pub(crate) const TABLE: &str = "slee.alarms";

/// Why an alarm is left out, as it is counted.
type NotKept = &'static str;
/// No core raises such a one, or so many.
pub(crate) const IMPOSSIBLE: NotKept = "alarm that no node can have raised";
const TOO_MANY: NotKept = "alarm of another node beyond the number that may be raised";
const TOO_MANY_RUNS: NotKept = "alarm of one run more than are kept";
const UNREADABLE: NotKept = "row of an alarm that cannot be read";

/// What became of the alarms of a run that is no member any more.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// There was no room for so many.
    pub lost: usize,
    /// They are of services that there are no more.
    pub ended: Vec<Alarm>,
}

impl Alarms {
    /// What became of an alarm of another run; true if that is news. Untrusted.
    ///
    /// # Errors
    /// It is left out.
    pub fn apply(&mut self, of: &RunId, change: &AlarmChange) -> Result<bool, NotKept> {
        let AlarmChange { id, alarm, count, .. } = change;
        if alarm.as_ref().is_some_and(|alarm| !alarm.can_be_of_a_service(*id)) {
            return Err(IMPOSSIBLE);
        }
        if alarm.is_some() && self.of_runs.len() >= RUNS_MAX && !self.of_runs.contains_key(of) {
            return Err(TOO_MANY_RUNS);
        }
        let known = self.of_runs.entry(of.clone()).or_default();
        let outcome = match alarm {
            Some(alarm) if known.len() < ALARMS_END || known.contains_key(id) => {
                known.insert(*id, alarm.clone());
                Ok(true)
            }
            Some(_) => Err(TOO_MANY),
            None if known.get(id).is_some_and(|alarm| alarm.count <= *count) => {
                Ok(known.remove(id).is_some())
            }
            None => Ok(false),
        };
        self.of_runs.retain(|_, alarms| !alarms.is_empty());
        outcome
    }

    /// Another member has cleared an alarm that a service raised here. Untrusted.
    pub fn clear_for_another(&mut self, change: &AlarmChange) -> Option<Alarm> {
        let meant = |alarm: &Alarm| {
            alarm.id == change.id && alarm.is_of_a_service() && alarm.count <= change.count
        };
        let cleared = self.raised.extract_if(.., |_, alarm| meant(alarm)).next()?.1;
        self.changed.remove(&cleared.id);
        self.untold = true;
        Some(cleared)
    }

    /// Takes over what services raised at a run that is no member any more, except what is of
    /// services that there are no more.
    pub fn inherit(&mut self, from: &RunId, is_known: impl Fn(&str) -> bool) -> Inherited {
        let mut inherited = Inherited::default();
        for alarm in self.of_runs.remove(from).unwrap_or_default().into_values() {
            self.cleared.push(AlarmChange::cleared(from, &alarm));
            if !is_known(&alarm.source) {
                inherited.ended.push(alarm);
                continue;
            }
            self.untold = true;
            let about = Some((alarm.alarm_type.as_str(), alarm.instance.as_str()));
            let key = key(&alarm.source, about, "");
            if let Some(own) = self.raised.get_mut(&key) {
                own.count = own.count.saturating_add(alarm.count);
                own.raised_at = own.raised_at.min(alarm.raised_at);
                own.last_at = own.last_at.max(alarm.last_at);
                self.changed.insert(own.id);
            } else if self.has_room(&alarm.source, true, false) {
                self.last_id += 1;
                let id = self.last_id;
                self.changed.insert(id);
                self.raised.insert(key, Alarm { id, ..alarm });
            } else {
                inherited.lost += 1;
            }
        }
        inherited
    }

    /// Runs at which services have raised alarms, besides this one.
    pub fn runs(&self) -> impl Iterator<Item = &RunId> {
        self.of_runs.keys()
    }

    /// Rows of all alarms of services.
    pub fn rows(&self, me: &RunId) -> impl Iterator<Item = RowChange> {
        let own = self.raised.values().filter(|alarm| alarm.is_of_a_service());
        let own = own.map(|alarm| row_of(me, alarm.id, Some(alarm)));
        let others = self.of_runs.iter().flat_map(|(run, alarms)| {
            alarms.iter().map(|(id, alarm)| row_of(run, *id, Some(alarm))) //
        });
        own.chain(others)
    }

    /// Takes one of [`Alarms::rows`]. Untrusted.
    ///
    /// # Errors
    /// It is left out.
    pub fn read_row(&mut self, row: Option<&[u8]>) -> Result<(), NotKept> {
        let Some(row) = row else { return Ok(()) };
        let (run, alarm): (RunId, Alarm) = decode(row).map_err(|_| UNREADABLE)?;
        let change = AlarmChange { of: None, id: alarm.id, alarm: Some(alarm), count: 0 };
        self.apply(&run, &change).map(drop)
    }

    /// Drops what services have raised, also here: a snapshot is to say what it was.
    pub fn forget_of_services(&mut self) {
        self.raised.retain(|_, alarm| !alarm.is_of_a_service());
        self.of_runs.clear();
        self.changed.clear();
        self.cleared.clear();
        self.untold = true;
    }

    /// What another node says is raised there, nothing once it is out of reach; how many of them
    /// are left out. Untrusted.
    pub fn set_peer(&mut self, node: &NodeName, mut alarms: Vec<Alarm>) -> usize {
        let told = alarms.len();
        alarms.retain(Alarm::is_possible);
        alarms.truncate(ALARMS_END);
        let left_out = told - alarms.len();
        match alarms.is_empty() {
            true => drop(self.of_peers.remove(node)),
            false => drop(self.of_peers.insert(node.clone(), alarms)),
        }
        left_out
    }

    /// All alarms of other nodes.
    pub fn of_peers(&self) -> BTreeMap<String, Vec<Alarm>> {
        self.of_peers.iter().map(|(node, alarms)| (node.to_string(), alarms.clone())).collect()
    }
}

impl Alarm {
    /// True if a core may have raised it.
    fn is_possible(&self) -> bool {
        let fits = |name: &String| name.len() <= ALARM_NAME_MAX;
        (1..=SOURCE_BYTES_MAX).contains(&self.source.len())
            && self.text.len() <= ALARM_BYTES_MAX
            && fits(&self.alarm_type)
            && fits(&self.instance)
            && self.count > 0
    }

    /// True if a core may have raised it under this number, for a service.
    fn can_be_of_a_service(&self, id: u64) -> bool {
        self.is_possible() && self.is_of_a_service() && !self.lasting && self.id == id
    }
}

impl AlarmChange {
    /// One of another run is cleared.
    pub(super) fn cleared(of: &RunId, alarm: &Alarm) -> Self {
        AlarmChange { of: Some(of.clone()), id: alarm.id, alarm: None, count: alarm.count }
    }
}

/// The row of an alarm at a run; removed if there is none.
pub(crate) fn row_of(of: &RunId, id: u64, alarm: Option<&Alarm>) -> RowChange {
    let encoded = |alarm| encode(&(of, alarm)).expect("plain data can be encoded");
    let row = alarm.map(|alarm| ByteBuf::from(encoded(alarm)));
    RowChange { table: TABLE.to_owned(), key: format!("{of}/{id}"), row }
}
