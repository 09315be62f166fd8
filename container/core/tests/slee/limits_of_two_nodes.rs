//! Limits that a node is told: they are what its calls may grow to. What is above them, since it
//! comes from a node that allowed more, is kept and goes on.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, State, ask, note, on, on_call};
use crate::takeover::Story;
use crate::toy::Tock;
use resilee_core::Limits;
use resilee_sbb::{Context, DeliveryLimits, Failure, TimerId};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Where next to nothing is allowed.
fn narrow() -> Limits {
    Limits {
        timers_per_cell_max: 1,
        suspended_events_max: 1,
        delivery: DeliveryLimits {
            state_bytes_max: 100,
            attribute_bytes_max: 20,
            entities_per_tree_max: 2,
            null_activities_max: 1,
            attributes_max: 1,
            names_max: 1,
            suspended_max: Duration::from_secs(1),
        },
        ..Limits::default()
    }
}

fn refused(result: Result<(), resilee_sbb::Failure>) {
    note(result.expect_err("it is too much").to_string());
}

fn grow() {
    on("alpha", "grow", |me, cx| {
        me.text = "x".repeat(1_000);
        for number in 0..3 {
            cx.create_child("left")?;
            let null = cx.create_null_activity()?;
            cx.attach(cx.entity(), null)?;
            cx.bind_name(cx.activity(), &format!("name {number}"))?;
            cx.set_attribute(&number.to_string(), &"y".repeat(500))?;
            cx.set_timer(TimerId(number), HOUR);
        }
        Ok(())
    });
}

/// All that is there is changed, and does not grow.
fn change() {
    on("alpha", "change", |me, cx| {
        note(format!("{} {}", me.text.len(), cx.children("left").len()));
        me.text.replace_range(..1, "z");
        for number in 0..3 {
            cx.set_attribute(&number.to_string(), &"z".repeat(500))?;
            note(format!("{:?}", cx.look_up_name(&format!("name {number}")).map(|it| it.number)));
            cx.set_timer(TimerId(number), 2 * HOUR);
        }
        let child = cx.children("left")[0];
        ask(cx, child, "count").map(drop)
    });
    on_call("left", "count", |me, _| Ok(me.count.to_string()));
}

/// A pair whose second node allows next to nothing.
fn unequal() -> Story {
    script::clear();
    let mut pair = Pair::new();
    pair.start(0);
    pair.limits = narrow();
    pair.start(1);
    pair.until_whole();
    Story::of(pair)
}

fn has_alarm(story: &Story, node: usize, words: &str) -> bool {
    story.pair.status(node).alarms.iter().any(|alarm| alarm.text.contains(words))
}

#[test]
fn what_one_node_allowed_goes_on_at_a_node_that_allows_less() {
    let mut story = unequal();
    grow();
    change();
    story.tick("grow");
    assert!(!has_alarm(&story, 0, "rolled back"));
    story.owner_dies();
    let trace = story.tick("change");
    assert_eq!(trace[..5], ["alpha1 change", "1000 3", "Some(1)", "Some(1)", "Some(1)"]);
    assert!(!has_alarm(&story, 1, "rolled back"), "{:?}", story.pair.status(1).alarms);
    let core = story.pair.nodes[1].core.as_ref().expect("it lives");
    assert_eq!(core.cells(1)[0].activities.len(), 4);
    story.pass_ms(1_000);
}

#[test]
fn what_is_above_a_limit_does_not_grow_there() {
    let mut story = unequal();
    grow();
    story.tick("grow");
    story.owner_dies();
    on("alpha", "grow more", |_, cx| {
        refused(cx.create_child("left").map(drop));
        refused(cx.create_null_activity().map(drop));
        refused(cx.bind_name(cx.activity(), "one more"));
        refused(cx.set_attribute("3", &1));
        refused(cx.set_attribute("0", &"y".repeat(501)));
        refused(cx.suspend_event(Duration::from_secs(2)));
        Ok(())
    });
    let expected = [
        "alpha1 grow more",
        "a tree has 2 entities at most",
        "a cell has 1 null activities at most",
        "an activity has 1 names at most",
        "an activity context has 1 attributes at most",
        "attribute of 504 bytes, 20 allowed",
        "an event is suspended for 1s at most",
    ];
    assert_eq!(story.tick("grow more")[..7], expected);
    on("alpha", "state", |me, _| {
        me.text.push('x');
        Ok(())
    });
    story.tick("state");
    assert!(has_alarm(&story, 1, "100 allowed"));
    on("alpha", "timer", |_, cx| {
        cx.set_timer(TimerId(9), HOUR);
        Ok(())
    });
    story.tick("timer");
    assert!(has_alarm(&story, 1, "4 timers in one cell, 1 allowed"));
}

#[test]
fn a_suspended_event_with_more_behind_it_than_is_allowed_goes_on_with_all_of_them() {
    let mut story = unequal();
    crate::suspension::script();
    story.tick("wait");
    ["one", "two", "three"].iter().for_each(|word| drop(story.tick(word)));
    story.owner_dies();
    let trace = story.pass_ms(11_000);
    assert_eq!(trace.iter().filter(|line| line.starts_with("alpha1")).count(), 3, "{trace:?}");
}

