//! Alarm facility (JAIN SLEE 1.1 chapter 13).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::management::{Alarm, Changed, Notice, TableChange};
use resilee_core::{ALARM_LINES_PER_SECOND_MAX, ALARMS_PER_SERVICE_MAX, Input};
use resilee_sbb::{Cleared, Effect, Outcome, Severity};

fn house() -> House {
    let mut house = House::new();
    house.say("c1 begin");
    house
}

fn alarms(house: &House) -> Vec<Alarm> {
    house.core.status(house.now).alarms
}

/// What an operator is told who clears one.
fn clear(house: &mut House, id: u64) -> Changed {
    house.feed(Input::Change { token: 1, change: TableChange::ClearAlarm { id } });
    house.flush();
    house.changed.pop().expect("it is answered")
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
    assert_eq!(clear(&mut house, id), Changed::Done);
    assert!(alarms(&house).is_empty());
    let refused = "is raised at this node: clear it at the node that has it";
    assert_eq!(clear(&mut house, id), Changed::Refused(format!("no alarm {id} {refused}")));
    house.say("c1 say raise:full:disk");
    assert!(alarms(&house)[0].id > id, "a number is given once");
}

#[test]
fn a_condition_of_the_container_is_not_cleared_by_an_operator() {
    let mut house = House::new();
    house.fail_store();
    let alarm = alarms(&house).remove(0);
    assert_eq!((alarm.severity, alarm.lasting), (Severity::Critical, true));
    let Changed::Refused(refused) = clear(&mut house, alarm.id) else { panic!("it lasts") };
    assert!(refused.contains("ends by itself"), "{refused}");
    assert_eq!(alarms(&house).len(), 1);
}

#[test]
fn a_service_that_raises_and_clears_all_the_time_does_not_fill_the_log() {
    let mut house = house();
    let raise = Effect::RaiseAlarm {
        alarm_type: "full".to_owned(),
        instance: "disk".to_owned(),
        severity: Severity::Minor,
        text: "full of disk".to_owned(),
    };
    let pair = [raise.clone(), Effect::ClearAlarms(Cleared::All)];
    house.answering = false;
    let began = house.now;
    for _ in 0..10 {
        house.say("c1 say nothing");
        let delivery = house.delivered.last().expect("it is handed out").id;
        let mut effects: Vec<_> = pair.iter().cycle().take(254).cloned().collect();
        effects.push(raise.clone());
        let outcome = Outcome::RolledBack { reason: "as it was told".to_owned(), effects };
        house.feed(Input::Outcome { delivery, outcome });
        // The other service.
        let next = house.delivered.last().expect("it is handed out").clone();
        if next.id != delivery {
            house.answer(&next);
            house.settle();
        }
    }
    let of_alarms = |house: &House| {
        let is_such =
            |notice: &&Notice| matches!(notice, Notice::AlarmRaised(_) | Notice::AlarmCleared(_));
        house.notices.iter().filter(is_such).count()
    };
    assert_eq!(house.now, began, "all in one moment");
    // Either service was answered for.
    let most = 2 * ALARM_LINES_PER_SECOND_MAX as usize;
    assert!((most..most + 5).contains(&of_alarms(&house)), "{}", of_alarms(&house));
    let dropped = house.core.status(house.now).dropped;
    assert!(dropped["line about an alarm beyond those of a second"] > 2_000, "{dropped:?}");
    assert!(names(&house).contains(&("full".to_owned(), "disk".to_owned())), "it is raised");
    house.answering = true;
    let last = house.delivered.last().expect("it is handed out").clone();
    house.answer(&last);
    house.settle();
    house.pass_seconds(1);
    let before = of_alarms(&house);
    house.say("c1 say clear:all");
    assert!(of_alarms(&house) > before, "and it is told again");
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

/// Type and instance of the alarms that services have raised at a node.
fn of_services(pair: &Pair, node: usize) -> Vec<(String, String)> {
    let alarms = pair.status(node).alarms.into_iter();
    let of_service = alarms.filter(|alarm| !alarm.alarm_type.is_empty());
    of_service.map(|alarm| (alarm.alarm_type, alarm.instance)).collect()
}

/// A call at the first node has raised an alarm.
fn raised() -> Pair {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say raise:full:disk");
    pair
}

#[test]
fn alarms_are_seen_at_the_other_node() {
    let mut pair = raised();
    pair.pass_ms(1_000);
    let seen = &pair.status(1).peer_alarms["server1"];
    assert_eq!((seen[0].alarm_type.as_str(), seen[0].severity), ("full", Severity::Minor));
}

#[test]
fn the_survivor_has_what_services_raised_at_the_dead_node() {
    let mut pair = raised();
    let before = pair.status(0).alarms.remove(0);
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(of_services(&pair, 1), pairs(&[("full", "disk")]));
    let alarms = pair.status(1).alarms;
    let after = alarms.iter().find(|alarm| alarm.source == "worker").expect("it is there");
    assert_eq!((after.raised_at, &after.text), (before.raised_at, &before.text));
    assert!(pair.status(1).peer_alarms.is_empty(), "its node is gone");
    pair.say(1, "c1 say raise:full:disk");
    let alarms = pair.status(1).alarms;
    let again = alarms.iter().find(|alarm| alarm.source == "worker").expect("it is there");
    assert_eq!(again.count, 2, "it is the same alarm");
}

#[test]
fn an_alarm_is_at_the_survivor_or_was_never_told_at_whichever_step_its_node_dies() {
    let mut outcomes = std::collections::BTreeSet::new();
    for steps in 0..6 {
        let mut pair = Pair::up();
        pair.say(0, "c1 begin");
        pair.begin_to_say(0, "c1 say raise:full:disk");
        pair.deliver(steps);
        pair.kill(0);
        pair.until_member_of(1, 1);
        outcomes.insert(of_services(&pair, 1).len());
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [0, 1], "lost, and held");
}

#[test]
fn what_a_turn_says_that_only_raised_an_alarm_waits_until_the_alarm_is_held() {
    let mut told = [0, 0];
    for steps in 0..8 {
        let mut pair = Pair::up();
        pair.say(0, "c1 begin");
        pair.begin_to_say(0, "c1 tell raise:full:disk");
        pair.deliver(steps);
        let was_told = pair.nodes[0].sent.iter().any(|said| said == "c1 told");
        pair.lose_all();
        pair.kill(0);
        pair.until_member_of(1, 1);
        told[usize::from(was_told)] += 1;
        let known = of_services(&pair, 1).len();
        assert!(known == 1 || !was_told, "told after {steps} steps, and the alarm is lost");
    }
    assert!(told.iter().all(|times| *times > 0), "killed before and after it was told: {told:?}");
}

#[test]
fn an_alarm_of_a_delivery_that_rolled_back_is_at_the_survivor_and_its_roll_back_is_not() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say raise:full:disk!");
    let about_it = pair.status(0).alarms.into_iter().filter(|alarm| alarm.source == "worker");
    assert_eq!(about_it.count(), 2, "its own, and the container's about the roll back");
    pair.kill(0);
    pair.until_member_of(1, 1);
    let about_it = pair.status(1).alarms.into_iter().filter(|alarm| alarm.source == "worker");
    let types: Vec<_> = about_it.map(|alarm| alarm.alarm_type).collect();
    assert_eq!(types, ["full"], "what the container saw there ends with the node");
}

