//! How large a cell may grow.

use crate::container::Container;
use crate::script::{ask, on, on_call, selects};
use crate::toy::{Tick, Tock};
use resilee_core::Limits;
use resilee_sbb::{DeliveryLimits, EventPayload, InitialEvent, TimerId};
use std::time::Duration;

const BYTES_MAX: usize = 65_536;

#[test]
fn a_tree_that_is_removed_makes_room_once() {
    let limits = Limits { cell_bytes_max: BYTES_MAX, ..Limits::default() };
    let mut container = Container::with_limits(limits);
    container.say("c1 start; fire begin 1 begin");
    on_call("low", "grow", |me, _| {
        me.text = "x".repeat(20_000);
        Ok(String::new())
    });
    on_call("left", "grow", |_, cx| {
        let low = cx.create_child("low")?;
        ask(cx, low, "grow")
    });
    on("beta", "grow", |me, _| {
        me.text = "x".repeat(20_000);
        Ok(())
    });
    on("alpha", "grow", |me, cx| {
        let left = cx.create_child("left")?;
        me.child = Some(left);
        ask(cx, left, "grow").map(drop)
    });
    on("alpha", "swap", |me, cx| {
        me.text = "x".repeat(50_000);
        cx.remove_child(me.child.take().expect("it was created"))
    });
    container.fire("tick", "grow");
    container.fire("tick", "swap");
    assert!(container.has_alarm("limits.cell_bytes_max"), "{:?}", container.alarms());
}

/// A client decides how much that is: no bill may be lost for it.
#[test]
fn what_an_adaptor_keeps_takes_no_room_from_services() {
    let mut container = small();
    on("beta", "fill", |me, _| {
        me.text = "x".repeat(5_000);
        Ok(())
    });
    container.say("c1 keep 1 50000");
    assert!(!rolls_back(&mut container, "fill"));
    assert!(!container.has_alarm("keeps"), "{:?}", container.alarms());
}

#[test]
fn an_adaptor_that_keeps_more_than_fits_beside_a_call_is_told_of_once() {
    let mut container = small();
    on("beta", "fill", |me, _| {
        me.text.push('x');
        Ok(())
    });
    container.say("c1 keep 1 1048000");
    assert!(!container.has_alarm("keeps"), "{:?}", container.alarms());
    container.say("c1 keep 1 2000");
    container.say("c1 keep 1 2000");
    let alarms = container.alarms();
    let told: Vec<_> = alarms.iter().filter(|alarm| alarm.contains("keeps")).collect();
    assert_eq!(told.len(), 1, "{alarms:?}");
    assert!(told[0].starts_with("toy keeps 10500"), "{alarms:?}");
    assert!(!rolls_back(&mut container, "fill"), "nothing is lost");
}

/// Calls, each with an activity that is tied to the root entity of a name.
fn tied(limits: Limits, name: &str) -> Container {
    let mut container = Container::with_limits(limits);
    let name = name.to_owned();
    selects("chooser", move |_, _| Ok(InitialEvent::by().custom_name(&name)));
    for call in 1..=12 {
        container.say(&format!("c{call} start; fire choose 1 one"));
        container.settle();
    }
    container
}

fn heard(container: &mut Container) -> usize {
    container.trace().iter().filter(|line| *line == "chooser1 one").count()
}

#[test]
fn a_root_entity_has_so_many_activities_of_other_cells_at_most() {
    let mut container = tied(Limits { mirrors_per_cell_max: 5, ..Limits::default() }, "all");
    assert_eq!(heard(&mut container), 5);
    let told = "all\" has 5 activities of other cells: a further one is not tied to it";
    assert!(container.has_alarm(told), "{:?}", container.alarms());
    container.say("c1 end 1");
    container.settle();
    container.trace();
    container.say("c13 start; fire choose 1 one");
    container.settle();
    assert_eq!(heard(&mut container), 1, "there is room again");
}

#[test]
fn a_root_entity_has_activities_of_other_cells_as_long_as_its_cell_has_room() {
    let limits = Limits { cell_bytes_max: 10_000, ..Limits::default() };
    let mut container = tied(limits, &"n".repeat(1_000));
    assert_eq!(heard(&mut container), 7);
    assert!(container.has_alarm("has 10000 bytes and activities of other cells (limits.cell_by"));
}

/// A cell of few bytes with `alpha1` and `beta2`.
fn small() -> Container {
    let mut container =
        Container::with_limits(Limits { cell_bytes_max: 10_000, ..Limits::default() });
    container.say("c1 start; fire begin 1 begin");
    container.trace();
    container
}

fn rolls_back(container: &mut Container, word: &str) -> bool {
    container.tick(word).iter().any(|line| line.contains("rolled back"))
}

/// `docs/limits.md`: they are about growth only.
#[test]
fn a_full_cell_may_set_a_timer_again() {
    let mut container = small();
    for (word, timer) in [("set", 1), ("another", 2)] {
        on("alpha", word, move |_, cx| {
            cx.set_timer(TimerId(timer), Duration::from_secs(9));
            Ok(())
        });
    }
    on("alpha", "in place", |_, cx| {
        cx.cancel_timer(TimerId(1));
        cx.set_timer(TimerId(2), Duration::from_secs(9));
        cx.set_timer(TimerId(2), Duration::from_secs(8));
        Ok(())
    });
    on("beta", "fill", |me, _| {
        me.text.push_str(&"x".repeat(if me.text.is_empty() { 9_000 } else { 16 }));
        Ok(())
    });
    assert!(!rolls_back(&mut container, "set"));
    while !rolls_back(&mut container, "fill") {}
    assert!(!rolls_back(&mut container, "set"));
    assert!(rolls_back(&mut container, "another"), "it is full");
    assert!(!rolls_back(&mut container, "in place"));
}

