//! The alarm facility (`javax.slee.facilities`): what is raised here, and at the other nodes.
//!
//! | an alarm of            | is one by                 | is cleared by                          |
//! |------------------------|---------------------------|----------------------------------------|
//! | a service              | its type and instance     | the service, an operator               |
//! | the container          | its source and text       | an operator                            |
//! | a condition that lasts | its source and text       | the container, when it is over         |
//!
//! Raised again it is counted, and keeps its severity and text. All that is raised at a node is
//! told to the others, to be shown there.
//!
//! What a service raised is no fact about a node: it is part of a commit (`noted.rs`), and outlives
//! its node. Once that is no member, whoever owns the shared tables has it among its own. What the
//! container raised is about the node, and ends with it; what a call itself waits for is raised
//! anew by whoever owns it (`retry.rs`).

use crate::commit::RowChange;
use crate::core::Core;
use crate::io::Output;
use crate::management::{Alarm, Notice};
use crate::noted::AlarmChange;
use resilee_membership::{NodeName, RunId};
use resilee_sbb::{Cleared, CohortId, Severity, Timestamp, cut, decode, encode};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// As many alarms a node can be told to have at most: they are told in one frame.
pub const ALARMS_END: usize = 1_024;
/// And at least: enough for all rooms below.
pub const ALARMS_MIN: usize = 128;
/// Different alarms that one service may have raised.
pub const ALARMS_PER_SERVICE_MAX: usize = 64;
/// Room that services leave to the container.
const ALARMS_OF_CONTAINER_MIN: usize = 64;
/// Room that all of them leave to conditions of the container, which last and which it ends itself.
const CONDITIONS_MIN: usize = 32;
/// Bytes of an alarm's text: all alarms of a node are told in one frame.
const ALARM_BYTES_MAX: usize = 2_048;
/// Other nodes are told of changes this often.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Runs whose alarms are kept: a view has as many members at most, and the dead ones are emptied.
const RUNS_MAX: usize = 64;
/// Table of the rows in which alarms of services are stored.
pub(crate) const TABLE: &str = "slee.alarms";

/// What makes an alarm the same as another one: source, type, and instance or text.
type Key = (String, String, String);

/// An alarm as it is raised.
#[derive(Debug)]
pub(crate) struct Raise<'a> {
    /// A service, or a part of the container.
    pub source: &'a str,
    /// A service's type and instance; none for the container's own.
    pub about: Option<(&'a str, &'a str)>,
    /// It is about a service or an adaptor, whoever raises it: it counts against the share of that.
    pub of_service: bool,
    /// How bad it is.
    pub severity: Severity,
    /// What an operator reads.
    pub text: &'a str,
    /// It lasts as long as a condition does, which the container sees end.
    pub lasting: bool,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raised {
    /// It is a new one.
    New(Alarm),
    /// It was raised already.
    Again,
    /// There are too many.
    TooMany,
}

/// The alarm facility's table.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// Different alarms that may be raised at once; further ones are only counted.
    max: usize,
    raised: BTreeMap<Key, Alarm>,
    /// Number of the last one.
    last_id: u64,
    of_peers: BTreeMap<NodeName, Vec<Alarm>>,
    /// What services raised at other runs, by [`Alarm::id`].
    of_runs: BTreeMap<RunId, BTreeMap<u64, Alarm>>,
    /// Alarms of services that changed since the last commit: own ones, and cleared ones of others.
    changed: BTreeSet<u64>,
    cleared: Vec<AlarmChange>,
    /// The other nodes know an older table; when they were told last.
    untold: bool,
    told_at: Timestamp,
}

impl Alarms {
    /// An empty table of so many.
    pub fn new(max: usize) -> Self {
        Alarms {
            max,
            raised: BTreeMap::new(),
            last_id: 0,
            of_peers: BTreeMap::new(),
            of_runs: BTreeMap::new(),
            changed: BTreeSet::new(),
            cleared: Vec::new(),
            untold: false,
            told_at: Timestamp::ZERO,
        }
    }

