//! A service that only watches: it counts what it is told, in its replicated state, and says so.
//!
//! | event           | does                                  | what a run must show               |
//! |-----------------|---------------------------------------|------------------------------------|
//! | sip.invite      | counts                                | once per activity                  |
//! | sip.answered    | counts; sets a timer; writes a record | once                               |
//! | slee.timer      | counts                                | once                               |
//! | sip.ended       | counts; writes the record again       | once; the second record is dropped |
//! | end of activity | says if the timer never came          | it came, if the call was answered  |
//!
//! What a dead node counted and nobody held is forgotten with it, so a second count is an error.

use resilee_sbb::{
    ActivityEnd, Context, Descriptor, Event, EventPayload, Failure, Sbb, TimerFired, TimerId,
    TraceLevel,
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

/// What it was told so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    invited: u32,
    answered: u32,
    ended: u32,
    fired: u32,
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
                cx.set_timer(TimerId(1), TIMER);
                cx.record(JOURNAL, &"answered")?;
                &mut self.answered
            }
            Ended::TYPE => {
                cx.record(JOURNAL, &"ended")?;
                &mut self.ended
            }
            TimerFired::TYPE => &mut self.fired,
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
