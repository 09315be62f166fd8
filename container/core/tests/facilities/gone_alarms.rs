//! What becomes of alarms whose node serves nothing any more, or whose service is no more.

use crate::pair::Pair;
use crate::toy::SERVICES;
use resilee_core::Input;
use resilee_core::management::{Changed, Notice, TableChange};

/// Alarms of the worker in what a node has, and in what it knows of the other one.
pub fn of_worker(pair: &Pair, node: usize) -> (usize, usize) {
    let status = pair.status(node);
    let own = status.alarms.iter().filter(|alarm| alarm.source == "worker");
    let others = status.peer_alarms.values().flatten();
    (own.count(), others.filter(|alarm| alarm.source == "worker").count())
}

fn raised() -> Pair {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say raise:full:disk");
    pair.pass_ms(1_000);
    assert_eq!((of_worker(&pair, 0), of_worker(&pair, 1)), ((1, 0), (0, 1)));
    pair
}

fn clear(pair: &mut Pair, node: usize) {
    let alarms = pair.status(node).alarms;
    let id = alarms.iter().find(|alarm| alarm.source == "worker").expect("it is there").id;
    assert_eq!(pair.change(node, TableChange::ClearAlarm { id }), Some(Changed::Done));
}

#[test]
fn a_node_that_has_handed_over_since_handlers_hang_has_no_alarm_of_a_service() {
    let mut pair = raised();
    pair.feed(0, Input::Hanging { threads: 8 });
    pair.pass_ms(10_000);
    assert!(!pair.status(0).member, "it handed over");
    assert_eq!(of_worker(&pair, 1), (1, 0), "it is the survivor's, and nobody else's");
    assert_eq!(of_worker(&pair, 0), (0, 1));
    assert!(pair.status(0).alarms.iter().any(|alarm| alarm.source == "slee"), "its own stays");
    clear(&mut pair, 1);
    pair.pass_ms(10_000);
    assert_eq!((of_worker(&pair, 0), of_worker(&pair, 1)), ((0, 0), (0, 0)));
}

#[test]
fn an_alarm_of_a_service_that_a_later_program_does_not_have_ends_with_the_program_that_had_it() {
    let mut pair = raised();
    pair.say(0, "c1 end");
    pair.pass_ms(1_000);
    pair.deploy(&SERVICES[1..]);
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.start(1);
    pair.until_whole();
    assert_eq!(of_worker(&pair, 0), (1, 0), "the first node still has its service");
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(of_worker(&pair, 1), (0, 0), "nobody would ever clear it");
    let told = |it: &&Notice| matches!(it, Notice::AlarmCleared(text) if text == "full of disk");
    assert_eq!(pair.nodes[1].notices.iter().filter(told).count(), 1);
    pair.start(0);
    pair.until_whole();
    pair.kill(1);
    pair.until_member_of(0, 1);
    assert_eq!(of_worker(&pair, 0), (0, 0), "it does not come back");
}

#[test]
fn alarms_of_a_store_are_those_of_the_services_that_the_program_has() {
    let mut pair = raised();
    pair.say(0, "c1 say other");
    pair.say(0, "c1 end");
    pair.pass_ms(1_000);
    pair.deploy(&SERVICES[1..]);
    for node in [0, 1] {
        pair.kill(node);
    }
    for node in [0, 1] {
        pair.start(node);
    }
    pair.until_whole();
    let all = [0, 1].map(|node| pair.status(node).alarms);
    let sources: Vec<_> = all.iter().flatten().filter(|it| !it.alarm_type.is_empty()).collect();
    assert_eq!(sources.iter().map(|it| it.source.as_str()).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn an_alarm_without_a_type_is_as_much_its_services_as_any() {
    for clearing in ["clear:all", "clear:", "clear::disk"] {
        let mut pair = Pair::up();
        pair.say(0, "c1 begin");
        pair.say(0, "c1 say raise::disk");
        pair.pass_ms(1_000);
        assert_eq!((of_worker(&pair, 0), of_worker(&pair, 1)), ((1, 0), (0, 1)));
        pair.kill(0);
        pair.until_member_of(1, 1);
        assert_eq!(of_worker(&pair, 1), (1, 0), "it outlives its node");
        assert!(pair.status(1).alarms.iter().any(|alarm| alarm.alarm_type == "untyped"));
        pair.say(1, &format!("c1 say {clearing}"));
        assert_eq!(of_worker(&pair, 1), (0, 0), "{clearing}");
    }
}
