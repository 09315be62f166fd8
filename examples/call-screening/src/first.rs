//! The first version. It gets each INVITE before call control does, because its priority is higher,
//! and knows nothing of it.

use crate::screened_call::ScreenedCall;
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, FailurePolicy, Permission, Sbb,
};
use resilee_sip_api::{Answered, Ended, Invite, REFUSED_ALIAS, Rejected};
use serde::{Deserialize, Serialize};

/// Starts of numbers that nobody here may call: premium rate.
const BLOCKED: &[&str] = &["+49900", "0900"];

/// It panics at each call: for a test of what becomes of a unit that is repaired.
const IS_FAULTY: bool = cfg!(feature = "faulty");

/// The service; its fields are replicated after each event.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallScreening {
    /// The call that it is attached to.
    pub call: ScreenedCall,
}

impl Sbb for CallScreening {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: if IS_FAULTY { "0.9" } else { "1.0" },
            // Before call control (10), which would put the call through.
            priority: 100,
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Ended::TYPE, Rejected::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            // What it may do where it is uploaded as a unit; linked into a node it may do all.
            deployment: Deployment {
                permissions: &[Permission::Command("Respond")],
                on_repeated_failures: match IS_FAULTY {
                    true => FailurePolicy::Suspend,
                    false => FailurePolicy::Keep,
                },
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-screening")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match event.get::<Invite>()? {
            Some(_) if IS_FAULTY => panic!("a mistake"),
            Some(invite) if self.call.begins(cx, &invite, BLOCKED)?.is_refused() => cx.detach(),
            Some(_) => {}
            None => self.call.goes_on(cx, event)?,
        }
        Ok(())
    }
}
