//! One INVITE on its way through (RFC 3261 §16): a server transaction towards its sender, and a
//! client transaction for each target it is forked to.
//!
//! | server     | input                    | what happens                    | news     |
//! |------------|--------------------------|---------------------------------|----------|
//! | (start)    | INVITE                   | 100, not always (`trying.rs`)   |          |
//! | Proceeding | 1xx of a target, not 100 | passed on                       | Progress |
//! | Proceeding | 2xx of a target          | passed on; the others cancelled | Answered |
//! | Proceeding | 6xx of a target          | kept; the others cancelled      |          |
//! | Proceeding | 300-599 of a target      | kept                            |          |
//! | Proceeding | timer B, C: silence      | kept as 408; after C a CANCEL   |          |
//! | Proceeding | it rings for too long    | 408; targets cancelled          | Failed   |
//! | Proceeding | the last target failed   | the best failure passed on      | Failed   |
//! | Proceeding | 1xx, failure of one that | nothing: the call goes on       |          |
//! |            | a service has given up   | without it                      |          |
//! | Proceeding | CANCEL, no targets yet   | 200; 487                        | Failed   |
//! | Proceeding | CANCEL                   | 200; targets cancelled          |          |
//! | Proceeding | failure by a service     | sent; targets cancelled         | Failed   |
//! | Proceeding | a fork of it is answered | 487; targets cancelled          | Failed   |
//! |            | (`upstream_fork.rs`)     |                                 |          |
//! | Accepted   | 2xx of a target          | passed on                       | Answered |
//! | any other  | 2xx of a target          | nothing: `late_answer.rs`       | Late     |
//! | any        | INVITE again             | the last response again         |          |
//!
//! A CANCEL goes to a target once it has answered with a provisional response (§9.1). A CANCEL
//! of our client has no server transaction here: repeated, it gets the same 200 again. From
//! another network than the INVITE (`SourceNetwork`) it is nobody's, and gets 481.
//! Used for the INVITE that begins a call and for those within it; what its outcome means for
//! the call is in `call.rs`.

use crate::asserted_identity::strip_assertions;
use crate::best_response::{Failure, best};
use crate::cancel_reason::{self, COMPLETED_ELSEWHERE};
use crate::incoming::{Incoming, TransactionKey};
use crate::invite_branch::{Branch, Outcome};
use crate::outgoing::Outgoing;
use crate::response::{has_next_via, is_for_user, without_our_via};
use crate::session_timer::{self, Offer};
use crate::step::Step;
use crate::trying::{self, Trying};
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::transaction::ServerInviteState;
use resilee_sip_proto::{Edit, Message, ServerInvite, TransactionOutput, build};
use serde::{Deserialize, Serialize};

/// An INVITE that we are proxying.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProxiedInvite {
    /// Matches retransmissions, ACK and CANCEL.
    key: TransactionKey,
    /// Where responses go.
    reply_to: Flow,
    /// The INVITE as received, for our own responses; empty once it is finally answered.
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
    /// To tag of our own responses.
    local_tag: String,
    /// Towards the sender.
    server: ServerInvite,
    /// Towards the targets.
    branches: Vec<Branch>,
    /// The sender gave up.
    is_cancelled: bool,
    /// The session timer that it went on with.
    #[serde(default)]
    session: Option<Offer>,
    /// Its 100.
    #[serde(default, skip_serializing_if = "Trying::is_over")]
    trying: Trying,
}

/// What the user of the INVITE has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InviteNews {
    /// A provisional response above 100 of the target at this flow was passed on.
    Progress(Flow),
    /// A 2xx of the target at this flow was passed on; also each time it is repeated.
    Answered(Flow),
    /// The target at this flow has said 2xx, also each time that it is repeated, and it was not
    /// passed on: the sender has had its final response.
    AnsweredLate(Flow),
    /// The final failure of this status was sent to the sender.
    Failed(u16),
}

impl ProxiedInvite {
    /// Takes an INVITE that belongs to no transaction yet; it is answered 100 at once.
    pub(crate) fn start(step: &mut Step<'_>, incoming: &Incoming<'_>) -> Self {
        let mut invite = ProxiedInvite::wait(step, incoming);
        invite.say_trying(step, incoming.message);
        invite
    }

