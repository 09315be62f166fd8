//! Is the call still up? A BYE may have come while no node lived, or an end may have lost power
//! (`supervision.rs`). So each end of each dialog is asked with one OPTIONS.
//!
//! | an end answers            | what happens                                                    |
//! |---------------------------|-----------------------------------------------------------------|
//! | 481, 408, nothing         | the dialog is over since its last proof of life; BYE to the     |
//! |                           | other end                                                       |
//! | 481 or 408, to a first    | its BYE may be on its way: both are asked again when nobody     |
//! | question of `supervision` | would repeat that                                               |
//! | 481, the caller, shortly  | the 2xx may be lost with the node that had it, and the callee   |
//! | after the answer (64*T1)  | still repeats it until the ACK (RFC 3261 §13.3.1.4): both are   |
//! |                           | asked again when that time is over                              |
//! | anything else             | it lives                                                        |
//! | both ends 2xx             | it lives, and that is a proof of life                           |
//! | a BYE, before its answer  | the call ends by the BYE, as always                             |
//!
//! An end whose Allow has no OPTIONS is not asked. One end alone proves nothing, whatever it sends
//! or says: the other has hung up, and nobody talks. So the last proof of life is the latest moment
//! at which one has answered what the other one sent, other than with 481 or 408, or has first
//! acknowledged the answer, and that a commit was made after: what changes nothing is no commit.

use crate::call::{Bye, Call, DialogState};
use crate::own_request::{Direction, Outcome, OwnMethod, OwnRequest};
use crate::step::Step;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use resilee_sip_proto::Message;
use std::time::Duration;

