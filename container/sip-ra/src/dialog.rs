//! One dialog of a call: how far it is, and who hung up.
//!
//! Whoever sends a BYE talks no more (RFC 3261 §15.1.1), and one that is challenged comes again at
//! once. So the first that was challenged ends the dialog in any case: by coming again, or, as of
//! its arrival, 64 T1 later. Nothing that the other end does meanwhile counts, or it could have its
//! peer billed who has gone.

use crate::leg::Leg;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use serde::{Deserialize, Serialize};

/// A dialog; the other end is [`Call::caller`](crate::call::Call::caller).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dialog {
    /// Who answered.
    pub(crate) callee: Leg,
    /// Early, confirmed by a 2xx, or ended by a BYE.
    pub(crate) state: DialogState,
    /// The first BYE since the answer that was not challenged.
    pub(crate) bye: Option<Bye>,
    /// The caller has sent a request within it since the answer. That it has is no commit of its
    /// own.
    #[serde(default)]
    pub(crate) is_acked: bool,
    /// The first BYE since the answer that was challenged; none if the dialog is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenged: Option<ChallengedBye>,
}

/// A BYE that was answered 401 or 407.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChallengedBye {
    bye: Bye,
    /// It ends the dialog then, unless one that came again has done so.
    comes_again_by: Timestamp,
}

/// How far a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DialogState {
    Early,
    Confirmed,
    Ended,
}

/// Who hung up, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bye {
    /// When the BYE arrived.
    pub(crate) at: Timestamp,
    /// Who sent it; the server, if it was found out.
    pub(crate) by: Side,
    /// How it became known.
    #[serde(default)]
    pub(crate) cause: EndCause,
}

impl Dialog {
    /// A dialog with this callee.
    pub(crate) fn new(callee: Leg, state: DialogState) -> Self {
        Dialog { callee, state, bye: None, is_acked: false, challenged: None }
    }

    /// This BYE was challenged; `next` is the first one that is still under way. True if that
    /// changes anything: further challenges put nothing off.
    pub(crate) fn take_back(
        &mut self,
        refused: Bye,
        next: Option<Bye>,
        comes_again_by: Timestamp,
    ) -> bool {
        let before = (self.bye, self.challenged);
        if self.bye == Some(refused) {
            self.bye = next;
        }
        let noted = self.challenged.get_or_insert(ChallengedBye { bye: refused, comes_again_by });
        if refused.at < noted.bye.at {
            noted.bye = refused;
        }
        before != (self.bye, self.challenged)
    }

    /// When a BYE that was challenged ends it.
    pub(crate) fn challenged_due(&self) -> Option<Timestamp> {
        let is_up = self.state == DialogState::Confirmed;
        self.challenged.filter(|_| is_up).map(|challenged| challenged.comes_again_by)
    }

    /// A BYE has ended it that was not challenged.
    pub(crate) fn end_by_bye(&mut self, bye: Bye) {
        self.bye.get_or_insert(bye);
        self.challenged = None;
        self.state = DialogState::Ended;
    }

    /// Something else has: it is over since the first BYE, if there was one, whatever became of
    /// that; else by this.
    pub(crate) fn end(&mut self, otherwise: Bye) {
        let challenged = self.challenged.take().map(|challenged| challenged.bye);
        let first = self.bye.into_iter().chain(challenged).min_by_key(|bye| bye.at);
        self.bye = Some(first.unwrap_or(otherwise));
        self.state = DialogState::Ended;
    }
}

/// The end that talks with this one.
pub(crate) fn other_end(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Server => Side::Caller,
    }
}
