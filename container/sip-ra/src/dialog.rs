//! One dialog of a call: how far it is, and who hung up.

use crate::leg::Leg;
use resilee_membership::Flow;
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
    /// The last BYE that was challenged, unless it has come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused_bye: Option<RefusedBye>,
}

/// Who wanted to hang up, and was where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RefusedBye {
    pub(crate) by: Side,
    pub(crate) from: Flow,
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

/// The end that talks with this one.
pub(crate) fn other_end(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Server => Side::Caller,
    }
}
