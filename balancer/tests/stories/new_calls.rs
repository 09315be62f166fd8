//! Who gets a new call, and that it stays there.

use crate::route;
use crate::stage::{Stage, address, request};
use resilee_balancer::{Algorithm, BalancerNotice, NodeState};

/// How many of a hundred new calls the first server gets.
fn of_a_hundred(stage: &mut Stage, name: &str) -> usize {
    let calls = (0..100).map(|call| request("INVITE", &format!("{name}{call}"), None));
    calls.filter(|call| stage.server_of(call) == Some(0)).count()
}

#[test]
fn turns_follow_the_weights() {
    let mut stage = Stage::pair_with(Algorithm::RoundRobin, |it| it.servers[0].weight = 3);
    assert_eq!(of_a_hundred(&mut stage, "c"), 75);
}

#[test]
fn a_node_that_joins_gets_a_share_that_grows_to_its_weight() {
    for algorithm in [Algorithm::FirstAlive, Algorithm::CallId, Algorithm::RoundRobin] {
        let mut stage = Stage::pair_with(algorithm, |it| it.health.ramp_up_s = 10);
        let whole = of_a_hundred(&mut stage, "a");
        stage.take_over();
        stage.come_back();
        assert_eq!(stage.balancer.state(0), NodeState::Starting);
        let first = of_a_hundred(&mut stage, "b");
        assert!(first < 10, "{algorithm:?}: {first}");
        stage.run(5_000);
        let half = of_a_hundred(&mut stage, "c");
        assert!(first < half && half < whole, "{algorithm:?}: {half}");
        stage.run(5_000);
        assert_eq!(stage.balancer.state(0), NodeState::Ready);
        let last = of_a_hundred(&mut stage, "d");
        assert!(last.abs_diff(whole) < 20, "{algorithm:?}: {last} as at first, {whole}");
        let states = stage.notices.iter().filter_map(|notice| match notice {
            BalancerNotice::State { node, state, .. } if node.as_str() == "one" => Some(*state),
            _ => None,
        });
        assert_eq!(Vec::from_iter(states).last(), Some(&NodeState::Ready));
    }
}

#[test]
fn a_first_view_and_a_node_alone_need_no_ramp() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    assert_eq!([0, 1].map(|it| stage.balancer.state(it)), [NodeState::Ready; 2]);
    stage.take_over();
    stage.run_without(400, Some(0));
    assert_eq!([0, 1].map(|it| stage.balancer.state(it)), [NodeState::Down, NodeState::Ready]);
}

#[test]
fn a_node_that_comes_back_takes_no_call_back() {
    let mut stage = Stage::pair_with(Algorithm::FirstAlive, |it| it.health.ramp_up_s = 0);
    let [invite, cancel] = ["INVITE", "CANCEL"].map(|method| request(method, "c1", None));
    assert_eq!(stage.server_of(&invite), Some(0));
    stage.take_over();
    stage.come_back();
    assert_eq!(stage.server_of(&request("INVITE", "c2", None)), Some(0), "a new call");
    assert_eq!(stage.server_of(&invite), Some(1));
    assert_eq!(stage.server_of(&cancel), Some(1));
    assert_eq!(stage.server_of(&request("BYE", "c1", Some(&route(0)))), Some(1));
}

#[test]
fn a_call_stays_where_it_began_also_after_its_bye() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    let text = |method| request(method, "c1", None);
    assert_eq!(stage.server_of(&text("INVITE")), Some(0));
    assert_eq!(stage.server_of(&request("BYE", "c1", Some(&route(0)))), Some(0));
    stage.run(60_000);
    for method in ["INVITE", "CANCEL", "ACK", "BYE"] {
        assert_eq!(stage.server_of(&text(method)), Some(0), "{method}");
    }
}

#[test]
fn what_is_no_call_pushes_no_call_out_and_is_not_counted_as_one() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    let [invite, cancel] = ["INVITE", "CANCEL"].map(|method| request(method, "call", None));
    let first = stage.server_of(&invite);
    stage.phone = address("127.0.0.1:5060");
    for ping in 0..20_000 {
        stage.client(&request("OPTIONS", &format!("ping{ping}"), None));
        stage.client(&request("ACK", &format!("stray{ping}"), None));
    }
    for _ in 0..2 {
        assert_eq!(stage.server_of(&cancel), first);
    }
    let new_calls = |it: usize| stage.balancer.status(stage.now).servers[it].new_calls;
    assert_eq!(new_calls(0) + new_calls(1), 1);
}

#[test]
fn what_is_no_call_goes_where_it_went_when_it_is_repeated() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    for number in 0..10 {
        let message = request("MESSAGE", &format!("m{number}"), None);
        let first = stage.server_of(&message);
        assert_eq!(stage.server_of(&message), first);
    }
}
