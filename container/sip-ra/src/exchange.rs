//! One request outside a dialog that is no INVITE: REGISTER, OPTIONS, MESSAGE, and others.
//!
//! | a service says | what happens                                                              |
//! |----------------|---------------------------------------------------------------------------|
//! | Respond        | sent; the activity ends in the same turn                                  |
//! | Proxy          | forwarded; the activity ends when all transactions have (timers J, K)     |
//! | nothing        | after 64*T1 the sender has given up, and the activity ends                |
//!
//! SUBSCRIBE and REFER begin dialogs: our Record-Route leads what follows, a NOTIFY above all, from
//! one end to the other (`ends.rs`). Each such request is an exchange of its own, which no service
//! hears of.
//!
//! An answer of our own is not kept for retransmissions: a request that comes again is a new
//! activity, and services answer it the same way again. That is what keeps the answer to a
//! REGISTER right on the survivor, too.

use crate::breadth::{breadth_of, shares};
use crate::call::destinations;
use crate::client::Client;
use crate::incoming::Incoming;
use crate::nonce::{NonceSource, Scope};
use crate::outgoing::{Hop, Outgoing};
use crate::party::{self, Authorization};
use crate::proxied_request::ProxiedRequest;
use crate::refusal::knows_of_path;
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::{Failure, Timestamp};
use resilee_sip_api::Target;
use resilee_sip_proto::{Message, build};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// The request as received, until it is decided.
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
    /// Where it came from.
    source: Flow,
    proxied: ProxiedRequest,
    /// A service answered it: nothing is left to do.
    is_answered: bool,
    /// Without a command of a service by then, it is over.
    decide_by: Option<Timestamp>,
    /// A call of its Call-ID has been here beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beside_call: bool,
}

impl Exchange {
    /// Takes a request outside a dialog.
    pub(crate) fn start(
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
        authorization: Authorization,
    ) -> Self {
        if incoming.method() == "REGISTER" {
            let event = party::register(incoming, authorization);
            step.fire(&event);
        } else {
            let event = party::other_request(incoming, authorization);
            step.fire(&event);
        }
        Exchange {
            request: incoming.message.bytes().to_vec(),
            source: incoming.home(),
            proxied: ProxiedRequest::start(step, incoming),
            is_answered: false,
            decide_by: Some(decision_deadline(step)),
            beside_call: false,
        }
    }

    /// Takes a request within a dialog that is not a call's: it goes to the other end, and no
    /// service is asked.
    pub(crate) fn start_within_dialog(
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
        receiver: Client,
    ) -> Self {
        let mut proxied = ProxiedRequest::start(step, incoming);
        let flow = receiver.flow_beside(&incoming.flow);
        let outgoing = Outgoing::within_other_dialog(step, incoming.message, &flow);
        proxied.forward(step, outgoing, flow);
        Exchange {
            request: Vec::new(),
            source: incoming.home(),
            proxied,
            is_answered: false,
            decide_by: None,
            beside_call: false,
        }
    }

    /// Over, and nothing is left to be repeated.
    pub(crate) fn is_over(&self) -> bool {
        self.is_answered || self.proxied.is_terminated()
    }

    /// It is kept for retransmissions alone.
    pub(crate) fn is_answered(&self) -> bool {
        self.decide_by.is_none() && !self.proxied.is_pending()
    }

    /// Bytes of the request, until it is decided.
    pub(crate) fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// Its Call-ID, until it is decided.
    pub(crate) fn call_id(&self) -> String {
        let request = Message::parse(&self.request);
        request.map(|request| request.call_id().to_owned()).unwrap_or_default()
    }

    /// A nonce to challenge the request.
    pub(crate) fn nonce(&self, nonces: &mut NonceSource, step: &Step<'_>) -> String {
        let request = self.message();
        let source = self.source.remote.ip();
        let unread = Scope::call("", source);
        let scope = request.as_ref().map_or(unread, |request| Scope::of(request, source));
        nonces.make(&step.element.secret, step.now(), scope)
    }

