//! Timer facility (JAIN SLEE 1.1 chapter 13).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::TIMERS_PER_CELL_MAX;
use resilee_sbb::{Deliver, TIMER_PERIOD_MIN, TimerFired, Timestamp};
use std::time::Duration;

/// What an event said, in milliseconds since `start`: scheduled, fired, remaining, missed.
type Told = (u64, u64, Option<u32>, u32);

fn told(delivered: &[Deliver], start: Timestamp) -> Vec<Told> {
    let events = delivered.iter().filter_map(|deliver| deliver.event.get().expect("readable"));
    let ms = |at: Timestamp| at.since(start).as_millis() as u64;
    let told = |event: TimerFired| {
        (ms(event.scheduled_at), ms(event.fired_at), event.remaining, event.missed)
    };
    events.map(told).collect()
}

fn house() -> House {
    let mut house = House::new();
    house.say("c1 begin");
    house
}

fn fired(house: &House, start: Timestamp) -> Vec<Told> {
    told(&house.delivered, start)
}

/// Alarms of the worker, by text.
fn alarms(house: &House) -> Vec<String> {
    let alarms = house.core.status(house.now).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "worker").map(|alarm| alarm.text).collect()
}

#[test]
fn a_one_shot_timer_fires_once_and_says_when_it_was_due() {
    let mut house = house();
    let start = house.now;
    house.say("c1 say once:1500");
    house.pass_seconds(9);
    assert_eq!(fired(&house, start), [(1_500, 1_500, Some(0), 0)]);
}

#[test]
fn a_periodic_timer_fires_as_often_as_it_was_told() {
    let mut house = house();
    let start = house.now;
    house.say("c1 say every:1000:3:last");
    house.pass_seconds(9);
    let expected =
        [(1_000, 1_000, Some(2), 0), (2_000, 2_000, Some(1), 0), (3_000, 3_000, Some(0), 0)];
    assert_eq!(fired(&house, start), expected);
}

#[test]
fn a_timer_without_a_number_of_repetitions_goes_on_until_it_is_cancelled() {
    let mut house = house();
    house.say("c1 say every:1000:0:last");
    house.pass_seconds(5);
    assert_eq!(fired(&house, house.now).len(), 5);
    assert_eq!(fired(&house, house.now)[4].2, None);
    house.say("c1 say cancel");
    house.pass_seconds(5);
    assert_eq!(fired(&house, house.now).len(), 5);
}

#[test]
fn a_periodic_timer_ends_with_its_activity() {
    let mut house = house();
    house.say("c1 say every:1000:0:last");
    house.say("c1 end");
    house.flush();
    house.pass_seconds(5);
    assert!(fired(&house, house.now).is_empty());
    assert!(house.disk_is_empty());
}

#[test]
fn a_timer_that_is_set_or_cancelled_by_a_delivery_that_rolls_back_is_not() {
    let mut house = house();
    house.say("c1 say once:1000!");
    house.pass_seconds(3);
    assert!(fired(&house, house.now).is_empty(), "it was not set");
    let start = house.now;
    house.say("c1 say once:1000");
    house.say("c1 say cancel!");
    house.pass_seconds(3);
    assert_eq!(fired(&house, start).len(), 1, "it was not cancelled");
}

#[test]
fn a_timer_that_is_moved_while_its_cell_has_a_turn_does_not_fire_early() {
    let mut house = house();
    let start = house.now;
    house.say("c1 say once:1000");
    house.answering = false;
    house.say("c1 say once:5000");
    house.pass_seconds(1);
    house.answering = true;
    let moving = house.delivered.iter().rfind(|deliver| deliver.service == "worker").cloned();
    house.answer(&moving.expect("it is out"));
    house.pass_seconds(9);
    assert_eq!(fired(&house, start), [(5_000, 5_000, Some(0), 0)]);
}

#[test]
fn a_period_below_the_minimum_rolls_back_with_a_clear_reason() {
    let mut house = house();
    let short = TIMER_PERIOD_MIN.as_millis() - 1;
    house.say(&format!("c1 say every:{short}:0:last"));
    assert!(alarms(&house)[0].contains("a timer's period of 99ms: 100ms is the least"));
    house.pass_seconds(1);
    assert!(fired(&house, house.now).is_empty());
}

