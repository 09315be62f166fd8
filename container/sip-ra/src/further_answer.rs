//! Several phones of a callee answer, and the caller acknowledges each answer (RFC 3261
//! §13.2.2.4). It keeps one, and hangs up the others. One that it has not acknowledged within 64 T1
//! is no call (§13.3.1.4): the callee may have made it up to be billed on when the caller has hung
//! up, or the caller's phone may have ignored it.
//!
//! | such an answer, and                      | what happens                                  |
//! |------------------------------------------|-----------------------------------------------|
//! | another dialog goes on                   | nothing                                       |
//! | another one has ended, by a BYE or else  | BYE to both ends; the call has ended with the |
//! |                                          | other one                                     |
//! | its own BYE comes, also before the 64 T1 | that is not the end of the call, if another   |
//! | are over                                 | dialog is                                     |
//!
//! Only of several answers anything is kept: then an acknowledgement is a commit, or a survivor
//! would cut a call. Of an answer that came at a node that is dead by now, before there was
//! another one, nobody knows whether it was acknowledged: it is taken for one that was.
//!
//! Each end knows all tags, and may write an acknowledgement in the name of the other one. So only
//! one from where the caller was first counts: away from there it can be moved by its other end.

use crate::call::Call;
use crate::dialog::{Bye, Dialog, DialogState};
use crate::own_request::OwnMethod;
use crate::step::Step;
use resilee_sbb::Timestamp;
use resilee_sip_api::Side;
use std::net::IpAddr;
use std::time::Duration;

impl Call {
    /// A 2xx was passed on that makes one more dialog.
    pub(crate) fn await_acknowledgements(&mut self, step: &mut Step<'_>, tag: &str) {
        let is_up = |dialog: &&mut Dialog| dialog.state == DialogState::Confirmed;
        let mut up: Vec<_> = self.dialogs.iter_mut().filter(is_up).collect();
        for dialog in up.iter_mut().filter(|dialog| dialog.callee.tag == tag) {
            dialog.unheard_since = Some(step.now());
        }
        if up.len() < 2 {
            return;
        }
        let within = Duration::from_millis(step.timers().long_ms());
        for dialog in up {
            dialog.counts_if_heard_by = dialog.unheard_since.map(|since| since + within);
        }
        step.changed();
    }

    /// The caller has sent a request within a dialog that was answered.
    pub(crate) fn on_heard(&mut self, step: &mut Step<'_>, dialog: usize, source: IpAddr) {
        if !self.caller.was_first_at(source) {
            return;
        }
        let dialog = &mut self.dialogs[dialog];
        dialog.unheard_since = None;
        if dialog.counts_if_heard_by.take().is_some() {
            step.changed();
        }
    }

    /// Since when no dialog is up, of those that have ended.
    pub(crate) fn last_bye(&self) -> Option<Bye> {
        let ended = self.dialogs.iter().filter(|dialog| dialog.state == DialogState::Ended);
        let bye = |dialog: &Dialog| Some((dialog.counts_if_heard_by.is_none(), dialog.bye?));
        ended.filter_map(bye).max_by_key(|(counts, bye)| (*counts, bye.at)).map(|(_, bye)| bye)
    }

    /// When a dialog no longer holds the call open that another one has left.
    pub(crate) fn unheard_due(&self) -> Option<Timestamp> {
        let up = self.dialogs.iter().filter(|dialog| dialog.state == DialogState::Confirmed);
        let due = up.filter_map(|dialog| dialog.counts_if_heard_by).min();
        due.filter(|_| self.is_up() && self.last_bye().is_some())
    }

    /// Ends those dialogs, and the call, if it was held open by nothing else.
    pub(crate) fn end_unheard(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        if self.unheard_due().is_none_or(|due| due > now) {
            return;
        }
        let is_due = |dialog: &Dialog| dialog.counts_if_heard_by.is_some_and(|by| by <= now);
        let mut ends = Vec::new();
        for (index, dialog) in self.dialogs.iter_mut().enumerate() {
            if dialog.state == DialogState::Confirmed && is_due(dialog) {
                dialog.drop_unheard();
                ends.extend([(index, Side::Caller), (index, Side::Callee)]);
            }
        }
        for (dialog, _) in &ends {
            self.forget_questions(*dialog);
        }
        step.changed();
        self.send_own(step, &ends, OwnMethod::Bye, |_| true);
        self.end_if_no_dialog_is_open(step);
    }
}
