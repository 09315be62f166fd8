//! Alarm facility (`javax.slee.facilities.AlarmFacility`).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::ALARMS_PER_SERVICE_MAX;
use resilee_core::Input;
use resilee_core::management::{Alarm, Command};
use resilee_sbb::Severity;

fn house() -> House {
    let mut house = House::new();
    house.say("c1 begin");
    house
}

fn alarms(house: &House) -> Vec<Alarm> {
    house.core.status(house.now).alarms
}

/// Type and instance of all alarms.
fn names(house: &House) -> Vec<(String, String)> {
    alarms(house).into_iter().map(|alarm| (alarm.alarm_type, alarm.instance)).collect()
}

fn pairs(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn an_alarm_has_a_service_a_type_an_instance_and_a_severity() {
    let mut house = house();
    house.say("c1 say raise:full:disk");
    let alarm = alarms(&house).remove(0);
    assert_eq!((alarm.source.as_str(), alarm.severity), ("worker", Severity::Minor));
    assert_eq!((alarm.alarm_type.as_str(), alarm.instance.as_str()), ("full", "disk"));
    assert_eq!((alarm.text.as_str(), alarm.lasting), ("full of disk", false));
}

#[test]
fn an_alarm_that_is_raised_again_is_counted_and_no_second_one() {
    let mut house = house();
    let start = house.now;
    house.say("c1 say raise:full:disk");
    house.pass_seconds(3);
    house.say("c1 say raise:full:disk");
    let alarms = alarms(&house);
    assert_eq!((alarms.len(), alarms[0].count), (1, 2));
    assert_eq!((alarms[0].raised_at, alarms[0].last_at), (start, house.now));
}

#[test]
fn the_same_type_and_instance_of_another_service_is_another_alarm() {
    let mut house = house();
    house.say("c1 say raise:full:disk");
    house.say("c1 say other");
    assert_eq!(names(&house), pairs(&[("full", "disk"), ("full", "disk")]));
    house.say("c1 say clear:all");
    assert_eq!(alarms(&house)[0].source, "other", "a service clears its own ones only");
}

#[test]
fn an_alarm_of_a_child_is_its_services() {
    let mut house = house();
    house.say("c1 say child:raise:full:disk");
    house.say("c1 say raise:full:disk");
    let alarms = alarms(&house);
    assert_eq!((alarms.len(), alarms[0].source.as_str(), alarms[0].count), (1, "worker", 2));
}

#[test]
fn a_service_clears_one_alarm_those_of_a_type_or_all() {
    let mut house = house();
    for word in ["raise:full:a", "raise:full:b", "raise:slow:a", "raise:slow:b", "raise:odd:c"] {
        house.say(&format!("c1 say {word}"));
    }
    house.say("c1 say clear:full:a");
    house.say("c1 say clear:full:never");
    assert_eq!(names(&house), pairs(&[("full", "b"), ("odd", "c"), ("slow", "a"), ("slow", "b")]));
    house.say("c1 say clear:slow");
    assert_eq!(names(&house), pairs(&[("full", "b"), ("odd", "c")]));
    house.say("c1 say clear:all");
    assert!(alarms(&house).is_empty());
}

#[test]
fn neither_raising_nor_clearing_is_undone_by_a_roll_back() {
    let mut house = house();
    let of_service = |house: &House| {
        alarms(house).into_iter().filter(|alarm| !alarm.alarm_type.is_empty()).count()
    };
    house.say("c1 say raise:full:disk!");
    assert_eq!(of_service(&house), 1);
    house.say("c1 say clear:full:disk!");
    assert_eq!(of_service(&house), 0);
}

#[test]
fn an_operator_clears_an_alarm_by_its_number() {
    let mut house = house();
    house.say("c1 say raise:full:disk");
    let id = alarms(&house)[0].id;
    let command = Command::ClearAlarm { id };
    assert_eq!(house.core.check_command(&command), Ok(()));
    house.feed(Input::Command(command.clone()));
    assert!(alarms(&house).is_empty());
    let refused = house.core.check_command(&command).expect_err("it is gone");
    assert_eq!(refused, format!("no alarm {id} is raised at this node"));
    house.say("c1 say raise:full:disk");
    assert!(alarms(&house)[0].id > id, "a number is given once");
}

#[test]
fn a_condition_of_the_container_is_not_cleared_by_an_operator() {
    let mut house = House::new();
    house.fail_store();
    let alarm = alarms(&house).remove(0);
    assert_eq!((alarm.severity, alarm.lasting), (Severity::Critical, true));
    let command = Command::ClearAlarm { id: alarm.id };
    let refused = house.core.check_command(&command).expect_err("it lasts");
    assert!(refused.contains("ends by itself"), "{refused}");
    house.feed(Input::Command(command));
    assert_eq!(alarms(&house).len(), 1);
}

#[test]
fn one_alarm_more_than_a_service_may_have_is_counted() {
    let mut house = house();
    for number in 0..=ALARMS_PER_SERVICE_MAX {
        house.say(&format!("c1 say raise:full:{number}"));
    }
    assert_eq!(alarms(&house).len(), ALARMS_PER_SERVICE_MAX);
    let dropped = house.core.status(house.now).dropped;
    assert_eq!(dropped["alarm beyond the number that may be raised"], 1);
}

#[test]
fn alarms_are_seen_at_the_other_node_and_stay_behind_with_their_own() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say raise:full:disk");
    pair.pass_ms(1_000);
    let seen = &pair.status(1).peer_alarms["server1"];
    assert_eq!((seen[0].alarm_type.as_str(), seen[0].severity), ("full", Severity::Minor));
    pair.kill(0);
    pair.pass_ms(2_000);
    let status = pair.status(1);
    assert!(status.peer_alarms.is_empty(), "its node is gone");
    let own = status.alarms.iter().any(|alarm| alarm.source == "worker");
    assert!(!own, "a takeover does not bring it along");
    pair.say(1, "c1 say raise:full:disk");
    assert!(pair.status(1).alarms.iter().any(|alarm| alarm.source == "worker"));
}
