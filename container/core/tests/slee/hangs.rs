//! Handlers that do not return: one costs a worker, once, and its service the call.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, fail, hangs, note, on, selects, take_trace};
use crate::takeover::Story;
use crate::toy::{Begin, word};
use resilee_core::Input;
use resilee_sbb::{Deliver, InitialEvent, Task, TimerId};
use std::time::Duration;

/// Longer than a handler may take.
const TOO_LONG: u64 = 11;

/// `alpha1` hangs at `hang`.
fn hanging() -> Container {
    let container = Container::begun();
    hangs("alpha", "hang");
    container
}

#[test]
fn an_event_goes_to_the_others_when_the_handler_of_one_hangs() {
    let mut container = hanging();
    assert_eq!(container.tick("hang"), [""; 0]);
    container.pass_seconds(TOO_LONG);
    assert_eq!(container.trace(), ["beta2 hang"]);
}

#[test]
fn later_events_of_the_same_turn_do_not_go_to_a_service_that_hangs() {
    let mut container = hanging();
    container.say("c1 fire tick 1 hang; fire tick 1 hang; fire tock 1 hang");
    container.pass_seconds(TOO_LONG);
    assert_eq!(container.trace(), ["beta2 hang"; 3]);
    assert_eq!(container.abandoned(), 1);
}

#[test]
fn messages_that_waited_meanwhile_do_not_go_to_a_service_that_hangs() {
    let mut container = hanging();
    (0..8).for_each(|_| container.fire("tick", "hang"));
    container.pass_seconds(TOO_LONG);
    assert_eq!(container.trace(), ["beta2 hang"; 8]);
    assert_eq!(container.abandoned(), 1);
    (0..8).for_each(|_| container.fire("tick", "hang"));
    assert_eq!(container.trace(), ["beta2 hang"; 8]);
}

#[test]
fn a_service_that_hangs_is_not_started_again_in_its_cell_and_is_in_others() {
    let mut container = hanging();
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    container.say("c1 start");
    container.trace();
    container.fire_on(2, "begin", "again");
    assert_eq!(container.trace(), ["beta3 again"]);
    container.say("c2 start; fire begin 1 begin");
    assert_eq!(container.trace(), ["alpha1 begin", "beta2 begin"]);
}

#[test]
fn a_service_that_hangs_hears_nothing_after_a_takeover_either() {
    let mut story = Story::begun();
    story.pair.hangs = script::does_hang;
    hangs("alpha", "hang");
    story.tick("hang");
    assert_eq!(story.pass_ms(11_000), ["beta2 hang"]);
    story.owner_dies();
    assert_eq!(story.tick("hang"), ["beta2 hang"]);
}

#[test]
fn a_handler_that_was_only_slow_rolls_back_and_its_service_goes_on() {
    let mut container = Container::begun();
    container.answers(false);
    container.fire("tick", "slow");
    container.answers(true);
    container.pass_seconds(TOO_LONG);
    assert!(container.has_alarm("the handler did not return within 10000 ms"));
    container.trace();
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn a_handler_that_began_late_has_the_whole_time_from_then_on() {
    let mut container = Container::begun();
    container.answers(false);
    container.fire("tick", "late");
    container.begins_late(Duration::from_secs(8));
    container.pass_seconds(17);
    assert!(!container.has_alarm("did not return"));
    container.answers(true);
    container.pass_seconds(2);
    assert!(container.has_alarm("the handler did not return within 10000 ms"));
}

#[test]
fn a_hang_is_reported_with_its_sbb_its_event_and_its_service() {
    let mut container = crate::entity_trees::with_child("left");
    container.fire("tick", "create");
    hangs("left", "hang");
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    container.trace();
    assert!(container.has_alarm("left does not return from test.tick in call"));
    assert!(container.has_alarm("which goes on without alpha: its worker was replaced"));
    assert_eq!(container.tick("hello"), ["beta2 hello"], "its parent hears nothing either");
}

#[test]
fn a_selector_that_hangs_is_reported_as_one() {
    let mut container = Container::with_activity();
    hangs("chooser", "hang");
    container.fire("choose", "hang");
    container.pass_seconds(TOO_LONG);
    assert!(container.has_alarm("the selector of chooser does not return from test.choose"));
    container.fire("choose", "hang");
    assert_eq!(container.abandoned(), 1);
}

#[test]
fn who_hangs_while_it_hears_of_a_roll_back_is_reported_with_that() {
    let mut container = Container::begun();
    on("alpha", "fail", |_, _| fail());
    hangs("alpha", "rolled back fail");
    container.fire("tick", "fail");
    container.pass_seconds(TOO_LONG);
    assert!(container.has_alarm("alpha does not return from the roll back of test.tick"));
    container.trace();
    assert_eq!(container.tick("hello"), ["beta2 hello"]);
}

#[test]
fn who_hangs_does_not_hear_of_the_roll_back() {
    let mut container = hanging();
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    assert!(container.has_alarm("test.tick rolled back: the handler did not return"));
    assert_eq!(container.trace(), ["beta2 hang"]);
}

#[test]
fn an_event_at_which_a_handler_hung_is_not_tried_again_and_its_alarm_stays() {
    let mut container = Container::with_activity();
    hangs("keeper", "hang");
    container.fire("keep", "begin");
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    assert!(container.has_alarm("keeper does not return from test.tick"));
    assert!(container.has_alarm("test.tick rolled back: the handler did not return"));
    container.pass_seconds(600);
    assert_eq!(container.abandoned(), 1);
    assert!(container.has_alarm("test.tick rolled back: the handler did not return"));
}

#[test]
fn what_waited_to_be_tried_again_is_lost_with_an_alarm_when_a_handler_hangs() {
    let mut container = Container::with_activity();
    on("keeper", "fail", |_, _| fail());
    container.fire("keep", "begin");
    container.fire("tick", "fail");
    container.fire("tock", "behind");
    hangs("keeper", "fail");
    container.pass_seconds(TOO_LONG + 1);
    assert!(container.has_alarm("2 events of call"), "{:?}", container.alarms());
    assert!(container.has_alarm("are lost to keeper"));
    assert!(container.has_alarm("the first is test.tick"));
    assert!(!container.has_alarm("is tried again"));
}

#[test]
fn the_tree_of_who_hangs_is_removed_with_its_timers_and_null_activities() {
    let mut container = hanging();
    on("alpha", "null", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.set_timer(TimerId(1), Duration::from_secs(3_600));
        cx.bind_name(null, "mine")?;
        cx.attach(cx.entity(), null)
    });
    container.fire("tick", "null");
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    container.trace();
    assert_eq!((container.entities("alpha"), container.entities("beta")), (vec![], vec![2]));
    container.say("c1 over");
    assert_eq!(container.activities(), 0, "the null activity ends with the call");
}

