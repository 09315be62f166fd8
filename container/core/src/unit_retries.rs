//! Units that could not be compiled for a reason that may pass
//! ([`NotCompiled::Passing`](resilee_sbb::NotCompiled)): this node tries them again, so that nobody
//! is kept from joining for good by a moment in which his machine had too much to do.
//!
//! | such a unit                | what happens                                                    |
//! |----------------------------|-----------------------------------------------------------------|
//! | was not compiled           | an alarm; it is compiled again after [`AGAIN_AFTER`]            |
//! | the same again             | twice as long after that, and at most [`AGAIN_AFTER_MAX`]       |
//! | has a reason that lasts    | that alarm instead; it is not tried again                       |
//! | is compiled                | the alarm ends; it is as one that was compiled at once          |
//! | is removed                 | the alarm ends                                                  |
//!
//! While it waits it stands in nobody's way: who takes a name of it is deployed, unless calls
//! depend on it (`units.rs`).

use crate::alarms::sources;
use crate::core::Core;
use crate::io::Output;
use crate::unit_rows::{Row, assembled};
use crate::units::Stage;
use resilee_sbb::{Severity, Timestamp};
use std::time::Duration;

/// How long after the first time a unit is compiled again.
pub const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// It is not compiled less often.
pub const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);

/// A unit that is tried again.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// The alarm that says why it is not compiled.
    pub alarm: String,
    /// How long it waits.
    pause: Duration,
    /// Until when, in local time; `None`: it is being compiled.
    due: Option<Timestamp>,
}

impl Retry {
    /// True if the shell has it.
    pub fn is_being_compiled(&self) -> bool {
        self.due.is_none()
    }
}

impl crate::units::Units {
    /// When a unit is compiled again, in local time.
    pub fn again_at(&self) -> Option<Timestamp> {
        let due = self.stages.values().filter_map(|stage| match stage {
            Stage::Again(retry) => retry.due,
            _ => None,
        });
        due.min()
    }
}

impl Core {
    /// The stage of a unit that was not compiled for this reason, and what it was before if it was
    /// tried before.
    pub(crate) fn compile_later(
        &mut self,
        now: Timestamp,
        row: &Row,
        reason: &str,
        before: Option<Retry>,
    ) -> Stage {
        let service = &row.service;
        let alarm = format!("{service} is not compiled here yet: {reason}; it is tried again");
        let twice = |before: &Retry| (before.pause * 2).min(AGAIN_AFTER_MAX);
        let pause = before.as_ref().map_or(AGAIN_AFTER, twice);
        if let Some(before) = before.filter(|before| before.alarm != alarm) {
            self.clear_alarm(sources::UNIT, &before.alarm);
        }
        self.raise_condition(now, Severity::Major, sources::UNIT, &alarm);
        let due = Some(self.clock.local() + pause);
        Stage::Again(Retry { alarm, pause, due })
    }

    /// Has those compiled again that have waited long enough.
    pub(crate) fn compile_again(&mut self) {
        let local = self.clock.local();
        let is_due = |stage: &Stage| match stage {
            Stage::Again(retry) => retry.due.is_some_and(|due| due <= local),
            _ => false,
        };
        let due = self.units.stages.iter().filter(|(_, stage)| is_due(stage));
        for unit in due.map(|(unit, _)| unit.clone()).collect::<Vec<_>>() {
            let row = self.unit_rows().find(|(id, _)| *id == unit).map(|(_, row)| row);
            let bytes = row.and_then(|row| assembled(&self.tables, &unit, &row));
            let Some(Stage::Again(retry)) = self.units.stages.get_mut(&unit) else { continue };
            // A joiner lacks them for a moment.
            retry.due = bytes.is_none().then(|| local + retry.pause);
            if let Some(bytes) = bytes {
                self.outputs.push_back(Output::Compile { unit, bytes });
            }
        }
    }
}
