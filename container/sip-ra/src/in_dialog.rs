//! Requests within the dialogs of a call (RFC 3261 §16.4 to §16.6): which way they go, and what
//! their outcome means for the call.
//!
//! | request      | commit                 | outcome                                            |
//! |--------------|------------------------|----------------------------------------------------|
//! | ACK of a 2xx | none                   | forwarded without a transaction                    |
//! | BYE          | its arrival; the end   | any final response, or silence: the dialog is over |
//! | BYE          | its arrival            | 401 or 407: it comes again, or counts 64 T1 after  |
//! |              |                        | its arrival; over since then (`dialog.rs`)         |
//! | BYE, early   | it; its final response | answered meanwhile: over since then; else nothing  |
//! | INVITE       | it; its final response | 2xx: both ends' remote targets are refreshed; one  |
//! |              |                        | that crosses our failure: ACK (`late_answer.rs`)   |
//! | UPDATE       | its 2xx                | 2xx: both ends' remote targets are refreshed       |
//! | REFER,       | its 2xx                | 2xx: NOTIFYs follow, also after a BYE              |
//! | SUBSCRIBE    |                        | (`subscription.rs`)                                |
//! | other        | none                   | forwarded                                          |
//! | any, if the  | none                   | 481, but for ACK and BYE, for 64 T1, and what is   |
//! | dialog ended |                        | of a subscription                                  |
//! | any, early,  | none                   | the same, also for ACK and BYE (§13.2.2.4)         |
//! | 64 T1 after  |                        |                                                    |
//! | the answer   |                        |                                                    |
//!
//! Whoever sent a BYE has hung up, whatever the answer (§15.1.1); that is why a refused one ends
//! the dialog, too. Who did not accept it hears of it by a BYE of our own (`farewell.rs`): a sender
//! might have written it so that it is refused, or not understood.
//!
//! A request must come from an end of the dialog, under the name that it had when the call was set
//! up, and goes to the other one, at the flow that was
//! learned of it (`leg.rs`): a BYE that its sender could answer itself would end the bill and not
//! the talk. So the Request-URI becomes the other end's remote target if it names another place,
//! and Routes that the set-up did not record are taken off (RFC 3261 §12.2.1.1 asks senders for
//! exactly that).

use crate::call::Call;
use crate::dialog::{Bye, Dialog, DialogState, other_end};
use crate::incoming::Incoming;
use crate::leg::{Leg, is_same_address};
use crate::outgoing::Outgoing;
use crate::party::contact_uri;
use crate::proxied_invite::{InviteNews, ProxiedInvite};
use crate::proxied_request::{ProxiedRequest, RequestNews};
use crate::refusal::Refusal;
use crate::ringing::ringing_deadline;
use crate::step::Step;
use crate::subscription::Part;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use resilee_sip_proto::Message;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most requests of one call. Beyond, the oldest that was answered is forgotten (repeated, it is
/// proxied again, and its target repeats the answer); if none was, the new one gets 503.
const REQUESTS_MAX: usize = 32;

/// As many again for BYEs alone: a call can always be ended.
const BYES_MAX: usize = 2 * REQUESTS_MAX;

/// An INVITE within a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reinvite {
    pub(crate) invite: ProxiedInvite,
    /// When it came; in calls of earlier versions 0, which proves nothing.
    #[serde(default)]
    came_at: Timestamp,
    /// It came from no place of its sender, who may have moved or be another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_from_nowhere: bool,
    /// What its first 2xx changes.
    refresh: Option<Refresh>,
    /// As the call's own (`ringing.rs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ringing_until: Option<Timestamp>,
}

/// Another request within a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InDialogRequest {
    pub(crate) proxied: ProxiedRequest,
    purpose: Purpose,
    /// As of a [`Reinvite`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_from_nowhere: bool,
    /// What it is to a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<Part>,
}

/// What the outcome of a request means for the call.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Purpose {
    /// A BYE: who sent it, when, in which dialog.
    End {
        dialog_tag: String,
        bye: Bye,
        /// Where it came from, if its sender is reached at another port or address.
        #[serde(default)]
        elsewhere: Option<Flow>,
    },
    /// An UPDATE.
    Refresh(Refresh),
    /// Nothing.
    Other,
}

