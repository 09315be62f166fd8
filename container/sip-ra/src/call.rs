//! A call: one INVITE with all dialogs it forms. Its facts (set up, answered, ended, by whom, on
//! which node) are part of its replicated state, so a bill can be made of them on any node.
//!
//! | input                             | fact, event             | once                        |
//! |-----------------------------------|-------------------------|-----------------------------|
//! | INVITE                            | `Invite`                | per activity                |
//! | 101-199 passed on                 | `Progress`              | per status                  |
//! | first 2xx passed on               | `Answered`              | per call                    |
//! | failure sent to the caller        | `Rejected`              | per call                    |
//! | 2xx that is not passed on         | none (`late_answer.rs`) |                             |
//! | BYE of the last open dialog over  | `Ended`, at its arrival | per call                    |
//!
//! A retransmission changes none of it and is no commit. Not here: requests within the dialogs
//! (`in_dialog.rs`), transactions and forking (`proxied_invite.rs`).

use crate::client::Client;
use crate::dialog::{Bye, Dialog, DialogState};
use crate::in_dialog::{InDialogRequest, Reinvite};
use crate::incoming::Incoming;
use crate::leg::Leg;
use crate::own_request::OwnRequest;
use crate::party::{self, Authorization};
use crate::proof_of_life;
use crate::proxied_invite::{InviteNews, ProxiedInvite};
use crate::refusal::has_sound_tags;
use crate::room::has_large_leg;
use crate::spent_nonce::SpentNonce;
use crate::step::Step;
use crate::subscription::{Part, Subscription};
use crate::supervision::Supervision;
use resilee_core::Adoption;
use resilee_membership::Flow;
use resilee_sbb::{Failure, Timestamp};
use resilee_sip_api::{Answered, Ended, Progress, Rejected, Target};
use resilee_sip_proto::{HeaderName, Message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most targets that a request is forked to; a command with more fails.
pub(crate) const TARGETS_MAX: usize = 16;

/// Most dialogs of one INVITE. Beyond, a 2xx takes the place of an early one, so that what is
/// billed can be ended; a provisional response is passed on and has none.
pub(crate) const DIALOGS_MAX: usize = 16;

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Call-ID, for the log.
    #[serde(default)]
    pub(crate) call_id: String,
    /// Who sent the INVITE.
    pub(crate) caller: Leg,
    /// One per To tag that answered, provisionally or finally.
    pub(crate) dialogs: Vec<Dialog>,
    /// The INVITE that began it.
    pub(crate) invite: ProxiedInvite,
    /// INVITEs within its dialogs.
    pub(crate) reinvites: Vec<Reinvite>,
    /// Other requests within its dialogs.
    pub(crate) requests: Vec<InDialogRequest>,
    /// What happened.
    facts: Facts,
    /// Statuses that a `Progress` was fired for.
    progressed: Vec<u16>,
    /// Without a command of a service by then, the INVITE fails.
    decide_by: Option<Timestamp>,
    /// Without an answer by then, it has rung too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ringing_until: Option<Timestamp>,
    /// Requests of our own within its dialogs.
    #[serde(default)]
    pub(crate) own_requests: Vec<OwnRequest>,
    /// When both ends were known to be there: one has answered what the other one sent. While it
    /// rings, the last that is known of it. What is no commit is not known elsewhere.
    #[serde(default)]
    pub(crate) seen_at: Timestamp,
    /// What its caller's credentials used up; until they are worth nothing, the call stays.
    #[serde(default)]
    pub(crate) spent_nonce: Option<SpentNonce>,
    /// When it is looked after that nobody ends.
    #[serde(default)]
    pub(crate) supervision: Supervision,
    /// What REFERs and SUBSCRIBEs within its dialogs have made, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) subscriptions: Vec<Subscription>,
    /// The number of its activity if it is a spiral of another call, or one more branch of a proxy
    /// in front of us, else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) spiral: u32,
    /// It is such a branch (`upstream_fork.rs`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_fork: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What happened, as it was told to services.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Facts {
    set_up_at: Timestamp,
    answered: Option<Answered>,
    rejected: Option<Rejected>,
    ended: Option<Ended>,
}

