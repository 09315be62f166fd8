//! Limits: each has a name, and reaching it is a clear failure, or counted with an alarm.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, fail, note, on};
use crate::toy::{Tick, Tock};
use resilee_core::Limits;
use resilee_sbb::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, EFFECTS_MAX, ENTITIES_PER_TREE_MAX, NAMES_MAX,
    NULL_ACTIVITIES_MAX, TraceLevel,
};

#[test]
fn a_tree_has_so_many_entities_at_most() {
    let mut container = Container::begun();
    on("alpha", "grow", |_, cx| {
        for _ in 1..ENTITIES_PER_TREE_MAX {
            cx.create_child("left")?;
        }
        let refused = cx.create_child("left").expect_err("it is full");
        note(refused.to_string());
        Ok(())
    });
    let trace = container.tick("grow");
    assert_eq!(trace[1], format!("a tree has {ENTITIES_PER_TREE_MAX} entities at most"));
    assert_eq!(container.entities("alpha").len(), ENTITIES_PER_TREE_MAX);
    on("alpha", "one more", |_, cx| cx.create_child("left").map(drop));
    container.fire("tick", "one more");
    assert!(container.has_alarm("entities at most"));
}

#[test]
fn there_is_room_in_a_tree_again_after_a_removal() {
    let mut container = Container::begun();
    on("alpha", "grow", |_, cx| {
        for _ in 1..ENTITIES_PER_TREE_MAX {
            cx.create_child("left")?;
        }
        cx.remove_child(cx.children("left")[0])?;
        cx.create_child("left").map(drop)
    });
    container.fire("tick", "grow");
    assert_eq!(container.alarms(), [""; 0]);
    assert_eq!(container.entities("alpha").len(), ENTITIES_PER_TREE_MAX);
}

#[test]
fn an_activity_context_has_so_many_attributes_at_most_and_each_can_be_changed() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        for number in 0..ATTRIBUTES_MAX {
            cx.set_attribute(&number.to_string(), &number)?;
        }
        cx.set_attribute("0", &7)?;
        let refused = cx.set_attribute("new", &1).expect_err("it is full");
        note(refused.to_string());
        Ok(())
    });
    let trace = container.tick("set");
    assert_eq!(trace[1], format!("an activity context has {ATTRIBUTES_MAX} attributes at most"));
}

#[test]
fn an_attribute_a_row_an_event_and_a_record_have_so_many_bytes_at_most() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        let large = "x".repeat(ATTRIBUTE_BYTES_MAX);
        let activity = cx.activity();
        let refused = [
            cx.set_attribute("a", &large),
            cx.put_row("t", "k", &large),
            cx.fire(activity, &Tick { word: large.clone() }),
            cx.record("toys", &large),
        ];
        note(format!("{}", refused.iter().filter(|it| it.is_err()).count()));
        Ok(())
    });
    assert_eq!(container.tick("set")[1], "4");
}

#[test]
fn a_state_has_so_many_bytes_at_most() {
    let mut container = Container::begun();
    on("alpha", "set", |me, _| {
        me.text = "x".repeat(resilee_sbb::STATE_BYTES_MAX);
        Ok(())
    });
    container.fire("tick", "set");
    assert!(container.has_alarm("65536 allowed"));
}

#[test]
fn an_activity_has_so_many_names_at_most() {
    let mut container = Container::begun();
    on("alpha", "bind", |_, cx| {
        for number in 0..NAMES_MAX {
            cx.bind_name(cx.activity(), &number.to_string())?;
        }
        let refused = cx.bind_name(cx.activity(), "one more").expect_err("it is full");
        note(refused.to_string());
        Ok(())
    });
    assert_eq!(container.tick("bind")[1], format!("an activity has {NAMES_MAX} names at most"));
}

#[test]
fn a_cell_has_so_many_null_activities_at_most() {
    let mut container = Container::begun();
    on("alpha", "start", |_, cx| {
        for _ in 0..NULL_ACTIVITIES_MAX {
            let null = cx.create_null_activity()?;
            cx.attach(cx.entity(), null)?;
        }
        let refused = cx.create_null_activity().expect_err("it is full");
        note(refused.to_string());
        Ok(())
    });
    let trace = container.tick("start");
    assert_eq!(trace[1], format!("a cell has {NULL_ACTIVITIES_MAX} null activities at most"));
    assert_eq!(container.activities(), 1 + NULL_ACTIVITIES_MAX);
}

