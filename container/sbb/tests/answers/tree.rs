//! Entities of an answer.

use crate::lies::{child, deliver, entity, refused, refused_of, taken};
use resilee_sbb::{EntityState, Outcome, PASSING_ENTITIES_MAX, StateBytes, TreeEntity};

fn of(entities: Vec<EntityState>, removed: &[u32]) -> Outcome {
    Outcome::Delivered { entities, removed: removed.to_vec(), effects: Vec::new() }
}

fn born(number: u32, born: TreeEntity) -> EntityState {
    EntityState { state: StateBytes::default(), ..entity(number, Some(born)) }
}

#[test]
fn what_a_service_can_make_of_its_tree_is_taken() {
    taken(of(vec![entity(1, None)], &[]));
    taken(of(vec![entity(1, None), entity(2, None)], &[]));
    taken(of(vec![entity(1, None)], &[2]));
    taken(of(vec![entity(1, None), born(5, child(1)), born(6, child(1))], &[]));
    // One was born and is removed already: its number is taken.
    taken(of(vec![entity(1, None), born(6, child(1))], &[5]));
    let named = |name: &str| TreeEntity { name: Some(name.to_owned()), ..child(1) };
    taken(of(vec![entity(1, None), born(5, named("a")), born(6, named("b"))], &[]));
}

#[test]
fn an_entity_that_is_not_of_the_tree_is_refused() {
    let text = "entity 3 is not of this entity tree";
    assert_eq!(refused(of(vec![entity(1, None), entity(3, None)], &[])), text);
    let text = "entity 2 is not of this entity tree";
    assert_eq!(refused(of(vec![entity(1, None), entity(2, Some(child(1)))], &[])), text);
}

#[test]
fn the_entity_of_the_event_is_there() {
    assert_eq!(refused(of(Vec::new(), &[])), "the entity of the event is missing");
    let text = "entity 1 is there twice, or removed, too";
    assert_eq!(refused(of(vec![entity(1, None), entity(1, None)], &[])), text);
    assert_eq!(refused(of(vec![entity(1, None)], &[1])), text);
}

#[test]
fn new_entities_have_the_next_numbers() {
    let text = "new entities do not have the numbers from 5 on";
    assert_eq!(refused(of(vec![entity(1, None), born(6, child(1))], &[])), text);
    assert_eq!(refused(of(vec![entity(1, None), born(4, child(1))], &[])), text);
    assert_eq!(refused(of(vec![entity(1, None)], &[u32::MAX])), text);
}

#[test]
fn a_child_is_born_as_its_parents_sbb_declares_it() {
    let with = |child: TreeEntity| refused(of(vec![entity(1, None), born(5, child)], &[]));
    assert_eq!(with(child(7)), "entity 5 has no parent");
    assert_eq!(with(child(5)), "entity 5 has no parent");
    assert_eq!(with(TreeEntity::default()), "entity 5 has no parent");
    assert_eq!(with(child(2)), "leg has no child relation \"legs\"");
    let other = TreeEntity { relation: "arms".to_owned(), ..child(1) };
    assert_eq!(with(other), "parent has no child relation \"arms\"");
    let first = TreeEntity { priority: 9, ..child(1) };
    assert_eq!(with(first), "entity 5 is not as children are born");
    let state = StateBytes { version: 1, bytes: vec![0] };
    assert_eq!(with(TreeEntity { state, ..child(1) }), "entity 5 is not as children are born");
    let nameless = TreeEntity { name: Some(String::new()), ..child(1) };
    assert_eq!(with(nameless), "a child's name has 1 to 256 bytes");
    let orphan = of(vec![entity(1, None), born(5, child(2))], &[2]);
    assert_eq!(refused(orphan), "entity 5 has no parent");
}

#[test]
fn a_name_is_free_and_a_tree_is_not_too_large() {
    let named = || TreeEntity { name: Some("a".to_owned()), ..child(1) };
    let two = of(vec![entity(1, None), born(5, named()), born(6, named())], &[]);
    assert_eq!(refused(two), "two children are called Some(\"a\")");
    let many = (5..68).map(|number| born(number, child(1)));
    let many = of(std::iter::once(entity(1, None)).chain(many).collect(), &[]);
    assert_eq!(refused(many), "a tree of 65 entities, 64 allowed");
}

#[test]
fn what_is_removed_was_there_and_takes_all_below_it_along() {
    let text = "entity 3 is removed, and was not there";
    assert_eq!(refused(of(vec![entity(1, None)], &[3])), text);
    let mut deep = deliver();
    deep.tree.insert(3, child(2));
    let left = refused_of(&deep, of(vec![entity(1, None)], &[2]));
    assert_eq!(left, "entity 3 stays, and its parent goes");
    deep.entity.number = 3;
    let running = refused_of(&deep, of(vec![entity(3, None)], &[2]));
    assert_eq!(running, "entity 2 is removed while its handler runs");
}

#[test]
fn a_state_does_not_grow_beyond_the_limit() {
    let of_size = |size: usize| {
        let state = StateBytes { version: 1, bytes: vec![0; size] };
        of(vec![EntityState { state, ..entity(1, None) }], &[])
    };
    taken(of_size(65_536));
    assert_eq!(refused(of_size(65_537)), "state of 65537 bytes, 65536 allowed");
}

#[test]
fn an_entity_is_removed_once() {
    let text = "entity 2 is removed twice";
    assert_eq!(refused(of(vec![entity(1, None)], &[2, 2])), text);
    assert_eq!(refused(of(vec![entity(1, None)], &[5, 2, 6, 2])), text);
}

#[test]
fn no_more_entities_are_removed_than_there_were_and_a_bound_beyond() {
    let last = 5 + u32::try_from(PASSING_ENTITIES_MAX).expect("a small number");
    let up_to = |end: u32| of(vec![entity(1, None)], &(5..end).collect::<Vec<_>>());
    taken(up_to(last));
    // The one that was there may go as well.
    let text = "1027 entities are removed, 1026 allowed";
    assert_eq!(refused(up_to(last + 3)), text);
}

/// A tree that is migrated is the same one afterwards.
#[test]
fn a_migration_that_leaves_an_entity_out_or_does_anything_else_is_refused() {
    let mut migration = deliver();
    migration.task = resilee_sbb::Task::Migrate { from: "old".to_owned() };
    let both = || vec![entity(1, None), entity(2, None)];
    let service = resilee_sbb::LinkedSbb::of::<crate::lies::Parent>().descriptor();
    assert_eq!(resilee_sbb::checked(&migration, &service, of(both(), &[])), of(both(), &[]));
    let other = "a tree that is migrated is not the same one afterwards";
    assert_eq!(refused_of(&migration, of(vec![entity(1, None)], &[])), other);
    assert_eq!(refused_of(&migration, of(vec![entity(1, None)], &[2])), other);
    let grown = [both(), vec![born(5, child(1))]].concat();
    assert_eq!(refused_of(&migration, of(grown, &[])), other);
    let stranger = [both(), vec![entity(3, None)]].concat();
    let text = "entity 3 is not of this entity tree";
    assert_eq!(refused_of(&migration, of(stranger, &[])), text);
    let effects = vec![resilee_sbb::Effect::EndActivity { activity: 2 }];
    let asking = Outcome::Delivered { entities: both(), removed: Vec::new(), effects };
    assert_eq!(refused_of(&migration, asking), "1 effects of a migration, 0 allowed");
    let selected = Outcome::Selected { convergence_name: None, effects: Vec::new() };
    assert_eq!(refused_of(&migration, selected), "it selects, and was not asked to");
}
