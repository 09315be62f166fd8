//! What a unit makes of an entity of another service is believed as little as the rest.

use crate::guest::{Guest, deliver, delivered, host};
use resilee_sbb::{Deliver, Effect, Outcome, StateBytes, Task, UnitCompiler};

/// An entity of another service.
fn migration() -> Deliver {
    let state = StateBytes { version: 1, bytes: vec![0x90] };
    let mut deliver = deliver().with_state(Some(state));
    deliver.task = Task::Migrate { from: "older".to_owned() };
    deliver
}

fn outcome(guest: &Guest) -> Outcome {
    host().compile(&guest.bytes()).expect("a unit").invoke(&migration())
}

#[track_caller]
fn reason(guest: &Guest) -> String {
    match outcome(guest) {
        Outcome::RolledBack { reason, .. } => reason,
        other => panic!("it was taken: {other:?}"),
    }
}

#[test]
fn a_unit_reads_the_state_of_another_service() {
    assert_eq!(outcome(&Guest::default()), delivered(Vec::new()));
}

#[test]
fn a_unit_that_traps_or_does_not_end_reads_no_state() {
    let text = "it ended without an answer: wasm trap: wasm `unreachable` instruction executed";
    assert_eq!(reason(&Guest::that("unreachable")), text);
    assert_eq!(reason(&Guest::that("(loop $l (br $l))")), "it ran longer than 2s");
}

#[test]
fn a_unit_that_reads_a_state_asks_for_nothing_else_and_leaves_no_entity_out() {
    let asking = delivered(vec![Effect::EndActivity { activity: 1 }]);
    let reason_of = |outcome: &Outcome| reason(&Guest::answering(outcome));
    assert!(reason_of(&asking).ends_with("1 effects of a migration, 0 allowed"));
    let mut other = delivered(Vec::new());
    let Outcome::Delivered { entities, .. } = &mut other else { unreachable!() };
    entities.clear();
    assert!(reason_of(&other).ends_with("the entity of the event is missing"));
}
