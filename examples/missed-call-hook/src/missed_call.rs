//! What a hook is told.

use resilee_sbb::Timestamp;
use resilee_sip_api::{Invite, Rejected};
use serde::{Deserialize, Serialize};

/// Why a call was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The callee's phone was busy.
    Busy,
    /// It rang too long, or the phone did not say anything.
    NoAnswer,
    /// The callee has no phone that is registered.
    Unavailable,
    /// The callee did not want it.
    Declined,
    /// The caller gave up while it rang.
    Cancelled,
}

impl Reason {
    /// By how the INVITE was answered; `None`: nobody was called.
    pub(crate) fn of(status: u16, rang: bool) -> Option<Self> {
        match status {
            486 | 600 => Some(Reason::Busy),
            408 => Some(Reason::NoAnswer),
            480 if rang => Some(Reason::NoAnswer),
            480 => Some(Reason::Unavailable),
            603 => Some(Reason::Declined),
            487 if rang => Some(Reason::Cancelled),
            _ => None,
        }
    }
}

/// The body of the POST, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedCall {
    /// Call-ID header of the INVITE.
    pub call_id: String,
    /// Address of record of who called.
    pub caller: String,
    /// The name that the caller's phone gave; nobody has checked it.
    pub caller_name: String,
    /// Address of record of who was called.
    pub callee: String,
    /// Why it was not answered.
    pub reason: Reason,
    /// Status of the final answer.
    pub status: u16,
    /// When the call came, in milliseconds since 1970 (UTC).
    pub called_at_ms: u64,
    /// When it was over, likewise.
    pub over_at_ms: u64,
}

impl MissedCall {
    pub(crate) fn new(invite: &Invited, reason: Reason, rejected: &Rejected) -> Self {
        MissedCall {
            call_id: invite.call_id.clone(),
            caller: invite.caller.clone(),
            caller_name: invite.caller_name.clone(),
            callee: invite.callee.clone(),
            reason,
            status: rejected.status,
            called_at_ms: invite.at.as_millis(),
            over_at_ms: rejected.at.as_millis(),
        }
    }
}

/// What is kept of the INVITE until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invited {
    call_id: String,
    caller: String,
    caller_name: String,
    callee: String,
    at: Timestamp,
}

impl Invited {
    pub(crate) fn of(invite: &Invite) -> Self {
        Invited {
            call_id: invite.call_id.clone(),
            caller: invite.caller.address_of_record.clone(),
            caller_name: invite.caller.display.clone(),
            callee: invite.callee.address_of_record.clone(),
            at: invite.set_up_at,
        }
    }
}
