//! Null activities (chapter 7): activities that no adaptor has.

use crate::container::Container;
use crate::script::{fail, note, on};
use crate::toy::{Begin, Keep, Tick, Tock};
use resilee_sbb::{ActivityId, Context, Failure};

/// `alpha1` is attached to the null activity 2.
fn with_null_activity() -> Container {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)
    });
    container.fire("tick", "create");
    container.trace();
    container
}

fn null(cx: &Context<'_>) -> ActivityId {
    ActivityId { number: 2, ..cx.activity() }
}

fn fire(cx: &mut Context<'_>, word: &str) -> Result<(), Failure> {
    cx.fire(null(cx), &Tick { word: word.to_owned() })
}

#[test]
fn an_event_fired_on_a_null_activity_goes_to_who_is_attached_there() {
    let mut container = with_null_activity();
    on("beta", "fire", |_, cx| fire(cx, "hello"));
    assert_eq!(container.tick("fire"), ["alpha1 fire", "beta2 fire", "alpha1 hello"]);
}

#[test]
fn an_initial_event_on_a_null_activity_creates_root_entities() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.fire(null, &Begin { word: "again".to_owned() })
    });
    on("alpha", "end 1", |_, cx| cx.end_activity(null(cx)));
    let trace = container.tick("create");
    assert_eq!(trace, ["alpha1 create", "beta2 create", "alpha3 again", "beta4 again"]);
    assert_eq!(container.activities(), 2);
}

#[test]
fn a_null_activity_that_nobody_holds_ends_by_itself() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| cx.create_null_activity().map(drop));
    container.fire("tick", "create");
    assert_eq!(container.activities(), 1);
}

#[test]
fn a_null_activity_ends_when_its_last_entity_detaches() {
    let mut container = with_null_activity();
    on("alpha", "leave", |_, cx| cx.detach_from(cx.entity(), null(cx)));
    assert_eq!(container.activities(), 2);
    container.fire("tick", "leave");
    assert_eq!(container.activities(), 1);
}

#[test]
fn a_name_holds_a_null_activity_until_it_is_taken_away() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.bind_name(null, "room")
    });
    on("beta", "free", |_, cx| cx.unbind_name("room"));
    container.fire("tick", "create");
    assert_eq!(container.activities(), 2);
    container.fire("tick", "free");
    assert_eq!(container.activities(), 1);
}

#[test]
fn a_name_alone_does_not_keep_a_call_that_is_over() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.bind_name(null, "room")
    });
    container.fire("tick", "create");
    container.end(1);
    assert_eq!(container.activities(), 0);
}

#[test]
fn the_end_of_a_null_activity_is_its_last_event() {
    let mut container = with_null_activity();
    on("beta", "end", |_, cx| {
        fire(cx, "one")?;
        cx.end_activity(null(cx))
    });
    let trace = container.tick("end");
    assert_eq!(trace, ["alpha1 end", "beta2 end", "alpha1 one", "alpha1 end 2"]);
    assert_eq!(container.activities(), 1);
}

#[test]
fn a_null_activity_that_was_ended_takes_no_more_events_nor_attachments() {
    let mut container = with_null_activity();
    on("alpha", "end", |_, cx| {
        cx.end_activity(null(cx))?;
        assert!(cx.is_ending(null(cx)) && fire(cx, "late").is_err());
        Ok(())
    });
    on("beta", "end", |_, cx| {
        assert!(cx.is_ending(null(cx)), "also for who comes later in the same turn");
        assert!(fire(cx, "late").is_err() && cx.attach(cx.entity(), null(cx)).is_err());
        Ok(())
    });
    assert_eq!(container.tick("end"), ["alpha1 end", "beta2 end", "alpha1 end 2"]);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_tree_lives_on_with_its_null_activity_when_the_call_is_over() {
    let mut container = with_null_activity();
    on("alpha", "end 1", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), std::time::Duration::from_secs(5));
        // What this SBB does at each end (it ends its null activities) shall not be committed.
        fail()
    });
    on("alpha", "timer 1", |_, cx| cx.end_activity(null(cx)));
    on("alpha", "rolled back end 1", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), std::time::Duration::from_secs(5));
        Ok(())
    });
    container.end(1);
    assert_eq!((container.entities("alpha"), container.activities()), (vec![1], 1));
    container.trace();
    container.pass_seconds(6);
    assert_eq!(container.trace(), ["alpha1 timer 1", "alpha1 end 2"]);
    assert_eq!(container.activities(), 0);
}

#[test]
fn a_null_activity_and_what_an_adaptor_starts_in_the_same_transaction_are_two() {
    let mut container = Container::begun();
    on("alpha", "both", |_, cx| {
        cx.send(&"start")?;
        let null = cx.create_null_activity()?;
        note(format!("{}", null.number));
        cx.attach(cx.entity(), null)?;
        cx.fire(null, &Tock { word: "on null".to_owned() })
    });
    assert_eq!(container.tick("both"), ["alpha1 both", "2", "beta2 both", "alpha1 on null"]);
    container.fire_on(3, "begin", "on the adaptor's");
    let there = ["alpha3 on the adaptor's", "beta4 on the adaptor's"];
    assert_eq!(container.trace(), there);
    assert_eq!(container.activities(), 3);
}

#[test]
fn no_adaptor_takes_a_command_for_a_null_activity() {
    let mut container = with_null_activity();
    on("alpha", "send", |_, cx| cx.send_on(null(cx), &"hello"));
    container.fire("tick", "send");
    assert!(container.has_alarm("command refused"));
}

#[test]
fn the_adaptor_does_not_hear_of_what_fails_on_a_null_activity() {
    let mut container = with_null_activity();
    on("beta", "fire", |_, cx| fire(cx, "fail"));
    on("alpha", "fail", |_, _| fail());
    container.sent();
    container.fire("tick", "fire");
    assert_eq!(container.sent(), [""; 0]);
}

#[test]
fn a_null_activity_is_there_again_after_a_restart() {
    let mut container = with_null_activity();
    on("beta", "fire", |_, cx| fire(cx, "hello"));
    container.restart();
    assert_eq!(container.tick("fire"), ["alpha1 fire", "beta2 fire", "alpha1 hello"]);
}

#[test]
fn a_null_activity_stays_while_an_event_of_it_waits_to_be_tried_again() {
    let mut container = Container::begun();
    on("keeper", "null", |_, _| fail());
    on("alpha", "fire", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.fire(null, &Keep { word: "null".to_owned() })
    });
    container.fire("tick", "fire");
    assert_eq!(container.activities(), 2);
    on("keeper", "null", |_, cx| {
        note(format!("ends: {}", cx.is_ending(cx.activity())));
        cx.end_activity(cx.activity())
    });
    container.trace();
    container.pass_seconds(5);
    assert_eq!(container.trace(), ["keeper3 null", "ends: false", "keeper3 end 2"]);
}

#[test]
fn a_null_activity_ends_once_what_waited_is_given_up() {
    let mut container = Container::begun();
    on("keeper", "null", |_, _| fail());
    on("alpha", "fire", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.fire(null, &Keep { word: "null".to_owned() })
    });
    container.fire("tick", "fire");
    container.pass_seconds(600);
    assert_eq!(container.activities(), 1);
}
