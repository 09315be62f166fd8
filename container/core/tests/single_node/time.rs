//! Stories of cluster time on one node.

use crate::house::House;
use resilee_core::Input;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Texts of the alarms about clocks.
fn alarms(house: &House) -> Vec<String> {
    let alarms = house.core.status(house.now).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "clock").map(|alarm| alarm.text).collect()
}

#[test]
fn a_cold_start_goes_on_from_the_stored_time_if_the_wall_clock_was_set_back() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say timer");
    house.flush();
    let before = house.core.status(house.now).now;
    house.now = house.now - Duration::from_secs(3_600);
    house.restart();
    let after = house.core.status(house.now).now;
    assert!(after >= before && after.since(before) < Duration::from_secs(1), "{before}, {after}");
    house.pass_seconds(6);
    assert!(house.was_delivered("front", "slee.timer"), "after the 5 s that it was set for");
    assert_eq!(house.delivered.last().expect("the timer").now.since(before).as_secs(), 5);
}

#[test]
fn a_jump_of_the_wall_clock_raises_an_alarm_for_a_minute_and_moves_nothing() {
    let mut house = House::new();
    for second in 0..100u64 {
        let jump = Duration::from_secs(if second < 3 { 0 } else { 7 });
        house.feed(Input::WallClock(house.now + jump));
        let expected = (3..63).contains(&second);
        assert_eq!(!alarms(&house).is_empty(), expected, "after {second} s: {:?}", alarms(&house));
        assert_eq!(house.core.status(house.now).now, house.now);
        house.pass_seconds(1);
    }
    house.feed(Input::WallClock(Timestamp::ZERO));
    assert_eq!(alarms(&house).len(), 1);
}
