//! The callee's side: INVITE, 180, the 200 and its repeats until the ACK (RFC 3261 §13.3), CANCEL.

use super::Phone;
use super::call::{Call, CallNumber, CallPhase, CallStatus, Incoming, Leg, Side, Unacked};
use super::dialog::{ALLOW, Dialog, contact};
use super::io::{AnswerPolicy, DropReason, PhoneEvent};
use crate::sdp;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, build};
use std::net::SocketAddr;
use std::time::Duration;

impl Phone {
    pub(super) fn on_invite(
        &mut self,
        now: Timestamp,
        destination: SocketAddr,
        invite: &Message<'_>,
    ) {
        // §8.2.2.2: the same request on another path; a proxy that resends must keep its branch.
        let is_merged = self.calls.values().any(|call| {
            call.status.side == Side::Callee
                && call.dialog.call_id == invite.call_id()
                && invite.from_tag().as_deref() == Some(&call.dialog.remote_tag)
                && call.dialog.remote_cseq == invite.cseq().0
        });
        if is_merged {
            return self.respond(now, invite, 482, &[]);
        }
        if self.active().is_some() || self.config.answer == AnswerPolicy::Busy {
            return self.respond(now, invite, 486, &[]);
        }
        let dialog = Dialog::from_invite(invite, self.random.token());
        let from = dialog.remote_uri.clone();
        let answers = self.config.answer == AnswerPolicy::Answer;
        let answer_at = answers.then(|| now + Duration::from_millis(self.config.ring_ms));
        let status = CallStatus {
            call_id: dialog.call_id.clone(),
            side: Side::Callee,
            phase: CallPhase::Ringing,
            began_at: now,
            answered_at: None,
            ended_at: None,
            remote_rtp: sdp::audio_address(invite.body()),
            is_acked: false,
        };
        let leg =
            Incoming { invite: invite.bytes().to_vec(), destination, answer_at, unacked: None };
        let number = self.add_call(Call {
            status,
            dialog,
            leg: Leg::Incoming(leg),
            hang_up_wanted: false,
            is_silent: false,
            forget_at: None,
        });
        self.tell(PhoneEvent::IncomingCall { from });
        self.respond_to_invite(now, number, 180, "");
    }

    /// Answers the call that rings.
    pub(super) fn answer_ringing(&mut self, now: Timestamp) {
        let ringing = self.calls.iter().rfind(|(_, call)| {
            call.status.side == Side::Callee && call.status.phase == CallPhase::Ringing
        });
        match ringing.map(|(number, _)| *number) {
            Some(number) => self.answer(now, number),
            None => self.drop(DropReason::Command),
        }
    }

    pub(super) fn on_ack_of_answer(&mut self, now: Timestamp, ack: &Message<'_>) {
        let Some(number) = self.call_of(ack) else { return self.drop(DropReason::StrayAck) };
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(leg) = call.incoming() else { return self.drop(DropReason::StrayAck) };
        leg.unacked = None;
        if std::mem::replace(&mut call.status.is_acked, true) {
            return;
        }
        if call.status.remote_rtp.is_none() {
            call.status.remote_rtp = sdp::audio_address(ack.body());
        }
        let hang_up_wanted = call.hang_up_wanted;
        self.tell(PhoneEvent::Acked);
        if hang_up_wanted {
            self.send_bye(now, number);
        }
    }

    /// A CANCEL is answered 200 if its INVITE is known, and ends the call if it still rings
    /// (§9.2).
    pub(super) fn on_cancel(&mut self, now: Timestamp, cancel: &Message<'_>) {
        let is_of = |call: &mut Call| {
            let invite = call.incoming().map(|leg| leg.invite.clone()).unwrap_or_default();
            Message::parse(&invite).is_ok_and(|invite| {
                invite.top_via().branch() == cancel.top_via().branch()
                    && invite.top_via().sent_by() == cancel.top_via().sent_by()
            })
        };
        let found = self.calls.iter_mut().rev().find_map(|(number, call)| {
            let number = *number;
            is_of(call).then_some(number)
        });
        let Some(number) = found else { return self.respond(now, cancel, 481, &[]) };
        self.respond(now, cancel, 200, &[]);
        if self.calls.get(&number).is_some_and(Call::is_being_set_up) {
            self.respond_to_invite(now, number, 487, "");
            self.fail_call(now, number, 487);
        }
    }

    /// Answers by itself, repeats the 200, and gives up on an ACK that never comes.
    pub(super) fn on_incoming_timeout(&mut self, now: Timestamp, number: CallNumber) {
        let t2_ms = self.config.timers.t2_ms;
        let Some(leg) = self.calls.get_mut(&number).and_then(Call::incoming) else { return };
        if leg.answer_at.is_some_and(|at| at <= now) {
            return self.answer(now, number);
        }
        let destination = leg.destination;
        let Some(unacked) = &mut leg.unacked else { return };
        if unacked.give_up_at <= now {
            leg.unacked = None;
            return self.send_bye(now, number);
        }
        if unacked.resend_at <= now {
            unacked.interval_ms = unacked.interval_ms.saturating_mul(2).min(t2_ms);
            unacked.resend_at = now + Duration::from_millis(unacked.interval_ms);
            let response = unacked.response.clone();
            self.note_repeat(&response);
            self.send(destination, response);
        }
    }

    pub(super) fn respond_to_invite(
        &mut self,
        now: Timestamp,
        number: CallNumber,
        status: u16,
        body: &str,
    ) -> Vec<u8> {
        let contact = format!("<{}>", contact(&self.config));
        let Some(call) = self.calls.get_mut(&number) else { return Vec::new() };
        let tag = call.dialog.local_tag.clone();
        let Some(leg) = call.incoming() else { return Vec::new() };
        let invite = leg.invite.clone();
        let invite = Message::parse(&invite).expect("the INVITE was parsed when it came");
        let mut extra = vec![("Contact", contact.as_str()), ("Allow", ALLOW)];
        if status >= 300 {
            extra.clear();
        }
        if !body.is_empty() {
            extra.push(("Content-Type", sdp::CONTENT_TYPE));
        }
        let response = build::response(&invite, status, "", Some(&tag), &extra, body.as_bytes());
        let steps = self.transactions.respond(now, &invite, status, response.clone());
        self.perform(now, steps);
        response
    }

    fn answer(&mut self, now: Timestamp, number: CallNumber) {
        let config = &self.config;
        let body = sdp::session(&config.user, number.0, config.address.ip(), config.rtp);
        let response = self.respond_to_invite(now, number, 200, &body);
        let interval_ms = self.config.timers.t1_ms;
        let unacked = Unacked {
            response,
            resend_at: now + Duration::from_millis(interval_ms),
            interval_ms,
            give_up_at: now + self.long(),
        };
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.status.phase = CallPhase::Answered;
        call.status.answered_at = Some(now);
        let remote_rtp = call.status.remote_rtp;
        if let Some(leg) = call.incoming() {
            leg.answer_at = None;
            leg.unacked = Some(unacked);
        }
        self.tell(PhoneEvent::Answered { remote_rtp });
    }
}
