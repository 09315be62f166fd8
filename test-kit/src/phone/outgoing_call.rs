//! The caller's side: INVITE, credentials, answer, ACK (RFC 3261 §13.2), CANCEL (§9.1).

use super::Phone;
use super::call::{Call, CallNumber, CallPhase, CallStatus, Leg, Outgoing, Side};
use super::dialog::{ALLOW, Dialog, contact};
use super::io::{DropReason, PhoneEvent};
use super::transactions::Purpose;
use crate::sdp;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, SipUri, build};
use rsip::headers::{self, UntypedHeader};
use rsip::{Header, Method};

impl Phone {
    pub(super) fn place_call(&mut self, now: Timestamp, to: &str) {
        if self.active().is_some() || SipUri::parse(to).is_none() {
            return self.drop(DropReason::Command);
        }
        let dialog = Dialog::to(&self.config, &mut self.random, to);
        let status = CallStatus {
            call_id: dialog.call_id.clone(),
            side: Side::Caller,
            phase: CallPhase::Calling,
            began_at: now,
            answered_at: None,
            ended_at: None,
            remote_rtp: None,
            is_acked: false,
        };
        let call = Call {
            status,
            dialog,
            leg: Leg::Outgoing(Outgoing::default()),
            hang_up_wanted: false,
            is_silent: false,
            forget_at: None,
        };
        let number = self.add_call(call);
        self.authentication.on_new_request();
        self.send_invite(now, number);
    }

    pub(super) fn on_invite_response(
        &mut self,
        now: Timestamp,
        number: CallNumber,
        response: &Message<'_>,
        status: u16,
    ) {
        match status {
            100..=199 => self.on_provisional(now, number, status),
            200..=299 => self.on_answer(now, number, response),
            401 | 407 if self.may_try_again(number, response) => self.send_invite(now, number),
            _ => self.fail_call(now, number, status),
        }
    }

    pub(super) fn cancel(&mut self, now: Timestamp) {
        let Some(number) = self.active() else { return self.drop(DropReason::Command) };
        let Some(call) = self.calls.get_mut(&number) else { return };
        let is_being_set_up = call.is_being_set_up();
        match call.outgoing() {
            Some(leg) if is_being_set_up && !leg.is_cancelled => {
                leg.cancel_wanted = true;
                call.hang_up_wanted = true;
                self.send_cancel(now, number);
            }
            _ => self.drop(DropReason::Command),
        }
    }

    /// Sends the CANCEL if there was a provisional response; else that will do it (§9.1).
    pub(super) fn send_cancel(&mut self, now: Timestamp, number: CallNumber) {
        let Some(leg) = self.calls.get_mut(&number).and_then(Call::outgoing) else { return };
        let pending = self.transactions.pending_invite(number);
        let Some((invite, destination, true)) = pending else { return };
        if std::mem::replace(&mut leg.is_cancelled, true) {
            return;
        }
        let invite = Message::parse(&invite).expect("a phone builds messages that can be read");
        let cancel = build::cancel(&invite, None);
        self.transactions.on_cancel_sent(now, number);
        let steps = self.transactions.start_client(now, Purpose::Cancel, destination, cancel);
        self.perform(now, steps);
    }

    fn send_invite(&mut self, now: Timestamp, number: CallNumber) {
        let config = &self.config;
        let Some(call) = self.calls.get_mut(&number) else { return };
        let uri = call.dialog.remote_target.clone();
        let mut more: Vec<Header> = vec![
            headers::Contact::new(format!("<{}>", contact(config))).into(),
            headers::Allow::new(ALLOW).into(),
            headers::ContentType::new(sdp::CONTENT_TYPE).into(),
        ];
        let password = config.password.as_deref();
        let credentials =
            self.authentication.header(&mut self.random, &config.user, password, "INVITE", &uri);
        more.extend(credentials.map(|(name, value)| Header::Other(name.to_string(), value)));
        let body = sdp::session(&config.user, number.0, config.address.ip(), config.rtp);
        let dialog = &mut call.dialog;
        let random = &mut self.random;
        let invite = dialog.request(config, random, Method::Invite, more, body.as_bytes());
        let destination = dialog.next_hop(config);
        let purpose = Purpose::Invite(number);
        let steps = self.transactions.start_client(now, purpose, destination, invite);
        self.perform(now, steps);
    }

