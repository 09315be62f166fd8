//! Who gets which event and when, as the deliveries of each node show it. Nothing of the core's own
//! routing is asked: trees, priorities and attachments are those that handlers see.
//!
//! | rule                                                                                      |
//! |-------------------------------------------------------------------------------------------|
//! | in a turn an entity gets an event once                                                    |
//! | it begins no root entity if another one of its service had it, without a selector         |
//! | of two entities that were attached when the first of them got it, the higher one is first |
//! | an entity gets nothing of an activity behind that activity's end                          |
//! | what a commit delivered is not delivered again by whoever has that commit                 |
//! | who gets an event of all is attached, or is a root entity for which it is initial         |
//! | a service whose handler hung gets nothing more of that cell by whoever knows of it        |
//!
//! *Higher* is a parent before its children, then the greater priority, then the older one. The
//! last rule is about events that are numbered, so that no two of an activity are the same. Where a
//! node goes on with an old store by force, a call may be there twice: then the last two are not
//! asked.
//!
//! What a service's state shows of all this, its own SBBs watch (`family.rs`, `village.rs`).

use crate::checks::Violation;
use crate::node::is_initial;
use resilee_core::Observed;
use resilee_membership::RunId;
use resilee_sbb::{
    ActivityEnd, ActivityId, CellId, Deliver, EntityId, Event, EventPayload, Outcome, Task,
    TreeEntity,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Event types of which each one on an activity has a number of its own.
const NUMBERED: [&str; 3] = ["family.chore", "village.deed", "village.thanks"];

/// An event that an entity had.
type Had = (EntityId, ActivityId, String, Vec<u8>);
/// A service, and a cell in which a handler of it did not return.
type Hung = (CellId, String);
/// Place of an entity in its tree, from below the root down; the least is first.
type Path = Vec<(Reverse<i8>, u32)>;

/// Watches the deliveries of all runs.
#[derive(Debug, Default)]
pub struct Router {
    /// What was delivered in turns that have not ended.
    turns: BTreeMap<(RunId, CellId), Turn>,
    /// Entities that had the end of an activity, by run.
    ended: BTreeMap<RunId, BTreeSet<(EntityId, ActivityId)>>,
    /// What commits delivered, as far as a run has them.
    had: BTreeMap<RunId, BTreeSet<Had>>,
    /// Services whose handlers hung in cells, as far as a run knows.
    hung: BTreeMap<RunId, BTreeSet<Hung>>,
    /// Both by commit, where there was any.
    commits: BTreeMap<(RunId, u64), (Vec<Had>, Vec<Hung>)>,
    /// Services that ask a selector which root entity gets an event: it may be a second one.
    selecting: BTreeSet<&'static str>,
    /// A call may be there once more, as it was.
    old_store: bool,
}

#[derive(Debug, Default)]
struct Turn {
    /// The event that is being routed.
    event: Option<Event>,
    /// Who had it.
    got: Vec<Recipient>,
    /// Numbered events that handlers took in this turn.
    delivered: Vec<Had>,
    /// Whose handlers hung in it.
    hung: Vec<Hung>,
}

/// Who had an event, and what there was at that moment.
#[derive(Debug)]
struct Recipient {
    entity: u32,
    service: &'static str,
    tree: BTreeMap<u32, TreeEntity>,
    attached: BTreeSet<u32>,
}

impl Router {
    /// A node goes on with an old store.
    pub fn old_store(&mut self) {
        self.old_store = true;
    }

    /// A node hands an event to an entity, whose handler does this.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn delivers(
        &mut self,
        run: &RunId,
        deliver: &Deliver,
        outcome: &Outcome,
    ) -> Result<(), Violation> {
        if deliver.task == Task::Select {
            self.selecting.insert(deliver.service);
        }
        let (event, entity) = (&deliver.event, deliver.entity);
        let broken = |rule| {
            let detail = format!("{run}: {} of {} to {entity}", event.event_type, event.activity);
            Err(Violation::new(rule, detail))
        };
        let hung: Hung = (entity.cell, deliver.service.to_owned());
        if !self.old_store && self.hung.get(run).is_some_and(|all| all.contains(&hung)) {
            return broken("a service whose handler hung gets nothing more of that cell");
        }
        if deliver.task != Task::Event {
            return Ok(());
        }
        if !may_get(deliver) {
            return broken("who gets an event is attached, or it is initial for it");
        }
        let ended = self.ended.entry(run.clone()).or_default();
        if !self.old_store && ended.contains(&(entity, event.activity)) {
            return broken("the end of an activity is the last that is heard of it");
        }
        let is_taken = matches!(outcome, Outcome::Delivered { .. });
        if is_taken && event.event_type == ActivityEnd::TYPE {
            ended.insert((entity, event.activity));
        }
        let payload = event.payload.clone();
        let had: Had = (entity, event.activity, event.event_type.clone(), payload);
        let again = self.had.get(run).is_some_and(|all| all.contains(&had));
        if again && !self.old_store {
            return broken("what a commit delivered is not delivered again");
        }
        let turn = self.turns.entry((run.clone(), entity.cell)).or_default();
        if turn.event.as_ref() != Some(event) {
            turn.event = Some(event.clone());
            turn.got.clear();
        }
        if turn.got.iter().any(|before| before.entity == entity.number) {
            return broken("in a turn an entity gets an event once");
        }
        if turn.got.iter().any(|before| before.was_behind(entity.number, &deliver.tree)) {
            return broken("the higher entity gets an event first");
        }
        let begins = !deliver.tree.contains_key(&entity.number) && !deliver.is_for_one;
        let one_had_it = turn.got.iter().any(|before| before.service == deliver.service);
        if begins && one_had_it && !self.selecting.contains(deliver.service) {
            return broken("an event begins no root entity beside one that had it");
        }
        let context = deliver.contexts.get(&event.activity.number);
        turn.got.push(Recipient {
            entity: entity.number,
            service: deliver.service,
            tree: deliver.tree.clone(),
            attached: context.map(|context| context.attached.clone()).unwrap_or_default(),
        });
        if is_taken && NUMBERED.contains(&event.event_type.as_str()) {
            turn.delivered.push(had);
        }
        Ok(())
    }

    /// A run is told that the handler of a delivery hangs.
    pub fn hangs(&mut self, run: &RunId, cell: CellId, service: &str) {
        let hung: Hung = (cell, service.to_owned());
        self.hung.entry(run.clone()).or_default().insert(hung.clone());
        self.turns.entry((run.clone(), cell)).or_default().hung.push(hung);
    }

    /// What a run did inside an input.
    pub fn observes(&mut self, run: &RunId, observed: &[Observed]) {
        for what in observed {
            match what {
                Observed::Committed { number, cell, .. } => self.commits(run, *number, *cell),
                Observed::Said { cell: Some((cell, _)), .. } => {
                    self.turns.remove(&(run.clone(), *cell));
                }
                Observed::Applied { from, number, .. } => {
                    let of_commit = self.commits.get(&(from.clone(), *number));
                    if let Some((had, hung)) = of_commit {
                        self.had.entry(run.clone()).or_default().extend(had.iter().cloned());
                        self.hung.entry(run.clone()).or_default().extend(hung.iter().cloned());
                    }
                }
                Observed::SnapshotApplied { from } => {
                    let had = self.had.get(from).cloned().unwrap_or_default();
                    self.had.entry(run.clone()).or_default().extend(had);
                    let hung = self.hung.get(from).cloned().unwrap_or_default();
                    self.hung.entry(run.clone()).or_default().extend(hung);
                }
                Observed::Dropped => {
                    self.had.remove(run);
                    self.hung.remove(run);
                }
                _ => {}
            }
        }
    }

    fn commits(&mut self, run: &RunId, number: u64, cell: CellId) {
        let Some(Turn { delivered, hung, .. }) = self.turns.remove(&(run.clone(), cell)) else {
            return;
        };
        if delivered.is_empty() && hung.is_empty() {
            return;
        }
        self.had.entry(run.clone()).or_default().extend(delivered.iter().cloned());
        self.commits.insert((run.clone(), number), (delivered, hung));
    }
}

