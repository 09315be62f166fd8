//! An operator asks whether calls are still up, or removes the adaptor.

mod harness;

use harness::phone::{self, ALICE, BOB, acknowledged_call, answer, bob_answers, invite};
use harness::{Node, Policy};
use resilee_sip_api::{EndCause, Ended, Side};

/// Alice and Bob talk for a minute.
fn call() -> Node {
    let mut node = Node::for_bob();
    acknowledged_call(&mut node);
    node.wait(60_000);
    node
}

#[test]
fn a_query_of_liveness_asks_both_ends_and_a_call_that_both_know_goes_on() {
    let mut node = call();
    let turn = node.query_liveness();
    assert_eq!(
        (turn.lines(ALICE), turn.lines(BOB)),
        (vec!["OPTIONS".to_owned()], vec!["OPTIONS".to_owned()])
    );
    node.receive(BOB, bob_answers(&turn.only(BOB), 200));
    node.receive(ALICE, answer(&turn.only(ALICE), 200, "", phone::ALICE_CONTACT));
    node.wait(60_000);
    assert_eq!(node.living_activities(), 1);
}

#[test]
fn a_call_whose_ends_have_vanished_is_ended_by_a_query_of_liveness() {
    let mut node = call();
    node.query_liveness();
    node.wait(120_000);
    assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
}

#[test]
fn a_call_that_rings_is_not_asked() {
    let mut node = Node::for_bob();
    node.receive(ALICE, invite());
    assert!(node.query_liveness().sent.is_empty());
}

#[test]
fn a_removed_call_ends_for_both_ends_and_for_services() {
    let mut node = call();
    let turn = node.removed();
    assert_eq!(
        (turn.lines(ALICE), turn.lines(BOB)),
        (vec!["BYE".to_owned()], vec!["BYE".to_owned()])
    );
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by, ended.cause), (node.now, Side::Server, EndCause::Bye));
}

#[test]
fn a_removed_request_that_nobody_answered_is_refused() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, invite());
    let turn = node.removed();
    assert!(turn.only(ALICE).starts_with("SIP/2.0 503"));
}
