//! A service in JavaScript and its twin in Rust: what both are asked, they answer the same, to the
//! byte. So what the JavaScript SDK makes of a delivery is what `resilee-sbb` makes of it.

use super::twin::{Named, PROFILES, Profiled, Row, Twin, Values};
use super::units::twin;
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, Effect, Event, EventPayload, LinkedSbb, Outcome,
    StateBytes, Tables, Task, TimerFired, TimerId, Timestamp, TraceLevel, encode,
};
use resilee_sip_api::{Contact, REGISTRATIONS, Registrations};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The first event of an entity; its call is born in a run whose number needs all of its bits.
pub fn deliver(event_type: &str, payload: Vec<u8>) -> Deliver {
    let cell = CellId { cohort: CohortId(0xf829_1fa1_8997_0195), number: 7 };
    let activity = ActivityId { cell, number: 1 };
    let event = Event { event_type: event_type.to_owned(), activity, payload };
    let mut deliver = Deliver::first("twin", event);
    (deliver.now, deliver.seed) = (NOW, u64::MAX - 5);
    deliver.tables = tables();
    Arc::make_mut(&mut deliver.trace_levels).set("twin.steps", Some(TraceLevel::Fine));
    deliver
}

fn tables() -> Tables {
    let mut tables = Tables::of(&[LinkedSbb::of::<Twin>().descriptor()]);
    let mut put = |table: &str, key: &str, row| tables.put(table, key, row);
    for (name, first, count) in [("a", "ann", 4), ("b", "bob", 5), ("c", "ann", 3)] {
        let profile = Profiled { first: first.to_owned(), count };
        put(PROFILES.name, name, encode(&profile).expect("plain"));
    }
    for key in 1..200 {
        put("rows", &key.to_string(), encode(&Row { count: key * key }).expect("plain"));
    }
    let contact = |uri: &str, q_thousandths, lives_s, way: Option<(&str, u32)>| Contact {
        uri: uri.to_owned(),
        source: format!("{uri}.source"),
        q_thousandths,
        expires_at: NOW + std::time::Duration::from_secs(lives_s),
        instance: way.map(|(instance, _)| instance.to_owned()),
        reg_id: way.map(|(_, reg_id)| reg_id),
        path: way.map(|_| "sip:edge".to_owned()).into_iter().collect(),
        ..Contact::default()
    };
    let contacts = vec![
        contact("over", 1000, 0, None),
        contact("low", 100, 60, None),
        contact("first", 500, 60, Some(("phone", 1))),
        contact("second", 500, 90, Some(("phone", 2))),
        contact("third", 500, 30, None),
    ];
    let registrations = Registrations { contacts, nonces: Vec::new() };
    put(REGISTRATIONS, "sip:bob@example.test", encode(&registrations).expect("plain"));
    tables
}

fn named(name: &str) -> Vec<u8> {
    encode(&Named { name: name.to_owned() }).expect("plain")
}

/// What both make of a delivery.
#[track_caller]
fn same(deliver: &Deliver) -> Outcome {
    let expected = LinkedSbb::of::<Twin>().invoke(deliver);
    assert_eq!(twin().invoke(deliver), expected, "{}", deliver.event.event_type);
    expected
}

#[track_caller]
fn same_effects(event_type: &str) -> Vec<Effect> {
    match same(&deliver(event_type, named(""))) {
        Outcome::Delivered { effects, .. } => effects,
        other => panic!("{event_type} is delivered: {other:?}"),
    }
}

#[test]
fn both_describe_themselves_the_same() {
    let (javascript, mut rust) = (twin().descriptor(), LinkedSbb::of::<Twin>().descriptor());
    rust.deployment.is_uploaded = true;
    assert_eq!(format!("{javascript:?}"), format!("{rust:?}"));
}

