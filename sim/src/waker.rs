//! A service that has phones called, as wake-up calls do: a phone dials the number of another one,
//! is told that there is nobody of that name, and a moment later the server calls that other phone.
//!
//! | number           | its root entity is                        |
//! |------------------|-------------------------------------------|
//! | `wake-here-USER` | in the cell of the call that has dialled  |
//! | `wake-USER`      | one of the cluster, of that name          |
//!
//! It hears each thing of its call once and in order, or says what it must not see; and what became
//! of the call is a record. When it hangs up, the plan says.

use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Descriptor, Event, EventPayload, Failure, InitialEvent, Sbb,
    TimerFired, TimerId, TraceLevel,
};
use resilee_sip_api::{
    Answered, Contact, Ended, Invite, NO_AUDIO, PhoneCall, Progress, REGISTRATIONS, Registrations,
    Rejected, Side, SipCommand, Target, call_phone,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The service's name; lines of its tracer are broken rules.
pub const NAME: &str = "waker";
/// What the numbers begin with.
pub const NUMBER: &str = "wake-";
/// What follows if the root is to be in the call's cell.
pub const HERE: &str = "here-";
/// The journal of what became of the calls.
pub const WAKE_UPS: &str = "wake_ups";
/// The table with its one row, [`Patience`].
pub const PATIENCE: (&str, &str) = ("waker", "patience");

/// From the dialling to the call.
const WAIT: Duration = Duration::from_millis(400);
const WAKE: TimerId = TimerId(1);
const ENOUGH: TimerId = TimerId(2);

/// When the service hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// After so long without an answer; `None`: never.
    pub ring_ms: Option<u64>,
    /// So long after the answer.
    pub talk_ms: u64,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    /// Who was called.
    pub user: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nobody has answered it; this status.
    Rejected(u16),
    /// It was answered, and this side has hung up.
    Ended(Side),
}

/// One wake-up call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Waker {
    user: String,
    /// Keeps this entity until the call is over.
    hold: Option<ActivityId>,
    call: Option<ActivityId>,
    /// Statuses of [`Progress`].
    progressed: Vec<u16>,
    is_answered: bool,
    outcome: Option<Outcome>,
}

impl Sbb for Waker {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            priority: -50,
            initial_events: &[Invite::TYPE],
            selects_initial_events: true,
            events: &[Progress::TYPE, Answered::TYPE, Rejected::TYPE, Ended::TYPE],
            ..Descriptor::named(NAME)
        }
    }

    /// An INVITE comes once without credentials; nobody is woken by that.
    fn initial_event(cx: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        let Some(invite) = event.get::<Invite>()? else { return Ok(InitialEvent::none()) };
        match invite.callee.user.strip_prefix(NUMBER) {
            Some(user) if invite.is_proven(cx)? => Ok(match user.starts_with(HERE) {
                true => InitialEvent::by().cell(),
                false => InitialEvent::by().custom_name(user),
            }),
            _ => Ok(InitialEvent::none()),
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            return self.on_dialled(cx, &invite.callee.user);
        }
        if let Some(fired) = event.get::<TimerFired>()? {
            return match (fired.timer, self.call) {
                (WAKE, _) => self.call(cx),
                (_, Some(call)) if self.outcome.is_none() => cx.send_on(call, &SipCommand::HangUp),
                _ => Ok(()),
            };
        }
        match self.call == Some(cx.activity()) {
            true => self.on_event_of_call(cx, event),
            false => Ok(()),
        }
    }
}

impl Waker {
    fn on_dialled(&mut self, cx: &mut Context<'_>, number: &str) -> Result<(), Failure> {
        if self.hold.is_some() {
            say(cx, "one dialling came twice");
            return Ok(());
        }
        let user = number.strip_prefix(NUMBER).unwrap_or(number);
        self.user = user.strip_prefix(HERE).unwrap_or(user).to_owned();
        let hold = cx.create_null_activity()?;
        cx.attach(cx.entity(), hold)?;
        self.hold = Some(hold);
        cx.set_timer(WAKE, WAIT);
        Ok(())
    }

    fn call(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.call.is_some() {
            say(cx, "a timer fired twice");
            return Ok(());
        }
        let user = format!("sip:{}@{}", self.user, crate::node::DOMAIN);
        let row: Registrations = cx.row(REGISTRATIONS, &user)?.unwrap_or_default();
        let target = |contact: &Contact| Target {
            uri: contact.uri.clone(),
            destination: contact.source.clone(),
            routes: contact.path.clone(),
        };
        let call = PhoneCall {
            from: format!("sip:waker@{}", crate::node::DOMAIN),
            display: "Wake-up call".to_owned(),
            to: user,
            targets: row.live(cx.now()).into_iter().map(target).collect(),
            offer: NO_AUDIO.to_owned(),
        };
        self.call = Some(call_phone(cx, &call)?);
        if let Some(ring_ms) = patience(cx)?.ring_ms {
            cx.set_timer(ENOUGH, Duration::from_millis(ring_ms));
        }
        Ok(())
    }

    fn on_event_of_call(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let is_calling = !self.is_answered && self.outcome.is_none();
        let is_up = self.is_answered && self.outcome.is_none();
        let is_expected = if let Some(progress) = event.get::<Progress>()? {
            let is_new = !self.progressed.contains(&progress.status);
            self.progressed.push(progress.status);
            is_calling && is_new
        } else if event.get::<Answered>()?.is_some() {
            self.is_answered = true;
            cx.set_timer(ENOUGH, Duration::from_millis(patience(cx)?.talk_ms));
            is_calling
        } else if let Some(rejected) = event.get::<Rejected>()? {
            self.note_outcome(cx, Outcome::Rejected(rejected.status))?;
            is_calling
        } else if let Some(ended) = event.get::<Ended>()? {
            self.note_outcome(cx, Outcome::Ended(ended.by))?;
            is_up
        } else if event.event_type == ActivityEnd::TYPE {
            self.is_over(cx)?;
            !is_calling && !is_up
        } else {
            false
        };
        if !is_expected {
            say(cx, &format!("of its call came at a wrong time: {}", event.event_type));
        }
        Ok(())
    }

    fn note_outcome(&mut self, cx: &mut Context<'_>, outcome: Outcome) -> Result<(), Failure> {
        self.outcome = Some(outcome);
        cx.cancel_timer(ENOUGH);
        cx.record(WAKE_UPS, &WakeUp { user: self.user.clone(), outcome })
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.hold {
            Some(hold) => cx.end_activity(hold),
            None => Ok(()),
        }
    }
}

fn patience(cx: &Context<'_>) -> Result<Patience, Failure> {
    Ok(cx.row(PATIENCE.0, PATIENCE.1)?.unwrap_or_default())
}

fn say(cx: &mut Context<'_>, text: &str) {
    cx.trace(TraceLevel::Warning, text);
}
