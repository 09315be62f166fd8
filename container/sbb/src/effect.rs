//! What a handler asked for, as plain data. It happens when the transaction commits.

use crate::alarm::{Cleared, Severity};
use crate::ids::{ActivityId, TimerId};
use crate::time::Timestamp;
use crate::timer::TimerSetting;
use crate::trace::TraceLevel;
use crate::usage::UsageUpdate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Effects of one delivery, and as many that survive a roll back (trace lines, alarms); one more
/// of either kind is dropped and rolls it back.
pub const EFFECTS_MAX: usize = 256;

/// One request. Entities and activities are named by their number in the delivery's cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A command to the resource adaptor of an activity.
    Command {
        /// The activity.
        activity: ActivityId,
        /// The adaptor's own command, encoded.
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// Set or replace a timer of an entity.
    SetTimer {
        /// Whose.
        entity: u32,
        /// The service's id of it.
        timer: TimerId,
        /// When and how it fires.
        setting: TimerSetting,
    },
    /// Cancel a timer; nothing if it is not set.
    CancelTimer {
        /// Whose.
        entity: u32,
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
        #[serde(with = "serde_bytes")]
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
        #[serde(with = "serde_bytes")]
        record: Vec<u8>,
    },
    /// Set an attribute of an activity context.
    SetAttribute {
        /// The context.
        activity: u32,
        /// Name under which it is kept.
        name: String,
        /// Encoded value.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Attach an entity to an activity context; nothing if it is attached.
    Attach {
        /// Who.
        entity: u32,
        /// To what.
        activity: u32,
    },
    /// Detach an entity from an activity context; nothing if it is not attached.
    Detach {
        /// Who.
        entity: u32,
        /// From what.
        activity: u32,
    },
    /// Mask event types of an activity context for an entity; those masked before no longer are.
    Mask {
        /// For whom.
        entity: u32,
        /// On what.
        activity: u32,
        /// Event types that it does not get.
        events: BTreeSet<String>,
    },
    /// Another priority of an entity among its siblings, or of a root entity among roots.
    SetPriority {
        /// Whose.
        entity: u32,
        /// The priority.
        priority: i8,
    },
    /// Start a null activity.
    StartActivity {
        /// Its number, the next one of the cell.
        activity: u32,
    },
    /// Start an activity of a resource adaptor.
    StartActivityOf {
        /// Name of the adaptor.
        adaptor: String,
        /// Its number, the next one of the cell.
        activity: u32,
        /// The adaptor's own command, encoded: what it is to be.
        #[serde(with = "serde_bytes")]
        command: Vec<u8>,
    },
    /// End a null activity; the end is its last event.
    EndActivity {
        /// Which.
        activity: u32,
    },
    /// Fire an event, which is routed when the one being routed is done.
    Fire {
        /// On what.
        activity: u32,
        /// [`EventPayload::TYPE`](crate::EventPayload::TYPE).
        event_type: String,
        /// The encoded payload.
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// Bind a name to an activity context.
    BindName {
        /// The context.
        activity: u32,
        /// The name.
        name: String,
    },
    /// Take a name from the activity context that has it.
    UnbindName {
        /// The name.
        name: String,
    },
    /// Ask for a name in the cluster for an activity.
    BindClusterName {
        /// The activity.
        activity: u32,
        /// The name.
        name: String,
    },
    /// Take away a name in the cluster.
    UnbindClusterName {
        /// The name.
        name: String,
    },
    /// Fire an event on the activity that has a name in the cluster.
    FireAtName {
        /// The activity of the event that is delivered.
        activity: u32,
        /// The name.
        name: String,
        /// [`EventPayload::TYPE`](crate::EventPayload::TYPE).
        event_type: String,
        /// The encoded payload.
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// Deliver the event no further for now, and no later one of its activity context.
    SuspendEvent {
        /// When it goes on by itself.
        until: Timestamp,
    },
    /// Go on with the event that was suspended on an activity context.
    ResumeEvent {
        /// The context.
        activity: u32,
    },
    /// A line in the trace. Stays when the transaction rolls back.
    Trace {
        /// Full name of the tracer.
        tracer: String,
        /// How much it matters.
        level: TraceLevel,
        /// The line.
        text: String,
    },
    /// Raise an alarm. Stays when the transaction rolls back.
    RaiseAlarm {
        /// Its type.
        alarm_type: String,
        /// What it is about.
        instance: String,
        /// How bad it is.
        severity: Severity,
        /// What an operator reads.
        text: String,
    },
    /// Clear alarms of this service. Stays when the transaction rolls back.
    ClearAlarms(Cleared),
    /// Add to a usage parameter.
    Usage(UsageUpdate),
}

impl Effect {
    /// Traces and alarms are not transactional (JAIN SLEE 1.1).
    pub fn survives_roll_back(&self) -> bool {
        matches!(self, Effect::Trace { .. } | Effect::RaiseAlarm { .. } | Effect::ClearAlarms(_))
    }
}
