//! What a roll back undoes (chapter 9), one by one; and what it does not.

use crate::container::Container;
use crate::entity_trees::with_child;
use crate::pair::Pair;
use crate::script::{self, State, fail, note, on, selects};
use crate::toy::{Tick, Tock};
use resilee_core::ALARMS_PER_SERVICE_MAX;
use resilee_sbb::{
    ActivityId, Context, EFFECTS_MAX, EventPayload, Failure, InitialEvent, Severity, TimerId,
    TraceLevel,
};
use std::time::Duration;

/// `alpha1`, which has the child `left3`, does this and fails; what the trace says then is not
/// looked at.
fn undone(
    does: impl Fn(&mut State, &mut Context<'_>) -> Result<(), Failure> + 'static,
) -> Container {
    let mut container = with_child("left");
    container.fire("tick", "create");
    on("alpha", "do", move |me, cx| {
        does(me, cx)?;
        fail()
    });
    container.fire("tick", "do");
    assert!(container.has_alarm("as it was told"), "{:?}", container.alarms());
    container.trace();
    container
}

/// What `alpha1` sees afterwards.
fn seen(
    container: &mut Container,
    looks: impl Fn(&State, &Context<'_>) -> String + 'static,
) -> String {
    on("alpha", "look", move |me, cx| {
        note(looks(me, cx));
        Ok(())
    });
    container.tick("look")[1].clone()
}

#[test]
fn a_roll_back_undoes_cmp_fields() {
    let mut container = undone(|me, _| {
        me.count = 100;
        Ok(())
    });
    assert_eq!(seen(&mut container, |me, _| me.count.to_string()), "3", "begin, create, look");
}

#[test]
fn a_roll_back_undoes_cmp_fields_of_callees() {
    let mut container =
        undone(|me, cx| crate::script::ask(cx, me.child.expect("created"), "count").map(drop));
    on("left", "count", |me, _| {
        note(me.count.to_string());
        Ok(())
    });
    let trace = container.tick("count");
    assert_eq!(trace[1..3], ["left3 count", "3"], "three events, no call: {trace:?}");
}

#[test]
fn a_roll_back_undoes_attributes() {
    let mut container = undone(|_, cx| cx.set_attribute("price", &5));
    let price = seen(&mut container, |_, cx| format!("{:?}", cx.attribute::<i32>("price")));
    assert_eq!(price, "Ok(None)");
}

#[test]
fn a_roll_back_undoes_attachments() {
    let mut container = undone(|me, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.detach_from(me.child.expect("created"), cx.activity())?;
        cx.detach();
        Ok(())
    });
    let attached = seen(&mut container, |_, cx| format!("{:?}", cx.activities().len()));
    assert_eq!(attached, "1");
    assert_eq!(container.tick("hello"), ["alpha1 hello", "left3 hello", "beta2 hello"]);
}

#[test]
fn a_roll_back_undoes_the_creation_of_children() {
    let container = undone(|_, cx| {
        let child = cx.create_child("right")?;
        cx.attach(child, cx.activity())
    });
    assert_eq!(container.entities("alpha"), [1, 3]);
}

#[test]
fn a_roll_back_undoes_the_removal_of_children() {
    let mut container = undone(|me, cx| cx.remove_child(me.child.expect("created")));
    assert_eq!(container.tick("hello"), ["alpha1 hello", "left3 hello", "beta2 hello"]);
}

#[test]
fn a_roll_back_undoes_masks() {
    let mut container = undone(|_, cx| cx.mask(cx.activity(), &[Tick::TYPE]));
    assert_eq!(container.tick("hello")[0], "alpha1 hello");
}

#[test]
fn a_roll_back_undoes_fired_events() {
    let mut container = with_child("left");
    container.fire("tick", "create");
    on("alpha", "do", |_, cx| {
        cx.fire(cx.activity(), &Tock { word: "never".to_owned() })?;
        fail()
    });
    let trace = container.tick("do");
    assert!(!trace.iter().any(|line| line.contains("never")), "{trace:?}");
}

#[test]
fn a_roll_back_undoes_null_activities_and_their_ends() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)
    });
    on("alpha", "do", |_, cx| {
        // It would end by itself if nobody were attached.
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.end_activity(ActivityId { number: 2, ..cx.activity() })?;
        fail()
    });
    container.fire("tick", "create");
    container.fire("tick", "do");
    assert_eq!(container.activities(), 2);
    container.trace();
    let ending = seen(&mut container, |_, cx| {
        format!("{}", cx.is_ending(ActivityId { number: 2, ..cx.activity() }))
    });
    assert_eq!(ending, "false");
}

#[test]
fn a_roll_back_undoes_timers() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        cx.set_timer(TimerId(1), Duration::from_secs(2));
        Ok(())
    });
    on("alpha", "do", |_, cx| {
        cx.cancel_timer(TimerId(1));
        cx.set_timer(TimerId(2), Duration::from_secs(2));
        fail()
    });
    container.fire("tick", "set");
    container.fire("tick", "do");
    container.trace();
    container.pass_seconds(3);
    assert_eq!(container.trace(), ["alpha1 timer 1"]);
}