#[test]
fn a_mask_that_is_replaced_makes_room_once() {
    let mut container = small();
    on("alpha", "mask", |_, cx| cx.mask(cx.activity(), &[Tick::TYPE, Tock::TYPE]));
    on("alpha", "begin again", |me, cx| {
        me.text = "x".repeat(20_000);
        (0..200).try_for_each(|_| cx.mask(cx.activity(), &[Tick::TYPE]))
    });
    assert!(!rolls_back(&mut container, "mask"));
    container.fire("begin", "begin again");
    assert!(container.has_alarm("limits.cell_bytes_max"), "{:?}", container.alarms());
}

/// The activity of a call of its own gets a name.
fn bind_room(container: &mut Container) {
    on("alpha", "bind", |_, cx| cx.bind_cluster_name(cx.activity(), "room"));
    container.say("c9 start; fire begin 1 begin; fire tick 1 bind");
    container.settle();
    container.trace();
}

#[test]
fn events_for_names_take_room_in_their_cell() {
    let mut container = small();
    bind_room(&mut container);
    on("alpha", "tell", |_, cx| cx.fire_at_name("room", &Tick { word: "x".repeat(12_000) }));
    assert!(rolls_back(&mut container, "tell"));
    assert!(container.has_alarm("limits.cell_bytes_max"), "{:?}", container.alarms());
}

/// `docs/limits.md`: 1 MiB of posts of a cell that nobody has heard.
#[test]
fn events_for_names_are_posts_also_the_first_ones_of_a_cell() {
    let delivery = DeliveryLimits { attribute_bytes_max: 65_536, ..DeliveryLimits::default() };
    let mut container = Container::with_limits(Limits { delivery, ..Limits::default() });
    for (word, events) in [("few", 20), ("many", 40)] {
        on("alpha", word, move |_, cx| {
            let word = "x".repeat(30_000);
            (0..events).try_for_each(|_| cx.fire_at_name("room", &Tick { word: word.clone() }))
        });
    }
    let told = |container: &mut Container, word: &str| {
        container.say_unflushed(&format!("c1 fire tick 1 {word}"));
        let trace = container.trace();
        let refused = |line: &String| line.contains("too much is asked of activities");
        !trace.iter().any(refused)
    };
    bind_room(&mut container);
    container.say("c1 start; fire begin 1 begin");
    container.trace();
    assert!(!told(&mut container, "many"));
    assert!(told(&mut container, "few"));
    assert!(!told(&mut container, "few"), "the first ones are not heard yet");
    container.settle();
    assert!(told(&mut container, "few"));
}

/// The first one was uploaded.
const FILLS: [(&str, &str); 2] = [("patient", "fill"), ("beta", "bill")];

fn with_both(limits: Limits) -> Container {
    let mut container = Container::with_limits(limits);
    selects("patient", |_, _| Ok(InitialEvent::by().activity_context()));
    container.say("c1 start; fire wait 1 begin; fire begin 1 begin");
    container
}

#[test]
fn what_was_uploaded_leaves_room_for_the_others() {
    let mut container = with_both(Limits { cell_bytes_max: 40_000, ..Limits::default() });
    for (service, word) in FILLS {
        on(service, word, |me, _| {
            me.text = "x".repeat(me.text.len() + 9_000);
            Ok(())
        });
    }
    (0..4).for_each(|_| container.fire("tock", "fill"));
    assert_eq!(container.state_bytes("patient") / 9_000, 3, "three quarters, and no more");
    assert!(container.has_alarm("more than 30000 bytes"), "{:?}", container.alarms());
    container.fire("tock", "bill");
    assert_eq!(container.state_bytes("beta") / 9_000, 1);
    container.end(1);
    container.pass_seconds(3_600);
}

/// Events of anybody wait behind the one that it has suspended.
#[test]
fn what_was_uploaded_leaves_room_while_it_has_events_wait() {
    let mut container = with_both(Limits { cell_bytes_max: 40_000, ..Limits::default() });
    on("patient", "wait", |_, cx| cx.suspend_event(Duration::from_secs(60)));
    on("beta", "bill", |me, _| {
        me.text = "x".repeat(9_000);
        Ok(())
    });
    container.say("c1 start; fire begin 2 begin");
    container.fire("tock", "wait");
    (0..4).for_each(|_| container.fire("tock", &"x".repeat(9_000)));
    assert!(container.has_alarm("too many wait for a suspended one"), "{:?}", container.alarms());
    container.say("c1 fire tock 2 bill");
    assert_eq!(container.state_bytes("beta") / 9_000, 1);
    container.end(1);
    container.end(2);
    container.pass_seconds(3_600);
}

#[test]
fn what_was_uploaded_leaves_timers_for_the_others() {
    let mut container = with_both(Limits { timers_per_cell_max: 8, ..Limits::default() });
    for (service, word) in FILLS {
        on(service, word, |me, cx| {
            cx.set_timer(TimerId(me.count), Duration::from_secs(600));
            me.text.push('x');
            Ok(())
        });
    }
    (0..6).for_each(|_| container.fire("tock", "fill"));
    let six = container.state_bytes("patient");
    container.fire("tock", "fill");
    assert_eq!(container.state_bytes("patient"), six);
    let none = container.state_bytes("beta");
    container.fire("tock", "bill");
    assert_ne!(container.state_bytes("beta"), none);
    container.end(1);
    container.pass_seconds(3_600);
}
