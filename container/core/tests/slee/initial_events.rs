//! Initial events (chapter 8): which root entity an event belongs to, and when one is created.
//! Root entities of the whole cluster are in `roots.rs`.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, State, fail, on, selects, take_trace};
use crate::upgrades::want;
use resilee_core::Input;
use resilee_sbb::{Context, Failure, InitialEvent, Outcome, Task};

#[test]
fn without_a_selector_each_activity_context_has_a_root_entity() {
    let mut container = Container::with_activity();
    container.say("c1 start");
    container.fire_on(1, "begin", "one");
    container.fire_on(2, "begin", "two");
    container.fire_on(1, "begin", "three");
    let trace = container.trace();
    assert_eq!(
        trace,
        ["alpha1 one", "beta2 one", "alpha3 two", "beta4 two", "alpha1 three", "beta2 three"]
    );
}

#[test]
fn an_event_that_is_not_initial_creates_nothing() {
    let mut container = Container::with_activity();
    container.fire("tick", "hello");
    assert_eq!(container.trace(), [""; 0]);
}

#[test]
fn a_service_whose_entity_is_attached_gets_no_second_root_there() {
    let mut container = Container::begun();
    container.say("c1 start");
    on("alpha", "attach", |_, cx| {
        let second = resilee_sbb::ActivityId { number: 2, ..cx.activity() };
        cx.attach(cx.entity(), second)
    });
    container.fire("tick", "attach");
    container.trace();
    container.fire_on(2, "begin", "two");
    assert_eq!(container.trace(), ["alpha1 two", "beta3 two"]);
}

#[test]
fn a_selector_names_the_root_entity_that_gets_the_event() {
    let mut container = Container::with_activity();
    selects("chooser", |word, _| Ok(InitialEvent::by().cell().custom_name(word)));
    for word in ["red", "blue", "red"] {
        container.fire("choose", word);
    }
    let trace = container.trace();
    let ran: Vec<_> = trace.iter().filter(|line| !line.contains("asked")).collect();
    // All that are attached get it, whoever was chosen.
    assert_eq!(
        ran,
        ["chooser1 red", "chooser1 blue", "chooser2 blue", "chooser1 red", "chooser2 red"]
    );
    assert_eq!(container.entities("chooser"), [1, 2]);
}

#[test]
fn one_root_entity_serves_all_activities_of_one_name() {
    let mut container = Container::with_activity();
    container.say("c1 start");
    selects("chooser", |_, _| Ok(InitialEvent::by().cell().address("sip:bob@example.test")));
    container.fire_on(1, "choose", "one");
    container.fire_on(2, "choose", "two");
    container.fire_on(2, "tick", "three");
    let trace = container.trace();
    let ran: Vec<_> = trace.iter().filter(|line| !line.contains("asked")).collect();
    assert_eq!(ran, ["chooser1 one", "chooser1 two", "chooser1 three"], "it is attached to both");
}

#[test]
fn by_the_address_there_is_a_root_entity_for_each() {
    let mut container = Container::with_activity();
    container.say("c1 start");
    selects("chooser", |word, _| {
        Ok(InitialEvent::by().cell().address(format!("sip:{word}@example.test")))
    });
    container.fire_on(1, "choose", "bob");
    container.fire_on(2, "choose", "carol");
    assert_eq!(container.entities("chooser"), [1, 2]);
    container.trace();
    container.fire_on(2, "tick", "hello");
    assert_eq!(container.trace(), ["chooser2 hello"], "each on the activity of its address");
}

#[test]
fn by_the_type_of_event_there_is_a_root_entity_for_each() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Ok(InitialEvent::by().cell().event_type()));
    container.fire("choose", "one");
    container.fire("choose-too", "two");
    container.fire("choose", "three");
    assert_eq!(container.entities("chooser"), [1, 2]);
}

#[test]
fn by_the_activity_context_there_is_a_root_entity_for_each() {
    let mut container = Container::with_activity();
    container.say("c1 start");
    selects("chooser", |_, _| Ok(InitialEvent::by_activity_context()));
    container.fire_on(1, "choose", "one");
    container.fire_on(2, "choose", "two");
    container.fire_on(1, "choose", "three");
    assert_eq!(container.entities("chooser"), [1, 2]);
}