    /// A service answers the request.
    ///
    /// # Errors
    /// A status that is not final, or a request that was answered before.
    pub(crate) fn respond(
        &mut self,
        step: &mut Step<'_>,
        status: u16,
        reason: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), Failure> {
        if !(200..=699).contains(&status) {
            return Err(Failure::new(format!("{status} is not a final response")));
        }
        if !self.is_undecided() {
            return Err(Failure::new("the request was answered or proxied before"));
        }
        let request = self.message()?;
        let tag = step.element.local_tag(&request);
        let takes_path = knows_of_path(&request);
        let taken = |(name, _): &&(&str, &str)| takes_path || !name.eq_ignore_ascii_case("Path");
        let headers: Vec<_> = headers.iter().filter(taken).copied().collect();
        let response = build::response(&request, status, reason, Some(&tag), &headers, &[]);
        self.proxied.respond(step, status, response);
        self.is_answered = true;
        self.decided(step);
        Ok(())
    }

    /// A service says where the request goes.
    ///
    /// # Errors
    /// A REGISTER, whose answer must come from here; a request that was answered or sent on
    /// before; no target, too many, or one without an address.
    pub(crate) fn proxy(&mut self, step: &mut Step<'_>, targets: &[Target]) -> Result<(), Failure> {
        if !self.is_undecided() {
            return Err(Failure::new("the request was answered or proxied before"));
        }
        let destinations = destinations(targets, self.source)?;
        let bytes = self.request.clone();
        let request = Message::parse(&bytes).map_err(|error| Failure::new(error.to_string()))?;
        if request.method() == Some("REGISTER") {
            return Err(Failure::new("a REGISTER is not proxied"));
        }
        // An OPTIONS that was to end here.
        if request.max_forwards() == Some(0) {
            return self.respond(step, 483, "", &[]);
        }
        let Some(shares) = shares(breadth_of(&request), targets.len()) else {
            return self.respond(step, 440, "", &[]);
        };
        for (index, ((target, flow), breadth)) in
            (0..).zip(targets.iter().zip(destinations).zip(shares))
        {
            let recorded = begins_dialog(&request).then_some((&self.source, 0));
            let hop = Hop { to: &flow, recorded, breadth, diversion: None };
            let outgoing = Outgoing::to_target(step, &request, index, target, hop);
            self.proxied.forward(step, outgoing, flow);
        }
        self.decided(step);
        Ok(())
    }

    /// The request again, or its CANCEL; false if it is another one.
    pub(crate) fn on_known_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        let is_known = self.proxied.matches(incoming);
        if is_known {
            self.proxied.on_repeated(step, incoming);
        }
        is_known
    }

    /// A response of a target; false if it is for another activity.
    pub(crate) fn on_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        self.proxied.on_response(step, response).0
    }

    /// Fires the timers that are due.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) {
        if self.decide_by.is_some_and(|at| at <= step.now()) {
            self.is_answered = true;
        }
        self.proxied.on_timeout(step);
    }

    /// Goes on at the survivor.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>) {
        self.decide_by = self.decide_by.map(|_| decision_deadline(step));
        self.proxied.resume(step);
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.proxied.next_timeout().into_iter().chain(self.decide_by).min()
    }

    /// No service has answered or proxied it yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.proxied.is_pending() && self.proxied.has_no_targets() && !self.is_answered
    }

    fn message(&self) -> Result<Message<'_>, Failure> {
        Message::parse(&self.request).map_err(|error| Failure::new(error.to_string()))
    }

    fn decided(&mut self, step: &mut Step<'_>) {
        self.request = Vec::new();
        self.decide_by = None;
        step.changed();
    }
}

/// What stays on the path of the requests that follow (RFC 6665 §4.1.2.1, RFC 3515).
fn begins_dialog(request: &Message<'_>) -> bool {
    matches!(request.method(), Some("SUBSCRIBE" | "REFER"))
}

/// The sender's own timer F.
fn decision_deadline(step: &Step<'_>) -> Timestamp {
    step.now() + Duration::from_millis(step.timers().t1_ms.saturating_mul(64))
}