/// A target refresh request (RFC 3261 §12.2) that waits for its 2xx.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Refresh {
    dialog_tag: String,
    sender: Side,
    /// The sender's new remote target.
    target: Option<String>,
    /// Where the sender is now.
    flow: Flow,
}

/// Which way a request goes.
pub(crate) struct Way {
    /// Index of the dialog.
    pub(crate) dialog: usize,
    pub(crate) sender: Side,
}

impl Call {
    /// A request with the tags of one of the dialogs; false if it is for another call.
    pub(crate) fn on_in_dialog_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        let Some(way) = self.way(incoming.message) else { return false };
        let part = self.part(step, &way, incoming);
        if self.has_no_dialogs_any_more(part.as_ref()) {
            return false;
        }
        let is_genuine = self.is_genuine(&way, incoming);
        let is_too_late = self.is_too_late(step, &way, incoming.method(), part.as_ref());
        if incoming.method() == "ACK" {
            if is_genuine && !is_too_late {
                self.note(step, &way, incoming);
                self.forward_ack(step, incoming, &way);
                // An ACK of the callee is of its own re-INVITE: it says nothing of the caller.
                if way.sender == Side::Caller {
                    self.on_heard(step, way.dialog, incoming.flow.remote.ip());
                    self.on_acked(step, way.dialog);
                }
            }
            return true;
        }
        let may_go_on = is_genuine && self.is_in_own_name(&way, incoming.message);
        let refusal = match may_go_on {
            false => Some(403),
            true if is_too_late => Some(481),
            true => (!self.has_room_for(incoming.method())).then_some(503),
        };
        if let Some(refusal) = refusal.map(Refusal::new) {
            let answer = refusal.answer(step.element, incoming);
            step.send(answer.flow, answer.bytes);
            return true;
        }
        // Before its connection counts as the place where the sender is.
        let is_from_nowhere = !self.sender(&way).is_at(incoming.flow.remote.ip());
        let is_from_elsewhere = self.sender(&way).flow.remote != incoming.home().remote;
        self.note(step, &way, incoming);
        let is_answered = self.dialogs[way.dialog].state == DialogState::Confirmed;
        // A PRACK may be of a response before the 2xx.
        if way.sender == Side::Caller && is_answered && incoming.method() != "PRACK" {
            self.dialogs[way.dialog].is_acked = true;
            self.on_heard(step, way.dialog, incoming.flow.remote.ip());
        }
        let receiver = self.receiver(&way);
        let outgoing = Outgoing::within_dialog(step, incoming.message, receiver);
        let flow = receiver.flow;
        if incoming.method() == "INVITE" {
            let mut invite = ProxiedInvite::start(step, incoming);
            invite.forward(step, outgoing, flow);
            let refresh = Some(self.refresh(&way, incoming));
            let ringing_until = ringing_deadline(step);
            let came_at = step.now();
            let reinvite = Reinvite { invite, came_at, is_from_nowhere, refresh, ringing_until };
            self.reinvites.push(reinvite);
            return true;
        }
        let purpose = match incoming.method() {
            "BYE" => self.on_bye(step, &way, is_from_elsewhere.then(|| incoming.home())),
            "UPDATE" => Purpose::Refresh(self.refresh(&way, incoming)),
            _ => Purpose::Other,
        };
        let mut proxied = ProxiedRequest::start(step, incoming);
        proxied.forward(step, outgoing, flow);
        self.requests.push(InDialogRequest { proxied, purpose, is_from_nowhere, part });
        true
    }

    /// Whether the sender calls itself what the set-up called it: that name was compared with
    /// its credentials, and none is asked for within a call (RFC 4916 is not supported). Who
    /// hangs up has hung up, under any name.
    fn is_in_own_name(&self, way: &Way, request: &Message<'_>) -> bool {
        let sender = self.sender(way);
        let is_named = |uri: &str| is_same_address(&sender.uri, uri);
        request.method() == Some("BYE")
            || sender.uri.is_empty()
            || request.from_uri().is_some_and(|uri| is_named(&uri))
    }

    /// A request within a dialog that came before, or an ACK or CANCEL of one.
    pub(crate) fn on_known_in_dialog_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        let message = incoming.message;
        let found = self.requests.iter_mut().find(|request| request.proxied.matches(incoming));
        if let Some(request) = found {
            request.proxied.on_repeated(step, incoming);
            return true;
        }
        let found = self.reinvites.iter_mut().find(|reinvite| reinvite.invite.matches(incoming));
        let Some(reinvite) = found else { return false };
        match incoming.method() {
            "ACK" => {
                if reinvite.invite.on_ack(step, message) {
                    self.on_in_dialog_request(step, incoming);
                }
            }
            "CANCEL" => {
                reinvite.invite.on_cancel(step, incoming);
            }
            _ => reinvite.invite.on_repeated(step, message),
        }
        true
    }

    /// A response to a request within a dialog, none if it is for none: up to when it proves that
    /// both ends are there, if it proves that, and whether that came from no place of its sender.
    pub(crate) fn on_in_dialog_response(
        &mut self,
        step: &mut Step<'_>,
        response: &Message<'_>,
    ) -> Option<(Timestamp, bool)> {
        for index in 0..self.requests.len() {
            let (is_ours, news) = self.requests[index].proxied.on_response(step, response);
            if is_ours {
                let is_from_nowhere = self.requests[index].is_from_nowhere;
                self.on_request_news(step, index, news, Some(response));
                return Some((step.now(), is_from_nowhere));
            }
        }
        for index in 0..self.reinvites.len() {
            let (is_ours, news) = self.reinvites[index].invite.on_response(step, response);
            if matches!(news, Some(InviteNews::Answered(_) | InviteNews::AnsweredLate(_)))
                && let Some(refresh) = self.reinvites[index].refresh.take()
            {
                self.apply(&refresh, Some(response));
                step.changed();
                // Of a late one its sender does not know how long the session lasts.
                if let Some(InviteNews::Answered(_)) = news {
                    let session_s = self.reinvites[index].invite.session_s(response);
                    self.refresh_if_up(step, session_s);
                }
            }
            if let Some(InviteNews::AnsweredLate(flow)) = news {
                self.acknowledge_late(step, flow, response);
            }
            if is_ours {
                // It may ring for minutes, and its sender be gone meanwhile.
                let Reinvite { came_at, is_from_nowhere, .. } = self.reinvites[index];
                return Some((came_at, is_from_nowhere));
            }
        }
        None
    }

    /// Fires the timers that are due, and forgets what is over.
    pub(crate) fn on_in_dialog_timeout(&mut self, step: &mut Step<'_>) {
        for index in 0..self.requests.len() {
            let news = self.requests[index].proxied.on_timeout(step);
            self.on_request_news(step, index, news, None);
        }
        for reinvite in &mut self.reinvites {
            reinvite.invite.on_timeout(step);
            if reinvite.ringing_until.take_if(|until| *until <= step.now()).is_some() {
                reinvite.invite.give_up(step);
            }
        }
        self.requests.retain(|request| !request.proxied.is_terminated());
        self.reinvites.retain(|reinvite| !reinvite.invite.is_terminated());
    }

    fn has_room_for(&mut self, method: &str) -> bool {
        let requests_max = if method == "BYE" { BYES_MAX } else { REQUESTS_MAX };
        if self.requests.len() + self.reinvites.len() < requests_max {
            return true;
        }
        let answered = self.requests.iter().position(|request| !request.proxied.is_pending());
        answered.map(|index| self.requests.remove(index)).is_some()
    }

    /// The dialog with the tags of a request, and who sent it.
    fn way(&self, request: &Message<'_>) -> Option<Way> {
        self.way_between(&request.from_tag()?, &request.to_tag()?)
    }

    /// The dialog with these tags, and who sends from the first to the second.
    pub(crate) fn way_between(&self, from: &str, to: &str) -> Option<Way> {
        let caller = self.caller.tag.as_str();
        let dialog_of = |tag: &str| self.dialogs.iter().position(|it| it.callee.tag == tag);
        if from == caller
            && let Some(dialog) = dialog_of(to)
        {
            return Some(Way { dialog, sender: Side::Caller });
        }
        let dialog = dialog_of(from).filter(|_| to == caller)?;
        Some(Way { dialog, sender: Side::Callee })
    }

    /// Whether a request comes from the end whose tags it has. Whoever moves to another address
    /// says so with an INVITE or UPDATE, and is believed when the other end has accepted it.
    fn is_genuine(&self, way: &Way, incoming: &Incoming<'_>) -> bool {
        let sender = self.sender(way);
        let is_moving = matches!(incoming.method(), "INVITE" | "UPDATE");
        (is_moving && sender.may_move_to(&incoming.flow)) || sender.is_at(incoming.flow.remote.ip())
    }

    fn sender(&self, way: &Way) -> &Leg {
        self.end(way.dialog, way.sender)
    }

    /// A message of one of the ends. That it came says nothing of the other one.
    fn note(&mut self, step: &mut Step<'_>, way: &Way, incoming: &Incoming<'_>) {
        let sender = match way.sender {
            Side::Caller | Side::Server => &mut self.caller,
            Side::Callee => &mut self.dialogs[way.dialog].callee,
        };
        let is_far_ahead = sender.note_cseq(incoming.message.cseq().0);
        if sender.note_connection(incoming.flow) || is_far_ahead {
            step.changed();
        }
    }

    fn receiver(&self, way: &Way) -> &Leg {
        self.end(way.dialog, other_end(way.sender))
    }

    /// A lost ACK is repaired by the callee, which repeats its 2xx: nothing is kept.
    fn forward_ack(&self, step: &mut Step<'_>, incoming: &Incoming<'_>, way: &Way) {
        if incoming.message.max_forwards() == Some(0) {
            return;
        }
        let receiver = self.receiver(way);
        let outgoing = Outgoing::within_dialog(step, incoming.message, receiver);
        step.send(receiver.flow, outgoing.bytes);
    }

    fn on_bye(&mut self, step: &mut Step<'_>, way: &Way, elsewhere: Option<Flow>) -> Purpose {
        let dialog = &mut self.dialogs[way.dialog];
        let bye = Bye { at: step.now(), by: way.sender, cause: EndCause::Bye };
        match dialog.state {
            // It ends nothing yet: if it is refused, the callee rings on, and may be answered.
            DialogState::Early => step.changed(),
            DialogState::Confirmed if dialog.bye.is_none() => {
                dialog.bye = Some(bye);
                step.changed();
            }
            DialogState::Confirmed | DialogState::Ended => {}
        }
        Purpose::End { dialog_tag: dialog.callee.tag.clone(), bye, elsewhere }
    }

    fn refresh(&self, way: &Way, incoming: &Incoming<'_>) -> Refresh {
        Refresh {
            dialog_tag: self.dialogs[way.dialog].callee.tag.clone(),
            sender: way.sender,
            target: contact_uri(incoming.message),
            flow: incoming.home(),
        }
    }

    fn on_request_news(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        news: Option<RequestNews>,
        response: Option<&Message<'_>>,
    ) {
        let Some(news) = news else { return };
        if let Some(part) = self.requests[index].part.clone() {
            self.on_part_news(step, &part, news, response);
        }
        match self.requests[index].purpose.clone() {
            Purpose::End { dialog_tag, bye, elsewhere } => {
                let status = match news {
                    RequestNews::Completed(status) => Some(status),
                    RequestNews::TimedOut => None,
                };
                if matches!(status, Some(401 | 407)) {
                    self.take_back(step, &dialog_tag, bye);
                } else if self.end_dialog(step, &dialog_tag, bye) {
                    let is_from_elsewhere = elsewhere.is_some();
                    self.say_farewell(step, &dialog_tag, (bye.by, is_from_elsewhere), status);
                }
            }
            Purpose::Refresh(refresh) => {
                if matches!(news, RequestNews::Completed(200..=299)) {
                    self.apply(&refresh, response);
                    let proxied = &self.requests[index].proxied;
                    let session_s = response.and_then(|it| proxied.session_s(it));
                    self.refresh_if_up(step, session_s);
                    step.changed();
                }
            }
            Purpose::Other => {}
        }
    }

    /// One that nobody has answered yet, or that is over, has no session.
    fn refresh_if_up(&mut self, step: &Step<'_>, session_s: Option<u32>) {
        if self.is_up() {
            self.refresh_session(step, session_s);
        }
    }

    /// Ends a dialog by a BYE; false if it has not begun, or is over.
    pub(crate) fn end_dialog(&mut self, step: &mut Step<'_>, dialog_tag: &str, bye: Bye) -> bool {
        let answered_at = self.answered_at();
        let found = self.dialogs.iter_mut().find(|dialog| dialog.callee.tag == dialog_tag);
        let open = found.filter(|dialog| dialog.state != DialogState::Ended);
        let Some(dialog) = open else { return false };
        // Also an early one: a survivor must know that this BYE is not under way any more.
        step.changed();
        // A BYE of an early dialog ends nothing that is billed; its INVITE still gets a final.
        if dialog.state == DialogState::Early {
            return false;
        }
        dialog.end_by_bye(Bye { at: bye.at.max(answered_at), ..bye });
        self.end_if_no_dialog_is_open(step);
        true
    }

    /// A BYE was challenged: it comes again, or one that crossed it ends the dialog.
    fn take_back(&mut self, step: &mut Step<'_>, dialog_tag: &str, refused: Bye) {
        let answered_at = self.answered_at();
        let next = self.first_pending_bye(dialog_tag, answered_at);
        let found = self.dialogs.iter_mut().find(|dialog| dialog.callee.tag == dialog_tag);
        let is_up = |dialog: &&mut Dialog| dialog.state == DialogState::Confirmed;
        let Some(dialog) = found.filter(is_up) else { return };
        let comes_again_within = Duration::from_millis(step.timers().long_ms());
        let refused = Bye { at: refused.at.max(answered_at), ..refused };
        if dialog.take_back(refused, next, comes_again_within) {
            step.changed();
        }
    }

    /// The first BYE of a dialog that has no final response; none was before the answer.
    fn first_pending_bye(&self, dialog_tag: &str, answered_at: Timestamp) -> Option<Bye> {
        let pending = self.requests.iter().filter(|request| request.proxied.is_pending());
        let byes = pending.filter_map(|request| match &request.purpose {
            Purpose::End { dialog_tag: tag, bye, .. } if tag == dialog_tag => Some(*bye),
            _ => None,
        });
        let first = byes.min_by_key(|bye| bye.at)?;
        Some(Bye { at: first.at.max(answered_at), ..first })
    }

    /// Its 2xx has come. A BYE that came before, and has no final response, counts since then.
    pub(crate) fn on_confirmed(&mut self, dialog_tag: &str, answered_at: Timestamp) {
        let bye = self.first_pending_bye(dialog_tag, answered_at);
        let found = self.dialogs.iter_mut().find(|dialog| dialog.callee.tag == dialog_tag);
        found.into_iter().for_each(|dialog| dialog.bye = bye);
    }

    /// RFC 3261 §12.2.1.2, §12.2.2: both ends say where they are now.
    fn apply(&mut self, refresh: &Refresh, response: Option<&Message<'_>>) {
        let tag = &refresh.dialog_tag;
        let found = self.dialogs.iter_mut().find(|dialog| dialog.callee.tag == *tag);
        let Some(dialog) = found else { return };
        let (sender, receiver) = match refresh.sender {
            Side::Caller | Side::Server => (&mut self.caller, &mut dialog.callee),
            Side::Callee => (&mut dialog.callee, &mut self.caller),
        };
        sender.move_to(refresh.flow, refresh.target.as_ref());
        receiver.retarget(response.and_then(contact_uri));
    }
}
