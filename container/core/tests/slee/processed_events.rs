//! What an adaptor hears (chapter 15) of what became of its events: failed, received, or neither;
//! and of activities that nobody serves any more. Root entities of the cluster count as whoever is
//! here.

use crate::adaptors::posted;
use crate::container::Container;
use crate::pair::Pair;
use crate::post::Letter;
use crate::script::{self, fail, hangs, on, selects, take_trace};
use crate::upgrades::want;
use resilee_sbb::{InitialEvent, TimerId};
use std::time::Duration;

/// Both nodes are up, and `chooser` has one root entity in the cluster.
fn pair() -> Pair {
    script::clear();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    Pair::up()
}

/// The first letter of a cell, of this word.
fn write(pair: &mut Pair, word: &str) -> Vec<String> {
    let letter = Letter::First { key: 1, word: word.to_owned() };
    pair.tell_second(0, letter.bytes());
    pair.pass_ms(3_000);
    posted(pair, 0)
}

#[test]
fn an_event_that_a_root_of_the_cluster_gets_is_received() {
    assert_eq!(write(&mut pair(), "choose"), ["test.choose of 1 received"]);
}

#[test]
fn an_event_that_the_new_version_takes_did_not_fail_since_the_old_one_is_inactive() {
    let mut pair = pair();
    want(&mut pair, &[], &["beta"]);
    want(&mut pair, &["beta"], &["alpha"]);
    assert_eq!(write(&mut pair, "begin"), ["test.begin of 1 received"]);
    assert_eq!(take_trace(), ["beta1 begin"]);
}

#[test]
fn an_event_that_nobody_gets_since_its_services_are_inactive_failed() {
    let mut pair = pair();
    want(&mut pair, &[], &["alpha", "beta", "chooser"]);
    for word in ["begin", "choose"] {
        let written = write(&mut pair, word);
        assert!(written.contains(&"failed 1".to_owned()), "{word} {written:?}");
    }
}

#[test]
fn an_event_for_a_root_of_the_cluster_whose_service_stops_did_not_fail() {
    let mut pair = pair();
    pair.say(0, "c1 start; fire choose 1 one");
    pair.pass_ms(1_000);
    want(&mut pair, &[], &["chooser"]);
    take_trace();
    pair.say(0, "c1 fire choose 1 two");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), ["chooser1 two"]);
    assert_eq!(pair.nodes[0].sent, ["c1 started"]);
}

#[test]
fn an_event_whose_selector_names_what_its_service_starts_no_more_failed() {
    let mut pair = pair();
    selects("chooser", |_, _| Ok(InitialEvent::by_activity_context()));
    pair.say(0, "c1 start; start; fire choose 1 one");
    want(&mut pair, &[], &["chooser"]);
    pair.say(0, "c1 fire choose 2 two");
    assert_eq!(pair.nodes[0].sent, ["c1 started", "c1 started", "c1 failed on 2"]);
}

#[test]
fn what_begins_with_services_that_are_quarantined_fails() {
    let mut container = Container::begun();
    for sbb in ["alpha", "beta"] {
        hangs(sbb, "hang");
    }
    container.fire("tick", "hang");
    container.pass_seconds(11);
    container.pass_seconds(11);
    container.say("c1 start");
    container.sent();
    container.trace();
    container.fire_on(2, "begin", "begin");
    assert_eq!(container.trace(), [""; 0]);
    assert_eq!(container.sent(), ["c1 failed on 2"]);
}

#[test]
fn the_adaptor_does_not_hear_of_a_timer_that_rolled_back() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        cx.set_timer(TimerId(1), Duration::from_secs(1));
        Ok(())
    });
    on("alpha", "timer 1", |_, _| fail());
    container.fire("tick", "set");
    container.sent();
    container.pass_seconds(2);
    assert_eq!(container.sent(), [""; 0]);
}

#[test]
fn the_adaptor_hears_of_an_event_that_is_tried_again_once_and_not_at_each_try() {
    let mut container = Container::with_activity();
    on("keeper", "fail", |_, _| fail());
    container.fire("keep", "begin");
    container.sent();
    container.fire("tick", "fail");
    container.pass_seconds(400);
    assert_eq!(container.sent(), ["c1 failed on 1"]);
}

#[test]
fn an_activity_whose_name_in_the_cluster_was_taken_away_is_unreferenced() {
    let mut pair = pair();
    on("alpha", "bind", |_, cx| {
        let letter = cx.start_activity("post", &"w".to_owned())?;
        cx.bind_cluster_name(letter, "room")
    });
    on("alpha", "free", |_, cx| cx.unbind_cluster_name("room"));
    pair.say(0, "c1 start; fire begin 1 begin; fire tick 1 bind");
    pair.pass_ms(2_000);
    assert_eq!(posted(&mut pair, 0), ["letter 2 w"]);
    pair.say(0, "c1 fire tick 1 free");
    pair.pass_ms(5_000);
    assert_eq!(posted(&mut pair, 0), ["unreferenced 2"]);
}

#[test]
fn an_activity_that_only_a_root_of_the_cluster_served_is_unreferenced_when_that_leaves() {
    let mut pair = pair();
    on("chooser", "choose", |_, cx| {
        cx.detach();
        Ok(())
    });
    let written = write(&mut pair, "choose");
    assert_eq!(written, ["test.choose of 1 received", "unreferenced 1"]);
}

#[test]
fn an_activity_of_which_an_event_waited_is_unreferenced_when_that_is_given_up() {
    let mut pair = pair();
    on("keeper", "keep", |_, _| fail());
    assert_eq!(write(&mut pair, "keep"), ["failed 1"]);
    pair.pass_ms(400_000);
    assert_eq!(posted(&mut pair, 0), ["unreferenced 1"]);
}
