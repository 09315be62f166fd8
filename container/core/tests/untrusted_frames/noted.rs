//! What services of a peer are said to have counted and raised, and what nobody can have.

use crate::forged::{
    AlarmChange, Commit, Counted, Extra, Frame, Noted, RowChange, Update, UsageReset,
};
use crate::pair::Pair;
use crate::{scene, survives};
use resilee_core::management::Alarm;
use resilee_membership::RunId;
use resilee_sbb::{Timestamp, UsageUpdate, UsageValue, encode};
use serde_bytes::ByteBuf;

/// What the core counts.
const IMPOSSIBLE_ALARM: &str = "alarm that no node can have raised";
const IMPOSSIBLE_USAGE: &str = "usage that no node can have counted";

fn alarm() -> Alarm {
    Alarm {
        id: 1,
        source: "front".to_owned(),
        alarm_type: "full".to_owned(),
        instance: "disk".to_owned(),
        text: "it is full".to_owned(),
        count: 1,
        ..Alarm::default()
    }
}

/// An alarm that something is wrong with, each time another thing.
fn impossible_alarms() -> Vec<Alarm> {
    vec![
        Alarm { text: "x".repeat(2_049), ..alarm() },
        Alarm { alarm_type: "x".repeat(129), ..alarm() },
        Alarm { instance: "x".repeat(129), ..alarm() },
        Alarm { source: "x".repeat(257), ..alarm() },
        Alarm { source: String::new(), ..alarm() },
        Alarm { count: 0, ..alarm() },
    ]
}

fn raised(alarm: Alarm) -> Noted {
    let change = AlarmChange { of: None, id: 1, alarm: Some(alarm), count: u64::MAX };
    Noted { alarms: vec![change], ..Noted::default() }
}

fn counted(service: &str, set: &str, parameter: &str) -> Noted {
    let (set, parameter) = (set.to_owned(), parameter.to_owned());
    let updates = vec![UsageUpdate { set, parameter, value: UsageValue::Count(1) }];
    let counted = Counted { service: service.to_owned(), resets: 0, updates };
    Noted { usage: vec![counted], ..Noted::default() }
}

fn reset(service: &str, number: u32) -> Noted {
    let (service, at) = (service.to_owned(), Timestamp::from_millis(1_700_000_000_000));
    Noted { resets: vec![UsageReset { service, number, at }], ..Noted::default() }
}

/// A frame whose only update says this.
fn noting(frame: &Frame, noted: Noted) -> Frame {
    let (changes, noted) = (Vec::new(), Some(noted));
    frame.with(&Update::Commit(Commit { changes, noted, ..frame.commit() }))
}

/// What became of it: how often that was counted, and the pair once server1 is dead.
fn told(noted: Noted, reason: &str) -> (u64, Pair) {
    let (mut pair, frame) = scene();
    pair.linked_elsewhere = noted.usage.iter().map(|it| it.service.clone()).collect();
    pair.frame(noting(&frame, noted).bytes());
    assert!(pair.closed.is_empty(), "the link stays: {:?}", pair.closed);
    let dropped = pair.dropped(reason);
    pair.kill_first();
    (dropped, pair)
}

fn of_services(pair: &Pair) -> usize {
    let alarms = pair.core(1).status(pair.now).alarms;
    alarms.iter().filter(|alarm| !alarm.alarm_type.is_empty()).count()
}

#[test]
fn an_alarm_that_a_service_can_have_raised_is_taken() {
    let (dropped, pair) = told(raised(alarm()), IMPOSSIBLE_ALARM);
    assert_eq!((dropped, of_services(&pair)), (0, 1));
}

#[test]
fn an_alarm_that_no_service_can_have_raised_is_left_out_and_counted() {
    let of_container = Alarm { alarm_type: String::new(), ..alarm() };
    let lasting = Alarm { lasting: true, ..alarm() };
    let of_another_number = Alarm { id: 2, ..alarm() };
    let others = [of_container, lasting, of_another_number];
    for alarm in impossible_alarms().into_iter().chain(others) {
        let text = format!("{alarm:?}");
        let (dropped, pair) = told(raised(alarm), IMPOSSIBLE_ALARM);
        assert_eq!((dropped, of_services(&pair)), (1, 0), "{text}");
    }
}

#[test]
fn an_alarm_in_a_row_is_looked_at_like_one_in_a_commit() {
    let (mut pair, frame) = scene();
    let row = |alarm: Alarm| {
        let row = Some(ByteBuf::from(encode(&(&frame.from, &alarm)).expect("plain data")));
        RowChange { table: "slee.alarms".to_owned(), key: "k".to_owned(), row }
    };
    let mut rows: Vec<_> = impossible_alarms().into_iter().map(row).collect();
    let noise = Some(ByteBuf::from(b"noise".to_vec()));
    rows.push(RowChange { table: "slee.alarms".to_owned(), key: "k".to_owned(), row: noise });
    pair.frame(frame.with(&Update::Rows(rows)).bytes());
    assert!(pair.closed.is_empty());
    assert_eq!(pair.dropped(IMPOSSIBLE_ALARM), impossible_alarms().len() as u64);
    assert_eq!(pair.dropped("row of an alarm that cannot be read"), 1);
    pair.kill_first();
    assert_eq!(of_services(&pair), 0);
}