/// It is attached, or it is a root entity that the event may begin there. A timer, and what is
/// tried again, is for one entity, attached or not.
fn may_get(deliver: &Deliver) -> bool {
    let (event, entity) = (&deliver.event, deliver.entity.number);
    let context = deliver.contexts.get(&event.activity.number);
    let is_attached = context.is_some_and(|context| context.attached.contains(&entity));
    let is_root = deliver.tree.get(&entity).is_none_or(|entity| entity.parent.is_none());
    let begins = context.is_some() && is_root && is_initial(deliver.service, &event.event_type);
    deliver.is_for_one || is_attached || begins
}

impl Recipient {
    /// It had an event before another entity that was attached as well, and is higher.
    fn was_behind(&self, other: u32, tree_of_other: &BTreeMap<u32, TreeEntity>) -> bool {
        if !self.attached.contains(&other) {
            return false;
        }
        let of = |tree: &BTreeMap<u32, TreeEntity>, number| place(tree, number);
        match (of(&self.tree, self.entity), of(&self.tree, other), of(tree_of_other, other)) {
            // Two of one tree; priorities are those of the moment at which the first one had it.
            (Some((_, own)), Some((_, others)), _) => others < own,
            (Some((own, _)), None, Some((others, _))) => others > own,
            // One of them was being created.
            _ => false,
        }
    }
}

