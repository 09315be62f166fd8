//! One root entity for each convergence name (chapter 8) in the cluster: activities of other cells
//! are mirrored in the cell of the root, and what it does with them is done where they are.
//!
//! `chooser` is the service: its selector says `all`, so that all calls share one root entity.

use crate::container::Container;
use crate::script::{fail, note, on, selects};
use crate::toy::Tock;
use resilee_sbb::{InitialEvent, TimerId};
use std::time::Duration;

/// Words of these and the like have one root entity in the cluster.
fn container() -> Container {
    let container = Container::new();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    container
}

/// What ran, without the questions to the selector.
fn ran(container: &mut Container) -> Vec<String> {
    container.settle();
    let trace = container.trace();
    trace.into_iter().filter(|line| !line.contains("asked")).collect()
}

#[test]
fn two_calls_share_the_root_entity_of_one_name() {
    let mut container = container();
    on("chooser", "two", |me, _| {
        note(me.count.to_string());
        Ok(())
    });
    container.say("c1 start; fire choose 1 one");
    container.say("c2 start; fire choose 1 two");
    assert_eq!(ran(&mut container), ["chooser1 one", "chooser1 two", "2"]);
    assert_eq!(container.entities("chooser"), [1]);
}

#[test]
fn a_root_entity_gets_later_events_of_an_activity_in_their_order_and_its_end_last() {
    let mut container = container();
    container.say("c1 start; fire choose 1 one; fire tick 1 two; fire tock 1 three; end 1");
    container.say("c2 start; fire choose 1 four");
    assert_eq!(
        ran(&mut container),
        ["chooser1 one", "chooser1 two", "chooser1 three", "chooser1 end 1", "chooser2 four"],
        "the first root was attached to nothing any more"
    );
}

#[test]
fn an_event_of_a_call_is_not_initial_for_other_services_where_the_root_is() {
    let mut container = container();
    container.say("c1 start; fire choose 1 one; fire begin 1 begin");
    let trace = ran(&mut container);
    assert_eq!(trace, ["alpha1 begin", "beta2 begin", "chooser1 one"]);
}

#[test]
fn a_root_entity_that_detaches_gets_nothing_more_of_the_activity_until_it_is_named_again() {
    let mut container = container();
    on("chooser", "leave", |_, cx| {
        cx.detach();
        cx.set_timer(TimerId(1), Duration::from_secs(60));
        Ok(())
    });
    container.say("c1 start; fire choose 1 stay");
    container.say("c2 start; fire choose 1 leave");
    container.settle();
    container.say("c2 fire tick 1 not heard");
    container.say("c2 fire choose 1 back; fire tick 1 heard");
    let expected = ["chooser1 stay", "chooser1 leave", "chooser1 back", "chooser1 heard"];
    assert_eq!(ran(&mut container), expected);
}

#[test]
fn a_root_entity_that_ends_because_of_an_event_is_not_begun_anew_by_it() {
    let mut container = container();
    on("chooser", "bye", |_, cx| {
        cx.detach();
        Ok(())
    });
    container.say("c1 start; fire choose 1 begin; fire choose 1 bye");
    assert_eq!(ran(&mut container), ["chooser1 begin", "chooser1 bye"]);
    container.say("c1 fire choose 1 next");
    assert_eq!(ran(&mut container), ["chooser1 next"], "of another cell");
}

