//! One SBB that counts.

use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

/// Somebody rang at a door.
#[derive(Serialize, Deserialize)]
struct Rang {
    who: String,
}

impl EventPayload for Rang {
    const TYPE: &'static str = "door.rang";
}

/// Counts who rings.
#[derive(Default, Serialize, Deserialize)]
struct Doorman {
    rings: u32,
}

impl Sbb for Doorman {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "Example Ltd",
            version: "1.0",
            initial_events: &[Rang::TYPE],
            ..Descriptor::named("doorman")
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(rang) = event.get::<Rang>()? else { return Ok(()) };
        self.rings += 1;
        if rang.who == "a ghost" {
            return Err(Failure::new("nobody is at the door"));
        }
        Ok(())
    }
}

fn rang(who: &str) -> Rang {
    Rang { who: who.to_owned() }
}

#[test]
fn the_doorman_counts_who_rings() {
    let mut slee = Slee::one(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &rang("alice"));
    slee.fire(door, &rang("bob"));
    assert_eq!(slee.state::<Doorman>(1).map(|doorman| doorman.rings), Some(2));
    slee.end(door);
    assert!(slee.is_empty());
}

#[test]
fn the_count_survives_the_death_of_its_node() {
    let mut slee = Slee::pair(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &rang("alice"));
    slee.kill_the_owner();
    slee.fire(door, &rang("bob"));
    assert_eq!(slee.state::<Doorman>(1).map(|doorman| doorman.rings), Some(2));
}

#[test]
fn a_handler_that_fails_has_changed_nothing() {
    let mut slee = Slee::one(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
    let door = slee.begin();
    slee.fire(door, &rang("alice"));
    slee.fire(door, &rang("a ghost"));
    assert_eq!(slee.state::<Doorman>(1).map(|doorman| doorman.rings), Some(1));
    assert_eq!(slee.alarms(), ["door.rang rolled back: nobody is at the door"]);
}
