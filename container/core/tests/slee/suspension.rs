//! Event contexts (chapter 8): an event whose delivery is suspended, and goes on.

use crate::container::Container;
use crate::entity_trees::with_child;
use crate::script::{fail, note, on, selects};
use resilee_core::management::Changed;
use resilee_sbb::{ActivityId, Context, Failure, InitialEvent};
use std::time::Duration;

/// `alpha1` suspends an event for 10 s at `wait`, and can resume it by an event of the second
/// activity.
pub fn suspended() -> Container {
    let mut container = Container::begun();
    script();
    container.say("c1 start");
    container.fire("tick", "attach");
    container.trace();
    assert_eq!(container.tick("wait"), ["alpha1 wait"]);
    container
}

/// The same for `alpha1` of any node.
pub fn script() {
    on("alpha", "attach", |_, cx| cx.attach(cx.entity(), second(cx)));
    on("alpha", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    on("alpha", "go on", |_, cx| resume(cx));
}

fn second(cx: &Context<'_>) -> ActivityId {
    ActivityId { number: 2, ..cx.activity() }
}

fn resume(cx: &mut Context<'_>) -> Result<(), Failure> {
    cx.resume_event(ActivityId { number: 1, ..cx.activity() })
}

#[test]
fn a_suspended_event_goes_on_to_who_has_not_had_it_when_it_is_resumed() {
    let mut container = suspended();
    container.fire_on(2, "tick", "go on");
    assert_eq!(container.trace(), ["alpha1 go on", "beta2 wait"]);
}

#[test]
fn a_suspended_event_goes_on_by_itself_once_its_time_is_over() {
    let mut container = suspended();
    container.pass_seconds(9);
    assert_eq!(container.trace(), [""; 0]);
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["beta2 wait"]);
    container.pass_seconds(60);
    assert_eq!(container.trace(), [""; 0], "once");
}

#[test]
fn an_event_that_was_resumed_does_not_go_on_again_at_its_time() {
    let mut container = suspended();
    container.fire_on(2, "tick", "go on");
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace(), [""; 0]);
}

#[test]
fn later_events_of_the_activity_wait_behind_a_suspended_one_in_their_order() {
    let mut container = suspended();
    container.fire("tock", "two");
    container.fire("tick", "three");
    assert_eq!(container.trace(), [""; 0]);
    container.fire_on(2, "tick", "go on");
    let all =
        ["alpha1 go on", "beta2 wait", "alpha1 two", "beta2 two", "alpha1 three", "beta2 three"];
    assert_eq!(container.trace(), all);
}

#[test]
fn events_of_another_activity_do_not_wait() {
    let mut container = suspended();
    container.fire_on(2, "tick", "hello");
    assert_eq!(container.trace(), ["alpha1 hello"]);
}

#[test]
fn the_end_of_the_activity_waits_too_and_is_last() {
    let mut container = suspended();
    container.fire("tick", "two");
    container.end(1);
    assert_eq!(container.trace(), [""; 0]);
    container.pass_seconds(11);
    let all = ["beta2 wait", "alpha1 two", "beta2 two", "alpha1 end 1", "beta2 end 1"];
    assert_eq!(container.trace(), all);
}

#[test]
fn an_entity_attached_meanwhile_gets_the_event_when_it_goes_on() {
    let mut container = suspended();
    on("alpha", "grow", |_, cx| {
        let child = cx.create_child("left")?;
        cx.attach(child, ActivityId { number: 1, ..cx.activity() })
    });
    container.fire_on(2, "tick", "grow");
    container.trace();
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["left3 wait", "beta2 wait"]);
}

#[test]
fn an_event_can_be_suspended_again_by_the_next_that_gets_it() {
    let mut container = suspended();
    on("beta", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    container.fire("tick", "two");
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["beta2 wait"]);
    container.pass_seconds(10);
    assert_eq!(container.trace(), ["alpha1 two", "beta2 two"]);
}

#[test]
fn an_event_is_not_suspended_by_a_transaction_that_rolls_back() {
    let mut container = Container::begun();
    on("alpha", "wait", |_, cx| {
        cx.suspend_event(Duration::from_secs(10))?;
        fail()
    });
    let trace = container.tick("wait");
    assert_eq!(trace.last().map(String::as_str), Some("beta2 wait"));
}

#[test]
fn an_event_that_is_not_suspended_cannot_be_resumed() {
    let mut container = Container::begun();
    on("alpha", "go on", |_, cx| resume(cx));
    container.fire("tick", "go on");
    assert!(container.has_alarm("no event of activity"));
}

