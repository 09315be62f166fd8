//! The transaction of one delivery: what its handlers changed so far, over what was delivered.

use crate::delivery::{ContextView, Deliver, EntityState, StateBytes, TreeEntity};
use crate::effect::{EFFECTS_MAX, Effect};
use crate::host::Host;
use crate::linked::LinkedSbb;
use crate::sbb::Failure;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Changes and requests of one delivery.
#[derive(Debug)]
pub(crate) struct Transaction {
    effects: Vec<Effect>,
    /// Of a unit: hears of what stays.
    host: Option<&'static dyn Host>,
    /// How many of them do not, and do, survive a roll back.
    asked: [usize; 2],
    /// State of [`crate::Context::random`].
    pub random: u64,
    /// Entities whose handler is running: they take no calls.
    pub running: Vec<u32>,
    /// Why it will be rolled back, whatever its handlers return.
    pub rollback_only: Option<String>,
    created: BTreeMap<u32, TreeEntity>,
    removed: BTreeSet<u32>,
    written: BTreeMap<u32, StateBytes>,
    priorities: BTreeMap<u32, i8>,
    /// Activity contexts that were changed.
    contexts: BTreeMap<u32, ContextView>,
    next_activity: u32,
}

impl Transaction {
    pub fn new(deliver: &Deliver) -> Self {
        Transaction {
            effects: Vec::new(),
            host: deliver.tables.host(),
            asked: [0; 2],
            random: deliver.seed,
            running: Vec::new(),
            rollback_only: None,
            created: BTreeMap::new(),
            removed: BTreeSet::new(),
            written: BTreeMap::new(),
            priorities: BTreeMap::new(),
            contexts: BTreeMap::new(),
            next_activity: deliver.next_activity,
        }
    }

    /// Asks for something; what is asked for beyond [`EFFECTS_MAX`] rolls the transaction back.
    /// What stays then has a count of its own: an alarm is not lost since too much was asked for.
    pub fn ask(&mut self, effect: Effect) {
        let stays = usize::from(effect.survives_roll_back());
        if self.asked[stays] < EFFECTS_MAX {
            self.asked[stays] += 1;
            if let Some(host) = self.host.filter(|_| stays == 1) {
                host.keep(&effect);
            }
            self.effects.push(effect);
        } else {
            self.mark_for_roll_back(format!("more than {EFFECTS_MAX} effects"));
        }
    }

    /// The first reason counts.
    pub fn mark_for_roll_back(&mut self, reason: String) {
        self.rollback_only.get_or_insert(reason);
    }

