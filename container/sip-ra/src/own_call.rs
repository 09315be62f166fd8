//! A call of our own: a service has phones called, and this server is the caller (RFC 3261 §13.2).
//!
//! | state    | input                       | what happens                          | event       |
//! |----------|-----------------------------|---------------------------------------|-------------|
//! | (start)  | a service                   | INVITE to each target                 |             |
//! | calling  | 101-199                     |                                       | Progress    |
//! | calling  | first 2xx                   | ACK; the other targets are cancelled  | Answered    |
//! | calling  | 300-699, a challenge too;   | kept; 6xx: the others are cancelled   |             |
//! |          | timer B, C: silence (408)   |                                       |             |
//! | calling  | the last target has failed  |                                       | Rejected    |
//! | calling  | it rings for too long       | CANCEL (`ringing.rs`)                 | Rejected 408|
//! | calling  | a service hangs up          | CANCEL (§9.1)                         | Rejected 487|
//! | up       | BYE of the phone            | 200                                   | Ended       |
//! | up       | the phone is gone           | BYE (`own_call_life.rs`)              | Ended       |
//! | up       | a service hangs up; it      | BYE (§15.1.1)                         | Ended       |
//! |          | lasts too long              |                                       |             |
//! | any      | 2xx of the same phone again | ACK again                             |             |
//! | any other| 2xx of one more phone, or of| ACK, BYE                              |             |
//! |          | one that was cancelled      |                                       |             |
//! | any      | BYE again                   | 200                                   |             |
//! | any      | INVITE of the phone         | 488: the session is as it was offered |             |
//! | any      | its CSeq number is too low  | 500 (§12.2.2)                         |             |
//! | calling  | nobody lived for a while    | CANCEL; no phone is rung again        | Rejected 503|
//! | up       | the same                    | it is asked for, before it lasts too  |             |
//! |          |                             | long                                  |             |
//!
//! Timer C (§16.8) is a proxy's; here it keeps a service that waits for ever from having a phone
//! ring for ever. It runs from each 1xx but 100 anew, and anew at a survivor. When it is over the
//! phone is cancelled, and says 487; who says nothing then for 64 T1 counts as 408.
//!
//! All of it is in the replicated state, with the requests as they were sent: the survivor sends
//! what nobody answered again, under the same branch. A request must have both tags of a dialog and
//! come from where the phone is (`leg.rs`). The messages are written in `own_invite.rs`.

use crate::best_response::{Failure as Refused, best};
use crate::call::{DIALOGS_MAX, destinations};
use crate::cancel_reason::{self, COMPLETED_ELSEWHERE};
use crate::dialog::{Bye, Dialog, DialogState};
use crate::incoming::Incoming;
use crate::invite_branch::{Branch, Outcome};
use crate::leg::Leg;
use crate::own_call_life::Life;
use crate::own_invite::{self, ALLOW, INVITE_CSEQ, MARK};
use crate::own_request::{self, Direction, OwnMethod, OwnRequest};
use crate::response::is_for_user;
use crate::ringing::ringing_deadline;
use crate::step::Step;
use resilee_core::Adoption;
use resilee_membership::{Flow, Transport};
use resilee_sbb::{Failure, Timestamp};
use resilee_sip_api::{Answered, EndCause, Ended, PhoneCall, Progress, Rejected, Side};
use resilee_sip_proto::{HeaderName, Message, build};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a service hears of a call that was not answered when all nodes died.
const GIVEN_UP: u16 = 503;

/// And of one that nobody has answered for too long.
const RUNG_TOO_LONG: u16 = 408;

