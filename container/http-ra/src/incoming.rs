//! A request from outside, and who answers it.
//!
//! | what happens                        | it is answered with              |
//! |-------------------------------------|----------------------------------|
//! | a service answers it                | what that says                   |
//! | its path is not `/hooks/NAME…`      | 404                              |
//! | no service takes it                 | 404                              |
//! | it is larger than what is taken     | 413, 414 or 431                  |
//! | a service rolls it back             | 500                              |
//! | all leave it without an answer      | 500                              |
//! | too many wait, or none is taken now | 503, `Retry-After`               |
//! | nobody answers in time              | 504                              |
//! | its node dies                       | nothing: its connection is gone, |
//! |                                     | and its client repeats it        |
//!
//! After a takeover its activity ends: whatever its services did is kept.

use crate::limits::HttpLimits;
use crate::wire::{ToShell, Token, egress};
use resilee_core::{Egress, Endpoint};
use resilee_http_api::{
    BODY_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_MAX, HttpRequest, HttpResponse, URL_BYTES_MAX,
};
use resilee_sbb::{Failure, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How paths begin.
const HOOKS: &str = "/hooks/";

/// A request that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incoming {
    pub token: Token,
    /// When it is answered with 504.
    pub due: Timestamp,
}

impl Incoming {
    pub fn new(now: Timestamp, token: Token, limits: &HttpLimits) -> Self {
        Incoming { token, due: now + Duration::from_millis(limits.request_timeout_ms) }
    }

    /// Answers it; the caller ends its activity.
    pub fn answer(&self, endpoint: &mut Endpoint, response: HttpResponse) {
        let Egress { flow, bytes, .. } = respond(self.token, response);
        endpoint.send(flow, bytes);
    }
}

/// The answer to a request that no cell is for.
pub(crate) fn respond(token: Token, response: HttpResponse) -> Egress {
    egress(&ToShell::Respond { token, response })
}

/// An answer of the adaptor's own.
pub(crate) fn own_answer(status: u16, text: &str) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    HttpResponse { status, headers, body: format!("{text}\n").into_bytes() }
}

/// Why a request is answered at once, if it is.
pub(crate) fn refusal(request: &HttpRequest, limits: &HttpLimits) -> Option<HttpResponse> {
    let name = request.path.strip_prefix(HOOKS).filter(|name| !name.is_empty());
    if request.path.len() + request.query.len() > URL_BYTES_MAX {
        return Some(own_answer(414, "the path is too long"));
    }
    if are_large(&request.headers) {
        return Some(own_answer(431, "there are too many headers, or they are too long"));
    }
    if request.body.len() > limits.body_bytes_max.min(BODY_BYTES_MAX) {
        return Some(own_answer(413, "the body is too large"));
    }
    name.is_none().then(|| own_answer(404, "there is nothing here: hooks are below /hooks/"))
}

/// True if there are more or longer headers than what is taken.
pub(crate) fn are_large(headers: &[(String, String)]) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX
}

/// An answer that a service gave.
///
/// # Errors
/// One that cannot be sent.
pub(crate) fn check_answer(response: &HttpResponse, limits: &HttpLimits) -> Result<(), Failure> {
    if !(200..=599).contains(&response.status) {
        return Err(Failure::new(format!("{} is no status from 200 to 599", response.status)));
    }
    if response.body.len() > limits.body_bytes_max.min(BODY_BYTES_MAX) {
        return Err(Failure::new(format!("a body of {} bytes is too large", response.body.len())));
    }
    check_headers(&response.headers)
}

/// Headers that a service gave.
///
/// # Errors
/// Ones that cannot be sent, or that are not the service's to say.
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<(), Failure> {
    /// They say how a message is sent, and are written by whoever sends it.
    const OURS: [&str; 6] =
        ["connection", "content-length", "host", "idempotency-key", "transfer-encoding", "upgrade"];
    if are_large(headers) {
        return Err(Failure::new("there are too many headers, or they are too long"));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    for (name, value) in headers {
        let is_name = !name.is_empty() && name.bytes().all(is_token);
        let is_value = value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte));
        if !is_name || !is_value {
            return Err(Failure::new(format!("the header {name:?} cannot be sent")));
        }
        if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Failure::new(format!("the header {name:?} is not a service's to say")));
        }
    }
    Ok(())
}
