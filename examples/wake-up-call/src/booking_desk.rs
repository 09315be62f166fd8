//! The desk in one call to a number of wake-up calls: it has the wake-up call booked, and tells the
//! phone by refusing the call.

use crate::UNIT;
use crate::wake_up::WakeUp;
use resilee_sbb::{
    ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure, Permission, Sbb,
};
use resilee_sip_api::{ACCOUNTS, Invite, REFUSED_ALIAS, refuse, refuse_on};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What these numbers begin with; behind it comes the time, `HHMM`, or nothing.
const PREFIX: &str = "*55*";
/// How long a call waits until it is booked; longer than a takeover. After that call control has
/// it, who knows no such number: 404 says that nothing may be booked.
pub const BOOKED_WITHIN: Duration = Duration::from_secs(3);

/// A user wants a wake-up call, or none any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BookingWanted {
    /// His address of record.
    pub user: String,
    /// Minutes after midnight, on his clock; none: he wants none.
    pub minute: Option<u32>,
}

impl EventPayload for BookingWanted {
    const TYPE: &'static str = "wake_up_call.booking_wanted";
}

/// It is booked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Booked {}

impl EventPayload for Booked {
    const TYPE: &'static str = "wake_up_call.booked";
}

/// The service in each such call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct BookingDesk {
    /// The call, and what its phone will be told, as long as nothing is booked.
    waiting: Option<(ActivityId, String)>,
}

impl Sbb for BookingDesk {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            // Before call control, which knows no such number.
            priority: 50,
            initial_events: &[Invite::TYPE],
            events: &[Booked::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            deployment: Deployment {
                unit: UNIT,
                needs: &[WakeUp::NAME],
                permissions: &[
                    Permission::Command("Respond"),
                    Permission::Read(ACCOUNTS),
                    Permission::Suspend,
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named("booking-desk")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            self.on_invite(cx, &invite)
        } else if event.get::<Booked>()?.is_some() {
            self.on_booked(cx)
        } else {
            Ok(())
        }
    }
}

impl BookingDesk {
    fn on_invite(&mut self, cx: &mut Context<'_>, invite: &Invite) -> Result<(), Failure> {
        let Some(time) = invite.callee.user.strip_prefix(PREFIX) else {
            cx.detach();
            return Ok(());
        };
        // Else anybody could have anybody called at night; call control asks who he is.
        if !invite.is_proven(cx)? {
            cx.detach();
            return Ok(());
        }
        let minute = minute_of(time);
        if minute.is_none() && !time.is_empty() {
            refuse(cx, 484, "No Such Time")?;
            cx.detach();
            return Ok(());
        }
        let user = invite.caller.address_of_record.clone();
        let asked = cx.create_null_activity()?;
        cx.attach(cx.entity(), asked)?;
        cx.fire(asked, &BookingWanted { user, minute })?;
        cx.suspend_event(BOOKED_WITHIN)?;
        let text = match minute {
            Some(minute) => format!("Wake-Up Call At {:02}:{:02}", minute / 60, minute % 60),
            None => "No Wake-Up Call".to_owned(),
        };
        self.waiting = Some((cx.activity(), text));
        Ok(())
    }

    /// On the activity on which it was asked for.
    fn on_booked(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        cx.end_activity(cx.activity())?;
        let Some((call, text)) = self.waiting.take() else { return Ok(()) };
        if !cx.activities().contains(&call) {
            return Ok(());
        }
        // An error: the time is over, and the call has gone on.
        if cx.resume_event(call).is_ok() {
            refuse_on(cx, call, 480, &text)?;
        }
        cx.detach_from(cx.entity(), call)
    }
}

/// Minutes after midnight of `HHMM`.
fn minute_of(time: &str) -> Option<u32> {
    if time.len() != 4 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (time[..2].parse().ok()?, time[2..].parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::minute_of;

    #[test]
    fn times_are_those_of_a_day() {
        assert_eq!((minute_of("0000"), minute_of("0730")), (Some(0), Some(450)));
        assert_eq!(minute_of("2359"), Some(1439));
        for none in ["", "730", "2400", "0760", "07:30", "+730", "07300"] {
            assert_eq!(minute_of(none), None, "{none}");
        }
    }
}
