//! Priorities (chapter 8): they change the order of later events, and of those being routed.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, note, on, take_trace};
use crate::toy::SERVICES;
use resilee_sbb::Tables;

#[test]
fn a_root_entity_with_another_priority_goes_before_those_of_other_services() {
    let mut container = Container::begun();
    on("beta", "raise", |_, cx| cx.set_priority(cx.entity(), 20));
    assert_eq!(container.tick("raise"), ["alpha1 raise", "beta2 raise"]);
    assert_eq!(container.tick("hello"), ["beta2 hello", "alpha1 hello"]);
}

#[test]
fn a_sibling_with_another_priority_goes_first() {
    let mut container = Container::begun();
    on("alpha", "grow", |_, cx| {
        for _ in 0..3 {
            let child = cx.create_child("left")?;
            cx.attach(child, cx.activity())?;
        }
        cx.set_priority(cx.children("left")[2], 1)
    });
    let trace = container.tick("grow");
    assert_eq!(trace[1..4], ["left5 grow", "left3 grow", "left4 grow"]);
}

#[test]
fn a_priority_set_while_an_event_is_routed_counts_for_that_event() {
    let mut container = Container::begun();
    on("alpha", "grow", |_, cx| {
        for _ in 0..3 {
            let child = cx.create_child("left")?;
            cx.attach(child, cx.activity())?;
        }
        Ok(())
    });
    on("left", "favour", |_, cx| {
        let last = resilee_sbb::EntityId { number: 5, ..cx.entity() };
        cx.set_priority(last, 9)
    });
    container.fire("tick", "grow");
    container.trace();
    let trace = container.tick("favour");
    assert_eq!(trace[1..4], ["left3 favour", "left5 favour", "left4 favour"]);
}

/// Nodes may have services in different orders, since units come and go. Here they have neither the
/// order of the names nor that of the entities.
#[test]
fn root_entities_of_one_priority_go_by_the_names_of_their_services() {
    script::clear();
    let services = [&SERVICES[1..], &SERVICES[..1]].concat();
    let mut pair = Pair::of(&services, Tables::default()).whole();
    on("alpha", "level", |_, cx| cx.set_priority(cx.entity(), -1));
    on("beta", "level", |_, cx| cx.set_priority(cx.entity(), -1));
    on("keeper", "level", |_, cx| cx.set_priority(cx.entity(), -1));
    pair.say(0, "c1 start; fire keep 1 begin; fire begin 1 begin");
    pair.say(0, "c1 fire tick 1 level");
    take_trace();
    pair.say(0, "c1 fire tick 1 hello");
    assert_eq!(take_trace(), ["alpha2 hello", "beta3 hello", "keeper1 hello"]);
}

#[test]
fn a_root_entity_has_the_priority_of_its_service_also_in_its_first_event() {
    let mut container = Container::with_activity();
    on("alpha", "begin", |_, cx| {
        let first = cx.priority(cx.entity())?;
        cx.set_priority(cx.entity(), 3)?;
        note(format!("{first} {}", cx.priority(cx.entity())?));
        Ok(())
    });
    container.fire("begin", "begin");
    assert_eq!(container.trace()[1], "10 3");
}
