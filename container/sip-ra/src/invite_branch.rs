//! One target of an INVITE: a client transaction, and that of its CANCEL.
//!
//! | what its INVITE is  | a CANCEL is wanted (RFC 3261 §9.1)         |
//! |---------------------|--------------------------------------------|
//! | Calling             | it is sent with the first provisional      |
//! | Proceeding          | it is sent, once                           |
//! | finally answered    | nothing                                    |
//!
//! While a CANCEL waits, the INVITE goes on being repeated: §9.1 has the CANCEL wait for a
//! provisional response, and nothing but a response stops timer A (§17.1.1.2). A phone whose 180
//! was lost says it again only to an INVITE that comes again: without one it would ring on, and
//! hear of no CANCEL.
//!
//! A service that redirects the call *gives up* the targets that are pending (`redirection.rs`):
//! they are cancelled, and nobody hears what they say but an answer.

use crate::best_response::Failure;
use crate::outgoing::Outgoing;
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::transaction::ClientInviteState;
use resilee_sip_proto::{ClientInvite, ClientNonInvite, Message, TransactionOutput, build};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// One target of the INVITE.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Branch {
    /// Branch of our Via.
    pub(crate) via_branch: String,
    /// Where the target is.
    pub(crate) flow: Flow,
    /// The INVITE.
    pub(crate) client: ClientInvite,
    /// Its CANCEL.
    pub(crate) cancel: Option<ClientNonInvite>,
    /// To be cancelled with its first provisional response.
    is_cancel_wanted: bool,
    /// What the CANCEL that is wanted gives as its Reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
    /// A service wants the call to go on without it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) is_given_up: bool,
    /// How it went.
    pub(crate) outcome: Outcome,
}

/// How it went with one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Pending,
    Answered,
    Failed(Failure),
}

impl Branch {
    /// Sends the INVITE.
    pub(crate) fn start(step: &mut Step<'_>, outgoing: Outgoing, flow: Flow) -> Self {
        let (client, outputs) = ClientInvite::start(step.now(), step.timers(), outgoing.bytes);
        step.send_all(flow, &outputs);
        Branch {
            via_branch: outgoing.via_branch,
            flow,
            client,
            cancel: None,
            is_cancel_wanted: false,
            cancel_reason: None,
            is_given_up: false,
            outcome: Outcome::Pending,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.outcome, Outcome::Pending)
    }

    /// It has failed with a 6xx, and a service had not given it up.
    pub(crate) fn refuses_for_all(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failure) if failure.status >= 600)
            && !self.is_given_up
    }

    /// Sends the CANCEL that waited for a provisional response.
    pub(crate) fn cancel_if_wanted(&mut self, step: &mut Step<'_>) {
        if self.is_cancel_wanted {
            self.cancel(step, None);
        }
    }

    /// RFC 3261 §9.1: no CANCEL before a provisional response, none after a final one.
    pub(crate) fn cancel(&mut self, step: &mut Step<'_>, reason: Option<&str>) {
        let reason = self.cancel_reason.take().or_else(|| reason.map(str::to_owned));
        match self.client.state() {
            ClientInviteState::Calling => {
                self.is_cancel_wanted = true;
                self.cancel_reason = reason;
            }
            ClientInviteState::Proceeding if self.cancel.is_none() => {
                let Ok(invite) = Message::parse(self.client.request()) else { return };
                let cancel = build::cancel(&invite, reason.as_deref());
                let (now, timers) = (step.now(), step.timers());
                let (cancel, outputs) = ClientNonInvite::start(now, timers, cancel);
                step.send_all(self.flow, &outputs);
                self.cancel = Some(cancel);
                self.client.on_cancel_sent(now, timers);
            }
            _ => {}
        }
    }

    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) {
        let (now, timers) = (step.now(), step.timers());
        let outputs = self.client.on_timeout(now, timers);
        step.send_all(self.flow, &outputs);
        if outputs.contains(&TransactionOutput::Timeout) {
            if !self.client.is_terminated() {
                self.cancel(step, None);
            } else if self.is_pending() {
                self.outcome = Outcome::Failed(Failure::no_answer());
            }
        }
        if let Some(cancel) = &mut self.cancel {
            let outputs = cancel.on_timeout(now, timers);
            step.send_all(self.flow, &outputs);
        }
    }

    pub(crate) fn resume(&mut self, step: &mut Step<'_>) {
        let outputs = self.client.resume(step.now(), step.timers());
        step.send_all(self.flow, &outputs);
        self.resume_cancel(step);
    }

    /// Goes on with what may still come: the INVITE is not said again, and its CANCEL waits for
    /// nothing.
    pub(crate) fn resume_silently(&mut self, step: &mut Step<'_>) {
        self.client.resume_silently(step.now(), step.timers());
        self.resume_cancel(step);
        self.cancel_if_wanted(step);
    }

    fn resume_cancel(&mut self, step: &mut Step<'_>) {
        let (now, timers) = (step.now(), step.timers());
        if let Some(cancel) = &mut self.cancel {
            let outputs = cancel.resume(now, timers);
            step.send_all(self.flow, &outputs);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let cancel = self.cancel.as_ref().and_then(ClientNonInvite::next_timeout);
        self.client.next_timeout().into_iter().chain(cancel).min()
    }

    pub(crate) fn is_terminated(&self) -> bool {
        let is_cancel_over = self.cancel.as_ref().is_none_or(ClientNonInvite::is_terminated);
        self.client.is_terminated() && is_cancel_over
    }
}