    /// Whether it may commit.
    pub fn check(&self) -> Result<(), Failure> {
        self.rollback_only.as_ref().map_or(Ok(()), |reason| Err(Failure::new(reason.clone())))
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// An entity of the tree, created here or before.
    pub fn entity<'e>(&'e self, deliver: &'e Deliver, number: u32) -> Option<&'e TreeEntity> {
        if self.removed.contains(&number) {
            return None;
        }
        self.created.get(&number).or_else(|| deliver.tree.get(&number))
    }

    /// Numbers of the tree's entities.
    pub fn numbers<'e>(&'e self, deliver: &'e Deliver) -> impl Iterator<Item = u32> + 'e {
        let all = deliver.tree.keys().chain(self.created.keys()).copied();
        all.filter(|number| !self.removed.contains(number))
    }

    /// State of an entity; empty for one that is new.
    pub fn state(&self, deliver: &Deliver, number: u32) -> StateBytes {
        let written = self.written.get(&number);
        let known = || deliver.tree.get(&number).map(|entity| &entity.state);
        written.or_else(known).cloned().unwrap_or_default()
    }

    pub fn write(&mut self, number: u32, state: StateBytes) {
        self.written.insert(number, state);
    }

    pub fn priority(&self, deliver: &Deliver, number: u32) -> Option<i8> {
        let set = self.priorities.get(&number).copied();
        set.or_else(|| self.entity(deliver, number).map(|entity| entity.priority))
    }

    pub fn set_priority(&mut self, entity: u32, priority: i8) {
        self.priorities.insert(entity, priority);
        self.ask(Effect::SetPriority { entity, priority });
    }

    /// Adds a child; its number.
    pub fn create(&mut self, deliver: &Deliver, child: TreeEntity) -> Result<u32, Failure> {
        let max = deliver.limits.entities_per_tree_max;
        // A root entity that is being created counts, and is not in the tree yet.
        let new_root = usize::from(!deliver.tree.contains_key(&deliver.entity.number));
        if self.numbers(deliver).count() + new_root >= max {
            let text = format!("a tree has {max} entities at most");
            return Err(Failure::new(text));
        }
        let born = u32::try_from(self.created.len()).unwrap_or(u32::MAX);
        let number = deliver.next_entity.saturating_add(born);
        self.created.insert(number, child);
        self.written.insert(number, StateBytes::default());
        Ok(number)
    }

    /// An entity with all below it.
    pub fn subtree(&self, deliver: &Deliver, number: u32) -> Vec<u32> {
        let mut doomed = vec![number];
        let mut next = 0;
        while let Some(parent) = doomed.get(next).copied() {
            next += 1;
            let child = |number: &u32| {
                self.entity(deliver, *number).is_some_and(|entity| entity.parent == Some(parent))
            };
            let children: Vec<_> = self.numbers(deliver).filter(child).collect();
            doomed.extend(children);
        }
        doomed
    }

    /// Removes entities.
    pub fn remove(&mut self, doomed: &[u32]) {
        for number in doomed {
            self.removed.insert(*number);
            self.written.remove(number);
        }
    }

    /// The SBB of an entity, found from the root down.
    pub fn sbb(
        &self,
        deliver: &Deliver,
        root: LinkedSbb,
        number: u32,
    ) -> Result<LinkedSbb, Failure> {
        let Some(entity) = self.entity(deliver, number) else {
            return match number == deliver.entity.number {
                true => Ok(root),
                false => Err(Failure::new(format!("entity {number} is not of this tree"))),
            };
        };
        let Some(parent) = entity.parent else { return Ok(root) };
        let parent = self.sbb(deliver, root, parent)?.descriptor();
        let relation = parent.child_relation(&entity.relation).ok_or_else(|| {
            let (sbb, relation) = (parent.name, &entity.relation);
            Failure::new(format!("{sbb} has no child relation {relation:?}"))
        })?;
        Ok(relation.sbb)
    }

    /// An activity context as it is by now.
    pub fn context<'e>(&'e self, deliver: &'e Deliver, number: u32) -> Option<&'e ContextView> {
        self.contexts.get(&number).or_else(|| deliver.contexts.get(&number))
    }

    /// The same, to be changed.
    pub fn context_mut(&mut self, deliver: &Deliver, number: u32) -> Option<&mut ContextView> {
        match self.contexts.entry(number) {
            Entry::Occupied(context) => Some(context.into_mut()),
            Entry::Vacant(place) => Some(place.insert(deliver.contexts.get(&number)?.clone())),
        }
    }

    /// Numbers of the cell's activity contexts.
    pub fn context_numbers(&self, deliver: &Deliver) -> BTreeSet<u32> {
        deliver.contexts.keys().chain(self.contexts.keys()).copied().collect()
    }

    /// Adds an activity; its number.
    pub fn start_activity(&mut self, is_null: bool) -> u32 {
        let number = self.next_activity;
        self.next_activity = self.next_activity.saturating_add(1);
        self.contexts.insert(number, ContextView { is_null, ..ContextView::default() });
        number
    }

    /// Entities after the transaction, and those that are removed: also of those that it created,
    /// whose numbers are taken now.
    pub fn into_changes(mut self) -> (Vec<EntityState>, Vec<u32>) {
        let removed = self.removed.iter().copied().collect();
        let entities = std::mem::take(&mut self.written).into_iter().map(|(number, state)| {
            EntityState { number, born: self.created.remove(&number), state }
        });
        (entities.collect(), removed)
    }
}