#[test]
fn what_one_transaction_suspends_it_cannot_resume() {
    let mut container = Container::begun();
    on("alpha", "both", |_, cx| {
        cx.suspend_event(Duration::from_secs(10))?;
        note(format!("{:?}", resume(cx).is_err()));
        Ok(())
    });
    assert_eq!(container.tick("both"), ["alpha1 both", "true"]);
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["beta2 both"]);
}

#[test]
fn neither_a_timer_nor_the_end_of_an_activity_can_be_suspended() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), Duration::from_secs(1));
        Ok(())
    });
    for word in ["timer 1", "end 1"] {
        on("alpha", word, |_, cx| {
            note(format!("{:?}", cx.suspend_event(Duration::from_secs(10)).is_err()));
            Ok(())
        });
    }
    container.fire("tick", "set");
    container.trace();
    container.pass_seconds(2);
    container.end(1);
    let all = ["alpha1 timer 1", "true", "alpha1 end 1", "true", "beta2 end 1"];
    assert_eq!(container.trace(), all);
}

#[test]
fn timers_fire_while_an_event_is_suspended() {
    let mut container = Container::begun();
    on("alpha", "wait", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), Duration::from_secs(1));
        cx.suspend_event(Duration::from_secs(10))
    });
    container.fire("tick", "wait");
    container.trace();
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["alpha1 timer 1"]);
}

#[test]
fn an_event_is_not_suspended_for_longer_than_is_allowed() {
    let mut container = Container::begun();
    on("alpha", "wait", |_, cx| {
        cx.suspend_event(resilee_sbb::SUSPENDED_MAX + Duration::from_millis(1))
    });
    container.fire("tick", "wait");
    assert!(container.has_alarm("is suspended for 3600s at most"));
}

#[test]
fn the_adaptor_hears_of_a_failure_when_the_event_is_done() {
    let mut container = suspended();
    on("beta", "wait", |_, _| fail());
    container.sent();
    container.pass_seconds(11);
    assert_eq!(container.sent(), ["c1 failed on 1"]);
}

#[test]
fn a_suspended_event_waits_over_a_restart() {
    let mut container = suspended();
    container.fire("tick", "two");
    container.restart();
    assert_eq!(container.trace(), [""; 0]);
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["beta2 wait", "alpha1 two", "beta2 two"]);
}

#[test]
fn an_event_that_is_tried_again_cannot_be_suspended_any_more() {
    let mut container = Container::with_activity();
    container.fire("keep", "begin");
    on("keeper", "wait", |_, _| fail());
    container.fire("tick", "wait");
    on("keeper", "wait", |_, cx| {
        let refused = cx.suspend_event(Duration::from_secs(60)).expect_err("the others had it");
        note(refused.to_string());
        Ok(())
    });
    container.trace();
    container.pass_seconds(2);
    let refused = "test.tick is tried again, and cannot be suspended any more";
    assert_eq!(container.trace(), ["keeper1 wait", refused]);
}

/// Nobody else would resume it.
#[test]
fn what_an_entity_has_suspended_goes_on_once_an_operator_has_removed_it() {
    let mut container = suspended();
    assert_eq!(container.remove("e1"), Some(Changed::Done));
    assert_eq!(container.trace(), ["beta2 wait"]);
}

#[test]
fn what_an_entity_has_suspended_goes_on_once_a_roll_back_has_removed_it() {
    let mut container = Container::begun();
    container.say("c1 start");
    container.fire_on(2, "break", "begin");
    on("fragile", "attach", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 1, ..cx.activity() })
    });
    on("fragile", "hold", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    on("fragile", "fall", |_, _| fail());
    container.fire_on(2, "tick", "attach");
    container.fire_on(1, "tick", "hold");
    container.fire_on(1, "tick", "behind");
    assert!(!container.trace().contains(&"alpha1 behind".to_owned()));
    container.fire_on(2, "tick", "fall");
    assert_eq!(container.entities("fragile"), [0; 0]);
    let told = "fragile3 exception: as it was told";
    assert_eq!(container.trace()[1..], [told, "alpha1 behind", "beta2 behind"]);
}

