//! Timers and entity trees (chapter 13): a timer is its entity's. How timers fire: `facilities`.

use crate::container::Container;
use crate::script::{ask, fail, on, on_call};
use resilee_sbb::TimerId;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_timer_fires_for_its_entity_alone() {
    let mut container = Container::begun();
    on("beta", "set", |_, cx| {
        cx.set_timer(TimerId(1), SECOND);
        Ok(())
    });
    container.fire("tick", "set");
    container.trace();
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["beta2 timer 1"]);
}

#[test]
fn a_timer_of_a_child_that_is_attached_to_nothing_fires() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let child = cx.create_child("left")?;
        ask(cx, child, "set").map(drop)
    });
    on_call("left", "set", |_, cx| {
        cx.set_timer(TimerId(1), SECOND);
        Ok(String::new())
    });
    container.fire("tick", "create");
    container.trace();
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["left3 timer 1"]);
}

#[test]
fn a_timer_goes_with_its_entity() {
    let mut container = crate::entity_trees::with_child("left");
    on("left", "create", |_, cx| {
        cx.set_timer(TimerId(1), SECOND);
        Ok(())
    });
    on("alpha", "remove", |me, cx| cx.remove_child(me.child.expect("created")));
    container.fire("tick", "create");
    container.fire("tick", "remove");
    container.trace();
    container.pass_seconds(2);
    assert_eq!(container.trace(), [""; 0]);
}

#[test]
fn a_timer_follows_behind_what_is_tried_again_also_if_the_activity_is_over() {
    let mut container = Container::with_activity();
    on("keeper", "begin", |_, cx| {
        cx.set_timer(TimerId(1), 3 * SECOND);
        Ok(())
    });
    container.fire("keep", "begin");
    on("keeper", "fail", |_, _| fail());
    container.fire("tick", "fail");
    container.end(1);
    container.pass_seconds(6);
    on("keeper", "fail", |_, _| Ok(()));
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace(), ["keeper1 fail", "keeper1 end 1", "keeper1 timer 1"]);
}

/// A root that is tried again is attached, its child to nothing; the child sets timers of 1 s and
/// 1.2 s, and fails at the first one.
fn child_fails_at_its_first_timer() -> Container {
    let mut container = Container::with_activity();
    on("keeper", "begin", |_, cx| {
        let child = cx.create_child("left")?;
        ask(cx, child, "set").map(drop)
    });
    on_call("left", "set", |_, cx| {
        cx.set_timer(TimerId(1), SECOND);
        cx.set_timer(TimerId(2), Duration::from_millis(1_200));
        Ok(String::new())
    });
    container.fire("keep", "begin");
    on("left", "timer 1", |_, _| fail());
    container.trace();
    container.pass_seconds(1);
    assert_eq!(container.trace(), ["left2 timer 1", "left2 exception: as it was told"]);
    on("left", "timer 1", |_, _| Ok(()));
    container
}

#[test]
fn timers_that_wait_behind_one_that_is_tried_again_fire_for_who_is_attached_to_nothing() {
    let mut container = child_fails_at_its_first_timer();
    container.pass_seconds(60);
    assert_eq!(container.trace(), ["left2 timer 1", "left2 timer 2"]);
}

#[test]
fn who_is_attached_to_nothing_gets_no_events_while_its_timer_is_tried_again() {
    let mut container = child_fails_at_its_first_timer();
    container.fire("tick", "news");
    container.end(1);
    container.pass_seconds(60);
    let trace = container.trace();
    assert!(trace.iter().any(|line| line == "left2 timer 1"), "{trace:?}");
    let others = trace.iter().filter(|line| line.starts_with("left2 "));
    assert!(others.clone().all(|line| line.starts_with("left2 timer")), "{trace:?}");
}

#[test]
fn a_timer_of_a_child_fires_while_its_tree_only_waits_to_be_tried_again() {
    let mut container = Container::with_activity();
    on("keeper", "begin", |_, cx| {
        let child = cx.create_child("left")?;
        ask(cx, child, "set").map(drop)
    });
    on_call("left", "set", |_, cx| {
        cx.set_timer(TimerId(1), 3 * SECOND);
        Ok(String::new())
    });
    container.fire("keep", "begin");
    on("keeper", "fail", |_, _| fail());
    container.fire("tick", "fail");
    container.end(1);
    container.trace();
    container.pass_seconds(4);
    assert!(container.trace().contains(&"left2 timer 1".to_owned()));
    on("keeper", "fail", |_, _| Ok(()));
    container.pass_seconds(60);
}

/// A timer only borrows an activity.
#[test]
fn a_timer_that_is_tried_again_does_not_keep_an_initial_event_from_a_new_root_entity() {
    let mut container = child_fails_at_its_first_timer();
    container.say("c1 start");
    on("keeper", "move", |_, cx| {
        cx.attach(cx.entity(), resilee_sbb::ActivityId { number: 2, ..cx.activity() })?;
        cx.detach();
        Ok(())
    });
    container.fire("tick", "move");
    container.trace();
    container.fire("keep", "again");
    assert_eq!(container.trace(), ["keeper3 again"]);
}
