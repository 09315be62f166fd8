//! Transactions (chapter 9): what a failure does, and who hears of it.

use crate::container::Container;
use crate::script::{fail, note, on, selects};
use resilee_sbb::{ActivityId, InitialEvent, TraceLevel};

#[test]
fn an_exception_is_told_to_its_entity_in_the_same_transaction_then_the_roll_back_in_a_new_one() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    let told = [
        "alpha1 fail",
        "alpha1 exception: as it was told",
        "alpha1 rolled back: as it was told",
        "beta2 fail",
    ];
    assert_eq!(container.tick("fail"), told);
}

#[test]
fn what_is_asked_for_in_exception_thrown_is_dropped_and_its_traces_stay() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    on("alpha", "exception fail", |me, cx| {
        me.count = 100;
        cx.trace(TraceLevel::Warning, "it failed");
        cx.set_attribute("price", &5)
    });
    on("alpha", "look", |me, cx| {
        note(format!("{} {:?}", me.count, cx.attribute::<i32>("price")?));
        Ok(())
    });
    container.fire("tick", "fail");
    container.trace();
    assert_eq!(container.tick("look")[1], "2 None");
    assert_eq!(container.service_trace(), ["it failed"]);
}

#[test]
fn what_rolled_back_asks_for_is_committed() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    on("alpha", "rolled back fail", |me, cx| {
        me.count = 100;
        cx.set_attribute("price", &5)
    });
    on("alpha", "look", |me, cx| {
        note(format!("{} {:?}", me.count, cx.attribute::<i32>("price")?));
        Ok(())
    });
    container.fire("tick", "fail");
    container.trace();
    assert_eq!(container.tick("look")[1], "101 Some(5)");
}

#[test]
fn a_failure_of_rolled_back_is_not_reported_again() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    on("alpha", "rolled back fail", |_, _| fail());
    let told = [
        "alpha1 fail",
        "alpha1 exception: as it was told",
        "alpha1 rolled back: as it was told",
        "beta2 fail",
    ];
    assert_eq!(container.tick("fail"), told);
}

#[test]
fn an_entity_that_would_have_been_created_does_not_hear_of_the_roll_back() {
    let mut container = Container::with_activity();
    on("alpha", "fail", |_, _| fail());
    container.fire("begin", "fail");
    let told = ["alpha1 fail", "alpha1 exception: as it was told", "beta2 fail"];
    assert_eq!(container.trace(), told);
}

#[test]
fn a_child_hears_of_its_own_roll_back() {
    let mut container = crate::entity_trees::with_child("left");
    container.fire("tick", "create");
    container.trace();
    on("left", "fail", |_, _| fail());
    let told = [
        "alpha1 fail",
        "left3 fail",
        "left3 exception: as it was told",
        "left3 rolled back: as it was told",
        "beta2 fail",
    ];
    assert_eq!(container.tick("fail"), told);
}

#[test]
fn a_panic_is_a_failure() {
    let mut container = Container::begun();
    on("alpha", "panic", |_, _| panic!("out of order"));
    let told = [
        "alpha1 panic",
        "alpha1 exception: panicked: out of order",
        "alpha1 rolled back: panicked: out of order",
        "beta2 panic",
    ];
    assert_eq!(container.tick("panic"), told);
    assert!(container.has_alarm("panicked: out of order"));
}

#[test]
fn a_panic_in_exception_thrown_changes_nothing() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    on("alpha", "exception fail", |_, _| panic!("out of order"));
    let trace = container.tick("fail");
    assert_eq!(trace[2..], ["alpha1 rolled back: as it was told", "beta2 fail"]);
    assert!(container.has_alarm("rolled back: as it was told"));
}

#[test]
fn a_transaction_marked_for_roll_back_rolls_back_without_an_exception() {
    let mut container = Container::begun();
    on("alpha", "mark", |_, cx| {
        assert!(!cx.is_rollback_only());
        cx.set_rollback_only("it had second thoughts");
        assert!(cx.is_rollback_only());
        Ok(())
    });
    let told = ["alpha1 mark", "alpha1 rolled back: it had second thoughts", "beta2 mark"];
    assert_eq!(container.tick("mark"), told);
}

#[test]
fn the_first_reason_to_roll_back_is_the_one_that_is_told() {
    let mut container = Container::begun();
    on("alpha", "mark", |_, cx| {
        cx.set_rollback_only("the first");
        cx.set_rollback_only("the second");
        Ok(())
    });
    assert_eq!(container.tick("mark")[1], "alpha1 rolled back: the first");
}

