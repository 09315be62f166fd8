//! The service in each call: it waits, and sends the call on.

use crate::forwards::{FORWARDS, Forward};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, Permission, Sbb, TimerFired,
    TimerId, TraceLevel, UsageParameter,
};
use resilee_sip_api::{
    Answered, Diversion, DiversionReason, Invite, REGISTRATIONS, Registrations, Rejected,
    SipCommand, Target,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nobody has answered in time.
const NO_ANSWER: TimerId = TimerId(1);
/// Phones of the target that ring; of more, those with the highest `q` are taken.
const TARGETS_MAX: usize = 4;

const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("calls_forwarded"), UsageParameter::counter("targets_without_phone")];

/// The service in each call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallForward {
    /// Who is called.
    callee: String,
    /// Who is called instead.
    target: String,
}

impl Sbb for CallForward {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Rejected::TYPE],
            usage: USAGE,
            deployment: Deployment {
                profile_tables: &[&FORWARDS],
                permissions: &[Permission::Command("Redirect"), Permission::Read(REGISTRATIONS)],
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-forward-no-answer")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            let callee = invite.callee.address_of_record;
            match Forward::of(cx, &callee)?
                .filter(|it| it.target != invite.caller.address_of_record)
            {
                Some(Forward { target, seconds }) => {
                    (self.callee, self.target) = (callee, target);
                    cx.set_timer(NO_ANSWER, Duration::from_secs(seconds.into()));
                }
                None => cx.detach(),
            }
        } else if event.get::<TimerFired>()?.is_some() {
            self.forward(cx)?;
            cx.detach();
        } else if event.get::<Answered>()?.is_some() || event.get::<Rejected>()?.is_some() {
            // The timer goes with the entity.
            cx.detach();
        }
        Ok(())
    }
}

impl CallForward {
    fn forward(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let targets = phones_of(cx, &self.target)?;
        if targets.is_empty() {
            cx.count("targets_without_phone", 1);
            let text = format_args!("{} has no phone: it rings on", self.target);
            cx.trace(TraceLevel::Info, text);
            return Ok(());
        }
        cx.count("calls_forwarded", 1);
        let diversion = Diversion { from: self.callee.clone(), reason: DiversionReason::NoAnswer };
        // Should the callee have answered meanwhile, nothing happens.
        cx.send(&SipCommand::Redirect { targets, diversion: Some(diversion) })
    }
}

/// Where a user can be reached, as call control finds it.
fn phones_of(cx: &Context<'_>, user: &str) -> Result<Vec<Target>, Failure> {
    let row: Registrations = cx.row(REGISTRATIONS, user)?.unwrap_or_default();
    let live = row.live(cx.now()).into_iter().take(TARGETS_MAX);
    let target = |contact: &resilee_sip_api::Contact| Target {
        uri: contact.uri.clone(),
        destination: contact.source.clone(),
        routes: contact.path.clone(),
    };
    Ok(live.map(target).collect())
}
