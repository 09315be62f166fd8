//! SBB entity trees in a cell: what belongs together, who is before whom, and when a tree ends.
//!
//! | what                                    | then                                             |
//! |-----------------------------------------|--------------------------------------------------|
//! | a delivery bears an entity              | it has its place below its parent                |
//! | a child is removed                      | so are those below it, with attachments, timers  |
//! | no entity of a tree is attached         | the whole tree is removed (reclaimed)            |
//! | events wait for an entity to be retried | its tree is kept meanwhile                       |
//! | a service's policy says so, after a roll back | the tree is removed                        |

use crate::cell::Cell;
use crate::commit::{ChildOf, Entity, Part};
use crate::core::Core;
use crate::deployed::place_of;
use resilee_sbb::{CellId, ContextView, Descriptor, EntityState, TreeEntity};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Who is before whom: the priority and the age of each entity from the root down. A parent, whose
/// path begins its children's, is before them. Services of one priority go by name: their places
/// differ between nodes, since units come and go.
pub(crate) type Precedence = (Reverse<i8>, &'static str, u32, Vec<(Reverse<i8>, u32)>);

/// Precedence of a root entity.
pub(crate) fn root_precedence(priority: i8, service: &'static str, root: u32) -> Precedence {
    (Reverse(priority), service, root, Vec::new())
}

/// Precedence of an entity of a deployed service.
pub(crate) fn precedence(cell: &Cell, services: &[Descriptor], entity: u32) -> Precedence {
    let mut path = Vec::new();
    let mut number = entity;
    while let Some((entity, child)) =
        cell.entities.get(&number).and_then(|it| Some((it, it.child.as_ref()?)))
    {
        path.push((Reverse(entity.priority.unwrap_or_default()), number));
        number = child.parent;
    }
    path.reverse();
    let root = cell.entities.get(&number);
    let name = root.map_or("", |root| &root.service);
    let service = place_of(services, name).map(|place| &services[place]);
    let of_service = service.map_or(0, |service| service.priority);
    let priority = root.and_then(|root| root.priority).unwrap_or(of_service);
    (Reverse(priority), service.map_or("", |service| service.name), number, path)
}

/// The descriptor of an entity's SBB, found from its service's root SBB down.
pub(crate) fn descriptor_of(cell: &Cell, service: &Descriptor, entity: u32) -> Option<Descriptor> {
    let Some(child) = cell.entities.get(&entity)?.child.as_ref() else { return Some(*service) };
    let parent = descriptor_of(cell, service, child.parent)?;
    let relation = parent.child_relation(&child.relation)?;
    Some(relation.sbb.descriptor())
}

impl Cell {
    /// The root of an entity's tree.
    pub fn root_of(&self, entity: u32) -> u32 {
        let mut number = entity;
        while let Some(child) = self.entities.get(&number).and_then(|it| it.child.as_ref()) {
            number = child.parent;
        }
        number
    }

    /// The convergence name of the root of an entity's tree, if a selector gave it one.
    pub fn name_of_root(&self, entity: u32) -> Option<Box<str>> {
        self.entities.get(&self.root_of(entity))?.convergence_name.clone()
    }

    /// The numbers of a tree's entities.
    pub fn tree(&self, root: u32) -> impl Iterator<Item = u32> {
        self.entities.keys().copied().filter(move |number| self.root_of(*number) == root)
    }

    /// A tree as a delivery sees it.
    pub fn tree_view(&self, root: u32, priority: i8) -> BTreeMap<u32, TreeEntity> {
        let entities = self.tree(root).filter_map(|number| {
            let entity = self.entities.get(&number)?;
            let child = entity.child.as_ref();
            let view = TreeEntity {
                parent: child.map(|child| child.parent),
                relation: child.map(|child| child.relation.clone()).unwrap_or_default(),
                name: child.and_then(|child| child.name.clone()),
                priority: entity.priority.unwrap_or(if child.is_some() { 0 } else { priority }),
                state: entity.state.clone(),
            };
            Some((number, view))
        });
        entities.collect()
    }

    /// Activity contexts as a delivery sees them.
    pub fn context_views(&self) -> BTreeMap<u32, ContextView> {
        let contexts = self.activities.iter().map(|(number, activity)| {
            let attributes = activity.attributes.iter();
            let view = ContextView {
                attributes: attributes.map(|(n, value)| (n.clone(), value.to_vec())).collect(),
                attached: activity.attached.clone(),
                names: activity.names.clone(),
                is_ending: activity.ending,
                is_null: activity.null || activity.mirror.as_ref().is_some_and(|it| it.null),
                is_suspended: activity.suspended.is_some(),
                mirror_of: activity.mirror.as_ref().map(|mirror| mirror.of),
            };
            (*number, view)
        });
        contexts.collect()
    }

    /// An entity as it is after a delivery.
    pub fn put_entity(&mut self, service: &str, state: EntityState) {
        let Some(turn) = self.turn.as_mut() else { return };
        let EntityState { number, born, state } = state;
        let Some(known) = self.entities.get_mut(&number) else {
            self.head.next_entity = self.head.next_entity.max(number.saturating_add(1));
            let priority = born.as_ref().map(|child| child.priority);
            let convergence_name = match born {
                None => turn.new_root_name.take().map(String::into_boxed_str),
                Some(_) => None,
            };
            let entity = Entity {
                service: service.to_owned(),
                state,
                child: born.and_then(ChildOf::of).map(Box::new),
                priority,
                convergence_name,
                masks: Default::default(),
                left: None,
            };
            self.entities.insert(number, Box::new(entity));
            turn.touched.extend([Part::Head, Part::Entity(number)]);
            return;
        };
        if known.state != state {
            known.state = state;
            turn.touched.insert(Part::Entity(number));
        }
    }

    /// Removes entities with their attachments and timers; the turn has them as touched.
    pub fn remove_entities(&mut self, doomed: &[u32]) {
        let Some(turn) = self.turn.as_mut() else { return };
        let doomed: BTreeSet<u32> = doomed.iter().copied().collect();
        for entity in &doomed {
            if self.entities.remove(entity).is_some() {
                turn.touched.insert(Part::Entity(*entity));
            }
        }
        for (number, activity) in &mut self.activities {
            if doomed.iter().filter(|entity| activity.attached.remove(entity)).count() > 0 {
                turn.touched.insert(Part::Activity(*number));
            }
        }
        self.timers.retain(|(owner, timer), _| {
            let kept = !doomed.contains(owner);
            if !kept {
                turn.touched.insert(Part::Timer(*owner, *timer));
            }
            kept
        });
    }

    /// The entity is attached to an activity no more: what it masked there is forgotten.
    pub fn forget_mask(&mut self, entity: u32, activity: u32) {
        let (Some(turn), Some(known)) = (self.turn.as_mut(), self.entities.get_mut(&entity)) else {
            return;
        };
        if known.masks.remove(&activity).is_some() {
            turn.touched.insert(Part::Entity(entity));
        }
    }

    /// The entity and all below it.
    pub fn subtree(&self, entity: u32) -> Vec<u32> {
        let mut subtree = vec![entity];
        let mut next = 0;
        while let Some(parent) = subtree.get(next).copied() {
            next += 1;
            let child_of = |number: &&u32| {
                let child = self.entities.get(number).and_then(|it| it.child.as_ref());
                child.is_some_and(|child| child.parent == parent)
            };
            let children: Vec<_> = self.entities.keys().filter(child_of).copied().collect();
            subtree.extend(children);
        }
        subtree
    }
}

impl Core {
    /// Removes the entity's tree if nothing of it is attached to anything any more.
    pub(crate) fn reclaim(cell: &mut Cell, entity: u32) {
        let root = cell.root_of(entity);
        let is_kept = |number: u32| {
            cell.retries.contains_key(&number) || cell.attachments(number).next().is_some()
        };
        let tree: Vec<_> = cell.tree(root).collect();
        if !tree.iter().any(|number| is_kept(*number)) {
            cell.remove_entities(&tree);
        }
    }

    /// Null activities that nothing holds end by themselves: no entity is attached to them, no
    /// name is bound to them, and no event of theirs waits. Names alone do not hold a cell in which
    /// nothing else is left: nobody could look them up.
    pub(crate) fn end_idle_null_activities(&mut self, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let is_lively = !cell.entities.is_empty()
            || !cell.retries.is_empty()
            || cell.activities.values().any(|activity| !activity.null);
        let tied = |number: u32| {
            let mut ties = cell.ties.values();
            ties.any(|tie| tie.far.is_none() && tie.activity == number)
        };
        cell.activities.retain(|number, activity| {
            let held = !activity.attached.is_empty()
                || tied(*number)
                || (is_lively && !activity.names.is_empty())
                || activity.suspended.is_some()
                || cell.retries.values().any(|retry| retry.is_about(*number));
            let kept = !activity.null || held;
            if !kept {
                turn.touched.insert(Part::Activity(*number));
            }
            kept
        });
    }
}

impl ChildOf {
    fn of(child: TreeEntity) -> Option<Self> {
        let TreeEntity { parent, relation, name, .. } = child;
        Some(ChildOf { parent: parent?, relation, name })
    }
}
