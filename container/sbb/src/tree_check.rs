//! Whether the entities of an answer could be those of a linked service: part of `answer_check.rs`.
//!
//! | an entity of the answer | what is looked at                                               |
//! |-------------------------|-----------------------------------------------------------------|
//! | was there               | it is of the tree                                               |
//! | was born                | its number is a next one; its parent is there, and its SBB has  |
//! |                         | the relation; its name is free; the tree is not full            |
//! | is removed              | it was there or born, is not the one whose handler ran nor      |
//! |                         | above it, all below it goes with it, and it is named once       |
//!
//! Of a tree that is migrated all are there, and nothing is born or removed.
//!
//! And of each its size. The entity of the event is among them: its handler has run.

use crate::delivery::{Deliver, EntityState, NAME_BYTES_MAX, StateBytes, TreeEntity};
use crate::descriptor::Descriptor;
use crate::linked::LinkedSbb;
use std::collections::{BTreeMap, BTreeSet};

/// Entities that one delivery to a unit may bear and remove again.
pub const PASSING_ENTITIES_MAX: usize = 1_024;

/// A tree as it is after an answer.
pub(crate) struct Tree {
    /// Numbers of all that were there, are born or were born and removed.
    numbers: BTreeSet<u32>,
    /// The SBBs of those that may have asked for something.
    sbbs: Vec<Descriptor>,
}

impl Tree {
    /// Checks entities and removed ones.
    pub fn check(
        deliver: &Deliver,
        service: &Descriptor,
        entities: &[EntityState],
        removed: &[u32],
    ) -> Result<Self, String> {
        let check = Check::new(deliver, entities, removed)?;
        check.are_whole(entities)?;
        check.are_next(removed)?;
        check.are_placed(service, entities)?;
        check.are_removed()?;
        let numbers = check.before.keys().chain(check.born.keys()).chain(&check.removed);
        let numbers = numbers.copied().chain([deliver.entity.number]).collect();
        Ok(Tree { numbers, sbbs: service.all_sbbs() })
    }

    /// True if an entity is or was of the tree.
    pub fn knows(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// True if an SBB of the service keeps an attribute under this name.
    pub fn shares(&self, key: &str) -> bool {
        self.sbbs.iter().any(|sbb| sbb.has_attribute(key))
    }
}

/// Checks a tree that was migrated: the same entities, each with a state.
pub(crate) fn check_migrated(
    deliver: &Deliver,
    entities: &[EntityState],
    removed: &[u32],
) -> Result<(), String> {
    let check = Check::new(deliver, entities, removed)?;
    check.are_whole(entities)?;
    let migrated = entities.iter().filter(|entity| entity.born.is_none()).count();
    match migrated == entities.len() && migrated == deliver.tree.len() && removed.is_empty() {
        true => Ok(()),
        false => Err("a tree that is migrated is not the same one afterwards".to_owned()),
    }
}

struct Check<'a> {
    deliver: &'a Deliver,
    before: &'a BTreeMap<u32, TreeEntity>,
    born: BTreeMap<u32, &'a TreeEntity>,
    removed: BTreeSet<u32>,
}

impl<'a> Check<'a> {
    fn new(
        deliver: &'a Deliver,
        entities: &'a [EntityState],
        removed: &[u32],
    ) -> Result<Self, String> {
        let max = deliver.tree.len().saturating_add(PASSING_ENTITIES_MAX);
        if removed.len() > max {
            return Err(format!("{} entities are removed, {max} allowed", removed.len()));
        }
        let mut once = BTreeSet::new();
        if let Some(twice) = removed.iter().find(|number| !once.insert(**number)) {
            return Err(format!("entity {twice} is removed twice"));
        }
        let born = entities.iter().filter_map(|it| Some((it.number, it.born.as_ref()?)));
        let (born, before) = (born.collect(), &deliver.tree);
        let check = Check { deliver, before, born, removed: once };
        let (mut seen, gone) = (BTreeSet::new(), &check.removed);
        for number in entities.iter().map(|entity| entity.number) {
            if !seen.insert(number) || gone.contains(&number) {
                return Err(format!("entity {number} is there twice, or removed, too"));
            }
        }
        match seen.contains(&deliver.entity.number) {
            true => Ok(check),
            false => Err("the entity of the event is missing".to_owned()),
        }
    }

    /// A state that grows beyond the limit; or an entity that is not of the tree.
    fn are_whole(&self, entities: &[EntityState]) -> Result<(), String> {
        let max = self.deliver.limits.state_bytes_max;
        for EntityState { number, born, state } in entities {
            let known = self.before.get(number);
            let is_event_s = *number == self.deliver.entity.number;
            if born.is_some() == (known.is_some() || is_event_s) {
                return Err(format!("entity {number} is not of this entity tree"));
            }
            let (size, old) = (state.bytes.len(), known.map_or(0, |known| known.state.bytes.len()));
            if size > max.max(old) {
                return Err(format!("state of {size} bytes, {max} allowed"));
            }
        }
        Ok(())
    }