#[test]
fn a_selector_may_say_that_an_event_is_not_initial_after_all() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Ok(InitialEvent::none()));
    container.fire("choose", "no");
    assert_eq!(container.trace(), ["chooser is asked about no"]);
    assert_eq!(container.entities("chooser"), [0u32; 0]);
}

#[test]
fn a_selector_is_asked_once_per_event_also_if_the_root_entity_fails() {
    let mut container = Container::with_activity();
    selects("chooser", |word, _| Ok(InitialEvent::by().cell().custom_name(word)));
    on("chooser", "bad", |_, _| fail());
    container.fire("choose", "bad");
    let asked = container.trace().iter().filter(|line| line.contains("asked")).count();
    assert_eq!(asked, 1);
    container.fire("choose", "good");
    assert_eq!(container.trace(), ["chooser is asked about good", "chooser2 good"]);
}

#[test]
fn a_selector_that_fails_makes_the_event_not_initial_with_an_alarm() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Err(Failure::new("no idea")));
    container.fire("choose", "what");
    assert!(container.has_alarm("no idea"));
    assert_eq!(container.entities("chooser"), [0u32; 0]);
    assert_eq!(container.sent().last().map(String::as_str), Some("c1 failed on 1"));
}

#[test]
fn a_selector_that_panics_has_failed() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| panic!("out of order"));
    container.fire("choose", "what");
    assert!(container.has_alarm("panicked: out of order"));
}

#[test]
fn a_selector_that_fails_is_not_asked_again_by_a_service_that_tries_again() {
    let mut container = Container::with_activity();
    selects("patient", |_, _| Err(Failure::new("no idea")));
    container.fire("wait", "what");
    container.fire("begin", "begin");
    assert!(container.has_alarm("no idea"));
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace(), [""; 0]);
}

#[test]
fn what_a_selector_asks_for_is_dropped() {
    let mut container = Container::with_activity();
    selects("chooser", |_, cx| {
        cx.set_attribute_of(cx.activity(), "left over", &1)?;
        cx.trace(resilee_sbb::TraceLevel::Info, "asked");
        Ok(InitialEvent::by_activity_context())
    });
    on("chooser", "one", |_, cx| {
        assert_eq!(cx.attribute::<i32>("left over")?, None);
        Ok(())
    });
    container.fire("choose", "one");
    assert_eq!(container.alarms(), [""; 0]);
    assert_eq!(container.service_trace(), ["asked"]);
}

#[test]
fn a_root_entity_whose_first_event_is_tried_again_keeps_its_name() {
    let mut container = Container::with_activity();
    selects("patient", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    on("patient", "first", |_, cx| match cx.now().as_millis() % 60_000 < 20_400 {
        true => fail(),
        false => Ok(()),
    });
    container.fire("wait", "first");
    container.fire("wait", "second");
    container.pass_seconds(30);
    container.fire("wait", "third");
    let trace = container.trace();
    let ran: Vec<_> = trace.iter().filter(|line| line.starts_with("patient1")).collect();
    assert_eq!(ran.last().map(|line| line.as_str()), Some("patient1 third"), "{trace:?}");
    assert_eq!(container.entities("patient"), [1]);
    assert!(ran.iter().any(|line| *line == "patient1 second"), "{trace:?}");
}

fn detach(_: &mut State, cx: &mut Context<'_>) -> Result<(), Failure> {
    cx.detach();
    Ok(())
}

#[test]
fn a_root_entity_that_ends_because_of_an_initial_event_is_not_begun_anew_by_it() {
    let mut container = Container::begun();
    on("alpha", "bye", detach);
    container.fire("begin", "bye");
    assert_eq!(container.trace(), ["alpha1 bye", "beta2 bye"]);
    container.fire("begin", "next");
    assert_eq!(container.trace(), ["alpha3 next", "beta2 next"]);
}

#[test]
fn a_root_entity_that_its_roll_back_has_removed_is_not_begun_anew_by_the_same_event() {
    let mut container = Container::with_activity();
    container.fire("break", "begin");
    on("fragile", "fail", |_, _| fail());
    container.trace();
    container.fire("break", "fail");
    assert_eq!(container.trace(), ["fragile1 fail", "fragile1 exception: as it was told"]);
    container.fire("break", "next");
    assert_eq!(container.trace(), ["fragile2 next"]);
}

/// Another name is another root entity.
#[test]
fn a_named_root_entity_that_ends_because_of_an_event_is_not_begun_anew_by_it() {
    let mut container = Container::with_activity();
    let name = |word: &str| word.chars().next().unwrap_or_default();
    selects("chooser", move |word, _| Ok(InitialEvent::by().cell().custom_name(name(word))));
    on("chooser", "a bye", detach);
    on("chooser", "c bye", detach);
    for word in ["a", "a bye", "b", "c bye"] {
        container.fire("choose", word);
    }
    let trace = container.trace();
    let ran: Vec<_> = trace.iter().filter(|line| !line.contains("asked")).collect();
    let all = ["chooser1 a", "chooser1 a bye", "chooser2 b", "chooser2 c bye", "chooser3 c bye"];
    assert_eq!(ran, all);
}

#[test]
fn what_replaces_a_service_is_not_begun_by_an_event_that_the_old_one_ends_by() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["beta"], &["alpha"]);
    on("alpha", "bye", detach);
    take_trace();
    pair.say(0, "c1 fire begin 1 bye");
    assert_eq!(take_trace(), ["alpha1 bye"]);
    pair.say(0, "c1 fire begin 1 next");
    assert_eq!(take_trace(), ["beta2 next"]);
}

