//! Event masks (chapter 6): types that an attached entity does not get for now.

use crate::container::Container;
use crate::entity_trees::with_child;
use crate::script::{ask, on, on_call};
use crate::toy::{Tick, Tock};
use resilee_sbb::{ActivityEnd, ActivityId, EventPayload};

/// `alpha1` masks ticks of the first activity.
fn masked() -> Container {
    let mut container = Container::begun();
    on("alpha", "mask", |_, cx| cx.mask(cx.activity(), &[Tick::TYPE]));
    on("alpha", "unmask", |_, cx| cx.mask(cx.activity(), &[]));
    assert_eq!(container.tick("mask"), ["alpha1 mask", "beta2 mask"]);
    container
}

#[test]
fn a_masked_type_of_event_is_not_delivered_and_others_are() {
    let mut container = masked();
    assert_eq!(container.tick("hello"), ["beta2 hello"]);
    container.fire("tock", "hello");
    assert_eq!(container.trace(), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn another_mask_takes_the_place_of_the_one_before() {
    let mut container = masked();
    on("alpha", "other", |_, cx| cx.mask(cx.activity(), &[Tock::TYPE]));
    container.fire("tock", "other");
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
    container.fire("tock", "hello");
    assert_eq!(container.trace(), ["beta2 hello"]);
}

#[test]
fn an_empty_mask_takes_all_away() {
    let mut container = masked();
    container.fire("tock", "unmask");
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn a_mask_is_of_one_entity_and_one_activity() {
    let mut container = with_child("left");
    container.say("c1 start");
    on("alpha", "mask", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 2, ..cx.activity() })?;
        cx.mask(cx.activity(), &[Tick::TYPE])
    });
    container.fire("tick", "create");
    container.fire("tick", "mask");
    container.trace();
    assert_eq!(container.tick("hello"), ["left3 hello", "beta2 hello"]);
    container.fire_on(2, "tick", "hello");
    assert_eq!(container.trace(), ["alpha1 hello"]);
}

#[test]
fn a_mask_set_while_an_event_is_routed_keeps_it_from_who_has_not_had_it() {
    let mut container = with_child("left");
    on("alpha", "hush", |me, cx| ask(cx, me.child.expect("created"), "mask").map(drop));
    on_call("left", "mask", |_, cx| {
        cx.mask(cx.activity(), &[Tick::TYPE])?;
        Ok(String::new())
    });
    container.fire("tick", "create");
    container.trace();
    assert_eq!(container.tick("hush"), ["alpha1 hush", "left3 called: mask", "beta2 hush"]);
}

#[test]
fn neither_timers_nor_the_end_of_an_activity_can_be_masked() {
    let mut container = Container::begun();
    on("alpha", "mask", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), std::time::Duration::from_secs(1));
        cx.mask(cx.activity(), &[resilee_sbb::TimerFired::TYPE, ActivityEnd::TYPE])
    });
    container.fire("tick", "mask");
    container.trace();
    container.pass_seconds(2);
    container.end(1);
    assert_eq!(container.trace(), ["alpha1 timer 1", "alpha1 end 1", "beta2 end 1"]);
}

#[test]
fn only_what_it_is_attached_to_can_an_entity_mask() {
    let mut container = Container::begun();
    container.say("c1 start");
    on("alpha", "mask", |_, cx| cx.mask(ActivityId { number: 2, ..cx.activity() }, &[Tick::TYPE]));
    container.fire("tick", "mask");
    assert!(container.has_alarm("is not attached to activity"));
}

#[test]
fn a_mask_ends_with_its_attachment() {
    let mut container = masked();
    container.say("c1 start");
    on("alpha", "leave", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 2, ..cx.activity() })?;
        cx.detach();
        Ok(())
    });
    on("alpha", "back", |_, cx| cx.attach(cx.entity(), ActivityId { number: 1, ..cx.activity() }));
    container.fire("tock", "leave");
    container.fire_on(2, "tick", "back");
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn a_mask_ends_with_its_activity() {
    let mut container = masked();
    container.say("c1 start");
    on("alpha", "attach", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 2, ..cx.activity() })
    });
    container.fire("tock", "attach");
    container.end(1);
    assert_eq!(container.entities("alpha"), [1], "the container is consistent");
}

#[test]
fn a_masked_root_entity_is_still_the_one_of_its_activity() {
    let mut container = Container::begun();
    on("alpha", "mask", |_, cx| cx.mask(cx.activity(), &[crate::toy::Begin::TYPE]));
    container.fire("tick", "mask");
    container.trace();
    container.fire("begin", "again");
    assert_eq!(container.trace(), ["beta2 again"], "no second one is created");
}