    /// Raises an alarm.
    pub fn raise(&mut self, now: Timestamp, raise: &Raise<'_>) -> Raised {
        let Raise { source, about, of_service, severity, text, lasting } = *raise;
        let text = cut(text.to_owned(), ALARM_BYTES_MAX);
        let key = key(source, about, &text);
        self.untold = true;
        if let Some(alarm) = self.raised.get_mut(&key) {
            alarm.count += 1;
            alarm.last_at = now;
            self.changed.extend(alarm.is_of_a_service().then_some(alarm.id));
            return Raised::Again;
        }
        if !self.has_room(source, of_service, lasting) {
            return Raised::TooMany;
        }
        let (alarm_type, instance) = about.unwrap_or_default();
        self.last_id += 1;
        let alarm = Alarm {
            id: self.last_id,
            source: source.to_owned(),
            alarm_type: alarm_type.to_owned(),
            instance: instance.to_owned(),
            severity,
            text,
            raised_at: now,
            last_at: now,
            count: 1,
            lasting,
        };
        self.changed.extend(alarm.is_of_a_service().then_some(alarm.id));
        self.raised.insert(key, alarm.clone());
        Raised::New(alarm)
    }

    /// Services leave room to the container, and what only happened leaves room to what lasts.
    fn has_room(&self, source: &str, of_service: bool, lasting: bool) -> bool {
        let own = || self.raised.values().filter(|it| it.source == source).count();
        match (of_service, lasting) {
            (true, _) => {
                let left = self.max - ALARMS_OF_CONTAINER_MIN;
                self.raised.len() < left && own() < ALARMS_PER_SERVICE_MAX
            }
            (false, false) => self.raised.len() < self.max - CONDITIONS_MIN,
            (false, true) => self.raised.len() < self.max,
        }
    }

    /// Clears an alarm of the container; true if it was raised.
    pub fn clear(&mut self, source: &str, text: &str) -> bool {
        let text = cut(text.to_owned(), ALARM_BYTES_MAX);
        let cleared = self.raised.remove(&key(source, None, &text)).is_some();
        self.untold |= cleared;
        cleared
    }

    /// Clears alarms of a service, wherever they were raised; those that were raised here.
    pub fn clear_of_service(&mut self, service: &str, which: &Cleared) -> Vec<Alarm> {
        let meant = |alarm: &Alarm| {
            alarm.is_of_service(service)
                && match which {
                    Cleared::One { alarm_type, instance } => {
                        alarm.alarm_type == *alarm_type && alarm.instance == *instance
                    }
                    Cleared::OfType(alarm_type) => alarm.alarm_type == *alarm_type,
                    Cleared::All => true,
                }
        };
        let cleared: Vec<_> =
            self.raised.extract_if(.., |_, alarm| meant(alarm)).map(|(_, alarm)| alarm).collect();
        self.untold |= !cleared.is_empty();
        self.changed.extend(cleared.iter().map(|alarm| alarm.id));
        for (run, alarms) in &mut self.of_runs {
            let others = alarms.extract_if(.., |_, alarm| meant(alarm));
            self.cleared.extend(others.map(|(_, alarm)| AlarmChange::cleared(run, &alarm)));
        }
        self.of_runs.retain(|_, alarms| !alarms.is_empty());
        cleared
    }

    /// The alarm that an operator may clear.
    ///
    /// # Errors
    /// There is none, or it ends with its condition.
    pub fn clearable(&self, id: u64) -> Result<&Alarm, String> {
        let alarm = self.raised.values().find(|alarm| alarm.id == id);
        let alarm = alarm.ok_or_else(|| format!("no alarm {id} is raised at this node"))?;
        match alarm.lasting {
            true => Err(format!("alarm {id} ends by itself, when what it speaks of is over")),
            false => Ok(alarm),
        }
    }

