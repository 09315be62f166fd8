//! Life cycles of services (chapter 14) and what waits in calls.

use crate::pair::Pair;
use crate::script::{self, fail, hangs, on, selects, take_trace};
use crate::toy::SERVICES;
use resilee_core::management::{Changed, ServiceState, TableChange};
use resilee_sbb::{InitialEvent, LinkedSbb};

/// An operator wants services active, and others inactive.
pub fn want(pair: &mut Pair, activate: &[&str], deactivate: &[&str]) {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let (activate, deactivate) = (owned(activate), owned(deactivate));
    let change = TableChange::Services { activate, deactivate };
    assert_eq!(pair.change(0, change), Some(Changed::Done));
}

/// The state that both nodes give a service, and its entities.
fn state(pair: &Pair, service: &str) -> (ServiceState, u64) {
    let states = [0, 1].map(|node| {
        let services = pair.status(node).services;
        let service = services.into_iter().find(|it| it.name == service).expect("deployed");
        (service.state, service.entities_in_cluster)
    });
    assert_eq!(states[0], states[1], "the nodes agree");
    states[0]
}

#[test]
fn a_service_is_not_inactive_while_an_event_waits_to_create_its_root_entity() {
    script::clear();
    let mut pair = Pair::up();
    on("keeper", "begin", |_, _| fail());
    pair.say(0, "c1 start; fire keep 1 begin");
    want(&mut pair, &[], &["keeper"]);
    assert_eq!(state(&pair, "keeper"), (ServiceState::Stopping, 0));
    on("keeper", "begin", |_, _| Ok(()));
    pair.pass_ms(2_000);
    assert_eq!(state(&pair, "keeper"), (ServiceState::Stopping, 1));
    pair.say(0, "c1 over");
    assert_eq!(state(&pair, "keeper"), (ServiceState::Inactive, 0));
}

/// The rule is about an activity: of another one in the same call the new service takes events.
#[test]
fn what_replaces_a_service_starts_nothing_on_an_activity_that_the_old_one_serves() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["beta"], &["alpha"]);
    take_trace();
    pair.say(0, "c1 fire begin 1 again; start; fire begin 2 other");
    assert_eq!(take_trace(), ["alpha1 again", "beta2 other"]);
}

#[test]
fn what_replaces_a_service_starts_nothing_where_an_event_waits_to_create_the_old_ones_root() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["alpha", "beta"]);
    on("keeper", "begin", |_, _| fail());
    pair.say(0, "c1 start; fire keep 1 begin");
    want(&mut pair, &["beta"], &["keeper"]);
    take_trace();
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), [""; 0]);
    // So that the call can end.
    on("keeper", "begin", |_, _| Ok(()));
}

#[test]
fn a_second_upgrade_starts_nothing_on_a_call_of_the_first_version() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["alpha", "beta"]);
    pair.say(0, "c1 start; fire keep 1 begin");
    want(&mut pair, &["alpha"], &["keeper"]);
    want(&mut pair, &["beta"], &["alpha"]);
    take_trace();
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), [""; 0]);
}

#[test]
fn a_service_that_replaced_another_one_still_does_after_it_was_inactive_for_a_moment() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["beta"], &["alpha"]);
    want(&mut pair, &[], &["beta"]);
    want(&mut pair, &["beta"], &[]);
    take_trace();
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), ["alpha1 more"]);
}

/// An upgrade was undone; then both are wanted.
#[test]
fn a_service_replaces_none_that_is_wanted_beside_it() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["beta"]);
    want(&mut pair, &["beta"], &["alpha"]);
    want(&mut pair, &["alpha"], &["beta"]);
    want(&mut pair, &["beta"], &[]);
    pair.say(0, "c1 start; fire begin 1 begin");
    assert_eq!(take_trace(), ["alpha1 begin", "beta2 begin"]);
}

