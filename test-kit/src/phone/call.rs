//! One call of a phone, as data; what happens to it is in `outgoing_call`, `incoming_call` and
//! `hang_up`.
//!
//! | phase    | caller                   | callee                         | next            |
//! |----------|--------------------------|--------------------------------|-----------------|
//! | Calling  | INVITE sent              |                                | Ringing, …      |
//! | Ringing  | 101-199 came             | 180 sent                       | Answered, Ended |
//! | Answered | 2xx came, ACK sent       | 200 sent, repeated until ACK   | Ending, Ended   |
//! | Ending   | BYE sent                 | BYE sent                       | Ended           |
//! | Ended    | over; repeats of INVITE's 2xx and of BYE are still answered for 64*T1 | forgotten |

use super::dialog::Dialog;
use resilee_sbb::Timestamp;
use std::net::SocketAddr;

/// Names a call of one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallNumber(pub(super) u64);

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPhase {
    /// The INVITE was sent.
    Calling,
    /// It rings.
    Ringing,
    /// The phones talk.
    Answered,
    /// A BYE of this phone waits for its answer.
    Ending,
    /// Over.
    Ended,
}

/// Which side of a call a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sent the INVITE.
    Caller,
    /// Received it.
    Callee,
}

/// What a phone knows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStatus {
    /// Call-ID header.
    pub call_id: String,
    /// Which side this phone is.
    pub side: Side,
    /// Where the call is.
    pub phase: CallPhase,
    /// When the INVITE was sent or came.
    pub began_at: Timestamp,
    /// When the 200 was sent or came.
    pub answered_at: Option<Timestamp>,
    /// When this phone's BYE was first sent, or the other's came, or the call failed.
    pub ended_at: Option<Timestamp>,
    /// Where the other side wants its audio.
    pub remote_rtp: Option<SocketAddr>,
    /// The 200 has its ACK: sent, or come.
    pub is_acked: bool,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) status: CallStatus,
    pub(super) dialog: Dialog,
    pub(super) leg: Leg,
    /// Hang up as soon as that is allowed: at the ACK, or at the answer that crossed a CANCEL.
    pub(super) hang_up_wanted: bool,
    /// A branch of a forked call that is only ended; the user is not told of it.
    pub(super) is_silent: bool,
    /// When an ended call is forgotten.
    pub(super) forget_at: Option<Timestamp>,
}

/// What only one side has.
#[derive(Clone, Debug)]
pub(super) enum Leg {
    Outgoing(Outgoing),
    Incoming(Incoming),
}

/// What only a caller has.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    /// A 100 came.
    pub(super) is_tried: bool,
    /// A CANCEL was sent.
    pub(super) is_cancelled: bool,
    /// A CANCEL goes out with the first provisional response (RFC 3261 §9.1).
    pub(super) cancel_wanted: bool,
    /// The ACK, for each repeat of the 2xx.
    pub(super) ack: Option<(SocketAddr, Vec<u8>)>,
}

/// What only a callee has.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// The INVITE, its top Via amended: what responses are made of.
    pub(super) invite: Vec<u8>,
    /// Where responses go.
    pub(super) destination: SocketAddr,
    /// When the phone answers by itself.
    pub(super) answer_at: Option<Timestamp>,
    /// The 200 while it waits for its ACK.
    pub(super) unacked: Option<Unacked>,
}

/// A 200 that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Clone, Debug)]
pub(super) struct Unacked {
    pub(super) response: Vec<u8>,
    /// When it is sent again.
    pub(super) resend_at: Timestamp,
    /// Time between the next two sendings: T1, doubled up to T2.
    pub(super) interval_ms: u64,
    /// When the phone gives up and hangs up: 64*T1.
    pub(super) give_up_at: Timestamp,
}

impl Call {
    /// Not answered, and not given up.
    pub(super) fn is_being_set_up(&self) -> bool {
        matches!(self.status.phase, CallPhase::Calling | CallPhase::Ringing)
    }

    /// Occupies the phone.
    pub(super) fn is_active(&self) -> bool {
        !self.is_silent && (self.is_being_set_up() || self.status.phase == CallPhase::Answered)
    }

    pub(super) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        match &mut self.leg {
            Leg::Outgoing(leg) => Some(leg),
            Leg::Incoming(_) => None,
        }
    }

    pub(super) fn incoming(&mut self) -> Option<&mut Incoming> {
        match &mut self.leg {
            Leg::Incoming(leg) => Some(leg),
            Leg::Outgoing(_) => None,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Timestamp> {
        let incoming = match &self.leg {
            Leg::Incoming(leg) => Some(leg),
            Leg::Outgoing(_) => None,
        };
        let answer_at = incoming.and_then(|leg| leg.answer_at);
        let unacked = incoming.and_then(|leg| leg.unacked.as_ref());
        let resend_at = unacked.map(|unacked| unacked.resend_at.min(unacked.give_up_at));
        [answer_at, resend_at, self.forget_at].into_iter().flatten().min()
    }
}
