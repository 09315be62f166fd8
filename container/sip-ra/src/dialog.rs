//! One dialog of a call: how far it is, and who hung up.

use crate::leg::Leg;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

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
    /// Where BYEs came from that were challenged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused_byes: Vec<RefusedBye>,
}

/// Most places that are kept from which BYEs came that were challenged: the first ones, since
/// whoever challenges a BYE could send more of them.
const REFUSED_BYES_MAX: usize = 4;

/// Who wanted to hang up, and was where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Dialog {
    /// A dialog with this callee.
    pub(crate) fn new(callee: Leg, state: DialogState) -> Self {
        Dialog { callee, state, bye: None, is_acked: false, refused_byes: Vec::new() }
    }

    /// A BYE from there was challenged.
    pub(crate) fn note_refused(&mut self, by: Side, from: Flow) {
        let refused = RefusedBye { by, from };
        if self.refused_byes.len() < REFUSED_BYES_MAX && !self.refused_byes.contains(&refused) {
            self.refused_byes.push(refused);
        }
    }

    /// Whether an end wanted to hang up from there.
    pub(crate) fn was_refused_at(&self, side: Side, place: SocketAddr) -> bool {
        self.refused_byes.iter().any(|it| it.by == side && it.from.remote == place)
    }
}

/// The end that talks with this one.
pub(crate) fn other_end(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Server => Side::Caller,
    }
}
