//! One request that is neither INVITE nor ACK on its way through (RFC 3261 §16): a server
//! transaction towards its sender, and a client transaction for each target.
//!
//! | input                         | what happens                         | news      |
//! |-------------------------------|--------------------------------------|-----------|
//! | 1xx of a target, not 100      | passed on                            |           |
//! | 2xx of a target               | passed on; that of an UPDATE may get | Completed |
//! |                               | a session timer (`session_timer.rs`) |           |
//! | 300-699 of a target           | kept                                 |           |
//! | final that is too large       | passed on and not kept; in a fork a  | Completed |
//! |                               | failure counts as silence (`room.rs`)|           |
//! | timer F: a target is silent   |                                      |           |
//! | the last target failed        | the best failure passed on           | Completed |
//! | all targets were silent       | nothing is sent, and it is forgotten | TimedOut  |
//! | request again                 | the last response again              |           |
//! | its CANCEL                    | answered 200; nothing else           |           |
//!
//! RFC 4320 §4.2 forbids a 408 here: the sender's own timer F fires at the same time.
//! What the outcome means for a call is in `in_dialog.rs`.

use crate::asserted_identity::strip_assertions;
use crate::best_response::{Failure, best};
use crate::incoming::{Incoming, TransactionKey};
use crate::outgoing::Outgoing;
use crate::response::{has_next_via, is_for_user, without_our_via};
use crate::session_timer::{self, Offer};
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::transaction::{RESPONSE_KEPT_MAX, ServerNonInviteState};
use resilee_sip_proto::{
    ClientNonInvite, Edit, Message, ServerNonInvite, TransactionOutput, build,
};
use serde::{Deserialize, Serialize};

/// A request that we are proxying, or answering ourselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProxiedRequest {
    /// Matches retransmissions.
    key: TransactionKey,
    /// Where responses go.
    reply_to: Flow,
    /// Towards the sender.
    server: ServerNonInvite,
    /// Towards the targets.
    branches: Vec<Branch>,
    /// No target answered: the sender has given up too.
    is_abandoned: bool,
    /// The session timer that an UPDATE went on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Offer>,
}

/// One target of the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Branch {
    /// Branch of our Via.
    via_branch: String,
    /// Where the target is.
    flow: Flow,
    /// The request.
    client: ClientNonInvite,
    /// Its final response, unless it was a 2xx.
    failure: Option<Failure>,
}

/// What the user of the request has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestNews {
    /// The final response of this status was sent to the sender.
    Completed(u16),
    /// No target answered in time.
    TimedOut,
}

impl ProxiedRequest {
    /// Takes a request that belongs to no transaction yet.
    pub(crate) fn start(step: &Step<'_>, incoming: &Incoming<'_>) -> Self {
        ProxiedRequest {
            key: TransactionKey::of(incoming.message),
            reply_to: incoming.reply_to(),
            server: ServerNonInvite::start(step.now(), step.timers()),
            branches: Vec::new(),
            is_abandoned: false,
            session: Offer::of(step.element, incoming.message),
        }
    }

    /// Whether the request is this one again, or its CANCEL; who could write one without having
    /// sent the request finds none (RFC 3261 §22.1).
    pub(crate) fn matches(&self, incoming: &Incoming<'_>) -> bool {
        !self.is_terminated() && self.is_it(incoming)
    }

    fn is_it(&self, incoming: &Incoming<'_>) -> bool {
        self.key.matches(incoming.message)
            || (self.key.is_cancelled_by(incoming.message)
                && incoming.is_from_network_of(&self.reply_to))
    }

    /// No final response was sent.
    pub(crate) fn is_pending(&self) -> bool {
        let state = self.server.state();
        matches!(state, ServerNonInviteState::Trying | ServerNonInviteState::Proceeding)
            && !self.is_abandoned
    }

    /// It was sent to no target yet.
    pub(crate) fn has_no_targets(&self) -> bool {
        self.branches.is_empty()
    }

    /// How long the session lasts by the 2xx of an UPDATE, in seconds; `None`: without end.
    pub(crate) fn session_s(&self, answer: &Message<'_>) -> Option<u32> {
        session_timer::agreed_s(self.session.as_ref(), answer)
    }

    /// All transactions are over.
    pub(crate) fn is_terminated(&self) -> bool {
        let is_server_over = self.server.is_terminated() || self.is_abandoned;
        is_server_over && self.branches.iter().all(|branch| branch.client.is_terminated())
    }

    /// Sends it to one more target.
    pub(crate) fn forward(&mut self, step: &mut Step<'_>, outgoing: Outgoing, flow: Flow) {
        let (client, outputs) = ClientNonInvite::start(step.now(), step.timers(), outgoing.bytes);
        step.send_all(flow, &outputs);
        let via_branch = outgoing.via_branch;
        self.branches.reserve_exact(1);
        self.branches.push(Branch { via_branch, flow, client, failure: None });
    }

