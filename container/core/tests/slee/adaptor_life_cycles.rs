//! Life cycles of resource adaptors (chapters 14 and 15, `ResourceManagementMBean`): draining,
//! forced removal, liveness, properties; and that all nodes agree, also after a kill.

use crate::adaptors::{answer, begun, end, last, post, posted, write};
use crate::pair::Pair;
use crate::post::Letter;
use crate::script::{self, on, take_trace};
use resilee_core::management::{
    AdaptorOrder, AdaptorState, AdaptorStatus, Changed, Removal, TableChange,
};
use std::time::Duration;

fn want(order: AdaptorOrder) -> TableChange {
    TableChange::Adaptor { name: "post".to_owned(), order }
}

fn make(pair: &mut Pair, node: usize, order: AdaptorOrder) {
    assert_eq!(pair.change(node, want(order)), Some(Changed::Done));
}

fn refused(pair: &mut Pair, change: TableChange) -> String {
    match pair.change(0, change) {
        Some(Changed::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn status(pair: &Pair, node: usize) -> AdaptorStatus {
    let adaptors = pair.status(node).adaptors;
    adaptors.into_iter().find(|adaptor| adaptor.name == "post").expect("it is deployed")
}

/// The state that both nodes give it.
fn state(pair: &Pair) -> AdaptorState {
    let states = [0, 1].map(|node| status(pair, node).state);
    assert_eq!(states[0], states[1], "the nodes agree");
    states[0]
}

fn first(key: u64, word: &str) -> Letter {
    Letter::First { key, word: word.to_owned() }
}

/// A pair on which a call of `alpha` waits for the answer to a letter, activity 2.
fn with_a_letter() -> Pair {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(posted(&mut pair, 0), ["letter 2 hello"]);
    take_trace();
    pair
}

#[test]
fn an_adaptor_is_active_as_long_as_nobody_says_anything() {
    assert_eq!(state(&begun()), AdaptorState::Active);
}

#[test]
fn one_that_is_deactivated_begins_nothing_and_finishes_what_is_there() {
    let mut pair = with_a_letter();
    make(&mut pair, 1, AdaptorOrder::Deactivate);
    assert_eq!(state(&pair), AdaptorState::Stopping);
    for node in [0, 1] {
        post(&mut pair, node, &first(7, "begin"));
        assert_eq!(posted(&mut pair, node), ["refused"]);
    }
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(take_trace(), ["alpha1 write", "beta2 write", "alpha1 end 3"], "ends at once");
    assert_eq!(posted(&mut pair, 0), [""; 0]);
    let letter = answer(&pair, 0, 2, "thanks");
    post(&mut pair, 0, &letter);
    assert_eq!(take_trace(), ["alpha1 thanks"]);
    last(&mut pair, 0, 2);
    assert_eq!(state(&pair), AdaptorState::Inactive, "without a commit");
    make(&mut pair, 0, AdaptorOrder::Activate);
    post(&mut pair, 0, &first(7, "begin"));
    assert_eq!(posted(&mut pair, 0), ["test.begin of 1 received"]);
}

#[test]
fn another_adaptor_goes_on_meanwhile() {
    let mut pair = begun();
    make(&mut pair, 0, AdaptorOrder::Deactivate);
    pair.say(0, "c2 start; fire begin 1 begin");
    assert_eq!(take_trace(), ["alpha1 begin", "beta2 begin"]);
}

#[test]
fn a_removed_adaptor_loses_its_activities_and_nothing_else() {
    let mut pair = with_a_letter();
    post(&mut pair, 0, &first(7, "begin"));
    posted(&mut pair, 0);
    take_trace();
    make(&mut pair, 1, AdaptorOrder::Remove);
    pair.pass_ms(10);
    assert_eq!(posted(&mut pair, 0), ["farewell 2", "farewell 1"]);
    assert_eq!(take_trace(), ["alpha1 end 2", "alpha1 end 1", "beta2 end 1"]);
    assert_eq!(state(&pair), AdaptorState::Inactive);
    pair.say(0, "c1 fire tick 1 tick");
    assert_eq!(take_trace(), ["alpha1 tick", "beta2 tick"], "the call goes on");
    make(&mut pair, 0, AdaptorOrder::Activate);
    end(&mut pair, 0);
}

#[test]
fn an_activity_that_is_adopted_after_the_removal_ends_as_well() {
    let mut pair = with_a_letter();
    // The owner of the call has the order, and dies before it has carried it out.
    make(&mut pair, 0, AdaptorOrder::Remove);
    assert_eq!(state(&pair), AdaptorState::Stopping);
    pair.seat_away = true;
    pair.kill(0);
    // The survivor carries it out for its own cells before the call is one of them.
    pair.pass_ms(50);
    assert_eq!(take_trace(), [""; 0]);
    pair.seat_away = false;
    pair.until_member_of(1, 1);
    pair.pass_ms(10);
    assert_eq!(take_trace(), ["alpha1 end 2"], "once");
    assert_eq!(status(&pair, 1).state, AdaptorState::Inactive);
    end(&mut pair, 1);
}

/// An operator ends activity 2 of the call at a node.
fn end_activity(pair: &mut Pair, node: usize, orderly: bool) -> Option<Changed> {
    let cells = pair.nodes[node].core.as_ref().expect("it lives").cells(1);
    let what = format!("{}/a2", cells[0].id).parse().expect("an id");
    let removal = Removal { what, by: "ann".to_owned(), again: false, orderly };
    pair.change(node, TableChange::Remove(removal))
}

#[test]
fn an_activity_that_is_removed_ends_at_once_and_its_client_is_told() {
    let mut pair = with_a_letter();
    assert_eq!(end_activity(&mut pair, 1, false), Some(Changed::Done));
    assert_eq!(posted(&mut pair, 0), ["farewell 2"]);
    assert_eq!(take_trace(), ["alpha1 end 2"]);
    end(&mut pair, 0);
}

#[test]
fn one_that_is_ended_in_order_goes_on_until_its_client_has_heard_also_at_the_survivor() {
    let mut pair = with_a_letter();
    assert_eq!(end_activity(&mut pair, 1, true), Some(Changed::Done));
    assert_eq!((posted(&mut pair, 0), take_trace()), (vec!["please end 2".to_owned()], vec![]));
    pair.kill(0);
    pair.until_member_of(1, 1);
    last(&mut pair, 1, 2);
    assert_eq!(take_trace(), ["alpha1 end 2"]);
    end(&mut pair, 1);
}

#[test]
fn a_removed_adaptor_takes_no_message_at_all() {
    let mut pair = with_a_letter();
    make(&mut pair, 0, AdaptorOrder::Remove);
    let letter = answer(&pair, 0, 2, "thanks");
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["refused"]);
    assert_eq!(take_trace(), [""; 0]);
}

#[test]
fn one_that_is_still_being_removed_cannot_be_activated() {
    let mut pair = with_a_letter();
    make(&mut pair, 0, AdaptorOrder::Remove);
    let reason = refused(&mut pair, want(AdaptorOrder::Activate));
    assert_eq!(reason, "post is still being removed: activate it when it is inactive");
    pair.pass_ms(10);
    make(&mut pair, 0, AdaptorOrder::Activate);
    assert_eq!(state(&pair), AdaptorState::Active);
}

#[test]
fn a_query_of_liveness_reaches_each_activity_at_its_owner_and_ends_the_dead_ones() {
    let mut pair = begun();
    for (key, word) in [(1, "alive"), (2, "dead")] {
        post(&mut pair, 0, &first(key, word));
    }
    post(&mut pair, 1, &first(3, "alive"));
    for node in [0, 1] {
        posted(&mut pair, node);
    }
    take_trace();
    make(&mut pair, 1, AdaptorOrder::QueryLiveness);
    pair.pass_ms(20);
    assert_eq!(posted(&mut pair, 0), ["looked at 1"]);
    assert_eq!(posted(&mut pair, 1), ["looked at 1"]);
    assert_eq!(take_trace(), ["alpha1 end 1", "beta2 end 1"], "of the dead one");
    pair.pass_ms(100);
    assert_eq!(posted(&mut pair, 0), [""; 0], "once");
    make(&mut pair, 0, AdaptorOrder::QueryLiveness);
    pair.pass_ms(20);
    assert_eq!(posted(&mut pair, 0), ["looked at 1"], "asked again");
}

#[test]
fn a_query_goes_through_more_cells_than_one_step_takes() {
    let mut pair = begun();
    for key in 0..300 {
        post(&mut pair, 0, &first(key, "alive"));
    }
    posted(&mut pair, 0);
    make(&mut pair, 0, AdaptorOrder::QueryLiveness);
    pair.pass_ms(2);
    assert!(posted(&mut pair, 0).len() < 300, "not all at once");
    pair.pass_ms(50);
    make(&mut pair, 0, AdaptorOrder::QueryLiveness);
    pair.pass_ms(50);
    assert!(posted(&mut pair, 0).len() >= 300);
}

#[test]
fn properties_are_verified_and_then_known_to_the_adaptor_of_each_node() {
    let mut pair = begun();
    let properties = |name: &str, value: &str| AdaptorOrder::Configure {
        properties: [(name.to_owned(), value.to_owned())].into(),
    };
    let reason = refused(&mut pair, want(properties("colour", "red")));
    assert_eq!(reason, "post does not take these properties: what is colour?");
    let reason = refused(&mut pair, want(properties("stamp", &"x".repeat(2_000))));
    assert!(reason.contains("longer than"), "{reason}");
    make(&mut pair, 1, properties("stamp", "express "));
    assert_eq!(status(&pair, 0).properties["stamp"], "express ");
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(posted(&mut pair, 0), ["express letter 2 hello"]);
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.say(1, "c1 fire tick 1 write");
    assert!(posted(&mut pair, 1).contains(&"express letter 3 hello".to_owned()));
}

#[test]
fn what_is_wanted_of_an_adaptor_outlives_both_nodes() {
    let mut pair = begun();
    make(&mut pair, 0, AdaptorOrder::Deactivate);
    pair.kill(0);
    pair.kill(1);
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    assert!(matches!(state(&pair), AdaptorState::Inactive | AdaptorState::Stopping));
    post(&mut pair, 1, &first(7, "begin"));
    assert_eq!(posted(&mut pair, 1).last().map(String::as_str), Some("refused"));
}

#[test]
fn an_adaptor_that_nobody_has_is_refused_with_the_names_of_those_that_there_are() {
    script::clear();
    let mut pair = Pair::up();
    let (name, order) = ("fax".to_owned(), AdaptorOrder::Deactivate);
    let reason = refused(&mut pair, TableChange::Adaptor { name, order });
    assert!(reason.ends_with("no resource adaptor \"fax\" deployed: deployed are toy, post"));
}

#[test]
fn a_removed_adaptor_does_not_wait_for_a_suspended_event() {
    let mut pair = with_a_letter();
    on("alpha", "hold", |_, cx| cx.suspend_event(Duration::from_secs(3_000)));
    let held = answer(&pair, 0, 2, "hold");
    post(&mut pair, 0, &held);
    let behind = answer(&pair, 0, 2, "behind");
    post(&mut pair, 0, &behind);
    assert_eq!(take_trace(), ["alpha1 hold"]);
    make(&mut pair, 1, AdaptorOrder::Remove);
    pair.pass_ms(100);
    assert_eq!(take_trace(), ["alpha1 behind", "alpha1 end 2"]);
    assert_eq!(state(&pair), AdaptorState::Inactive);
    end(&mut pair, 0);
}

#[test]
fn a_removed_adaptor_does_not_wait_for_an_end_behind_a_suspended_event() {
    let mut pair = with_a_letter();
    on("alpha", "hold", |_, cx| cx.suspend_event(Duration::from_secs(3_000)));
    let held = answer(&pair, 0, 2, "hold");
    post(&mut pair, 0, &held);
    last(&mut pair, 0, 2);
    take_trace();
    make(&mut pair, 1, AdaptorOrder::Remove);
    pair.pass_ms(100);
    assert_eq!(state(&pair), AdaptorState::Inactive);
    end(&mut pair, 0);
}
