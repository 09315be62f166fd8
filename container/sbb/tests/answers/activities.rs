//! Effects of an answer on activity contexts.

use crate::lies::{
    CELL, Parent, activity, deliver, refused, refused_effect, refused_of, taken, with_effects,
};
use resilee_sbb::{
    ActivityId, CLUSTER_NAMES, CellId, Deliver, Effect, LinkedSbb, Timestamp, checked, decode,
    encode,
};
use std::collections::BTreeSet;
use std::time::Duration;

fn attach(entity: u32, activity: u32) -> Effect {
    Effect::Attach { entity, activity }
}

fn fire(activity: u32, event_type: &str, size: usize) -> Effect {
    Effect::Fire { activity, event_type: event_type.to_owned(), payload: vec![0; size] }
}

fn set(activity: u32, name: &str, size: usize) -> Effect {
    Effect::SetAttribute { activity, name: name.to_owned(), value: vec![0; size] }
}

fn bind(activity: u32, name: &str) -> Effect {
    Effect::BindName { activity, name: name.to_owned() }
}

#[test]
fn what_a_service_can_do_in_order_is_taken() {
    taken(with_effects(vec![
        Effect::StartActivity { activity: 9 },
        attach(1, 9),
        attach(2, 9),
        Effect::Mask { entity: 1, activity: 9, events: BTreeSet::from(["x".to_owned()]) },
        set(9, "parent/x", 10),
        set(1, "acme.price", 10),
        set(1, "leg/x", 10),
        bind(9, "n"),
        fire(9, "test", 10),
        Effect::UnbindName { name: "n".to_owned() },
        Effect::Detach { entity: 1, activity: 9 },
        Effect::EndActivity { activity: 9 },
        Effect::SuspendEvent { until: Timestamp::ZERO + Duration::from_secs(3_600) },
        Effect::SetPriority { entity: 2, priority: 4 },
    ]));
}

#[test]
fn an_activity_is_one_of_the_delivery() {
    let text = "there is no activity 7 here";
    let payload = encode(&"Proxy").expect("plain");
    for effect in [
        attach(1, 7),
        Effect::Detach { entity: 1, activity: 7 },
        fire(7, "test", 1),
        set(7, "parent/x", 1),
        bind(7, "n"),
        Effect::EndActivity { activity: 7 },
        Effect::ResumeEvent { activity: 7 },
        Effect::Mask { entity: 1, activity: 7, events: BTreeSet::new() },
        Effect::Command { activity: activity(7), payload: payload.clone() },
    ] {
        assert_eq!(refused_effect(effect), text);
    }
    let other = ActivityId { cell: CellId { number: 2, ..CELL }, number: 1 };
    let strange = Effect::Command { activity: other, payload };
    assert_eq!(refused_effect(strange), format!("activity {other} is in another cell"));
}

#[test]
fn an_activity_of_a_stranger_is_reached_by_its_name_alone() {
    let text = "there is no activity 5 here";
    for effect in [
        attach(1, 5),
        fire(5, "test", 1),
        set(5, "parent/x", 1),
        bind(5, "n"),
        Effect::EndActivity { activity: 5 },
        Effect::ResumeEvent { activity: 5 },
    ] {
        assert_eq!(refused_effect(effect), text);
    }
    taken(with_effects(vec![attach(1, 6), fire(6, "test", 1)]));
    let mut deliver = deliver();
    deliver.event.activity = activity(5);
    let mine = with_effects(vec![attach(1, 5), fire(5, "test", 1)]);
    let service = LinkedSbb::of::<Parent>().descriptor();
    assert_eq!(checked(&deliver, &service, mine.clone()), mine, "it was told of it");
}

#[test]
fn a_unit_is_told_of_what_it_reaches_and_of_its_own_attributes() {
    let service = LinkedSbb::of::<Parent>().descriptor();
    let mut deliver = deliver();
    let names = ["parent/x", "leg/x", "acme.price", "guard/x", "sip.refused"];
    let call = deliver.contexts.get_mut(&1).expect("the call");
    call.attributes = names.map(|name| (name.to_owned(), vec![1])).into();
    let told: Deliver = decode(&deliver.to_unit(&service)).expect("a delivery");
    assert_eq!(told.contexts.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 6]);
    let seen: Vec<_> = told.contexts[&1].attributes.keys().map(String::as_str).collect();
    assert_eq!(seen, ["acme.price", "leg/x", "parent/x"]);
}

#[test]
fn nothing_is_done_on_an_activity_that_ends() {
    assert_eq!(refused_effect(attach(1, 3)), "activity 3 is ending");
    assert_eq!(refused_effect(fire(3, "test", 1)), "activity 3 is ending");
    let late = vec![Effect::EndActivity { activity: 2 }, fire(2, "test", 1)];
    assert_eq!(refused(with_effects(late)), "activity 2 is ending");
    let adaptors = refused_effect(Effect::EndActivity { activity: 1 });
    assert_eq!(adaptors, "activity 1 is its resource adaptor's to end");
}

#[test]
fn new_activities_have_the_next_numbers_and_are_not_too_many() {
    let start = |activity| Effect::StartActivity { activity };
    assert_eq!(refused_effect(start(2)), "activity 2 is started, 9 is next");
    assert_eq!(refused_effect(start(10)), "activity 10 is started, 9 is next");
    // Four are there, and one of another cell, which does not count.
    taken(with_effects((9..69).map(start).collect()));
    let text = "65 activities in a cell, 64 allowed";
    assert_eq!(refused(with_effects((9..70).map(start).collect())), text);
}

