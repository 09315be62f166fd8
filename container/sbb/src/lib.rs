//! What a service author sees: the [`Sbb`] trait, its [`Descriptor`], the [`Context`] of one
//! delivery with the facilities behind it, and the [`Event`]s it may get.
//!
//! A service is written against this crate (and, for SIP, against `resilee-sip-api`) alone. It
//! builds for `wasm32`. Nothing of the container is here: not how events are routed, not how
//! state is replicated. There is no clock, no socket, no thread and no randomness: `now` and a
//! seed come with each delivery.

mod activity_contexts;
mod call;
mod codec;
mod context;
mod delivery;
mod descriptor;
mod effect;
mod entity_tree;
mod event;
mod ids;
mod initial_event;
mod linked;
mod sbb;
mod tables;
mod time;
mod transaction;

pub use activity_contexts::SUSPENDED_MAX;
pub use call::{Answer, Call, LocalCall};
pub use codec::{CodecError, decode, encode, encode_into};
pub use context::Context;
pub use delivery::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, ContextView, Deliver, ENTITIES_PER_TREE_MAX, EntityState,
    NAME_BYTES_MAX, NAMES_MAX, NULL_ACTIVITIES_MAX, Outcome, STATE_BYTES_MAX, StateBytes, Task,
    TreeEntity,
};
pub use descriptor::{AttributeAlias, ChildRelation, Descriptor, OnRollBack};
pub use effect::{EFFECTS_MAX, Effect, TraceLevel};
pub use event::{ActivityEnd, Event, EventPayload, TimerFired};
pub use ids::{ActivityId, CellId, CohortId, DeliveryId, EntityId, ParseCellIdError, TimerId};
pub use initial_event::InitialEvent;
pub use linked::{LinkedSbb, invoke};
pub use sbb::{Failure, Sbb};
pub use tables::Tables;
pub use time::Timestamp;
