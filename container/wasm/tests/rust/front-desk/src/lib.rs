//! A hotel's front desk, for tests of units in Rust: for each guest it draws the number of a key,
//! which its key rack, a child SBB, then keeps. A guest of a certain name makes it panic, after all
//! that it does for any other.

use resilee_sbb::{
    Answer, Call, ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb,
    LocalCall, Sbb,
};
use serde::{Deserialize, Serialize};

#[cfg(target_arch = "wasm32")]
resilee_guest::export!(FrontDesk);

/// The guest who is too much for it.
pub const TROUBLE: &str = "trouble";
/// What it says then.
pub const PANIC: &str = "no room for trouble";

/// A guest has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GuestCame {
    /// Who.
    pub name: String,
}

impl EventPayload for GuestCame {
    const TYPE: &'static str = "front_desk.guest_came";
}

/// The desk, in each activity: a hotel.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrontDesk {
    /// Guests who have come.
    pub guests: u32,
    /// Keys that its rack says it has handed out.
    pub handed_out: u32,
}

impl Sbb for FrontDesk {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] =
            &[ChildRelation { name: "racks", sbb: LinkedSbb::of::<KeyRack>(), priority: 0 }];
        Descriptor {
            vendor: "test",
            version: "1.0",
            initial_events: &[GuestCame::TYPE],
            children: CHILDREN,
            ..Descriptor::named("front-desk")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(GuestCame { name }) = event.get()? else { return Ok(()) };
        let rack = match cx.child("racks", "keys") {
            Some(rack) => rack,
            None => cx.create_named_child("racks", "keys")?,
        };
        let hand_out = HandOut { key: cx.random() };
        self.handed_out = cx.call(rack, &hand_out)?;
        self.guests += 1;
        assert!(name != TROUBLE, "{PANIC}");
        Ok(())
    }
}

/// Hand this key out; the answer is how many there are by now.
#[derive(Serialize, Deserialize)]
struct HandOut {
    key: u64,
}

impl LocalCall for HandOut {
    const NAME: &'static str = "key_rack.hand_out";
    type Answer = u32;
}

/// The keys of a hotel.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyRack {
    /// Numbers of those that are handed out.
    pub keys: Vec<u64>,
}

impl Sbb for KeyRack {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("key-rack")
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn on_call(&mut self, _: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        let Some(HandOut { key }) = call.get()? else {
            return Err(Failure::new(format!("a key rack cannot do {}", call.name())));
        };
        self.keys.push(key);
        let handed_out = u32::try_from(self.keys.len());
        call.answer::<HandOut>(&handed_out.map_err(|_| Failure::new("too many keys"))?)
    }
}
