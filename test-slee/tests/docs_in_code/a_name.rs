//! A name by which one call finds the activity of another one.

use resilee_sbb::{
    Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, NameBound, NameTaken, Sbb,
    TraceLevel,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct MovedIn {
    house: String,
}

impl EventPayload for MovedIn {
    const TYPE: &'static str = "house.moved_in";
}

#[derive(Serialize, Deserialize)]
struct Letter {
    house: String,
}

impl EventPayload for Letter {
    const TYPE: &'static str = "house.letter";
}

#[derive(Serialize, Deserialize)]
struct Delivered {}

impl EventPayload for Delivered {
    const TYPE: &'static str = "house.delivered";
}

/// Takes letters from anywhere to whoever lives in a house.
#[derive(Default, Serialize, Deserialize)]
struct Post {}

impl Sbb for Post {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[MovedIn::TYPE, Letter::TYPE],
            events: &[NameBound::TYPE, NameTaken::TYPE, Delivered::TYPE],
            ..Descriptor::named("post")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(moved_in) = event.get::<MovedIn>()? {
            return cx.bind_cluster_name(cx.activity(), &moved_in.house);
        }
        if let Some(letter) = event.get::<Letter>()? {
            return cx.fire_at_name(&letter.house, &Delivered {});
        }
        cx.trace(TraceLevel::Info, &event.event_type);
        Ok(())
    }
}

#[test]
fn a_letter_finds_its_house() {
    let events = [EventType::of::<MovedIn>(), EventType::of::<Letter>()];
    let mut slee = Slee::pair(&[LinkedSbb::of::<Post>()], &events);
    let (ann, bob, carl) = (slee.begin(), slee.begin(), slee.begin());
    let house = || "no. 7".to_owned();
    slee.fire(ann, &MovedIn { house: house() });
    assert_eq!(slee.traces(), ["slee.name_bound"]);
    slee.kill_the_owner();
    slee.fire(bob, &Letter { house: house() });
    assert_eq!(slee.traces(), ["house.delivered"]);
    slee.end(ann);
    slee.fire(carl, &MovedIn { house: house() });
    assert_eq!(slee.traces(), ["slee.activity_end", "slee.name_bound"]);
    slee.end(bob);
    slee.end(carl);
    assert!(slee.is_empty());
}