/// The same where the new one has to ask its selector.
#[test]
fn what_replaces_a_service_is_not_selected_for_an_event_that_the_old_one_ends_by() {
    script::clear();
    let mut pair = Pair::up();
    selects("chooser", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    want(&mut pair, &[], &["chooser"]);
    on("keeper", "begin", |_, cx| cx.set_priority(cx.entity(), 5));
    pair.say(0, "c1 start; fire keep 1 begin");
    want(&mut pair, &["chooser"], &["keeper"]);
    on("keeper", "bye", detach);
    take_trace();
    pair.say(0, "c1 fire choose 1 bye");
    let ran =
        || take_trace().into_iter().filter(|line| !line.contains("asked")).collect::<Vec<_>>();
    assert_eq!(ran(), ["keeper1 bye"]);
    pair.say(0, "c1 fire choose 1 next");
    assert_eq!(ran(), ["chooser2 next"]);
}

/// Of a tree only the root entity is attached by an initial event.
#[test]
fn a_child_that_was_detached_is_not_attached_again_by_an_initial_event_that_is_tried_again() {
    let mut container = Container::with_activity();
    selects("patient", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    on("patient", "begin", |me, cx| {
        let child = cx.create_child("waiter")?;
        me.child = Some(child);
        cx.attach(child, cx.activity())
    });
    on("patient", "turn away", |me, cx| cx.detach_from(me.child.expect("one"), cx.activity()));
    on("waiter", "second", |_, _| fail());
    container.fire("wait", "begin");
    container.fire("wait", "second");
    container.fire("tick", "turn away");
    on("waiter", "second", |_, _| Ok(()));
    container.trace();
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["waiter2 second"]);
    container.fire("tick", "hello");
    assert_eq!(container.trace(), ["patient1 hello"]);
}

/// A selector of a service that tries again is out, and answers that it had no time.
fn starved(pair: &mut Pair) {
    let deliver = pair.nodes[0].delivered.last().cloned().expect("a delivery");
    assert_eq!((deliver.service, &deliver.task), ("patient", &Task::Select));
    let outcome = Outcome::Starved { reason: "no time".to_owned(), effects: Vec::new() };
    pair.feed(0, Input::Outcome { delivery: deliver.id, outcome });
    pair.settle();
}

fn selector_is_out() -> Pair {
    script::clear();
    let mut pair = Pair::up();
    selects("patient", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    pair.hangs = |deliver| deliver.task == Task::Select;
    pair.say(0, "c1 start; fire wait 1 first");
    pair
}

#[test]
fn a_selector_that_had_no_time_is_asked_again_by_a_service_that_tries_again() {
    let mut pair = selector_is_out();
    pair.hangs = |_| false;
    starved(&mut pair);
    assert_eq!(take_trace(), ["patient is asked about first", "patient1 first"]);
    assert!(pair.status(0).alarms.is_empty());
}

#[test]
fn a_selector_that_never_has_time_is_asked_so_often_and_then_there_is_an_alarm() {
    let mut pair = selector_is_out();
    for _ in 0..3 {
        starved(&mut pair);
        assert!(pair.status(0).alarms.is_empty());
    }
    starved(&mut pair);
    assert!(pair.status(0).alarms.iter().any(|it| it.text.contains("no time")));
    assert_eq!(take_trace(), [""; 0]);
}