#[test]
fn both_ask_for_the_same() {
    assert_eq!(same_effects("test.activities").len(), 14);
    assert_eq!(same_effects("test.timers").len(), 4);
    assert_eq!(same_effects("test.facilities").len(), 9);
    assert_eq!(same_effects("test.tables").len(), 7);
    assert_eq!(same_effects("test.adaptors").len(), 8);
}

#[test]
fn both_write_values_the_same() {
    let texts = ["", "short", "é", "\u{1f600} and more than fifty characters of several bytes: ł"];
    let mut texts: Vec<_> = texts.map(str::to_owned).into();
    texts.push("ü\u{1f600}x".repeat(1_000));
    let whole = [0, -1, -32, -33, -129, -40_000, i64::from(i32::MIN), -5_000_000_000, i64::MIN];
    let large = [127, 128, 255, 256, 65_536, u64::from(u32::MAX), 1 << 32, 1 << 53, u64::MAX];
    let values = Values {
        whole: whole.into(),
        large: large.into(),
        fraction: 0.1,
        texts,
        bytes: (0..=255).collect(),
        nothing: None,
        some: Some(false),
    };
    let deliver = deliver("test.values", encode(&values).expect("plain"));
    let Outcome::Delivered { effects, .. } = same(&deliver) else { panic!("it is delivered") };
    let [Effect::Fire { payload, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(resilee_sbb::decode::<Values>(payload), Ok(values));
}

#[test]
fn both_keep_state_and_take_over_an_older_one() {
    let first = deliver("test.timers", named(""));
    let state = same(&first).state_of(first.entity).cloned();
    let fired = TimerFired {
        timer: TimerId(2),
        scheduled_at: NOW,
        fired_at: NOW,
        remaining: None,
        missed: 0,
    };
    let fired = encode(&fired).expect("plain");
    let next = deliver(TimerFired::TYPE, fired).with_state(state.clone());
    same(&next);
    let old = state.map(|state| StateBytes { version: 1, ..state });
    same(&deliver("test.activities", named("")).with_state(old));
}

#[test]
fn both_select_the_same() {
    for name in ["none", "cell", "", "é"] {
        let mut deliver = deliver("test.values", named(name));
        deliver.task = Task::Select;
        let Outcome::Selected { effects, .. } = same(&deliver) else { panic!("it selects") };
        assert_eq!(effects.len(), 1, "the timer is dropped, the line is not");
    }
}

#[test]
fn both_roll_back_the_same() {
    for event_type in ["test.fails", "test.lost", "test.only", "test.unknown", "test.resumes"] {
        let mut deliver = deliver(event_type, named(""));
        let outcome = LinkedSbb::of::<Twin>().invoke(&deliver);
        let Outcome::RolledBack { reason, effects } = outcome else { panic!("{event_type}") };
        let is_of_node = event_type == "test.resumes";
        let (javascript, text) = match twin().invoke(&deliver) {
            Outcome::RolledBack { reason, effects } => (effects, reason),
            other => panic!("{event_type}: {other:?}"),
        };
        // What the SDK does not look at itself the node does, of the answer.
        if is_of_node {
            let text = text.strip_prefix("its answer is not one that a service can give: ");
            assert_eq!(text, Some("no event of activity 1 is suspended"));
        } else {
            assert_eq!((text, javascript), (reason, effects), "{event_type}");
        }
        deliver.task = Task::RolledBack { reason: "it was so".to_owned() };
        same(&deliver);
    }
}

#[test]
fn an_attribute_of_a_service_before_is_read() {
    let attributes = BTreeMap::from([("twin/other".to_owned(), encode(&"there").expect("plain"))]);
    let deliver = deliver("test.activities", named("")).with_attributes(attributes);
    let Outcome::Delivered { effects, .. } = same(&deliver) else { panic!("it is delivered") };
    let is_line =
        |effect: &&Effect| matches!(effect, Effect::Trace { text, .. } if text == "there of 2");
    assert_eq!(effects.iter().filter(is_line).count(), 1, "{effects:?}");
}
