//! What a commit carries for the facilities that are kept by node: what services counted and
//! measured, and the alarms that they raised.
//!
//! | what                     | who may say it        | what it says                       |
//! |--------------------------|-----------------------|------------------------------------|
//! | counts and samples       | the node that counted | what is added, since which reset   |
//! | a reset                  | any member            | the figures of all nodes are zero  |
//! | an alarm                 | the run where it is   | all of it as it is now             |
//! | an alarm that is cleared | any member            | whose it was, and how often raised |
//!
//! Two members say such things side by side, and hear each other late; what they hold is the same
//! all the same, in whatever order it arrives. What was counted before a reset that a node had not
//! heard of is left out at both; an alarm that was raised again behind a clearing stays at both.
//!
//! What a member cannot have said, or there is no room for, is left out and counted; the rest of
//! its commit is taken.
//!
//! Updates of a link are applied once (`link.rs`), so nothing is counted twice. A turn that is lost
//! with its node has counted nothing.

use crate::commit::{Commit, RowChange};
use crate::core::Core;
use crate::event_router::Turn;
use crate::frame::Update;
use crate::io::Output;
use crate::management::{Alarm, Notice};
use crate::{alarms, usage};
use resilee_membership::RunId;
use resilee_sbb::{CellId, Timestamp, UsageUpdate, UsageValue};
use serde::{Deserialize, Serialize};

/// See the table above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// By service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Counted>,
    /// Services whose figures begin at zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<UsageReset>,
    /// Alarms of services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmChange>,
}

/// What one service counted and measured in one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Its name.
    pub service: String,
    /// Resets of its figures that the node had heard of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resets: u32,
    /// When all figures were zero, if nobody has counted since, as far as the node knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It is linked into that node, and so is not what a unit was that is removed. Versions that do
    /// not say so are taken for ones with units, of which late figures are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
    /// What is added.
    pub updates: Vec<UsageUpdate>,
}

/// Figures of a service begin at zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsageReset {
    /// Its name.
    pub service: String,
    /// Counts those that its node had heard of, with this one.
    pub number: u32,
    /// When it was.
    pub at: Timestamp,
}

/// An alarm is raised, raised again or cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmChange {
    /// Where it was raised; none: where this is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<RunId>,
    /// [`Alarm::id`].
    pub id: u64,
    /// The alarm as it is now; none if it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// It is cleared if it was raised no more often than that.
    #[serde(default)]
    pub count: u64,
}