#[test]
fn attributes_are_those_of_its_sbbs() {
    for name in ["other/x", "sip.refused", "parentx", "price"] {
        let text = format!("no SBB of it has an attribute {name:?}");
        assert_eq!(refused_effect(set(1, name, 1)), text);
    }
    let text = "16385 bytes of an attribute, 16384 allowed";
    assert_eq!(refused_effect(set(1, "parent/x", 16_385)), text);
    let text = "attributes of activity 4 are in its own cell";
    assert_eq!(refused_effect(set(4, "parent/x", 1)), text);
    let many = (0..65).map(|number| set(1, &format!("parent/{number}"), 1)).collect();
    assert_eq!(refused(with_effects(many)), "65 attributes, 64 allowed");
}

#[test]
fn events_are_not_the_containers_and_not_too_large() {
    let text = "\"slee.timer\" is the container's to fire";
    assert_eq!(refused_effect(fire(1, "slee.timer", 1)), text);
    let text = "16385 bytes of an event, 16384 allowed";
    assert_eq!(refused_effect(fire(1, "test", 16_385)), text);
}

#[test]
fn names_are_bound_once() {
    let text = "\"n\" is bound already";
    assert_eq!(refused(with_effects(vec![bind(1, "n"), bind(2, "n")])), text);
    let long = "x".repeat(257);
    assert_eq!(refused_effect(bind(1, &long)), "a name of 257 bytes, 1 to 256 allowed");
    assert_eq!(refused_effect(bind(1, "")), "a name of 0 bytes, 1 to 256 allowed");
    let many = (0..17).map(|number| bind(1, &number.to_string())).collect();
    assert_eq!(refused(with_effects(many)), "17 names of an activity, 16 allowed");
    let unbound = Effect::UnbindName { name: "n".to_owned() };
    assert_eq!(refused_effect(unbound), "\"n\" is bound to no activity");
}

#[test]
fn names_of_the_cluster_are_as_the_tables_say() {
    let bind = |activity| Effect::BindClusterName { activity, name: "n".to_owned() };
    let unbind = || Effect::UnbindClusterName { name: "n".to_owned() };
    let fire = |activity| Effect::FireAtName {
        activity,
        name: "n".to_owned(),
        event_type: "test".to_owned(),
        payload: Vec::new(),
    };
    taken(with_effects(vec![bind(1)]));
    assert_eq!(refused_effect(bind(3)), "activity 3 is ending");
    assert_eq!(refused_effect(bind(4)), "activity 4 is in another cell");
    assert_eq!(refused_effect(unbind()), "\"n\" is bound to nothing here");
    assert_eq!(refused_effect(fire(1)), "\"n\" is not bound");
    let mut bound = deliver();
    let other = ActivityId { cell: CellId { number: 2, ..CELL }, number: 1 };
    bound.tables.put(CLUSTER_NAMES, "n", encode(&other).expect("plain"));
    assert_eq!(refused_of(&bound, with_effects(vec![bind(1)])), "\"n\" is bound already");
    assert_eq!(refused_of(&bound, with_effects(vec![unbind()])), "\"n\" is bound to nothing here");
    assert_eq!(refused_of(&bound, with_effects(vec![fire(2)])), "\"n\" is not bound");
}

#[test]
fn an_event_is_suspended_for_as_long_as_the_limit_allows() {
    let suspend =
        |seconds| Effect::SuspendEvent { until: Timestamp::ZERO + Duration::from_secs(seconds) };
    assert_eq!(refused_effect(suspend(3_601)), "an event suspended for too long");
    let mut again = deliver();
    again.is_for_one = true;
    let text = "an event that cannot be suspended";
    assert_eq!(refused_of(&again, with_effects(vec![suspend(1)])), text);
    let mut timer = deliver();
    timer.event.event_type = "slee.timer".to_owned();
    assert_eq!(refused_of(&timer, with_effects(vec![suspend(1)])), text);
    let none = Effect::ResumeEvent { activity: 1 };
    assert_eq!(refused_effect(none), "no event of activity 1 is suspended");
}

#[test]
fn who_masks_is_attached() {
    let mask = Effect::Mask { entity: 2, activity: 1, events: BTreeSet::new() };
    assert_eq!(refused_effect(mask), "entity 2 is not attached to 1");
}

#[test]
fn events_of_resource_adaptors_are_theirs_to_fire() {
    taken(with_effects(vec![fire(1, "sips", 0), fire(1, "acme.sip.invite", 0)]));
    for theirs in ["sip.invite", "http.response"] {
        let text =
            format!("{theirs:?} is a resource adaptor's to fire: fire an event type of your own");
        assert_eq!(refused_effect(fire(1, theirs, 0)), text);
    }
}

#[test]
fn event_types_that_are_masked_have_a_bound() {
    let mask = |count: u32| Effect::Mask {
        entity: 1,
        activity: 2,
        events: (0..count).map(|number| number.to_string()).collect(),
    };
    taken(with_effects(vec![mask(256)]));
    assert_eq!(refused_effect(mask(257)), "257 masked event types, 256 allowed");
}
