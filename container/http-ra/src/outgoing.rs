//! A request of a service, and what becomes of it.
//!
//! | what happens                    | what is done                                           |
//! |---------------------------------|--------------------------------------------------------|
//! | a service calls                 | the request leaves when its commit is held             |
//! | its host is not allowed         | [`HttpFailed`], nothing is sent                        |
//! | too many calls are under way    | the same                                               |
//! | an answer comes                 | [`HttpResponse`](resilee_http_api::HttpResponse)       |
//! | none comes in time              | [`HttpFailed`]                                         |
//! | the node dies before the answer | the survivor sends it again, with the same key, and    |
//! |                                 | waits as long again                                    |
//! | all nodes die                   | the same, when one starts from its store               |
//! | an operator asks for liveness   | the shell is told again: it sends what it has not sent |
//!
//! So a request arrives at least once, or the service hears that it failed; its receiver knows a
//! second one by the header `Idempotency-Key`.

use crate::incoming::check_headers;
use crate::limits::HttpLimits;
use crate::url::Url;
use crate::wire::{ToShell, egress};
use resilee_core::Endpoint;
use resilee_http_api::{BODY_BYTES_MAX, Call, FailureReason, HttpFailed};
use resilee_sbb::{ActivityId, Failure, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Methods that a service may use.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Bytes of a key.
const KEY_BYTES_MAX: usize = 256;
/// The shell says itself when a time-out is over; so much longer the adaptor waits for that.
const GRACE: Duration = Duration::from_secs(1);

/// A request that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    /// With its key and its time-out.
    pub call: Call,
    /// When it counts as not answered.
    pub due: Timestamp,
}

impl Outgoing {
    /// A request as a service wants it.
    ///
    /// # Errors
    /// One that cannot be sent at all.
    pub fn new(
        now: Timestamp,
        activity: ActivityId,
        mut call: Call,
        limits: &HttpLimits,
    ) -> Result<Self, Failure> {
        if !METHODS.contains(&call.method.as_str()) {
            let method: String = call.method.chars().take(16).collect();
            return Err(Failure::new(format!("{method:?} is none of {}", METHODS.join(", "))));
        }
        Url::parse(&call.url).map_err(Failure::new)?;
        check_headers(&call.headers)?;
        if call.body.len() > limits.body_bytes_max.min(BODY_BYTES_MAX) {
            return Err(Failure::new(format!("a body of {} bytes is too large", call.body.len())));
        }
        if call.idempotency_key.is_empty() {
            call.idempotency_key = activity.to_string();
        }
        let is_plain = call.idempotency_key.bytes().all(|byte| byte.is_ascii_graphic());
        if call.idempotency_key.len() > KEY_BYTES_MAX || !is_plain {
            return Err(Failure::new("the idempotency key is too long, or not plain ASCII"));
        }
        call.timeout_ms = match call.timeout_ms {
            0 => limits.call_timeout_ms,
            wanted => wanted.min(limits.call_timeout_ms),
        };
        let due = now + Duration::from_millis(call.timeout_ms) + GRACE;
        Ok(Outgoing { call, due })
    }

    /// Why it is not sent, if it is not.
    pub fn refusal(&self, under_way: usize, limits: &HttpLimits) -> Option<HttpFailed> {
        let is_allowed = Url::parse(&self.call.url).is_ok_and(|url| limits.allow.allow(&url));
        let (reason, text) = if !is_allowed {
            (FailureReason::NotAllowed, "its host is not allowed: see [http] allow")
        } else if under_way >= limits.calls_max {
            (FailureReason::TooMany, "too many calls are under way: see [http] calls_max")
        } else {
            return None;
        };
        Some(HttpFailed { reason, text: text.to_owned() })
    }

    /// Has the shell send it.
    pub fn send(&self, endpoint: &mut Endpoint, activity: ActivityId) {
        let told = egress(&ToShell::Call { activity, call: self.call.clone() });
        endpoint.send(told.flow, told.bytes);
    }

    /// Sends it again at another node, and waits as long again.
    pub fn resume(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        self.due = endpoint.now() + Duration::from_millis(self.call.timeout_ms) + GRACE;
        self.send(endpoint, activity);
        endpoint.changed(activity);
    }
}