#[test]
fn only_the_run_where_it_is_says_that_an_alarm_is_raised() {
    let (mut pair, frame) = scene();
    let me = pair.core(1).view().members.iter().find(|run| **run != frame.from).cloned();
    let other = RunId { node: "server9".parse().expect("a name"), incarnation: 1 };
    for of in [me, Some(other)] {
        let change = AlarmChange { of, id: 1, alarm: Some(alarm()), count: u64::MAX };
        let noted = Noted { alarms: vec![change], ..Noted::default() };
        let before = pair.dropped(IMPOSSIBLE_ALARM);
        pair.frame(noting(&frame, noted).bytes());
        assert_eq!(pair.dropped(IMPOSSIBLE_ALARM), before + 1);
        (pair, _) = scene();
    }
}

#[test]
fn what_a_node_says_that_it_has_raised_is_left_out_if_no_node_can_have() {
    let (mut pair, frame) = scene();
    let alarms: Vec<_> = impossible_alarms().into_iter().chain([alarm()]).collect();
    let left_out = alarms.len() as u64 - 1;
    let extras = vec![Extra::Alarms(alarms)];
    pair.frame(Frame { updates: Vec::new(), extras, ..frame }.bytes());
    assert_eq!(pair.core(1).status(pair.now).peer_alarms["server1"], [alarm()]);
    assert_eq!(pair.dropped(IMPOSSIBLE_ALARM), left_out);
}

#[test]
fn figures_that_no_service_can_have_counted_are_left_out_and_counted() {
    let long = |bytes: usize| "x".repeat(bytes);
    for (noted, left_out) in [
        (counted("front", "", "words"), 0),
        (counted(&long(256), "", &long(513)), 0),
        (counted(&long(257), "", "words"), 1),
        (counted("", "", "words"), 1),
        (counted("a\0b", "", "words"), 1),
        (counted("front", "", &long(514)), 1),
        (reset("front", 65_536), 0),
        (reset("front", u32::MAX), 1),
        (reset(&long(257), 1), 1),
    ] {
        let text = format!("{noted:?}");
        assert_eq!(told(noted, IMPOSSIBLE_USAGE).0, left_out, "{text}");
    }
}

#[test]
fn what_a_commit_notes_hurts_nobody_whatever_it_is() {
    let bad = impossible_alarms().into_iter().map(raised);
    let figures = [counted("", "", ""), counted("front", "\0", "\0"), reset("\0", u32::MAX)];
    let cleared = AlarmChange { of: None, id: u64::MAX, alarm: None, count: u64::MAX };
    let most = Alarm { count: u64::MAX, raised_at: Timestamp::from_micros(u64::MAX), ..alarm() };
    let none = Noted { alarms: vec![cleared], ..Noted::default() };
    for noted in bad.chain(figures).chain([none, raised(most)]) {
        let (pair, frame) = scene();
        assert!(!survives(pair, noting(&frame, noted).bytes()), "the link stays");
    }
}

/// What there is no room for is counted, and so seen by operators.
#[test]
fn one_service_node_or_run_more_than_are_kept_is_counted() {
    let mut noted = Noted::default();
    for number in 0..=512 {
        noted.usage.extend(counted(&format!("s{number}"), "", "words").usage);
    }
    assert_eq!(told(noted, "usage of one service more than are kept").0, 1);
    let row = |table: &str, key: String, row: Vec<u8>| RowChange {
        table: table.to_owned(),
        key,
        row: Some(ByteBuf::from(row)),
    };
    let (mut pair, frame) = scene();
    let refused = encode(&7u64).expect("plain data");
    let node = |number| row("slee.usage", format!("front\0node{number}"), refused.clone());
    let run = |number| {
        let run = RunId { node: "server3".parse().expect("a name"), incarnation: number };
        row("slee.alarms", String::new(), encode(&(run, alarm())).expect("plain data"))
    };
    let rows = (0..=64).map(node).chain((0..=64).map(run)).collect();
    pair.frame(frame.with(&Update::Rows(rows)).bytes());
    assert_eq!(pair.dropped("usage of one node more than are kept"), 1);
    assert_eq!(pair.dropped("alarm of one run more than are kept"), 1);
    // Alarms of runs that are not there are the survivor's, and one and the same.
    pair.kill_first();
    assert_eq!(of_services(&pair), 1);
}
