//! A takeover keeps it all: the owner of a call dies, and the other node goes on.

use crate::pair::Pair;
use crate::script::{self, note, on, take_trace};
use crate::toy::Tick;
use resilee_sbb::{EventPayload, TimerId};
use std::time::Duration;

/// Two nodes, the first of which owns `c1` with `alpha1` and `beta2`.
pub struct Story {
    pub pair: Pair,
    /// Who has the call.
    pub owner: usize,
}

impl Story {
    pub fn begun() -> Self {
        script::clear();
        Story::of(Pair::up())
    }

    /// The same with this pair.
    pub fn of(mut pair: Pair) -> Self {
        pair.say(0, "c1 start; fire begin 1 begin");
        assert_eq!(take_trace(), ["alpha1 begin", "beta2 begin"]);
        Story { pair, owner: 0 }
    }

    pub fn say(&mut self, text: &str) -> Vec<String> {
        self.pair.say(self.owner, text);
        self.check();
        take_trace()
    }

    pub fn tick(&mut self, word: &str) -> Vec<String> {
        self.say(&format!("c1 fire tick 1 {word}"))
    }

    /// The owner dies, and the other one is the only member.
    pub fn owner_dies(&mut self) {
        self.pair.kill(self.owner);
        self.owner = 1 - self.owner;
        self.pair.until_member_of(self.owner, 1);
        self.check();
    }

    pub fn pass_ms(&mut self, millis: u64) -> Vec<String> {
        self.pair.pass_ms(millis);
        self.check();
        take_trace()
    }

    fn check(&self) {
        for core in self.pair.nodes.iter().filter_map(|node| node.core.as_ref()) {
            assert_eq!(core.inconsistencies(), Vec::<String>::new());
        }
    }
}

impl Drop for Story {
    /// The leak check.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.say("c1 over");
        let core = self.pair.nodes[self.owner].core.as_ref().expect("it lives");
        let left = (core.cells(10).len(), self.pair.status(self.owner).activities);
        assert_eq!(left, (0, 0), "{:?}", core.cells(10));
        assert_eq!(core.timers_set(), 0, "timers of what is over");
    }
}

#[test]
fn trees_survive_with_their_states_and_their_order() {
    let mut story = Story::begun();
    on("alpha", "grow", |_, cx| {
        for (relation, name) in [("left", "first"), ("right", "second")] {
            let child = cx.create_named_child(relation, name)?;
            cx.attach(child, cx.activity())?;
        }
        Ok(())
    });
    story.tick("grow");
    story.owner_dies();
    for sbb in ["alpha", "left"] {
        on(sbb, "look", |me, cx| {
            note(format!("{} {:?}", me.count, cx.child("left", "first").map(|it| it.number)));
            Ok(())
        });
    }
    let all = ["alpha1 look", "3 Some(3)", "right4 look", "left3 look", "2 None", "beta2 look"];
    assert_eq!(story.tick("look"), all);
}

#[test]
fn masks_priorities_and_attributes_survive() {
    let mut story = Story::begun();
    on("alpha", "set", |_, cx| {
        cx.set_attribute("price", &5)?;
        let child = cx.create_child("left")?;
        cx.attach(child, cx.activity())?;
        cx.mask(cx.activity(), &[Tick::TYPE])
    });
    on("beta", "set", |_, cx| cx.set_priority(cx.entity(), 30));
    on("beta", "look", |_, cx| {
        note(format!("{:?}", cx.attribute::<i32>("cost")?));
        Ok(())
    });
    story.tick("set");
    story.owner_dies();
    assert_eq!(story.tick("look"), ["beta2 look", "Some(5)", "left3 look"]);
}

#[test]
fn names_and_null_activities_survive() {
    let mut story = Story::begun();
    on("alpha", "set", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.bind_name(null, "room")
    });
    on("beta", "fire", |_, cx| {
        let room = cx.look_up_name("room").expect("it is bound");
        cx.fire(room, &Tick { word: "hello".to_owned() })
    });
    story.tick("set");
    story.owner_dies();
    assert_eq!(story.tick("fire"), ["alpha1 fire", "beta2 fire", "alpha1 hello"]);
}