#[test]
fn a_delivery_has_so_many_effects_at_most() {
    let mut container = Container::begun();
    on("alpha", "ask", |_, cx| {
        for _ in 0..EFFECTS_MAX {
            cx.set_priority(cx.entity(), 1)?;
        }
        assert!(!cx.is_rollback_only());
        cx.set_priority(cx.entity(), 1)?;
        assert!(cx.is_rollback_only());
        Ok(())
    });
    container.fire("tick", "ask");
    assert!(container.has_alarm(&format!("more than {EFFECTS_MAX} effects")));
}

#[test]
fn events_beyond_so_many_of_one_turn_are_counted_with_an_alarm() {
    let mut container = Container::begun();
    on("alpha", "storm", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &Tock { word: "storm".to_owned() })
    });
    container.fire("tick", "storm");
    let storms = container.trace().iter().filter(|line| *line == "alpha1 storm").count();
    assert_eq!(storms, 64);
    assert!(container.has_alarm("too many events"));
    assert_eq!(container.dropped("event beyond those of one turn"), 1);
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"], "the call goes on");
}

#[test]
fn the_end_of_an_activity_comes_also_after_too_many_events() {
    let mut container = Container::begun();
    on("alpha", "storm", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &Tock { word: "storm".to_owned() })
    });
    container.say("c1 fire tick 1 storm; end 1");
    let trace = container.trace();
    assert_eq!(trace[trace.len() - 2..], ["alpha1 end 1", "beta2 end 1"]);
}

#[test]
fn events_behind_a_suspended_one_are_counted_with_an_alarm_when_they_are_too_many() {
    let mut container = crate::suspension::suspended();
    (0..65).for_each(|number| container.fire("tock", &format!("number {number}")));
    assert!(container.has_alarm("too many wait for a suspended one"));
    assert_eq!(container.dropped("event behind a suspended one"), 1);
    container.pass_seconds(11);
    let trace = container.trace();
    assert_eq!(trace.iter().filter(|line| line.starts_with("alpha1 number")).count(), 64);
}

#[test]
fn what_waited_behind_a_suspended_event_does_not_count_as_caused_by_the_turn() {
    let mut container = crate::suspension::suspended();
    (0..64).for_each(|number| container.fire("tock", &format!("number {number}")));
    on("beta", "number 63", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &Tock { word: "fired".to_owned() })
    });
    container.pass_seconds(11);
    assert_eq!(container.trace().last().map(String::as_str), Some("beta2 fired"));
}

#[test]
fn an_event_that_is_tried_again_is_not_lost_in_a_turn_of_many_events() {
    let mut container = Container::with_activity();
    container.fire("keep", "begin");
    on("keeper", "fail", |_, _| fail());
    container.fire("tick", "fail");
    (0..61).for_each(|number| container.fire("tick", &format!("number {number}")));
    container.trace();
    on("keeper", "fail", |_, cx| {
        let activity = cx.activity();
        cx.fire(activity, &Tock { word: "one".to_owned() })?;
        cx.fire(activity, &Tock { word: "two".to_owned() })
    });
    container.pass_seconds(1);
    let trace = container.trace();
    let numbers = trace.iter().filter(|line| line.starts_with("keeper1 number")).count();
    assert_eq!(numbers, 61);
    assert_eq!(trace[trace.len() - 2..], ["keeper1 one", "keeper1 two"]);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_tree_is_not_larger_in_its_first_event() {
    let mut container = Container::with_activity();
    on("alpha", "begin", |_, cx| {
        for _ in 1..ENTITIES_PER_TREE_MAX {
            cx.create_child("left")?;
        }
        note(cx.create_child("left").expect_err("it is full").to_string());
        Ok(())
    });
    container.fire("begin", "begin");
    let text = format!("a tree has {ENTITIES_PER_TREE_MAX} entities at most");
    assert_eq!(container.trace()[1], text);
    assert_eq!(container.entities("alpha").len(), ENTITIES_PER_TREE_MAX);
}

#[test]
fn trace_lines_and_alarms_are_counted_by_themselves() {
    let mut container = Container::begun();
    on("alpha", "ask", |_, cx| {
        for _ in 0..EFFECTS_MAX {
            cx.set_priority(cx.entity(), 1)?;
            cx.trace(TraceLevel::Info, "hello");
        }
        assert!(!cx.is_rollback_only());
        cx.trace(TraceLevel::Info, "one more");
        assert!(cx.is_rollback_only());
        Ok(())
    });
    container.fire("tick", "ask");
    assert!(container.has_alarm(&format!("more than {EFFECTS_MAX} effects")));
}

/// What the link takes.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A pair with a call of ten activities, in which `fill` sets `count` large attributes at each.
fn filled(count: usize) -> Pair {
    script::clear();
    let mut pair = Pair::up();
    on("alpha", "grow", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)
    });
    on("alpha", "fill", move |_, cx| {
        for activity in cx.activities() {
            for number in 0..count {
                cx.set_attribute_of(activity, &format!("a{number}"), &"x".repeat(16_000))?;
            }
        }
        Ok(())
    });
    on("alpha", "fill more", |me, cx| {
        me.count += 1;
        for activity in cx.activities() {
            let name = format!("b{}", me.count);
            cx.set_attribute_of(activity, &name, &"x".repeat(16_000))?;
        }
        Ok(())
    });
    pair.say(0, "c1 start; fire begin 1 begin");
    (0..9).for_each(|_| pair.say(0, "c1 fire tick 1 grow"));
    pair
}

