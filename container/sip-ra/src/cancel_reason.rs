//! Why a target is cancelled: what Reason its CANCEL has (RFC 3326). By it a phone tells a call
//! that was answered elsewhere from one that was missed.
//!
//! | what cancels the target              | its Reason                                |
//! |--------------------------------------|-------------------------------------------|
//! | another target has answered, or the  | [`COMPLETED_ELSEWHERE`]                   |
//! | call that the INVITE was forked to   |                                           |
//! | before it came here                  |                                           |
//! | another target has refused it for    | that status (RFC 3261 §16.7 step 5)       |
//! | all, with a 6xx                      |                                           |
//! | the CANCEL of our client             | what that says, at most [`BYTES_MAX`]     |
//! | a service, an operator, a time limit | none: for who was called it is one missed |
//!
//! While a CANCEL waits for a provisional response, the first reason that there was is kept with
//! it.

use resilee_sip_proto::{Message, build};

/// For the targets that have not answered.
pub(crate) const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Most bytes of a client's Reason; a CANCEL with more goes on without it.
const BYTES_MAX: usize = 512;

/// What a client's CANCEL says.
pub(crate) fn of_client(cancel: &Message<'_>) -> Option<String> {
    let reason = cancel.values_named("Reason").join(", ");
    (!reason.is_empty() && reason.len() <= BYTES_MAX).then_some(reason)
}

/// A target has refused the call for all others, with this status.
pub(crate) fn of_refusal(status: u16) -> String {
    format!("SIP;cause={status};text=\"{}\"", build::reason_phrase(status))
}
