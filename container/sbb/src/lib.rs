//! What a service author sees: the [`Sbb`] trait, its [`Descriptor`], the [`Context`] of one
//! delivery with the facilities behind it, and the [`Event`]s it may get.
//!
//! A service is written against this crate (and, for SIP, against `resilee-sip-api`) alone. It
//! builds for `wasm32`. Nothing of the container is here: not how events are routed, not how
//! state is replicated. There is no clock, no socket, no thread and no randomness: `now` and a
//! seed come with each delivery.

mod codec;
mod context;
mod delivery;
mod descriptor;
mod event;
mod ids;
mod sbb;
mod tables;
mod time;

pub use codec::{CodecError, decode, encode, encode_into};
pub use context::Context;
pub use delivery::{
    ATTRIBUTE_BYTES_MAX, Deliver, EFFECTS_MAX, Effect, LinkedSbb, Outcome, STATE_BYTES_MAX,
    StateBytes, TraceLevel, invoke,
};
pub use descriptor::{Descriptor, OnRollBack};
pub use event::{ActivityEnd, Event, EventPayload, TimerFired};
pub use ids::{ActivityId, CellId, CohortId, DeliveryId, EntityId, ParseCellIdError, TimerId};
pub use sbb::{Failure, Sbb};
pub use tables::Tables;
pub use time::Timestamp;