#[test]
fn a_call_that_grew_as_large_as_it_may_fits_into_frames() {
    let mut pair = filled(20);
    for word in ["fill"].into_iter().chain(["fill more"; 40]) {
        pair.say(0, &format!("c1 fire tick 1 {word}"));
    }
    assert!(pair.nodes[0].largest_frame > 3_000_000, "it did grow");
    pair.kill(1);
    pair.pass_ms(1_000);
    pair.start(1);
    pair.until_whole();
    assert!(pair.nodes[0].largest_frame < FRAME_BYTES_MAX, "{}", pair.nodes[0].largest_frame);
    let alarms = pair.status(0).alarms;
    assert!(alarms.iter().any(|alarm| alarm.text.contains("limits.cell_bytes_max")), "{alarms:?}");
}

#[test]
fn a_call_that_is_as_large_as_it_may_be_still_changes() {
    let mut pair = filled(20);
    pair.say(0, "c1 fire tick 1 fill");
    (0..20).for_each(|_| pair.say(0, "c1 fire tick 1 fill more"));
    on("alpha", "fill", |_, cx| cx.set_attribute("a0", &"y".repeat(16_000)));
    on("alpha", "read", |_, cx| {
        note(&cx.attribute::<String>("a0")?.expect("it is set")[..1]);
        Ok(())
    });
    pair.say(0, "c1 fire tick 1 fill");
    script::take_trace();
    pair.say(0, "c1 fire tick 1 read");
    assert!(script::take_trace().contains(&"y".to_owned()));
}

#[test]
fn what_one_turn_writes_fits_into_a_frame() {
    script::clear();
    let mut pair = Pair::up();
    on("alpha", "write", |_, cx| {
        for _ in 0..250 {
            cx.send(&format!("say {}", "x".repeat(15_000)))?;
        }
        Ok(())
    });
    on("beta", "write", |_, cx| {
        for _ in 0..10 {
            cx.send(&format!("say {}", "x".repeat(1_000)))?;
        }
        Ok(())
    });
    pair.say(0, "c1 start; fire begin 1 begin");
    pair.say(0, &format!("c1 {}", ["fire tick 1 write"; 5].join("; ")));
    assert!(pair.nodes[0].largest_frame < FRAME_BYTES_MAX, "{}", pair.nodes[0].largest_frame);
    let alarms = pair.status(0).alarms;
    assert!(alarms.iter().any(|alarm| alarm.text.contains("limits.turn_bytes_max")), "{alarms:?}");
}

/// As many as `inbox_max` may be, behind one slow handler; nobody gets an event by them.
#[test]
fn a_full_inbox_of_messages_that_nobody_gets_is_worked_off() {
    let mut container = Container::with_limits(Limits { inbox_max: 1_024, ..Limits::default() });
    container.say("c1 start; fire begin 1 begin");
    container.answers(false);
    container.fire("tick", "slow");
    container.answers(true);
    (0..1_024).for_each(|_| container.say_unflushed("c1 end 99"));
    container.pass_seconds(30);
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}
