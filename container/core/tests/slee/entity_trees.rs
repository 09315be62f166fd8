//! SBB entity trees (chapter 6): children, their names, their removal, and when a tree ends.

use crate::container::Container;
use crate::script::{fail, note, on};
use resilee_sbb::Failure;

/// `alpha1` at a word creates a child that gets ticks, and keeps it in mind.
pub fn with_child(relation: &'static str) -> Container {
    let container = Container::begun();
    on("alpha", "create", move |me, cx| {
        let child = cx.create_child(relation)?;
        me.child = Some(child);
        cx.attach(child, cx.activity())
    });
    container
}

#[test]
fn a_child_gets_events_once_it_is_attached() {
    let mut container = Container::begun();
    on("alpha", "create", |me, cx| {
        me.child = Some(cx.create_child("left")?);
        Ok(())
    });
    on("alpha", "attach", |me, cx| cx.attach(me.child.expect("created"), cx.activity()));
    assert_eq!(container.tick("create"), ["alpha1 create", "beta2 create"]);
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
    assert_eq!(container.tick("attach"), ["alpha1 attach", "left3 attach", "beta2 attach"]);
}

#[test]
fn a_child_that_is_created_and_attached_gets_the_same_event() {
    let mut container = with_child("left");
    assert_eq!(container.tick("create"), ["alpha1 create", "left3 create", "beta2 create"]);
}

#[test]
fn children_are_found_in_the_order_in_which_they_were_created() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| {
        let first = cx.create_child("left")?;
        let other = cx.create_child("right")?;
        let second = cx.create_child("left")?;
        note(format!("{} {} {}", first.number, other.number, second.number));
        Ok(())
    });
    on("alpha", "look", |_, cx| {
        let numbers = |relation| cx.children(relation).iter().map(|it| it.number).collect();
        let (left, right): (Vec<_>, Vec<_>) = (numbers("left"), numbers("right"));
        note(format!("{left:?} {right:?}"));
        Ok(())
    });
    container.fire("tick", "create");
    container.fire("tick", "look");
    let trace = container.trace();
    assert_eq!((&*trace[1], &*trace[4]), ("3 4 5", "[3, 5] [4]"));
}

#[test]
fn a_named_child_is_found_by_its_name_in_its_relation() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| cx.create_named_child("left", "first").map(drop));
    on("alpha", "look", |_, cx| {
        let found = |relation, name| cx.child(relation, name).map(|child| child.number);
        let all = [found("left", "first"), found("right", "first"), found("left", "other")];
        note(format!("{all:?}"));
        Ok(())
    });
    container.fire("tick", "create");
    container.fire("tick", "look");
    assert_eq!(container.trace()[3], "[Some(3), None, None]");
}

#[test]
fn a_name_is_taken_once_in_a_relation_and_free_after_the_removal() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| cx.create_named_child("left", "first").map(drop));
    on("alpha", "replace", |_, cx| {
        let child = cx.child("left", "first").expect("created");
        cx.remove_child(child)?;
        cx.create_named_child("left", "first").map(drop)
    });
    on("alpha", "look", |_, cx| {
        note(format!("{:?}", cx.children("left").len()));
        Ok(())
    });
    container.fire("tick", "create");
    container.fire("tick", "create");
    assert!(container.has_alarm("there is a child \"first\" in \"left\" already"));
    container.trace();
    container.fire("tick", "replace");
    assert_eq!(container.tick("look")[2..], ["alpha1 look", "1", "beta2 look"]);
}

#[test]
fn a_relation_that_the_sbb_does_not_have_is_a_failure() {
    let mut container = Container::begun();
    on("alpha", "create", |_, cx| cx.create_child("middle").map(drop));
    container.fire("tick", "create");
    assert!(container.has_alarm("alpha has no child relation \"middle\""));
}

