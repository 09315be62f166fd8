//! What goes from node to node fits into frames, and a node joins whatever the others have.

use crate::pair::Pair;
use crate::script::{self, fail, on, selects};
use crate::toy::{Begin, SERVICES, Tick, word};
use resilee_core::management::UsageStatus;
use resilee_core::{Input, Limits};
use resilee_sbb::{
    Context, Deliver, DeliveryLimits, Descriptor, Event, EventPayload, Failure, InitialEvent,
    LinkedSbb, Sbb, Tables, UsageParameter,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the link takes.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The first event that waits for an entity is kept without a look at `cell_bytes_max`.
#[test]
fn a_call_with_events_to_be_tried_again_fits_into_a_frame() {
    script::clear();
    let mut pair = Pair::of(&SERVICES, Tables::default());
    pair.limits = Limits { cell_bytes_max: 65_536, ..Limits::default() };
    let mut pair = pair.whole();
    selects("patient", |word, _| Ok(InitialEvent::by().cell().custom_name(&word[..4])));
    let long = "x".repeat(50_000);
    pair.say(0, "c1 start");
    for event in 1_000..1_200 {
        let word = format!("{event}{long}");
        on("patient", &word, |_, _| fail());
        pair.say(0, &format!("c1 fire wait 1 {word}"));
    }
    pair.kill(1);
    pair.pass_ms(400);
    pair.start(1);
    pair.until_whole();
    let frame = pair.nodes[0].largest_frame;
    assert!(frame < FRAME_BYTES_MAX, "a frame of {frame} bytes, and a cell may have 65,536");
    // What was tried again succeeds, so that the call can end.
    script::clear();
}

/// Nor is the event that a handler suspends.
#[test]
fn a_call_with_suspended_events_is_not_larger_than_it_may_be() {
    script::clear();
    let mut pair = Pair::of(&SERVICES, Tables::default());
    pair.limits = Limits { cell_bytes_max: 65_536, ..Limits::default() };
    let mut pair = pair.whole();
    let long = "x".repeat(40_000);
    on("alpha", &long, |_, cx| cx.suspend_event(Duration::from_secs(60)));
    (1..=20).for_each(|it| pair.say(0, &format!("c1 start; fire begin {it} begin")));
    (1..=20).for_each(|it| pair.say(0, &format!("c1 fire tick {it} {long}")));
    pair.kill(1);
    pair.pass_ms(400);
    pair.nodes[0].largest_frame = 0;
    pair.start(1);
    pair.until_whole();
    let frame = pair.nodes[0].largest_frame;
    assert!(frame < 2 * 65_536, "a frame of {frame} bytes, and a cell may have 65,536");
}

/// What an entity masks is a part of its call, and nothing says how much that may be.
#[test]
fn a_call_with_masks_fits_into_a_frame() {
    script::clear();
    let mut pair = Pair::up();
    on("alpha", "mask", |_, cx| {
        let types: Vec<_> = (0..600_000).map(|number| format!("test.event.{number}")).collect();
        let types: Vec<_> = types.iter().map(String::as_str).collect();
        cx.mask(cx.activity(), &types)
    });
    pair.say(0, "c1 start; fire begin 1 begin");
    pair.say(0, "c1 fire tick 1 mask");
    let frame = pair.nodes[0].largest_frame;
    assert!(frame < FRAME_BYTES_MAX, "a frame of {frame} bytes");
}

const USAGE: &[UsageParameter] = &[
    UsageParameter::sample("milliseconds_of_region_00"),
    UsageParameter::sample("milliseconds_of_region_01"),
    UsageParameter::sample("milliseconds_of_region_02"),
    UsageParameter::sample("milliseconds_of_region_03"),
    UsageParameter::sample("milliseconds_of_region_04"),
    UsageParameter::sample("milliseconds_of_region_05"),
    UsageParameter::sample("milliseconds_of_region_06"),
    UsageParameter::sample("milliseconds_of_region_07"),
    UsageParameter::sample("milliseconds_of_region_08"),
    UsageParameter::sample("milliseconds_of_region_09"),
    UsageParameter::sample("milliseconds_of_region_10"),
    UsageParameter::sample("milliseconds_of_region_11"),
    UsageParameter::sample("milliseconds_of_region_12"),
    UsageParameter::sample("milliseconds_of_region_13"),
    UsageParameter::sample("milliseconds_of_region_14"),
    UsageParameter::sample("milliseconds_of_region_15"),
    UsageParameter::sample("milliseconds_of_region_16"),
    UsageParameter::sample("milliseconds_of_region_17"),
    UsageParameter::sample("milliseconds_of_region_18"),
    UsageParameter::sample("milliseconds_of_region_19"),
    UsageParameter::sample("milliseconds_of_region_20"),
    UsageParameter::sample("milliseconds_of_region_21"),
    UsageParameter::sample("milliseconds_of_region_22"),
    UsageParameter::sample("milliseconds_of_region_23"),
    UsageParameter::sample("milliseconds_of_region_24"),
    UsageParameter::sample("milliseconds_of_region_25"),
    UsageParameter::sample("milliseconds_of_region_26"),
    UsageParameter::sample("milliseconds_of_region_27"),
    UsageParameter::sample("milliseconds_of_region_28"),
    UsageParameter::sample("milliseconds_of_region_29"),
    UsageParameter::sample("milliseconds_of_region_30"),
    UsageParameter::sample("milliseconds_of_region_31"),
    UsageParameter::sample("milliseconds_of_region_32"),
    UsageParameter::sample("milliseconds_of_region_33"),
    UsageParameter::sample("milliseconds_of_region_34"),
    UsageParameter::sample("milliseconds_of_region_35"),
    UsageParameter::sample("milliseconds_of_region_36"),
    UsageParameter::sample("milliseconds_of_region_37"),
    UsageParameter::sample("milliseconds_of_region_38"),
    UsageParameter::sample("milliseconds_of_region_39"),
];

/// Measures 40 things for each of 63 customers.
#[derive(Default, Serialize, Deserialize)]
struct Meter {}

impl Sbb for Meter {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[Begin::TYPE],
            events: &[Tick::TYPE],
            usage: USAGE,
            ..Descriptor::named("meter")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let word = word(event)?;
        for (number, parameter) in (1u64..).zip(USAGE) {
            cx.usage_set(&word).sample(parameter.name, number * 1_000);
        }
        Ok(())
    }
}

