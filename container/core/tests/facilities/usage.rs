//! Usage facility (JAIN SLEE 1.1 chapter 11).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::management::{
    Changed, SampleStatus, Status, TableChange, UsageSetStatus, UsageStatus, UsageSum,
};
use resilee_core::{Input, USAGE_SETS_MAX};

fn house() -> House {
    let mut house = House::new();
    house.say("c1 begin");
    house
}

fn of(status: Status) -> UsageStatus {
    let worker = status.services.into_iter().find(|service| service.name == "worker");
    worker.and_then(|service| service.usage).expect("it declares usage")
}

fn usage(house: &House) -> UsageStatus {
    of(house.core.status(house.now))
}

fn set(usage: &UsageStatus, name: &str) -> Option<UsageSetStatus> {
    usage.sets.iter().find(|set| set.set == name).cloned()
}

fn words(house: &House) -> i64 {
    set(&usage(house), "").expect("the default set").counters["words"]
}

/// Figures of the worker are to begin at zero.
pub fn zero() -> TableChange {
    TableChange::ResetUsage { service: "worker".to_owned() }
}

/// What an operator is told who lets figures begin at zero.
fn begin_at_zero(house: &mut House, service: &str) -> Changed {
    let change = TableChange::ResetUsage { service: service.to_owned() };
    house.feed(Input::Change { token: 1, change });
    house.flush();
    house.changed.pop().expect("it is answered")
}

#[test]
fn what_is_declared_is_there_from_the_start_at_zero() {
    let set = set(&usage(&house()), "").expect("the default set");
    assert_eq!(set.counters["words"], 0);
    assert_eq!(set.samples["ring_ms"], SampleStatus::default());
}

#[test]
fn a_counter_is_the_sum_of_its_increments() {
    let mut house = house();
    house.say("c1 say count:2");
    house.say("c1 say count:40");
    assert_eq!(words(&house), 42);
}

#[test]
fn what_a_child_counts_is_its_services_by_the_name_of_the_childs_sbb() {
    let mut house = house();
    house.say("c1 say child:count:2");
    let set = set(&usage(&house), "").expect("the default set");
    assert_eq!((set.counters["helper.words"], set.counters["words"]), (2, 0));
    assert!(set.samples.contains_key("helper.ring_ms"));
}

#[test]
fn a_sample_has_count_least_greatest_mean_and_percentiles() {
    let mut house = house();
    for value in 1..=20 {
        house.say(&format!("c1 say sample:{value}"));
    }
    let sample = set(&usage(&house), "").expect("the default set").samples["ring_ms"];
    let (count, min, max, mean_milli) = (20, 1, 20, 10_500);
    let expected = SampleStatus { count, min, max, mean_milli, p50: 10, p95: 19, p99: 20 };
    assert_eq!(sample, expected);
}

#[test]
fn a_named_set_is_made_when_it_is_first_used() {
    let mut house = house();
    assert_eq!(set(&usage(&house), "gold"), None);
    house.say("c1 say in:gold");
    house.say("c1 say in:gold");
    let gold = set(&usage(&house), "gold").expect("it was used");
    assert_eq!((gold.counters["words"], gold.samples["ring_ms"].count), (2, 2));
    assert_eq!(words(&house), 0, "the default set is another one");
}

#[test]
fn what_is_meant_for_a_set_beyond_the_limit_is_counted_and_hurts_no_call() {
    let mut house = house();
    for number in 1..=USAGE_SETS_MAX {
        house.say(&format!("c1 say in:s{number}"));
    }
    house.say(&format!("c1 say in:{}", "x".repeat(65)));
    let usage = usage(&house);
    assert_eq!(usage.sets.len(), USAGE_SETS_MAX, "with the default set");
    assert_eq!(usage.refused, 4, "one set and one name, a counter and a sample each");
    assert!(house.core.status(house.now).alarms.is_empty());
}

#[test]
fn a_delivery_that_rolls_back_counts_nothing() {
    let mut house = house();
    house.say("c1 say count:2!");
    assert_eq!(words(&house), 0);
}