/// The same, on an activity that the other one has served alone.
#[test]
fn a_service_that_stays_active_does_not_give_way_to_one_that_is_wanted_beside_it() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["beta"]);
    want(&mut pair, &["beta"], &["alpha"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["alpha"], &["beta"]);
    want(&mut pair, &["beta"], &[]);
    take_trace();
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), ["alpha2 more", "beta1 more"]);
}

/// `chooser` has one root entity in the cluster, which has an activity of `c1`.
fn tied() -> Pair {
    script::clear();
    let mut pair = Pair::up();
    pair.hangs = script::does_hang;
    want(&mut pair, &[], &["alpha", "beta"]);
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    pair.say(0, "c1 start; fire choose 1 one");
    pair.pass_ms(1_000);
    pair
}

#[test]
fn what_replaces_a_service_starts_nothing_on_an_activity_that_a_root_of_the_cluster_serves() {
    let mut pair = tied();
    want(&mut pair, &["beta"], &["chooser"]);
    take_trace();
    pair.say(0, "c1 fire begin 1 more; start; fire begin 2 other");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), ["beta1 other"]);
}

#[test]
fn what_replaces_a_service_whose_root_of_the_cluster_hung_starts_nothing_on_its_activities() {
    let mut pair = tied();
    hangs("chooser", "hang");
    pair.say(0, "c1 fire tick 1 hang");
    pair.pass_ms(12_000);
    take_trace();
    pair.say(0, "c1 fire choose 1 again");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), [""; 0], "it gets nothing of the activity any more");
    want(&mut pair, &["beta"], &["chooser"]);
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.say(1, "c1 fire begin 1 more; start; fire begin 2 other");
    pair.pass_ms(1_000);
    assert_eq!(take_trace(), ["beta1 other"]);
}

/// The second node starts again without `alpha`.
fn without_alpha(pair: &mut Pair) {
    pair.kill(1);
    let is_alpha = |service: &&LinkedSbb| service.descriptor().name == "alpha";
    let fewer: Vec<_> = SERVICES.iter().filter(|service| !is_alpha(service)).copied().collect();
    pair.deploy(&fewer);
    pair.start(1);
    pair.until_whole();
}

fn is_told(pair: &Pair, part: &str) -> bool {
    pair.status(1).alarms.iter().any(|alarm| alarm.text.contains(part))
}

#[test]
fn the_alarm_about_what_is_not_deployed_ends_with_the_last_entity() {
    script::clear();
    let mut pair = Pair::up();
    pair.say(0, "c1 start; fire begin 1 begin");
    without_alpha(&mut pair);
    assert!(is_told(&pair, "there are entities of alpha"));
    pair.say(0, "c1 over");
    pair.pass_ms(60_000);
    assert!(!is_told(&pair, "there are entities of alpha"));
}

#[test]
fn a_service_that_becomes_active_and_is_not_deployed_at_the_other_node_is_an_alarm_there() {
    script::clear();
    let mut pair = Pair::up();
    want(&mut pair, &[], &["alpha"]);
    without_alpha(&mut pair);
    want(&mut pair, &["alpha"], &[]);
    assert!(is_told(&pair, "alpha is active in the cluster and not deployed here"));
    want(&mut pair, &[], &["alpha"]);
    assert!(!is_told(&pair, "alpha is active"));
}

/// Nobody has ever switched it.
#[test]
fn a_service_that_begins_something_and_is_not_deployed_at_the_other_node_is_an_alarm_there() {
    script::clear();
    let mut pair = Pair::up();
    without_alpha(&mut pair);
    assert!(!is_told(&pair, "there are entities of alpha"));
    pair.say(0, "c1 start; fire begin 1 begin");
    assert!(is_told(&pair, "there are entities of alpha"));
}