impl Call {
    /// Takes an INVITE outside a dialog. Credentials that another INVITE of the cell has `spent`
    /// are a replay, or an impatient client; either way they are not fresh.
    pub(crate) fn start(
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
        authorization: Authorization,
        spent: &[SpentNonce],
    ) -> Self {
        let mut event = party::invite(step, incoming, authorization);
        let spent_nonce = event.credentials.as_mut().and_then(|credentials| {
            let now_spent = SpentNonce::of(credentials, step.now())?;
            credentials.nonce_fresh = !spent.iter().any(|earlier| earlier.covers(&now_spent));
            credentials.nonce_fresh.then_some(now_spent)
        });
        let call = Call {
            call_id: event.call_id.clone(),
            caller: Leg::caller(incoming.message, incoming.home()),
            dialogs: Vec::new(),
            invite: ProxiedInvite::wait(step, incoming),
            reinvites: Vec::new(),
            requests: Vec::new(),
            facts: Facts { set_up_at: event.set_up_at, ..Facts::default() },
            progressed: Vec::new(),
            decide_by: Some(decision_deadline(step)),
            ringing_until: None,
            own_requests: Vec::new(),
            seen_at: step.now(),
            spent_nonce,
            supervision: Supervision::default(),
            subscriptions: Vec::new(),
            spiral: 0,
            is_fork: false,
        };
        step.fire(&event);
        call
    }

    /// When it was answered; the earliest time there is if it was not.
    pub(crate) fn answered_at(&self) -> Timestamp {
        self.facts.answered.as_ref().map(|answered| answered.at).unwrap_or_default()
    }