/// Whether an end that answers so has no such dialog (RFC 3261 §12.2.1.2).
fn is_gone(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// Whether this answer to a request of the other end says that both are there. A 100 is a proxy's.
pub(crate) fn is_proof(status: u16) -> bool {
    status > 100 && !is_gone(status)
}

impl Call {
    /// Asks both ends of all dialogs that are up; who does not know of it is gone.
    pub(crate) fn ask_for_life(&mut self, step: &mut Step<'_>) {
        self.supervision.count_at_once();
        self.ask_both_ends(step);
    }

    pub(crate) fn ask_both_ends(&mut self, step: &mut Step<'_>) {
        // Earlier questions: their answers are asked for anew.
        self.own_requests.retain(|own| own.method == OwnMethod::Bye);
        for index in 0..self.dialogs.len() {
            let dialog = &self.dialogs[index];
            if dialog.state != DialogState::Confirmed || dialog.bye.is_some() {
                continue;
            }
            for receiver in [Side::Caller, Side::Callee] {
                if self.direction(index, receiver).to.takes_options {
                    self.send_own(step, index, receiver, OwnMethod::Probe);
                }
            }
        }
    }

    /// A response to a request of our own; false if it is to none.
    pub(crate) fn on_own_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        let found = self.own_requests.iter_mut().find(|own| own.matches(response));
        let Some(own) = found else { return false };
        if own.on_response(step, response) {
            let own = own.clone();
            self.on_outcome(step, &own);
        }
        true
    }

    /// Fires the timers that are due.
    pub(crate) fn on_own_timeout(&mut self, step: &mut Step<'_>) {
        let mut silent = Vec::new();
        for own in &mut self.own_requests {
            if own.on_timeout(step) {
                silent.push(own.clone());
            }
        }
        silent.iter().for_each(|own| self.on_outcome(step, own));
        // One by one they would take what they know with them.
        if self.own_requests.iter().all(OwnRequest::is_terminated) {
            self.own_requests.clear();
        }
    }

    fn on_outcome(&mut self, step: &mut Step<'_>, own: &OwnRequest) {
        if own.method != OwnMethod::Probe {
            return;
        }
        let found = self.dialogs.iter().position(|it| it.callee.tag == own.dialog_tag);
        let is_up = |index: &usize| {
            let dialog = &self.dialogs[*index];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        };
        let Some(dialog) = found.filter(is_up) else { return };
        step.changed();
        if self.supervision.is_expiring() {
            self.end_if_expired(step);
            return;
        }
        let is_gone = match own.outcome {
            Outcome::Answered(481) if self.may_lack_answer(step, own.receiver) => {
                let at = self.repeated_until(step);
                self.supervision.ask_again(at);
                false
            }
            Outcome::Answered(status) if is_gone(status) => {
                let is_gone = self.supervision.counts_at_once();
                if !is_gone {
                    let repeated = Duration::from_millis(step.timers().long_ms());
                    self.supervision.ask_again(step.now() + repeated);
                }
                is_gone
            }
            Outcome::Answered(_) => false,
            Outcome::Silent => true,
            Outcome::Pending => false,
        };
        if is_gone {
            self.end_at_last_proof(step, dialog, other(own.receiver));
        } else if self.both_live(dialog) {
            self.seen_at = step.now();
        }
    }

    /// The caller may not have got the 2xx yet, so it has no such dialog yet.
    fn may_lack_answer(&self, step: &Step<'_>, asked: Side) -> bool {
        asked == Side::Caller && step.now() < self.repeated_until(step)
    }

    /// Nobody repeats the 2xx after this.
    pub(crate) fn repeated_until(&self, step: &Step<'_>) -> Timestamp {
        self.answered_at() + Duration::from_millis(step.element.timers.long_ms())
    }

    /// The other end of an end that is gone still waits: it is told.
    fn end_at_last_proof(&mut self, step: &mut Step<'_>, dialog: usize, waiting: Side) {
        let at = self.last_proof_of_life();
        let tag = self.dialogs[dialog].callee.tag.clone();
        let (by, cause) = (Side::Server, EndCause::LastProofOfLife);
        self.dialogs[dialog].bye = Some(Bye { at, by, cause });
        self.dialogs[dialog].state = DialogState::Ended;
        self.own_requests.retain(|own| own.dialog_tag != tag || own.method == OwnMethod::Bye);
        self.send_own(step, dialog, waiting, OwnMethod::Bye);
        self.end_if_no_dialog_is_open(step);
    }

    fn both_live(&self, dialog: usize) -> bool {
        let tag = &self.dialogs[dialog].callee.tag;
        let is_2xx = |outcome| matches!(outcome, Outcome::Answered(200..=299));
        let probes = self.own_requests.iter().filter(|own| own.dialog_tag == *tag);
        let said_yes = probes.filter(|own| own.method == OwnMethod::Probe && is_2xx(own.outcome));
        said_yes.count() == 2
    }

    /// The session was not refreshed, and both ends were asked: once it is known of a dialog that
    /// both are there, or of none any more, the call ends.
    pub(crate) fn end_if_expired(&mut self, step: &mut Step<'_>) {
        if (0..self.dialogs.len()).any(|dialog| self.both_live(dialog)) {
            self.seen_at = step.now();
        } else if self.is_asked() {
            return;
        }
        let at = self.last_proof_of_life();
        self.hang_up_all(step, at, EndCause::LastProofOfLife);
    }

    /// Whether an end may still say that it lives, and the other one has not said otherwise.
    fn is_asked(&self) -> bool {
        let probes = self.own_requests.iter().filter(|own| own.method == OwnMethod::Probe);
        self.dialogs.iter().any(|dialog| {
            let mut of_it = probes.clone().filter(|own| own.dialog_tag == dialog.callee.tag);
            let may_live = |own: &OwnRequest| {
                matches!(own.outcome, Outcome::Pending | Outcome::Answered(200..=299))
            };
            of_it.clone().count() == 2 && of_it.all(may_live)
        })
    }

    /// The latest moment at which both ends are known to have been there.
    pub(crate) fn last_proof_of_life(&self) -> Timestamp {
        self.seen_at.max(self.answered_at())
    }

    pub(crate) fn send_own(
        &mut self,
        step: &mut Step<'_>,
        dialog: usize,
        receiver: Side,
        method: OwnMethod,
    ) {
        let own = OwnRequest::send(step, &self.direction(dialog, receiver), method);
        self.own_requests.push(own);
    }

    fn direction(&self, dialog: usize, receiver: Side) -> Direction<'_> {
        let (caller, callee) = (&self.caller, &self.dialogs[dialog].callee);
        let (from, to) = match receiver {
            Side::Callee => (caller, callee),
            Side::Caller | Side::Server => (callee, caller),
        };
        let (call_id, dialog_tag) = (self.call_id.as_str(), callee.tag.as_str());
        Direction { call_id, dialog_tag, from, to, receiver }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Server => Side::Caller,
    }
}