    /// The same, but it is for a service to say what becomes of it.
    pub(crate) fn wait(step: &mut Step<'_>, incoming: &Incoming<'_>) -> Self {
        let request = incoming.message;
        step.changed();
        ProxiedInvite {
            key: TransactionKey::of(request),
            reply_to: incoming.reply_to(),
            request: request.bytes().to_vec(),
            local_tag: step.element.local_tag(request),
            server: ServerInvite::start(step.now(), step.timers()),
            branches: Vec::new(),
            is_cancelled: false,
            session: Offer::of(step.element, request),
            trying: Trying::wait(step.now()),
        }
    }

    /// Answers it 100, unless that was done.
    pub(crate) fn say_trying(&mut self, step: &mut Step<'_>, request: &Message<'_>) {
        if self.trying.end() {
            self.send_response(step, 100, build::response(request, 100, "", None, &[], &[]));
        }
    }

    /// Whether the request is this INVITE again, its ACK or its CANCEL. Whoever got the INVITE
    /// could write a CANCEL: it must come from where the INVITE did (RFC 3261 §22.1).
    pub(crate) fn matches(&self, incoming: &Incoming<'_>) -> bool {
        self.key.matches(incoming.message)
            && (incoming.method() != "CANCEL" || incoming.is_from_network_of(&self.reply_to))
    }

    /// No final response was sent.
    pub(crate) fn is_pending(&self) -> bool {
        self.server.state() == ServerInviteState::Proceeding
    }

    /// It was sent to no target yet.
    pub(crate) fn has_no_targets(&self) -> bool {
        self.branches.is_empty()
    }

