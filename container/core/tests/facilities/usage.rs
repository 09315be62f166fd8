//! Usage facility (`javax.slee.usage`).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::management::{
    Command, SampleStatus, Status, UsageSetStatus, UsageStatus, UsageSum,
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
    let command = Command::ResetUsage { service: "worker".to_owned() };
    assert_eq!(house.core.check_command(&command), Ok(()));
    house.feed(Input::Command(command));
    let usage = usage(&house);
    assert_eq!((words(&house), usage.sets.len(), usage.since), (0, 1, house.now));
    for (name, why) in [("other", "declares no usage"), ("nobody", "no service \"nobody\"")] {
        let command = Command::ResetUsage { service: name.to_owned() };
        let refused = house.core.check_command(&command).expect_err(name);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn each_node_counts_what_it_did_also_after_a_takeover() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say count:2");
    pair.kill(0);
    pair.pass_ms(2_000);
    pair.say(1, "c1 say count:5");
    let counted = set(&of(pair.status(1)), "").expect("the default set").counters["words"];
    assert_eq!(counted, 5);
}

/// Both nodes of a pair have a call: each has counted 2 words, and measured something.
fn counted() -> Pair {
    let mut pair = Pair::up();
    for (node, call) in [(0, "c1"), (1, "c2")] {
        pair.say(node, &format!("{call} begin"));
        pair.say(node, &format!("{call} say in:gold"));
        pair.say(node, &format!("{call} say in:gold"));
    }
    pair
}

/// What a node tells of the cluster when all has arrived.
fn sum(pair: &mut Pair, node: usize, service: &str) -> Option<Result<UsageSum, String>> {
    let service = service.to_owned();
    pair.feed(node, Input::WantUsage { token: 7, service });
    pair.settle();
    pair.nodes[node].sums.remove(&7).map(|sum| sum.map(|sum| *sum))
}

fn names(nodes: &[resilee_membership::NodeName]) -> Vec<&str> {
    nodes.iter().map(|node| node.as_str()).collect()
}

#[test]
fn figures_of_all_nodes_are_added_up_when_somebody_asks() {
    let mut pair = counted();
    for asked in [0, 1] {
        let sum = sum(&mut pair, asked, "worker").expect("at once").expect("it counts");
        assert_eq!((names(&sum.nodes), names(&sum.missing)), (vec!["server1", "server2"], vec![]));
        let gold = sum.usage.sets.iter().find(|set| set.set == "gold").expect("it was used");
        assert_eq!((gold.counters["words"], gold.samples["ring_ms"].count), (4, 4));
    }
    let own = pair.status(0).services.into_iter().find_map(|service| service.usage);
    let own = own.expect("it counts").sets.into_iter().find(|set| set.set == "gold");
    let own = own.expect("it was used");
    assert_eq!(own.counters["words"], 2, "a node's own stay as they are");
    let sum = sum(&mut pair, 0, "worker").expect("at once").expect("it counts");
    let gold = sum.usage.sets.into_iter().find(|set| set.set == "gold").expect("it was used");
    let both = SampleStatus { count: 4, ..own.samples["ring_ms"] };
    assert_eq!(gold.samples["ring_ms"], both, "both measured the same");
}

#[test]
fn a_node_that_does_not_answer_is_named_and_the_others_are_added_up() {
    let mut pair = counted();
    pair.feed(0, Input::WantUsage { token: 7, service: "worker".to_owned() });
    assert!(pair.nodes[0].sums.is_empty(), "it waits");
    pair.cut(0);
    let sum = pair.nodes[0].sums.remove(&7).expect("it waits no longer").expect("it counts");
    assert_eq!((names(&sum.nodes), names(&sum.missing)), (vec!["server1"], vec!["server2"]));
}

#[test]
fn a_node_that_takes_too_long_is_waited_for_a_second() {
    let mut pair = counted();
    pair.feed(0, Input::WantUsage { token: 7, service: "worker".to_owned() });
    pair.lose_all();
    pair.pass_ms(900);
    assert!(pair.nodes[0].sums.is_empty());
    pair.pass_ms(200);
    let sum = pair.nodes[0].sums.remove(&7).expect("it waits no longer").expect("it counts");
    assert_eq!(names(&sum.missing), ["server2"]);
}

#[test]
fn a_sum_of_a_service_that_counts_nothing_is_refused() {
    let mut pair = Pair::up();
    let refused = sum(&mut pair, 0, "nobody").expect("at once").expect_err("there is none");
    assert!(refused.contains("there is no service \"nobody\""), "{refused}");
}

#[test]
fn a_node_alone_is_the_whole_cluster() {
    let mut pair = counted();
    pair.kill(1);
    pair.until_member_of(0, 1);
    let sum = sum(&mut pair, 0, "worker").expect("at once").expect("it counts");
    assert_eq!((names(&sum.nodes), sum.missing.len()), (vec!["server1"], 0));
}
