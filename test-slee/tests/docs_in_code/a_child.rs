//! A parent that calls its child.

use resilee_sbb::{
    Answer, Call, ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb,
    LocalCall, Sbb,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Rang {}

impl EventPayload for Rang {
    const TYPE: &'static str = "door.rang";
}

/// Turn the lamp on; the answer is how often that was done.
#[derive(Serialize, Deserialize)]
struct TurnOn {}

impl LocalCall for TurnOn {
    const NAME: &'static str = "lamp.turn_on";
    type Answer = u32;
}

/// A lamp over the door.
#[derive(Default, Serialize, Deserialize)]
struct Lamp {
    times: u32,
}

impl Sbb for Lamp {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("lamp")
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn on_call(&mut self, _: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        let Some(TurnOn {}) = call.get()? else {
            return Err(Failure::new(format!("a lamp cannot do {}", call.name())));
        };
        self.times += 1;
        call.answer::<TurnOn>(&self.times)
    }
}

/// Turns on the lamp when somebody rings.
#[derive(Default, Serialize, Deserialize)]
struct Doorman {
    turned_on: u32,
}

impl Sbb for Doorman {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] =
            &[ChildRelation { name: "lamps", sbb: LinkedSbb::of::<Lamp>(), priority: 0 }];
        Descriptor {
            initial_events: &[Rang::TYPE],
            children: CHILDREN,
            ..Descriptor::named("doorman")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(Rang {}) = event.get()? else { return Ok(()) };
        let lamp = match cx.child("lamps", "door") {
            Some(lamp) => lamp,
            None => cx.create_named_child("lamps", "door")?,
        };
        self.turned_on = cx.call(lamp, &TurnOn {})?;
        Ok(())
    }
}

#[test]
fn the_doorman_has_one_lamp_and_turns_it_on_each_time() {
    let mut slee = Slee::one(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &Rang {});
    slee.fire(door, &Rang {});
    // The root entity is number 1, its first child number 2.
    assert_eq!(slee.state::<Doorman>(1).map(|doorman| doorman.turned_on), Some(2));
    assert_eq!(slee.state::<Lamp>(2).map(|lamp| lamp.times), Some(2));
    slee.end(door);
    assert!(slee.is_empty());
}
