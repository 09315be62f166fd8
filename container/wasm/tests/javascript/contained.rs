//! What a service in JavaScript does wrong hurts its own delivery, and nothing else.

use super::same::deliver;
use super::units::twin;
use resilee_sbb::{Deliver, Effect, Outcome, TraceLevel, decode};
use serde::Deserialize;

fn odd(event_type: &str) -> Deliver {
    deliver(event_type, Vec::new())
}

/// Why it rolled back, and its lines; and the next delivery works.
#[track_caller]
fn rolled_back(event_type: &str) -> (String, Vec<(TraceLevel, String)>) {
    let outcome = twin().invoke(&odd(event_type));
    let next = twin().invoke(&odd("test.timers"));
    assert!(matches!(next, Outcome::Delivered { .. }), "{next:?}");
    match outcome {
        Outcome::RolledBack { reason, effects } => (reason, lines(&effects)),
        other => panic!("{event_type} rolls back: {other:?}"),
    }
}

fn lines(effects: &[Effect]) -> Vec<(TraceLevel, String)> {
    let line = |effect: &Effect| match effect {
        Effect::Trace { level, text, .. } => Some((*level, text.clone())),
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

#[test]
fn what_is_thrown_is_the_reason_and_a_line_says_where() {
    let (reason, lines) = rolled_back("test.throws");
    assert!(reason.starts_with("TypeError: "), "{reason}");
    assert_eq!(lines[0], (TraceLevel::Info, "before it throws".to_owned()));
    let (level, line) = &lines[1];
    assert_eq!(*level, TraceLevel::Severe);
    assert!(line.starts_with(&format!("threw {reason} at throws (")), "{line}");
    assert!(line.contains("twin.js:"), "{line}");
}

#[test]
fn what_never_ends_is_stopped_and_its_lines_stay() {
    let (reason, lines) = rolled_back("test.loops");
    assert_eq!(reason, "it ran longer than 2s");
    assert_eq!(lines, [(TraceLevel::Info, "before it loops".to_owned())]);
}

#[test]
fn what_takes_all_memory_is_stopped() {
    let (reason, _) = rolled_back("test.grows");
    assert_eq!(reason, "it asked for more than 32 MiB of memory");
}

#[test]
fn what_calls_itself_for_ever_is_stopped() {
    let (reason, _) = rolled_back("test.recurses");
    assert_eq!(reason, "it called itself too deeply: its stack is full");
}

#[test]
fn what_writes_too_many_lines_rolls_back() {
    let (reason, lines) = rolled_back("test.floods");
    assert_eq!(reason, "more than 256 effects");
    assert_eq!(lines.len(), 256);
}

#[test]
fn a_table_without_a_permission_is_not_read() {
    let (reason, _) = rolled_back("test.reads");
    let text = "it reads \"accounts\": add Permission::Read of it to its descriptor's permissions";
    assert_eq!(reason, text);
}

#[test]
fn a_state_that_cannot_be_written_rolls_back() {
    let (reason, _) = rolled_back("test.unwritable");
    assert!(reason.contains("Unrecognized object: [object Function]"), "{reason}");
}

#[test]
fn time_and_chance_are_the_deliverys_and_nothing_is_left_of_it() {
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct State {
        random: f64,
        seen: Option<String>,
    }
    let run = |seed| {
        let mut deliver = odd("test.surroundings");
        deliver.seed = seed;
        let outcome = twin().invoke(&deliver);
        let state = &outcome.state_of(deliver.entity).expect("it is delivered").bytes;
        let Outcome::Delivered { effects, .. } = &outcome else { panic!("{outcome:?}") };
        (decode::<State>(state).expect("a state"), lines(effects))
    };
    let (state, written) = run(1);
    assert_eq!(run(1), (state.clone(), written.clone()), "the same again");
    assert_ne!(run(2).0.random, state.random);
    assert!((0.0..1.0).contains(&state.random), "{state:?}");
    assert_eq!(state.seen, None);
    let expected = [
        (TraceLevel::Info, "a 1 {\"b\":\"2\"}"),
        (TraceLevel::Warning, "2027-01-15T08:00:00.000Z true 0"),
        (TraceLevel::Severe, "8 string true"),
    ];
    assert_eq!(written, expected.map(|(level, text)| (level, text.to_owned())));
}
