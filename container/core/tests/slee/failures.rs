//! Services that fail again and again (`Deployment::on_repeated_failures`).

use crate::pair::Pair;
use crate::script::{self, fail, hangs, on, take_trace};
use crate::toy::{RESTLESS, SERVICES, TIRED, WARY};
use crate::upgrades::want;
use resilee_core::management::ServiceState;
use resilee_sbb::{LinkedSbb, Tables};

const WARY_FAILED: &str = "wary failed 3 times within 60 s: it begins nothing new here until it \
                           has not failed for as long, or is activated";
const MINUTE_MS: u64 = 60_000;

/// A pair with one service that fails at `fail`, and has an entity in `old` at node 0.
fn pair(service: LinkedSbb) -> Pair {
    script::clear();
    let mut pair = Pair::of(&[service], Tables::default()).whole();
    on(service.descriptor().name, "fail", |_, _| fail());
    pair.say(0, "old start; fire begin 1 begin");
    pair
}

/// The service fails so often at a node.
fn fail_at(pair: &mut Pair, node: usize, times: usize) {
    for _ in 0..times {
        pair.say(node, "old fire tick 1 fail");
        pair.pass_ms(10);
    }
    take_trace();
}

fn alarms(pair: &Pair, node: usize) -> Vec<String> {
    let alarms = pair.status(node).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "life-cycle").map(|alarm| alarm.text).collect()
}

/// What runs when a new call begins at a node.
fn begins(pair: &mut Pair, node: usize, call: &str) -> Vec<String> {
    take_trace();
    pair.say(node, &format!("{call} start; fire begin 1 new"));
    take_trace()
}

fn state(pair: &Pair, node: usize, service: &str) -> ServiceState {
    let services = pair.status(node).services;
    services.into_iter().find(|it| it.name == service).expect("deployed").state
}

#[test]
fn a_service_that_fails_again_and_again_is_an_alarm_until_it_has_not_for_a_minute() {
    let mut pair = pair(SERVICES[0]);
    fail_at(&mut pair, 0, 2);
    assert_eq!(alarms(&pair, 0), [""; 0]);
    fail_at(&mut pair, 0, 1);
    let text = "alpha failed 3 times within 60 s: look at its other alarms";
    assert_eq!((alarms(&pair, 0), alarms(&pair, 1)), (vec![text.to_owned()], vec![]));
    assert_eq!(begins(&mut pair, 0, "c1"), ["alpha1 new"]);
    pair.pass_ms(MINUTE_MS - 1_000);
    assert_eq!(alarms(&pair, 0), [text]);
    pair.pass_ms(2_000);
    assert_eq!(alarms(&pair, 0), [""; 0]);
}

#[test]
fn failures_that_are_rare_are_no_alarm() {
    let mut pair = pair(WARY);
    for _ in 0..3 {
        fail_at(&mut pair, 0, 1);
        pair.pass_ms(MINUTE_MS / 2);
    }
    assert_eq!(alarms(&pair, 0), [""; 0]);
    assert_eq!(begins(&mut pair, 0, "c1"), ["wary1 new"]);
}

/// Its entities go on, and so does the other node.
#[test]
fn a_service_may_begin_nothing_where_it_fails_until_it_has_not_for_a_minute() {
    let mut pair = pair(WARY);
    fail_at(&mut pair, 0, 3);
    assert_eq!((alarms(&pair, 0), alarms(&pair, 1)), (vec![WARY_FAILED.to_owned()], vec![]));
    assert_eq!(begins(&mut pair, 0, "c1"), [""; 0]);
    assert_eq!(begins(&mut pair, 1, "c2"), ["wary1 new"]);
    pair.say(0, "old fire tick 1 on");
    assert_eq!(take_trace(), ["wary1 on"]);
    pair.pass_ms(MINUTE_MS + 1_000);
    assert_eq!(alarms(&pair, 0), [""; 0]);
    assert_eq!(begins(&mut pair, 0, "c3"), ["wary1 new"]);
}

#[test]
fn a_service_that_an_operator_activates_begins_anew_where_it_failed() {
    let mut pair = pair(WARY);
    fail_at(&mut pair, 0, 3);
    pair.pass_ms(10);
    want(&mut pair, &["wary"], &[]);
    assert_eq!(alarms(&pair, 0), [""; 0]);
    assert_eq!(begins(&mut pair, 0, "c1"), ["wary1 new"]);
    fail_at(&mut pair, 0, 2);
    assert_eq!(alarms(&pair, 0), [""; 0]);
    fail_at(&mut pair, 0, 1);
    assert_eq!(begins(&mut pair, 0, "c2"), [""; 0]);
}

