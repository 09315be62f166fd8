//! A protocol of lines, and services that do what the test says.
//!
//! A message is a cell and what happens in it, as one turn: `c1 start; fire tick 1 hello; end 1`.
//!
//! | words                      | what the adaptor does                                    |
//! |----------------------------|----------------------------------------------------------|
//! | `start`                    | starts an activity, and says `started`                   |
//! | `fire TYPE ACTIVITY WORD`  | fires an event of that type with that word               |
//! | `end ACTIVITY`             | ends an activity                                         |
//! | `over`                     | ends all of its activities                               |
//!
//! Each event bears a word. What an SBB does at a word the test has told [`Script`]; at any other
//! it does nothing. Each handler writes into the trace that it ran.

use crate::post::{Letter, Post};
use crate::script::{self, Ask, State};
use resilee_core::{Adaptors, Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_membership::Flow;
use resilee_sbb::{
    ActivityEnd, ActivityId, Answer, Attribute, AttributeAlias, AttributeKind, Begins, Call,
    ChildRelation, Context, Deployment, Descriptor, Event, EventPayload, Failure, FailurePolicy,
    InitialEvent, LinkedSbb, NameBound, NameTaken, OnRollBack, ProfileTable, Sbb, TimerFired,
    Timestamp, decode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events that differ in their types alone.
macro_rules! events {
    ($($name:ident $text:literal,)*) => {
        $(
            #[derive(Serialize, Deserialize)]
            pub struct $name {
                pub word: String,
            }

            impl EventPayload for $name {
                const TYPE: &'static str = concat!("test.", $text);
            }
        )*

        fn fire(endpoint: &mut Endpoint, activity: ActivityId, event: &str, word: String) {
            match event {
                $($text => endpoint.fire(activity, &$name { word }),)*
                _ => panic!("there is no event {event}"),
            }
        }
    };
}

events! {
    Begin "begin",
    Tick "tick",
    Tock "tock",
    Choose "choose",
    ChooseToo "choose-too",
    Keep "keep",
    Break "break",
    Wait "wait",
}

/// The services, in the order in which the node has them.
pub const SERVICES: [LinkedSbb; 6] = [
    LinkedSbb::of::<Scripted<ALPHA>>(),
    LinkedSbb::of::<Scripted<BETA>>(),
    LinkedSbb::of::<Scripted<CHOOSER>>(),
    LinkedSbb::of::<Scripted<KEEPER>>(),
    LinkedSbb::of::<Scripted<FRAGILE>>(),
    LinkedSbb::of::<Scripted<PATIENT>>(),
];

/// Services of deployable units; the second one cannot do without the first.
pub const WALLET: LinkedSbb = LinkedSbb::of::<Scripted<9>>();
pub const TILL: LinkedSbb = LinkedSbb::of::<Scripted<10>>();

/// Services that begin nothing when they fail too often, and are deactivated then.
pub const WARY: LinkedSbb = LinkedSbb::of::<Scripted<11>>();
pub const TIRED: LinkedSbb = LinkedSbb::of::<Scripted<12>>();

/// One that needs the last one.
pub const RESTLESS: LinkedSbb = LinkedSbb::of::<Scripted<13>>();

/// What replaces `alpha` or `keeper`, `chooser`, `keeper` alone, and `omega` in its turn: they read
/// states of those.
pub const OMEGA: LinkedSbb = LinkedSbb::of::<Scripted<14>>();
pub const PICKER: LinkedSbb = LinkedSbb::of::<Scripted<16>>();
pub const HOLDER: LinkedSbb = LinkedSbb::of::<Scripted<17>>();
pub const SIGMA: LinkedSbb = LinkedSbb::of::<Scripted<18>>();

const ALPHA: usize = 0;
const BETA: usize = 1;
const CHOOSER: usize = 2;
const KEEPER: usize = 3;
const FRAGILE: usize = 4;
const PATIENT: usize = 5;
const LEFT: usize = 6;
const RIGHT: usize = 7;
const LOW: usize = 8;
const NEW_LEFT: usize = 15;
const WAITER: usize = 19;

const LEFT_ONES: ChildRelation =
    ChildRelation { name: "left", sbb: LinkedSbb::of::<Scripted<LEFT>>(), priority: 0 };
const RIGHT_ONES: ChildRelation =
    ChildRelation { name: "right", sbb: LinkedSbb::of::<Scripted<RIGHT>>(), priority: 5 };
const LOW_ONES: ChildRelation =
    ChildRelation { name: "low", sbb: LinkedSbb::of::<Scripted<LOW>>(), priority: 0 };

const WAITERS: ChildRelation =
    ChildRelation { name: "waiter", sbb: LinkedSbb::of::<Scripted<WAITER>>(), priority: 0 };

/// It has no `right` ones.
const NEW_LEFT_ONES: ChildRelation =
    ChildRelation { name: "left", sbb: LinkedSbb::of::<Scripted<NEW_LEFT>>(), priority: 0 };

const TICKS: &[&str] = &[Tick::TYPE, Tock::TYPE];
const NEWS: &[&str] = &[Tick::TYPE, Tock::TYPE, NameBound::TYPE, NameTaken::TYPE];

const SBBS: [Descriptor; 20] = [
    Descriptor {
        priority: 10,
        initial_events: &[Begin::TYPE],
        events: NEWS,
        children: &[LEFT_ONES, RIGHT_ONES],
        attribute_aliases: &[AttributeAlias { attribute: "price", alias: "test.price" }],
        ..Descriptor::named("alpha")
    },
    Descriptor {
        initial_events: &[Begin::TYPE],
        events: NEWS,
        attribute_aliases: &[AttributeAlias { attribute: "cost", alias: "test.price" }],
        ..Descriptor::named("beta")
    },
    Descriptor {
        initial_events: &[Choose::TYPE, ChooseToo::TYPE],
        selects_initial_events: true,
        events: TICKS,
        ..Descriptor::named("chooser")
    },
    Descriptor {
        initial_events: &[Keep::TYPE],
        events: &[Tick::TYPE, Tock::TYPE, Choose::TYPE],
        on_roll_back: OnRollBack::Retry,
        children: &[LEFT_ONES],
        ..Descriptor::named("keeper")
    },
    Descriptor {
        initial_events: &[Break::TYPE],
        events: TICKS,
        on_roll_back: OnRollBack::Remove,
        children: &[LEFT_ONES],
        ..Descriptor::named("fragile")
    },
    Descriptor {
        initial_events: &[Wait::TYPE],
        selects_initial_events: true,
        events: TICKS,
        on_roll_back: OnRollBack::Retry,
        deployment: Deployment { is_uploaded: true, ..Deployment::ALONE },
        children: &[WAITERS],
        ..Descriptor::named("patient")
    },
    Descriptor { events: TICKS, children: &[LOW_ONES], ..Descriptor::named("left") },
    Descriptor { events: &[Tick::TYPE], ..Descriptor::named("right") },
    Descriptor { events: &[Tick::TYPE], ..Descriptor::named("low") },
    Descriptor {
        deployment: Deployment { profile_tables: &[&COINS], ..Deployment::ALONE },
        ..Descriptor::named("wallet")
    },
    Descriptor {
        initial_events: &[Begin::TYPE],
        events: TICKS,
        on_roll_back: OnRollBack::Retry,
        deployment: Deployment { needs: &["wallet"], ..Deployment::ALONE },
        ..Descriptor::named("till")
    },
    Descriptor {
        initial_events: &[Begin::TYPE],
        events: TICKS,
        deployment: Deployment {
            on_repeated_failures: FailurePolicy::RefuseNew,
            ..Deployment::ALONE
        },
        ..Descriptor::named("wary")
    },
    Descriptor {
        initial_events: &[Begin::TYPE],
        events: TICKS,
        deployment: Deployment {
            on_repeated_failures: FailurePolicy::Suspend,
            ..Deployment::ALONE
        },
        ..Descriptor::named("tired")
    },
    Descriptor {
        deployment: Deployment { needs: &["tired"], ..Deployment::ALONE },
        ..Descriptor::named("restless")
    },
    Descriptor {
        priority: 10,
        initial_events: &[Begin::TYPE],
        events: NEWS,
        children: &[NEW_LEFT_ONES],
        attribute_aliases: &[AttributeAlias { attribute: "price", alias: "test.price" }],
        deployment: Deployment { migrates_from: &["alpha", "keeper"], ..WAITING },
        ..Descriptor::named("omega")
    },
    Descriptor { events: TICKS, children: &[LOW_ONES], ..Descriptor::named("new-left") },
    Descriptor {
        initial_events: &[Choose::TYPE],
        selects_initial_events: true,
        events: TICKS,
        deployment: Deployment {
            migrates_from: &["chooser"],
            on_repeated_failures: FailurePolicy::RefuseNew,
            ..WAITING
        },
        ..Descriptor::named("picker")
    },
    Descriptor {
        initial_events: &[Keep::TYPE],
        events: TICKS,
        on_roll_back: OnRollBack::Retry,
        deployment: Deployment { migrates_from: &["keeper"], ..WAITING },
        ..Descriptor::named("holder")
    },
    Descriptor {
        priority: 10,
        initial_events: &[Begin::TYPE],
        events: NEWS,
        deployment: Deployment { migrates_from: &["omega"], ..WAITING },
        ..Descriptor::named("sigma")
    },
    Descriptor { events: &[Tick::TYPE, Wait::TYPE], ..Descriptor::named("waiter") },
];

/// Of what comes beside the service that it replaces.
const WAITING: Deployment = Deployment { begins: Begins::Inactive, ..Deployment::ALONE };

const COINS: ProfileTable = ProfileTable {
    name: "coins",
    about: "what there is",
    attributes: &[Attribute::new("worth", AttributeKind::Number { min: 1, max: 999 }).unique()],
    named_by: &[],
    separator: "",
    profiles_max: 4,
};

/// An SBB that does what the test says.
#[derive(Default, Serialize, Deserialize)]
pub struct Scripted<const SBB: usize>(State);

impl<const SBB: usize> Sbb for Scripted<SBB> {
    const STATE_VERSION: u32 = if SBBS[SBB].deployment.migrates_from.is_empty() { 1 } else { 2 };

    fn descriptor() -> Descriptor {
        SBBS[SBB]
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let word = word(event)?;
        script::ran(SBBS[SBB].name, cx, &word);
        self.0.count += 1;
        let result = script::handle(SBBS[SBB].name, &word, &mut self.0, cx);
        if event.event_type == ActivityEnd::TYPE {
            // What a service should do whose null activities serve an activity that ends.
            for activity in cx.activities() {
                let _ = cx.end_activity(activity);
            }
        }
        result
    }

    fn initial_event(cx: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        let word = word(event)?;
        script::note(format!("{} is asked about {word}", SBBS[SBB].name));
        script::select(SBBS[SBB].name, &word, cx)
    }

    fn on_call(&mut self, cx: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        let Some(Ask { word }) = call.get::<Ask>()? else {
            return Err(Failure::new(format!("there is no call {}", call.name())));
        };
        script::ran(SBBS[SBB].name, cx, &format!("called: {word}"));
        self.0.count += 1;
        let answer = script::answer(SBBS[SBB].name, &word, &mut self.0, cx)?;
        call.answer::<Ask>(&answer)
    }

    fn exception_thrown(&mut self, cx: &mut Context<'_>, event: &Event, failure: &Failure) {
        script::ran(SBBS[SBB].name, cx, &format!("exception: {failure}"));
        let word = format!("exception {}", word(event).unwrap_or_default());
        script::handle(SBBS[SBB].name, &word, &mut self.0, cx).unwrap_or_default();
    }

    fn migrate(from: u32, bytes: &[u8]) -> Result<Self, Failure> {
        let mut state: State = decode(bytes)?;
        script::note(format!("{} reads {from}", SBBS[SBB].name));
        match state.text.split_once(' ').unwrap_or((&state.text, "")) {
            ("stays", "") => return Err(Failure::new("it is not to move yet")),
            ("stays", why) => return Err(Failure::new(why)),
            ("panics", _) => panic!("it cannot be read"),
            _ => {}
        }
        state.count += 100;
        Ok(Scripted(state))
    }

    fn rolled_back(
        &mut self,
        cx: &mut Context<'_>,
        event: &Event,
        reason: &str,
    ) -> Result<(), Failure> {
        script::ran(SBBS[SBB].name, cx, &format!("rolled back: {reason}"));
        let word = format!("rolled back {}", word(event)?);
        script::handle(SBBS[SBB].name, &word, &mut self.0, cx)
    }
}

/// The word of an event: `timer 1` of a timer, `end 1` of the end of an activity, `bound room` and
/// `taken room` of a name.
pub fn word(event: &Event) -> Result<String, Failure> {
    if let Some(fired) = event.get::<TimerFired>()? {
        return Ok(format!("timer {}", fired.timer.0));
    }
    if let Some(NameBound { name }) = event.get()? {
        return Ok(format!("bound {name}"));
    }
    if let Some(NameTaken { name }) = event.get()? {
        return Ok(format!("taken {name}"));
    }
    match event.event_type.as_str() {
        ActivityEnd::TYPE => Ok(format!("end {}", event.activity.number)),
        _ => Ok(decode::<Tick>(&event.payload)?.word),
    }
}

/// Ends a call.
pub const OVER: &str = "over";

/// What ends an activity of the second adaptor.
pub fn last_message(activity: ActivityId) -> Option<Vec<u8>> {
    Some(Letter::Last { activity }.bytes())
}

/// The adaptors of a node.
pub fn adaptors() -> Adaptors {
    Adaptors::first("toy", Box::new(Toy::default())).and("post", Box::new(Post::default()))
}

/// The protocol.
#[derive(Default)]
pub struct Toy {
    calls: BTreeMap<ActivityId, (String, Flow)>,
}

fn parse(ingress: &Ingress) -> (String, Vec<String>) {
    let text = String::from_utf8_lossy(&ingress.bytes).into_owned();
    let (cell, steps) = text.split_once(' ').unwrap_or((&text, ""));
    (cell.to_owned(), steps.split(';').map(|step| step.trim().to_owned()).collect())
}

impl Toy {
    fn activities(&self, endpoint: &Endpoint) -> Vec<ActivityId> {
        let of_cell = |activity: &&ActivityId| activity.cell == endpoint.cell();
        self.calls.keys().filter(of_cell).copied().collect()
    }

    fn start(&mut self, endpoint: &mut Endpoint, cell: &str, flow: Flow) {
        let activity = endpoint.start_activity();
        self.calls.insert(activity, (cell.to_owned(), flow));
        endpoint.send(flow, format!("{cell} started").into_bytes());
    }
}

impl ResourceAdaptor for Toy {
    fn route(&self, _now: Timestamp, ingress: &Ingress) -> Route {
        let (cell, steps) = parse(ingress);
        let key = cell.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        let creates = steps.first().is_some_and(|step| step == "start");
        Route::Cell { key, scope: Scope::Call, creates, cohort: None }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        let (cell, steps) = parse(ingress);
        for step in steps {
            let words: Vec<_> = step.splitn(4, ' ').collect();
            let activity = |number: &str| {
                let number = number.parse().expect("the number of an activity");
                ActivityId { cell: endpoint.cell(), number }
            };
            match words[..] {
                ["start"] => self.start(endpoint, &cell, ingress.flow),
                ["fire", event, on, word] => {
                    let activity = activity(on);
                    fire(endpoint, activity, event, word.to_owned());
                }
                ["end", on] => {
                    let activity = activity(on);
                    endpoint.end_activity(activity);
                }
                ["keep", on, bytes] => {
                    let activity = activity(on);
                    let bytes = bytes.parse().expect("a number of bytes");
                    let (cell, _) = self.calls.get_mut(&activity).expect("it has begun");
                    cell.push_str(&"x".repeat(bytes));
                    endpoint.changed(activity);
                }
                ["over"] => {
                    for activity in self.activities(endpoint) {
                        endpoint.end_activity(activity);
                    }
                }
                _ => panic!("what is {step:?}"),
            }
        }
    }

    fn unknown(&mut self, _now: Timestamp, ingress: &Ingress) -> Vec<Egress> {
        let bytes = format!("{} unknown", parse(ingress).0).into_bytes();
        vec![Egress::new(ingress.flow, bytes)]
    }

    fn refuse(&mut self, _now: Timestamp, ingress: &Ingress, _after_s: u32) -> Vec<Egress> {
        let bytes = format!("{} refused", parse(ingress).0).into_bytes();
        vec![Egress::new(ingress.flow, bytes)]
    }

    fn command(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let Some((cell, flow)) = self.calls.get(&activity).cloned() else {
            return Err(Failure::new("an activity of no adaptor"));
        };
        match decode::<String>(payload)?.as_str() {
            "start" => self.start(endpoint, &cell, flow),
            said => endpoint.send(flow, format!("{cell} {said}").into_bytes()),
        }
        Ok(())
    }

    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let Some((cell, flow)) = self.calls.get(&activity) else { return };
        endpoint.send(*flow, format!("{cell} failed on {}", activity.number).into_bytes());
    }

    fn timeout(&mut self, _endpoint: &mut Endpoint, _activity: ActivityId) {}

    fn next_timeout(&self, _activity: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        resilee_sbb::encode(&self.calls[&activity]).expect("plain data")
    }

    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        _adoption: Adoption,
    ) -> Result<(), Failure> {
        let (cell, flow): (String, Flow) = decode(state)?;
        endpoint.send(flow, format!("{cell} adopted").into_bytes());
        self.calls.insert(activity, (cell, flow));
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.calls.remove(&activity);
    }
}
