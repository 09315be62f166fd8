//! The service that is measured, which does what services do in a call: it looks a profile up, sets
//! a timer and an attribute, counts, and keeps some state. `javascript/call-timer.js` is the same.

use resilee_sbb::{
    Attribute, AttributeKind, Context, Deployment, Descriptor, Event, EventPayload, Failure,
    ProfileTable, Sbb, TimerId, UsageParameter,
};
use resilee_sip_api::Invite;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
resilee_guest::export!(CallTimer);

/// How long calls may ring, by callee.
pub const RINGING: ProfileTable = ProfileTable {
    name: "ringing",
    about: "how long a call may ring",
    attributes: &[Attribute::new("seconds", AttributeKind::Number { min: 1, max: 180 })],
    named_by: &[],
    separator: "",
    profiles_max: 1_000,
};

const USAGE: &[UsageParameter] = &[UsageParameter::counter("calls")];

/// A row of [`RINGING`].
#[derive(Serialize, Deserialize)]
pub struct Ringing {
    /// So long.
    pub seconds: u64,
}

/// The service in each call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallTimer {
    caller: String,
    callee: String,
    calls: u32,
}

impl CallTimer {
    /// INVITEs that it has seen.
    pub fn calls(&self) -> u32 {
        self.calls
    }
}

impl Sbb for CallTimer {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "bench",
            version: "1.0",
            initial_events: &[Invite::TYPE],
            usage: USAGE,
            deployment: Deployment { profile_tables: &[&RINGING], ..Deployment::ALONE },
            ..Descriptor::named("call-timer")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(invite) = event.get::<Invite>()? else { return Ok(()) };
        let callee = invite.callee.address_of_record;
        if let Some(Ringing { seconds }) = cx.profile(RINGING.name, &callee)? {
            cx.set_timer(TimerId(1), Duration::from_secs(seconds));
            cx.set_attribute("seconds", &seconds)?;
        }
        cx.count("calls", 1);
        (self.caller, self.callee) = (invite.caller.address_of_record, callee);
        self.calls += 1;
        Ok(())
    }
}
