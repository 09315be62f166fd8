//! The activity context naming facility (chapter 13), in a cell; names of the cluster are in
//! `cluster_names.rs`.

use crate::container::Container;
use crate::script::{note, on};
use resilee_sbb::ActivityId;

/// `alpha1` binds the name `room` to the first activity.
fn bound() -> Container {
    let mut container = Container::begun();
    on("alpha", "bind", |_, cx| cx.bind_name(cx.activity(), "room"));
    container.fire("tick", "bind");
    container.trace();
    on("beta", "look", |_, cx| {
        note(format!("{:?}", cx.look_up_name("room").map(|it| it.number)));
        Ok(())
    });
    container
}

#[test]
fn a_name_leads_other_entities_to_its_activity() {
    let mut container = bound();
    assert_eq!(container.tick("look").last().map(String::as_str), Some("Some(1)"));
}

#[test]
fn a_name_that_was_taken_away_leads_nowhere() {
    let mut container = bound();
    on("alpha", "free", |_, cx| cx.unbind_name("room"));
    container.fire("tick", "free");
    assert_eq!(container.tick("look").last().map(String::as_str), Some("None"));
    container.fire("tick", "free");
    assert!(container.has_alarm("\"room\" is bound to no activity"));
}

#[test]
fn a_name_is_bound_to_one_activity() {
    let mut container = bound();
    container.say("c1 start");
    on("beta", "bind", |_, cx| cx.bind_name(ActivityId { number: 2, ..cx.activity() }, "room"));
    on("alpha", "bind", |_, _| Ok(()));
    container.fire("tick", "bind");
    assert!(container.has_alarm("\"room\" is bound to activity"));
    assert_eq!(container.tick("look").last().map(String::as_str), Some("Some(1)"));
}

#[test]
fn a_name_moves_in_one_transaction() {
    let mut container = bound();
    container.say("c1 start");
    on("alpha", "move", |_, cx| {
        cx.unbind_name("room")?;
        cx.bind_name(ActivityId { number: 2, ..cx.activity() }, "room")
    });
    container.fire("tick", "move");
    assert_eq!(container.tick("look").last().map(String::as_str), Some("Some(2)"));
}

#[test]
fn a_name_ends_with_its_activity_and_is_free_then() {
    let mut container = bound();
    container.say("c1 start; fire begin 2 second");
    container.end(1);
    container.trace();
    on("alpha", "look", |_, cx| {
        note(format!("{:?}", cx.look_up_name("room")));
        cx.bind_name(cx.activity(), "room")
    });
    container.fire_on(2, "tick", "look");
    assert_eq!(container.trace(), ["alpha3 look", "None", "beta4 look", "Some(2)"]);
}

#[test]
fn a_name_is_not_empty_nor_too_long() {
    let mut container = Container::begun();
    on("alpha", "bind", |_, cx| {
        assert!(cx.bind_name(cx.activity(), "").is_err());
        let long = "x".repeat(resilee_sbb::NAME_BYTES_MAX + 1);
        assert!(cx.bind_name(cx.activity(), &long).is_err());
        cx.bind_name(cx.activity(), &long[1..])
    });
    container.fire("tick", "bind");
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn names_of_two_calls_do_not_meet() {
    let mut container = bound();
    container.say("c2 start; fire begin 1 other");
    container.trace();
    container.say("c2 fire tick 1 look");
    assert_eq!(container.trace().last().map(String::as_str), Some("None"));
}