    /// Numbers of what was born follow each other.
    fn are_next(&self, removed: &[u32]) -> Result<(), String> {
        let first = self.deliver.next_entity;
        let is_new = |number: &u32| *number >= first && !self.before.contains_key(number);
        let gone = removed.iter().copied().filter(is_new);
        let new: BTreeSet<u32> = self.born.keys().copied().chain(gone).collect();
        let follows = new.iter().zip(first..).all(|(number, next)| *number == next);
        match follows {
            true => Ok(()),
            false => Err(format!("new entities do not have the numbers from {first} on")),
        }
    }

    fn are_placed(&self, service: &Descriptor, entities: &[EntityState]) -> Result<(), String> {
        let max = self.deliver.limits.entities_per_tree_max;
        let there = self.before.keys().filter(|number| !self.removed.contains(number)).count();
        let root = usize::from(!self.before.contains_key(&self.deliver.entity.number));
        let count = there + root + self.born.len();
        if !self.born.is_empty() && count > max {
            return Err(format!("a tree of {count} entities, {max} allowed"));
        }
        let mut names = BTreeSet::new();
        let living = self.before.iter().filter(|(number, _)| !self.removed.contains(number));
        let living = living.map(|(_, entity)| entity);
        names.extend(living.filter_map(named));
        for number in entities.iter().map(|entity| entity.number) {
            let Some(child) = self.born.get(&number) else { continue };
            let parent = child.parent.filter(|parent| self.is_there(*parent) && *parent != number);
            let parent = parent.ok_or_else(|| format!("entity {number} has no parent"))?;
            if self.born.contains_key(&parent) && parent > number {
                return Err(format!("entity {number} is older than its parent"));
            }
            let sbb = self.sbb(service, parent)?;
            let relation = sbb.child_relation(&child.relation).ok_or_else(|| {
                format!("{} has no child relation {:?}", sbb.name, child.relation)
            })?;
            if child.priority != relation.priority || child.state != StateBytes::default() {
                return Err(format!("entity {number} is not as children are born"));
            }
            let length = child.name.as_ref().map_or(1, String::len);
            if !(1..=NAME_BYTES_MAX).contains(&length) {
                return Err(format!("a child's name has 1 to {NAME_BYTES_MAX} bytes"));
            }
            if named(child).is_some_and(|name| !names.insert(name)) {
                return Err(format!("two children are called {:?}", child.name));
            }
        }
        Ok(())
    }

    /// True if an entity is there after the answer.
    fn is_there(&self, number: u32) -> bool {
        let is_known = self.before.contains_key(&number)
            || self.born.contains_key(&number)
            || number == self.deliver.entity.number;
        is_known && !self.removed.contains(&number)
    }

    fn entity(&self, number: u32) -> Option<&TreeEntity> {
        self.before.get(&number).or_else(|| self.born.get(&number).copied())
    }

    /// The SBB of an entity, from the root down; a tree of the answer is no deeper than it has
    /// entities, since parents are older than their children.
    fn sbb(&self, service: &Descriptor, number: u32) -> Result<Descriptor, String> {
        let (mut path, mut number) = (Vec::new(), number);
        while let Some(entity) = self.entity(number)
            && let Some(parent) = entity.parent
            && path.len() <= self.before.len() + self.born.len()
        {
            path.push(&entity.relation);
            number = parent;
        }
        let mut sbb = *service;
        for relation in path.into_iter().rev() {
            let known = sbb.child_relation(relation).map(|relation| relation.sbb);
            let known = known.as_ref().map(LinkedSbb::descriptor);
            sbb =
                known.ok_or_else(|| format!("{} has no child relation {relation:?}", sbb.name))?;
        }
        Ok(sbb)
    }

    fn are_removed(&self) -> Result<(), String> {
        let first = self.deliver.next_entity;
        for number in &self.removed {
            // One that was born and removed has told nobody where it was.
            if !self.before.contains_key(number) && *number < first {
                return Err(format!("entity {number} is removed, and was not there"));
            }
        }
        let mut running = self.deliver.entity.number;
        loop {
            if self.removed.contains(&running) {
                return Err(format!("entity {running} is removed while its handler runs"));
            }
            match self.before.get(&running).and_then(|entity| entity.parent) {
                Some(parent) => running = parent,
                None => break,
            }
        }
        let left = self.before.iter().find(|(number, entity)| {
            let parent = entity.parent.is_some_and(|parent| self.removed.contains(&parent));
            parent && !self.removed.contains(number)
        });
        match left {
            Some((number, _)) => Err(format!("entity {number} stays, and its parent goes")),
            None => Ok(()),
        }
    }
}

/// Parent, relation and name of a child that has one.
fn named(child: &TreeEntity) -> Option<(u32, &str, &str)> {
    Some((child.parent?, &child.relation, child.name.as_deref()?))
}
