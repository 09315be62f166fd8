//! Timers and entity trees (chapter 13): a timer is its entity's. How timers fire: `facilities`.

use crate::container::Container;
use crate::script::{ask, on, on_call};
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
