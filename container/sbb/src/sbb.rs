//! The trait a service implements.

use crate::codec::{CodecError, decode};
use crate::context::Context;
use crate::descriptor::Descriptor;
use crate::event::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A service building block: its fields are its CMP state, replicated with each commit.
///
/// Handlers are synchronous. What they ask for through [`Context`] happens only when the
/// transaction commits; if a handler fails or panics, its changes and requests are dropped.
pub trait Sbb: Serialize + DeserializeOwned + Default {
    /// Version of the state's layout; see [`Sbb::migrate`].
    const STATE_VERSION: u32;

    /// What the container must know to run the service.
    fn descriptor() -> Descriptor;

    /// One event on an activity that this entity is attached to.
    ///
    /// # Errors
    /// A failure rolls the transaction back.
    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure>;

    /// State that was written by another version of this service.
    ///
    /// # Errors
    /// A layout that this version cannot take over.
    fn migrate(from: u32, bytes: &[u8]) -> Result<Self, Failure> {
        let _ = from;
        Ok(decode(bytes)?)
    }
}

/// Why a handler gave up; it becomes the reason of the roll back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// A failure with the reason that an operator will read in the alarm.
    pub fn new(reason: impl Into<String>) -> Self {
        Failure(reason.into())
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        Failure(error.to_string())
    }
}
