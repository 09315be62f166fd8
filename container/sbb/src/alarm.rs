//! The alarm facility (`javax.slee.facilities`): what a service wants an operator to look at.
//!
//! An alarm is one by its service, its type and its instance; an empty type is [`UNTYPED_ALARM`].
//! Raising it again counts it, and changes neither its severity nor its text. It is raised or
//! cleared whatever becomes of the transaction, by the node on which the handler runs.

use crate::context::Context;
use crate::effect::Effect;
use crate::trace::cut;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest type or instance of an alarm; what is beyond is cut off.
pub const ALARM_NAME_MAX: usize = 128;
/// Type of an alarm that is raised, or cleared, without one.
pub const UNTYPED_ALARM: &str = "untyped";
/// Longest text of an alarm; what is beyond is cut off.
pub const ALARM_TEXT_MAX: usize = 1_024;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody has said.
    #[default]
    Indeterminate,
    /// It may become worse.
    Warning,
    /// Something is worse than it should be; calls do not notice.
    Minor,
    /// Service is degraded, or one more fault will cost calls.
    Major,
    /// Service is lost.
    Critical,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Indeterminate => "indeterminate",
            Severity::Warning => "warning",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which alarms of a service are cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cleared {
    /// The one of this type and instance.
    One {
        /// Its type.
        alarm_type: String,
        /// Its instance.
        instance: String,
    },
    /// All of this type.
    OfType(String),
    /// All.
    All,
}

impl Context<'_> {
    /// Raises the alarm of a type about an instance (`no_tariff` about the prefix `49`), also if
    /// the transaction rolls back.
    pub fn raise_alarm(
        &mut self,
        alarm_type: &str,
        instance: &str,
        severity: Severity,
        text: impl Into<String>,
    ) {
        self.tx.ask(Effect::RaiseAlarm {
            alarm_type: name(alarm_type),
            instance: name(instance),
            severity,
            text: cut(text.into(), ALARM_TEXT_MAX),
        });
    }

    /// Clears one alarm of this service, also if the transaction rolls back; nothing if it is not
    /// raised.
    pub fn clear_alarm(&mut self, alarm_type: &str, instance: &str) {
        let (alarm_type, instance) = (name(alarm_type), name(instance));
        self.tx.ask(Effect::ClearAlarms(Cleared::One { alarm_type, instance }));
    }

    /// Clears the alarms of this service that are of one type.
    pub fn clear_alarms_of_type(&mut self, alarm_type: &str) {
        self.tx.ask(Effect::ClearAlarms(Cleared::OfType(name(alarm_type))));
    }

    /// Clears all alarms of this service.
    pub fn clear_all_alarms(&mut self) {
        self.tx.ask(Effect::ClearAlarms(Cleared::All));
    }
}

fn name(text: &str) -> String {
    cut(text.to_owned(), ALARM_NAME_MAX)
}