/// A joiner gets all figures at once, and they are as many as there may be.
#[test]
fn usage_of_many_sets_fits_into_frames() {
    script::clear();
    let mut pair = Pair::of(&[LinkedSbb::of::<Meter>()], Tables::default()).whole();
    pair.say(1, "c1 start; fire begin 1 begin");
    for customer in 0..62 {
        pair.say(1, &format!("c1 fire tick 1 customer-{customer}"));
    }
    let before = sum_of_meter(&pair, 1);
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.nodes[1].largest_frame = 0;
    pair.start(0);
    pair.until_whole();
    let frame = pair.nodes[1].largest_frame;
    assert!(frame < FRAME_BYTES_MAX, "a frame of {frame} bytes");
    assert_eq!(sum_of_meter(&pair, 0), before);
}

fn sum_of_meter(pair: &Pair, node: usize) -> UsageStatus {
    pair.nodes[node].core.as_ref().expect("it lives").usage_sum("meter").expect("it counts").usage
}

/// `attribute_bytes_max` may be so much (`docs/limits.md`), and a piece of a snapshot has 256 rows.
#[test]
fn a_node_joins_whatever_size_its_rows_may_have() {
    script::clear();
    let mut pair = Pair::up();
    let delivery = DeliveryLimits { attribute_bytes_max: 262_144, ..DeliveryLimits::default() };
    pair.limits = Limits { delivery, ..Limits::default() };
    for node in [0, 1] {
        pair.kill(node);
        pair.until_member_of(1 - node, 1);
        pair.start(node);
        pair.until_whole();
    }
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    pair.say(0, "c1 start");
    for turn in 0..8 {
        on("chooser", &format!("write{turn}"), move |_, cx| {
            (0..7).try_for_each(|row| {
                cx.put_row("texts", &format!("{turn}-{row}"), &"x".repeat(250_000))
            })
        });
        pair.say(0, &format!("c1 fire choose 1 write{turn}"));
        pair.pass_ms(600);
    }
    let owner = pair.tables_owner();
    let core = pair.nodes[owner].core.as_ref().expect("it lives");
    assert_eq!(core.tables().len("texts"), 56, "{:?}", pair.status(owner).alarms);
    pair.kill(1 - owner);
    pair.until_member_of(owner, 1);
    pair.nodes[owner].largest_frame = 0;
    pair.start(1 - owner);
    pair.until_whole();
    let frame = pair.nodes[owner].largest_frame;
    assert!(frame < FRAME_BYTES_MAX, "a frame of {frame} bytes");
}

/// True for what a test answers itself.
fn is_busy(deliver: &Deliver) -> bool {
    word(&deliver.event).is_ok_and(|word| word == "busy")
}

/// A call (or a root entity of many calls) that gets a message each 2 ms and takes 2 ms for each:
/// whenever the snapshot looks at it, its turn runs.
#[test]
fn a_node_joins_while_one_call_is_always_busy() {
    script::clear();
    let mut pair = Pair::up();
    pair.say(0, "c1 start; fire begin 1 begin");
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.hangs = is_busy;
    pair.say(0, "c1 fire tick 1 busy");
    pair.start(1);
    let mut answered = 0;
    for step in 0..2_000 {
        if step % 2 == 0 {
            pair.say(0, "c1 fire tick 1 busy");
        }
        // An event goes to alpha and beta: two deliveries in 2 ms.
        let out: Vec<_> = pair.nodes[0].delivered.iter().filter(|it| is_busy(it)).collect();
        if let Some(deliver) = out.get(answered) {
            let sbb = SERVICES.iter().find(|it| it.descriptor().name == deliver.service);
            let outcome = sbb.expect("a service").invoke(deliver);
            let input = Input::Outcome { delivery: deliver.id, outcome };
            answered += 1;
            pair.feed(0, input);
        }
        pair.pass_ms(1);
        if pair.is_whole() {
            return;
        }
    }
    panic!("no member within 2 s, in which {answered} deliveries were answered");
}