    /// No final response was sent, its sender still wants one, and no target has refused it for
    /// all others (RFC 3261 §16.7 step 5).
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_pending()
            && !self.is_cancelled
            && !self.branches.iter().any(Branch::refuses_for_all)
    }

    /// So many targets it was sent to, as long as it is pending.
    pub(crate) fn targets(&self) -> usize {
        self.branches.len()
    }

    /// It went on under this branch, and there is no final answer to that.
    pub(crate) fn waits_at(&self, via_branch: &str) -> bool {
        let is_it = |branch: &Branch| branch.via_branch == via_branch;
        self.branches.iter().any(|branch| is_it(branch) && branch.is_pending())
    }

    /// The INVITE as received; empty once it is finally answered.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// How long the session lasts by its 2xx, in seconds; `None`: without end.
    pub(crate) fn session_s(&self, answer: &Message<'_>) -> Option<u32> {
        session_timer::agreed_s(self.session.as_ref(), answer)
    }

    /// As if no service had said where it goes.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn forget_targets(&mut self) {
        self.branches.clear();
    }

    /// All transactions are over.
    pub(crate) fn is_terminated(&self) -> bool {
        self.server.is_terminated() && self.branches.iter().all(Branch::is_terminated)
    }

    /// Sends it to one more target.
    pub(crate) fn forward(&mut self, step: &mut Step<'_>, outgoing: Outgoing, flow: Flow) {
        step.changed();
        // Most have one, and room for four would be kept as long as the call.
        self.branches.reserve_exact(1);
        self.branches.push(Branch::start(step, outgoing, flow));
    }

    /// It goes on without its targets: only an answer of theirs is passed on.
    pub(crate) fn give_up_targets(&mut self, step: &mut Step<'_>) {
        step.changed();
        self.branches.iter_mut().for_each(|branch| branch.is_given_up = true);
        self.cancel_pending(step, None);
    }

    /// Answers it with a failure of our own.
    pub(crate) fn fail(
        &mut self,
        step: &mut Step<'_>,
        status: u16,
        reason: &str,
        headers: &[(&str, &str)],
    ) -> Option<InviteNews> {
        let request = Message::parse(&self.request).ok()?;
        let tag = Some(self.local_tag.as_str());
        let response = build::response(&request, status, reason, tag, headers, &[]);
        self.conclude(step, status, response)
    }

    /// Another branch of the proxy in front of us was answered.
    pub(crate) fn give_way(&mut self, step: &mut Step<'_>) -> Option<InviteNews> {
        self.cancel_pending(step, Some(COMPLETED_ELSEWHERE));
        self.fail(step, 487, "", &[])
    }

    /// Nobody has answered for too long: 408, or what the sender's CANCEL asks for.
    pub(crate) fn give_up(&mut self, step: &mut Step<'_>) -> Option<InviteNews> {
        self.fail(step, if self.is_cancelled { 487 } else { 408 }, "", &[])
    }

    /// The INVITE came again.
    pub(crate) fn on_repeated(&mut self, step: &mut Step<'_>, request: &Message<'_>) {
        let outputs = self.server.on_request(request.bytes());
        step.send_all(self.reply_to, &outputs);
    }

    /// The ACK of a failure. One of a 2xx has a branch of its own, but for clients of RFC 2543:
    /// then true, and it is to be forwarded.
    pub(crate) fn on_ack(&mut self, step: &mut Step<'_>, ack: &Message<'_>) -> bool {
        let outputs = self.server.on_ack(step.now(), step.timers(), ack.bytes());
        outputs.iter().any(|output| matches!(output, TransactionOutput::ToUser(_)))
    }

    /// RFC 3261 §16.10: the CANCEL is answered 200 whatever comes of it.
    pub(crate) fn on_cancel(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> Option<InviteNews> {
        let tag = Some(self.local_tag.as_str());
        let ok = build::response(incoming.message, 200, "", tag, &[], &[]);
        step.send(incoming.reply_to(), ok);
        if self.is_cancelled || !self.is_pending() {
            return None;
        }
        self.is_cancelled = true;
        step.changed();
        if self.has_no_targets() {
            return self.fail(step, 487, "", &[]);
        }
        self.cancel_pending(step, cancel_reason::of_client(incoming.message).as_deref());
        None
    }

    /// A response under the Via of one of the branches, to the INVITE or to its CANCEL; false
    /// if it is for none of them.
    pub(crate) fn on_response(
        &mut self,
        step: &mut Step<'_>,
        response: &Message<'_>,
    ) -> (bool, Option<InviteNews>) {
        let via_branch = response.top_via().branch().unwrap_or_default();
        let index = self.branches.iter().position(|branch| branch.via_branch == via_branch);
        let (Some(index), Some(status)) = (index, response.status()) else {
            return (false, None);
        };
        let branch = &mut self.branches[index];
        let flow = branch.flow;
        let (now, timers) = (step.now(), step.timers());
        match response.cseq().1 {
            "INVITE" if has_next_via(response) => {}
            "CANCEL" => {
                if let Some(cancel) = &mut branch.cancel {
                    cancel.on_response(now, timers, response.bytes(), status);
                }
                return (true, None);
            }
            _ => return (true, None),
        }
        let outputs = branch.client.on_response(now, timers, response.bytes(), status);
        step.send_all(flow, &outputs);
        if !is_for_user(&outputs) {
            return (true, None);
        }
        let news = match status {
            100..=199 => self.on_provisional(step, index, status, response),
            200..=299 => self.on_answer(step, index, status, response),
            _ => self.on_failure(step, index, status, response),
        };
        (true, news)
    }

    /// Fires the timers that are due.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) -> Option<InviteNews> {
        let (now, timers) = (step.now(), step.timers());
        let outputs = self.server.on_timeout(now, timers);
        step.send_all(self.reply_to, &outputs);
        for branch in &mut self.branches {
            branch.on_timeout(step);
        }
        if self.trying.is_due(now) {
            let bytes = self.request.clone();
            Message::parse(&bytes).iter().for_each(|request| self.say_trying(step, request));
        }
        let news = self.settle(step);
        self.forget_terminated();
        news
    }

    /// Goes on at the survivor: an INVITE that nobody answered is sent again.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>) {
        let outputs = self.server.resume(step.now(), step.timers());
        step.send_all(self.reply_to, &outputs);
        for branch in &mut self.branches {
            branch.resume(step);
        }
    }

    /// The same when it is too late to say it again to anybody: only what may still come is taken.
    pub(crate) fn resume_silently(&mut self, step: &mut Step<'_>) {
        self.branches.iter_mut().for_each(|branch| branch.resume_silently(step));
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let branches = self.branches.iter().filter_map(Branch::next_timeout);
        branches.chain(self.server.next_timeout()).chain(self.trying.due_at()).min()
    }

    fn on_provisional(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        status: u16,
        response: &Message<'_>,
    ) -> Option<InviteNews> {
        let branch = &mut self.branches[index];
        let (flow, is_given_up) = (branch.flow, branch.is_given_up);
        branch.cancel_if_wanted(step);
        // RFC 3261 §16.7 step 5: a 100 goes one hop.
        if status == 100 || is_given_up || !self.is_pending() {
            return None;
        }
        self.send_response(step, status, without_our_via(response));
        Some(InviteNews::Progress(flow))
    }

    fn on_answer(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        status: u16,
        response: &Message<'_>,
    ) -> Option<InviteNews> {
        let flow = self.branches[index].flow;
        self.branches[index].outcome = Outcome::Answered;
        let has_room = matches!(
            self.server.state(),
            ServerInviteState::Proceeding | ServerInviteState::Accepted
        );
        if !has_room {
            return Some(InviteNews::AnsweredLate(flow));
        }
        let mut edit = Edit::new(response);
        strip_assertions(response, &mut edit);
        session_timer::amend(self.session.as_ref(), response, edit.pop_via());
        self.send_response(step, status, edit.finish());
        self.forget_messages();
        self.cancel_pending(step, Some(COMPLETED_ELSEWHERE));
        Some(InviteNews::Answered(flow))
    }

    /// The failure is kept by the backup before its ACK leaves: the target won't repeat it.
    fn on_failure(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        status: u16,
        response: &Message<'_>,
    ) -> Option<InviteNews> {
        let failure = Failure::of_invite(status, without_our_via(response));
        let branch = &mut self.branches[index];
        branch.outcome = Outcome::Failed(failure);
        let ends_all = branch.refuses_for_all();
        if !self.is_pending() {
            return None;
        }
        step.changed();
        if ends_all {
            self.cancel_pending(step, Some(&cancel_reason::of_refusal(status)));
        }
        self.settle(step)
    }

    /// Once all targets failed, the best failure goes to the sender.
    fn settle(&mut self, step: &mut Step<'_>) -> Option<InviteNews> {
        let is_failed = |branch: &Branch| matches!(branch.outcome, Outcome::Failed(_));
        if !self.is_pending() || !self.branches.iter().all(is_failed) {
            return None;
        }
        let failures = self.branches.iter().filter_map(|branch| match &branch.outcome {
            Outcome::Failed(failure) if !branch.is_given_up => Some(failure),
            _ => None,
        });
        let Failure { status, response } = best(failures)?;
        if response.is_empty() {
            return self.fail(step, if self.is_cancelled { 487 } else { status }, "", &[]);
        }
        self.conclude(step, status, response)
    }

    fn conclude(
        &mut self,
        step: &mut Step<'_>,
        status: u16,
        response: Vec<u8>,
    ) -> Option<InviteNews> {
        if self.trying.end() && trying::is_sent_once(status) {
            self.server.send_once();
        }
        self.send_response(step, status, response);
        self.forget_messages();
        self.cancel_pending(step, None);
        step.changed();
        Some(InviteNews::Failed(status))
    }

    fn cancel_pending(&mut self, step: &mut Step<'_>, reason: Option<&str>) {
        for branch in self.branches.iter_mut().filter(|branch| branch.is_pending()) {
            branch.cancel(step, reason);
        }
    }

    fn send_response(&mut self, step: &mut Step<'_>, status: u16, response: Vec<u8>) {
        let outputs = self.server.respond(step.now(), step.timers(), status, response);
        step.send_all(self.reply_to, &outputs);
    }

    /// A final response was sent: what was kept to make it is needed no more.
    fn forget_messages(&mut self) {
        self.request = Vec::new();
        for branch in &mut self.branches {
            if let Outcome::Failed(failure) = &mut branch.outcome {
                failure.response = Vec::new();
            }
        }
    }

    /// A final response was sent: targets whose transactions are over matter no more.
    fn forget_terminated(&mut self) {
        if !self.is_pending() {
            self.branches.retain(|branch| !branch.is_terminated());
        }
    }
}
