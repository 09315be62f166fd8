//! A name in a call, by which two services find the same activity.

use resilee_sbb::{
    ActivityId, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb, TraceLevel,
};
use resilee_test_slee::{EventType, Slee};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Rang {}

impl EventPayload for Rang {
    const TYPE: &'static str = "room.rang";
}

#[derive(Serialize, Deserialize)]
struct Asked {}

impl EventPayload for Asked {
    const TYPE: &'static str = "room.asked";
}

#[derive(Serialize, Deserialize)]
struct Said {}

impl EventPayload for Said {
    const TYPE: &'static str = "room.said";
}

/// Attaches an entity to the room of its call, which the first one makes.
fn enter(cx: &mut Context<'_>) -> Result<(), Failure> {
    let room = match cx.look_up_name("room") {
        Some(room) => room,
        None => {
            let room = cx.create_null_activity()?;
            cx.bind_name(room, "room")?;
            room
        }
    };
    cx.attach(cx.entity(), room)
}

/// Ends the room with its call.
fn leave(cx: &mut Context<'_>, room: Option<ActivityId>) -> Result<(), Failure> {
    match room.filter(|room| !cx.is_ending(*room)) {
        Some(room) => cx.end_activity(room),
        None => Ok(()),
    }
}

/// Says something in the room when it is asked.
#[derive(Default, Serialize, Deserialize)]
struct Speaker {}

impl Sbb for Speaker {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let (initial_events, events) = (&[Rang::TYPE], &[Asked::TYPE]);
        Descriptor { initial_events, events, ..Descriptor::named("speaker") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match (event.event_type.as_str(), cx.look_up_name("room")) {
            (Rang::TYPE, _) => enter(cx),
            (Asked::TYPE, Some(room)) => cx.fire(room, &Said {}),
            (_, room) => leave(cx, room),
        }
    }
}

/// Hears what is said in the room.
#[derive(Default, Serialize, Deserialize)]
struct Listener {}

impl Sbb for Listener {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let (initial_events, events) = (&[Rang::TYPE], &[Said::TYPE]);
        Descriptor { initial_events, events, ..Descriptor::named("listener") }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match event.event_type.as_str() {
            Rang::TYPE => enter(cx),
            Said::TYPE => {
                cx.trace(TraceLevel::Info, &event.event_type);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn two_services_of_a_call_meet_in_a_room() {
    let services = [LinkedSbb::of::<Speaker>(), LinkedSbb::of::<Listener>()];
    let mut slee = Slee::one(&services, &[EventType::of::<Rang>(), EventType::of::<Asked>()]);
    let call = slee.begin();
    slee.fire(call, &Rang {});
    slee.fire(call, &Asked {});
    assert_eq!(slee.traces(), ["room.said"]);
    slee.end(call);
    assert!(slee.is_empty());
}
