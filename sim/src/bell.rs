//! A service that counts and raises alarms, in the runs in which an operator has figures begin at
//! zero and clears alarms (`orders.rs`): what it counts and raises then is gone, or is new.
//!
//! | event       | does                                                                           |
//! |-------------|--------------------------------------------------------------------------------|
//! | sip.invite  | counts; raises an alarm about its activity; sets a timer that fires often      |
//! | slee.timer  | counts                                                                         |
//!
//! All of it ends with the call but the alarm, which only an operator clears.

use resilee_core::management::Alarm;
use resilee_sbb::{
    Context, Descriptor, Event, EventPayload, Failure, Sbb, Severity, Timer, TimerFired, TimerId,
    UsageParameter,
};
use resilee_sip_api::Invite;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The service's name.
pub const NAME: &str = "bell";
/// The counter of all that it hears.
pub const STROKES: &str = "strokes";

const USAGE: &[UsageParameter] = &[UsageParameter::counter(STROKES)];
const STRIKE: TimerId = TimerId(1);
const EVERY: Duration = Duration::from_millis(100);
/// As often, at most.
const STROKES_MAX: u32 = 30;

/// True if it has raised the alarm, and not the container about it.
pub fn has_raised(alarm: &Alarm) -> bool {
    alarm.source == NAME && !alarm.alarm_type.is_empty()
}

/// It keeps nothing in mind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Bell {}

impl Sbb for Bell {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            priority: -40,
            initial_events: &[Invite::TYPE],
            usage: USAGE,
            ..Descriptor::named(NAME)
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match event.event_type.as_str() {
            Invite::TYPE => {
                let about = cx.activity().to_string();
                cx.raise_alarm("rings", &about, Severity::Minor, "somebody is called");
                cx.start_timer(STRIKE, Timer::every(EVERY).times(STROKES_MAX))?;
            }
            TimerFired::TYPE => {}
            _ => return Ok(()),
        }
        cx.count(STROKES, 1);
        Ok(())
    }
}
