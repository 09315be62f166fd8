//! Activity contexts (chapter 7): attachments, attributes and their aliases, ends.

use crate::container::Container;
use crate::script::{note, on};
use resilee_sbb::ActivityId;

#[test]
fn an_entity_that_detaches_gets_no_more_events_there() {
    let mut container = Container::begun();
    on("alpha", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    assert_eq!(container.tick("leave"), ["alpha1 leave", "beta2 leave"]);
    assert_eq!(container.tick("hello"), ["beta2 hello"]);
}

#[test]
fn to_attach_twice_is_to_attach_once() {
    let mut container = Container::begun();
    on("alpha", "attach", |_, cx| {
        cx.attach(cx.entity(), cx.activity())?;
        cx.attach(cx.entity(), cx.activity())
    });
    container.fire("tick", "attach");
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn an_entity_knows_the_activities_that_it_is_attached_to() {
    let mut container = Container::begun();
    container.say("c1 start");
    on("alpha", "look", |_, cx| {
        let numbers = |cx: &resilee_sbb::Context<'_>| {
            cx.activities().iter().map(|it| it.number).collect::<Vec<_>>()
        };
        note(format!("{:?}", numbers(cx)));
        cx.attach(cx.entity(), ActivityId { number: 2, ..cx.activity() })?;
        cx.detach();
        note(format!("{:?}", numbers(cx)));
        Ok(())
    });
    assert_eq!(container.tick("look")[..3], ["alpha1 look", "[1]", "[2]"]);
}

#[test]
fn an_unknown_activity_is_a_failure() {
    let mut container = Container::begun();
    on("alpha", "attach", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 77, ..cx.activity() })
    });
    container.fire("tick", "attach");
    assert!(container.has_alarm("there is no activity"));
}

#[test]
fn an_activity_of_another_call_is_a_failure() {
    let mut container = Container::begun();
    on("alpha", "attach", |_, cx| {
        let mut other = cx.activity();
        other.cell.number += 1;
        cx.attach(cx.entity(), other)
    });
    container.fire("tick", "attach");
    assert!(container.has_alarm("there is no activity"));
}

#[test]
fn an_attribute_is_shared_by_the_entities_of_one_sbb() {
    let mut container = Container::begun();
    on("alpha", "grow", |_, cx| {
        for _ in 0..2 {
            let child = cx.create_child("left")?;
            cx.attach(child, cx.activity())?;
        }
        Ok(())
    });
    for sbb in ["alpha", "left"] {
        on(sbb, "count", |_, cx| {
            let count = cx.attribute::<u32>("count")?.unwrap_or(0) + 1;
            note(format!("{count}"));
            cx.set_attribute("count", &count)
        });
    }
    container.fire("tick", "grow");
    container.trace();
    let trace = container.tick("count");
    assert_eq!(trace[..6], ["alpha1 count", "1", "left3 count", "1", "left4 count", "2"]);
}

#[test]
fn an_attribute_of_another_sbb_is_seen_by_its_alias_alone() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| {
        cx.set_attribute("price", &5)?;
        cx.set_attribute("own", &6)
    });
    on("beta", "set", |_, cx| {
        let seen = (cx.attribute::<i32>("cost")?, cx.attribute::<i32>("own")?);
        note(format!("{seen:?}"));
        Ok(())
    });
    let trace = container.tick("set");
    assert_eq!(trace, ["alpha1 set", "beta2 set", "(Some(5), None)"]);
}

#[test]
fn an_attribute_is_of_one_activity_context() {
    let mut container = Container::begun();
    container.say("c1 start");
    on("alpha", "set", |_, cx| {
        let second = ActivityId { number: 2, ..cx.activity() };
        cx.set_attribute("price", &1)?;
        cx.set_attribute_of(second, "price", &2)?;
        let seen = (cx.attribute::<i32>("price")?, cx.attribute_of::<i32>(second, "price")?);
        note(format!("{seen:?}"));
        Ok(())
    });
    assert_eq!(container.tick("set")[1], "(Some(1), Some(2))");
}

#[test]
fn an_attribute_of_another_type_is_a_failure() {
    let mut container = Container::begun();
    on("alpha", "set", |_, cx| cx.set_attribute("price", &"five"));
    on("beta", "set", |_, cx| cx.attribute::<i32>("cost").map(drop));
    container.fire("tick", "set");
    assert!(container.has_alarm("cannot decode"));
}

#[test]
fn while_an_activity_ends_nobody_attaches_to_it_and_nothing_is_fired_on_it() {
    let mut container = Container::begun();
    on("alpha", "end 1", |_, cx| {
        assert!(cx.is_ending(cx.activity()));
        let refused = cx.attach(cx.entity(), cx.activity()).expect_err("it ends");
        let fired = cx.fire(cx.activity(), &crate::toy::Tick { word: "late".to_owned() });
        assert!(refused.to_string().contains("is ending") && fired.is_err());
        Ok(())
    });
    container.end(1);
    assert_eq!(container.trace(), ["alpha1 end 1", "beta2 end 1"]);
}

#[test]
fn an_activity_that_an_adaptor_has_is_not_ended_by_an_sbb() {
    let mut container = Container::begun();
    on("alpha", "end", |_, cx| cx.end_activity(cx.activity()));
    container.fire("tick", "end");
    assert!(container.has_alarm("is its resource adaptor's to end"));
    assert_eq!(container.activities(), 1);
}

#[test]
fn a_command_goes_to_the_adaptor_of_the_activity_once_the_transaction_has_committed() {
    let mut container = Container::begun();
    on("alpha", "send", |_, cx| cx.send(&"hello"));
    on("beta", "send", |_, cx| {
        cx.send(&"never")?;
        crate::script::fail()
    });
    container.sent();
    container.fire("tick", "send");
    assert_eq!(container.sent(), ["c1 hello", "c1 failed on 1"]);
}
