//! My service: refuses calls to premium numbers, and watches the others to their end.
//!
//! One entity of it lives with each call. Its fields are replicated after each event, so it goes on
//! when its server dies.

use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, Permission, Sbb, Timestamp,
    TraceLevel,
};
use resilee_sip_api::{Answered, Ended, Invite, REFUSED_ALIAS, refuse};
use serde::{Deserialize, Serialize};

/// Starts of numbers that nobody here may call.
const PREMIUM: &str = "0900";

/// What the service knows of a call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MyService {
    /// When the call was answered.
    pub answered_at: Option<Timestamp>,
}

impl Sbb for MyService {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "0.1.0",
            // Before call control (10), which forwards the call.
            priority: 100,
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Ended::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            // What it may do where it is uploaded as a unit; linked into a node it may do all.
            deployment: Deployment {
                permissions: &[Permission::Command("Respond")],
                ..Deployment::ALONE
            },
            ..Descriptor::named("my-service")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            if invite.callee.user.starts_with(PREMIUM) {
                refuse(cx, 403, "Number Blocked")?;
                cx.detach();
            }
        } else if let Some(answered) = event.get::<Answered>()? {
            self.answered_at = Some(answered.at);
        } else if let (Some(ended), Some(since)) = (event.get::<Ended>()?, self.answered_at) {
            let seconds = ended.at.since(since).as_secs();
            cx.trace(TraceLevel::Info, format_args!("they talked for {seconds} s"));
        }
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
resilee_guest::export!(MyService);
