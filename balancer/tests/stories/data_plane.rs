//! Nodes whose heartbeats come and whose SIP does not.

use crate::route;
use crate::stage::{Stage, address, request};
use resilee_balancer::{Algorithm, BalancerNotice, Failing, NodeState};

fn invite(call: &str) -> String {
    request("INVITE", call, None).replace("z9hG4bKx", &format!("z9hG4bK{call}"))
}

fn response(call: &str, status: u16) -> String {
    format!(
        "SIP/2.0 {status} Any\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call};received=192.0.2.1\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
         Call-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n"
    )
}

/// Thirty new calls of as many phones, which their servers answer with this, or not at all; who got
/// the last one.
fn thirty_calls(stage: &mut Stage, name: &str, status: Option<u16>) -> Option<usize> {
    let mut last = None;
    for number in 0..30 {
        let call = format!("{name}{number}");
        stage.phone = address(&format!("192.0.2.{number}:5060"));
        last = stage.server_of(&invite(&call));
        if let (Some(server), Some(status)) = (last, status) {
            stage.node_sip(server, stage.view.number, &response(&call, status));
        }
    }
    last
}

fn states(stage: &Stage) -> [NodeState; 2] {
    [0, 1].map(|server| stage.balancer.state(server))
}

fn pair() -> Stage {
    Stage::pair_with(Algorithm::FirstAlive, |it| it.health.ramp_up_s = 4)
}

#[test]
fn a_node_that_beats_and_does_not_answer_gets_no_new_calls_until_it_is_tried_again() {
    let mut stage = pair();
    assert_eq!(thirty_calls(&mut stage, "a", None), Some(0));
    stage.run(2_100);
    assert_eq!(states(&stage), [NodeState::Failing, NodeState::Ready]);
    let why = stage.notices.iter().find_map(|notice| match notice {
        BalancerNotice::State { why, state: NodeState::Failing, .. } => *why,
        _ => None,
    });
    assert_eq!(why, Some(Failing::NoResponse(100)));
    assert_eq!(thirty_calls(&mut stage, "b", Some(100)), Some(1));
    assert_eq!(stage.server_of(&request("BYE", "c", Some(&route(0)))), Some(0), "its own call");
    stage.run(10_000);
    assert_eq!(states(&stage), [NodeState::Starting, NodeState::Ready]);
    stage.run(4_000);
    assert_eq!(thirty_calls(&mut stage, "c", Some(180)), Some(0));
    stage.run(2_100);
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
}

#[test]
fn a_node_that_answers_with_server_errors_gets_no_new_calls_either() {
    let mut stage = pair();
    thirty_calls(&mut stage, "a", Some(500));
    stage.run(50);
    assert_eq!(states(&stage), [NodeState::Failing, NodeState::Ready]);
    assert_eq!(thirty_calls(&mut stage, "b", Some(404)), Some(1));
    stage.run(50);
    assert_eq!(states(&stage)[1], NodeState::Ready, "that nobody is there is no error of a server");
}

#[test]
fn if_all_fail_calls_still_go_to_one_of_them() {
    let mut stage = pair();
    for name in ["a", "b"] {
        thirty_calls(&mut stage, name, Some(503));
        stage.run(50);
    }
    assert_eq!(states(&stage), [NodeState::Failing; 2]);
    assert_eq!(stage.server_of(&invite("c")), Some(0));
}

#[test]
fn what_waited_while_the_balancer_slept_or_the_node_was_down_says_nothing() {
    let mut stage = pair();
    thirty_calls(&mut stage, "a", None);
    stage.now = stage.now + std::time::Duration::from_secs(3);
    stage.run(200);
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
    thirty_calls(&mut stage, "b", None);
    stage.run_without(1_000, Some(0));
    assert_eq!(states(&stage), [NodeState::Down, NodeState::Ready]);
    stage.run(2_000);
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
}

#[test]
fn a_limit_of_100_percent_is_none() {
    let mut stage = Stage::pair_with(Algorithm::FirstAlive, |it| {
        it.health.no_response_max_percent = 100;
        it.health.server_error_max_percent = 100;
    });
    thirty_calls(&mut stage, "a", Some(500));
    thirty_calls(&mut stage, "b", None);
    stage.run(2_100);
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
}

#[test]
fn what_a_stranger_is_not_answered_makes_no_server_fail() {
    let mut stage = pair();
    stage.phone = address("203.0.113.7:5060");
    for guess in 0..200 {
        let register = request("REGISTER", &format!("g{guess}"), None);
        stage.client(&register.replace("z9hG4bKx", &format!("z9hG4bKg{guess}")));
        stage.run(50);
    }
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
}

#[test]
fn what_a_stranger_provokes_makes_no_server_fail() {
    let mut stage = pair();
    stage.phone = address("203.0.113.7:5060");
    for number in 0..200 {
        let call = format!("a{number}");
        assert_eq!(stage.server_of(&invite(&call)), Some(0));
        for status in [100, 505] {
            stage.node_sip(0, stage.view.number, &response(&call, status));
        }
        let unasked = response("none", 505);
        stage.node_sip(0, stage.view.number, &unasked);
        stage.run(50);
    }
    assert_eq!(states(&stage), [NodeState::Ready; 2]);
}

#[test]
fn a_trunk_whose_calls_are_taken_says_what_a_server_does_with_each_of_them() {
    let mut stage = pair();
    stage.server_of(&invite("first"));
    stage.node_sip(0, stage.view.number, &response("first", 200));
    for number in 0..30 {
        assert_eq!(stage.server_of(&invite(&format!("a{number}"))), Some(0));
    }
    stage.run(2_100);
    assert_eq!(states(&stage), [NodeState::Failing, NodeState::Ready]);
}
