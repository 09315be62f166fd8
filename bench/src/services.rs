//! The services that are measured: one that counts, and a tree of three that count.

use resilee_sbb::{
    ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb,
};
use serde::{Deserialize, Serialize};

/// The event.
#[derive(Serialize, Deserialize)]
pub struct Tick {
    /// Something to read.
    pub number: u64,
}

impl EventPayload for Tick {
    const TYPE: &'static str = "bench.tick";
}

/// What is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deployed {
    /// No service: what an event costs that nobody gets.
    None,
    /// A service of one SBB that counts.
    Counter,
    /// A service of three: a root and two children on the same activity context, all count.
    Tree,
}

impl Deployed {
    /// The services.
    pub fn services(self) -> &'static [LinkedSbb] {
        match self {
            Deployed::None => &[],
            Deployed::Counter => const { &[LinkedSbb::of::<Counter>()] },
            Deployed::Tree => const { &[LinkedSbb::of::<Root>()] },
        }
    }
}

/// Counts what it gets.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    /// Events so far.
    pub count: u64,
}

impl Sbb for Counter {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { initial_events: &[Tick::TYPE], ..Descriptor::named("counter") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.count += u64::from(event.get::<Tick>()?.is_some());
        Ok(())
    }
}

/// Counts, and has two children that count.
#[derive(Default, Serialize, Deserialize)]
pub struct Root {
    /// Events so far.
    pub count: u64,
}

impl Sbb for Root {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const CHILDREN: &[ChildRelation] =
            &[ChildRelation { name: "counters", sbb: LinkedSbb::of::<Counter>(), priority: 0 }];
        Descriptor {
            initial_events: &[Tick::TYPE],
            children: CHILDREN,
            ..Descriptor::named("root")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.get::<Tick>()?.is_none() {
            return Ok(());
        }
        self.count += 1;
        if self.count == 1 {
            for _ in 0..2 {
                let child = cx.create_child("counters")?;
                cx.attach(child, cx.activity())?;
            }
        }
        Ok(())
    }
}
