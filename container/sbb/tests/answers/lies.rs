//! A service, a delivery to it, and answers that somebody makes up.

use resilee_sbb::{
    ActivityId, AttributeAlias, CellId, ChildRelation, CohortId, Context, ContextView, Deliver,
    Deployment, Descriptor, Effect, EntityState, Event, Failure, LinkedSbb, Outcome, Permission,
    Sbb, StateBytes, Tables, TreeEntity, checked, encode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub const CELL: CellId = CellId { cohort: CohortId(7), number: 1 };

const LEGS: &[ChildRelation] =
    &[ChildRelation { name: "legs", sbb: LinkedSbb::of::<Leg>(), priority: 3 }];

#[derive(Default, Serialize, Deserialize)]
pub struct Parent;

impl Sbb for Parent {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            children: LEGS,
            attribute_aliases: &[AttributeAlias { attribute: "price", alias: "acme.price" }],
            deployment: Deployment {
                permissions: &[
                    Permission::Command("Proxy"),
                    Permission::Write("marks"),
                    Permission::Record("log"),
                    Permission::Start { adaptor: "http", to: "" },
                    Permission::Suspend,
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named("parent")
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
pub struct Leg;

impl Sbb for Leg {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("leg")
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// An event for the root 1, which has a child 2; activities: 1 of an adaptor, 2 null, 3 over, 4 of
/// another cell; 5 null and another service's, 6 the same with a name.
pub fn deliver() -> Deliver {
    let event = Event { event_type: "test".to_owned(), activity: activity(1), payload: Vec::new() };
    let mut deliver = Deliver::first("parent", event).with_state(Some(StateBytes::default()));
    deliver.tree.insert(2, child(1));
    deliver.next_entity = 5;
    let view = |is_null, is_ending| ContextView {
        attached: BTreeSet::from([1]),
        is_null,
        is_ending,
        ..ContextView::default()
    };
    let other = CellId { number: 2, ..CELL };
    let mirror =
        ContextView { mirror_of: Some(ActivityId { cell: other, number: 1 }), ..view(true, false) };
    let strangers = ContextView { attached: BTreeSet::from([20]), ..view(true, false) };
    let named = ContextView { names: BTreeSet::from(["room".to_owned()]), ..strangers.clone() };
    let contexts = [
        (2, view(true, false)),
        (3, view(true, true)),
        (4, mirror),
        (5, ContextView { is_suspended: true, ..strangers }),
        (6, named),
    ];
    deliver.contexts.extend(contexts);
    deliver.next_activity = 9;
    deliver.tables = Tables::default();
    deliver
}

pub fn activity(number: u32) -> ActivityId {
    ActivityId { cell: CELL, number }
}

pub fn child(parent: u32) -> TreeEntity {
    TreeEntity {
        parent: Some(parent),
        relation: "legs".to_owned(),
        priority: 3,
        ..TreeEntity::default()
    }
}

pub fn entity(number: u32, born: Option<TreeEntity>) -> EntityState {
    let state = StateBytes { version: 1, bytes: encode(&Parent).expect("plain") };
    EntityState { number, born, state }
}

pub fn with_effects(effects: Vec<Effect>) -> Outcome {
    Outcome::Delivered { entities: vec![entity(1, None)], removed: Vec::new(), effects }
}

/// It is taken as it is.
#[track_caller]
pub fn taken(outcome: Outcome) {
    let service = LinkedSbb::of::<Parent>().descriptor();
    assert_eq!(checked(&deliver(), &service, outcome.clone()), outcome);
}

/// Why it is not taken.
#[track_caller]
pub fn refused_of(deliver: &Deliver, outcome: Outcome) -> String {
    let service = LinkedSbb::of::<Parent>().descriptor();
    match checked(deliver, &service, outcome) {
        Outcome::RolledBack { reason, .. } => {
            let lie = reason.strip_prefix("its answer is not one that a service can give: ");
            lie.unwrap_or_else(|| panic!("{reason}")).to_owned()
        }
        other => panic!("it was taken: {other:?}"),
    }
}

#[track_caller]
pub fn refused(outcome: Outcome) -> String {
    refused_of(&deliver(), outcome)
}

#[track_caller]
pub fn refused_effect(effect: Effect) -> String {
    refused(with_effects(vec![effect]))
}
