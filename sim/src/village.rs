//! A service with one root entity in the whole cluster, and one in each call that tells it things:
//! all of it in order, once, whoever dies meanwhile; and so is what comes back.
//!
//! | entity   | does                                        | must not see                      |
//! |----------|---------------------------------------------|-----------------------------------|
//! | villager | does a deed in its field, the next one when | thanks twice, or out of order     |
//! |          | it is thanked; leaves when the call is      |                                   |
//! |          | over, and says how many it did              |                                   |
//! | village  | gives thanks for each deed; fails at some,  | a deed twice, or out of order; a  |
//! |          | which are tried again                       | villager that did others          |
//!
//! The *field* is a null activity in the call's cell. There is one village for all calls, and one
//! field at a time is called the common, by a name in the whole cluster: whose villager asks first.

use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Descriptor, Event, EventPayload, Failure, InitialEvent,
    NameBound, NameTaken, OnRollBack, Sbb, TimerFired, TimerId, Timestamp, TraceLevel,
};
use resilee_sip_api::Invite;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How the services' names begin; lines of their tracers are broken rules.
pub const NAME: &str = "village";
/// Deeds of a villager.
const DEEDS: u32 = 4;
/// The name of one of the fields.
const COMMON: &str = "common";
/// From thanks to the next deed.
const PAUSE: Duration = Duration::from_millis(120);
const NEXT: TimerId = TimerId(1);
/// The village fails at one of so many deeds, as long as they are fresh.
const FAILS_ONE_OF: u64 = 10;
const FRESH: Duration = Duration::from_secs(1);

/// What a villager did.
#[derive(Serialize, Deserialize)]
struct Deed {
    number: u32,
    done_at: Timestamp,
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

/// It leaves.
#[derive(Serialize, Deserialize)]
struct Leaves {
    deeds: u32,
}

impl EventPayload for Leaves {
    const TYPE: &'static str = "village.leaves";
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
    has_common: bool,
}

impl Sbb for Villager {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            priority: -30,
            initial_events: &[Invite::TYPE],
            events: &[Thanks::TYPE, NameBound::TYPE, NameTaken::TYPE],
            ..Descriptor::named("villager")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.event_type == TimerFired::TYPE {
            return self.do_good(cx);
        }
        if let Some(thanks) = event.get::<Thanks>()? {
            return self.on_thanks(cx, &thanks);
        }
        match event.event_type.as_str() {
            Invite::TYPE if self.field.is_none() => {
                let field = cx.create_null_activity()?;
                cx.attach(cx.entity(), field)?;
                self.field = Some(field);
                if cx.look_up_cluster_name(COMMON)?.is_none() {
                    cx.bind_cluster_name(field, COMMON)?;
                }
                self.do_good(cx)
            }
            NameBound::TYPE | NameTaken::TYPE if self.has_common => {
                say(cx, "a field is called the common, and heard of it again");
                Ok(())
            }
            NameBound::TYPE => {
                self.has_common = true;
                Ok(())
            }
            ActivityEnd::TYPE => match self.field {
                Some(field) if field != cx.activity() && !cx.is_ending(field) => {
                    cx.fire(field, &Leaves { deeds: self.deeds })?;
                    cx.end_activity(field)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Villager {
    fn do_good(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(field) = self.field.filter(|field| !cx.is_ending(*field)) else { return Ok(()) };
        cx.fire(field, &Deed { number: self.deeds, done_at: cx.now() })?;
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
        Ok(())
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
            events: &[Leaves::TYPE],
            selects_initial_events: true,
            on_roll_back: OnRollBack::Retry,
            ..Descriptor::named(NAME)
        }
    }

    fn initial_event(_: &mut Context<'_>, _: &Event) -> Result<InitialEvent, Failure> {
        Ok(InitialEvent::by().custom_name("green"))
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(leaves) = event.get::<Leaves>()? {
            if self.deeds.remove(&cx.activity()) != Some(leaves.deeds) {
                say(cx, "a villager leaves who did other deeds");
            }
            return Ok(());
        }
        let Some(deed) = event.get::<Deed>()? else {
            if self.deeds.remove(&cx.activity()).is_some() {
                say(cx, "a villager is gone who has not left");
            }
            return Ok(());
        };
        let fresh = cx.now().since(deed.done_at) < FRESH;
        if fresh && cx.random().is_multiple_of(FAILS_ONE_OF) {
            return Err(Failure::new("the village sleeps"));
        }
        let deeds = self.deeds.entry(cx.activity()).or_default();
        if deed.number != *deeds {
            say(cx, "a deed came twice, or out of order");
        }
        *deeds = deed.number + 1;
        // What is tried again may be about a villager that is gone.
        match cx.is_ending(cx.activity()) {
            true => Ok(()),
            false => cx.fire(cx.activity(), &Thanks { number: deed.number }),
        }
    }
}
