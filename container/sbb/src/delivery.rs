//! One delivery: an event handed to one SBB entity with all it may read, and its answer.
//!
//! The answer is a function of the delivery, so it can be computed by an actor, by a worker
//! thread or by the simulator. What happens to it (commit, replication) is the container's.

use crate::context::Context;
use crate::descriptor::Descriptor;
use crate::event::Event;
use crate::ids::{ActivityId, DeliveryId, EntityId, TimerId};
use crate::sbb::{Failure, Sbb};
use crate::tables::Tables;
use crate::time::Timestamp;
use crate::{codec, sbb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Effects of one delivery; one more rolls it back.
pub const EFFECTS_MAX: usize = 256;
/// Encoded CMP state of one entity; a larger one rolls the delivery back.
pub const STATE_BYTES_MAX: usize = 64 * 1024;
/// One attribute of an activity context, row of a table, or record; a larger one rolls the
/// delivery back.
pub const ATTRIBUTE_BYTES_MAX: usize = 16 * 1024;

/// Encoded CMP state with the version of its layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateBytes {
    /// [`Sbb::STATE_VERSION`] of the writer.
    pub version: u32,
    /// The state in the container's codec.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// An event for one entity, with everything its handler may read.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// Comes back with the answer; a late answer to another id is refused.
    pub id: DeliveryId,
    /// The entity.
    pub entity: EntityId,
    /// Name of its service.
    pub service: &'static str,
    /// The event.
    pub event: Event,
    /// State before the event; `None` for an entity that is just being created.
    pub state: Option<StateBytes>,
    /// Attributes of the event's activity context.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// The shared tables.
    pub tables: Tables,
    /// Cluster time.
    pub now: Timestamp,
    /// For [`Context::random`].
    pub seed: u64,
}

/// Severity of a trace line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TraceLevel {
    /// Of interest to the service's author.
    Debug,
    /// Of interest to an operator.
    Info,
    /// Something an operator should look at.
    Warn,
}

/// What a handler asked for. It happens when the transaction commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A command to the resource adaptor of an activity.
    Command {
        /// The activity.
        activity: ActivityId,
        /// The adaptor's own command, encoded.
        payload: Vec<u8>,
    },
    /// Set or move a timer of this entity.
    SetTimer {
        /// The service's id of it.
        timer: TimerId,
        /// When it is due.
        due: Timestamp,
    },
    /// Cancel a timer; nothing if it is not set.
    CancelTimer {
        /// The service's id of it.
        timer: TimerId,
    },
    /// Add or replace a row of a shared table. Only in a cell of the tables' cohort.
    PutRow {
        /// Table name.
        table: String,
        /// Row key.
        key: String,
        /// Encoded row.
        row: Vec<u8>,
    },
    /// Remove a row of a shared table. Only in a cell of the tables' cohort.
    RemoveRow {
        /// Table name.
        table: String,
        /// Row key.
        key: String,
    },
    /// Write a record that is kept for ever, once per cell and journal (a bill).
    Record {
        /// Journal name.
        journal: String,
        /// Encoded record.
        record: Vec<u8>,
    },
    /// Set an attribute of the event's activity context.
    SetAttribute {
        /// Attribute name.
        name: String,
        /// Encoded value.
        value: Vec<u8>,
    },
    /// Detach this entity from the event's activity context.
    Detach,
    /// A line in the trace. Stays when the transaction rolls back.
    Trace {
        /// Severity.
        level: TraceLevel,
        /// The line.
        text: String,
    },
    /// Raise an alarm. Stays when the transaction rolls back.
    RaiseAlarm {
        /// What an operator reads.
        text: String,
    },
}

impl Effect {
    /// Traces and alarms are not transactional (JAIN SLEE 1.1 §§12.2, 13.4).
    pub fn survives_roll_back(&self) -> bool {
        matches!(self, Effect::Trace { .. } | Effect::RaiseAlarm { .. })
    }
}

/// The answer to a [`Deliver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned `Ok`.
    Delivered {
        /// State after the event.
        state: StateBytes,
        /// What it asked for, in order.
        effects: Vec<Effect>,
    },
    /// The handler failed; only traces and alarms are kept.
    RolledBack {
        /// Why.
        reason: String,
        /// Traces and alarms.
        effects: Vec<Effect>,
    },
}

/// A service that is linked into the node.
#[derive(Clone, Copy, Debug)]
pub struct LinkedSbb {
    /// [`Sbb::descriptor`].
    pub descriptor: fn() -> Descriptor,
    /// [`invoke`] for it.
    pub invoke: fn(&Deliver) -> Outcome,
}

impl LinkedSbb {
    /// The service `S`.
    pub const fn of<S: Sbb>() -> Self {
        LinkedSbb { descriptor: S::descriptor, invoke: invoke::<S> }
    }
}

/// Runs the handler of `S` for one delivery. A panic is not caught here.
pub fn invoke<S: Sbb>(deliver: &Deliver) -> Outcome {
    let mut cx = Context::new(deliver);
    let result = handle::<S>(deliver, &mut cx);
    let mut effects = cx.into_effects();
    match result {
        Ok(state) if effects.len() <= EFFECTS_MAX => Outcome::Delivered { state, effects },
        Ok(_) => roll_back(format!("more than {EFFECTS_MAX} effects"), &mut effects),
        Err(failure) => roll_back(failure.to_string(), &mut effects),
    }
}

fn handle<S: Sbb>(deliver: &Deliver, cx: &mut Context<'_>) -> Result<StateBytes, Failure> {
    let mut sbb = match &deliver.state {
        None => S::default(),
        Some(state) if state.version == S::STATE_VERSION => codec::decode(&state.bytes)?,
        Some(state) => S::migrate(state.version, &state.bytes)?,
    };
    sbb.on_event(cx, &deliver.event)?;
    let bytes = codec::encode(&sbb)?;
    if bytes.len() > STATE_BYTES_MAX {
        let size = bytes.len();
        return Err(sbb::Failure::new(format!("state of {size} bytes, {STATE_BYTES_MAX} allowed")));
    }
    Ok(StateBytes { version: S::STATE_VERSION, bytes })
}

fn roll_back(reason: String, effects: &mut Vec<Effect>) -> Outcome {
    effects.retain(Effect::survives_roll_back);
    effects.truncate(EFFECTS_MAX);
    Outcome::RolledBack { reason, effects: std::mem::take(effects) }
}

impl Deliver {
    /// When a timer set now for `delay` is due.
    pub(crate) fn due(&self, delay: Duration) -> Timestamp {
        self.now + delay
    }
}
