//! Call screening: refuses calls from blocked callers and to blocked numbers.
//!
//! It gets each INVITE before call control does, because its priority is higher, and knows
//! nothing of it. It keeps no state: one look, and it lets go of the call.

use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, Sbb, TraceLevel};
use resilee_sip_api::{Invite, REFUSED_ALIAS, refuse};
use serde::{Deserialize, Serialize};

/// Callers that are not put through.
const BLOCKED_CALLERS: [&str; 1] = ["sip:nuisance@resilee.example"];

/// Starts of numbers that nobody here may call: premium rate.
const BLOCKED_PREFIXES: [&str; 2] = ["+49900", "0900"];

/// The service; its fields would be replicated, if it had any.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallScreening {}

impl Sbb for CallScreening {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            priority: 100,
            initial_events: &[Invite::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            ..Descriptor::named("call-screening")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(invite) = event.get::<Invite>()? else { return Ok(()) };
        if let Some(reason) = reason_to_refuse(&invite) {
            cx.trace(TraceLevel::Info, format_args!("{} is refused: {reason}", invite.call_id));
            refuse(cx, 403, reason)?;
        }
        cx.detach();
        Ok(())
    }
}

fn reason_to_refuse(invite: &Invite) -> Option<&'static str> {
    if BLOCKED_CALLERS.contains(&invite.caller.address_of_record.as_str()) {
        return Some("Caller Blocked");
    }
    let mut prefixes = BLOCKED_PREFIXES.iter();
    prefixes.any(|prefix| invite.callee.user.starts_with(prefix)).then_some("Number Blocked")
}