#[test]
fn a_root_entity_of_the_cluster_that_hangs_keeps_no_cell() {
    let mut container = Container::with_activity();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    hangs("chooser", "hang");
    container.fire("choose", "begin");
    container.settle();
    container.fire("tick", "hang");
    container.pass_seconds(TOO_LONG);
    container.settle();
    assert!(container.has_alarm("chooser does not return from test.tick"));
    container.fire("tick", "hang");
    container.settle();
    assert_eq!((container.abandoned(), container.entities("chooser")), (1, vec![]));
}

#[test]
fn a_service_that_replaces_one_that_hung_does_not_take_over_its_calls() {
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = script::does_hang;
    crate::upgrades::want(&mut pair, &[], &["beta"]);
    hangs("alpha", "hang");
    pair.say(0, "c1 start; fire begin 1 begin");
    pair.say(0, "c1 fire tick 1 hang");
    pair.pass_ms(11_000);
    crate::upgrades::want(&mut pair, &["beta"], &["alpha"]);
    take_trace();
    pair.say(0, "c1 fire begin 1 again");
    assert_eq!(take_trace(), [""; 0]);
    note("");
    pair.say(0, "c2 start; fire begin 1 begin");
    assert_eq!(take_trace(), ["", "beta1 begin"]);
}

/// The answer and the question have passed each other.
#[test]
fn an_answer_that_comes_while_its_handler_is_asked_about_counts() {
    let mut container = Container::begun();
    container.answers(false);
    container.fire("tick", "slow");
    container.answers_when_asked();
    container.pass_seconds(TOO_LONG);
    assert!(!container.has_alarm("did not return"), "{:?}", container.alarms());
    assert_eq!(container.trace(), ["alpha1 slow", "beta2 slow"]);
}

/// A pair with a service that hangs.
fn hanging_pair() -> Pair {
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = script::does_hang;
    hangs("alpha", "hang");
    pair
}

/// Eight calls of a node hang, in each of which somebody else goes on.
fn hang_at(pair: &mut Pair, node: usize) {
    for call in 0..8 {
        pair.say(node, &format!("c{node}{call} start; fire begin 1 begin; fire tick 1 hang"));
    }
}

/// True if new calls are taken at a node.
fn takes_calls(pair: &mut Pair, node: usize) -> bool {
    take_trace();
    pair.say(node, &format!("new{node} start; fire begin 1 begin"));
    take_trace() == ["alpha1 begin", "beta2 begin"]
}

fn has_alarm(pair: &Pair, node: usize, part: &str) -> bool {
    pair.status(node).alarms.iter().any(|alarm| alarm.text.contains(part))
}

