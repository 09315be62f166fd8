//! A service of a whole tree, which does what a SLEE has: children that come and go, a null
//! activity with a name, fired events, a suspended one, masks, roll backs. Its entities watch each
//! other, and say what they must not see.
//!
//! | entity  | does                                             | must not see                    |
//! |---------|--------------------------------------------------|---------------------------------|
//! | root    | grows the tree; fires chores at home, one after  | an event that it masks          |
//! |         | another, suspends one; removes its older child   |                                 |
//! | older   | grows a child; fails or panics at some chores    | a roll back told twice          |
//! | grand   | nothing                                          |                                 |
//! | younger | does all chores                                  | a chore that its parent or its  |
//! |         |                                                  | sibling has not had; one twice; |
//! |         |                                                  | the end of home with one lost   |
//!
//! *Home* is the null activity. What is kept there in attributes says who had which chore.

use resilee_sbb::{
    ActivityEnd, ActivityId, AttributeAlias, ChildRelation, Context, Descriptor, Event,
    EventPayload, Failure, LinkedSbb, Sbb, TimerFired, TimerId, TraceLevel,
};
use resilee_sip_api::{Answered, Ended, Invite};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The service's name; lines of its tracers are broken rules.
pub const NAME: &str = "family";
/// From the answer to a further chore.
const LATER: Duration = Duration::from_millis(200);
/// A chore waits so long, unless the call is answered before.
const SUSPENDED: Duration = Duration::from_millis(300);
/// The chore that is suspended, and at which the older child fails.
const HARD: u32 = 1;
/// Of so many calls one is without a family, since its root fails.
const FAILS_ONE_OF: u64 = 8;

/// Something to do at home.
#[derive(Serialize, Deserialize)]
struct Chore {
    number: u32,
}

impl EventPayload for Chore {
    const TYPE: &'static str = "family.chore";
}

/// What all of them call the last chore of the root, and that of the older child.
const SHARED: &[AttributeAlias] = &[
    AttributeAlias { attribute: "root", alias: "family.root" },
    AttributeAlias { attribute: "older", alias: "family.older" },
];

fn say(cx: &mut Context<'_>, text: &str) {
    cx.trace(TraceLevel::Warning, text);
}

/// The root.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Family {
    home: Option<ActivityId>,
    masks: bool,
    chores: u32,
}

impl Sbb for Family {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] = &[
            ChildRelation { name: "older", sbb: LinkedSbb::of::<Older>(), priority: 5 },
            ChildRelation { name: "younger", sbb: LinkedSbb::of::<Younger>(), priority: 0 },
        ];
        Descriptor {
            priority: -20,
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Ended::TYPE, Chore::TYPE],
            children: CHILDREN,
            attribute_aliases: SHARED,
            ..Descriptor::named(NAME)
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match event.event_type.as_str() {
            Invite::TYPE if self.home.is_none() => self.settle(cx),
            Answered::TYPE => self.on_answered(cx),
            Ended::TYPE if self.masks => {
                say(cx, "an event came that is masked");
                Ok(())
            }
            TimerFired::TYPE => self.fire(cx),
            Chore::TYPE => self.on_chore(cx, event),
            ActivityEnd::TYPE => match self.home {
                Some(home) if home != cx.activity() && !cx.is_ending(home) => cx.end_activity(home),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Family {
    /// Grows the tree, and fires the first chore.
    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let home = cx.create_null_activity()?;
        // Nobody is there: it ends by itself.
        cx.create_null_activity()?;
        cx.bind_name(home, &format!("home {}", cx.activity().number))?;
        cx.attach(cx.entity(), home)?;
        for relation in ["younger", "older"] {
            let child = cx.create_named_child(relation, "child")?;
            cx.attach(child, home)?;
        }
        self.home = Some(home);
        self.fire(cx)?;
        match cx.random().is_multiple_of(FAILS_ONE_OF) {
            true => Err(Failure::new("the family moves away")),
            false => Ok(()),
        }
    }

    /// Fires the next chore; the one after the first follows at once.
    fn fire(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(home) = self.home.filter(|home| !cx.is_ending(*home)) else { return Ok(()) };
        cx.fire(home, &Chore { number: self.chores })?;
        self.chores += 1;
        Ok(())
    }

    fn on_chore(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(chore) = event.get::<Chore>()? else { return Ok(()) };
        cx.set_attribute("root", &chore.number)?;
        if chore.number == 0 {
            self.fire(cx)?;
        }
        if chore.number == HARD {
            cx.suspend_event(SUSPENDED)?;
        }
        Ok(())
    }

    fn on_answered(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(home) = self.home else { return Ok(()) };
        cx.mask(cx.activity(), &[Ended::TYPE])?;
        self.masks = true;
        cx.set_timer(TimerId(1), LATER);
        if cx.random().is_multiple_of(2) {
            // It may be over already.
            let _ = cx.resume_event(home);
        }
        match cx.child("older", "child") {
            Some(older) if cx.random().is_multiple_of(2) => cx.remove_child(older),
            _ => Ok(()),
        }
    }
}

/// The child of the higher priority.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Older {
    told: u32,
}

impl Sbb for Older {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] =
            &[ChildRelation { name: "grand", sbb: LinkedSbb::of::<Grand>(), priority: 0 }];
        Descriptor {
            events: &[Chore::TYPE],
            children: CHILDREN,
            attribute_aliases: SHARED,
            ..Descriptor::named("family-older")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(chore) = event.get::<Chore>()? else { return Ok(()) };
        if cx.children("grand").is_empty() {
            let grand = cx.create_child("grand")?;
            cx.attach(grand, cx.activity())?;
        }
        cx.set_attribute("older", &chore.number)?;
        match chore.number {
            HARD if cx.random().is_multiple_of(2) => Err(Failure::new("too hard")),
            // A panic which nobody prints.
            HARD => std::panic::resume_unwind(Box::new("much too hard")),
            _ => Ok(()),
        }
    }

    fn rolled_back(
        &mut self,
        cx: &mut Context<'_>,
        _event: &Event,
        _reason: &str,
    ) -> Result<(), Failure> {
        self.told += 1;
        if self.told > 1 {
            say(cx, "one roll back was told twice");
        }
        Ok(())
    }
}

/// Only there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Grand {}

impl Sbb for Grand {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { events: &[Chore::TYPE], ..Descriptor::named("family-grand") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// The child of the lower priority.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Younger {
    chores: u32,
}

impl Sbb for Younger {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            events: &[Chore::TYPE],
            attribute_aliases: SHARED,
            ..Descriptor::named("family-younger")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let root = cx.attribute::<u32>("root")?;
        let Some(chore) = event.get::<Chore>()? else {
            if root.map_or(0, |root| root + 1) != self.chores {
                say(cx, "a chore was lost");
            }
            return Ok(());
        };
        if chore.number != self.chores {
            say(cx, "a chore came twice, or out of order");
        }
        if root != Some(chore.number) {
            say(cx, "a child had a chore before its parent");
        }
        let older = cx.attribute::<u32>("older")?;
        if chore.number < HARD && older != Some(chore.number) {
            say(cx, "a sibling had a chore before one of a higher priority");
        }
        self.chores = chore.number + 1;
        Ok(())
    }
}