    /// Clears an alarm for an operator.
    ///
    /// # Errors
    /// There is none, or it ends with its condition.
    pub fn clear_by_id(&mut self, id: u64) -> Result<Alarm, String> {
        let alarm = self.clearable(id)?.clone();
        self.raised.retain(|_, raised| raised.id != id);
        self.untold = true;
        self.changed.extend(alarm.is_of_a_service().then_some(id));
        Ok(alarm)
    }

    /// True if a commit is to say something of alarms.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.cleared.is_empty()
    }

    /// What became of alarms of services since the last commit.
    pub fn take_changes(&mut self) -> Vec<AlarmChange> {
        let changed = std::mem::take(&mut self.changed).into_iter().map(|id| {
            let alarm = self.raised.values().find(|alarm| alarm.id == id).cloned();
            AlarmChange { of: None, id, alarm, count: u64::MAX }
        });
        changed.chain(std::mem::take(&mut self.cleared)).collect()
    }

    /// What became of an alarm of another run; true if that is news. Untrusted.
    pub fn apply(&mut self, of: &RunId, change: &AlarmChange) -> bool {
        let AlarmChange { id, alarm, count, .. } = change;
        if self.of_runs.len() >= RUNS_MAX && !self.of_runs.contains_key(of) {
            return false;
        }
        let known = self.of_runs.entry(of.clone()).or_default();
        let is_news = match alarm {
            Some(alarm) if known.len() < ALARMS_END || known.contains_key(id) => {
                known.insert(*id, alarm.clone());
                true
            }
            None if known.get(id).is_some_and(|alarm| alarm.count <= *count) => {
                known.remove(id).is_some()
            }
            _ => false,
        };
        self.of_runs.retain(|_, alarms| !alarms.is_empty());
        is_news
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

    /// Takes over what services raised at a run that is no member any more; how many there was no
    /// room for.
    pub fn inherit(&mut self, from: &RunId) -> usize {
        let mut lost = 0;
        for alarm in self.of_runs.remove(from).unwrap_or_default().into_values() {
            self.cleared.push(AlarmChange::cleared(from, &alarm));
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
                lost += 1;
            }
        }
        lost
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

    /// Takes one of [`Alarms::rows`]; one that cannot be read is left out.
    pub fn read_row(&mut self, row: Option<&[u8]>) {
        if let Some(Ok((run, alarm))) = row.map(decode::<(RunId, Alarm)>) {
            let change = AlarmChange { of: None, id: alarm.id, alarm: Some(alarm), count: 0 };
            self.apply(&run, &change);
        }
    }

    /// Drops what services have raised, also here: a snapshot is to say what it was.
    pub fn forget_of_services(&mut self) {
        self.raised.retain(|_, alarm| !alarm.is_of_a_service());
        self.of_runs.clear();
        self.changed.clear();
        self.cleared.clear();
        self.untold = true;
    }

    /// A node must be told all that is raised here.
    pub fn tell_again(&mut self) {
        self.untold = true;
    }

    /// All that is raised here, if the other nodes are to be told now.
    pub fn take_news(&mut self, now: Timestamp) -> Option<Vec<Alarm>> {
        let due = self.untold && now.since(self.told_at) >= TELL_EVERY;
        due.then(|| {
            (self.untold, self.told_at) = (false, now);
            self.raised()
        })
    }

    /// What another node says is raised there; nothing once it is out of reach.
    pub fn set_peer(&mut self, node: &NodeName, mut alarms: Vec<Alarm>) {
        alarms.truncate(ALARMS_END);
        match alarms.is_empty() {
            true => drop(self.of_peers.remove(node)),
            false => drop(self.of_peers.insert(node.clone(), alarms)),
        }
    }

    /// All alarms of other nodes.
    pub fn of_peers(&self) -> BTreeMap<String, Vec<Alarm>> {
        self.of_peers.iter().map(|(node, alarms)| (node.to_string(), alarms.clone())).collect()
    }

    /// All raised alarms.
    pub fn raised(&self) -> Vec<Alarm> {
        self.raised.values().cloned().collect()
    }
}

