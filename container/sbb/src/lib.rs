//! What a service author sees: the [`Sbb`] trait, its [`Descriptor`], the [`Context`] of one
//! delivery with the facilities behind it, and the [`Event`]s it may get.
//!
//! A service is written against this crate (and, for SIP, against `resilee-sip-api`) alone. It
//! builds for `wasm32`. Nothing of the container is here: not how events are routed, not how
//! state is replicated. There is no clock, no socket, no thread and no randomness: `now` and a
//! seed come with each delivery.

// What the pages show is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/profiles.md")]
#[doc = include_str!("../../../docs/life-cycles.md")]
struct Pages;

mod activity_contexts;
mod alarm;
mod answer_check;
mod call;
mod cluster_names;
mod codec;
mod context;
mod delivery;
mod deployment;
mod descriptor;
mod effect;
mod entity_tree;
mod event;
mod host;
mod ids;
mod initial_event;
mod limits;
mod linked;
mod permission;
mod profile;
mod profile_value;
mod reach;
mod sbb;
mod tables;
mod time;
mod timer;
mod trace;
mod transaction;
mod tree_check;
mod unit;
mod unit_description;
mod unit_limits;
mod unseen;
mod usage;

pub use activity_contexts::COMMAND_BYTES_MAX;
pub use alarm::{ALARM_NAME_MAX, ALARM_TEXT_MAX, Cleared, Severity, UNTYPED_ALARM};
pub use answer_check::checked;
pub use call::{Answer, Call, LocalCall};
pub use cluster_names::{CLUSTER_NAMES, NameBound, NameTaken};
pub use codec::{CodecError, decode, encode, encode_into};
pub use context::Context;
pub use delivery::{
    ACTIVITIES_MAX, ContextView, Deliver, EntityState, NAME_BYTES_MAX, Outcome, StateBytes, Task,
    TreeEntity,
};
pub use deployment::{Begins, Deployment, FailurePolicy};
pub use descriptor::{AttributeAlias, ChildRelation, Descriptor, OnRollBack};
pub use effect::{EFFECTS_MAX, Effect};
pub use event::{ActivityEnd, Event, EventPayload, TimerFired};
pub use host::Host;
pub use ids::{ActivityId, CellId, CohortId, DeliveryId, EntityId, ParseCellIdError, TimerId};
pub use initial_event::{InitialEvent, is_of_one_cell};
pub use limits::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, DeliveryLimits, ENTITIES_PER_TREE_MAX, NAMES_MAX,
    NULL_ACTIVITIES_MAX, STATE_BYTES_MAX, SUSPENDED_MAX,
};
pub use linked::{LinkedSbb, UploadedSbb, invoke};
pub use permission::{Permission, PermissionDescription};
pub use profile::{
    Attribute, Index, PROFILE_ATTRIBUTES_MAX, PROFILE_NAME_BYTES_MAX, PROFILE_TABLES_MAX,
    PROFILES_MAX, Profile, ProfileError, ProfileTable,
};
pub use profile_value::{AttributeKind, AttributeValue};
pub use sbb::{Failure, Sbb};
pub use tables::Tables;
pub use time::Timestamp;
pub use timer::{LATE_AFTER, PreserveMissed, TIMER_PERIOD_MIN, Timer, TimerSetting};
pub use trace::{
    ParseTraceLevelError, ROOT_TRACER, TRACE_TEXT_MAX, TRACER_NAME_MAX, TraceLevel, TraceLevels,
    cut,
};
pub use tree_check::PASSING_ENTITIES_MAX;
pub use unit::{NotCompiled, UnitCompiler, answer};
pub use unit_description::{
    SbbDescription, UNIT_ABOUT_BYTES_MAX, UNIT_ALIASES_MAX, UNIT_DESCRIPTION_BYTES_MAX,
    UNIT_EVENTS_MAX, UNIT_MIGRATES_FROM_MAX, UNIT_NAME_BYTES_MAX, UNIT_NEEDS_MAX,
    UNIT_PARAMETERS_MAX, UNIT_PERMISSIONS_MAX, UNIT_RELATIONS_MAX, UNIT_SBBS_MAX, UnitDescription,
};
pub use unit_limits::{
    UNIT_HOST_CALLS_MAX, UNIT_MEMORY_BYTES_MAX, UNIT_TIME_MAX, UNIT_WALL_TIMES_MAX, UnitLimits,
};
pub use usage::{USAGE_SET_NAME_MAX, UsageKind, UsageParameter, UsageSet, UsageUpdate, UsageValue};

/// The examples of the guide are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/facilities.md")]
struct FacilitiesGuide;
