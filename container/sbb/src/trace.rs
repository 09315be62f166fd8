//! The trace facility (JAIN SLEE 1.1 chapter 13): tracers by name, each with a level that an
//! operator may change while calls run.
//!
//! A service has a tracer of its name, each child SBB one below it, and any of them others below
//! that: `call-billing`, `call-billing.rating`, `call-billing.rating.steps`. One without a level
//! of its own has that of the name above it, and at last that of the root. The levels come with
//! each delivery, so that a line which nobody wants is not even made.

use crate::context::Context;
use crate::effect::Effect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

/// Longest line; what is beyond is cut off.
pub const TRACE_TEXT_MAX: usize = 1_024;
/// Longest name of a tracer.
pub const TRACER_NAME_MAX: usize = 128;
/// The tracer above all others.
pub const ROOT_TRACER: &str = "root";

/// How much a line matters; and from which level on a tracer writes lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceLevel {
    /// Each step.
    Finest,
    /// More than [`TraceLevel::Fine`].
    Finer,
    /// Of interest to the service's author.
    Fine,
    /// How something was set up.
    Config,
    /// Of interest to an operator. The root's level unless it is changed.
    #[default]
    Info,
    /// Something an operator should look at.
    Warning,
    /// Something failed.
    Severe,
    /// Of a tracer: it writes nothing. No line has it.
    Off,
}

impl TraceLevel {
    /// All, from the one that writes most.
    pub const ALL: [TraceLevel; 8] = [
        TraceLevel::Finest,
        TraceLevel::Finer,
        TraceLevel::Fine,
        TraceLevel::Config,
        TraceLevel::Info,
        TraceLevel::Warning,
        TraceLevel::Severe,
        TraceLevel::Off,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            TraceLevel::Finest => "finest",
            TraceLevel::Finer => "finer",
            TraceLevel::Fine => "fine",
            TraceLevel::Config => "config",
            TraceLevel::Info => "info",
            TraceLevel::Warning => "warning",
            TraceLevel::Severe => "severe",
            TraceLevel::Off => "off",
        }
    }
}

impl Display for TraceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TraceLevel {
    type Err = ParseTraceLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level = TraceLevel::ALL.into_iter().find(|level| level.as_str() == text);
        level.ok_or_else(|| ParseTraceLevelError(text.chars().take(32).collect()))
    }
}

/// A text that is no [`TraceLevel`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no trace level: finest, finer, fine, config, info, warning, severe or off is expected"
)]
pub struct ParseTraceLevelError(String);

/// The levels that tracers were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceLevels {
    root: TraceLevel,
    given: BTreeMap<String, TraceLevel>,
}

impl TraceLevels {
    /// The level that a tracer was given itself; the root always has one.
    pub fn given(&self, tracer: &str) -> Option<TraceLevel> {
        match tracer {
            ROOT_TRACER => Some(self.root),
            name => self.given.get(name).copied(),
        }
    }

    /// The level that a tracer goes by: its own, or that of the next name above which has one.
    pub fn effective(&self, tracer: &str) -> TraceLevel {
        let mut name = tracer;
        while !self.given.is_empty() {
            if let Some(level) = self.given.get(name) {
                return *level;
            }
            match name.rsplit_once('.') {
                Some((above, _)) => name = above,
                None => break,
            }
        }
        self.root
    }

    /// Gives a tracer a level, or takes it away again.
    pub fn set(&mut self, tracer: &str, level: Option<TraceLevel>) {
        match (tracer, level) {
            (ROOT_TRACER, level) => self.root = level.unwrap_or_default(),
            (name, Some(level)) => drop(self.given.insert(name.to_owned(), level)),
            (name, None) => drop(self.given.remove(name)),
        }
    }

    /// Names that have a level of their own, besides the root.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// True if the tracer writes lines of this level.
    pub fn is_traceable(&self, tracer: &str, level: TraceLevel) -> bool {
        level != TraceLevel::Off && level >= self.effective(tracer)
    }
}

impl Context<'_> {
    /// True if the SBB's tracer writes lines of this level: for what is dear to find out.
    pub fn is_traceable(&self, level: TraceLevel) -> bool {
        self.is_traceable_by("", level)
    }

    /// The same for a tracer below that of the SBB.
    pub fn is_traceable_by(&self, tracer: &str, level: TraceLevel) -> bool {
        self.deliver.trace_levels.is_traceable(&self.tracer_name(tracer), level)
    }

    /// Writes a line to the SBB's tracer, also if the transaction rolls back. The text is put
    /// together only if the line is wanted: give it as `format_args!`.
    pub fn trace(&mut self, level: TraceLevel, text: impl Display) {
        self.trace_by("", level, text);
    }

    /// The same for a tracer below that of the SBB: `rating` of `call-billing` is
    /// `call-billing.rating`.
    pub fn trace_by(&mut self, tracer: &str, level: TraceLevel, text: impl Display) {
        let tracer = self.tracer_name(tracer);
        if !self.deliver.trace_levels.is_traceable(&tracer, level) {
            return;
        }
        let text = cut(text.to_string(), TRACE_TEXT_MAX);
        self.tx.ask(Effect::Trace { tracer, level, text });
    }

    /// Full name of a tracer below that of the running SBB.
    fn tracer_name(&self, below: &str) -> String {
        let names = [Some(self.deliver.service), self.child_sbb(), Some(below)];
        let names: Vec<_> = names.into_iter().flatten().filter(|name| !name.is_empty()).collect();
        cut(names.join("."), TRACER_NAME_MAX)
    }
}

/// The text up to a number of bytes, and whole characters only.
pub fn cut(mut text: String, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_without_a_level_goes_by_the_name_above_it() {
        let mut levels = TraceLevels::default();
        assert_eq!(levels.effective("billing.rating"), TraceLevel::Info);
        levels.set("billing", Some(TraceLevel::Fine));
        assert_eq!(levels.effective("billing.rating.steps"), TraceLevel::Fine);
        assert_eq!(levels.effective("billing-two"), TraceLevel::Info, "it is another name");
        levels.set("billing.rating", Some(TraceLevel::Off));
        assert_eq!(levels.effective("billing.rating.steps"), TraceLevel::Off);
        assert_eq!(levels.effective("billing"), TraceLevel::Fine);
        levels.set("billing.rating", None);
        assert_eq!(levels.effective("billing.rating"), TraceLevel::Fine);
        levels.set(ROOT_TRACER, Some(TraceLevel::Severe));
        assert_eq!(levels.effective("registrar"), TraceLevel::Severe);
        levels.set(ROOT_TRACER, None);
        assert_eq!(levels.effective(ROOT_TRACER), TraceLevel::Info);
    }

    #[test]
    fn a_tracer_that_is_off_writes_no_line_and_no_line_is_off() {
        let mut levels = TraceLevels::default();
        assert!(levels.is_traceable("billing", TraceLevel::Info));
        assert!(!levels.is_traceable("billing", TraceLevel::Config));
        assert!(!levels.is_traceable("billing", TraceLevel::Off));
        levels.set("billing", Some(TraceLevel::Off));
        assert!(!levels.is_traceable("billing", TraceLevel::Severe));
    }

    #[test]
    fn a_level_reads_back_from_its_name() {
        for level in TraceLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        let error = "loud".parse::<TraceLevel>().expect_err("no level");
        assert!(error.to_string().starts_with("\"loud\" is no trace level"), "{error}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("aéb".to_owned(), 2), "a");
        assert_eq!(cut("aéb".to_owned(), 3), "aé");
        assert_eq!(cut("aéb".to_owned(), 9), "aéb");
    }
}
