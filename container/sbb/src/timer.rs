//! The timer facility (JAIN SLEE 1.1 chapter 13): how a timer of an SBB entity fires.
//!
//! A timer is set and cancelled when the transaction commits. It is a part of its cell, so the
//! survivor of a takeover fires it, once. A periodic timer keeps its beat: the next moment is
//! reckoned from when the last one should have been.

use crate::context::Context;
use crate::effect::Effect;
use crate::ids::TimerId;
use crate::sbb::Failure;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Shortest period of a timer; a shorter one is a failure of the handler.
pub const TIMER_PERIOD_MIN: Duration = Duration::from_millis(100);
/// A one-shot timer is late after this, unless its setting says otherwise.
pub const LATE_AFTER: Duration = Duration::from_secs(1);

/// What becomes of moments that passed while nobody could fire the timer: a takeover, a cold
/// start, a handler that took long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PreserveMissed {
    /// They are dropped, also that of a one-shot timer.
    None,
    /// Each of them fires, one after the other.
    All,
    /// The last of them fires, and says how many were dropped.
    #[default]
    Last,
}

/// How a timer fires: once or with a period.
///
/// ```
/// use resilee_sbb::{PreserveMissed, Timer};
/// use std::time::Duration;
///
/// let once = Timer::after(Duration::from_secs(30));
/// let each_minute = Timer::every(Duration::from_secs(60)).times(10);
/// let beat = Timer::every(Duration::from_secs(1)).preserve_missed(PreserveMissed::None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    first: Duration,
    period: Option<Duration>,
    repetitions: u32,
    preserve_missed: PreserveMissed,
    late_after: Option<Duration>,
}

impl Timer {
    /// Fires once, so much from now.
    pub const fn after(delay: Duration) -> Self {
        Timer {
            first: delay,
            period: None,
            repetitions: 1,
            preserve_missed: PreserveMissed::Last,
            late_after: None,
        }
    }

    /// Fires again and again, for the first time after one period; for ever, unless
    /// [`Timer::times`] says otherwise.
    pub const fn every(period: Duration) -> Self {
        Timer { period: Some(period), repetitions: 0, ..Timer::after(period) }
    }

    /// The first time, of a periodic timer, is so much from now.
    pub const fn first_after(self, delay: Duration) -> Self {
        Timer { first: delay, ..self }
    }

    /// How often a periodic timer fires; 0: for ever.
    pub const fn times(self, repetitions: u32) -> Self {
        match self.period {
            Some(_) => Timer { repetitions, ..self },
            None => self,
        }
    }

    /// What becomes of moments that were missed; the last of them fires, unless said otherwise.
    pub const fn preserve_missed(self, preserve_missed: PreserveMissed) -> Self {
        Timer { preserve_missed, ..self }
    }

    /// After how much delay a moment counts as missed: at most one period, which is also what
    /// holds if nothing is said. A one-shot timer is late after [`LATE_AFTER`].
    pub const fn late_after(self, late_after: Duration) -> Self {
        Timer { late_after: Some(late_after), ..self }
    }

    /// What is asked for at `now`.
    ///
    /// # Errors
    /// A period that is too short, or a tolerance that is longer than it.
    fn setting(self, now: Timestamp) -> Result<TimerSetting, Failure> {
        let (due, preserve_missed) = (now + self.first, self.preserve_missed);
        let Some(period) = self.period else {
            let late_after = self.late_after.unwrap_or(LATE_AFTER);
            return Ok(TimerSetting { preserve_missed, late_after, ..TimerSetting::once(due) });
        };
        if period < TIMER_PERIOD_MIN {
            let text = format!("a timer's period of {period:?}: {TIMER_PERIOD_MIN:?} is the least");
            return Err(Failure::new(text));
        }
        let late_after = self.late_after.unwrap_or(period);
        if late_after > period {
            let text =
                format!("a timer is late after {late_after:?}, beyond its {period:?} period");
            return Err(Failure::new(text));
        }
        let (repetitions, period) = (self.repetitions, Some(period));
        Ok(TimerSetting { due, period, repetitions, preserve_missed, late_after })
    }
}

/// A timer as it is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerSetting {
    /// When it fires first.
    pub due: Timestamp,
    /// Time between two moments; none for a one-shot timer.
    pub period: Option<Duration>,
    /// How often it fires; 0: for ever.
    pub repetitions: u32,
    /// What becomes of missed moments.
    pub preserve_missed: PreserveMissed,
    /// After how much delay a moment is missed.
    pub late_after: Duration,
}

impl TimerSetting {
    /// A timer that fires once, however late.
    pub const fn once(due: Timestamp) -> Self {
        TimerSetting {
            due,
            period: None,
            repetitions: 1,
            preserve_missed: PreserveMissed::Last,
            late_after: LATE_AFTER,
        }
    }
}

impl Context<'_> {
    /// Sets a timer of this entity that fires once, `delay` from now; an id that is set already is
    /// moved.
    pub fn set_timer(&mut self, timer: TimerId, delay: Duration) {
        let (entity, setting) = (self.number, TimerSetting::once(self.now() + delay));
        self.tx.ask(Effect::SetTimer { entity, timer, setting });
    }

    /// Starts a timer of this entity; an id that is set already is replaced. The transaction rolls
    /// back if its cell would have too many.
    ///
    /// # Errors
    /// A period below [`TIMER_PERIOD_MIN`], or a tolerance beyond the period.
    pub fn start_timer(&mut self, timer: TimerId, how: Timer) -> Result<(), Failure> {
        let (entity, setting) = (self.number, how.setting(self.now())?);
        self.tx.ask(Effect::SetTimer { entity, timer, setting });
        Ok(())
    }

    /// Cancels a timer of this entity.
    pub fn cancel_timer(&mut self, timer: TimerId) {
        self.tx.ask(Effect::CancelTimer { entity: self.number, timer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_periodic_timer_is_first_due_after_one_period_and_goes_on_for_ever() {
        let period = Duration::from_secs(2);
        let setting = Timer::every(period).setting(NOW).expect("a good timer");
        assert_eq!((setting.due, setting.repetitions), (NOW + period, 0));
        assert_eq!((setting.period, setting.late_after), (Some(period), period));
        let soon = Timer::every(period).first_after(Duration::ZERO).times(3);
        let setting = soon.setting(NOW).expect("a good timer");
        assert_eq!((setting.due, setting.repetitions), (NOW, 3));
    }

    #[test]
    fn a_one_shot_timer_fires_once_whatever_is_said_of_times() {
        let setting = Timer::after(Duration::from_secs(2)).times(7).setting(NOW);
        assert_eq!(setting.map(|setting| setting.repetitions), Ok(1));
    }

    #[test]
    fn a_period_below_the_minimum_is_a_failure_that_names_it() {
        let least = Timer::every(TIMER_PERIOD_MIN);
        assert!(least.setting(NOW).is_ok());
        let error = Timer::every(Duration::from_millis(99)).setting(NOW).expect_err("too short");
        assert_eq!(error.to_string(), "a timer's period of 99ms: 100ms is the least");
    }

    #[test]
    fn a_tolerance_beyond_the_period_is_a_failure() {
        let lax = Timer::every(Duration::from_secs(1)).late_after(Duration::from_secs(2));
        let error = lax.setting(NOW).expect_err("too long");
        assert_eq!(error.to_string(), "a timer is late after 2s, beyond its 1s period");
    }
}
