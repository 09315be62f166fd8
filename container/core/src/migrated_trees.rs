//! How one entity tree moves from a service to the one that replaced it: a turn of its cell, in
//! which the new service reads the states (`Sbb::migrate`), as a delivery that is answered like any
//! other. Which trees do is in `migrations.rs`.
//!
//! | a tree                                          | what happens                             |
//! |-------------------------------------------------|------------------------------------------|
//! | is that of a root entity of the cluster         | it stays: other cells name its service   |
//! | is in a call in which a handler of either       | it stays                                 |
//! | service hung                                    |                                          |
//! | has an activity that the new service serves, or | it stays, so that no activity is served  |
//! | a convergence name that an entity of it has     | twice                                    |
//! | the same, but these came from the old service,  | it moves: the old service served the     |
//! | which has begun nothing since                   | activity with each of them, too          |
//! | has events that are tried again, which the new  | it stays until that is through           |
//! | service does not do                             |                                          |
//! | is answered by a roll back, or is another one   | it stays                                 |
//! | in the answer                                   |                                          |
//! | is read                                         | all of its entities are the new          |
//! |                                                 | service's, in one commit                 |
//!
//! With its entities go what is known by their numbers (attachments, timers, masks, priorities,
//! children, the convergence name), events that are tried again or are suspended, and attributes
//! that were the old SBBs' own.

