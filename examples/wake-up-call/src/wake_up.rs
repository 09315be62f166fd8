//! The wake-up call of one user: one entity in the cluster, as long as he has one. At its time the
//! server calls his phones.
//!
//! | event                    | what happens                                                  |
//! |--------------------------|---------------------------------------------------------------|
//! | a booking                | what was booked or called before is given up; a timer is set  |
//! | the timer                | his phones are called                                         |
//! | `Answered`               | he is awake: the call is ended after [`HANG_UP_AFTER`]        |
//! | no answer: [`RINGS_FOR`] | the call is given up                                          |
//! | `Rejected`; no phone     | again after [`AGAIN_AFTER`], at most [`TRIES`] times          |
//! | `Ended`                  | done                                                          |
//!
//! It needs to know nothing of servers that die: the timer and the call are in the state of the
//! cell, and the survivor goes on with both.

use crate::UNIT;
use crate::booking_desk::{Booked, BookingWanted};
use crate::clocks::{CLOCKS, Clock};
use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure,
    InitialEvent, Permission, Sbb, TimerFired, TimerId, TraceLevel, UsageParameter,
};
use resilee_sip_api::{
    Answered, Contact, Ended, NO_AUDIO, PhoneCall, REGISTRATIONS, Registrations, Rejected,
    SipCommand, Target, call_phone,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So often a user is called who does not answer.
pub const TRIES: u32 = 3;
/// Between two times.
pub const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// So long his phones ring.
pub const RINGS_FOR: Duration = Duration::from_secs(60);
/// Who has answered is left alone after that, if he does not hang up before.
pub const HANG_UP_AFTER: Duration = Duration::from_secs(10);

/// The time has come.
const WAKE: TimerId = TimerId(1);
/// The call has rung, or was answered, for long enough.
const ENOUGH: TimerId = TimerId(2);
/// Phones that ring at once; of more, those with the highest `q` are taken.
const TARGETS_MAX: usize = 4;
/// Who calls, as the phone shows it.
const NAME: &str = "Wake-up call";

const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("users_woken"), UsageParameter::counter("users_not_woken")];

/// The service of one user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WakeUp {
    /// Whom to wake: his address of record.
    user: String,
    /// How often he is still to be called.
    tries_left: u32,
    /// The call that is under way.
    call: Option<ActivityId>,
    /// Keeps this entity until it is done.
    hold: Option<ActivityId>,
}

impl WakeUp {
    pub(crate) const NAME: &str = "wake-up";
}

impl Sbb for WakeUp {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            initial_events: &[BookingWanted::TYPE],
            selects_initial_events: true,
            events: &[Answered::TYPE, Rejected::TYPE, Ended::TYPE, ActivityEnd::TYPE],
            usage: USAGE,
            deployment: Deployment {
                unit: UNIT,
                profile_tables: &[&CLOCKS],
                permissions: &[
                    Permission::Start { adaptor: "sip", to: "" },
                    Permission::Command("HangUp"),
                    Permission::Read(REGISTRATIONS),
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named(WakeUp::NAME)
        }
    }

    /// One for each user.
    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        Ok(match event.get::<BookingWanted>()? {
            Some(wanted) => InitialEvent::by().custom_name(&wanted.user),
            None => InitialEvent::none(),
        })
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let is_of_call = self.call == Some(cx.activity());
        if let Some(wanted) = event.get::<BookingWanted>()? {
            self.on_booking(cx, wanted)?;
            cx.fire(cx.activity(), &Booked {})
        } else if let Some(fired) = event.get::<TimerFired>()? {
            match fired.timer {
                WAKE => self.call(cx),
                _ => self.hang_up(cx),
            }
        } else if !is_of_call {
            // A call that was given up for another booking.
            Ok(())
        } else if event.get::<Answered>()?.is_some() {
            cx.count("users_woken", 1);
            cx.set_timer(ENOUGH, HANG_UP_AFTER);
            Ok(())
        } else {
            cx.cancel_timer(ENOUGH);
            self.call = None;
            match event.get::<Ended>()? {
                Some(_) => self.is_done(cx),
                // Rejected; or the end of the activity alone: the adaptor could not call.
                None => self.try_again(cx),
            }
        }
    }
}

impl WakeUp {
    fn on_booking(&mut self, cx: &mut Context<'_>, wanted: BookingWanted) -> Result<(), Failure> {
        self.hang_up(cx)?;
        self.call = None;
        cx.cancel_timer(ENOUGH);
        self.user = wanted.user;
        let Some(minute) = wanted.minute else {
            cx.cancel_timer(WAKE);
            return self.is_done(cx);
        };
        if self.hold.is_none() {
            let hold = cx.create_null_activity()?;
            cx.attach(cx.entity(), hold)?;
            self.hold = Some(hold);
        }
        self.tries_left = TRIES;
        cx.set_timer(WAKE, Clock::of(cx, &self.user)?.until(minute, cx.now()));
        Ok(())
    }

    fn call(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        self.tries_left = self.tries_left.saturating_sub(1);
        let targets = phones_of(cx, &self.user)?;
        if targets.is_empty() {
            cx.trace(TraceLevel::Info, format_args!("{} has no phone", self.user));
            return self.try_again(cx);
        }
        let call = PhoneCall {
            // In his own name: it is his number that he finds among the calls that he missed.
            from: self.user.clone(),
            display: NAME.to_owned(),
            to: self.user.clone(),
            targets,
            offer: NO_AUDIO.to_owned(),
        };
        self.call = Some(call_phone(cx, &call)?);
        cx.set_timer(ENOUGH, RINGS_FOR);
        Ok(())
    }

    /// Whatever the call is: it rings, and is given up, or was answered.
    fn hang_up(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.call {
            Some(call) if cx.activities().contains(&call) => cx.send_on(call, &SipCommand::HangUp),
            _ => Ok(()),
        }
    }

    fn try_again(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.tries_left > 0 {
            cx.set_timer(WAKE, AGAIN_AFTER);
            return Ok(());
        }
        cx.count("users_not_woken", 1);
        cx.trace(TraceLevel::Warning, format_args!("{} was not woken", self.user));
        self.is_done(cx)
    }

    fn is_done(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.hold.take() {
            Some(hold) => cx.end_activity(hold),
            None => Ok(()),
        }
    }
}

/// Where a user can be reached, as call control finds it.
fn phones_of(cx: &Context<'_>, user: &str) -> Result<Vec<Target>, Failure> {
    let row: Registrations = cx.row(REGISTRATIONS, user)?.unwrap_or_default();
    let live = row.live(cx.now()).into_iter().take(TARGETS_MAX);
    let target = |contact: &Contact| Target {
        uri: contact.uri.clone(),
        destination: contact.source.clone(),
        routes: contact.path.clone(),
    };
    Ok(live.map(target).collect())
}