#[test]
fn an_initial_event_that_was_on_its_way_when_the_root_left_is_heard() {
    let mut container = container();
    on("chooser", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    // All of one turn: the mirror is over before the others of its events come.
    container.say("c1 start; fire choose 1 leave; fire tick 1 lost; fire choose 1 back");
    assert_eq!(ran(&mut container), ["chooser1 leave", "chooser1 back"]);
}

#[test]
fn a_command_of_a_root_entity_reaches_the_adaptor_of_each_activity() {
    let mut container = container();
    on("chooser", "answer", |_, cx| cx.send(&"hello"));
    container.say("c1 start; fire choose 1 answer");
    container.say("c2 start; fire choose 1 answer");
    container.settle();
    let sent = container.sent();
    assert_eq!(sent, ["c1 started", "c2 started", "c1 hello", "c2 hello"]);
}

#[test]
fn an_event_that_a_root_entity_fires_is_for_all_that_are_attached_to_the_activity() {
    let mut container = container();
    on("chooser", "one", |_, cx| cx.fire(cx.activity(), &Tock { word: "fired".to_owned() }));
    container.say("c1 start; fire begin 1 begin; fire choose 1 one");
    let expected = ["alpha1 begin", "beta2 begin", "chooser1 one"];
    let fired = ["alpha1 fired", "beta2 fired", "chooser1 fired"];
    assert_eq!(ran(&mut container), [expected, fired].concat());
}

#[test]
fn a_root_entity_ends_a_null_activity_of_another_cell() {
    let mut container = container();
    on("alpha", "begin", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.fire(null, &crate::toy::Choose { word: "null".to_owned() })
    });
    on("chooser", "null", |_, cx| cx.end_activity(cx.activity()));
    on("chooser", "real", |_, cx| {
        assert!(cx.end_activity(cx.activity()).is_err(), "its adaptor has to end it");
        Ok(())
    });
    container.say("c1 start; fire begin 1 begin; fire choose 1 real");
    let trace = ran(&mut container);
    assert!(trace.contains(&"alpha1 end 2".to_owned()), "{trace:?}");
    assert!(trace.contains(&"chooser1 end 2".to_owned()), "{trace:?}");
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_null_activity_that_only_a_root_entity_is_attached_to_goes_on() {
    let mut container = container();
    on("alpha", "begin", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.fire(null, &crate::toy::Choose { word: "null".to_owned() })
    });
    on("chooser", "null", |_, cx| {
        cx.set_timer(TimerId(1), Duration::from_secs(1));
        Ok(())
    });
    on("chooser", "timer 1", |_, cx| {
        let activity = cx.activities()[0];
        cx.fire(activity, &Tock { word: "still there".to_owned() })?;
        cx.end_activity(activity)
    });
    container.say("c1 start; fire begin 1 begin");
    container.pass_seconds(2);
    let trace = ran(&mut container);
    assert_eq!(
        trace[3..],
        ["chooser1 timer 1", "chooser1 still there", "chooser1 end 1"],
        "{trace:?}"
    );
}

