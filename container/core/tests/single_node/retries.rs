//! Facts before services: what a service could not take it gets later, in order, once.

use crate::house::House;
use resilee_sbb::EntityId;

fn alarms(house: &House, source: &str) -> Vec<String> {
    let alarms = house.core.status(house.now).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == source).map(|alarm| alarm.text).collect()
}

#[test]
fn a_delivery_that_rolled_back_is_tried_again_and_the_alarm_clears() {
    let mut house = House::new();
    house.say("c1 begin");
    house.failing = Some("back");
    house.say("c1 say hello");
    assert_eq!(alarms(&house, "back").len(), 1);
    house.failing = None;
    house.pass_seconds(1);
    assert_eq!(house.counts("back"), Some(2));
    assert_eq!(alarms(&house, "back"), Vec::<String>::new());
    house.pass_seconds(200);
    assert_eq!(house.counts("back"), Some(2), "once");
}

#[test]
fn what_comes_meanwhile_waits_behind_it_even_without_an_entity() {
    let mut house = House::new();
    house.failing = Some("back");
    house.say("c1 begin");
    house.failing = None;
    house.say("c1 say one");
    house.say("c1 say two");
    assert_eq!(house.counts("back"), None, "nothing overtakes the beginning");
    house.pass_seconds(1);
    assert_eq!(house.counts("back"), Some(3));
    house.say("c1 say three");
    assert_eq!(house.counts("back"), Some(4), "it is attached as any other");
}

#[test]
fn a_call_that_ended_stays_until_its_account_is_complete() {
    let mut house = House::new();
    house.failing = Some("back");
    house.say("c1 begin");
    house.say("c1 end");
    house.flush();
    assert_eq!(house.core.status(house.now).cells.len(), 1);
    house.failing = None;
    house.pass_seconds(2);
    house.flush();
    let last: Vec<_> = house.delivered.iter().rev().take(2).collect();
    assert!(last.iter().all(|deliver| deliver.service == "back"));
    assert_eq!(last[0].event.event_type, "slee.activity_end");
    assert_eq!(house.core.status(house.now).cells.len(), 0);
    assert!(house.disk_is_empty(), "{:?}", house.disk);
}

#[test]
fn what_waits_is_there_after_a_restart() {
    let mut house = House::new();
    house.failing = Some("back");
    house.say("c1 begin");
    house.say("c1 say hello");
    house.flush();
    house.restart();
    assert_eq!(alarms(&house, "back").len(), 1, "with its alarm");
    house.failing = None;
    house.pass_seconds(2);
    assert_eq!(house.counts("back"), Some(2));
    assert_eq!(alarms(&house, "back"), Vec::<String>::new());
}

#[test]
fn after_ten_tries_it_is_given_up_with_an_alarm_that_stays() {
    let mut house = House::new();
    house.failing = Some("back");
    house.say("c1 begin");
    house.say("c1 end");
    house.pass_seconds(300);
    house.flush();
    let tries = house.delivered.iter().filter(|deliver| deliver.service == "back").count();
    assert_eq!(tries, 11, "the first, and ten more");
    assert!(alarms(&house, "back")[0].contains("given up after 10 tries"));
    assert_eq!(house.core.status(house.now).cells.len(), 0);
    assert!(house.disk_is_empty(), "{:?}", house.disk);
}

#[test]
fn a_service_whose_handler_hangs_gets_no_event_of_the_call_any_more() {
    let mut house = House::new();
    house.say("c1 begin");
    house.hangs = |deliver| deliver.service == "front";
    house.say("c1 say hello");
    let stuck = house.delivered.last().expect("a delivery").clone();
    house.pass_seconds(11);
    house.hangs = |_| false;
    assert_eq!(house.abandoned, [stuck.id]);
    let EntityId { cell, .. } = stuck.entity;
    assert!(alarms(&house, "front").iter().any(|text| text.contains(&cell.to_string())));
    house.flush();
    house.restart();
    house.delivered.clear();
    house.say("c1 say again");
    house.say("c1 ping");
    house.flush();
    assert!(house.sent().contains(&"c1 pong".to_owned()), "the call goes on");
    assert!(house.delivered.iter().all(|deliver| deliver.service == "back"));
    house.say("c2 begin");
    assert!(house.delivered.iter().any(|deliver| deliver.service == "front"), "other calls run");
}
