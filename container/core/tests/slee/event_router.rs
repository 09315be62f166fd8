//! The event router (chapter 8): who gets an event, in which order, and how often.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, ask, fail, on, on_call, take_trace};
use crate::toy::{OMEGA, SERVICES};
use crate::upgrades::want;
use resilee_sbb::{EntityId, Tables};

/// `alpha1` creates children in these relations, attached to the event's activity.
fn grow(relations: &'static [&'static str]) {
    on("alpha", "grow", move |_, cx| {
        for relation in relations {
            let child = cx.create_child(relation)?;
            cx.attach(child, cx.activity())?;
        }
        Ok(())
    });
}

#[test]
fn a_parent_gets_an_event_before_its_children_whatever_their_priority() {
    let mut container = Container::begun();
    grow(&["left"]);
    on("alpha", "raise", |_, cx| {
        let child = cx.children("left")[0];
        cx.set_priority(child, 127)
    });
    container.fire("tick", "grow");
    container.fire("tick", "raise");
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "left3 hello", "beta2 hello"]);
}

#[test]
fn siblings_get_an_event_by_priority_and_by_age() {
    let mut container = Container::begun();
    grow(&["left", "right", "left", "right"]);
    container.fire("tick", "grow");
    container.trace();
    let order = ["alpha1", "right4", "right6", "left3", "left5", "beta2"];
    let hello: Vec<_> = order.iter().map(|who| format!("{who} hello")).collect();
    assert_eq!(container.tick("hello"), hello);
}

#[test]
fn what_is_below_a_sibling_goes_with_it() {
    let mut container = Container::begun();
    grow(&["left", "left"]);
    on("left", "grow", |_, cx| {
        let low = cx.create_child("low")?;
        cx.set_priority(low, 100)?;
        cx.attach(low, cx.activity())
    });
    container.fire("tick", "grow");
    container.trace();
    let order = ["alpha1", "left3", "low5", "left4", "low6", "beta2"];
    let hello: Vec<_> = order.iter().map(|who| format!("{who} hello")).collect();
    assert_eq!(container.tick("hello"), hello);
}

/// `omega` has priority 10, `beta` has none: by their names it would be the other way round.
#[test]
fn root_entities_get_an_event_by_the_priority_of_their_service() {
    script::clear();
    let mut pair = Pair::of(&[SERVICES[1], OMEGA], Tables::default()).whole();
    want(&mut pair, &["omega"], &[]);
    pair.say(0, "c1 start; fire begin 1 first");
    assert_eq!(take_trace(), ["omega1 first", "beta2 first"], "which are not there yet");
    pair.say(0, "c1 fire tick 1 second");
    assert_eq!(take_trace(), ["omega1 second", "beta2 second"]);
}

#[test]
fn each_entity_gets_an_event_once() {
    let mut container = Container::begun();
    on("alpha", "again", |_, cx| {
        cx.detach();
        cx.attach(cx.entity(), cx.activity())
    });
    on("beta", "again", |_, cx| cx.attach(cx.entity(), cx.activity()));
    assert_eq!(container.tick("again"), ["alpha1 again", "beta2 again"]);
}

#[test]
fn an_entity_attached_while_an_event_is_routed_gets_it_even_if_its_turn_was_over() {
    let mut container = Container::begun();
    on("alpha", "create", |me, cx| {
        me.child = Some(cx.create_child("left")?);
        let right = cx.create_child("right")?;
        cx.attach(right, cx.activity())
    });
    on("right", "attach", |_, cx| ask(cx, cx.parent().expect("a child"), "attach").map(drop));
    on_call("alpha", "attach", |me, cx| {
        cx.attach(me.child.expect("created"), cx.activity())?;
        cx.set_priority(me.child.expect("created"), 100)?;
        Ok(String::new())
    });
    container.fire("tick", "create");
    container.trace();
    let called = "alpha1 called: attach";
    let trace = container.tick("attach");
    assert_eq!(trace, ["alpha1 attach", "right4 attach", called, "left3 attach", "beta2 attach"]);
}

#[test]
fn an_entity_that_is_detached_or_removed_before_its_turn_does_not_get_the_event() {
    let mut container = Container::begun();
    grow(&["left", "left"]);
    on("alpha", "stop", |_, cx| {
        let children = cx.children("left");
        cx.detach_from(children[0], cx.activity())?;
        cx.remove_child(children[1])
    });
    container.fire("tick", "grow");
    container.trace();
    assert_eq!(container.tick("stop"), ["alpha1 stop", "beta2 stop"]);
}