/// Its root goes with it, since nothing of the tree is attached any more.
#[test]
fn what_a_child_has_suspended_goes_on_once_an_operator_has_removed_it() {
    let mut container = with_child("left");
    on("left", "hold", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    on("alpha", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    container.fire("tick", "create");
    container.fire("tick", "leave");
    container.fire("tick", "hold");
    container.trace();
    assert_eq!(container.remove("e3"), Some(Changed::Done));
    assert_eq!(container.entities("alpha"), [0; 0]);
    assert_eq!(container.trace(), ["beta2 hold"]);
}

/// Its service could be removed by then, while it still holds the call.
#[test]
fn what_an_entity_has_suspended_goes_on_once_it_lets_go_of_everything() {
    let mut container = suspended();
    on("alpha", "leave", |_, cx| {
        cx.detach_from(cx.entity(), cx.activity())?;
        cx.detach_from(cx.entity(), ActivityId { number: 1, ..cx.activity() })
    });
    container.fire("tick", "behind");
    container.fire_on(2, "tick", "leave");
    assert_eq!(container.entities("alpha"), [0; 0]);
    assert_eq!(container.trace(), ["alpha1 leave", "beta2 wait", "beta2 behind"]);
}

#[test]
fn what_an_entity_suspends_that_lets_go_of_everything_at_once_goes_on_at_once() {
    let mut container = Container::begun();
    on("alpha", "wait", |_, cx| {
        cx.detach();
        cx.suspend_event(Duration::from_secs(10))
    });
    assert_eq!(container.tick("wait"), ["alpha1 wait", "beta2 wait"]);
    container.pass_seconds(11);
    assert_eq!(container.trace(), [""; 0], "once");
}

#[test]
fn what_an_entity_has_suspended_goes_on_once_the_last_activity_is_over_that_it_is_attached_to() {
    let mut container = suspended();
    on("alpha", "turn away", |_, cx| {
        cx.detach_from(cx.entity(), ActivityId { number: 1, ..cx.activity() })
    });
    container.fire_on(2, "tick", "turn away");
    assert_eq!(container.trace(), ["alpha1 turn away"]);
    container.end(2);
    assert_eq!(container.trace(), ["alpha1 end 2", "beta2 wait"]);
}

/// It may resume it.
#[test]
fn what_an_entity_has_suspended_waits_while_its_service_has_another_one_in_the_call() {
    let mut container = suspended();
    container.say("c1 start");
    container.fire_on(3, "begin", "begin");
    assert_eq!(container.entities("alpha").len(), 2);
    on("alpha", "leave", |_, cx| {
        if cx.entity().number == 1 {
            cx.detach_from(cx.entity(), ActivityId { number: 1, ..cx.activity() })?;
            cx.detach();
        }
        Ok(())
    });
    container.fire_on(2, "tick", "leave");
    assert_eq!(container.entities("alpha").len(), 1);
    let trace = container.trace();
    assert!(!trace.iter().any(|line| line == "beta2 wait"), "{trace:?}");
    container.pass_seconds(11);
    assert_eq!(container.trace(), ["beta2 wait"]);
}

/// It would be created by it again and again, in one turn.
#[test]
fn an_event_whose_root_entity_suspends_it_and_lets_go_of_everything_creates_it_once() {
    suspends_and_lets_go(Container::with_activity());
}

#[test]
fn an_event_whose_root_entity_was_there_and_suspends_it_and_lets_go_of_everything_comes_once() {
    suspends_and_lets_go(Container::begun());
}

#[track_caller]
fn suspends_and_lets_go(mut container: Container) {
    on("alpha", "wait", |_, cx| {
        cx.detach();
        cx.suspend_event(Duration::from_secs(10))
    });
    container.fire("begin", "wait");
    assert_eq!(container.trace(), ["alpha1 wait", "beta2 wait"]);
    assert_eq!(container.entities("alpha"), [0; 0]);
}

/// What the event's entities were is known also where it goes on after a restart.
#[test]
fn a_named_root_entity_that_is_gone_is_not_begun_anew_by_an_event_that_waited_meanwhile() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    container.fire("keep", "begin");
    container.fire("choose", "begin");
    container.trace();
    on("chooser", "bye", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), Duration::from_secs(1));
        cx.suspend_event(Duration::from_secs(10))
    });
    on("chooser", "timer 1", |_, cx| {
        cx.detach_from(cx.entity(), ActivityId { number: 1, ..cx.activity() })
    });
    container.fire("choose", "bye");
    container.restart();
    container.pass_seconds(11);
    let trace = container.trace();
    assert!(!trace.iter().any(|line| line.ends_with("3 bye")), "{trace:?}");
    assert_eq!(container.entities("chooser"), [0; 0]);
}