/// The priority of an entity's root, and the entity's path below it.
fn place(tree: &BTreeMap<u32, TreeEntity>, number: u32) -> Option<(i8, Path)> {
    let mut path = Path::new();
    let mut at = number;
    loop {
        let entity = tree.get(&at)?;
        let Some(parent) = entity.parent else {
            path.reverse();
            return Some((entity.priority, path));
        };
        path.push((Reverse(entity.priority), at));
        at = parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::{CohortId, ContextView, DeliveryId};
    use resilee_sip_api::Invite;

    const CELL: CellId = CellId { cohort: CohortId(1), number: 1 };

    /// A delivery of the same event to an entity of a service, which may be there before.
    fn deliver(task: Task, entity: u32, is_there: bool) -> Deliver {
        let root = TreeEntity {
            parent: None,
            relation: String::new(),
            name: None,
            priority: 0,
            state: Default::default(),
        };
        let attached = is_there.then_some(entity).into_iter().collect();
        let context = ContextView { attached, ..ContextView::default() };
        let event_type = Invite::TYPE.to_owned();
        let activity = ActivityId { cell: CELL, number: 1 };
        Deliver {
            id: DeliveryId(u64::from(entity)),
            task,
            entity: EntityId { cell: CELL, number: entity },
            service: "family",
            event: Event { event_type, activity, payload: Vec::new() },
            tree: is_there.then_some((entity, root)).into_iter().collect(),
            contexts: BTreeMap::from([(1, context)]),
            next_entity: entity + 1,
            next_activity: 2,
            tables: Default::default(),
            now: Default::default(),
            seed: 0,
            trace_levels: Default::default(),
            limits: Default::default(),
            is_for_one: false,
        }
    }

    /// Which of these deliveries of one turn breaks a rule.
    fn broken(delivers: &[Deliver]) -> Option<usize> {
        let run = RunId { node: "server1".parse().expect("a name"), incarnation: 1 };
        let taken = Outcome::Delivered { entities: vec![], removed: vec![], effects: vec![] };
        let mut router = Router::default();
        delivers.iter().position(|deliver| router.delivers(&run, deliver, &taken).is_err())
    }

    #[test]
    fn an_event_begins_no_root_entity_beside_one_that_had_it() {
        let event = |entity, is_there| deliver(Task::Event, entity, is_there);
        assert_eq!(broken(&[event(1, true), event(2, false)]), Some(1));
        assert_eq!(broken(&[event(1, true), event(2, true)]), None, "both were there");
        let select = deliver(Task::Select, 2, false);
        assert_eq!(broken(&[event(1, true), select, event(2, false)]), None, "by another name");
    }
}