    /// Sends a response to the sender.
    pub(crate) fn respond(&mut self, step: &mut Step<'_>, status: u16, response: Vec<u8>) {
        let outputs = self.server.respond(step.now(), step.timers(), status, response);
        step.send_all(self.reply_to, &outputs);
    }

    /// The request came again, or its CANCEL, which has no effect on it (RFC 3261 §9.2): it can be
    /// answered at once.
    pub(crate) fn on_repeated(&mut self, step: &mut Step<'_>, incoming: &Incoming<'_>) {
        if incoming.method() == "CANCEL" {
            let tag = step.element.local_tag(incoming.message);
            let ok = build::response(incoming.message, 200, "", Some(&tag), &[], &[]);
            return step.send(incoming.reply_to(), ok);
        }
        let outputs = self.server.on_request(incoming.message.bytes());
        step.send_all(self.reply_to, &outputs);
    }

    /// A response under the Via of one of the branches; false if it is for none of them.
    pub(crate) fn on_response(
        &mut self,
        step: &mut Step<'_>,
        response: &Message<'_>,
    ) -> (bool, Option<RequestNews>) {
        let via_branch = response.top_via().branch().unwrap_or_default();
        let found = self.branches.iter_mut().find(|branch| branch.via_branch == via_branch);
        let (Some(branch), Some(status)) = (found, response.status()) else {
            return (false, None);
        };
        if !self.key.is_of_method(response.cseq().1) || !has_next_via(response) {
            return (true, None);
        }
        let (now, timers) = (step.now(), step.timers());
        let outputs = branch.client.on_response(now, timers, response.bytes(), status);
        if !is_for_user(&outputs) || !self.is_pending() {
            return (true, None);
        }
        let news = match status {
            100 => None,
            101..=199 => {
                self.respond(step, status, without_our_via(response));
                None
            }
            200..=299 => {
                let mut edit = Edit::new(response);
                strip_assertions(response, &mut edit);
                session_timer::amend(self.session.as_ref(), response, edit.pop_via());
                Some(self.complete(step, status, edit.finish()))
            }
            _ => {
                let response = without_our_via(response);
                let is_kept = self.branches.len() == 1 || response.len() <= RESPONSE_KEPT_MAX;
                let failure = Failure { status, response };
                let failure = if is_kept { failure } else { Failure::no_answer() };
                self.fail_branch(via_branch, failure);
                self.settle(step)
            }
        };
        (true, news)
    }

    /// Fires the timers that are due.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) -> Option<RequestNews> {
        let (now, timers) = (step.now(), step.timers());
        self.server.on_timeout(now, timers);
        let mut is_silent = false;
        for branch in &mut self.branches {
            let outputs = branch.client.on_timeout(now, timers);
            step.send_all(branch.flow, &outputs);
            if outputs.contains(&TransactionOutput::Timeout) {
                branch.failure = Some(Failure::no_answer());
                is_silent = true;
            }
        }
        let news = if is_silent { self.settle(step) } else { None };
        if !self.is_pending() {
            self.branches.retain(|branch| !branch.client.is_terminated());
        }
        news
    }

    /// Goes on at the survivor: what nobody answered is sent again.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>) {
        let (now, timers) = (step.now(), step.timers());
        let outputs = self.server.resume(now, timers);
        step.send_all(self.reply_to, &outputs);
        for branch in &mut self.branches {
            let outputs = branch.client.resume(now, timers);
            step.send_all(branch.flow, &outputs);
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let branches = self.branches.iter().filter_map(|branch| branch.client.next_timeout());
        branches.chain(self.server.next_timeout()).min()
    }

    fn fail_branch(&mut self, via_branch: &str, failure: Failure) {
        let found = self.branches.iter_mut().find(|branch| branch.via_branch == via_branch);
        if let Some(branch) = found {
            branch.failure = Some(failure);
        }
    }

    /// Once all targets failed, the best answer among them goes to the sender.
    fn settle(&mut self, step: &mut Step<'_>) -> Option<RequestNews> {
        if !self.is_pending() || self.branches.iter().any(|branch| branch.failure.is_none()) {
            return None;
        }
        let failures = self.branches.iter().filter_map(|branch| branch.failure.as_ref());
        let answers = failures.filter(|failure| !failure.response.is_empty());
        let Some(Failure { status, response }) = best(answers) else {
            self.is_abandoned = true;
            return Some(RequestNews::TimedOut);
        };
        Some(self.complete(step, status, response))
    }

    fn complete(&mut self, step: &mut Step<'_>, status: u16, response: Vec<u8>) -> RequestNews {
        let is_kept = response.len() <= RESPONSE_KEPT_MAX;
        self.respond(step, status, response);
        if !is_kept {
            self.branches.clear();
        }
        let failures = self.branches.iter_mut().filter_map(|branch| branch.failure.as_mut());
        failures.for_each(|failure| failure.response = Vec::new());
        RequestNews::Completed(status)
    }
}
