//! Why a unit was stopped, in words for an operator: the reason of the roll back.

use resilee_sbb::EFFECTS_MAX;
use std::time::Duration;
use wasmtime::{Error, Trap};

/// Bytes of what the engine says itself.
const DETAIL_BYTES_MAX: usize = 200;

/// Why a unit was stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("it ran longer than {0:?}")]
    Time(Duration),
    #[error("its node had no time for it: it hardly came to run for {0:?}")]
    Starved(Duration),
    #[error("it asked for more than {0} MiB of memory")]
    Memory(usize),
    #[error("it asked for more than {0} elements of a table")]
    Table(usize),
    #[error("it asked its node for rows more than {0} times")]
    HostCalls(u32),
    #[error("it wrote more than {EFFECTS_MAX} lines and alarms")]
    Kept,
    #[error("it wrote a line or alarm that is none")]
    KeptWhat,
    #[error("it gave its node more than {0} MiB at once")]
    Copied(usize),
    #[error("it reads {0:?}: add Permission::Read of it to its descriptor's permissions")]
    NotPermitted(String),
    #[error("panicked: {0}")]
    Panicked(String),
    #[error("it called itself too deeply: its stack is full")]
    Stack,
    #[error("it reached beyond its memory, as it does if it calls itself too deeply")]
    OutOfBounds,
    #[error("it ended without an answer: {0}")]
    Other(String),
}

impl Stop {
    /// What the engine says, if nobody here knows better.
    pub fn of(error: &Error, copied_bytes_max: usize) -> Stop {
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Stop::Stack,
            Some(Trap::MemoryOutOfBounds) => Stop::OutOfBounds,
            Some(trap) => Stop::Other(trap.to_string()),
            None => {
                let text = format!("{error:#}");
                // It has no type of its own.
                match text.contains("too much data is being copied") {
                    true => Stop::Copied(copied_bytes_max >> 20),
                    false => Stop::Other(resilee_sbb::cut(text, DETAIL_BYTES_MAX)),
                }
            }
        }
    }
}