use crate::cell::{Cell, CellInput};
use crate::commit::{Entity, Left, Part, Retry};
use crate::core::Core;
use crate::deployed::place_of;
use crate::entity_tree::descriptor_of;
use crate::event_router::Awaiting;
use crate::ties::RootName;
use resilee_sbb::{
    CellId, DeliveryId, Descriptor, Effect, EntityState, Event, OnRollBack, Outcome, Task,
    Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// Type of the event that a delivery names which is about none.
const MIGRATE: &str = "slee.migrate";

/// The tree that moves in a turn.
#[derive(Debug)]
pub(crate) struct Migration {
    /// The service that it leaves.
    from: String,
    root: u32,
}

/// SBBs of one entity: of the service that it leaves, and of the one that takes it.
type Sbbs = (Descriptor, Descriptor);

impl Core {
    /// In a turn: the next tree of a service moves, behind this root entity.
    pub(crate) fn migrate_next(&mut self, now: Timestamp, id: CellId, from: String, behind: u32) {
        let Some(to) = self.migrates_to(&from).map(str::to_owned) else { return };
        let mut behind = behind;
        let (root, place) = loop {
            let cell = self.cells.get(&id);
            let Some(root) = cell.and_then(|cell| cell.next_root(&from, behind)) else { return };
            match self.place_for(id, root, &from, &to) {
                Ok(place) => break (root, place),
                Err(reason) => self.note_stayed(now, &from, reason),
            }
            behind = root;
        };
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let attached = cell.tree(root).flat_map(|number| cell.attachments(number)).next();
        let activity = cell.activity_id(attached.unwrap_or_default());
        let event = Event { event_type: MIGRATE.to_owned(), activity, payload: Vec::new() };
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.migration = Some(Migration { from: from.clone(), root });
        self.send_out(now, id, place, root, event, Task::Migrate { from });
    }

    /// The place of the service that takes a tree.
    ///
    /// # Errors
    /// Why it stays.
    fn place_for(&self, id: CellId, root: u32, from: &str, to: &str) -> Result<usize, String> {
        let Some(cell) = self.cells.get(&id) else { return Err(String::new()) };
        let place = |name: &str| {
            let me = &self.config.me.node;
            place_of(&self.services, name).ok_or_else(|| format!("{name} is not deployed at {me}"))
        };
        let (old, new) = (place(from)?, place(to)?);
        if cell.head.root.as_ref().is_some_and(|name| name.service == self.services[old].name) {
            return Err("a root entity of the cluster cannot move: other calls name it".to_owned());
        }
        if let Some(hung) = [from, to].into_iter().find(|it| cell.head.quarantined.contains(*it)) {
            return Err(format!("a handler of {hung} hung in its call"));
        }
        let left = self.left(from);
        let serves = |other: &u32| {
            let is_its = cell.entities.get(other).is_some_and(|it| it.service == to);
            is_its && !cell.has_left(*other, left.as_ref())
        };
        if cell.tree(root).flat_map(|number| cell.attachments(number)).any(|activity| {
            let attached = cell.activities.get(&activity).map(|it| &it.attached);
            attached.into_iter().flatten().any(serves)
                || cell.is_tied_to(to, activity)
                || cell.kept_for(to, activity).any(|it| !cell.has_left(it, left.as_ref()))
        }) {
            return Err(format!("{to} serves the same activity already"));
        }
        let name = cell.entities.get(&root).and_then(|it| it.convergence_name.as_deref());
        if let Some(name) = name {
            let is_named = |other: &Entity| {
                other.service == to && other.convergence_name.as_deref() == Some(name)
            };
            if cell.entities.values().any(|other| is_named(other))
                || cell.kept_root(to, name).is_some()
            {
                return Err(format!("{to} has a root entity of the same convergence name"));
            }
        }
        let retries = self.services[new].on_roll_back == OnRollBack::Retry;
        match retries || cell.tree(root).all(|number| !cell.retries.contains_key(&number)) {
            true => Ok(new),
            false => Err(format!("an event of it is tried again, which {to} does not do")),
        }
    }

    /// A service that trees move from, as what has left it remembers it.
    fn left(&self, service: &str) -> Option<Left> {
        let inactive_since = self.inactive_since(service)?;
        Some(Left { service: service.to_owned(), inactive_since })
    }

    /// True if it is the delivery of a migration; the service that the tree would leave.
    pub(crate) fn migration_of(&self, id: CellId, delivery: DeliveryId) -> Option<String> {
        let turn = self.cells.get(&id)?.turn.as_ref()?;
        turn.awaiting.filter(|awaiting| awaiting.delivery == delivery)?;
        Some(turn.migration.as_ref()?.from.clone())
    }

    /// The new service has answered.
    pub(crate) fn end_migration(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        migration: Migration,
        outcome: Outcome,
    ) {
        let Migration { from, root } = migration;
        match self.verified(id, awaiting, &from, root, outcome) {
            Ok(entities) => {
                self.take_tree(now, id, awaiting, &from, root, entities);
                self.note_migrated(now, &from);
            }
            Err((reason, effects)) => {
                if self.is_still_deployed(awaiting) {
                    let stays = effects.into_iter().filter(Effect::survives_roll_back);
                    stays.for_each(|effect| self.carry_out(now, id, awaiting, effect));
                }
                self.note_stayed(now, &from, reason);
            }
        }
        // In a turn of its own, behind what waits here.
        if self.cells.get(&id).is_some_and(|cell| cell.next_root(&from, root).is_some()) {
            self.enqueue(now, id, CellInput::Migrate(from, root));
        }
        self.advance(now, id);
    }

    /// The states of a tree, if all of it was read and nothing else was done.
    fn verified(
        &self,
        id: CellId,
        awaiting: Awaiting,
        from: &str,
        root: u32,
        outcome: Outcome,
    ) -> Result<Vec<EntityState>, (String, Vec<Effect>)> {
        let refused = |reason: String| Err((reason, Vec::new()));
        let Some(cell) = self.cells.get(&id) else { return refused(String::new()) };
        let (entities, removed, effects) = match outcome {
            Outcome::Delivered { entities, removed, effects } => (entities, removed, effects),
            Outcome::RolledBack { reason, effects } | Outcome::Starved { reason, effects } => {
                return Err((reason, effects));
            }
            Outcome::Selected { .. } => return refused("it was not asked to select".to_owned()),
        };
        if !self.is_still_deployed(awaiting) || self.migrates_to(from) != Some(awaiting.name) {
            return refused("the order was taken back meanwhile".to_owned());
        }
        let numbers: BTreeSet<_> = entities.iter().map(|entity| entity.number).collect();
        let is_same = numbers == cell.tree(root).collect()
            && numbers.len() == entities.len()
            && entities.iter().all(|entity| entity.born.is_none());
        if !is_same || !removed.is_empty() || !effects.is_empty() {
            return refused("its answer is another tree".to_owned());
        }
        match cell.refuse_bytes(&entities, &[], &[], &self.config.limits) {
            Some(reason) => refused(reason),
            None => Ok(entities),
        }
    }

    /// A tree is another service's from now on.
    fn take_tree(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        from: &str,
        root: u32,
        states: Vec<EntityState>,
    ) {
        let to = awaiting.name;
        let Some(cell) = self.cells.get(&id) else { return };
        let kept = cell.tree(root).filter_map(|it| Some((it, cell.retries.get(&it)?.clone())));
        let kept: BTreeMap<u32, Retry> = kept.collect();
        let sbbs = self.sbbs_of(cell, from, awaiting.service, root);
        kept.iter().for_each(|(number, retry)| self.hand_retry_over(now, id, *number, retry, to));
        let left = self.left(from);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        for EntityState { number, state, .. } in states {
            if let Some(entity) = cell.entities.get_mut(&number) {
                (entity.service, entity.state) = (to.to_owned(), state);
                turn.touched.insert(Part::Entity(number));
            }
        }
        if let Some(entity) = cell.entities.get_mut(&root) {
            entity.left = left.map(Box::new);
        }
        let is_last = cell.next_root(from, 0).is_none();
        cell.rename_in_suspended(from, to, is_last);
        let Some(cell) = self.cells.get(&id) else { return };
        let in_use = self.sbbs_in_use(cell);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        for (old, new) in sbbs.iter().filter(|(old, new)| old.name != new.name) {
            cell.move_attributes(old.name, new, in_use.contains(old.name));
        }
    }

    /// Each pair once.
    fn sbbs_of(&self, cell: &Cell, from: &str, to: usize, root: u32) -> Vec<Sbbs> {
        let Some(from) = place_of(&self.services, from) else { return Vec::new() };
        let mut sbbs: Vec<Sbbs> = Vec::new();
        for number in cell.tree(root) {
            let of = |service: usize| descriptor_of(cell, &self.services[service], number);
            if let (Some(old), Some(new)) = (of(from), of(to))
                && !sbbs
                    .iter()
                    .any(|(known, other)| (known.name, other.name) == (old.name, new.name))
            {
                sbbs.push((old, new));
            }
        }
        sbbs
    }

    /// Names of the SBBs of a cell's entities.
    fn sbbs_in_use(&self, cell: &Cell) -> BTreeSet<&'static str> {
        let sbbs = cell.entities.iter().filter_map(|(number, entity)| {
            let service = place_of(&self.services, &entity.service)?;
            Some(descriptor_of(cell, &self.services[service], *number)?.name)
        });
        sbbs.collect()
    }
}

