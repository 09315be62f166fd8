//! The worked example of the event router: two services, one of them a tree.

use resilee_sbb::{
    ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb, TraceLevel,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Rang {}

impl EventPayload for Rang {
    const TYPE: &'static str = "door.rang";
}

#[derive(Serialize, Deserialize)]
struct Opened {}

impl EventPayload for Opened {
    const TYPE: &'static str = "door.opened";
}

/// What everybody here says of an event.
fn say(cx: &mut Context<'_>, who: &str, event: &Event) {
    cx.trace(TraceLevel::Info, format!("{who} {}", event.event_type));
}

/// A service before the others.
#[derive(Default, Serialize, Deserialize)]
struct Guard {}

impl Sbb for Guard {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let priority = 10;
        Descriptor { priority, initial_events: &[Rang::TYPE], ..Descriptor::named("guard") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        say(cx, "guard", event);
        if event.event_type == Rang::TYPE {
            cx.fire(cx.activity(), &Opened {})?;
        }
        Ok(())
    }
}

/// A service of three SBBs.
#[derive(Default, Serialize, Deserialize)]
struct Host {}

const BOTH: &[&str] = &[Rang::TYPE, Opened::TYPE];

impl Sbb for Host {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] = &[
            ChildRelation { name: "cooks", sbb: LinkedSbb::of::<Cook>(), priority: 1 },
            ChildRelation { name: "waiters", sbb: LinkedSbb::of::<Waiter>(), priority: 5 },
        ];
        let events = &[Opened::TYPE];
        let initial_events = &[Rang::TYPE];
        Descriptor { initial_events, events, children: CHILDREN, ..Descriptor::named("host") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        say(cx, "host", event);
        if event.event_type == Rang::TYPE {
            for relation in ["cooks", "waiters"] {
                let child = cx.create_child(relation)?;
                cx.attach(child, cx.activity())?;
            }
        }
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Cook {}

impl Sbb for Cook {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { events: BOTH, ..Descriptor::named("cook") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        say(cx, "cook", event);
        cx.mask(cx.activity(), &[Opened::TYPE])
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Waiter {}

impl Sbb for Waiter {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { events: BOTH, ..Descriptor::named("waiter") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        say(cx, "waiter", event);
        Ok(())
    }
}

#[test]
fn an_event_goes_from_the_first_to_the_last() {
    let services = [LinkedSbb::of::<Host>(), LinkedSbb::of::<Guard>()];
    let mut slee = Slee::one(&services, &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &Rang {});
    let expected = [
        "guard door.rang",
        "host door.rang",
        "waiter door.rang",
        "cook door.rang",
        "host door.opened",
        "waiter door.opened",
    ];
    assert_eq!(slee.traces(), expected);
    slee.end(door);
    let ends = ["guard", "host", "waiter", "cook"].map(|who| format!("{who} slee.activity_end"));
    assert_eq!(slee.traces(), ends);
    assert!(slee.is_empty());
}