#[test]
fn an_entity_does_not_get_a_type_of_event_that_its_sbb_does_not_receive() {
    let mut container = Container::begun();
    grow(&["right"]);
    container.fire("tick", "grow");
    container.trace();
    container.fire("tock", "hello");
    assert_eq!(container.trace(), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn events_are_routed_one_after_the_other_in_the_order_in_which_they_were_fired() {
    let mut container = Container::begun();
    container.say("c1 fire tick 1 one; fire tock 1 two; fire tick 1 three");
    let trace = container.trace();
    let order = ["one", "two", "three"].iter();
    let expected: Vec<_> =
        order.flat_map(|it| [format!("alpha1 {it}"), format!("beta2 {it}")]).collect();
    assert_eq!(trace, expected);
}

#[test]
fn an_event_fired_by_an_sbb_follows_when_the_one_being_routed_is_done() {
    let mut container = Container::begun();
    on("alpha", "first", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &crate::toy::Tock { word: "second".to_owned() })
    });
    let order = ["alpha1 first", "beta2 first", "alpha1 second", "beta2 second"];
    assert_eq!(container.tick("first"), order);
}

#[test]
fn events_of_one_turn_keep_their_order_across_activities() {
    let mut container = Container::begun();
    container.say("c1 start");
    on("alpha", "attach", |_, cx| {
        let second = resilee_sbb::ActivityId { number: 2, ..cx.activity() };
        cx.attach(cx.entity(), second)
    });
    container.fire("tick", "attach");
    container.trace();
    container.say("c1 fire tick 2 two; fire tick 1 one");
    assert_eq!(container.trace(), ["alpha1 two", "alpha1 one", "beta2 one"]);
}

#[test]
fn the_end_of_an_activity_is_its_last_event_and_all_get_it() {
    let mut container = Container::begun();
    grow(&["right"]);
    container.fire("tick", "grow");
    container.trace();
    container.say("c1 fire tick 1 last; end 1; fire tick 1 later");
    let order = ["alpha1", "right3", "beta2"];
    let words = ["last", "later", "end 1"].iter();
    let all: Vec<_> =
        words.flat_map(|word| order.iter().map(move |who| format!("{who} {word}"))).collect();
    assert_eq!(container.trace(), all);
    assert_eq!(container.activities(), 0);
}

#[test]
fn the_failure_of_one_entity_does_not_keep_an_event_from_the_others() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    let trace = container.tick("fail");
    assert_eq!(trace.last().map(String::as_str), Some("beta2 fail"));
}

#[test]
fn the_adaptor_hears_once_that_the_processing_of_an_event_failed() {
    let mut container = Container::begun();
    for sbb in ["alpha", "beta"] {
        on(sbb, "fail", |_, _| fail());
    }
    container.sent();
    container.fire("tick", "fail");
    assert_eq!(container.sent(), ["c1 failed on 1"]);
}

#[test]
fn a_handler_that_does_not_return_counts_as_failed_and_the_event_goes_on() {
    let mut container = Container::begun();
    container.answers(false);
    container.fire("tick", "hello");
    container.answers(true);
    container.pass_seconds(11);
    assert!(container.has_alarm("did not return"));
    assert_eq!(
        container.trace(),
        ["alpha1 rolled back: the handler did not return within 10000 ms", "beta2 hello"]
    );
}

#[test]
fn an_sbb_cannot_fire_the_events_of_the_container() {
    let mut container = Container::begun();
    on("alpha", "forge", |_, cx| cx.fire(cx.activity(), &resilee_sbb::ActivityEnd {}));
    let trace = container.tick("forge");
    assert!(!trace.iter().any(|line| line.contains("end 1")), "{trace:?}");
    assert!(container.has_alarm("slee.activity_end"));
}

#[test]
fn the_priority_of_an_entity_can_be_read_and_set() {
    let mut container = Container::begun();
    on("alpha", "look", |_, cx| {
        let child = cx.create_child("right")?;
        assert_eq!((cx.priority(cx.entity())?, cx.priority(child)?), (10, 5));
        cx.set_priority(child, -7)?;
        assert_eq!(cx.priority(child)?, -7);
        let alien = EntityId { number: 2, ..cx.entity() };
        assert!(cx.priority(alien).is_err());
        Ok(())
    });
    container.fire("tick", "look");
    assert_eq!(container.alarms(), [""; 0]);
}