impl Cell {
    /// The first root entity of a service behind this number.
    fn next_root(&self, service: &str, behind: u32) -> Option<u32> {
        let mut behind = self.entities.range(behind.saturating_add(1)..);
        let is_root = |it: &Entity| it.service == service && it.child.is_none();
        behind.find(|(_, entity)| is_root(entity)).map(|(number, _)| *number)
    }

    /// True if the tree of an entity has left this service, and since that began nothing more.
    fn has_left(&self, entity: u32, service: Option<&Left>) -> bool {
        let root = self.entities.get(&self.root_of(entity));
        service.is_some() && root.and_then(|it| it.left.as_deref()) == service
    }

    /// Suspended events know services by name.
    fn rename_in_suspended(&mut self, from: &str, to: &str, is_last: bool) {
        let Some(turn) = self.turn.as_mut() else { return };
        for (number, activity) in &mut self.activities {
            let Some(suspended) = activity.suspended.as_mut() else { continue };
            let (was_asked, is_by_it) = (suspended.selected.contains(from), suspended.by == from);
            if was_asked {
                suspended.selected.insert(to.to_owned());
            }
            let served = suspended.served.iter().filter(|root| root.service == from);
            let served = served.map(|root| RootName { service: to.to_owned(), ..root.clone() });
            let served: Vec<_> = served.collect();
            let was_served = !served.is_empty();
            suspended.served.extend(served);
            // Of trees that have moved before some may move on.
            let may_be_by_it = suspended.or_by == from;
            match (is_by_it, is_last) {
                (true, true) => to.clone_into(&mut suspended.by),
                (true, false) => to.clone_into(&mut suspended.or_by),
                (false, _) if may_be_by_it => to.clone_into(&mut suspended.or_by),
                (false, _) => {}
            }
            if was_asked || was_served || is_by_it || may_be_by_it {
                turn.touched.insert(Part::Activity(*number));
            }
        }
    }

    /// Attributes that were an SBB's own are another one's, as that calls them.
    fn move_attributes(&mut self, old: &str, new: &Descriptor, is_kept: bool) {
        let Some(turn) = self.turn.as_mut() else { return };
        for (number, activity) in &mut self.activities {
            let own = activity.attributes.keys().filter_map(|key| {
                let attribute = key.strip_prefix(old)?.strip_prefix('/')?;
                Some((key.clone(), new.attribute_key(attribute)))
            });
            for (key, to) in own.collect::<Vec<_>>() {
                let value = match is_kept {
                    true => activity.attributes.get(&key).cloned(),
                    false => activity.attributes.remove(&key),
                };
                if let Some(value) = value {
                    activity.attributes.entry(to).or_insert(value);
                }
                turn.touched.insert(Part::Activity(*number));
            }
        }
    }
}