#[test]
fn a_parameter_that_is_not_declared_rolls_back_with_a_clear_reason() {
    let mut house = house();
    house.say("c1 say count:wrods:1");
    house.say("c1 say count:ring_ms:1");
    let alarms = house.core.status(house.now).alarms;
    let texts: Vec<_> = alarms.iter().map(|alarm| alarm.text.as_str()).collect();
    assert!(texts[0].ends_with("\"ring_ms\" is declared as a sample, and used as a counter"));
    assert!(texts[1].ends_with("usage parameter \"wrods\" is not declared"), "{texts:?}");
}

#[test]
fn an_operator_lets_the_figures_of_a_service_begin_at_zero() {
    let mut house = house();
    house.say("c1 say count:2");
    house.say("c1 say in:gold");
    house.pass_seconds(3);
    assert_eq!(begin_at_zero(&mut house, "worker"), Changed::Done);
    let usage = usage(&house);
    assert_eq!((words(&house), usage.sets.len(), usage.since), (0, 1, house.now));
    for (name, why) in [("other", "declares no usage"), ("nobody", "no service \"nobody\"")] {
        let Changed::Refused(refused) = begin_at_zero(&mut house, name) else { panic!("{name}") };
        assert!(refused.contains(why), "{refused}");
    }
}

/// What a node tells of the cluster.
fn sum(pair: &Pair, node: usize) -> UsageSum {
    pair.nodes[node].core.as_ref().expect("it lives").usage_sum("worker").expect("it counts")
}

/// The counter of the default set, in the whole cluster.
pub fn words_of_cluster(pair: &Pair, node: usize) -> i64 {
    set(&sum(pair, node).usage, "").expect("the default set").counters["words"]
}

/// The counter of the default set at a node alone.
pub fn own_words(pair: &Pair, node: usize) -> i64 {
    set(&of(pair.status(node)), "").expect("the default set").counters["words"]
}

/// An operator lets the worker's figures begin at zero.
pub fn reset(pair: &mut Pair, node: usize) {
    assert_eq!(pair.change(node, zero()), Some(Changed::Done));
}

/// A call at the first node has counted two words.
fn counted() -> Pair {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say count:2");
    pair
}

#[test]
fn the_survivor_has_what_was_counted_at_the_dead_node() {
    let mut pair = counted();
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(words_of_cluster(&pair, 1), 2);
    pair.say(1, "c1 say count:5");
    assert_eq!(words_of_cluster(&pair, 1), 7);
    let own = set(&of(pair.status(1)), "").expect("the default set").counters["words"];
    assert_eq!(own, 5, "what it counted itself");
    let usage = sum(&pair, 1);
    assert_eq!(names(&usage.nodes), ["server1", "server2"], "also the one that is gone");
}

#[test]
fn a_node_that_comes_back_has_all_figures_and_goes_on_counting() {
    let mut pair = counted();
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.say(1, "c1 say count:5");
    pair.start(0);
    pair.until_whole();
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [7, 7]);
    pair.say(0, "c2 begin");
    pair.say(0, "c2 say count:10");
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [17, 17]);
    let own = set(&of(pair.status(0)), "").expect("the default set").counters["words"];
    assert_eq!(own, 12, "with what it counted before");
    pair.kill(1);
    pair.until_member_of(0, 1);
    assert_eq!(words_of_cluster(&pair, 0), 17);
}

#[test]
fn what_is_counted_after_each_step_of_a_commit_is_counted_by_a_survivor_once_or_not_at_all() {
    let mut outcomes = std::collections::BTreeSet::new();
    for steps in 0..6 {
        let mut pair = counted();
        pair.begin_to_say(0, "c1 say count:5");
        pair.deliver(steps);
        pair.kill(0);
        pair.until_member_of(1, 1);
        let survived = words_of_cluster(&pair, 1);
        assert!([2, 7].contains(&survived), "{survived} after {steps} steps");
        outcomes.insert(survived);
        // A client that got no answer says it again: nothing of it is counted twice by the node.
        pair.say(1, "c1 say count:20");
        assert_eq!(words_of_cluster(&pair, 1), survived + 20);
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [2, 7], "lost, and held");
}

