//! The timer facility (JAIN SLEE 1.1 chapter 13): when a timer of an SBB entity fires, and what
//! becomes of moments that passed while nobody could fire it.
//!
//! | moments up to now            | none                 | last                  | all            |
//! |------------------------------|----------------------|-----------------------|----------------|
//! | one, in time                 | fires                | fires                 | fires          |
//! | one, late                    | is dropped           | fires                 | fires          |
//! | more                         | only the last one    | the last one fires,   | one by one, at |
//! |                              | fires, if it is in   | the others are        | most so many   |
//! |                              | time                 | dropped               |                |
//!
//! Dropped moments count as repetitions, and the next event says how many there were. Arming the
//! clock and delivering is not here (`turns.rs`).

use resilee_sbb::{
    CodecError, PreserveMissed, TIMER_PERIOD_MIN, TimerFired, TimerId, TimerSetting, Timestamp,
    decode, encode, encode_into,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Missed moments that fire one by one; of more, the first ones are dropped.
pub const MISSED_KEPT_MAX: u64 = 1_000;

/// A timer of an SBB entity, as long as it has not fired for the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArmedTimer {
    /// The next moment.
    pub due: Timestamp,
    /// Whether it repeats, and what it does if it is late; a timer that fires once, however late,
    /// has none.
    pub course: Option<Box<Course>>,
}

/// How a timer goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Microseconds between two moments; none: there is only one.
    #[serde(default)]
    pub period_us: Option<u64>,
    /// Moments that are left, with the next one; none: for ever.
    #[serde(default)]
    pub left: Option<u32>,
    /// What becomes of missed moments.
    #[serde(default)]
    pub preserve_missed: PreserveMissed,
    /// After how many microseconds a moment is missed.
    #[serde(default)]
    pub late_after_us: u64,
    /// Moments that were dropped since it fired last.
    #[serde(default)]
    pub missed: u32,
}

/// What comes of a timer that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fired {
    /// The event, unless all moments up to now are dropped.
    pub event: Option<TimerFired>,
    /// The timer with its next moment, if there is one.
    pub next: Option<ArmedTimer>,
}

impl ArmedTimer {
    /// A timer as a service asked for it.
    pub fn new(setting: &TimerSetting) -> Self {
        let TimerSetting { due, period, repetitions, preserve_missed, late_after } = *setting;
        if *setting == TimerSetting::once(due) {
            return ArmedTimer { due, course: None };
        }
        let left = (repetitions > 0).then_some(repetitions);
        let (period_us, late_after_us) = (period.map(micros), micros(late_after));
        let course = Course { period_us, left, preserve_missed, late_after_us, missed: 0 };
        ArmedTimer { due, course: Some(Box::new(course)) }
    }

    /// The part of its cell that it is: the due time as it always was, and its course behind it.
    /// Who knows no courses reads the first, and takes it for a timer that fires once.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = encode(&self.due)?;
        self.course.iter().try_for_each(|course| encode_into(&mut bytes, course))?;
        Ok(bytes)
    }

    /// Reads [`ArmedTimer::to_bytes`].
    ///
    /// # Errors
    /// Bytes of something else, or of a timer that nobody can set: it would always be due.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let due = rmp_serde::from_read(&mut bytes);
        let due = due.map_err(|error| CodecError::invalid(format!("no due time: {error}")))?;
        let course: Option<Box<Course>> = (!bytes.is_empty()).then(|| decode(bytes)).transpose()?;
        let period_us = course.as_ref().and_then(|course| course.period_us);
        if let Some(period) = period_us.filter(|period| *period < micros(TIMER_PERIOD_MIN)) {
            let text = format!("a period of {period} us: no timer has one below 100 ms");
            return Err(CodecError::invalid(text));
        }
        Ok(ArmedTimer { due, course })
    }

    /// Does wrong on purpose: moments up to `now` have never been.
    pub fn forget_missed(&mut self, now: Timestamp) {
        if let Some(course) = self.course.as_ref().filter(|_| self.due < now) {
            self.due = course.moment(self.due, course.passed(now.since(self.due)));
        }
    }

    /// Its next moment has come; `timer` is its id.
    pub fn fire(self, now: Timestamp, timer: TimerId) -> Fired {
        let due = self.due;
        let event = |scheduled_at, remaining, missed| {
            Some(TimerFired { timer, scheduled_at, fired_at: now, remaining, missed })
        };
        let Some(course) = self.course else {
            return Fired { event: event(due, Some(0), 0), next: None };
        };
        // How many moments before the last one up to now are dropped, and whether that one is.
        let passed = course.passed(now.since(due));
        let skipped = match course.preserve_missed {
            PreserveMissed::All => passed.saturating_sub(MISSED_KEPT_MAX),
            PreserveMissed::None | PreserveMissed::Last => passed - 1,
        };
        let at = course.moment(due, skipped);
        let late = now.since(at) > Duration::from_micros(course.late_after_us);
        let fires = !(late && course.preserve_missed == PreserveMissed::None);
        let dropped = skipped + u64::from(!fires);
        let missed = course.missed.saturating_add(u32::try_from(dropped).unwrap_or(u32::MAX));
        let left = course.left.map(|left| {
            let used = u32::try_from(skipped + 1).unwrap_or(u32::MAX);
            left.saturating_sub(used)
        });
        let next = (course.period_us.is_some() && left != Some(0)).then(|| {
            let due = course.moment(due, skipped + 1);
            let missed = if fires { 0 } else { missed };
            ArmedTimer { due, course: Some(Box::new(Course { left, missed, ..*course })) }
        });
        let event = if fires { event(at, left, missed) } else { None };
        Fired { event, next }
    }
}

impl Course {
    /// Moments that have come when the first of them is `late` old: at least that one.
    fn passed(&self, late: Duration) -> u64 {
        let passed = self.period_us.map_or(0, |period| micros(late) / period.max(1));
        let passed = passed.saturating_add(1);
        self.left.map_or(passed, |left| passed.min(u64::from(left.max(1))))
    }

    /// The moment `number` periods after `due`.
    fn moment(&self, due: Timestamp, number: u64) -> Timestamp {
        due + Duration::from_micros(self.period_us.unwrap_or(0).saturating_mul(number))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
