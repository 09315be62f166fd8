//! A 2xx that nobody waits for any more: it has crossed our own failure, or comes of one more
//! target when the caller's transaction is over. The phone that has answered thinks that it talks.
//!
//! | the 2xx                       | what happens                                       |
//! |-------------------------------|----------------------------------------------------|
//! | comes                         | ACK and BYE, both in the name of the caller        |
//! | comes again: its ACK was lost | the same ACK again                                 |
//! | is of one more dialog than    | nothing, and it is counted; the phone says it for  |
//! | `DIALOGS_MAX`                 | 64 T1 and then hangs up itself (RFC 3261 §13.3.1.4)|
//!
//! By RFC 3261 §16.7 a 2xx goes on to the caller also then. But ours has had a failure, for which
//! its transaction is over (§17.1.1.2): it would neither acknowledge the 2xx nor end the dialog.
//! None of this is a fact of the call, so nobody is billed for it. The dialog is kept as ended, in
//! the replicated state, and the BYE with it, so a survivor goes on with both.

use crate::call::Call;
use crate::dialog::DialogState;
use crate::own_request::{self, Direction, OwnMethod};
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sip_api::Side;
use resilee_sip_proto::Message;

impl Call {
    /// Takes a 2xx to its INVITE that was not passed on.
    pub(crate) fn on_late_answer(
        &mut self,
        step: &mut Step<'_>,
        flow: Flow,
        response: &Message<'_>,
    ) {
        let is_new = self.learn_dialog(step, flow, response, DialogState::Confirmed);
        let tag = response.to_tag().unwrap_or_default();
        let Some(index) = self.dialogs.iter().position(|it| it.callee.tag == tag) else {
            return step.endpoint.count_refused("2xx of more phones than a call has dialogs");
        };
        if is_new {
            let dialog = &mut self.dialogs[index];
            dialog.is_ours_to_ack = true;
            dialog.state = DialogState::Ended;
            // No BYE of it says when the call was over.
            dialog.bye = None;
            step.changed();
        }
        if self.dialogs[index].is_ours_to_ack {
            step.send(flow, self.late_ack(step, index, response.cseq().0));
        }
        if is_new {
            self.send_own(step, &[(index, Side::Callee)], OwnMethod::Bye, |_| true);
        }
    }

    fn late_ack(&self, step: &Step<'_>, index: usize, invite_cseq: u32) -> Vec<u8> {
        let callee = &self.dialogs[index].callee;
        let way = Direction {
            call_id: &self.call_id,
            dialog_tag: &callee.tag,
            from: &self.caller,
            to: callee,
            receiver: Side::Callee,
            flow: callee.flow,
            target: callee.target.as_deref(),
            is_earlier: false,
            is_again: false,
            mark: &callee.tag,
            index: 0,
        };
        own_request::ack(step, &way, invite_cseq)
    }
}