fn key(source: &str, about: Option<(&str, &str)>, text: &str) -> Key {
    let (alarm_type, instance) = about.unwrap_or(("", text));
    (source.to_owned(), alarm_type.to_owned(), instance.to_owned())
}

impl Alarm {
    /// True if a service raised it, and not the container.
    fn is_of_a_service(&self) -> bool {
        !self.alarm_type.is_empty()
    }

    fn is_of_service(&self, service: &str) -> bool {
        self.source == service && self.is_of_a_service()
    }
}

impl AlarmChange {
    /// One of another run is cleared.
    fn cleared(of: &RunId, alarm: &Alarm) -> Self {
        AlarmChange { of: Some(of.clone()), id: alarm.id, alarm: None, count: alarm.count }
    }
}

/// The row of an alarm at a run; removed if there is none.
pub(crate) fn row_of(of: &RunId, id: u64, alarm: Option<&Alarm>) -> RowChange {
    let encoded = |alarm| encode(&(of, alarm)).expect("plain data can be encoded");
    let row = alarm.map(|alarm| ByteBuf::from(encoded(alarm)));
    RowChange { table: TABLE.to_owned(), key: format!("{of}/{id}"), row }
}

impl Core {
    /// Something happened that an operator should look at, and clear.
    pub(crate) fn raise_alarm(
        &mut self,
        now: Timestamp,
        severity: Severity,
        source: &str,
        text: &str,
    ) {
        let of_service = self.is_of_service(source);
        let lasting = false;
        self.raise(now, &Raise { source, about: None, of_service, severity, text, lasting });
    }

    /// A condition began; [`Core::clear_alarm`] says when it is over.
    pub(crate) fn raise_condition(
        &mut self,
        now: Timestamp,
        severity: Severity,
        source: &str,
        text: &str,
    ) {
        let of_service = self.is_of_service(source);
        let lasting = true;
        self.raise(now, &Raise { source, about: None, of_service, severity, text, lasting });
    }

    /// True for the name of a service or of an adaptor.
    fn is_of_service(&self, source: &str) -> bool {
        self.is_deployed(source) || self.adaptors.named(source).is_some()
    }

    pub(crate) fn raise(&mut self, now: Timestamp, raise: &Raise<'_>) {
        match self.alarms.raise(now, raise) {
            Raised::New(alarm) => {
                self.outputs.push_back(Output::Notice(Notice::AlarmRaised(alarm)));
            }
            Raised::Again => {}
            Raised::TooMany => self.count_drop("alarm beyond the number that may be raised"),
        }
    }

    /// What services raised at runs that are no members any more is here from now on, if the shared
    /// tables are.
    pub(crate) fn inherit_alarms(&mut self) {
        if self.view.owner(CohortId::TABLES) != Some(&self.config.me) {
            return;
        }
        let gone = self.alarms.runs().filter(|run| !self.view.contains(run));
        for run in gone.cloned().collect::<Vec<_>>() {
            for _ in 0..self.alarms.inherit(&run) {
                self.count_drop("alarm beyond the number that may be raised");
            }
        }
    }

    /// A condition is over.
    pub(crate) fn clear_alarm(&mut self, source: &str, text: &str) {
        if self.alarms.clear(source, text) {
            self.outputs.push_back(Output::Notice(Notice::AlarmCleared(text.to_owned())));
        }
    }

    /// A service clears alarms of its own.
    pub(crate) fn clear_service_alarms(&mut self, service: &str, which: &Cleared) {
        for alarm in self.alarms.clear_of_service(service, which) {
            self.outputs.push_back(Output::Notice(Notice::AlarmCleared(alarm.text)));
        }
    }

    /// An operator clears one.
    pub(crate) fn clear_alarm_by_id(&mut self, id: u64) -> Result<(), String> {
        let alarm = self.alarms.clear_by_id(id)?;
        self.outputs.push_back(Output::Notice(Notice::AlarmCleared(alarm.text)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