#[test]
fn a_service_clears_after_a_takeover_what_it_raised_before() {
    let mut pair = raised();
    pair.say(0, "c1 say raise:slow:disk");
    pair.kill(0);
    pair.until_member_of(1, 1);
    pair.say(1, "c1 say clear:full:disk");
    assert_eq!(of_services(&pair, 1), pairs(&[("slow", "disk")]));
    pair.start(0);
    pair.until_whole();
    pair.kill(1);
    pair.until_member_of(0, 1);
    assert_eq!(of_services(&pair, 0), pairs(&[("slow", "disk")]), "the joiner was given it");
}

#[test]
fn a_service_clears_what_it_raised_at_the_other_node() {
    let mut pair = raised();
    pair.say(1, "c2 begin");
    pair.say(1, "c2 say clear:all");
    assert!(of_services(&pair, 0).is_empty());
    let told = pair.nodes[0].notices.iter();
    let told = told.filter(|it| matches!(it, Notice::AlarmCleared(text) if text == "full of disk"));
    assert_eq!(told.count(), 1);
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert!(of_services(&pair, 1).is_empty(), "it does not come back");
}

#[test]
fn an_alarm_that_is_raised_again_while_another_node_clears_it_stays_at_both() {
    let mut pair = raised();
    pair.say(1, "c2 begin");
    pair.begin_to_say(1, "c2 say clear:all");
    pair.begin_to_say(0, "c1 say raise:full:disk");
    pair.settle();
    assert_eq!(of_services(&pair, 0), pairs(&[("full", "disk")]));
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(of_services(&pair, 1), pairs(&[("full", "disk")]));
}

#[test]
fn an_operator_clears_after_a_takeover() {
    let mut pair = raised();
    pair.kill(0);
    pair.until_member_of(1, 1);
    let alarms = pair.status(1).alarms.into_iter();
    let id = alarms.filter(|alarm| alarm.source == "worker").map(|alarm| alarm.id).next();
    let change = TableChange::ClearAlarm { id: id.expect("it is there") };
    assert_eq!(pair.change(1, change), Some(Changed::Done));
    assert!(of_services(&pair, 1).is_empty());
    pair.start(0);
    pair.until_whole();
    pair.kill(1);
    pair.until_member_of(0, 1);
    assert!(of_services(&pair, 0).is_empty(), "it does not come back");
}

#[test]
fn what_an_operator_clears_does_not_come_back_with_a_takeover() {
    let mut pair = raised();
    let id = pair.status(0).alarms[0].id;
    assert_eq!(pair.change(0, TableChange::ClearAlarm { id }), Some(Changed::Done));
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert!(of_services(&pair, 1).is_empty());
}

#[test]
fn the_same_alarm_of_both_nodes_is_one_at_the_survivor() {
    let mut pair = raised();
    pair.say(1, "c2 begin");
    pair.say(1, "c2 say raise:full:disk");
    pair.kill(0);
    pair.until_member_of(1, 1);
    let alarms = pair.status(1).alarms.into_iter();
    let counts: Vec<_> =
        alarms.filter(|alarm| alarm.source == "worker").map(|alarm| alarm.count).collect();
    assert_eq!(counts, [2]);
}

#[test]
fn when_both_nodes_die_the_stores_have_the_alarms_of_services() {
    let mut pair = raised();
    pair.kill(0);
    pair.kill(1);
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    let all: Vec<_> = [0, 1].into_iter().flat_map(|node| of_services(&pair, node)).collect();
    assert_eq!(all, pairs(&[("full", "disk")]), "once");
}

#[test]
fn a_node_alone_that_starts_again_has_the_alarms_of_its_store() {
    let mut pair = raised();
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.kill(0);
    pair.start(0);
    pair.until_member_of(0, 1);
    assert_eq!(of_services(&pair, 0), pairs(&[("full", "disk")]));
}
