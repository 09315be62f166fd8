//! Who may not have heard that the call is over is told by a BYE of our own: otherwise the bill
//! would end and the talk go on.
//!
//! | a dialog ended by a BYE                                    | BYE of ours to             |
//! |------------------------------------------------------------|----------------------------|
//! | that its receiver did not accept: 300-699, or silence      | the receiver               |
//! | from another port or address than its sender is reached at | where the sender is reached|
//! | of or for an end that had moved (INVITE, UPDATE)           | wherever that end was      |
//!
//! Whoever knows both tags, and each end does, can speak in the name of the other one from the
//! same NAT or, as if it had moved, from anywhere. The end itself then hears of it here. For an
//! honest end all this goes to a port or address that nobody listens at any more, or gets 481.
//!
//! 481 and 408 end the dialog of whoever sent the BYE (RFC 3261 §12.2.1.2), and so does silence.
//! But its receiver may talk on: its parser may have dropped what was written to be dropped, or
//! have found other tags in it.
//!
//! From the answer to our own BYE nothing follows for the bill. Whoever refuses it, as one out of
//! order, gets it once more with the highest CSeq number there is (`own_request.rs`).

use crate::call::Call;
use crate::own_request::{Direction, OwnMethod};
use crate::step::Step;
use resilee_sip_api::Side;

/// Whether its receiver has hung up by a BYE with this final response, or none.
fn is_heard(status: Option<u16>) -> bool {
    matches!(status, Some(200..=299))
}

impl Call {
    /// A dialog has ended by a BYE of `sender`: `status` is its final response, if there was one.
    pub(crate) fn say_farewell(
        &mut self,
        step: &mut Step<'_>,
        dialog_tag: &str,
        (sender, is_from_elsewhere): (Side, bool),
        status: Option<u16>,
    ) {
        let found = self.dialogs.iter().position(|dialog| dialog.callee.tag == dialog_tag);
        let Some(index) = found else { return };
        let is_unheard = |way: &Direction<'_>| {
            let is_sender = way.receiver == sender;
            way.is_earlier || if is_sender { is_from_elsewhere } else { !is_heard(status) }
        };
        self.forget_questions(index);
        let ends = [(index, Side::Caller), (index, Side::Callee)];
        self.send_own(step, &ends, OwnMethod::Bye, is_unheard);
    }
}