    /// No service has answered or proxied the INVITE yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.decide_by.is_some()
    }

    /// The call failed: the caller may try again under the same Call-ID, as after a challenge.
    pub(crate) fn is_rejected(&self) -> bool {
        self.facts.rejected.is_some()
    }

    /// Nobody has answered it yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.facts.answered.is_none()
    }

    /// Answered, and not over.
    pub(crate) fn is_up(&self) -> bool {
        self.facts.answered.is_some() && self.facts.ended.is_none()
    }

    /// When it failed or ended.
    pub(crate) fn over_since(&self) -> Option<Timestamp> {
        let rejected = self.facts.rejected.as_ref().map(|rejected| rejected.at);
        self.facts.ended.as_ref().map(|ended| ended.at).or(rejected)
    }

    /// Over, and nothing is left to be repeated or to be remembered.
    pub(crate) fn is_over(&self) -> bool {
        self.subscriptions.is_empty()
            && self.is_over_but_for_subscriptions()
            && self.requests.iter().all(|request| request.proxied.is_terminated())
    }

    /// The same, but for subscriptions (`subscription.rs`).
    pub(crate) fn is_over_but_for_subscriptions(&self) -> bool {
        let is_late = |it: &InDialogRequest| it.part.as_ref().is_some_and(Part::may_come_late);
        self.spent_nonce.is_none()
            && self.over_since().is_some()
            && self.invite.is_terminated()
            && self.reinvites.iter().all(|reinvite| reinvite.invite.is_terminated())
            && self.requests.iter().all(|it| it.proxied.is_terminated() || is_late(it))
            && self.own_requests.iter().all(OwnRequest::is_terminated)
            && !self.supervision.waits_for_ack()
    }

    /// A service says where the call goes.
    ///
    /// # Errors
    /// An INVITE that was answered or sent on before; no target, too many, or one without address.
    pub(crate) fn proxy(&mut self, step: &mut Step<'_>, targets: &[Target]) -> Result<(), Failure> {
        if !self.invite.is_pending() || !self.invite.has_no_targets() {
            return Err(Failure::new("the INVITE was answered or proxied before"));
        }
        let destinations = destinations(targets, self.caller.flow)?;
        self.forward(step, targets, &destinations, None)?;
        self.decide_by = None;
        self.begin_ringing(step);
        Ok(())
    }

    /// A service refuses the call.
    ///
    /// # Errors
    /// A status that is no failure, or an INVITE that was finally answered before.
    pub(crate) fn respond(
        &mut self,
        step: &mut Step<'_>,
        status: u16,
        reason: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), Failure> {
        if !(300..=699).contains(&status) {
            return Err(Failure::new(format!("an INVITE cannot be answered {status} by a proxy")));
        }
        if !self.invite.is_pending() {
            return Err(Failure::new("the INVITE was finally answered before"));
        }
        let news = self.invite.fail(step, status, reason, headers);
        self.on_invite_news(step, news, None);
        Ok(())
    }

    /// A request that belongs to a transaction of this call; false if it does not.
    pub(crate) fn on_known_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        if !self.invite.matches(incoming) {
            return self.on_known_in_dialog_request(step, incoming);
        }
        match incoming.method() {
            "ACK" => {
                if self.invite.on_ack(step, incoming.message) {
                    self.on_in_dialog_request(step, incoming);
                }
            }
            "CANCEL" => {
                let news = self.invite.on_cancel(step, incoming);
                self.on_invite_news(step, news, None);
            }
            _ => self.invite.on_repeated(step, incoming.message),
        }
        true
    }

    /// A response to what this call sent; false if it is for another.
    pub(crate) fn on_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        if self.on_own_response(step, response) {
            return true;
        }
        let (is_ours, news) = self.invite.on_response(step, response);
        if is_ours {
            self.on_invite_news(step, news, Some(response));
            return true;
        }
        let found = self.on_in_dialog_response(step, response);
        let status = response.status().unwrap_or_default();
        if let Some((proven_at, is_from_nowhere)) = found
            && proof_of_life::is_proof(status, is_from_nowhere)
        {
            self.seen_at = self.seen_at.max(proven_at);
        }
        found.is_some()
    }

    /// Fires the timers that are due.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) {
        let was_over = self.is_over_but_for_subscriptions();
        if self.decide_by.is_some_and(|at| at <= step.now()) {
            let news = self.invite.fail(step, 500, "", &[]);
            self.on_invite_news(step, news, None);
        }
        self.on_ringing_timeout(step);
        self.spent_nonce.take_if(|spent| spent.until <= step.now());
        let news = self.invite.on_timeout(step);
        self.on_invite_news(step, news, None);
        // Before what is due at the same moment: a late survivor does all at once.
        self.end_challenged(step);
        self.end_unheard(step);
        self.on_in_dialog_timeout(step);
        self.on_own_timeout(step);
        self.on_supervision_timeout(step);
        self.on_subscription_timeout(step, was_over);
    }

    /// Goes on at the survivor; after a while in which nobody had it, asks what has happened.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>, adoption: Adoption) {
        self.sift_subscriptions(step);
        self.decide_by = self.decide_by.map(|_| decision_deadline(step));
        if adoption == Adoption::ColdStart && self.is_given_up(step) {
            self.give_up(step);
        } else {
            self.invite.resume(step);
        }
        self.reinvites.iter_mut().for_each(|reinvite| reinvite.invite.resume(step));
        self.requests.iter_mut().for_each(|request| request.proxied.resume(step));
        self.own_requests.iter_mut().for_each(|own| own.resume(step));
        match adoption {
            Adoption::Takeover => {}
            Adoption::ColdStart | Adoption::Stranded => self.ask_after_outage(step, adoption),
        }
    }

    /// Forgets where a pending INVITE went, and asks services again.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn look_up_again(&mut self, step: &mut Step<'_>) {
        if self.invite.is_pending() && !self.invite.has_no_targets() {
            let bytes = self.invite.request().to_vec();
            let Ok(message) = Message::parse(&bytes) else { return };
            let incoming = Incoming { message: &message, flow: self.caller.flow };
            self.invite.forget_targets();
            self.decide_by = Some(decision_deadline(step));
            let source = self.caller.flow.remote.ip();
            let (element, now) = (step.element, step.now());
            let credentials = crate::authentication::credentials(element, now, &message, source);
            let authorization = party::Authorization { credentials, barred_s: None };
            let event = party::invite(step, &incoming, authorization);
            step.fire(&event);
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let reinvites = self.reinvites.iter().flat_map(|it| {
            it.ringing_until.into_iter().chain(it.invite.next_timeout()) //
        });
        let requests = self.requests.iter().filter_map(|it| it.proxied.next_timeout());
        let own = self.own_requests.iter().filter_map(OwnRequest::next_timeout);
        let spent = self.spent_nonce.iter().map(|spent| spent.until);
        let invite = self.invite.next_timeout().into_iter();
        let challenged = self.dialogs.iter().filter_map(Dialog::challenged_due);
        let own = own.chain(self.supervision.next()).chain(challenged).chain(self.ringing_until);
        let own = own.chain(self.next_subscription_end()).chain(self.unheard_due());
        invite.chain(spent).chain(own).chain(self.decide_by).chain(reinvites).chain(requests).min()
    }

    /// A dialog is over: so is the call, if none is open any more. A second callee whose 2xx
    /// crossed the first one's CANCEL keeps the call open until it, too, was sent a BYE.
    pub(crate) fn end_if_no_dialog_is_open(&mut self, step: &mut Step<'_>) {
        self.end_unheard(step);
        if let Some(bye) = self.last_bye() {
            self.end_by(step, bye);
        }
    }

    /// The call is over by this, unless a dialog is open.
    pub(crate) fn end_by(&mut self, step: &mut Step<'_>, bye: Bye) {
        let is_open = |dialog: &Dialog| dialog.state == DialogState::Confirmed;
        if !self.is_up() || self.dialogs.iter().any(is_open) {
            return;
        }
        let node = step.endpoint.node().to_owned();
        let event = Ended { at: bye.at, by: bye.by, node, cause: bye.cause };
        step.fire(&event);
        step.changed();
        self.facts.ended = Some(event);
        self.supervision = Supervision::default();
    }

    pub(crate) fn on_invite_news(
        &mut self,
        step: &mut Step<'_>,
        news: Option<InviteNews>,
        response: Option<&Message<'_>>,
    ) {
        match (news, response) {
            (Some(InviteNews::Progress(flow)), Some(response)) => {
                self.on_progress(step, flow, response);
            }
            (Some(InviteNews::Answered(flow)), Some(response)) => {
                self.on_answer(step, flow, response);
            }
            (Some(InviteNews::AnsweredLate(flow)), Some(response)) => {
                self.on_late_answer(step, flow, response);
            }
            (Some(InviteNews::Failed(status)), _) => self.on_failure(step, status),
            _ => {}
        }
    }

    fn on_progress(&mut self, step: &mut Step<'_>, flow: Flow, response: &Message<'_>) {
        self.learn_dialog(step, flow, response, DialogState::Early);
        self.seen_at = self.seen_at.max(step.now());
        let status = response.status().unwrap_or_default();
        if !self.progressed.contains(&status) {
            self.progressed.push(status);
            step.fire(&Progress { status });
            step.changed();
        }
    }

    fn on_answer(&mut self, step: &mut Step<'_>, flow: Flow, response: &Message<'_>) {
        let is_new = self.learn_dialog(step, flow, response, DialogState::Confirmed);
        (self.decide_by, self.ringing_until) = (None, None);
        if is_new {
            self.await_acknowledgements(step, &response.to_tag().unwrap_or_default());
        }
        if self.facts.answered.is_none() {
            let event = Answered { at: step.now(), node: step.endpoint.node().to_owned() };
            step.fire(&event);
            step.changed();
            self.facts.answered = Some(event);
            self.begin_supervision(step, self.invite.session_s(response));
        } else if is_new && self.facts.ended.is_some() {
            self.end_late_answer(step);
        }
    }

    fn on_failure(&mut self, step: &mut Step<'_>, status: u16) {
        (self.decide_by, self.ringing_until) = (None, None);
        if self.facts.rejected.is_none() {
            let event = Rejected { status, at: step.now() };
            step.fire(&event);
            step.changed();
            self.facts.rejected = Some(event);
        }
    }

    /// A response with a To tag begins a dialog, or confirms an early one; true if it did.
    pub(crate) fn learn_dialog(
        &mut self,
        step: &mut Step<'_>,
        flow: Flow,
        response: &Message<'_>,
        state: DialogState,
    ) -> bool {
        // A 2xx of these does not get here.
        let is_sound = has_sound_tags(response) && !has_large_leg(response, HeaderName::To);
        let Some(tag) = response.to_tag().filter(|_| is_sound) else { return false };
        let Some(dialog) = self.dialogs.iter_mut().find(|dialog| dialog.callee.tag == tag) else {
            let callee = Leg::callee(step.element, response, (flow, self.spiral));
            let dialog = Dialog::new(callee, state);
            let is_early = |it: &&mut Dialog| it.state == DialogState::Early;
            if self.dialogs.len() < DIALOGS_MAX {
                // As with the branches of the INVITE.
                self.dialogs.reserve_exact(1);
                self.dialogs.push(dialog);
            } else if state == DialogState::Confirmed
                && let Some(early) = self.dialogs.iter_mut().find(is_early)
            {
                *early = dialog;
            } else {
                return false;
            }
            step.changed();
            return true;
        };
        let is_confirmed = dialog.state == DialogState::Early && state == DialogState::Confirmed;
        if is_confirmed {
            dialog.state = state;
            dialog.callee.on_confirmed(step.element, response, self.spiral);
            step.changed();
            let answered_at = self.facts.answered.as_ref().map_or(step.now(), |it| it.at);
            self.on_confirmed(&tag, answered_at);
        }
        is_confirmed
    }
}

/// Where the targets are, seen from the balancer's address that the sender uses.
///
/// # Errors
/// No target, too many, or one without an address.
pub(crate) fn destinations(targets: &[Target], sender: Flow) -> Result<Vec<Flow>, Failure> {
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        return Err(Failure::new(format!("1 to {TARGETS_MAX} targets are expected")));
    }
    let flow = |target: &Target| {
        let client = target.destination.parse::<Client>();
        client.map(|client| client.flow_beside(&sender)).map_err(|_| {
            Failure::new(format!("{:?} is no address of a target", target.destination))
        })
    };
    targets.iter().map(flow).collect()
}

/// A service that says nothing holds an INVITE as long as a callee may ring.
fn decision_deadline(step: &Step<'_>) -> Timestamp {
    step.now() + Duration::from_millis(step.timers().timer_c_ms)
}
