//! One delivery: an event handed to one SBB entity with all that its tree may read, and its answer.
//!
//! The answer is a function of the delivery, so it can be computed by an actor, by a worker
//! thread or by the simulator. What happens to it (commit, replication) is the container's; how
//! it is computed is in `linked.rs`.

use crate::effect::Effect;
use crate::event::Event;
use crate::ids::{ActivityId, DeliveryId, EntityId};
use crate::limits::DeliveryLimits;
use crate::tables::Tables;
use crate::time::Timestamp;
use crate::trace::TraceLevels;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Activities of resource adaptors in a cell in which a service may start one; a further one rolls
/// the delivery back.
pub const ACTIVITIES_MAX: usize = 64;
/// Bytes of a name, of a child or of an activity context.
pub const NAME_BYTES_MAX: usize = 256;

/// Encoded CMP state with the version of its layout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateBytes {
    /// [`Sbb::STATE_VERSION`](crate::Sbb::STATE_VERSION) of the writer.
    pub version: u32,
    /// The state in the container's codec.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// An event for one entity, with everything its tree may read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deliver {
    /// Comes back with the answer; a late answer to another id is refused.
    pub id: DeliveryId,
    /// Why its handler runs.
    pub task: Task,
    /// The entity.
    pub entity: EntityId,
    /// Name of its service. A unit is told it beside the delivery.
    #[serde(skip)]
    pub service: &'static str,
    /// The event.
    pub event: Event,
    /// The entity's tree, by number; the entity is missing if it is a root that is being created.
    pub tree: BTreeMap<u32, TreeEntity>,
    /// The cell's activity contexts, by number.
    pub contexts: BTreeMap<u32, ContextView>,
    /// Number of the first entity that this delivery may create.
    pub next_entity: u32,
    /// Number of the first null activity that this delivery may start.
    pub next_activity: u32,
    /// The shared tables. They are too large to be copied: a unit looks rows up.
    #[serde(skip)]
    pub tables: Tables,
    /// Cluster time.
    pub now: Timestamp,
    /// For [`Context::random`](crate::Context::random).
    pub seed: u64,
    /// From which levels on tracers write lines.
    pub trace_levels: Arc<TraceLevels>,
    /// What it may make of its tree and its cell.
    pub limits: DeliveryLimits,
    /// The event is for this entity alone: a timer, or one whose delivery is tried again.
    pub is_for_one: bool,
}

/// Which handler of the entity's SBB runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// [`Sbb::on_event`](crate::Sbb::on_event).
    Event,
    /// [`Sbb::initial_event`](crate::Sbb::initial_event): there is no entity yet.
    Select,
    /// [`Sbb::rolled_back`](crate::Sbb::rolled_back): the event's delivery was rolled back.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// The entity, a root entity of another service, and all below it become this service's: their
    /// states are those that [`Sbb::migrate`](crate::Sbb::migrate) makes of them, and nothing else
    /// happens. Only a service gets it whose deployment names the other one.
    Migrate {
        /// The other service.
        from: String,
    },
}

/// One entity of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TreeEntity {
    /// Number of its parent; `None` for the root.
    pub parent: Option<u32>,
    /// Name of the child relation that it belongs to; empty for the root.
    pub relation: String,
    /// Its name in that relation, if it has one.
    pub name: Option<String>,
    /// Its priority.
    pub priority: i8,
    /// Its state.
    pub state: StateBytes,
}

/// What a handler may read of an activity context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextView {
    /// Attributes by the name under which they are kept.
    #[serde(with = "byte_map")]
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// Entities that are attached, of this tree and of others.
    pub attached: BTreeSet<u32>,
    /// Names bound to it.
    pub names: BTreeSet<String>,
    /// True once the activity ends.
    pub is_ending: bool,
    /// True for a null activity.
    pub is_null: bool,
    /// True if an event of it is suspended.
    pub is_suspended: bool,
    /// The activity of another cell that it stands for.
    pub mirror_of: Option<ActivityId>,
}