#[test]
fn a_mirror_says_what_it_stands_for_and_has_no_attributes() {
    let mut container = container();
    on("chooser", "one", |_, cx| {
        let of = cx.mirror_of(cx.activity())?.expect("of another cell");
        note(format!("{} {}", of.number, of.cell == cx.activity().cell));
        let text = cx.set_attribute("count", &1).expect_err("refused").to_string();
        assert!(text.contains("in its own cell"), "{text}");
        assert!(cx.attribute::<u32>("count").is_err());
        let null = cx.create_null_activity()?;
        assert_eq!(cx.mirror_of(null)?, None);
        cx.set_attribute_of(null, "count", &1)
    });
    container.say("c1 start; start; fire choose 2 one");
    assert_eq!(ran(&mut container), ["chooser1 one", "2 false"]);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_root_entity_that_fails_at_its_first_event_is_not_there() {
    let mut container = container();
    on("chooser", "bad", |_, _| fail());
    container.say("c1 start; fire choose 1 bad; fire tick 1 not heard");
    container.say("c2 start; fire choose 1 good");
    let ran = ran(&mut container);
    assert_eq!(ran, ["chooser1 bad", "chooser1 exception: as it was told", "chooser2 good"]);
    assert!(container.has_alarm("as it was told"));
}

#[test]
fn a_root_entity_whose_first_event_is_tried_again_hears_all_that_came_meanwhile() {
    let mut container = container();
    selects("patient", |_, _| Ok(InitialEvent::by().custom_name("one")));
    on("patient", "first", |_, cx| match cx.now().as_millis() % 60_000 < 20_400 {
        true => fail(),
        false => Ok(()),
    });
    container.say("c1 start; fire wait 1 first");
    container.say("c2 start; fire wait 1 second; fire tick 1 third");
    container.pass_seconds(30);
    let trace = ran(&mut container);
    let ran = trace.iter().skip_while(|line| *line != "patient1 second");
    assert_eq!(ran.collect::<Vec<_>>(), ["patient1 second", "patient1 third"], "{trace:?}");
    assert_eq!(container.entities("patient"), [1]);
}

#[test]
fn a_root_entity_may_write_shared_tables() {
    let mut container = container();
    on("chooser", "write", |me, cx| cx.put_row("counts", "all", &me.count));
    on("chooser", "remove", |_, cx| {
        note(format!("{:?}", cx.row::<u32>("counts", "all")?));
        cx.remove_row("counts", "all");
        Ok(())
    });
    container.say("c1 start; fire choose 1 write");
    container.settle();
    container.say("c1 fire tick 1 remove");
    let expected = ["chooser1 write", "chooser1 remove", "Some(1)"];
    assert_eq!(ran(&mut container), expected);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_cell_has_so_many_ties_and_an_alarm_says_when_a_root_gets_nothing() {
    let mut container = Container::with_activity();
    selects("chooser", |word, _| Ok(InitialEvent::by().custom_name(word)));
    for number in 0..65 {
        container.fire("choose", &format!("w{number}"));
    }
    container.settle();
    let names: std::collections::BTreeSet<_> =
        container.trace().into_iter().filter(|line| line.starts_with("chooser1 ")).collect();
    assert_eq!(container.entities("chooser").len(), 64, "{names:?}");
    assert!(container.has_alarm("64 ties to root entities"));
    assert_eq!(container.dropped("tie beyond those of one cell"), 1);
}

#[test]
fn a_name_that_is_too_long_has_no_root() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("x".repeat(1_100))));
    container.fire("choose", "one");
    assert_eq!(ran(&mut container), [""; 0]);
    assert!(container.has_alarm("a convergence name has 1024 bytes at most"));
}

#[test]
fn a_delivery_that_asks_too_much_of_other_cells_rolls_back() {
    let mut container = container();
    on("chooser", "much", |_, cx| (0..100).try_for_each(|_| cx.send(&"x".repeat(11_000))));
    container.say("c1 start; fire choose 1 much");
    assert_eq!(ran(&mut container), ["chooser1 much"]);
    assert!(container.has_alarm("too much is asked of activities in other cells"));
    assert_eq!(container.sent(), ["c1 started"]);
}

#[test]
fn all_of_it_survives_a_restart() {
    let mut container = container();
    container.say("c1 start; fire choose 1 one");
    container.settle();
    container.restart();
    container.say("c1 fire tick 1 two");
    container.say("c2 start; fire choose 1 three");
    let expected = ["chooser1 one", "chooser1 two", "chooser1 three"];
    assert_eq!(ran(&mut container), expected);
}

