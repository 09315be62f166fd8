//! The guard of one call: it asks the counter, and lets the call pass or not.

use crate::UNIT;
use crate::counter::{CallCounter, CallWanted, Counted};
use crate::rules::{RULES, Rule};
use resilee_sbb::{
    ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure, Permission, Sbb,
    TraceLevel,
};
use resilee_sip_api::{ACCOUNTS, Invite, REFUSED_ALIAS, refuse, refuse_on};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a call waits for the counter; longer than a takeover. After that it goes on: a limit is
/// not worth a call.
pub const COUNTED_WITHIN: Duration = Duration::from_secs(3);

/// The service in each call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallGuard {
    /// The call, as long as the counter is asked about it.
    waiting: Option<ActivityId>,
}

impl Sbb for CallGuard {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            // Before call control, which would put the call through.
            priority: 100,
            initial_events: &[Invite::TYPE],
            events: &[Counted::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            deployment: Deployment {
                unit: UNIT,
                needs: &[CallCounter::NAME],
                profile_tables: &[&RULES],
                permissions: &[
                    Permission::Command("Respond"),
                    Permission::Read(ACCOUNTS),
                    Permission::Suspend,
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-guard")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            self.on_invite(cx, &invite)
        } else if let Some(Counted { allowed }) = event.get()? {
            self.on_counted(cx, allowed)
        } else {
            Ok(())
        }
    }
}

impl CallGuard {
    fn on_invite(&mut self, cx: &mut Context<'_>, invite: &Invite) -> Result<(), Failure> {
        let caller = &invite.caller.address_of_record;
        let rule = Rule::of(cx, caller)?;
        // Else anybody could use up somebody's calls.
        match rule.calls_per_minute.filter(|_| !rule.blocked) {
            Some(calls_per_minute) if invite.is_proven(cx)? => {
                let asked = cx.create_null_activity()?;
                cx.attach(cx.entity(), asked)?;
                cx.fire(asked, &CallWanted { caller: caller.clone(), calls_per_minute })?;
                cx.suspend_event(COUNTED_WITHIN)?;
                self.waiting = Some(cx.activity());
            }
            _ if rule.blocked => {
                cx.trace(TraceLevel::Info, format_args!("{caller} is blocked"));
                refuse(cx, 403, "Caller Blocked")?;
                cx.detach();
            }
            _ => cx.detach(),
        }
        Ok(())
    }

    /// The counter has answered, on the activity on which it was asked.
    fn on_counted(&mut self, cx: &mut Context<'_>, allowed: bool) -> Result<(), Failure> {
        cx.end_activity(cx.activity())?;
        let Some(call) = self.waiting.take().filter(|call| cx.activities().contains(call)) else {
            return Ok(());
        };
        // An error: the time is over, and the call has gone on.
        if cx.resume_event(call).is_ok() && !allowed {
            cx.trace(TraceLevel::Info, "too many calls a minute");
            refuse_on(cx, call, 480, "Too Many Calls")?;
        }
        cx.detach_from(cx.entity(), call)
    }
}
