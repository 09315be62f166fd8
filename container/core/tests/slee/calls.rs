//! Calls between entities of a tree (chapter 6, SBB local interface): in one transaction.

use crate::container::Container;
use crate::entity_trees::with_child;
use crate::script::{ask, note, on, on_call};
use resilee_sbb::{Failure, LocalCall};
use serde::{Deserialize, Serialize};

/// `alpha1` has the child `left3`, which is not attached.
fn with_callee() -> Container {
    let mut container = Container::begun();
    on("alpha", "create", |me, cx| {
        me.child = Some(cx.create_child("left")?);
        Ok(())
    });
    container.fire("tick", "create");
    container.trace();
    container
}

#[test]
fn a_parent_calls_its_child_and_gets_an_answer() {
    let mut container = with_callee();
    on("alpha", "ask", |me, cx| {
        let answer = ask(cx, me.child.expect("created"), "price")?;
        note(answer);
        Ok(())
    });
    on_call("left", "price", |me, _| Ok(format!("{} calls", me.count)));
    let trace = container.tick("ask");
    assert_eq!(trace, ["alpha1 ask", "left3 called: price", "1 calls", "beta2 ask"]);
    assert!(container.tick("ask").contains(&"2 calls".to_owned()), "its state is kept");
}

#[test]
fn a_child_calls_its_parent() {
    let mut container = with_child("left");
    on("left", "ask", |_, cx| {
        let answer = ask(cx, cx.parent().expect("a child"), "price")?;
        note(answer);
        Ok(())
    });
    on_call("alpha", "price", |_, _| Ok("5".to_owned()));
    container.fire("tick", "create");
    container.trace();
    let trace = container.tick("ask");
    assert_eq!(trace, ["alpha1 ask", "left3 ask", "alpha1 called: price", "5", "beta2 ask"]);
}

#[test]
fn a_callee_may_create_and_attach_children_of_its_own() {
    let mut container = with_callee();
    on("alpha", "ask", |me, cx| ask(cx, me.child.expect("created"), "grow").map(drop));
    on_call("left", "grow", |_, cx| {
        let low = cx.create_child("low")?;
        cx.attach(low, cx.activity())?;
        Ok(String::new())
    });
    let trace = container.tick("ask");
    assert_eq!(trace, ["alpha1 ask", "left3 called: grow", "low4 ask", "beta2 ask"]);
}

#[test]
fn calls_are_not_reentrant() {
    let mut container = with_callee();
    on("alpha", "ask", |me, cx| ask(cx, me.child.expect("created"), "back").map(drop));
    on_call("left", "back", |_, cx| {
        let refused = ask(cx, cx.parent().expect("a child"), "price").expect_err("it is running");
        note(refused.to_string().split_once("is ").expect("a reason").1);
        Ok(String::new())
    });
    let trace = container.tick("ask");
    let refused = "running: calls are not reentrant";
    assert_eq!(trace, ["alpha1 ask", "left3 called: back", refused, "beta2 ask"]);
    assert_eq!(container.alarms(), [""; 0], "a call that never began rolls nothing back");
}

#[test]
fn the_failure_of_a_callee_rolls_its_caller_back_even_if_the_caller_goes_on() {
    let mut container = with_callee();
    on("alpha", "ask", |me, cx| {
        assert!(ask(cx, me.child.expect("created"), "price").is_err());
        assert!(cx.is_rollback_only());
        cx.set_attribute("price", &5)
    });
    on_call("left", "price", |_, cx| {
        cx.set_attribute("half done", &1)?;
        Err(Failure::new("no price"))
    });
    on("alpha", "look", |_, cx| {
        note(format!("{:?}", cx.attribute::<i32>("price")?));
        Ok(())
    });
    container.fire("tick", "ask");
    assert!(container.has_alarm("no price"));
    assert_eq!(container.tick("look").last_chunk(), Some(&["None".into(), "beta2 look".into()]));
}

#[test]
fn a_panic_of_a_callee_is_a_failure_of_it() {
    let mut container = with_callee();
    on("alpha", "ask", |me, cx| {
        let _ = ask(cx, me.child.expect("created"), "price");
        Ok(())
    });
    on_call("left", "price", |_, _| panic!("out of order"));
    container.fire("tick", "ask");
    assert!(container.has_alarm("panicked: out of order"));
}

#[test]
fn an_entity_of_another_tree_cannot_be_called() {
    let mut container = with_callee();
    on("beta", "ask", |_, cx| {
        let alien = resilee_sbb::EntityId { number: 3, ..cx.entity() };
        ask(cx, alien, "price").map(drop)
    });
    container.fire("tick", "ask");
    assert!(container.has_alarm("is not of this entity tree"));
}

#[test]
fn an_entity_that_runs_is_not_removed_by_a_call_nor_is_what_it_stands_on() {
    let mut container = with_child("left");
    on("left", "create", |me, cx| {
        me.child = Some(cx.create_child("low")?);
        cx.attach(me.child.expect("created"), cx.activity())
    });
    // low calls left, which removes low; and low calls alpha, which removes left.
    on("low", "own", |_, cx| ask(cx, cx.parent().expect("a child"), "remove").map(drop));
    on_call("left", "remove", |me, cx| {
        cx.remove_child(me.child.expect("created")).map(|()| String::new())
    });
    on("low", "above", |me, cx| {
        let root = resilee_sbb::EntityId { number: 1, ..cx.entity() };
        me.count = 0;
        ask(cx, root, "remove").map(drop)
    });
    on_call("alpha", "remove", |me, cx| {
        cx.remove_child(me.child.expect("created")).map(|()| String::new())
    });
    container.fire("tick", "create");
    container.fire("tick", "own");
    container.fire("tick", "above");
    let refused = container.alarms();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|text| text.contains("running")), "{refused:?}");
    assert_eq!(container.entities("alpha"), [1, 3, 4]);
}

/// A call that nobody here answers.
#[derive(Serialize, Deserialize)]
struct Shout {}

impl LocalCall for Shout {
    const NAME: &'static str = "test.shout";
    type Answer = ();
}

#[test]
fn a_call_that_the_callee_does_not_know_rolls_its_caller_back() {
    let mut container = with_callee();
    on("alpha", "shout", |me, cx| {
        let _ = cx.call(me.child.expect("created"), &Shout {});
        Ok(())
    });
    container.fire("tick", "shout");
    assert!(container.has_alarm("there is no call test.shout"), "{:?}", container.alarms());
}