impl Turn {
    /// A service counted or measured something.
    pub fn count(&mut self, service: &'static str, update: UsageUpdate) {
        let same = |(of, known): &&mut (&'static str, UsageUpdate)| {
            *of == service && known.set == update.set && known.parameter == update.parameter
        };
        let known = self.usage.iter_mut().find(same).map(|(_, known)| &mut known.value);
        match (known, update.value) {
            (Some(UsageValue::Count(sum)), UsageValue::Count(increment)) => {
                *sum = sum.saturating_add(increment);
            }
            _ => self.usage.push((service, update)),
        }
    }
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Core {
    /// What the next commit carries: what its turn counted, which is added to the node's own
    /// figures here, and what became of alarms since the last one.
    pub(crate) fn note(&mut self, usage: Vec<(&'static str, UsageUpdate)>) -> Option<Box<Noted>> {
        if usage.is_empty() && !self.alarms.has_changes() {
            return None;
        }
        let mut noted = Noted::default();
        for (service, update) in usage {
            // It may have been undeployed since.
            let Some(resets) = self.usage.resets(service) else { continue };
            let since = self.usage.began(service);
            let counted = self.usage.update(&self.config.me.node, service, &update);
            self.count_left_out(counted);
            match noted.usage.iter_mut().find(|counted| counted.service == service) {
                Some(counted) => counted.updates.push(update),
                None => noted.usage.push(Counted {
                    service: service.to_owned(),
                    resets,
                    since,
                    linked: self.is_linked(service),
                    updates: vec![update],
                }),
            }
        }
        noted.alarms = self.alarms.take_changes();
        let me = self.config.me.clone();
        for change in &noted.alarms {
            self.store_alarm(change.of.as_ref().unwrap_or(&me), change);
        }
        let says_nothing = noted == Noted::default();
        (!says_nothing).then(|| Box::new(noted))
    }

    /// Alarms that changed outside a turn get a commit of their own.
    pub(crate) fn commit_alarms(&mut self) {
        if self.is_member()
            && let Some(noted) = self.note(Vec::new())
        {
            self.commit_noted(*noted);
        }
    }

    /// A commit that leaves all cells alone.
    pub(crate) fn commit_noted(&mut self, noted: Noted) {
        let cell = CellId { cohort: self.config.me.cohort(), number: 0 };
        let number = self.gate.next_commit();
        self.noted_commit = number;
        let commit = Commit { noted: Some(Box::new(noted)), ..Commit::empty(number, cell) };
        self.observe(|| commit.observed());
        self.replicate(&Update::Commit(commit), number);
    }

    /// What a commit of another run carries.
    pub(crate) fn apply_noted(&mut self, now: Timestamp, from: &RunId, noted: &Noted) {
        for counted in &noted.usage {
            self.note_upload_of(&counted.service);
            if counted.linked {
                self.usage.expect(&counted.service);
            }
            let applied = self.usage.apply(now, &from.node, counted);
            self.count_left_out(applied);
        }
        for reset in &noted.resets {
            self.note_upload_of(&reset.service);
            let applied = self.usage.apply_reset(reset);
            self.count_left_out(applied);
        }
        for change in &noted.alarms {
            let of = change.of.as_ref().unwrap_or(from);
            match &change.alarm {
                // Where an alarm is raised, only its own run knows.
                Some(_) if of != from => self.count_drop(alarms::IMPOSSIBLE),
                None if *of == self.config.me => {
                    if let Some(alarm) = self.alarms.clear_for_another(change) {
                        self.outputs.push_back(Output::Notice(Notice::AlarmCleared(alarm.text)));
                        self.store_alarm(of, change);
                    }
                }
                _ => match self.alarms.apply(of, change) {
                    Ok(true) => self.store_alarm(of, change),
                    Ok(false) => {}
                    Err(reason) => self.count_drop(reason),
                },
            }
        }
    }

    /// The unit of a removed service may be there again, a moment ago.
    fn note_upload_of(&mut self, service: &str) {
        if self.usage.was_removed(service)
            && self.unit_rows().any(|(_, row)| row.service == service)
        {
            self.usage.expect(service);
        }
    }

    fn count_left_out(&mut self, outcome: Result<(), &'static str>) {
        if let Err(reason) = outcome {
            self.count_drop(reason);
        }
    }

    fn store_alarm(&mut self, of: &RunId, change: &AlarmChange) {
        self.store_rows(&[alarms::row_of(of, change.id, change.alarm.as_ref())]);
    }

    /// Rows in which alarms of services and usage figures are stored, and given to a joiner.
    pub(crate) fn facility_rows(&self) -> impl Iterator<Item = RowChange> {
        self.alarms.rows(&self.config.me).chain(self.usage.rows())
    }

    /// Takes a row of [`Core::facility_rows`]; false: it is another one.
    pub(crate) fn read_facility_row(&mut self, table: &str, key: &str, row: Option<&[u8]>) -> bool {
        let read = match table {
            alarms::TABLE => self.alarms.read_row(row),
            usage::TABLE => self.usage.read_row(key, row),
            _ => return false,
        };
        self.count_left_out(read);
        true
    }

    /// A snapshot is to replace what is known.
    pub(crate) fn forget_facilities(&mut self) {
        self.alarms.forget_of_services();
        self.usage.forget();
    }

    /// Writes figures that changed since the last batch.
    pub(crate) fn store_usage(&mut self) {
        let rows = self.usage.take_unstored();
        self.store_rows(&rows);
    }
}
