//! Overload: new calls are refused, calls in progress are served, and it ends by itself.

use crate::house::House;
use resilee_core::{Input, Limits};

/// Whether the node says that it sheds new calls.
fn alarms(house: &House) -> Vec<String> {
    let alarms = house.core.status(house.now).alarms;
    let shed = alarms.into_iter().filter(|alarm| alarm.source == "overload");
    shed.map(|alarm| alarm.text).collect()
}

/// A node with `calls` in progress whose handlers do not answer any more.
fn stuck(calls: usize, limits: Limits) -> House {
    let mut house = House::with_limits(limits);
    for call in 0..calls {
        house.say(&format!("c{call} begin"));
    }
    house.flush();
    house.sent();
    house.answering = false;
    for call in 0..calls {
        house.say(&format!("c{call} say something"));
    }
    house.delivered.drain(..house.delivered.len() - calls);
    house
}

/// The handlers answer what they were asked so far, and what follows.
fn recover(house: &mut House) {
    house.answering = true;
    for deliver in std::mem::take(&mut house.delivered) {
        house.answer(&deliver);
    }
    house.feed(Input::Timeout);
    house.flush();
}

#[test]
fn beyond_the_cells_that_a_node_holds_new_calls_are_refused_and_the_others_go_on() {
    let mut house = House::with_limits(Limits { cells_max: 1, ..Limits::default() });
    house.say("c1 begin");
    house.say("c2 begin");
    assert_eq!(house.sent(), ["c2 refused for 10 s"]);
    assert!(alarms(&house)[0].contains("limits.calls_max"), "{:?}", alarms(&house));
    house.flush();
    house.say("c1 end");
    house.say("c2 begin");
    house.flush();
    assert_eq!(house.sent(), ["c1 begun", "c2 begun"]);
}

#[test]
fn the_alarm_ends_when_a_tenth_of_the_room_is_free() {
    let mut house = House::with_limits(Limits { cells_max: 10, ..Limits::default() });
    for call in 0..11 {
        house.say(&format!("c{call} begin"));
    }
    house.flush();
    assert_eq!(alarms(&house).len(), 1);
    house.pass_seconds(1);
    assert_eq!(alarms(&house).len(), 1);
    house.say("c0 end");
    house.flush();
    house.pass_seconds(1);
    assert_eq!(alarms(&house), Vec::<String>::new());
}

#[test]
fn while_too_many_deliveries_wait_new_calls_are_refused_and_calls_in_progress_are_served() {
    let mut house = stuck(11, Limits { deliveries_max: 10, ..Limits::default() });
    house.say("new begin");
    assert_eq!(house.sent(), ["new refused for 10 s"]);
    assert!(alarms(&house)[0].contains("limits.deliveries_max"), "{:?}", alarms(&house));
    house.say("c0 ping");
    recover(&mut house);
    assert_eq!(house.sent(), ["c0 pong"]);
}

#[test]
fn overload_ends_after_five_seconds_of_low_load_and_not_before() {
    let mut house = stuck(11, Limits { deliveries_max: 10, ..Limits::default() });
    house.say("new begin");
    recover(&mut house);
    house.pass_seconds(4);
    house.sent();
    house.say("new begin");
    assert_eq!(house.sent(), ["new refused for 10 s"]);
    assert_eq!(alarms(&house).len(), 1);
    house.pass_seconds(2);
    assert_eq!(alarms(&house), Vec::<String>::new());
    house.say("new begin");
    house.flush();
    assert_eq!(house.sent(), ["new begun"]);
}

#[test]
fn deliveries_that_wait_long_are_overload_if_they_are_a_tenth_of_what_is_allowed() {
    let limits = Limits { deliveries_max: 100, delivery_age_ms_max: 1_000, ..Limits::default() };
    for (waiting, refused) in [(10, false), (11, true)] {
        let mut house = stuck(waiting, limits);
        house.pass_seconds(2);
        house.say("new begin");
        let expected = if refused { vec!["new refused for 10 s"] } else { Vec::new() };
        assert_eq!(house.sent(), expected, "{waiting} wait");
        assert_eq!(alarms(&house).len(), usize::from(refused), "{waiting} wait");
    }
}