#[test]
fn frames_that_come_twice_count_once() {
    let mut pair = counted();
    pair.frames = Some(Vec::new());
    pair.say(0, "c1 say count:5");
    let frames = pair.frames.take().expect("they were kept");
    for _ in 0..2 {
        for bytes in frames.clone() {
            let peer = "server1".parse().expect("a name");
            pair.feed(1, Input::Frame { peer, bytes });
            pair.settle();
        }
    }
    assert!(pair.is_whole(), "the link has not suffered");
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [7, 7]);
}

#[test]
fn what_is_counted_while_a_node_joins_is_counted_once() {
    let mut pair = counted();
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.start(1);
    for _ in 0..400 {
        pair.say(0, "c1 say in:gold");
        pair.pass_ms(10);
        if pair.is_whole() {
            break;
        }
    }
    assert!(pair.is_whole(), "it has joined while calls count");
    pair.say(0, "c1 say in:gold");
    let [first, second] = [0, 1].map(|node| sum(&pair, node).usage);
    assert_eq!(first, second);
    assert!(set(&second, "gold").is_some_and(|gold| gold.samples["ring_ms"].count > 1));
}

#[test]
fn samples_and_what_was_refused_are_the_same_at_the_survivor() {
    let mut pair = counted();
    for number in 1..=USAGE_SETS_MAX {
        pair.say(0, &format!("c1 say in:s{number}"));
    }
    let before = sum(&pair, 0).usage;
    assert_eq!(before.refused, 2, "one set, a counter and a sample");
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert!(sum(&pair, 1).usage == before, "{} sets", before.sets.len());
}

#[test]
fn figures_begin_at_zero_at_all_nodes_at_whichever_that_is_said() {
    for asked in [0, 1] {
        let mut pair = counted();
        pair.say(1, "c2 begin");
        pair.say(1, "c2 say count:3");
        assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [5, 5]);
        reset(&mut pair, asked);
        assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [0, 0]);
        pair.say(0, "c1 say count:1");
        pair.kill(1 - asked);
        pair.until_member_of(asked, 1);
        assert_eq!(words_of_cluster(&pair, asked), 1);
    }
}

#[test]
fn what_was_counted_before_a_reset_that_its_node_had_not_heard_of_is_left_out_at_both() {
    let mut pair = counted();
    pair.say(1, "c2 begin");
    pair.begin_to_say(1, "c2 say count:3");
    // The handler's answer: the commit is on its way.
    pair.deliver(1);
    reset(&mut pair, 0);
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [0, 0]);
    assert_eq!(sum(&pair, 0).usage, sum(&pair, 1).usage);
}

#[test]
fn two_resets_at_the_same_time_leave_the_same_at_both() {
    let mut pair = counted();
    for node in [0, 1] {
        pair.ask(node, zero());
    }
    pair.begin_to_say(0, "c1 say count:4");
    pair.deliver(1);
    pair.settle();
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [4, 4]);
    assert_eq!(sum(&pair, 0).usage, sum(&pair, 1).usage);
}

/// Whoever was told that it is done sees nothing of what was counted before he asked.
#[test]
fn of_two_resets_at_the_same_time_also_the_later_one_leaves_out_what_was_counted_before_it() {
    let mut pair = counted();
    pair.begin_to_say(0, "c1 say count:4");
    pair.deliver(1);
    let first = pair.ask(0, zero());
    pair.deliver(1);
    assert_eq!(words_of_cluster(&pair, 0), 4, "it has heard of one of them");
    let second = pair.ask(1, zero());
    pair.settle();
    let done = [(0, first), (1, second)].map(|(node, token)| pair.answers(node, token..token + 1));
    assert_eq!(done, [[Some(Changed::Done)], [Some(Changed::Done)]]);
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [0, 0]);
    assert_eq!(sum(&pair, 0).usage, sum(&pair, 1).usage);
    pair.say(1, "c2 begin");
    pair.say(1, "c2 say count:3");
    pair.say(0, "c1 say count:5");
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [8, 8]);
}

