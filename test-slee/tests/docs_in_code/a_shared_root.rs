//! One root entity for all doors of a house, wherever they are.

use resilee_sbb::{
    Context, Descriptor, Event, EventPayload, Failure, InitialEvent, LinkedSbb, Sbb,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Rang {
    house: String,
}

impl EventPayload for Rang {
    const TYPE: &'static str = "door.rang";
}

/// Counts the rings of a house.
#[derive(Default, Serialize, Deserialize)]
struct House {
    rings: u32,
}

impl Sbb for House {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[Rang::TYPE],
            selects_initial_events: true,
            ..Descriptor::named("house")
        }
    }

    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        match event.get::<Rang>()? {
            Some(rang) => Ok(InitialEvent::by().custom_name(rang.house)),
            None => Ok(InitialEvent::none()),
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.rings += u32::from(event.event_type == Rang::TYPE);
        Ok(())
    }
}

#[test]
fn all_doors_of_a_house_have_one_root_entity() {
    let mut slee = Slee::pair(&[LinkedSbb::of::<House>()], &[EventType::of::<Rang>()]);
    let (front, back) = (slee.begin(), slee.begin());
    let rang = Rang { house: "no. 7".to_owned() };
    slee.fire(front, &rang);
    slee.fire(back, &rang);
    slee.kill_the_owner();
    slee.fire(back, &rang);
    assert_eq!(slee.state::<House>(1).map(|house| house.rings), Some(3));
    slee.end(front);
    slee.end(back);
    assert!(slee.is_empty());
}
