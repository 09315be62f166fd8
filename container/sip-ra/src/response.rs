//! Responses on their way back to the sender of a request (RFC 3261 §16.7).

use crate::asserted_identity::strip_assertions;
use resilee_sip_proto::{Edit, HeaderName, Message, Outputs, TransactionOutput};

/// A response without a Via below ours has nowhere to go.
pub(crate) fn has_next_via(response: &Message<'_>) -> bool {
    response.values(HeaderName::Via).len() > 1
}

/// The response as it goes on.
pub(crate) fn without_our_via(response: &Message<'_>) -> Vec<u8> {
    let mut edit = Edit::new(response);
    strip_assertions(response, &mut edit);
    edit.pop_via().finish()
}

/// Whether the transaction has passed the message on.
pub(crate) fn is_for_user(outputs: &Outputs) -> bool {
    outputs.iter().any(|output| matches!(output, TransactionOutput::ToUser(_)))
}