#[test]
fn figures_begin_at_zero_also_after_a_takeover() {
    let mut pair = counted();
    pair.kill(0);
    pair.until_member_of(1, 1);
    reset(&mut pair, 1);
    assert_eq!(words_of_cluster(&pair, 1), 0);
    assert_eq!(names(&sum(&pair, 1).nodes), ["server2"]);
    pair.start(0);
    pair.until_whole();
    assert_eq!(words_of_cluster(&pair, 0), 0);
}

#[test]
fn when_both_nodes_die_the_stores_have_the_figures() {
    let mut pair = counted();
    pair.say(1, "c2 begin");
    pair.say(1, "c2 say in:gold");
    let before = sum(&pair, 0);
    pair.kill(0);
    pair.kill(1);
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    assert_eq!([0, 1].map(|node| sum(&pair, node)), [before.clone(), before]);
}

#[test]
fn a_node_that_is_no_member_lets_nothing_begin_at_zero() {
    let mut pair = Pair::new();
    pair.start(0);
    let refused = "server1 is no member of the view: ask a member".to_owned();
    assert_eq!(pair.change(0, zero()), Some(Changed::Refused(refused)));
}

fn names(nodes: &[resilee_membership::NodeName]) -> Vec<&str> {
    nodes.iter().map(|node| node.as_str()).collect()
}

#[test]
fn figures_of_all_nodes_are_added_up() {
    let mut pair = Pair::up();
    for (node, call) in [(0, "c1"), (1, "c2")] {
        pair.say(node, &format!("{call} begin"));
        pair.say(node, &format!("{call} say in:gold"));
        pair.say(node, &format!("{call} say in:gold"));
    }
    let own = set(&of(pair.status(0)), "gold").expect("it was used");
    assert_eq!(own.counters["words"], 2, "a node's own stay as they are");
    let both = SampleStatus { count: 4, ..own.samples["ring_ms"] };
    for asked in [0, 1] {
        let sum = sum(&pair, asked);
        assert_eq!(names(&sum.nodes), ["server1", "server2"]);
        let gold = set(&sum.usage, "gold").expect("it was used");
        assert_eq!(gold.counters["words"], 4);
        assert_eq!(gold.samples["ring_ms"], both, "both measured the same");
    }
}

#[test]
fn a_sum_of_a_service_that_counts_nothing_is_refused() {
    let pair = Pair::up();
    let core = pair.nodes[0].core.as_ref().expect("it lives");
    let refused = core.usage_sum("nobody").expect_err("there is none");
    assert!(refused.contains("there is no service \"nobody\""), "{refused}");
}

/// It would be mistaken for the end of the name in the key of a row.
#[test]
fn a_set_whose_name_has_a_nul_in_it_is_stored_like_any_other() {
    let mut pair = counted();
    let names = ["a\0b", "a\u{1}0b", "\0", "\u{1}"];
    for name in names {
        pair.say(0, &format!("c1 say in:{name}"));
    }
    let before = sum(&pair, 0).usage;
    assert!(names.iter().all(|name| set(&before, name).is_some()));
    pair.kill(0);
    pair.kill(1);
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    assert_eq!([0, 1].map(|node| sum(&pair, node).usage), [before.clone(), before]);
}

#[test]
fn a_sum_has_the_sets_of_all_nodes_though_each_node_has_as_many_as_it_may() {
    let mut pair = Pair::up();
    for (node, call) in [(0, "c1"), (1, "c2")] {
        pair.say(node, &format!("{call} begin"));
        for number in 1..USAGE_SETS_MAX {
            pair.say(node, &format!("{call} say in:{call}s{number}"));
        }
    }
    for node in [0, 1] {
        let sum = sum(&pair, node).usage;
        assert_eq!((sum.sets.len(), sum.refused), (2 * USAGE_SETS_MAX - 1, 0), "at {node}");
    }
}