#[test]
fn one_timer_more_than_a_cell_may_have_rolls_back_with_a_clear_reason() {
    let mut house = house();
    house.say("c1 say timers:0:200");
    house.say(&format!("c1 say timers:200:{TIMERS_PER_CELL_MAX}"));
    house.say("c1 say timers:0:100");
    assert!(alarms(&house).is_empty(), "moving is no more");
    house.say("c1 say timers:1000:1001");
    assert!(alarms(&house)[0].contains("257 timers in one cell, 256 allowed"));
    house.pass_seconds(10);
    assert_eq!(fired(&house, house.now).len(), TIMERS_PER_CELL_MAX);
}

#[test]
fn a_timer_of_a_child_fires_at_the_child_also_if_it_is_attached_to_nothing() {
    let mut house = house();
    house.say("c1 say child:once:1000");
    house.pass_seconds(2);
    let last = house.delivered.last().expect("a timer");
    assert_eq!(last.event.event_type, "slee.timer");
    assert_eq!(last.tree[&last.entity.number].relation, "helpers");
}

/// A node that is down from 1.5 s after the timer was set until 4.2 s after it; what fires.
fn after_a_pause(word: &str) -> Vec<Told> {
    let mut house = house();
    let start = house.now;
    house.say(&format!("c1 say {word}"));
    house.flush();
    house.pass_seconds(1);
    house.now = start + Duration::from_millis(4_200);
    house.delivered.clear();
    house.restart();
    house.pass_seconds(1);
    let told = fired(&house, start).into_iter();
    // The restart itself takes 50 ms.
    told.map(|(scheduled, fired, left, missed)| (scheduled, fired / 100 * 100, left, missed))
        .collect()
}

#[test]
fn of_moments_missed_in_a_pause_the_last_one_fires_if_nothing_else_is_said() {
    let told = after_a_pause("every:1000:9:last");
    assert_eq!(told, [(4_000, 4_200, Some(5), 2), (5_000, 5_000, Some(4), 0)]);
}

#[test]
fn all_moments_missed_in_a_pause_fire_one_by_one_if_that_is_wanted() {
    let told = after_a_pause("every:1000:9:all");
    let expected = [
        (2_000, 4_200, Some(7), 0),
        (3_000, 4_200, Some(6), 0),
        (4_000, 4_200, Some(5), 0),
        (5_000, 5_000, Some(4), 0),
    ];
    assert_eq!(told, expected);
}

#[test]
fn moments_missed_in_a_pause_are_dropped_if_that_is_wanted() {
    assert!(after_a_pause("once:1100:none").is_empty());
    assert_eq!(after_a_pause("once:1100:last"), [(1_100, 4_200, Some(0), 0)]);
    let told = after_a_pause("every:500:20:none");
    // The one of 4.0 s is in time, less than a period late.
    assert_eq!(told[0], (4_000, 4_200, Some(12), 5));
}

#[test]
fn the_survivor_fires_a_periodic_timer_on_its_beat_and_no_moment_twice() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    let start = pair.status(0).now;
    pair.say(0, "c1 say every:1000:6:last");
    pair.pass_ms(2_500);
    pair.kill(0);
    pair.pass_ms(9_000);
    let both = pair.nodes.each_ref().map(|node| told(&node.delivered, start));
    let scheduled = |told: &[Told]| told.iter().map(|event| event.0).collect::<Vec<_>>();
    assert_eq!(scheduled(&both[0]), [1_000, 2_000]);
    assert_eq!(scheduled(&both[1]), [3_000, 4_000, 5_000, 6_000]);
    assert_eq!(both[1].iter().map(|event| event.2).collect::<Vec<_>>(), [3, 2, 1, 0].map(Some));
}

#[test]
fn the_survivor_knows_the_moments_that_nobody_could_fire() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    let start = pair.status(0).now;
    pair.say(0, "c1 say every:100:0:last");
    pair.pass_ms(150);
    // Both machines stand still for a while, and one of them does not wake up again.
    pair.now = pair.now + Duration::from_millis(750);
    pair.kill(0);
    pair.pass_ms(2_000);
    let told = told(&pair.nodes[1].delivered, start);
    let missed: Vec<_> = told.iter().map(|event| event.3).filter(|missed| *missed > 0).collect();
    assert_eq!(missed.len(), 1, "told once: {told:?}");
    assert_eq!(told[0].3, missed[0]);
    // None is lost: each moment up to the first one of the survivor was fired or missed.
    assert_eq!(told[0].0, 100 + 100 * u64::from(missed[0] + 1));
}
