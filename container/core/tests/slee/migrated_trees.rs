//! What moves with an entity tree from a service to the one that replaced it, and which trees stay.

use crate::migrations::{entities, migration, new, order, replace, up};
use crate::pair::Pair;
use crate::script::{self, State, fail, note, on, selects, take_trace};
use crate::toy::{Tick, Tock};
use crate::upgrades::want;
use resilee_core::management::Changed;
use resilee_sbb::{
    ActivityId, Context, EventPayload, Failure, InitialEvent, Severity, Task, TimerId,
};
use std::time::Duration;

type Handler = fn(&mut State, &mut Context<'_>) -> Result<(), Failure>;

/// `c1`, of which `alpha` serves the first activity, after it did something at `set`.
fn after_set(set: Handler) -> Pair {
    let mut pair = up();
    on("alpha", "set", set);
    pair.say(0, "c1 start; fire begin 1 set");
    pair
}

/// Why the only tree of a service stays.
#[track_caller]
fn reason(pair: &Pair, service: &str) -> String {
    let status = migration(pair, 0, service).expect("ordered");
    assert_eq!((status.moved, status.stayed), (0, 1), "{:?}", status.reasons);
    status.reasons.into_keys().next().expect("a reason")
}

#[test]
fn states_children_and_attachments_move_with_a_tree() {
    let mut pair = after_set(|me, cx| {
        me.text = "kept".to_owned();
        let child = cx.create_named_child("left", "first")?;
        cx.attach(child, cx.activity())?;
        me.child = Some(child);
        Ok(())
    });
    replace(&mut pair, "alpha", "omega");
    assert_eq!(entities(&pair, 1), ["omega", "omega"]);
    assert_eq!(take_trace(), ["omega reads 1"], "the child's state has the same version");
    on("omega", "look", |me, cx| {
        let child = cx.child("left", "first");
        note(format!("{} {} {}", me.count, me.text, child.is_some() && child == me.child));
        let answer = script::ask(cx, child.expect("it is there"), "how many")?;
        note(answer);
        Ok(())
    });
    pair.say(0, "c1 fire tick 1 look");
    let of_child = ["new-left2 called: how many", "1", "new-left2 look"];
    assert_eq!(take_trace(), [&["omega1 look", "102 kept true"], &of_child[..]].concat());
}

#[test]
fn masks_priorities_names_and_null_activities_move_with_a_tree() {
    let mut pair = after_set(|_, cx| {
        cx.mask(cx.activity(), &[Tick::TYPE])?;
        cx.set_priority(cx.entity(), -9)?;
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.bind_name(null, "room")
    });
    want(&mut pair, &["beta"], &[]);
    pair.say(0, "c1 fire begin 1 too");
    replace(&mut pair, "alpha", "omega");
    on("beta", "fire", |_, cx| {
        let room = cx.look_up_name("room").expect("it is bound");
        cx.fire(room, &Tock { word: "hello".to_owned() })
    });
    pair.say(0, "c1 fire tick 1 fire");
    assert_eq!(take_trace()[1..], ["beta2 fire", "omega1 hello"], "it masks ticks there");
    pair.say(0, "c1 fire tock 1 last");
    assert_eq!(take_trace(), ["beta2 last", "omega1 last"]);
}

#[test]
fn a_timer_that_the_old_service_set_fires_at_the_new_one_also_after_a_takeover() {
    for dies in [false, true] {
        let mut pair = after_set(|_, cx| {
            cx.set_timer(TimerId(7), Duration::from_secs(20));
            Ok(())
        });
        replace(&mut pair, "alpha", "omega");
        if dies {
            pair.kill(0);
            pair.until_member_of(1, 1);
        }
        take_trace();
        pair.pass_ms(21_000);
        assert_eq!(take_trace(), ["omega1 timer 7"]);
    }
}

#[test]
fn attributes_that_were_the_old_sbbs_own_are_the_new_ones() {
    let mut pair = after_set(|_, cx| {
        cx.set_attribute("own", &5)?;
        cx.set_attribute("price", &6)
    });
    replace(&mut pair, "alpha", "omega");
    on("omega", "look", |_, cx| {
        note(format!("{:?} {:?}", cx.attribute::<i32>("own")?, cx.attribute::<i32>("price")?));
        Ok(())
    });
    take_trace();
    pair.say(0, "c1 fire tick 1 look");
    assert_eq!(take_trace(), ["omega1 look", "Some(5) Some(6)"]);
    let cells = pair.nodes[1].core.as_ref().expect("it lives").cells(9);
    assert_eq!(cells[0].activities[0].attributes, ["omega/own", "test.price"]);
}

/// As long as another tree of the old service may read them.
#[test]
fn attributes_stay_for_a_tree_that_stays() {
    let mut pair = after_set(|_, cx| cx.set_attribute("own", &5));
    on("alpha", "stay", |me, _| {
        me.text = "stays".to_owned();
        Ok(())
    });
    pair.say(0, "c1 start; fire begin 2 stay");
    replace(&mut pair, "alpha", "omega");
    assert_eq!(entities(&pair, 0), ["omega", "alpha"]);
    let cells = pair.nodes[1].core.as_ref().expect("it lives").cells(9);
    assert_eq!(cells[0].activities[0].attributes, ["alpha/own", "omega/own"]);
}

#[test]
fn the_new_service_clears_an_alarm_that_the_old_one_raised() {
    let mut pair = after_set(|_, cx| {
        cx.raise_alarm("full", "room", Severity::Minor, "the room is full");
        Ok(())
    });
    replace(&mut pair, "alpha", "omega");
    on("omega", "clear", |_, cx| {
        cx.clear_alarm("full", "room");
        Ok(())
    });
    let is_raised = |pair: &Pair| pair.status(0).alarms.iter().any(|it| it.alarm_type == "full");
    assert!(is_raised(&pair));
    pair.say(0, "c1 fire tick 1 clear");
    assert!(!is_raised(&pair));
}

/// It says that it may take those of `keeper`, too, which nobody has ordered.
#[test]
fn alarms_of_a_service_that_it_does_not_replace_are_not_the_new_ones_to_clear() {
    let mut pair = up();
    on("keeper", "full", |_, cx| {
        cx.raise_alarm("full", "room", Severity::Minor, "the room is full");
        Ok(())
    });
    on("omega", "clear", |_, cx| {
        cx.clear_all_alarms();
        Ok(())
    });
    pair.say(0, "c1 start; fire keep 1 full");
    want(&mut pair, &["omega"], &["alpha"]);
    pair.say(0, "c1 start; fire begin 2 clear");
    assert!(pair.status(0).alarms.iter().any(|it| it.alarm_type == "full"));
}

#[test]
fn a_selector_of_the_new_service_finds_the_root_entity_by_its_convergence_name() {
    let mut pair = up();
    for service in ["chooser", "picker"] {
        selects(service, |_, _| Ok(InitialEvent::by().cell()));
    }
    pair.say(0, "c1 start; fire choose 1 one");
    replace(&mut pair, "chooser", "picker");
    take_trace();
    pair.say(0, "c1 start; fire choose 2 two");
    let ran: Vec<_> = take_trace().into_iter().filter(|it| it.starts_with("picker1")).collect();
    assert_eq!(ran, ["picker1 two"]);
    assert_eq!(entities(&pair, 0), ["picker"]);
}

#[test]
fn events_that_are_tried_again_are_tried_at_the_new_service_also_after_a_takeover() {
    for dies in [false, true] {
        let mut pair = up();
        pair.say(0, "c1 start; fire keep 1 begin");
        on("keeper", "hard", |_, _| fail());
        pair.say(0, "c1 fire tick 1 hard; fire tick 1 behind");
        replace(&mut pair, "keeper", "holder");
        assert_eq!(entities(&pair, 0), ["holder"]);
        let raised = |pair: &Pair, node: usize, source: &str| {
            let alarms = pair.status(node).alarms;
            alarms.iter().any(|it| it.source == source && it.text.contains("is tried again"))
        };
        assert!(raised(&pair, 0, "holder") && !raised(&pair, 0, "keeper"));
        let node = usize::from(dies);
        if dies {
            pair.kill(0);
            pair.until_member_of(1, 1);
        }
        pair.pass_ms(2_000);
        let ran: Vec<_> = take_trace().into_iter().filter(|it| it.starts_with("holder1")).collect();
        assert_eq!(ran, ["holder1 hard", "holder1 behind"]);
        assert!(!raised(&pair, node, "holder"));
    }
}

#[test]
fn a_tree_whose_events_the_new_service_would_not_try_again_stays_until_that_is_through() {
    let mut pair = up();
    pair.say(0, "c1 start; fire keep 1 begin");
    on("keeper", "hard", |_, _| fail());
    pair.say(0, "c1 fire tick 1 hard");
    replace(&mut pair, "keeper", "omega");
    let text = "an event of it is tried again, which omega does not do";
    assert_eq!(reason(&pair, "keeper"), text);
    on("keeper", "hard", |_, _| Ok(()));
    pair.pass_ms(33_000);
    assert_eq!(entities(&pair, 0), ["omega"]);
}

/// It had the event and suspended it; the selector of the new service is not asked about it.
#[test]
fn a_suspended_event_goes_on_where_it_was_when_its_tree_has_moved() {
    let mut pair = up();
    for service in ["chooser", "picker"] {
        selects(service, |_, _| Ok(InitialEvent::by().cell()));
    }
    pair.say(0, "c1 start; fire keep 1 begin");
    on("chooser", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    pair.say(0, "c1 fire choose 1 wait");
    replace(&mut pair, "chooser", "picker");
    assert_eq!(take_trace(), ["picker reads 1"]);
    pair.pass_ms(11_000);
    assert_eq!(take_trace(), ["keeper1 wait"]);
    pair.say(0, "c1 fire tick 1 on");
    assert_eq!(take_trace(), ["keeper1 on", "picker2 on"]);
}

/// The one that stays is of the service that suspended it, and is no reason to wait longer or
/// shorter.
#[test]
fn a_suspended_event_waits_for_its_tree_that_has_moved_though_one_that_stayed_is_over() {
    let mut pair = up();
    on("alpha", "stay", |_, cx| {
        let child = cx.create_child("right")?;
        cx.attach(child, cx.activity())
    });
    on("alpha", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    pair.say(0, "c1 start; start; fire keep 1 begin; fire begin 1 go; fire begin 2 stay");
    pair.say(0, "c1 fire tick 1 wait");
    replace(&mut pair, "alpha", "omega");
    assert!(entities(&pair, 0).contains(&"omega".to_owned()), "{:?}", entities(&pair, 0));
    take_trace();
    pair.say(0, "c1 end 2");
    let trace = take_trace();
    assert!(trace.iter().any(|line| line.contains("end 2")), "{trace:?}");
    assert!(!trace.iter().any(|line| line.ends_with(" wait")), "{trace:?}");
    pair.pass_ms(11_000);
    let trace = take_trace();
    assert!(trace.iter().any(|line| line.ends_with(" wait")), "{trace:?}");
}

/// One tree has stayed, so that the event is of either service; the other one moves once more.
#[test]
fn a_suspended_event_waits_for_its_tree_that_has_moved_twice_whoever_dies_meanwhile() {
    for dies_after in 0..=2 {
        let mut pair = up();
        on("alpha", "stay", |_, cx| {
            let child = cx.create_child("right")?;
            cx.attach(child, cx.activity())
        });
        on("alpha", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
        pair.say(0, "c1 start; start; fire keep 1 begin; fire begin 1 go; fire begin 2 stay");
        pair.say(0, "c1 fire tick 1 wait; fire tick 1 behind");
        for (moves, (old, new)) in [("alpha", "omega"), ("omega", "sigma")].into_iter().enumerate()
        {
            replace(&mut pair, old, new);
            assert!(entities(&pair, 0).contains(&new.to_owned()), "{:?}", entities(&pair, 0));
            if moves + 1 == dies_after {
                pair.kill(0);
                pair.until_member_of(1, 1);
                pair.start(0);
                pair.until_whole();
            }
        }
        let owner = usize::from(dies_after > 0);
        assert!(!entities(&pair, 0).contains(&"omega".to_owned()), "{:?}", entities(&pair, 0));
        take_trace();
        pair.say(owner, "c1 end 2");
        let trace = take_trace();
        assert!(trace.iter().any(|line| line.ends_with(" end 2")), "{trace:?}");
        assert!(!trace.iter().any(|line| line.ends_with(" wait")), "{dies_after}: {trace:?}");
        pair.pass_ms(11_000);
        let trace = take_trace();
        let of_keeper: Vec<_> = trace.iter().filter(|line| line.starts_with("keeper")).collect();
        assert_eq!(of_keeper, ["keeper1 wait", "keeper1 behind"], "{dies_after}: {trace:?}");
        let behind: Vec<_> = trace.iter().filter(|line| line.starts_with("sigma")).collect();
        assert_eq!(behind, ["sigma2 behind"], "it had the first one: {trace:?}");
    }
}

/// Nobody else would resume it.
#[test]
fn what_a_tree_has_suspended_that_has_moved_goes_on_when_the_new_service_hangs() {
    let mut pair = new();
    pair.hangs = script::does_hang;
    let mut pair = pair.whole();
    on("alpha", "attach", |_, cx| {
        cx.attach(cx.entity(), ActivityId { number: 2, ..cx.activity() })
    });
    on("alpha", "wait", |_, cx| cx.suspend_event(Duration::from_secs(600)));
    pair.say(0, "c1 start; start; fire begin 1 attach; fire tick 1 wait");
    replace(&mut pair, "alpha", "omega");
    script::hangs("omega", "hang");
    pair.say(0, "c1 fire tick 2 hang");
    pair.pass_ms(12_000);
    assert_eq!(take_trace(), ["omega reads 1", "beta2 wait"]);
}

#[test]
fn a_tree_with_a_child_that_the_new_service_has_no_relation_for_stays() {
    let mut pair = after_set(|_, cx| {
        let child = cx.create_child("right")?;
        cx.attach(child, cx.activity())
    });
    replace(&mut pair, "alpha", "omega");
    assert_eq!(reason(&pair, "alpha"), "omega has no child relation \"right\"");
    assert_eq!(entities(&pair, 0), ["alpha", "alpha"]);
}

#[test]
fn a_root_entity_of_the_cluster_stays() {
    let mut pair = up();
    for service in ["chooser", "picker"] {
        selects(service, |_, _| Ok(InitialEvent::by().custom_name("all")));
    }
    pair.say(0, "c1 start; fire choose 1 one");
    pair.pass_ms(1_000);
    replace(&mut pair, "chooser", "picker");
    let text = "a root entity of the cluster cannot move: other calls name it";
    assert_eq!(reason(&pair, "chooser"), text);
    take_trace();
    pair.say(0, "c1 fire tick 1 on");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), ["chooser1 on"]);
}

/// An upgrade was undone, and done again.
#[test]
fn a_tree_stays_where_the_new_service_serves_the_same_activity() {
    let mut pair = up();
    want(&mut pair, &["omega"], &[]);
    pair.say(0, "c1 start; fire begin 1 begin");
    assert_eq!(take_trace(), ["alpha1 begin", "omega2 begin"]);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(reason(&pair, "alpha"), "omega serves the same activity already");
}

/// `c1` has two trees of `keeper`, both of which serve its first activity; the first one is to get
/// an event of it again. They are ordered to move to `holder`.
fn two_trees_on_one_activity(pair: &mut Pair) {
    on("keeper", "join", |_, cx| cx.attach(cx.entity(), ActivityId { number: 1, ..cx.activity() }));
    on("keeper", "hard", |me, _| if me.count == 2 { fail() } else { Ok(()) });
    pair.say(0, "c1 start; fire keep 1 begin; start; fire keep 2 join; fire keep 2 more");
    pair.say(0, "c1 fire tick 1 hard");
    assert_eq!(entities(pair, 0), ["keeper", "keeper"]);
    replace(pair, "keeper", "holder");
}

/// The old service served it twice as well.
#[test]
fn trees_of_the_old_service_that_serve_one_activity_all_move() {
    let mut pair = up();
    two_trees_on_one_activity(&mut pair);
    assert_eq!(entities(&pair, 1), ["holder", "holder"]);
    assert_eq!(migration(&pair, 0, "keeper").expect("ordered").stayed, 0);
    pair.pass_ms(2_000);
    take_trace();
    pair.say(0, "c1 fire tick 1 on");
    assert_eq!(take_trace(), ["holder1 on", "holder2 on"]);
}

#[test]
fn the_second_tree_of_an_activity_moves_when_the_node_has_died_at_which_the_first_one_did() {
    let mut pair = up();
    pair.hangs = |it| matches!(it.task, Task::Migrate { .. }) && it.entity.number == 2;
    two_trees_on_one_activity(&mut pair);
    assert_eq!(entities(&pair, 1), ["holder", "keeper"]);
    pair.kill(0);
    pair.hangs = |_| false;
    pair.until_member_of(1, 1);
    pair.pass_ms(200);
    assert_eq!(entities(&pair, 1), ["holder", "holder"]);
    // So that nothing waits to be tried again.
    pair.pass_ms(2_000);
}

/// Of what stayed before: one that moved is no obstacle to it.
#[test]
fn the_second_tree_of_an_activity_moves_by_an_order_that_is_given_again() {
    let mut pair = after_set(|_, _| Ok(()));
    on("alpha", "join", |me, cx| {
        me.text = "stays".to_owned();
        cx.attach(cx.entity(), ActivityId { number: 1, ..cx.activity() })
    });
    on("alpha", "go", |me, _| {
        me.text.clear();
        Ok(())
    });
    pair.say(0, "c1 start; fire begin 2 join");
    replace(&mut pair, "alpha", "omega");
    assert_eq!(entities(&pair, 0), ["omega", "alpha"]);
    pair.say(0, "c1 fire tick 2 go");
    assert_eq!(pair.change(1, order("alpha", Some("omega"))), Some(Changed::Done));
    pair.pass_ms(100);
    assert_eq!(entities(&pair, 0), ["omega", "omega"]);
}

/// They came by an order before; since then the old service was the active one.
#[test]
fn a_tree_stays_where_the_new_service_serves_the_same_activity_with_what_has_moved_before() {
    let mut pair = after_set(|_, _| Ok(()));
    replace(&mut pair, "alpha", "omega");
    want(&mut pair, &["alpha"], &["omega"]);
    on("alpha", "join", |_, cx| cx.attach(cx.entity(), ActivityId { number: 1, ..cx.activity() }));
    pair.say(0, "c1 start; fire begin 2 join");
    assert_eq!(entities(&pair, 0), ["omega", "alpha"]);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(reason(&pair, "alpha"), "omega serves the same activity already");
}

#[test]
fn a_tree_stays_where_the_new_service_has_a_root_entity_of_the_same_convergence_name() {
    let mut pair = up();
    for service in ["chooser", "picker"] {
        selects(service, |_, _| Ok(InitialEvent::by().cell()));
    }
    pair.say(0, "c1 start; fire choose 1 one");
    want(&mut pair, &["picker"], &["chooser"]);
    pair.say(0, "c1 start; fire choose 2 two");
    replace(&mut pair, "chooser", "picker");
    let text = "picker has a root entity of the same convergence name";
    assert_eq!(reason(&pair, "chooser"), text);
}

#[test]
fn a_tree_stays_in_a_call_in_which_a_handler_of_the_new_service_hung() {
    let mut pair = new();
    pair.hangs = script::does_hang;
    let mut pair = pair.whole();
    want(&mut pair, &["omega"], &["beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    script::hangs("omega", "hang");
    pair.say(0, "c1 fire tick 1 hang");
    pair.pass_ms(12_000);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(reason(&pair, "alpha"), "a handler of omega hung in its call");
}

#[test]
fn all_trees_of_a_call_move() {
    let mut pair = up();
    pair.say(0, "c1 start; fire begin 1 begin; start; fire begin 2 begin; start");
    pair.say(0, "c1 fire begin 3 begin");
    assert_eq!(entities(&pair, 0), vec!["alpha"; 3]);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(entities(&pair, 1), vec!["omega"; 3]);
    take_trace();
    pair.say(0, "c1 fire tick 1 a; fire tick 2 b; fire tick 3 c");
    assert_eq!(take_trace(), ["omega1 a", "omega2 b", "omega3 c"]);
}
