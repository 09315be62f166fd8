//! A tree of another service is migrated: its states are read by the SBBs of the new one, linked or
//! within a unit.

use resilee_sbb::{
    ActivityId, CellId, ChildRelation, CohortId, Context, Deliver, Deployment, Descriptor, Event,
    Failure, LinkedSbb, Outcome, Sbb, StateBytes, Task, TreeEntity, answer, decode, encode,
};
use serde::{Deserialize, Serialize};

/// What the old service wrote, in both of its SBBs.
#[derive(Serialize)]
struct Old {
    seconds: u32,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Meter {
    milliseconds: u64,
}

const LEGS: &[ChildRelation] =
    &[ChildRelation { name: "legs", sbb: LinkedSbb::of::<Leg>(), priority: 0 }];

impl Sbb for Meter {
    const STATE_VERSION: u32 = 2;

    fn descriptor() -> Descriptor {
        let deployment = Deployment { migrates_from: &["meter"], ..Deployment::ALONE };
        Descriptor { children: LEGS, deployment, ..Descriptor::named("meter-2") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn migrate(from: u32, bytes: &[u8]) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Before {
            seconds: u64,
        }
        assert_eq!(from, 1, "no other version was ever");
        let Before { seconds } = decode(bytes)?;
        match seconds {
            0 => Err(Failure::new("it has not begun")),
            seconds => Ok(Meter { milliseconds: seconds * 1_000 }),
        }
    }
}

/// Its layout did not change.
#[derive(Default, Serialize, Deserialize)]
struct Leg {
    seconds: u32,
}

impl Sbb for Leg {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("leg-2")
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn migrate(_: u32, _: &[u8]) -> Result<Self, Failure> {
        panic!("a state of the same version is read as it is")
    }
}

fn state(seconds: u32) -> StateBytes {
    StateBytes { version: 1, bytes: encode(&Old { seconds }).expect("plain") }
}

/// The root 1, with a child 2 which has a state, and a child 3 which was never called.
fn deliver(seconds: u32, relation: &str) -> Deliver {
    let cell = CellId { cohort: CohortId(7), number: 1 };
    let activity = ActivityId { cell, number: 1 };
    let event = Event { event_type: "slee.migrate".to_owned(), activity, payload: Vec::new() };
    let mut deliver = Deliver::first("meter-2", event).with_state(Some(state(seconds)));
    deliver.task = Task::Migrate { from: "meter".to_owned() };
    let relation = relation.to_owned();
    let child = TreeEntity { parent: Some(1), relation, ..TreeEntity::default() };
    deliver.tree.insert(2, TreeEntity { state: state(7), ..child.clone() });
    deliver.tree.insert(3, child);
    deliver
}

#[derive(Debug)]
struct Nobody;

impl resilee_sbb::Host for Nobody {
    fn row(&self, _: &str, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn rows(&self, _: &str, _: &str) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    fn has_profile_table(&self, _: &str) -> bool {
        false
    }

    fn find(&self, _: &str, _: &str, _: &str, _: &str) -> Option<Vec<String>> {
        None
    }

    fn keep(&self, _: &resilee_sbb::Effect) {}
}

/// What a linked service makes of it, which is what the same one does in a unit.
#[track_caller]
fn outcome(deliver: &Deliver) -> Outcome {
    let services = [LinkedSbb::of::<Meter>()];
    let unit = answer(&services, "meter-2", &deliver.to_unit(&services[0].descriptor()), &Nobody);
    let linked = services[0].invoke(deliver);
    assert_eq!(Outcome::of_unit(&unit).as_ref(), Ok(&linked));
    linked
}

#[track_caller]
fn reason(deliver: &Deliver) -> String {
    match outcome(deliver) {
        Outcome::RolledBack { reason, .. } => reason,
        other => panic!("it was migrated: {other:?}"),
    }
}

#[test]
fn each_state_of_a_tree_is_read_by_the_sbb_of_its_place() {
    let outcome = outcome(&deliver(5, "legs"));
    let Outcome::Delivered { entities, removed, effects } = outcome else { panic!("{outcome:?}") };
    let states: Vec<_> = entities.iter().map(|it| (it.number, it.state.version)).collect();
    assert_eq!(states, [(1, 2), (2, 1), (3, 0)]);
    let root: Meter = decode(&entities[0].state.bytes).expect("its state");
    assert_eq!(root, Meter { milliseconds: 5_000 });
    assert_eq!((&entities[1].state, &entities[2].state), (&state(7), &StateBytes::default()));
    assert_eq!((removed, effects), (vec![], vec![]));
    assert!(entities.iter().all(|entity| entity.born.is_none()));
}

#[test]
fn a_state_that_the_new_service_does_not_take_is_a_reason() {
    let text = "meter-2 does not read state of version 1: it has not begun";
    assert_eq!(reason(&deliver(0, "legs")), text);
}

#[test]
fn a_child_that_the_new_service_has_no_relation_for_is_a_reason() {
    assert_eq!(reason(&deliver(5, "arms")), "meter-2 has no child relation \"arms\"");
}

#[test]
fn a_state_that_grows_beyond_its_limit_is_a_reason() {
    let mut large = deliver(5, "legs");
    large.limits.state_bytes_max = 1;
    let reason = reason(&large);
    assert!(reason.contains("state of") && reason.ends_with("1 allowed"), "{reason}");
}

#[test]
fn whom_a_service_replaces_is_in_the_description_of_its_unit() {
    let description = resilee_sbb::UnitDescription::of(&[LinkedSbb::of::<Meter>()]);
    let read = resilee_sbb::UnitDescription::read(&description.to_bytes()).expect("it is right");
    let sbbs = read.leaked(|_| LinkedSbb::of::<Leg>());
    let named: Vec<_> = sbbs.iter().map(|sbb| sbb.deployment.migrates_from).collect();
    assert_eq!(named, [&["meter"][..], &[]]);
}
