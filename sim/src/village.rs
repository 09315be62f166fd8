//! A service with one root entity in the whole cluster, and one in each call that tells it things:
//! all of it in order, once, whoever dies meanwhile; and so is what comes back.
//!
//! | entity   | does                                        | must not see                      |
//! |----------|---------------------------------------------|-----------------------------------|
//! | villager | does a deed in its field, the next one when | thanks twice, or out of order; no |
//! |          | it is thanked; leaves when the call is over | thanks for the last one           |
//! | village  | gives thanks for each deed; fails at some,  | a deed twice, or out of order; a  |
//! |          | which are tried again                       | villager that leaves too early    |
//!
//! The *field* is a null activity in the call's cell. There is one village for all calls.

use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Descriptor, Event, EventPayload, Failure, InitialEvent,
    OnRollBack, Sbb, TimerFired, TimerId, TraceLevel,
};
use resilee_sip_api::Invite;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How the services' names begin; lines of their tracers are broken rules.
pub const NAME: &str = "village";
/// Deeds of a villager.
const DEEDS: u32 = 4;
/// From thanks to the next deed.
const PAUSE: Duration = Duration::from_millis(120);
const NEXT: TimerId = TimerId(1);
/// A villager whose call is over waits so long for thanks.
const PATIENCE: Duration = Duration::from_secs(10);
const GIVE_UP: TimerId = TimerId(2);
/// The village fails at one of so many deeds.
const FAILS_ONE_OF: u64 = 10;

/// What a villager did.
#[derive(Serialize, Deserialize)]
struct Deed {
    number: u32,
}

impl EventPayload for Deed {
    const TYPE: &'static str = "village.deed";
}

/// What it gets for it.
#[derive(Serialize, Deserialize)]
struct Thanks {
    number: u32,
}

impl EventPayload for Thanks {
    const TYPE: &'static str = "village.thanks";
}

fn say(cx: &mut Context<'_>, text: &str) {
    cx.trace(TraceLevel::Warning, text);
}

/// One of a call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Villager {
    field: Option<ActivityId>,
    deeds: u32,
    thanked: u32,
    call_is_over: bool,
}

impl Sbb for Villager {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            priority: -30,
            initial_events: &[Invite::TYPE],
            events: &[Thanks::TYPE],
            ..Descriptor::named("villager")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(fired) = event.get::<TimerFired>()? {
            return match fired.timer {
                NEXT => self.do_good(cx),
                _ => {
                    say(cx, "no thanks came");
                    self.leave(cx)
                }
            };
        }
        if let Some(thanks) = event.get::<Thanks>()? {
            return self.on_thanks(cx, &thanks);
        }
        match event.event_type.as_str() {
            Invite::TYPE if self.field.is_none() => {
                let field = cx.create_null_activity()?;
                cx.attach(cx.entity(), field)?;
                self.field = Some(field);
                self.do_good(cx)
            }
            ActivityEnd::TYPE if self.field != Some(cx.activity()) => {
                self.call_is_over = true;
                cx.set_timer(GIVE_UP, PATIENCE);
                self.leave_when_done(cx)
            }
            _ => Ok(()),
        }
    }
}

impl Villager {
    fn do_good(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(field) = self.field else { return Ok(()) };
        cx.fire(field, &Deed { number: self.deeds })?;
        self.deeds += 1;
        Ok(())
    }

    fn on_thanks(&mut self, cx: &mut Context<'_>, thanks: &Thanks) -> Result<(), Failure> {
        if thanks.number != self.thanked || self.thanked >= self.deeds {
            say(cx, "thanks came twice, or out of order");
        }
        self.thanked = thanks.number + 1;
        if self.thanked < DEEDS {
            cx.set_timer(NEXT, PAUSE);
        }
        self.leave_when_done(cx)
    }

    fn leave_when_done(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.call_is_over && self.thanked == DEEDS {
            true => self.leave(cx),
            false => Ok(()),
        }
    }

    fn leave(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        cx.cancel_timer(GIVE_UP);
        match self.field {
            Some(field) if !cx.is_ending(field) => cx.end_activity(field),
            _ => Ok(()),
        }
    }
}

/// The one of the cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Village {
    /// Deeds so far, by the field.
    deeds: BTreeMap<ActivityId, u32>,
}

impl Sbb for Village {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[Deed::TYPE],
            selects_initial_events: true,
            on_roll_back: OnRollBack::Retry,
            ..Descriptor::named(NAME)
        }
    }

    fn initial_event(_: &mut Context<'_>, _: &Event) -> Result<InitialEvent, Failure> {
        Ok(InitialEvent::by().custom_name("green"))
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(deed) = event.get::<Deed>()? else {
            if self.deeds.remove(&cx.activity()).is_some_and(|deeds| deeds != DEEDS) {
                say(cx, "a villager left before all deeds were done");
            }
            return Ok(());
        };
        if cx.random().is_multiple_of(FAILS_ONE_OF) {
            return Err(Failure::new("the village sleeps"));
        }
        let deeds = self.deeds.entry(cx.activity()).or_default();
        if deed.number != *deeds {
            say(cx, "a deed came twice, or out of order");
        }
        *deeds = deed.number + 1;
        cx.fire(cx.activity(), &Thanks { number: deed.number })
    }
}
