//! One dialog of a call: how far it is, and who hung up.
//!
//! Whoever sends a BYE talks no more (RFC 3261 §15.1.1), and one that is challenged comes again at
//! once. So a dialog is over since the first BYE that came, whatever becomes of it: one that was
//! challenged ends the dialog 64 T1 after its arrival if nothing else has. What the other end does
//! meanwhile puts nothing off, not even a BYE: it could have its peer billed who has gone.
//! An honest BYE comes again after milliseconds, which costs nobody anything.
//!
//! What remains: who plays the other end, and challenges the BYE that it sent for it, talks on for
//! at most 64 T1 before that end hears of it.

use crate::leg::Leg;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A dialog; the other end is [`Call::caller`](crate::call::Call::caller).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dialog {
    /// Who answered.
    pub(crate) callee: Leg,
    /// Early, confirmed by a 2xx, or ended by a BYE.
    pub(crate) state: DialogState,
    /// The first BYE since the answer that was not challenged; one that came before and was still
    /// under way then counts as of the answer.
    pub(crate) bye: Option<Bye>,
    /// The caller has sent a request within it since the answer. That it has is no commit of its
    /// own.
    #[serde(default)]
    pub(crate) is_acked: bool,
    /// The first BYE since the answer that was challenged; none if the dialog is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenged: Option<ChallengedBye>,
    /// Of a call of our own: the number of the INVITE that it answers. Two phones may have the same
    /// tag. Earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<u32>,
    /// Its 2xx came when the caller was told of none any more: this server has acknowledged and
    /// ended it (`late_answer.rs`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_ours_to_ack: bool,
    /// One of several answers, which the caller has not acknowledged: from then on it holds the
    /// call open no longer, and no BYE of it is the end of the call (`further_answer.rs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counts_if_heard_by: Option<Timestamp>,
    /// When this node passed its first 2xx on, if the caller has not acknowledged it since.
    #[serde(skip)]
    pub(crate) unheard_since: Option<Timestamp>,
}

/// A BYE that was answered 401 or 407.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChallengedBye {
    bye: Bye,
    /// It ends the dialog then, unless something else has done so.
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
        Dialog {
            callee,
            state,
            bye: None,
            is_acked: false,
            challenged: None,
            answers: None,
            is_ours_to_ack: false,
            counts_if_heard_by: None,
            unheard_since: None,
        }
    }

    /// This BYE was challenged; `next` is the first one that is still under way. True if that
    /// changes anything: further challenges put nothing off.
    pub(crate) fn take_back(
        &mut self,
        refused: Bye,
        next: Option<Bye>,
        comes_again_within: Duration,
    ) -> bool {
        let before = (self.bye, self.challenged);
        if self.bye == Some(refused) {
            self.bye = next;
        }
        let challenged =
            ChallengedBye { bye: refused, comes_again_by: refused.at + comes_again_within };
        let noted = self.challenged.get_or_insert(challenged);
        if refused.at < noted.bye.at {
            *noted = challenged;
        }
        before != (self.bye, self.challenged)
    }

    /// When a BYE that was challenged ends it.
    pub(crate) fn challenged_due(&self) -> Option<Timestamp> {
        let is_up = self.state == DialogState::Confirmed;
        self.challenged.filter(|_| is_up).map(|challenged| challenged.comes_again_by)
    }

    /// A BYE has ended it that was not challenged: it is over since that, or an earlier one.
    pub(crate) fn end_by_bye(&mut self, bye: Bye) {
        self.bye = self.bye.into_iter().chain([bye]).min_by_key(|bye| bye.at);
        self.end(bye);
    }

    /// Something else has: it is over since the first BYE, if there was one, whatever became of
    /// that; else by this.
    pub(crate) fn end(&mut self, otherwise: Bye) {
        self.bye = Some(self.first_bye().unwrap_or(otherwise));
        self.challenged = None;
        self.state = DialogState::Ended;
    }

    /// Nobody has acknowledged it: it was no call, so no BYE of it says when one was over.
    pub(crate) fn drop_unheard(&mut self) {
        (self.bye, self.challenged) = (None, None);
        self.state = DialogState::Ended;
    }

    fn first_bye(&self) -> Option<Bye> {
        let challenged = self.challenged.map(|challenged| challenged.bye);
        self.bye.into_iter().chain(challenged).min_by_key(|bye| bye.at)
    }
}

/// The end that talks with this one.
pub(crate) fn other_end(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Server => Side::Caller,
    }
}
