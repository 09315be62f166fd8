//! The trait a service implements.

use crate::call::{Answer, Call};
use crate::codec::{CodecError, decode};
use crate::context::Context;
use crate::descriptor::Descriptor;
use crate::event::Event;
use crate::initial_event::InitialEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A service building block: its fields are its CMP state, replicated with each commit.
///
/// Handlers are synchronous. What they ask for through [`Context`] happens only when the
/// transaction commits; if a handler fails or panics, its changes and requests are dropped.
pub trait Sbb: Serialize + DeserializeOwned + Default {
    /// Version of the state's layout; see [`Sbb::migrate`].
    const STATE_VERSION: u32;

    /// What the container must know to run the SBB.
    fn descriptor() -> Descriptor;

    /// One event on an activity that this entity is attached to.
    ///
    /// # Errors
    /// A failure rolls the transaction back.
    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure>;

    /// The initial event selector (`javax.slee.InitialEventSelector`) of a root SBB whose
    /// descriptor has `selects_initial_events`: which root entity of the service gets an initial
    /// event. It may read, and write to the trace; whatever else it asks for is dropped.
    ///
    /// # Errors
    /// A failure: the event is not initial.
    fn initial_event(cx: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        let _ = (cx, event);
        Ok(InitialEvent::by_activity_context())
    }

    /// A call by another entity of the same tree, in its transaction: the SBB local interface
    /// (`javax.slee.SbbLocalObject`).
    ///
    /// # Errors
    /// A failure rolls the caller's transaction back, whatever the caller makes of it.
    fn on_call(&mut self, cx: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        let _ = cx;
        Err(Failure::new(format!("{} takes no call {}", Self::descriptor().name, call.name())))
    }

    /// The event's handler failed or panicked, and its transaction is being rolled back
    /// (`javax.slee.Sbb.sbbExceptionThrown`, in the same transaction): only traces and alarms of
    /// this are kept.
    fn exception_thrown(&mut self, cx: &mut Context<'_>, event: &Event, failure: &Failure) {
        let _ = (cx, event, failure);
    }

    /// The event's transaction was rolled back (`javax.slee.Sbb.sbbRolledBack`, in a new
    /// transaction). Not called if the entity would have been created by that event; if it gets it
    /// again, only once that is given up; nor if the handler hangs.
    ///
    /// # Errors
    /// A failure rolls this transaction back, which is not reported again.
    fn rolled_back(
        &mut self,
        cx: &mut Context<'_>,
        event: &Event,
        reason: &str,
    ) -> Result<(), Failure> {
        let _ = (cx, event, reason);
        Ok(())
    }

    /// State that was written by another version of this service: by an earlier program, or by a
    /// service that this one replaces, when an operator migrates its entities
    /// ([`Deployment::migrates_from`](crate::Deployment::migrates_from)). State of the same version
    /// is read as it is, without this.
    ///
    /// # Errors
    /// A layout that this version cannot take over. An entity that was to be migrated stays with
    /// the service that it has, with this reason, and is tried again later.
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
