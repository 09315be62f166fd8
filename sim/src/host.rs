//! A service that ends calls: where the plan wants it, so long after the answer, in whatever node
//! has the call by then.

use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, Sbb, TimerFired, TimerId};
use resilee_sip_api::{Answered, Invite, SipCommand};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The table with its one row: milliseconds from the answer to the end. Without the row it does
/// nothing.
pub const TALK_MS: (&str, &str) = ("host", "talk_ms");

/// One of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {}

impl Sbb for Host {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            priority: -40,
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE],
            ..Descriptor::named("host")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let talk_ms: Option<u64> = cx.row(TALK_MS.0, TALK_MS.1)?;
        let Some(talk_ms) = talk_ms else {
            cx.detach();
            return Ok(());
        };
        match event.event_type.as_str() {
            Answered::TYPE => cx.set_timer(TimerId(1), Duration::from_millis(talk_ms)),
            TimerFired::TYPE => cx.send(&SipCommand::HangUp)?,
            _ => {}
        }
        Ok(())
    }
}