/// `docs/life-cycles.md`: a call of one activity that began before is the old one's until it ends.
#[test]
fn what_replaces_a_service_does_not_get_the_old_ones_activity_by_a_root_entity_of_the_call() {
    script::clear();
    let mut pair = Pair::up();
    selects("chooser", |_, _| Ok(InitialEvent::by().cell()));
    want(&mut pair, &[], &["chooser", "beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["chooser"], &["alpha"]);
    take_trace();
    pair.say(0, "c1 fire choose 1 more");
    assert_eq!(take_trace(), ["chooser is asked about more"], "as it should be");
    pair.say(0, "c1 start; fire choose 2 other");
    assert_eq!(take_trace(), ["chooser is asked about other", "chooser2 other"]);
    pair.say(0, "c1 fire choose 1 more; fire tick 1 news");
    assert_eq!(take_trace(), ["chooser is asked about more", "alpha1 news"]);
}

/// `docs/life-cycles.md`: an activity that begins later is the new one's, also in a call in which
/// the old one serves another activity.
#[test]
fn what_was_replaced_gets_no_activity_of_the_new_one_by_a_root_entity_of_the_call() {
    script::clear();
    let mut pair = Pair::up();
    selects("chooser", |_, _| Ok(InitialEvent::by().cell()));
    want(&mut pair, &[], &["alpha", "beta"]);
    pair.say(0, "c1 start; fire choose 1 begin");
    want(&mut pair, &["alpha"], &["chooser"]);
    pair.say(0, "c1 start; fire begin 2 begin");
    take_trace();
    pair.say(0, "c1 fire choose 2 more; fire tick 2 news");
    assert_eq!(take_trace(), ["chooser is asked about more", "alpha2 news"]);
}

/// The root entity of the call is still to come: its first event waits to be tried again.
fn patient_waits(pair: &mut Pair, activity: u32) {
    on("patient", "first", |_, _| fail());
    pair.say(0, &format!("c1 start; fire wait {activity} first"));
    on("patient", "first", |_, _| Ok(()));
}

/// The same of a root entity whose first event waits to be tried again.
#[test]
fn what_replaces_a_service_does_not_get_the_old_ones_activity_by_a_root_entity_to_come() {
    script::clear();
    let mut pair = Pair::up();
    selects("patient", |_, _| Ok(InitialEvent::by().cell()));
    want(&mut pair, &[], &["patient", "beta"]);
    pair.say(0, "c1 start; fire begin 1 begin");
    want(&mut pair, &["patient"], &["alpha"]);
    patient_waits(&mut pair, 2);
    take_trace();
    pair.say(0, "c1 fire wait 1 more; fire wait 2 behind");
    pair.pass_ms(2_000);
    let asked = ["patient is asked about more", "patient is asked about behind"];
    assert_eq!(take_trace(), [asked, ["patient2 first", "patient2 behind"]].concat());
    pair.say(0, "c1 fire tick 1 news; fire tick 2 news");
    assert_eq!(take_trace(), ["alpha1 news", "patient2 news"]);
}

/// And the other way round. It has another root entity in the call, so that it is still asked.
#[test]
fn what_was_replaced_gets_no_activity_of_the_new_one_by_a_root_entity_to_come() {
    script::clear();
    let mut pair = Pair::up();
    selects("patient", |word, _| {
        let by = InitialEvent::by();
        Ok(if word == "other" { by.activity_context() } else { by.cell() })
    });
    want(&mut pair, &[], &["alpha", "beta"]);
    pair.say(0, "c1 start; fire wait 1 other");
    patient_waits(&mut pair, 2);
    want(&mut pair, &["alpha"], &["patient"]);
    pair.say(0, "c1 start; fire begin 3 begin");
    take_trace();
    pair.say(0, "c1 fire wait 3 more; fire wait 2 behind");
    pair.pass_ms(2_000);
    let trace = take_trace();
    let patient: Vec<_> = trace.iter().filter(|line| line.starts_with("patient2")).collect();
    assert_eq!(patient, ["patient2 first", "patient2 behind"], "{trace:?}");
    pair.say(0, "c1 fire tick 3 news");
    assert_eq!(take_trace(), ["alpha3 news"]);
}
