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
//! its node. Once that is no member, whoever owns the shared tables has it among its own
//! (`of_others.rs`). What the container raised is about the node, and ends with it; what a call
//! itself waits for is raised anew by whoever owns it (`retry.rs`).

mod of_others;
pub(crate) mod sources;

pub(crate) use of_others::{IMPOSSIBLE, TABLE, row_of};

use crate::core::Core;
use crate::io::Output;
use crate::management::{Alarm, Notice};
use crate::noted::AlarmChange;
use resilee_membership::{NodeName, RunId};
use resilee_sbb::{Cleared, CohortId, Severity, Timestamp, cut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// As many alarms a node can be told to have at most: they are told in one frame.
pub const ALARMS_END: usize = 1_024;
/// And at least: enough for all rooms below.
pub const ALARMS_MIN: usize = 128;
/// Different alarms that one service may have raised.
pub const ALARMS_PER_SERVICE_MAX: usize = 64;
/// Lines that say in a second that alarms of one service are raised or cleared; which of them are
/// raised is true nevertheless.
pub const ALARM_LINES_PER_SECOND_MAX: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
/// Room that services leave to the container.
const ALARMS_OF_CONTAINER_MIN: usize = 64;
/// Room that all of them leave to conditions of the container, which last and which it ends itself.
const CONDITIONS_MIN: usize = 32;
/// Bytes of an alarm's text: all alarms of a node are told in one frame.
const ALARM_BYTES_MAX: usize = 2_048;
/// Other nodes are told of changes this often.
const TELL_EVERY: Duration = Duration::from_millis(500);

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
    /// By service: the second that runs, and its lines in it.
    lines: BTreeMap<String, (Timestamp, u32)>,
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
            lines: BTreeMap::new(),
        }
    }

    /// Raises an alarm.
    pub fn raise(&mut self, now: Timestamp, raise: &Raise<'_>) -> Raised {
        let Raise { source, about, of_service, severity, text, lasting } = *raise;
        let text = cut(text.to_owned(), ALARM_BYTES_MAX);
        let key = key(source, about, &text);
        self.untold = true;
        if let Some(alarm) = self.raised.get_mut(&key) {
            alarm.count = alarm.count.saturating_add(1);
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

    /// The alarm that an operator may clear, by [`Alarms::clear_by_id`].
    ///
    /// # Errors
    /// There is none, or it ends with its condition.
    pub fn clearable(&self, id: u64) -> Result<&Alarm, String> {
        let alarm = self.raised.values().find(|alarm| alarm.id == id);
        let alarm = alarm.ok_or_else(|| {
            format!("no alarm {id} is raised at this node: clear it at the node that has it")
        })?;
        match alarm.lasting {
            true => Err(format!("alarm {id} ends by itself, when what it speaks of is over")),
            false => Ok(alarm),
        }
    }

    /// Clears an alarm for an operator.
    pub fn clear_by_id(&mut self, id: u64) {
        for (_, alarm) in self.raised.extract_if(.., |_, raised| raised.id == id) {
            self.untold = true;
            self.changed.extend(alarm.is_of_a_service().then_some(id));
        }
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

    /// Services that have raised alarms, at any run.
    pub fn of_services(&self) -> impl Iterator<Item = &str> {
        let others = self.of_runs.values().flat_map(BTreeMap::values);
        let alarms = self.raised.values().filter(|alarm| alarm.is_of_a_service()).chain(others);
        alarms.map(|alarm| alarm.source.as_str())
    }

    /// True if a line about an alarm of this service may be written now.
    pub fn admit_line(&mut self, now: Timestamp, service: &str) -> bool {
        self.lines.retain(|_, (second, _)| now.since(*second) < SECOND);
        let (_, lines) = self.lines.entry(service.to_owned()).or_insert((now, 0));
        *lines += 1;
        *lines <= ALARM_LINES_PER_SECOND_MAX
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
    /// True if a service raised it, and not the container: those have a type (`facilities.rs`).
    pub(crate) fn is_of_a_service(&self) -> bool {
        !self.alarm_type.is_empty()
    }

    fn is_of_service(&self, service: &str) -> bool {
        self.source == service && self.is_of_a_service()
    }
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
                if !raise.of_service || self.admit_alarm_line(now, raise.source) {
                    self.outputs.push_back(Output::Notice(Notice::AlarmRaised(alarm)));
                }
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
        let gone: Vec<_> = gone.cloned().collect();
        if gone.is_empty() {
            return;
        }
        // One whose unit cannot be compiled here may be deployed elsewhere.
        let uploaded: BTreeSet<_> = self.unit_rows().map(|(_, row)| row.service).collect();
        let deployed: BTreeSet<_> = self.deployed().map(|it| it.name).collect();
        for run in gone {
            let is_known = |name: &str| uploaded.contains(name) || deployed.contains(name);
            let inherited = self.alarms.inherit(&run, is_known);
            for alarm in inherited.ended {
                self.outputs.push_back(Output::Notice(Notice::AlarmCleared(alarm.text)));
            }
            for _ in 0..inherited.lost {
                self.count_drop("alarm beyond the number that may be raised");
            }
        }
    }

    /// What another node says is raised there.
    pub(crate) fn on_alarms_told(&mut self, node: &NodeName, alarms: Vec<Alarm>) {
        for _ in 0..self.alarms.set_peer(node, alarms) {
            self.count_drop(IMPOSSIBLE);
        }
    }

    /// A condition is over.
    pub(crate) fn clear_alarm(&mut self, source: &str, text: &str) {
        if self.alarms.clear(source, text) {
            self.outputs.push_back(Output::Notice(Notice::AlarmCleared(text.to_owned())));
        }
    }

    /// A service clears alarms of its own.
    pub(crate) fn clear_service_alarms(&mut self, now: Timestamp, service: &str, which: &Cleared) {
        for alarm in self.alarms.clear_of_service(service, which) {
            if self.admit_alarm_line(now, service) {
                self.outputs.push_back(Output::Notice(Notice::AlarmCleared(alarm.text)));
            }
        }
    }

    fn admit_alarm_line(&mut self, now: Timestamp, service: &str) -> bool {
        let is_admitted = self.alarms.admit_line(now, service);
        if !is_admitted {
            self.count_drop("line about an alarm beyond those of a second");
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests;
