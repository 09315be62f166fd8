//! A service that only watches: it counts what it is told, in its replicated state, and says so.
//!
//! | event           | does                                  | what a run must show               |
//! |-----------------|---------------------------------------|------------------------------------|
//! | sip.invite      | counts                                | once per activity                  |
//! | sip.answered    | counts; sets timers; writes a record  | once                               |
//! | slee.timer      | counts                                | once; each beat on its moment      |
//! | sip.ended       | counts; writes the record again       | once; the second record is dropped |
//! | end of activity | says if the timer never came          | it came, if the call was answered  |
//!
//! What a dead node counted and nobody held is forgotten with it, so a second count is an error.

use resilee_sbb::{
    ActivityEnd, Context, Descriptor, Event, EventPayload, Failure, Sbb, Timer, TimerFired,
    TimerId, Timestamp, TraceLevel,
};
use resilee_sip_api::{Answered, Ended, Invite};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The journal of its records.
pub const JOURNAL: &str = "witness";
/// The service's name.
pub const NAME: &str = "witness";
/// From the answer to the timer.
const TIMER: Duration = Duration::from_millis(150);
const ONCE: TimerId = TimerId(1);
/// Another timer beats so often, with this period.
const BEATS: u32 = 5;
const BEAT: Duration = Duration::from_millis(100);
const BEATING: TimerId = TimerId(2);

/// What it was told so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    invited: u32,
    answered: u32,
    ended: u32,
    fired: u32,
    /// The moment for which the next beat is set, unless some are missed.
    next_beat: Timestamp,
}

impl Sbb for Witness {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "resilee",
            version: env!("CARGO_PKG_VERSION"),
            priority: -10,
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Ended::TYPE],
            ..Descriptor::named(NAME)
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let count = match event.event_type.as_str() {
            Invite::TYPE => &mut self.invited,
            Answered::TYPE => {
                cx.set_timer(ONCE, TIMER);
                cx.start_timer(BEATING, Timer::every(BEAT).times(BEATS))?;
                self.next_beat = cx.now() + BEAT;
                cx.record(JOURNAL, &"answered")?;
                &mut self.answered
            }
            Ended::TYPE => {
                cx.record(JOURNAL, &"ended")?;
                &mut self.ended
            }
            TimerFired::TYPE => match event.get::<TimerFired>()? {
                Some(beat) if beat.timer == BEATING => {
                    self.on_beat(cx, &beat);
                    return Ok(());
                }
                _ => &mut self.fired,
            },
            ActivityEnd::TYPE if self.answered > 0 && self.fired == 0 => {
                cx.trace(TraceLevel::Warning, "the timer never came");
                return Ok(());
            }
            _ => return Ok(()),
        };
        *count += 1;
        if *count > 1 {
            let event_type = &event.event_type;
            cx.trace(TraceLevel::Warning, format_args!("{event_type} came {count} times"));
        }
        Ok(())
    }
}

impl Witness {
    /// Each moment is fired or told as missed.
    fn on_beat(&mut self, cx: &mut Context<'_>, beat: &TimerFired) {
        let expected = self.next_beat + BEAT * beat.missed;
        let (at, missed) = (beat.scheduled_at, beat.missed);
        if at != expected {
            let text = format_args!("a beat of {at} after {missed} missed: {expected} expected");
            cx.trace(TraceLevel::Warning, text);
        }
        self.next_beat = at + BEAT;
    }
}