#[test]
fn a_node_with_too_many_hanging_handlers_hands_over_and_stays_for_the_operator() {
    let mut pair = hanging_pair();
    hang_at(&mut pair, 0);
    pair.pass_ms(30_000);
    assert!(!pair.status(0).member, "it handed over");
    assert!(!pair.nodes[0].drained, "its process stays");
    assert!(!takes_calls(&mut pair, 0));
    take_trace();
    pair.say(1, "c00 fire tick 1 hello");
    assert_eq!(take_trace(), ["beta2 hello"], "the other one has its calls");
    pair.pass_ms(60_000);
    let told = "8 handlers did not return: this node has handed its calls over";
    assert!(has_alarm(&pair, 0, told));
    let at_the_other_one = pair.status(1).peer_alarms;
    assert!(at_the_other_one.values().flatten().any(|alarm| alarm.text.starts_with(told)));
    pair.feed(0, Input::Drain);
    assert!(pair.nodes[0].drained, "it ends when it is told to");
}

#[test]
fn two_nodes_of_which_too_many_handlers_hang_at_once_still_serve() {
    let mut pair = hanging_pair();
    hang_at(&mut pair, 0);
    hang_at(&mut pair, 1);
    pair.pass_ms(30_000);
    assert!(!pair.nodes.iter().any(|node| node.drained), "both processes stay");
    let left = [0, 1].into_iter().find(|node| pair.status(*node).member).expect("one is left");
    assert!(takes_calls(&mut pair, left));
    assert!(has_alarm(&pair, left, "as soon as another node is a member"));
    assert!(has_alarm(&pair, 1 - left, "until it is started again"));
}

#[test]
fn a_node_that_hands_over_since_handlers_hang_serves_when_the_other_one_dies_meanwhile() {
    let mut pair = hanging_pair();
    hang_at(&mut pair, 0);
    pair.nodes[0].slow_disk = true;
    pair.pass_ms(30_000);
    assert!(has_alarm(&pair, 0, "this node hands its calls over"), "its vote is not stored yet");
    pair.kill(1);
    pair.pass_ms(2_000);
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.pass_ms(10_000);
    assert!(takes_calls(&mut pair, 0));
}

#[test]
fn a_node_with_too_many_hanging_handlers_hands_over_as_soon_as_it_has_a_backup() {
    let mut pair = hanging_pair();
    pair.kill(1);
    pair.until_member_of(0, 1);
    hang_at(&mut pair, 0);
    pair.pass_ms(30_000);
    assert!(takes_calls(&mut pair, 0));
    assert!(has_alarm(&pair, 0, "as soon as another node is a member"));
    pair.start(1);
    pair.pass_ms(10_000);
    assert!(!pair.status(0).member && pair.status(1).member);
    assert!(takes_calls(&mut pair, 1));
}

/// So many threads hang at a node, as its runtime says.
fn hang_threads(pair: &mut Pair, node: usize, threads: usize) {
    pair.feed(node, Input::Hanging { threads });
    pair.settle();
}

#[test]
fn handlers_that_have_come_back_do_not_count() {
    let mut pair = hanging_pair();
    pair.kill(1);
    pair.until_member_of(0, 1);
    hang_threads(&mut pair, 0, 8);
    assert!(has_alarm(&pair, 0, "8 handlers did not return"));
    hang_threads(&mut pair, 0, 7);
    assert!(!has_alarm(&pair, 0, "handlers did not return"));
    pair.start(1);
    pair.until_whole();
    pair.pass_ms(10_000);
    assert!(pair.status(0).member && takes_calls(&mut pair, 0));
}

/// The process is the same, and its threads are.
#[test]
fn threads_that_hang_since_an_earlier_run_count() {
    let mut pair = hanging_pair();
    hang_threads(&mut pair, 0, 8);
    pair.pass_ms(10_000);
    assert!(!pair.status(0).member && pair.status(1).member);
}

#[test]
fn a_node_hands_over_to_the_next_run_of_one_that_died_just_before() {
    let mut pair = hanging_pair();
    pair.kill(1);
    pair.start(1);
    hang_threads(&mut pair, 0, 8);
    assert!(takes_calls(&mut pair, 0));
    pair.pass_ms(5_000);
    assert!(!pair.status(0).member && pair.status(1).member);
    assert!(takes_calls(&mut pair, 1));
}

#[test]
fn handlers_that_hang_at_once_are_found_at_once() {
    let mut pair = hanging_pair();
    hang_at(&mut pair, 0);
    pair.pass_ms(10_100);
    assert!(has_alarm(&pair, 0, "8 handlers did not return"));
}

/// True for the selector of a word, and for nothing else.
fn selector_hangs(deliver: &Deliver) -> bool {
    deliver.task == Task::Select && word(&deliver.event).is_ok_and(|word| word == "hang")
}