#[test]
fn a_child_knows_its_parent_and_a_root_has_none() {
    let mut container = with_child("left");
    for sbb in ["alpha", "left"] {
        on(sbb, "look", |_, cx| {
            note(format!("{:?}", cx.parent().map(|parent| parent.number)));
            Ok(())
        });
    }
    container.fire("tick", "create");
    container.trace();
    let trace = container.tick("look");
    assert_eq!(trace[..4], ["alpha1 look", "None", "left3 look", "Some(1)"]);
}

/// They go with it, so that there is room for as many.
#[test]
fn timers_of_a_child_that_is_removed_do_not_count() {
    let mut container = with_child("left");
    let day = std::time::Duration::from_secs(86_400);
    for (word, first) in [("one half", 0), ("the other half", 128)] {
        on("left", word, move |_, cx| {
            (first..first + 128).for_each(|timer| cx.set_timer(resilee_sbb::TimerId(timer), day));
            Ok(())
        });
    }
    on("alpha", "replace", move |me, cx| {
        cx.remove_child(me.child.expect("created"))?;
        cx.set_timer(resilee_sbb::TimerId(1), day);
        Ok(())
    });
    for word in ["create", "one half", "the other half", "replace"] {
        container.fire("tick", word);
    }
    assert_eq!(container.alarms(), [""; 0]);
    assert_eq!(container.entities("left"), [0; 0]);
}

#[test]
fn the_removal_of_a_child_takes_those_below_it_and_their_attachments() {
    let mut container = with_child("left");
    on("left", "create", |_, cx| {
        let low = cx.create_child("low")?;
        cx.attach(low, cx.activity())
    });
    on("alpha", "remove", |me, cx| cx.remove_child(me.child.expect("created")));
    container.fire("tick", "create");
    assert_eq!(container.entities("alpha"), [1, 3, 4]);
    container.trace();
    assert_eq!(container.tick("remove"), ["alpha1 remove", "beta2 remove"]);
    assert_eq!(container.entities("alpha"), [1]);
}

#[test]
fn a_child_that_is_created_and_removed_at_once_leaves_nothing() {
    let mut container = Container::begun();
    on("alpha", "both", |_, cx| {
        let child = cx.create_child("left")?;
        cx.attach(child, cx.activity())?;
        crate::script::ask(cx, child, "set a timer")?;
        cx.remove_child(child)
    });
    crate::script::on_call("left", "set a timer", |_, cx| {
        cx.set_timer(resilee_sbb::TimerId(1), std::time::Duration::from_secs(60));
        Ok("set".to_owned())
    });
    let trace = container.tick("both");
    assert_eq!(trace, ["alpha1 both", "left3 called: set a timer", "beta2 both"]);
    assert_eq!(container.entities("alpha"), [1]);
}

#[test]
fn only_what_is_below_can_be_removed() {
    let mut container = with_child("left");
    on("left", "remove", |_, cx| cx.remove_child(cx.parent().expect("a child")));
    container.fire("tick", "create");
    container.fire("tick", "remove");
    assert!(container.has_alarm("is not below"));
    assert_eq!(container.entities("alpha"), [1, 3]);
}

#[test]
fn a_removed_entity_cannot_be_used() {
    let mut container = with_child("left");
    on("alpha", "remove", |me, cx| {
        let child = me.child.expect("created");
        cx.remove_child(child)?;
        let activity = cx.activity();
        let refused: Vec<Failure> = [cx.attach(child, activity), cx.set_priority(child, 1)]
            .into_iter()
            .filter_map(Result::err)
            .collect();
        note(format!("{}", refused.len()));
        Ok(())
    });
    container.fire("tick", "create");
    container.trace();
    assert_eq!(container.tick("remove"), ["alpha1 remove", "2", "beta2 remove"]);
}