#[test]
fn a_number_is_not_given_twice() {
    let mut story = Story::begun();
    on("alpha", "set", |_, cx| {
        let null = cx.create_null_activity()?;
        let child = cx.create_child("left")?;
        note(format!("{} {}", null.number, child.number));
        cx.attach(cx.entity(), null)?;
        cx.attach(child, null)
    });
    assert_eq!(story.tick("set")[1], "2 3");
    story.owner_dies();
    assert_eq!(story.tick("set")[1], "3 4");
}

#[test]
fn a_suspended_event_goes_on_once_at_the_survivor_with_what_waited_behind_it() {
    let mut story = Story::begun();
    crate::suspension::script();
    assert_eq!(story.tick("wait"), ["alpha1 wait"]);
    assert_eq!(story.tick("two"), [""; 0]);
    story.pass_ms(2_000);
    story.owner_dies();
    assert_eq!(story.pass_ms(6_000), [""; 0], "not yet");
    assert_eq!(story.pass_ms(5_000), ["beta2 wait", "alpha1 two", "beta2 two"]);
    assert_eq!(story.pass_ms(20_000), [""; 0], "once");
}

#[test]
fn a_suspended_event_whose_time_came_while_nobody_had_it_goes_on_at_once() {
    let mut story = Story::begun();
    on("alpha", "wait", |_, cx| cx.suspend_event(Duration::from_millis(1)));
    assert_eq!(story.tick("wait"), ["alpha1 wait"]);
    story.owner_dies();
    let mut trace = take_trace();
    trace.extend(story.pass_ms(1_000));
    assert_eq!(trace, ["beta2 wait"], "once");
}

#[test]
fn a_suspended_event_is_resumed_at_the_survivor() {
    let mut story = Story::begun();
    crate::suspension::script();
    story.say("c1 start; fire tick 1 attach");
    assert_eq!(story.tick("wait"), ["alpha1 wait"]);
    story.owner_dies();
    assert_eq!(story.say("c1 fire tick 2 go on"), ["alpha1 go on", "beta2 wait"]);
}

#[test]
fn a_timer_of_an_unattached_child_fires_once_at_the_survivor() {
    let mut story = Story::begun();
    on("alpha", "create", |_, cx| {
        let child = cx.create_child("left")?;
        script::ask(cx, child, "set").map(drop)
    });
    script::on_call("left", "set", |_, cx| {
        cx.set_timer(TimerId(1), Duration::from_secs(5));
        Ok(String::new())
    });
    story.tick("create");
    story.owner_dies();
    assert_eq!(story.pass_ms(6_000), ["left3 timer 1"]);
    assert_eq!(story.pass_ms(6_000), [""; 0], "once");
}

#[test]
fn a_root_entity_is_found_by_its_name() {
    let mut story = Story::begun();
    script::selects("chooser", |word, _| {
        Ok(resilee_sbb::InitialEvent::by().cell().custom_name(word))
    });
    story.say("c1 fire choose 1 red");
    story.owner_dies();
    let trace = story.say("c1 fire choose 1 red");
    assert_eq!(trace, ["chooser3 red", "chooser is asked about red"]);
}

#[test]
fn a_call_that_is_handed_over_leaves_no_timer_behind() {
    use resilee_core::Input;
    use resilee_core::management::Command;
    let mut story = Story::begun();
    crate::suspension::script();
    on("alpha", "set", |_, cx| {
        cx.set_timer(TimerId(1), Duration::from_secs(5));
        Ok(())
    });
    story.tick("set");
    assert_eq!(story.tick("wait"), ["alpha1 wait"]);
    let to = "server2".parse().expect("a name");
    story.pair.feed(0, Input::Command(Command::HandOver { cohort: None, to }));
    story.pass_ms(200);
    story.owner = 1;
    assert_eq!(story.pair.nodes[0].core.as_ref().expect("it lives").timers_set(), 0);
    assert_eq!(story.pass_ms(6_000), ["alpha1 timer 1"]);
    assert_eq!(story.pass_ms(5_000), ["beta2 wait"]);
}

#[test]
fn the_end_of_an_activity_behind_a_suspended_event_comes_at_the_survivor() {
    let mut story = Story::begun();
    crate::suspension::script();
    story.tick("wait");
    assert_eq!(story.say("c1 end 1"), [""; 0]);
    story.owner_dies();
    let end = ["beta2 wait", "alpha1 end 1", "beta2 end 1"];
    assert_eq!(story.pass_ms(11_000), end);
}
