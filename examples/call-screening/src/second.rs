//! The second version: it blocks more numbers, and counts what was refused in the whole cluster,
//! whichever server refused it.
//!
//! It has two kinds of root entities. One is in each call, as before. The other one is alone in the
//! cluster: a call that is refused fires [`CallRefused`], and the selector gives this event to the
//! entity of one name, wherever that is.

use crate::first::CallScreening;
use crate::screened_call::ScreenedCall;
use resilee_sbb::{
    ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure, InitialEvent,
    Permission, Sbb, TimerFired, TimerId, TraceLevel, decode,
};
use resilee_sip_api::{Answered, Ended, Invite, REFUSED_ALIAS, Rejected};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Starts of numbers that nobody here may call: those of the first version, and two more.
const BLOCKED: &[&str] = &["+49900", "0900", "+49190", "0190"];

/// The count ends when no call was refused for so long: else this version could never be replaced.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Name of the entity that counts.
const COUNT: &str = "refused";
const FORGET: TimerId = TimerId(1);

/// A call was refused.
#[derive(Debug, Serialize, Deserialize)]
struct CallRefused {}

impl EventPayload for CallRefused {
    const TYPE: &'static str = "call_screening.refused";
}

/// The service: in a call, or the count of the cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallScreening2 {
    /// The call that it is attached to.
    pub call: ScreenedCall,
    /// So many calls were refused.
    pub refused: u32,
    /// Holds the count when no refused call has a part of it any more.
    hold: Option<ActivityId>,
}

impl Sbb for CallScreening2 {
    const STATE_VERSION: u32 = 2;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "2.0",
            priority: 100,
            initial_events: &[Invite::TYPE, CallRefused::TYPE],
            selects_initial_events: true,
            events: &[Answered::TYPE, Ended::TYPE, Rejected::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            deployment: Deployment {
                permissions: &[Permission::Command("Respond")],
                migrates_from: &["call-screening"],
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-screening-2")
        }
    }

    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        Ok(match event.get::<CallRefused>()? {
            Some(_) => InitialEvent::by().custom_name(COUNT),
            None => InitialEvent::by_activity_context(),
        })
    }

    /// A call that the first version began, when an operator migrates it.
    fn migrate(_: u32, bytes: &[u8]) -> Result<Self, Failure> {
        let CallScreening { call } = decode(bytes)?;
        Ok(CallScreening2 { call, ..CallScreening2::default() })
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            if self.call.begins(cx, &invite, BLOCKED)?.is_refused() {
                cx.fire(cx.activity(), &CallRefused {})?;
                cx.detach();
            }
            Ok(())
        } else if event.get::<CallRefused>()?.is_some() {
            self.count(cx)
        } else if event.get::<TimerFired>()?.is_some() {
            self.hold.take().map_or(Ok(()), |hold| cx.end_activity(hold))
        } else {
            self.call.goes_on(cx, event)
        }
    }
}

impl CallScreening2 {
    fn count(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.hold.is_none() {
            let hold = cx.create_null_activity()?;
            cx.attach(cx.entity(), hold)?;
            self.hold = Some(hold);
        }
        self.refused += 1;
        let refused = self.refused;
        cx.trace(TraceLevel::Info, format_args!("calls refused in the cluster: {refused}"));
        cx.set_timer(FORGET, FORGOTTEN_AFTER);
        // The call goes its own way.
        cx.detach();
        Ok(())
    }
}
