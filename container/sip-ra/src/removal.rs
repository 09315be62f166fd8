//! What an operator wants of all calls: is each still up, or is each to end.
//!
//! | order             | unanswered request | a call that rings | a call that is up     |
//! |-------------------|--------------------|-------------------|-----------------------|
//! | query of liveness | nothing            | nothing           | `proof_of_life.rs`    |
//! | removal of the    | 503                | nothing           | BYE to both ends, and |
//! | adaptor           |                    |                   | services hear its end |
//!
//! The activity ends right behind a removal: its BYEs are not repeated, and a phone that rings
//! stops when it gives up.

use crate::activity::Activity;
use crate::call::{Bye, Call, DialogState};
use crate::own_request::OwnMethod;
use crate::step::Step;
use resilee_sip_api::{EndCause, Side};

impl Activity {
    /// An operator asks whether it is still up.
    pub(crate) fn query_liveness(&mut self, step: &mut Step<'_>) {
        match self {
            Activity::Call(call) if !call.is_unanswered() => call.ask_for_life(step),
            Activity::Call(_) | Activity::Exchange(_) => {}
        }
    }

    /// It ends by force.
    pub(crate) fn say_last_words(&mut self, step: &mut Step<'_>) {
        if self.is_undecided() {
            self.respond(step, 503, "", &[]).expect("an undecided request can be answered");
        } else if let Activity::Call(call) = self {
            call.hang_up(step);
        }
    }
}

impl Call {
    fn hang_up(&mut self, step: &mut Step<'_>) {
        for index in 0..self.dialogs.len() {
            let dialog = &mut self.dialogs[index];
            if dialog.state != DialogState::Confirmed || dialog.bye.is_some() {
                continue;
            }
            dialog.bye = Some(Bye { at: step.now(), by: Side::Server, cause: EndCause::Bye });
            dialog.state = DialogState::Ended;
            for receiver in [Side::Caller, Side::Callee] {
                self.send_own(step, index, receiver, OwnMethod::Bye);
            }
        }
        self.end_if_no_dialog_is_open(step);
    }
}