/// The answer to a [`Deliver`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The handler returned `Ok`.
    Delivered {
        /// Entities that were created, called, or got the event: their states afterwards.
        entities: Vec<EntityState>,
        /// Entities that were removed, with all below them; also those that it created before.
        removed: Vec<u32>,
        /// What was asked for, in order.
        effects: Vec<Effect>,
    },
    /// The answer to [`Task::Select`]: the convergence name of the root entity that gets the event;
    /// `None`: the event is not initial after all.
    Selected {
        /// The name.
        convergence_name: Option<String>,
        /// Traces and alarms.
        effects: Vec<Effect>,
    },
    /// The handler failed; only traces and alarms are kept.
    RolledBack {
        /// Why.
        reason: String,
        /// Traces and alarms.
        effects: Vec<Effect>,
    },
    /// The node had no time for the handler: the same, and no failure of its service. A unit cannot
    /// say so of itself.
    #[serde(skip)]
    Starved {
        /// Why.
        reason: String,
        /// Traces and alarms.
        effects: Vec<Effect>,
    },
}

/// One entity after a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityState {
    /// Its number.
    pub number: u32,
    /// Its place in the tree, if it is a child that was created.
    #[serde(default)]
    pub born: Option<TreeEntity>,
    /// Its state.
    pub state: StateBytes,
}

impl Deliver {
    /// The first event of a root entity without attributes or tables: for tests of services, which
    /// fill in what they need.
    pub fn first(service: &'static str, event: Event) -> Self {
        let activity = event.activity;
        let context = ContextView { attached: BTreeSet::from([1]), ..ContextView::default() };
        Deliver {
            id: DeliveryId(1),
            task: Task::Event,
            entity: EntityId { cell: activity.cell, number: 1 },
            service,
            event,
            tree: BTreeMap::new(),
            contexts: BTreeMap::from([(activity.number, context)]),
            next_entity: 2,
            next_activity: activity.number + 1,
            tables: Tables::default(),
            now: Timestamp::ZERO,
            seed: 1,
            trace_levels: Arc::default(),
            limits: DeliveryLimits::default(),
            is_for_one: false,
        }
    }

    /// The same entity with a state from earlier deliveries.
    #[must_use]
    pub fn with_state(mut self, state: Option<StateBytes>) -> Self {
        if let Some(state) = state {
            let entity = TreeEntity { state, ..TreeEntity::default() };
            self.tree.insert(self.entity.number, entity);
        }
        self
    }

    /// The same with these attributes of the event's activity context, by the names under which
    /// they are kept.
    #[must_use]
    pub fn with_attributes(mut self, attributes: BTreeMap<String, Vec<u8>>) -> Self {
        if let Some(context) = self.contexts.get_mut(&self.event.activity.number) {
            context.attributes = attributes;
        }
        self
    }

    /// The number of the root of the entity's tree: itself, if it is not there yet.
    pub fn root(&self) -> EntityId {
        let mut number = self.entity.number;
        while let Some(parent) = self.tree.get(&number).and_then(|entity| entity.parent) {
            number = parent;
        }
        EntityId { number, ..self.entity }
    }

    /// An activity of the delivery's cell.
    pub(crate) fn activity(&self, number: u32) -> ActivityId {
        ActivityId { cell: self.entity.cell, number }
    }
}

impl Outcome {
    /// The state of an entity after the delivery; `None` if it rolled back or is not touched.
    pub fn state_of(&self, entity: EntityId) -> Option<&StateBytes> {
        let Outcome::Delivered { entities, .. } = self else { return None };
        entities.iter().find(|it| it.number == entity.number).map(|it| &it.state)
    }
}

/// Byte strings by name, not lists of numbers.
mod byte_map {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<String, Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, bytes)| (name, Bytes::new(bytes))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Vec<u8>>, D::Error> {
        let map = BTreeMap::<String, ByteBuf>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, bytes)| (name, bytes.into_vec())).collect())
    }
}