    fn may_try_again(&mut self, number: CallNumber, response: &Message<'_>) -> bool {
        let call = self.calls.get(&number);
        let is_wanted = call.is_some_and(|call| call.is_being_set_up() && !call.hang_up_wanted);
        let has_password = self.config.password.is_some();
        is_wanted && has_password && self.authentication.on_challenge(response)
    }

    fn on_provisional(&mut self, now: Timestamp, number: CallNumber, status: u16) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let phase = call.status.phase;
        let Some(leg) = call.outgoing() else { return };
        let is_cancel_due = leg.cancel_wanted;
        let event = if status > 100 && phase == CallPhase::Calling {
            call.status.phase = CallPhase::Ringing;
            Some(PhoneEvent::Ringing)
        } else if status == 100 && !std::mem::replace(&mut leg.is_tried, true) {
            Some(PhoneEvent::Trying)
        } else {
            None
        };
        if let Some(event) = event {
            self.tell(event);
        }
        if is_cancel_due {
            self.send_cancel(now, number);
        }
    }

    fn on_answer(&mut self, now: Timestamp, number: CallNumber, response: &Message<'_>) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.is_being_set_up() {
            return self.establish(now, number, response);
        }
        if response.to_tag().as_deref() != Some(&call.dialog.remote_tag) {
            return self.end_surplus_branch(now, number, response);
        }
        let Some(ack) = call.outgoing().and_then(|leg| leg.ack.clone()) else { return };
        self.note_repeat(&ack.1);
        self.send(ack.0, ack.1);
    }

    fn establish(&mut self, now: Timestamp, number: CallNumber, response: &Message<'_>) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.dialog.on_answer(response);
        let ack = call.dialog.ack(&self.config, &mut self.random);
        let destination = call.dialog.next_hop(&self.config);
        call.status.phase = CallPhase::Answered;
        call.status.answered_at = Some(now);
        call.status.remote_rtp = sdp::audio_address(response.body());
        call.status.is_acked = true;
        let remote_rtp = call.status.remote_rtp;
        let hang_up_wanted = call.hang_up_wanted;
        let is_silent = call.is_silent;
        if let Some(leg) = call.outgoing() {
            leg.ack = Some((destination, ack.clone()));
        }
        self.send(destination, ack);
        if !is_silent {
            self.tell(PhoneEvent::Answered { remote_rtp });
        }
        if hang_up_wanted {
            self.send_bye(now, number);
        }
    }

    /// A second callee answered the same INVITE: its dialog is acknowledged and ended (§13.2.2.4).
    fn end_surplus_branch(&mut self, now: Timestamp, number: CallNumber, response: &Message<'_>) {
        let of_this_branch = |call: &&Call| {
            call.dialog.call_id == response.call_id()
                && response.to_tag().as_deref() == Some(&call.dialog.remote_tag)
        };
        if let Some(branch) = self.calls.values_mut().rfind(|call| of_this_branch(&&**call)) {
            let Some((destination, ack)) = branch.outgoing().and_then(|leg| leg.ack.clone()) else {
                return;
            };
            self.note_repeat(&ack);
            return self.send(destination, ack);
        }
        let Some(call) = self.calls.get(&number) else { return };
        let mut branch = call.clone();
        // Requests of the first dialog may have moved its CSeq on; the ACK has the INVITE's.
        branch.dialog.local_cseq = response.cseq().0;
        branch.leg = Leg::Outgoing(Outgoing::default());
        branch.status.phase = CallPhase::Ringing;
        branch.hang_up_wanted = true;
        branch.is_silent = true;
        branch.forget_at = None;
        let branch = self.add_call(branch);
        self.establish(now, branch, response);
    }
}