/// `keeper` suspends an event that is initial for the root, which leaves meanwhile.
fn suspended() -> Container {
    let mut container = container();
    on("keeper", "back", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    on("chooser", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    container.say("c1 start; fire keep 1 begin");
    container.say("c2 start; fire choose 1 stay");
    container.settle();
    container.say("c1 fire choose 1 leave; fire choose 1 back");
    container.settle();
    container.trace();
    container
}

#[test]
fn an_initial_event_that_was_suspended_is_heard_though_the_root_left_meanwhile() {
    let mut container = suspended();
    container.pass_seconds(11);
    container.settle();
    assert_eq!(ran(&mut container), ["chooser1 back"]);
}

#[test]
fn an_initial_event_that_was_suspended_is_heard_also_after_a_restart() {
    let mut container = suspended();
    container.restart();
    container.settle();
    container.trace();
    container.pass_seconds(11);
    container.settle();
    assert_eq!(ran(&mut container), ["chooser1 back"]);
}

/// It would be tied for ever: no end of it comes any more.
#[test]
fn an_event_on_an_activity_that_is_over_ties_nothing() {
    let mut container = container();
    container.say("c1 start; start; end 1");
    container.say("c1 fire choose 1 late; fire choose 2 in time");
    assert_eq!(ran(&mut container), ["chooser1 in time"]);
    assert_eq!(container.dropped("event on an activity that is over"), 1);
}

/// The same in one cell begins a new root entity when the first event goes on: the one that has
/// suspended that is gone.
#[test]
fn an_initial_event_behind_a_suspended_one_creates_its_root_also_in_a_root_cell() {
    for cell in [true, false] {
        let mut container = Container::with_activity();
        selects("chooser", move |_, _| {
            Ok(if cell { InitialEvent::by().cell() } else { InitialEvent::by().custom_name("all") })
        });
        suspend_one_and_leave();
        container.fire("choose", "one");
        container.settle();
        container.fire("choose", "two");
        container.settle();
        container.trace();
        container.pass_seconds(61);
        container.settle();
        let trace = container.trace();
        assert!(trace.iter().any(|line| line.ends_with(" two")), "cell: {cell}; {trace:?}");
    }
}

/// As the selector says, and not as the event's type would have it.
#[test]
fn what_is_not_initial_creates_no_root_entity_behind_a_suspended_event_in_a_root_cell() {
    for other in [None, Some("others")] {
        let mut container = Container::with_activity();
        selects("chooser", move |word, _| {
            let named = |name: &str| InitialEvent::by().custom_name(name);
            Ok(match word {
                "one" => named("all"),
                _ => other.map_or_else(InitialEvent::none, named),
            })
        });
        suspend_one_and_leave();
        container.fire("choose", "one");
        container.settle();
        container.fire("choose", "two");
        container.settle();
        container.trace();
        container.pass_seconds(61);
        container.settle();
        let trace = container.trace();
        let began = trace.iter().any(|line| line.ends_with(" two"));
        assert!(!began, "other: {other:?}; {trace:?}");
    }
}

/// The root entity of "one" suspends it and leaves its activity, and after a minute everything.
fn suspend_one_and_leave() {
    on("chooser", "one", |_, cx| {
        let room = cx.create_null_activity()?;
        cx.attach(cx.entity(), room)?;
        cx.set_timer(TimerId(1), Duration::from_secs(60));
        cx.suspend_event(Duration::from_secs(600))?;
        cx.detach();
        Ok(())
    });
    on("chooser", "timer 1", |_, cx| {
        let all = cx.activities();
        all.into_iter().try_for_each(|activity| cx.detach_from(cx.entity(), activity))
    });
}

/// 64 are for what a cell asks of others, whoever is tied to it.
#[test]
fn a_root_entity_of_many_calls_fires_at_names_and_starts_activities() {
    let mut container = container();
    on("alpha", "bind", |_, cx| cx.bind_cluster_name(cx.activity(), "room"));
    on("chooser", "call", |_, cx| {
        cx.fire_at_name("room", &Tock { word: "a letter".to_owned() })?;
        cx.start_activity("post", &String::new()).map(drop)
    });
    container.say("room start; fire begin 1 bind");
    for call in 1..=64 {
        container.say(&format!("c{call} start; fire choose 1 stay"));
    }
    container.settle();
    container.trace();
    container.say("c1 fire tick 1 call");
    let trace = ran(&mut container);
    assert!(trace.contains(&"alpha1 a letter".to_owned()), "{trace:?}, {:?}", container.alarms());
    assert!(container.has_alarm("an empty letter"), "it was asked to start it");
}