#[test]
fn each_delivery_of_an_event_is_a_transaction_of_its_own() {
    let mut container = Container::begun();
    on("alpha", "price", |_, cx| cx.set_attribute("price", &5));
    on("beta", "price", |_, cx| {
        note(format!("{:?}", cx.attribute::<i32>("cost")?));
        cx.set_attribute("cost", &6)?;
        fail()
    });
    on("alpha", "look", |_, cx| {
        note(format!("{:?}", cx.attribute::<i32>("price")?));
        Ok(())
    });
    assert_eq!(container.tick("price")[2], "Some(5)", "the first one has committed");
    assert_eq!(container.tick("look")[1], "Some(5)", "the second one has not");
}

#[test]
fn an_event_of_a_service_that_wants_that_is_tried_again_with_its_child() {
    let mut container = Container::with_activity();
    on("keeper", "begin", |_, cx| {
        let child = cx.create_child("left")?;
        cx.attach(child, cx.activity())
    });
    on("left", "fail", |me, _| {
        me.count = 7;
        fail()
    });
    container.fire("keep", "begin");
    container.fire("tick", "fail");
    let trace = container.trace();
    assert_eq!(trace.last().map(String::as_str), Some("left2 exception: as it was told"));
    on("left", "fail", |_, _| Ok(()));
    container.pass_seconds(2);
    assert_eq!(container.trace(), ["left2 fail"]);
}

#[test]
fn what_waits_to_be_tried_again_goes_with_its_entity() {
    let mut container = Container::with_activity();
    on("keeper", "begin", |me, cx| {
        me.child = Some(cx.create_child("left")?);
        cx.attach(me.child.expect("created"), cx.activity())
    });
    on("keeper", "remove", |me, cx| cx.remove_child(me.child.expect("created")));
    on("left", "fail", |_, _| fail());
    container.fire("keep", "begin");
    container.fire("tick", "fail");
    container.fire("tick", "remove");
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace(), [""; 0]);
    assert_eq!(container.alarms(), [""; 0], "nothing is tried again any more");
}

#[test]
fn an_entity_hears_of_the_roll_back_once_its_event_is_given_up() {
    let mut container = Container::with_activity();
    container.fire("keep", "begin");
    on("keeper", "fail", |_, _| fail());
    container.fire("tick", "fail");
    let told = "keeper1 rolled back: as it was told";
    assert!(!container.trace().contains(&told.to_owned()), "it gets the event again");
    container.pass_seconds(600);
    let trace = container.trace();
    assert_eq!(trace.iter().filter(|line| *line == told).count(), 1, "{trace:?}");
    assert_eq!(trace.last().map(String::as_str), Some(told));
    assert_eq!(container.tick("hello"), ["keeper1 hello"]);
}

#[test]
fn a_tree_that_only_waited_goes_once_it_has_heard_that_its_event_is_given_up() {
    for fails in [false, true] {
        let mut container = Container::with_activity();
        container.fire("keep", "begin");
        on("keeper", "fail", |_, _| fail());
        on("keeper", "rolled back fail", move |_, _| if fails { fail() } else { Ok(()) });
        container.fire("tick", "fail");
        container.end(1);
        container.pass_seconds(600);
        let told = "keeper1 rolled back: as it was told".to_owned();
        assert_eq!(container.trace().last(), Some(&told));
        assert_eq!(container.activities() + container.entities("keeper").len(), 0);
    }
}

#[test]
fn who_hears_that_its_initial_event_is_given_up_is_not_attached_by_it() {
    let mut container = Container::with_activity();
    container.say("c1 start");
    selects("patient", |_, _| Ok(InitialEvent::by().cell().custom_name("one")));
    container.fire("wait", "begin");
    on("patient", "fail", |_, _| fail());
    on("patient", "rolled back fail", |_, cx| {
        note(format!("{}", cx.activities().len()));
        cx.detach_from(cx.entity(), ActivityId { number: 2, ..cx.activity() })
    });
    container.fire_on(2, "wait", "fail");
    container.trace();
    container.pass_seconds(600);
    container.trace();
    container.fire_on(2, "tick", "hello");
    assert_eq!(container.trace(), [""; 0]);
}

/// Deliveries are counted from 1 by each run, and their numbers are all that differs between the
/// seeds of one cell.
#[test]
fn two_deliveries_of_a_call_do_not_draw_the_same_random_numbers() {
    let mut container = Container::begun();
    on("alpha", "draw", |_, cx| {
        let number = cx.random();
        note(format!("drew {number}"));
        Ok(())
    });
    let drawn = |trace: Vec<String>| trace.into_iter().find(|line| line.starts_with("drew"));
    let before = drawn(container.tick("draw"));
    container.restart();
    container.tick("other");
    assert_ne!(drawn(container.tick("draw")), before);
}