/// True for what would create a root entity at a word.
fn new_root_hangs(deliver: &Deliver) -> bool {
    let is_new = !deliver.tree.contains_key(&deliver.entity.number);
    let is_event = deliver.task == Task::Event;
    is_new && is_event && word(&deliver.event).is_ok_and(|word| word == "two")
}

/// `docs/event-router.md`: its service is quarantined in this cell, it gets nothing of it any more.
#[test]
fn a_service_whose_selector_hangs_gets_nothing_of_the_call_any_more_in_root_cells_either() {
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = selector_hangs;
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    pair.say(0, "c1 start; fire choose 1 one");
    pair.pass_ms(1_000);
    assert!(take_trace().contains(&"chooser1 one".to_owned()));
    pair.say(0, "c1 fire choose 1 hang");
    pair.pass_ms(13_000);
    assert_eq!(pair.nodes[0].hanging, 1);
    pair.say(0, "c1 fire tick 1 news");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), ["chooser is asked about hang"; 0]);
}

/// The same: its service gets nothing more of the activities that were tied to it.
#[test]
fn a_service_one_of_whose_roots_hangs_gets_nothing_more_of_the_activity() {
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = new_root_hangs;
    selects("chooser", |word, _| Ok(InitialEvent::by().custom_name(word)));
    pair.say(0, "c1 start; fire choose 1 one");
    pair.pass_ms(1_000);
    pair.say(0, "c1 fire choose 1 two");
    pair.pass_ms(15_000);
    assert_eq!(pair.nodes[0].hanging + pair.nodes[1].hanging, 1);
    take_trace();
    pair.say(0, "c1 fire choose 1 three");
    pair.say(0, "c1 fire tick 1 news");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), [""; 0]);
}

/// `docs/event-router.md`: the other services of the call go on.
#[test]
fn the_other_services_go_on_when_a_handler_hangs_whose_service_has_suspended_an_event() {
    let mut container = Container::begun();
    on("alpha", "suspend", |_, cx| cx.suspend_event(Duration::from_secs(3_600)));
    hangs("alpha", "hang");
    assert_eq!(container.tick("suspend"), ["alpha1 suspend"]);
    container.say("c1 start; fire begin 2 begin");
    container.fire_on(2, "tick", "hang");
    container.pass_seconds(60);
    assert!(container.has_alarm("which goes on without alpha"));
    container.trace();
    assert_eq!(container.tick("news"), ["beta2 news"]);
}

/// An activity of an adaptor in the cell of a root that hung does not keep its name.
#[test]
fn calls_get_a_fresh_root_though_an_activity_lives_on_where_one_hung() {
    for dies in [false, true] {
        script::clear();
        let mut pair = Pair::up();
        pair.hangs = script::does_hang;
        selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
        on("chooser", "one", |_, cx| {
            let letter = cx.start_activity("post", &"a letter".to_owned())?;
            cx.fire(letter, &Begin { word: "kept".to_owned() })
        });
        hangs("chooser", "hang");
        let (owner, caller) = (pair.tables_owner(), 1 - pair.tables_owner());
        pair.say(caller, "c1 start; fire choose 1 one");
        pair.pass_ms(1_000);
        pair.say(caller, "c1 fire tick 1 hang");
        pair.pass_ms(12_000);
        assert_eq!(pair.nodes[owner].hanging, 1);
        if dies {
            pair.kill(owner);
            pair.until_member_of(caller, 1);
        }
        take_trace();
        pair.say(caller, "c2 start; fire choose 1 two");
        pair.pass_ms(1_000);
        assert_eq!(take_trace().last().map(String::as_str), Some("chooser1 two"));
    }
}

/// `docs/event-router.md`: nothing more of the activities that were tied to it; others have a new
/// root entity, also if they come faster than those have heard of it.
#[test]
fn calls_that_come_while_and_after_a_root_of_the_cluster_hangs_get_a_fresh_one() {
    const CALLS: usize = 60;
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = script::does_hang;
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    hangs("chooser", "hang");
    let caller = 1 - pair.tables_owner();
    pair.say(caller, "first start; fire choose 1 one");
    pair.pass_ms(1_000);
    pair.say(caller, "first fire tick 1 hang");
    pair.pass_ms(9_970);
    take_trace();
    for call in 0..CALLS {
        pair.begin_to_say(caller, &format!("c{call} start; fire choose 1 new"));
        pair.pass_ms(1);
    }
    assert_eq!(pair.nodes[1 - caller].hanging, 1);
    pair.pass_ms(2_000);
    pair.say(caller, "first fire choose 1 again");
    pair.pass_ms(1_000);
    let trace = take_trace();
    let ran = |line: &str| trace.iter().filter(|it| *it == line).count();
    assert_eq!((ran("chooser1 new"), ran("chooser1 again")), (CALLS, 0), "{trace:?}");
}