/// The call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnCall {
    pub(crate) call_id: String,
    /// This end.
    pub(crate) server: Leg,
    /// The INVITEs, one for each target.
    invites: Vec<Branch>,
    /// One per To tag that answered finally.
    pub(crate) dialogs: Vec<Dialog>,
    /// Those that this server has hung up.
    byes: Vec<OwnRequest>,
    /// Statuses that a `Progress` was fired for.
    progressed: Vec<u16>,
    answered: Option<Answered>,
    rejected: Option<Rejected>,
    ended: Option<Ended>,
    /// Whether its phone is there.
    #[serde(default)]
    pub(crate) life: Life,
    /// Without an answer by then, it has rung too long. Calls of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ringing_until: Option<Timestamp>,
    /// It has lasted too long then.
    pub(crate) longest_until: Option<Timestamp>,
    /// That it had lasted too long already while nobody lived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) over_meanwhile: Option<Timestamp>,
    /// Over, but the phone may repeat its BYE until then.
    lingers_until: Option<Timestamp>,
}

impl OwnCall {
    /// Calls.
    ///
    /// # Errors
    /// A URI or name that is none; no target, too many, or one without an address.
    pub(crate) fn start(step: &mut Step<'_>, wanted: &PhoneCall) -> Result<Self, Failure> {
        own_invite::check(wanted)?;
        let flows = destinations(&wanted.targets, from_anywhere())?;
        let call_id = own_invite::call_id(step.element, step.activity);
        let tag = own_invite::tag(step.element, &call_id);
        let contact = own_invite::contact(step, &call_id, &flows[0]);
        step.changed();
        let names = (call_id.as_str(), tag.as_str());
        let invites =
            (0..).zip(wanted.targets.iter().zip(&flows)).map(|(index, (target, flow))| {
                let invite = own_invite::invite(step, names, wanted, (index, target, flow));
                Branch::start(step, invite, *flow)
            });
        let invites = invites.collect();
        Ok(OwnCall {
            server: Leg::server(tag, wanted.from.clone(), contact, flows[0], INVITE_CSEQ),
            call_id,
            invites,
            dialogs: Vec::new(),
            byes: Vec::new(),
            progressed: Vec::new(),
            answered: None,
            rejected: None,
            ended: None,
            life: Life::default(),
            ringing_until: ringing_deadline(step),
            longest_until: None,
            over_meanwhile: None,
            lingers_until: None,
        })
    }

    /// Answered, and not over.
    pub(crate) fn is_up(&self) -> bool {
        self.answered.is_some() && self.ended.is_none()
    }

    /// When it was answered; the earliest time there is if it was not.
    pub(crate) fn answered_at(&self) -> Timestamp {
        self.answered.as_ref().map(|answered| answered.at).unwrap_or_default()
    }

    /// Over, and nothing is left to be repeated.
    pub(crate) fn is_over(&self) -> bool {
        (self.rejected.is_some() || self.ended.is_some())
            && self.lingers_until.is_none()
            && self.invites.iter().all(Branch::is_terminated)
            && self.byes.iter().all(OwnRequest::is_terminated)
    }

    /// A service or an operator ends it.
    ///
    /// # Errors
    /// One that is over.
    pub(crate) fn hang_up(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        if self.rejected.is_some() || self.ended.is_some() {
            return Err(Failure::new("the call is over"));
        }
        if self.answered.is_some() {
            self.hang_up_once_heard(step);
        } else {
            self.cancel_pending(step, None);
            self.reject(step, 487);
        }
        Ok(())
    }

