//! A 2xx that nobody waits for any more: it has crossed our own failure, or comes of one more
//! target when the caller's transaction is over. The phone that has answered thinks that it talks.
//!
//! | the 2xx                       | what happens                                       |
//! |-------------------------------|----------------------------------------------------|
//! | comes                         | ACK and BYE, both in the name of the caller        |
//! | comes again: its ACK was lost | the same ACK again                                 |
//! | is of one more dialog than    | nothing, and it is counted; the phone says it for  |
//! | `DIALOGS_MAX`                 | 64 T1 and then hangs up itself (RFC 3261 §13.3.1.4)|
//! | is to an INVITE within a      | ACK in the name of who has sent that, each time; a |
//! | dialog (`in_dialog.rs`)       | phone that gets none hangs up, too (§14.2)         |
//!
//! By RFC 3261 §16.7 a 2xx goes on to the caller also then. But ours has had a failure, for which
//! its transaction is over (§17.1.1.2): it would neither acknowledge the 2xx nor end the dialog.
//! None of this is a fact of the call, so nobody is billed for it. The dialog is kept as ended, in
//! the replicated state, and the BYE with it, so a survivor goes on with both.

use crate::call::Call;
use crate::dialog::{DialogState, other_end};
use crate::in_dialog::Way;
use crate::own_request::{self, OwnMethod};
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
            let ack = self.late_ack(step, (index, Side::Callee), response.cseq().0);
            step.send(flow, ack);
        }
        if is_new {
            self.send_own(step, &[(index, Side::Callee)], OwnMethod::Bye, |_| true);
        }
    }

    /// The same to an INVITE within a dialog: the call goes on.
    pub(crate) fn acknowledge_late(&self, step: &mut Step<'_>, flow: Flow, response: &Message<'_>) {
        let (from, to) = (response.from_tag(), response.to_tag());
        let way = from.zip(to).and_then(|(from, to)| self.way_between(&from, &to));
        let Some(Way { dialog, sender }) = way else { return };
        let ack = self.late_ack(step, (dialog, other_end(sender)), response.cseq().0);
        step.send(flow, ack);
    }

    fn late_ack(&self, step: &Step<'_>, to: (usize, Side), invite_cseq: u32) -> Vec<u8> {
        let receiver = self.end(to.0, to.1);
        let way = self.way_to(to, (receiver.flow, receiver.target.as_deref()));
        own_request::ack(step, &way, invite_cseq)
    }
}
