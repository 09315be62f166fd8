//! The 100 of an INVITE, and when it has none (RFC 3261 §17.2.1).
//!
//! | an INVITE                                | its 100             |
//! |------------------------------------------|---------------------|
//! | that is sent on                          | at once             |
//! | that no service has decided for 200 ms   | then                |
//! | that a service refuses before            | none: it is refused |
//!
//! Who got no 100 repeats the INVITE until it is answered, and each time gets the answer again. So
//! what a stranger gets, a challenge above all, need not be repeated without being asked for
//! (§26.3.2.4): one datagram with a forged sender is one datagram to whom it names, not a dozen.

use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long an answer is waited for.
const WITHIN: Duration = Duration::from_millis(200);

/// What is known of the 100.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Trying {
    /// When it is due; none: it was sent, or is needed no more.
    due_at: Option<Timestamp>,
}

impl Trying {
    /// Of an INVITE that has just come.
    pub(crate) fn wait(now: Timestamp) -> Self {
        Trying { due_at: Some(now + WITHIN) }
    }

    /// It was sent, or is needed no more.
    pub(crate) fn is_over(&self) -> bool {
        self.due_at.is_none()
    }

    /// From now on; false if that was so before.
    pub(crate) fn end(&mut self) -> bool {
        self.due_at.take().is_some()
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }
}

/// Whether strangers get this answer, by which they learn that they are.
pub(crate) fn is_sent_once(status: u16) -> bool {
    matches!(status, 401 | 403 | 407)
}
