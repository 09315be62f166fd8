//! Events: what happened on an activity, as plain data with a type name.

use crate::codec::{CodecError, decode, encode};
use crate::ids::{ActivityId, TimerId};
use crate::sbb::Failure;
use crate::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A type that travels as an event; the name is the SLEE event type.
pub trait EventPayload: Serialize + DeserializeOwned {
    /// Event type name, for example `sip.invite`.
    const TYPE: &'static str;
}

/// One event on one activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Event type name, [`EventPayload::TYPE`].
    pub event_type: String,
    /// The activity it was fired on.
    pub activity: ActivityId,
    /// The encoded payload.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

impl Event {
    /// An event with `payload` on `activity`.
    ///
    /// # Errors
    /// A payload that cannot be encoded.
    pub fn new<E: EventPayload>(activity: ActivityId, payload: &E) -> Result<Self, CodecError> {
        let payload = encode(payload)?;
        Ok(Event { event_type: E::TYPE.to_owned(), activity, payload })
    }

    /// The payload, if the event is of type `E`.
    ///
    /// # Errors
    /// An event that bears the name of `E` and cannot be read as `E`.
    pub fn get<E: EventPayload>(&self) -> Result<Option<E>, Failure> {
        if self.event_type != E::TYPE {
            return Ok(None);
        }
        Ok(Some(decode(&self.payload)?))
    }
}

/// A timer of this entity is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerFired {
    /// The id the service gave it.
    pub timer: TimerId,
    /// The moment it was set for.
    #[serde(default)]
    pub scheduled_at: Timestamp,
    /// When it fired, which is later after a takeover.
    #[serde(default)]
    pub fired_at: Timestamp,
    /// How often it will still fire; none: for ever.
    #[serde(default = "never_again")]
    pub remaining: Option<u32>,
    /// Moments before this one that were dropped since it fired last.
    #[serde(default)]
    pub missed: u32,
}

/// What a record says that was written when timers fired once.
fn never_again() -> Option<u32> {
    Some(0)
}

impl EventPayload for TimerFired {
    const TYPE: &'static str = "slee.timer";
}

/// The activity is over: the last event on its activity context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityEnd {}

impl EventPayload for ActivityEnd {
    const TYPE: &'static str = "slee.activity_end";
}
