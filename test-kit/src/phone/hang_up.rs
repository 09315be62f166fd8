//! The end of an answered call, from either side (RFC 3261 §15). Two BYEs that cross are both
//! answered 200.

use super::Phone;
use super::call::{CallNumber, CallPhase, Side};
use super::io::{DropReason, PhoneEvent};
use super::transactions::Purpose;
use resilee_sbb::Timestamp;
use resilee_sip_proto::Message;
use rsip::Method;

impl Phone {
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        let Some(number) = self.active() else { return self.drop(DropReason::Command) };
        let Some(call) = self.calls.get_mut(&number) else { return };
        match (call.status.side, call.status.phase) {
            // §15.1.1: a callee must not send BYE before its 200 is acknowledged.
            (Side::Callee, CallPhase::Answered) if !call.status.is_acked => {
                call.hang_up_wanted = true;
            }
            (_, CallPhase::Answered) => self.send_bye(now, number),
            (Side::Caller, _) => self.cancel(now),
            (Side::Callee, _) => {
                self.respond_to_invite(now, number, 603, "");
                self.fail_call(now, number, 603);
            }
        }
    }

    pub(super) fn send_bye(&mut self, now: Timestamp, number: CallNumber) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.status.phase != CallPhase::Answered {
            return;
        }
        call.status.phase = CallPhase::Ending;
        call.status.ended_at = Some(now);
        let destination = call.dialog.next_hop(&self.config);
        let random = &mut self.random;
        let bye = call.dialog.request(&self.config, random, Method::Bye, Vec::new(), b"");
        let steps = self.transactions.start_client(now, Purpose::Bye(number), destination, bye);
        self.perform(now, steps);
    }

    pub(super) fn on_bye_answered(&mut self, now: Timestamp, number: CallNumber, status: u16) {
        let is_ending =
            self.calls.get(&number).is_some_and(|call| call.status.phase == CallPhase::Ending);
        if !is_ending {
            return;
        }
        let event = match status {
            200..=299 => PhoneEvent::HungUp { by_remote: false },
            _ => PhoneEvent::HangUpFailed(status),
        };
        self.end_call(now, number, event);
    }

    pub(super) fn on_bye(&mut self, now: Timestamp, number: CallNumber, bye: &Message<'_>) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if bye.cseq().0 < call.dialog.remote_cseq {
            return self.respond(now, bye, 500, &[]);
        }
        call.dialog.remote_cseq = bye.cseq().0;
        let phase = call.status.phase;
        self.respond(now, bye, 200, &[]);
        match phase {
            CallPhase::Answered => {
                self.end_call(now, number, PhoneEvent::HungUp { by_remote: true });
            }
            // The caller may end an early dialog by BYE as well.
            CallPhase::Calling | CallPhase::Ringing => {
                self.respond_to_invite(now, number, 487, "");
                self.fail_call(now, number, 487);
            }
            // Ours crossed it: the call ends when ours is answered.
            CallPhase::Ending | CallPhase::Ended => {}
        }
    }
}