    /// A response to what it sent; false if it is for another activity.
    pub(crate) fn on_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        // RFC 3261 §8.1.3.3.
        if response.values(HeaderName::Via).len() != 1 {
            return false;
        }
        if self.on_answer_to_question(step, response) {
            return true;
        }
        if let Some(bye) = self.byes.iter_mut().find(|bye| bye.matches(response)) {
            bye.on_response(step, response);
            return true;
        }
        let via_branch = response.top_via().branch().unwrap_or_default();
        let index = self.invites.iter().position(|invite| invite.via_branch == via_branch);
        let (Some(index), Some(status)) = (index, response.status()) else { return false };
        let (now, timers) = (step.now(), step.timers());
        let invite = &mut self.invites[index];
        match response.cseq().1 {
            "INVITE" => {}
            "CANCEL" => {
                if let Some(cancel) = &mut invite.cancel {
                    cancel.on_response(now, timers, response.bytes(), status);
                }
                return true;
            }
            _ => return true,
        }
        let outputs = invite.client.on_response(now, timers, response.bytes(), status);
        step.send_all(invite.flow, &outputs);
        match status {
            // Also when the transaction is over: who repeats a 2xx has no ACK.
            200..=299 => self.on_answer(step, index, response),
            _ if !is_for_user(&outputs) => {}
            100..=199 => self.on_progress(step, index, status),
            _ => self.on_failure(step, index, status),
        }
        true
    }

    /// A request with the tags of one of its dialogs; false if it has no such dialog.
    pub(crate) fn on_in_dialog_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        let request = incoming.message;
        if request.to_tag().as_deref() != Some(&self.server.tag) {
            return false;
        }
        let Some(index) = self.dialog_of(incoming) else { return false };
        let dialog = &mut self.dialogs[index];
        let is_up = dialog.state == DialogState::Confirmed;
        let is_there = dialog.callee.is_at(incoming.flow.remote.ip());
        // RFC 3261 §12.2.2. An ACK has the number of our INVITE, which is of another sequence.
        let cseq_number = Some(request.cseq().0).filter(|_| incoming.method() != "ACK");
        let is_late = cseq_number.is_some_and(|number| number < dialog.callee.cseq);
        if is_there {
            let is_far_ahead = cseq_number.is_some_and(|it| dialog.callee.note_cseq(it));
            if dialog.callee.note_connection(incoming.flow) || is_far_ahead {
                step.changed();
            }
        }
        if is_there && is_up {
            self.life.note(step.now());
        }
        let (status, headers): (_, &[_]) = match incoming.method() {
            "ACK" => return true,
            _ if !is_there => (403, &[]),
            _ if is_late => (500, &[]),
            "BYE" => {
                if is_up {
                    let bye = Bye { at: step.now(), by: Side::Callee, cause: EndCause::Bye };
                    dialog.end_by_bye(bye);
                    self.end_if_no_dialog_is_open(step, bye);
                }
                (200, &[])
            }
            _ if !is_up => (481, &[]),
            "OPTIONS" => (200, &[("Allow", ALLOW)]),
            "INVITE" => (488, &[]),
            _ => (405, &[("Allow", ALLOW)]),
        };
        let answer = build::response(request, status, "", None, headers, &[]);
        step.send(incoming.reply_to(), answer);
        self.hang_up_if_heard(step);
        true
    }

    /// The dialog with the From tag of a request; of several the one of the phone that is nearest
    /// to where it comes from.
    fn dialog_of(&self, incoming: &Incoming<'_>) -> Option<usize> {
        let (tag, remote) = (incoming.message.from_tag(), incoming.flow.remote);
        let is_it = |index: &usize| tag.as_deref() == Some(&self.dialogs[*index].callee.tag);
        let is_elsewhere = |index: &usize| {
            let phone = &self.dialogs[*index].callee;
            (phone.flow.remote != remote, !phone.is_at(remote.ip()))
        };
        (0..self.dialogs.len()).filter(is_it).min_by_key(is_elsewhere)
    }

    /// Fires the timers that are due.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        self.lingers_until.take_if(|until| *until <= now);
        self.invites.iter_mut().for_each(|invite| invite.on_timeout(step));
        self.settle(step);
        for bye in &mut self.byes {
            bye.on_timeout(step);
        }
        self.on_question_timeout(step);
        self.hang_up_if_heard(step);
        if self.ringing_until.is_some_and(|until| until <= now) {
            self.cancel_pending(step, None);
            self.reject(step, RUNG_TOO_LONG);
        }
        if self.longest_until.is_some_and(|until| until <= now) {
            let at = self.up_until(now);
            self.hang_up_all(step, at, EndCause::MaxDuration);
        }
        self.on_life_timeout(step);
    }

    /// Goes on at the survivor. After a while in which nobody had it no phone is rung again, and
    /// the service is told: who was to be reached then may be gone, or asleep. A phone that was up
    /// is asked whether it still is.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>, adoption: Adoption) {
        self.byes.iter_mut().for_each(|bye| bye.resume(step));
        if adoption == Adoption::Takeover {
            self.resume_life(step);
            return self.invites.iter_mut().for_each(|invite| invite.resume(step));
        }
        self.invites.iter_mut().for_each(|invite| invite.resume_silently(step));
        if self.rejected.is_none() && self.ended.is_none() && self.answered.is_none() {
            self.cancel_pending(step, None);
            self.reject(step, GIVEN_UP);
        }
        self.ask_after_outage(step);
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let invites = self.invites.iter().filter_map(Branch::next_timeout);
        let byes = self.byes.iter().filter_map(OwnRequest::next_timeout);
        let moments = [self.ringing_until, self.longest_until, self.lingers_until];
        invites.chain(byes).chain(moments.into_iter().flatten()).chain(self.life.next()).min()
    }

    fn on_progress(&mut self, step: &mut Step<'_>, index: usize, status: u16) {
        self.invites[index].cancel_if_wanted(step);
        let is_calling = self.answered.is_none() && self.rejected.is_none();
        // RFC 3261 §21.1.1: a 100 says nothing of the phone.
        if status > 100 && is_calling && !self.progressed.contains(&status) {
            self.progressed.push(status);
            step.fire(&Progress { status });
            step.changed();
        }
    }

    fn on_answer(&mut self, step: &mut Step<'_>, index: usize, response: &Message<'_>) {
        let invite = &mut self.invites[index];
        invite.outcome = Outcome::Answered;
        let flow = invite.flow;
        let (tag, answers) = (response.to_tag(), u32::try_from(index).ok());
        let is_it = |dialog: &Dialog| {
            tag.as_deref() == Some(&dialog.callee.tag)
                && (dialog.answers.is_none() || dialog.answers == answers)
        };
        if let Some(dialog) = self.dialogs.iter().find(|dialog| is_it(dialog)) {
            let ack = own_request::ack(step, &self.way_to(dialog), INVITE_CSEQ);
            return step.send(dialog.callee.flow, ack);
        }
        if self.dialogs.len() >= DIALOGS_MAX {
            return step.endpoint.count_refused("2xx of more phones than a call has dialogs");
        }
        let phone = Leg::of_own_call(step.element, response, flow);
        let mut dialog = Dialog::new(phone, DialogState::Confirmed);
        dialog.answers = answers;
        step.send(flow, own_request::ack(step, &self.way_to(&dialog), INVITE_CSEQ));
        step.changed();
        self.dialogs.push(dialog);
        if self.answered.is_some() || self.rejected.is_some() {
            let bye = our_bye(step.now(), EndCause::Bye);
            return self.hang_up_where(step, bye, is_it);
        }
        let event = Answered { at: step.now(), node: step.endpoint.node().to_owned() };
        step.fire(&event);
        self.answered = Some(event);
        self.ringing_until = None;
        self.begin_life(step);
        self.longest_until = step.element.calls.longest.map(|longest| step.now() + longest);
        self.cancel_pending(step, Some(COMPLETED_ELSEWHERE));
    }

    fn on_failure(&mut self, step: &mut Step<'_>, index: usize, status: u16) {
        let invite = &mut self.invites[index];
        invite.outcome = Outcome::Failed(Refused { status, response: Vec::new() });
        // The phone has its ACK then, and says it no more.
        step.changed();
        if self.invites[index].refuses_for_all() {
            self.cancel_pending(step, Some(&cancel_reason::of_refusal(status)));
        }
        self.settle(step);
    }

    /// Once all targets have failed, the service hears how.
    fn settle(&mut self, step: &mut Step<'_>) {
        let refused = |invite: &Branch| match &invite.outcome {
            Outcome::Failed(refused) => Some(refused.clone()),
            Outcome::Pending | Outcome::Answered => None,
        };
        if self.answered.is_some() || self.rejected.is_some() {
            return;
        }
        let all: Option<Vec<_>> = self.invites.iter().map(refused).collect();
        if let Some(Refused { status, .. }) = all.and_then(|all| best(all.iter())) {
            self.reject(step, status);
        }
    }

    fn reject(&mut self, step: &mut Step<'_>, status: u16) {
        let event = Rejected { status, at: step.now() };
        step.fire(&event);
        step.changed();
        self.rejected = Some(event);
        self.ringing_until = None;
    }

    fn cancel_pending(&mut self, step: &mut Step<'_>, reason: Option<&str>) {
        step.changed();
        for invite in self.invites.iter_mut().filter(|invite| invite.is_pending()) {
            invite.cancel(step, reason);
        }
    }

    /// BYE in the dialog that is up; the call is over since that moment.
    pub(crate) fn hang_up_all(&mut self, step: &mut Step<'_>, at: Timestamp, cause: EndCause) {
        self.hang_up_where(step, our_bye(at, cause), |_| true);
    }

    /// The phone has said that it is gone.
    pub(crate) fn end_without_bye(&mut self, step: &mut Step<'_>, at: Timestamp) {
        let bye = our_bye(at, EndCause::LastProofOfLife);
        let open = self.dialogs.iter_mut().filter(|it| it.state == DialogState::Confirmed);
        open.for_each(|dialog| dialog.end(bye));
        self.end_if_no_dialog_is_open(step, bye);
    }

    /// BYE in each of these dialogs that is up.
    fn hang_up_where(&mut self, step: &mut Step<'_>, bye: Bye, is_one: impl Fn(&Dialog) -> bool) {
        for index in 0..self.dialogs.len() {
            let dialog = &mut self.dialogs[index];
            if dialog.state != DialogState::Confirmed || !is_one(dialog) {
                continue;
            }
            dialog.end(bye);
            let way = self.way_to(&self.dialogs[index]);
            let request = OwnRequest::send(step, &way, OwnMethod::Bye);
            self.byes.push(request);
        }
        self.end_if_no_dialog_is_open(step, bye);
    }

    /// From this server to the phone of a dialog.
    pub(crate) fn way_to<'a>(&'a self, dialog: &'a Dialog) -> Direction<'a> {
        Direction {
            call_id: &self.call_id,
            dialog_tag: &dialog.callee.tag,
            from: &self.server,
            to: &dialog.callee,
            receiver: Side::Callee,
            flow: dialog.callee.flow,
            target: dialog.callee.target.as_deref(),
            is_earlier: false,
            is_again: false,
            mark: MARK,
            index: dialog.answers.unwrap_or_default(),
        }
    }

    fn end_if_no_dialog_is_open(&mut self, step: &mut Step<'_>, bye: Bye) {
        step.changed();
        let is_open = |dialog: &Dialog| dialog.state == DialogState::Confirmed;
        if self.answered.is_none() || self.ended.is_some() || self.dialogs.iter().any(is_open) {
            return;
        }
        let node = step.endpoint.node().to_owned();
        let event = Ended { at: bye.at, by: bye.by, node, cause: bye.cause };
        step.fire(&event);
        self.ended = Some(event);
        self.longest_until = None;
        self.life = Life::default();
        self.lingers_until = Some(step.now() + Duration::from_millis(step.timers().long_ms()));
    }
}

/// This server has hung up.
fn our_bye(at: Timestamp, cause: EndCause) -> Bye {
    Bye { at, by: Side::Server, cause }
}

/// From whichever of the balancer's addresses a client is reached.
fn from_anywhere() -> Flow {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Flow { remote: any, local: any, transport: Transport::Udp }
}
