//! Services that fail again and again, and what a node does about it ([`FailurePolicy`]).
//!
//! | a service at this node                       | what happens                                  |
//! |----------------------------------------------|-----------------------------------------------|
//! | fails: its handler fails, panics or hangs,   | it is counted; further tries of an event that |
//! | or asks for what it may not                  | is tried again are not                        |
//! | gets no time of its node's processors        | it is not counted: no fault of its own        |
//! | has failed [`FAILURES_MAX`] times within     | an alarm; then by its policy:                 |
//! | [`FAILURES_WITHIN`]: keep                    | nothing                                       |
//! | the same: refuse new                         | it begins no root entity here, as long as the |
//! |                                              | alarm lasts                                   |
//! | the same: suspend                            | as well; and it is deactivated, as operators  |
//! |                                              | do, of which another alarm stays              |
//! | has not failed for [`FAILURES_WITHIN`]       | the alarm ends                                |
//! | is activated, also if it is active           | the alarm ends                                |
//! | is undeployed                                | the alarm ends                                |
//!
//! Each node counts its own: who takes over calls of another one counts anew. A deactivation that
//! was asked of a node which died is asked of its heir (`table_changes.rs`); one that is refused,
//! since another service needs this one, leaves the node with refusing what is new.

use crate::alarms::sources;
use crate::core::Core;
use crate::deployed::place_of;
use crate::event_router::{Audience, Awaiting};
use crate::management::{Changed, TableChange};
use resilee_sbb::{CellId, Descriptor, FailurePolicy, Severity, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many failures of a service at one node are too many.
pub const FAILURES_MAX: usize = 3;
/// If they are within so long.
pub const FAILURES_WITHIN: Duration = Duration::from_secs(60);

/// Services that failed lately at this node.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    services: BTreeMap<String, Failed>,
}

/// One of them.
#[derive(Debug, Default)]
struct Failed {
    /// Its last failures.
    at: VecDeque<Timestamp>,
    /// The alarm that it fails too often, and since when it is raised.
    alarm: Option<(String, Timestamp)>,
}

impl Failures {
    /// True if the service begins nothing here.
    pub fn refuses(&self, service: &Descriptor) -> bool {
        let policy = service.deployment.on_repeated_failures;
        let failed = self.services.get(service.name);
        policy != FailurePolicy::Keep && failed.is_some_and(|failed| failed.alarm.is_some())
    }

    /// Services that failed lately, with the alarm that they fail too often.
    pub fn failed(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.services.iter().map(|(name, failed)| {
            (name.as_str(), failed.alarm.as_ref().map(|(text, _)| text.as_str())) //
        })
    }
}

impl Core {
    /// A delivery rolled back since its service failed.
    pub(crate) fn note_failed_delivery(&mut self, now: Timestamp, id: CellId, awaiting: Awaiting) {
        let turn = self.cells.get(&id).and_then(|cell| cell.turn.as_ref());
        let routing = turn.and_then(|turn| turn.current.as_ref());
        if !routing.is_some_and(|it| matches!(it.audience, Audience::Retry(_))) {
            self.note_failure(now, awaiting.name);
        }
    }

    /// A service has failed.
    pub(crate) fn note_failure(&mut self, now: Timestamp, name: &str) {
        let Some(place) = place_of(&self.services, name) else { return };
        let policy = self.services[place].deployment.on_repeated_failures;
        let failed = self.failures.services.entry(name.to_owned()).or_default();
        failed.at.retain(|at| now.since(*at) < FAILURES_WITHIN);
        failed.at.push_back(now);
        if failed.at.len() > FAILURES_MAX {
            failed.at.pop_front();
        }
        if failed.alarm.is_none() && failed.at.len() < FAILURES_MAX {
            return;
        }
        if failed.alarm.is_none() {
            let text = said(name, policy);
            failed.alarm = Some((text.clone(), now));
            self.raise_condition(now, Severity::Major, sources::LIFE_CYCLE, &text);
            self.note_all_life_cycles();
        }
        if policy == FailurePolicy::Suspend && self.is_wanted(&self.services[place]) {
            let deactivate = vec![name.to_owned()];
            self.change_by_itself(now, TableChange::Services { activate: vec![], deactivate });
        }
    }

    /// What became of a service's deactivation.
    pub(crate) fn on_own_change(&mut self, change: &TableChange, changed: &Changed) {
        let TableChange::Services { deactivate, .. } = change else { return };
        let name = deactivate.join(", ");
        let text = match changed {
            Changed::Done => format!(
                "{name} is deactivated since it failed again and again: activate it once it is \
                 repaired"
            ),
            Changed::Refused(why) | Changed::NotYet(why) | Changed::Unknown(why) => {
                format!("{name} fails again and again, and could not be deactivated: {why}")
            }
        };
        self.raise_alarm(self.clock.now(), Severity::Major, sources::LIFE_CYCLE, &text);
    }

    /// Those that have not failed for a while are as any other.
    pub(crate) fn tend_failures(&mut self, now: Timestamp) {
        let is_quiet = |failed: &Failed| {
            failed.at.back().is_none_or(|last| now.since(*last) >= FAILURES_WITHIN)
        };
        let failed = self.failures.services.iter().filter(|(_, failed)| is_quiet(failed));
        let quiet: Vec<_> = failed.map(|(name, _)| name.clone()).collect();
        quiet.iter().for_each(|name| self.forget_failures(name));
    }

    /// So are those that an operator has activated since.
    pub(crate) fn forget_failures_of_activated(&mut self) {
        let is_activated = |(name, failed): &(&String, &Failed)| {
            let since = failed.alarm.as_ref().map(|(_, since)| *since);
            since.is_some_and(|since| self.active_since(name).is_some_and(|active| active > since))
        };
        let activated = self.failures.services.iter().filter(is_activated);
        let activated: Vec<_> = activated.map(|(name, _)| name.clone()).collect();
        activated.iter().for_each(|name| self.forget_failures(name));
    }

    /// Nothing is known against a service any more.
    pub(crate) fn forget_failures(&mut self, name: &str) {
        let failed = self.failures.services.remove(name);
        if let Some((text, _)) = failed.and_then(|failed| failed.alarm) {
            self.clear_alarm(sources::LIFE_CYCLE, &text);
            self.note_all_life_cycles();
        }
    }
}

/// What operators are told.
fn said(name: &str, policy: FailurePolicy) -> String {
    let within = FAILURES_WITHIN.as_secs();
    let then = match policy {
        FailurePolicy::Keep => "look at its other alarms",
        FailurePolicy::RefuseNew => {
            "it begins nothing new here until it has not failed for as long, or is activated"
        }
        FailurePolicy::Suspend => "it begins nothing new here, and is to be deactivated",
    };
    format!("{name} failed {FAILURES_MAX} times within {within} s: {then}")
}