#[test]
fn who_takes_over_counts_anew() {
    let mut pair = pair(WARY);
    fail_at(&mut pair, 0, 3);
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.pass_ms(100);
    assert_eq!(alarms(&pair, 1), [""; 0]);
    assert_eq!(begins(&mut pair, 1, "c1"), ["wary1 new"]);
    fail_at(&mut pair, 1, 3);
    assert_eq!(alarms(&pair, 1), [WARY_FAILED]);
    assert_eq!(begins(&mut pair, 1, "c2"), [""; 0]);
}

/// As by an operator: at both nodes, and its entities go on.
#[test]
fn a_service_may_be_deactivated_when_it_fails_again_and_again() {
    for node in [0, 1] {
        let mut pair = pair(TIRED);
        pair.say(node, "own start; fire begin 1 begin");
        for _ in 0..3 {
            pair.say(node, "own fire tick 1 fail");
        }
        pair.pass_ms(100);
        assert_eq!(state(&pair, 0, "tired"), ServiceState::Stopping);
        assert_eq!(state(&pair, 1, "tired"), ServiceState::Stopping);
        let said = alarms(&pair, node);
        assert!(said.iter().any(|it| it.starts_with("tired is deactivated since")), "{said:?}");
        for other in [0, 1] {
            assert_eq!(begins(&mut pair, other, &format!("c{other}")), [""; 0]);
        }
        pair.say(0, "old fire tick 1 on");
        assert_eq!(take_trace(), ["tired1 on"]);
        pair.pass_ms(2 * MINUTE_MS);
        assert_eq!(begins(&mut pair, node, "c2"), [""; 0], "until an operator activates it");
        want(&mut pair, &["tired"], &[]);
        assert_eq!(begins(&mut pair, node, "c3"), ["tired1 new"]);
    }
}

/// Who owns the tables dies before it has deactivated it, or right after.
#[test]
fn it_is_deactivated_whoever_dies_meanwhile() {
    for steps in 0..6 {
        let mut pair = pair(TIRED);
        let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
        pair.say(other, "own start; fire begin 1 begin");
        for _ in 0..2 {
            pair.say(other, "own fire tick 1 fail");
        }
        pair.begin_to_say(other, "own fire tick 1 fail");
        pair.deliver(steps);
        pair.kill(owner);
        pair.until_member_of(other, 1);
        pair.pass_ms(1_000);
        assert_eq!(state(&pair, other, "tired"), ServiceState::Stopping, "after {steps} steps");
    }
}

#[test]
fn a_service_that_another_one_needs_begins_nothing_instead() {
    script::clear();
    let mut pair = Pair::of(&[TIRED, RESTLESS], Tables::default()).whole();
    on("tired", "fail", |_, _| fail());
    pair.say(0, "old start; fire begin 1 begin");
    fail_at(&mut pair, 0, 3);
    assert_eq!(state(&pair, 0, "tired"), ServiceState::Active);
    assert_eq!(begins(&mut pair, 0, "c1"), [""; 0]);
    let text = "tired fails again and again, and could not be deactivated: restless is active and \
                needs tired: deactivate restless as well";
    assert!(alarms(&pair, 0).contains(&text.to_owned()), "{:?}", alarms(&pair, 0));
    pair.pass_ms(MINUTE_MS + 1_000);
    assert_eq!(begins(&mut pair, 0, "c2"), ["tired1 new"]);
}

/// Each try is the same failure.
#[test]
fn an_event_that_is_tried_again_and_again_is_one_failure() {
    let mut pair = pair(SERVICES[3]);
    pair.say(0, "c1 start; fire keep 1 fail");
    pair.pass_ms(MINUTE_MS / 2);
    assert_eq!(alarms(&pair, 0), [""; 0]);
    on("keeper", "fail", |_, _| Ok(()));
    pair.pass_ms(MINUTE_MS);
}

#[test]
fn a_handler_that_hangs_has_failed() {
    let mut pair = pair(WARY);
    pair.hangs = script::does_hang;
    hangs("wary", "hang");
    pair.say(0, "c1 start; fire begin 1 begin");
    pair.say(0, "c1 fire tick 1 hang");
    pair.pass_ms(11_000);
    fail_at(&mut pair, 0, 2);
    assert_eq!(alarms(&pair, 0), [WARY_FAILED]);
}
