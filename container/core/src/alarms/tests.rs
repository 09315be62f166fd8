//! Tests of the table of alarms alone; those with nodes are in `tests/facilities`.

use super::of_others::RUNS_MAX;
use super::*;
use crate::limits::ALARMS_MAX;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn raise<'a>(source: &'a str, about: Option<(&'a str, &'a str)>, text: &'a str) -> Raise<'a> {
    let (of_service, severity) = (about.is_some(), Severity::Minor);
    Raise { source, about, of_service, severity, text, lasting: false }
}

#[test]
fn other_nodes_are_told_of_each_change_but_not_of_each_count() {
    let mut alarms = Alarms::new(ALARMS_MAX);
    assert_eq!(alarms.take_news(at(1_000)), None);
    alarms.raise(at(1_000), &raise("store", None, "full"));
    assert_eq!(alarms.take_news(at(1_000)).map(|told| told.len()), Some(1));
    alarms.raise(at(1_100), &raise("store", None, "full"));
    assert_eq!(alarms.take_news(at(1_100)), None, "not so soon again");
    assert_eq!(alarms.take_news(at(1_500)).map(|told| told[0].count), Some(2));
    alarms.clear("store", "full");
    assert_eq!(alarms.take_news(at(3_000)), Some(Vec::new()));
    assert_eq!(alarms.take_news(at(9_000)), None);
}

#[test]
fn of_runs_that_are_gone_nothing_is_kept() {
    let mut alarms = Alarms::new(ALARMS_MAX);
    let run = |incarnation| RunId { node: "server2".parse().expect("a name"), incarnation };
    let Raised::New(alarm) =
        Alarms::new(ALARMS_MAX).raise(at(1), &raise("one", Some(("full", "disk")), ""))
    else {
        panic!("it is a new one")
    };
    let raised = AlarmChange { of: None, id: 1, alarm: Some(alarm.clone()), count: 0 };
    for number in 0..2 * RUNS_MAX as u64 {
        assert_eq!(alarms.apply(&run(number), &raised), Ok(true), "there is room for {number}");
        match number % 3 {
            0 => {
                let cleared = AlarmChange::cleared(&run(number), &alarm);
                assert_eq!(alarms.apply(&run(number), &cleared), Ok(true));
            }
            1 => assert!(alarms.clear_of_service("one", &Cleared::All).len() < 2),
            _ => assert_eq!(alarms.inherit(&run(number), |_| true).lost, 0),
        }
        assert_eq!(alarms.runs().count(), 0);
    }
}

/// Another node says how often it was raised.
#[test]
fn an_alarm_that_was_raised_as_often_as_can_be_counted_is_raised_again() {
    let mut alarms = Alarms::new(ALARMS_MAX);
    let run = RunId { node: "server2".parse().expect("a name"), incarnation: 1 };
    let about = raise("one", Some(("full", "disk")), "");
    let Raised::New(alarm) = Alarms::new(ALARMS_MAX).raise(at(1), &about) else {
        panic!("it is a new one")
    };
    let alarm = Some(Alarm { count: u64::MAX, ..alarm });
    let change = AlarmChange { of: None, id: 1, alarm, count: 0 };
    assert_eq!(alarms.apply(&run, &change), Ok(true));
    assert_eq!(alarms.inherit(&run, |_| true).lost, 0);
    assert_eq!(alarms.raise(at(2), &about), Raised::Again);
    assert_eq!(alarms.raised()[0].count, u64::MAX);
}

#[test]
fn what_is_taken_over_leaves_room_to_other_services() {
    let mut alarms = Alarms::new(ALARMS_MAX);
    let run = RunId { node: "server2".parse().expect("a name"), incarnation: 1 };
    for number in 0..=ALARMS_PER_SERVICE_MAX as u64 {
        let instance = number.to_string();
        let mut other = Alarms::new(ALARMS_MAX);
        let raised = other.raise(at(1), &raise("one", Some(("full", &instance)), ""));
        let Raised::New(alarm) = raised else { panic!("it is a new one") };
        let alarm = Some(Alarm { id: number, ..alarm });
        let change = AlarmChange { of: None, id: number, alarm, count: 0 };
        assert_eq!(alarms.apply(&run, &change), Ok(true));
    }
    assert_eq!(
        alarms.inherit(&run, |_| true).lost,
        1,
        "as many as a service may raise, and no more"
    );
    assert_eq!(alarms.raised().len(), ALARMS_PER_SERVICE_MAX);
}

#[test]
fn services_leave_room_to_each_other_and_to_the_container() {
    let mut alarms = Alarms::new(ALARMS_MAX);
    let instances: Vec<_> = (0..ALARMS_MAX).map(|number| number.to_string()).collect();
    for service in ["one", "two", "three", "four"] {
        for instance in &instances {
            alarms.raise(at(1), &raise(service, Some(("full", instance)), ""));
        }
    }
    let of = |service| alarms.raised().iter().filter(|it| it.is_of_service(service)).count();
    assert_eq!(of("two"), ALARMS_PER_SERVICE_MAX);
    assert_eq!(alarms.raised().len(), ALARMS_MAX - ALARMS_OF_CONTAINER_MIN);
    assert!(matches!(alarms.raise(at(1), &raise("store", None, "full")), Raised::New(_)));
}
