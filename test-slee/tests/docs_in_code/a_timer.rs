//! A child with a timer.

use resilee_sbb::{
    Answer, Call, ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb,
    LocalCall, Sbb, TimerFired, TimerId,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Rang {}

impl EventPayload for Rang {
    const TYPE: &'static str = "door.rang";
}

#[derive(Serialize, Deserialize)]
struct TurnOn {}

impl LocalCall for TurnOn {
    const NAME: &'static str = "lamp.turn_on";
    type Answer = ();
}

const GOES_OUT: TimerId = TimerId(1);
const LIGHT: Duration = Duration::from_secs(30);

/// A lamp that goes out by itself.
#[derive(Default, Serialize, Deserialize)]
struct Lamp {
    is_on: bool,
}

impl Sbb for Lamp {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("lamp")
    }

    fn on_call(&mut self, cx: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        self.is_on = true;
        cx.set_timer(GOES_OUT, LIGHT);
        call.answer::<TurnOn>(&())
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.get::<TimerFired>()?.is_some_and(|fired| fired.timer == GOES_OUT) {
            self.is_on = false;
        }
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Doorman {}

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
        cx.call(lamp, &TurnOn {})
    }
}

#[test]
fn the_lamp_goes_out_also_if_its_node_died() {
    let mut slee = Slee::pair(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &Rang {});
    slee.pass(Duration::from_secs(20));
    slee.kill_the_owner();
    slee.pass(Duration::from_secs(9));
    assert_eq!(slee.state::<Lamp>(2).map(|lamp| lamp.is_on), Some(true));
    slee.pass(Duration::from_secs(2));
    assert_eq!(slee.state::<Lamp>(2).map(|lamp| lamp.is_on), Some(false));
    slee.end(door);
    assert!(slee.is_empty());
}