#[test]
fn a_roll_back_undoes_names() {
    let mut container = Container::begun();
    on("alpha", "bind", |_, cx| cx.bind_name(cx.activity(), "kept"));
    on("alpha", "do", |_, cx| {
        cx.unbind_name("kept")?;
        cx.bind_name(cx.activity(), "new")?;
        fail()
    });
    container.fire("tick", "bind");
    container.fire("tick", "do");
    container.trace();
    let names = seen(&mut container, |_, cx| {
        format!("{} {}", cx.look_up_name("kept").is_some(), cx.look_up_name("new").is_some())
    });
    assert_eq!(names, "true false");
}

#[test]
fn a_roll_back_undoes_priorities() {
    let mut container = undone(|me, cx| cx.set_priority(me.child.expect("created"), 99));
    let priority =
        seen(&mut container, |me, cx| format!("{:?}", cx.priority(me.child.expect("created"))));
    assert_eq!(priority, "Ok(0)");
}

#[test]
fn a_roll_back_undoes_a_resumption() {
    let mut container = crate::suspension::suspended();
    on("alpha", "do", |_, cx| {
        cx.resume_event(ActivityId { number: 1, ..cx.activity() })?;
        fail()
    });
    container.fire_on(2, "tick", "do");
    let trace = container.trace();
    assert!(!trace.contains(&"beta2 wait".to_owned()), "{trace:?}");
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["beta2 wait"]);
}

#[test]
fn a_roll_back_undoes_commands_and_records() {
    let mut container = Container::begun();
    container.sent();
    on("alpha", "do", |_, cx| {
        cx.send(&"hello")?;
        cx.record("toys", &1)?;
        fail()
    });
    container.fire("tick", "do");
    assert_eq!(container.sent(), ["c1 failed on 1"]);
    assert_eq!(container.records(), 0);
}

#[test]
fn a_roll_back_does_not_undo_traces() {
    let container = undone(|_, cx| {
        cx.trace(TraceLevel::Info, "it was here");
        Ok(())
    });
    assert_eq!(container.service_trace(), ["it was here"]);
}

#[test]
fn a_roll_back_does_not_undo_alarms() {
    let container = undone(|_, cx| {
        cx.raise_alarm("lamp", "1", Severity::Minor, "the lamp is out");
        Ok(())
    });
    assert!(container.has_alarm("the lamp is out"));
}

#[test]
fn an_alarm_stays_also_if_too_much_was_asked_for_before() {
    let container = undone(|_, cx| {
        for _ in 0..=EFFECTS_MAX {
            cx.set_priority(cx.entity(), 1)?;
        }
        cx.raise_alarm("lamp", "1", Severity::Minor, "the lamp is out");
        Ok(())
    });
    assert!(container.has_alarm("the lamp is out"));
}

/// A service fails with so many different texts of so many bytes.
fn failing(texts: u32, bytes: usize) -> Pair {
    script::clear();
    let mut pair = Pair::up();
    pair.say(0, "c1 start; fire begin 1 begin");
    for number in 0..texts {
        on("alpha", "fail", move |_, _| {
            Err(Failure::new(format!("no price for {number} {}", "x".repeat(bytes))))
        });
        pair.say(0, "c1 fire tick 1 fail");
    }
    pair.pass_ms(1_000);
    pair
}

#[test]
fn whatever_a_service_fails_with_its_alarms_fit_into_a_frame() {
    let pair = failing(64, 200_000);
    assert!(pair.nodes[0].largest_frame < 1024 * 1024, "{}", pair.nodes[0].largest_frame);
}

#[test]
fn alarms_of_roll_backs_leave_room_for_conditions() {
    let mut pair = failing(300, 0);
    pair.kill(1);
    pair.until_member_of(0, 1);
    let alarms = pair.status(0).alarms;
    assert!(alarms.iter().any(|it| it.text.starts_with("no backup")), "{} alarms", alarms.len());
    assert!(alarms.iter().filter(|it| it.source == "alpha").count() <= ALARMS_PER_SERVICE_MAX);
}

/// Two root entities of one service in one call, both of whose first events wait.
#[test]
fn each_root_entity_that_is_to_come_gets_what_came_meanwhile() {
    let mut container = Container::with_activity();
    selects("patient", |word, _| Ok(InitialEvent::by().cell().custom_name(word)));
    for word in ["one", "two"] {
        on("patient", word, |_, cx| match cx.now().as_millis() % 60_000 < 20_400 {
            true => fail(),
            false => Ok(()),
        });
    }
    container.fire("wait", "one");
    container.fire("wait", "two");
    container.fire("tick", "news");
    container.trace();
    container.pass_seconds(60);
    let trace = container.trace();
    assert_eq!(container.entities("patient"), [1, 2]);
    let heard = |who: &str| trace.iter().any(|line| *line == format!("{who} news"));
    assert_eq!((heard("patient1"), heard("patient2")), (true, true), "{trace:?}");
}

/// Step 5 of the router: one that was detached meanwhile gets nothing.
#[test]
fn who_detaches_when_its_event_is_tried_again_gets_nothing_that_waited_behind() {
    let mut container = Container::with_activity();
    container.fire("keep", "begin");
    on("keeper", "one", |_, cx| match cx.now().as_millis() % 60_000 < 20_400 {
        true => fail(),
        false => {
            cx.detach();
            Ok(())
        }
    });
    container.say("c1 start; fire keep 2 begin");
    container.fire("tick", "one");
    container.fire("tick", "two");
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace().last().map(String::as_str), Some("keeper1 one"));
}