#[test]
fn a_node_with_a_smaller_limit_takes_the_snapshot_of_what_is_above_it() {
    script::clear();
    let mut pair = Pair::new();
    pair.start(0);
    pair.until_member(0);
    let mut story = Story::of(pair);
    grow();
    change();
    story.tick("grow");
    story.pair.limits = narrow();
    story.pair.start(1);
    story.pair.until_whole();
    story.owner_dies();
    assert_eq!(story.tick("change")[1], "1000 3");
    assert!(!has_alarm(&story, 1, "rolled back"));
}

#[test]
fn events_of_one_turn_and_what_waits_are_as_many_as_a_node_is_told() {
    let mut container =
        Container::with_limits(Limits { events_per_turn_max: 8, ..Limits::default() });
    container.say("c1 start; fire begin 1 begin");
    container.trace();
    on("beta", "storm", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &Tock { word: "storm".to_owned() })
    });
    container.fire("tick", "storm");
    let storms = container.trace().iter().filter(|line| *line == "beta2 storm").count();
    assert_eq!(storms, 8);
}

fn begin_the_next(_: &mut State, cx: &mut Context<'_>) -> Result<(), Failure> {
    let null = cx.create_null_activity()?;
    cx.attach(cx.entity(), null)?;
    cx.end_activity(null)
}

#[test]
fn a_service_that_begins_an_activity_at_the_end_of_each_does_not_keep_the_turn() {
    let max = 8;
    let mut container =
        Container::with_limits(Limits { births_per_turn_max: max, ..Limits::default() });
    container.say("c1 start; fire begin 1 begin");
    container.trace();
    on("alpha", "go", begin_the_next);
    (0..100).for_each(|number| on("alpha", &format!("end {number}"), begin_the_next));
    container.fire("tick", "go");
    let trace = container.trace();
    let ends = trace.iter().filter(|line| line.starts_with("alpha1 end")).count();
    assert_eq!(ends, max, "{trace:?}");
    assert!(container.has_alarm("births_per_turn_max"));
    assert_eq!(container.tick("on"), ["alpha1 on", "beta2 on"], "the call goes on");
}

#[test]
fn entities_of_one_turn_are_as_many_as_a_node_is_told_whoever_begins_them() {
    let limits = Limits { births_per_turn_max: 8, ..Limits::default() };
    let mut container = Container::with_limits(limits);
    container.say("c1 start; fire begin 1 begin");
    container.trace();
    on("alpha", "grow", |_, cx| (0..8).try_for_each(|_| cx.create_child("left").map(drop)));
    on("beta", "grow", |_, cx| cx.create_null_activity().map(drop));
    container.fire("tick", "grow");
    assert_eq!(container.entities("alpha").len(), 1 + 8);
    assert!(container.has_alarm("births_per_turn_max"), "of beta's null activity");
    container.trace();
    assert_eq!(container.tick("on").len(), 2, "the next turn begins anew");
}

/// A container whose handlers hang, with messages for `c1` behind the first one.
fn congested(limits: Limits) -> Container {
    let mut container = Container::with_limits(limits);
    container.say("c1 start; fire begin 1 begin");
    container.say("c2 start; fire begin 1 begin");
    container.trace();
    container.answers(false);
    container.fire("tick", "hang");
    container.fire("tick", "one");
    container
}

const AGED: &str = "message that waited too long for its cell under overload";

#[test]
fn a_message_that_waited_too_long_under_overload_is_dropped_and_counted() {
    let inbox = Limits { inbox_age_ms_max: 2_000, deliveries_max: 1, ..Limits::default() };
    let mut container = congested(inbox);
    container.pass_seconds(4);
    container.say("c2 fire tick 1 hang");
    container.pass_seconds(5);
    container.fire("tick", "two");
    // The handlers that hang are given up 10 s after their events came.
    container.answers(true);
    container.pass_seconds(2);
    assert_eq!(container.dropped(AGED), 1);
    let trace = container.trace();
    assert!(!trace.contains(&"alpha1 one".to_owned()), "{trace:?}");
    assert!(trace.contains(&"alpha1 two".to_owned()), "{trace:?}");
    container.pass_seconds(30);
    container.trace();
    assert_eq!(container.tick("three"), ["alpha1 three", "beta2 three"], "the call goes on");
}

#[test]
fn a_message_behind_a_handler_that_hangs_waits_if_there_is_no_overload() {
    let mut container = congested(Limits::default());
    container.answers(true);
    container.pass_seconds(15);
    assert_eq!(container.dropped(AGED), 0);
    assert!(container.trace().contains(&"beta2 one".to_owned()));
}

#[test]
fn an_inbox_has_so_many_messages_as_a_node_is_told() {
    let mut container = congested(Limits { inbox_max: 1, ..Limits::default() });
    container.fire("tick", "two");
    assert_eq!(container.dropped("message behind a full inbox of its cell"), 1);
    container.answers(true);
    container.pass_seconds(15);
}