#[test]
fn a_tree_lives_as_long_as_one_of_its_entities_is_attached() {
    let mut container = with_child("left");
    on("alpha", "detach", |_, cx| {
        cx.detach();
        Ok(())
    });
    on("left", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    container.fire("tick", "create");
    container.fire("tick", "detach");
    assert_eq!(container.entities("alpha"), [1, 3], "the child is attached");
    container.fire("tick", "leave");
    assert_eq!(container.entities("alpha"), [0u32; 0]);
    assert_eq!(container.entities("beta"), [2]);
}

#[test]
fn a_tree_attached_to_two_activities_outlives_the_end_of_one() {
    let mut container = with_child("left");
    container.say("c1 start");
    on("alpha", "attach", |_, cx| {
        let cell = cx.entity().cell;
        cx.attach(cx.entity(), resilee_sbb::ActivityId { cell, number: 2 })
    });
    container.fire("tick", "attach");
    container.end(1);
    assert_eq!((container.entities("alpha").len(), container.entities("beta").len()), (1, 0));
    container.trace();
    container.fire_on(2, "tick", "hello");
    assert_eq!(container.trace(), ["alpha1 hello"]);
    container.end(2);
    assert_eq!(container.entities("alpha").len(), 0);
}

#[test]
fn a_root_entity_that_detaches_in_its_first_event_is_reclaimed() {
    let mut container = Container::with_activity();
    on("alpha", "begin", |_, cx| {
        cx.detach();
        Ok(())
    });
    container.fire("begin", "begin");
    assert_eq!(container.entities("alpha").len(), 0);
    assert_eq!(container.tick("hello"), ["alpha1 begin", "beta2 begin", "beta2 hello"]);
}

#[test]
fn a_root_entity_whose_first_event_fails_is_not_created() {
    let mut container = Container::with_activity();
    on("alpha", "begin", |_, _| fail());
    container.fire("begin", "begin");
    assert_eq!(container.entities("alpha").len(), 0);
    container.trace();
    container.fire("begin", "again");
    assert_eq!(container.trace(), ["alpha3 again", "beta2 again"], "a later one is created");
}

#[test]
fn after_a_failure_a_service_that_wants_that_loses_its_whole_tree() {
    let mut container = Container::with_activity();
    on("fragile", "first", |_, cx| {
        let child = cx.create_child("left")?;
        cx.attach(child, cx.activity())
    });
    on("left", "fail", |_, _| fail());
    container.fire("break", "first");
    assert_eq!(container.entities("fragile"), [1, 2]);
    container.fire("tick", "fail");
    assert_eq!(container.entities("fragile"), [0u32; 0]);
    let trace = container.trace();
    assert!(!trace.iter().any(|line| line.contains("rolled back")), "nobody is left: {trace:?}");
}

#[test]
fn the_state_of_each_entity_is_its_own_and_is_kept() {
    let mut container = with_child("left");
    for sbb in ["alpha", "left", "beta"] {
        on(sbb, "count", |me, _| {
            note(format!("{}", me.count));
            Ok(())
        });
    }
    container.fire("tick", "create");
    container.restart();
    container.trace();
    let trace = container.tick("count");
    assert_eq!(trace, ["alpha1 count", "3", "left3 count", "2", "beta2 count", "3"]);
}

/// A tree that its policy removed is as one that came to its end.
#[test]
fn a_service_whose_tree_was_removed_begins_anew_with_the_next_initial_event() {
    let mut container = Container::with_activity();
    on("fragile", "fail", |_, _| fail());
    container.fire("break", "begin");
    container.fire("tick", "fail");
    container.trace();
    assert_eq!(container.tick("hello"), [""; 0], "it gets no later event");
    container.fire("break", "again");
    assert_eq!(container.trace(), ["fragile2 again"]);
}

#[test]
fn the_number_of_a_child_that_was_created_and_removed_is_not_given_again() {
    let mut container = Container::begun();
    on("alpha", "create", |me, cx| {
        let child = cx.create_child("left")?;
        me.child = Some(child);
        cx.remove_child(child)
    });
    on("alpha", "other", |me, cx| {
        let other = cx.create_child("right")?;
        note(format!("{} {}", me.child.expect("created").number, other.number));
        Ok(())
    });
    container.fire("tick", "create");
    container.trace();
    assert_eq!(container.tick("other")[1], "3 4");
}
