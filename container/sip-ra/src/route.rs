//! Whose a message is (`ResourceAdaptor::route`): the cell's key, and the cohort that the message
//! itself names. Nothing is changed here, and no state is looked at.
//!
//! | message                          | key              | creates | cohort                     |
//! |----------------------------------|------------------|---------|----------------------------|
//! | keep-alive, not SIP              | dropped          |         |                            |
//! | response under our Via           | Call-ID          | no      | of our branch              |
//! | of a call of our own             | none: its Call-ID names the cell (`own_invite.rs`)      |
//! | other response                   | dropped          |         |                            |
//! | request of a scanner             | dropped          |         |                            |
//! | what would create one, from a    | dropped          |         |                            |
//! | network that tries out passwords |                  |         |                            |
//! | REGISTER                         | address of record| yes     |                            |
//! | what belongs in a dialog of a    | Call-ID          | yes     | of our topmost Route       |
//! | SUBSCRIBE or REFER, by our Route |                  |         |                            |
//! | request with To tag, ACK, CANCEL | Call-ID          | no      | of our topmost Route       |
//! | other request                    | Call-ID          | yes     | of our topmost Route       |
//! | request with a fault, malformed  | answered         |         |                            |
//! | anything else that is malformed  | dropped          |         |                            |

use crate::authentication::{claimed_account, credentials};
use crate::element::Element;
use crate::ends::Ends;
use crate::own_invite;
use crate::password_guard::PasswordGuard;
use crate::refusal::{answer_malformed, fault};
use crate::strict_route::put_right;
use resilee_core::{Ingress, Route, Scope};
use resilee_sbb::{CohortId, Timestamp};
use resilee_sip_api::SourceNetwork;
use resilee_sip_proto::{
    HeaderName, Malformed, Message, ParseError, SipUri, is_keepalive, name_addr, parse_branch,
};

/// Why a scanner's request is dropped, malformed or not.
const OF_A_SCANNER: &str = "request of a scanner";

/// Whose a message is.
pub(crate) fn route(
    element: &Element,
    guard: &PasswordGuard,
    now: Timestamp,
    ingress: &Ingress,
) -> Route {
    if is_keepalive(&ingress.bytes) {
        return Route::Drop("keep-alive");
    }
    let message = match Message::parse(&ingress.bytes) {
        Ok(message) => message,
        Err(error) => return route_malformed(element, ingress, error),
    };
    let right = put_right(element, &message);
    let message = right.as_deref().and_then(|it| Message::parse(it).ok()).unwrap_or(message);
    match message.method() {
        None => route_response(element, &message),
        Some(_) if element.scanners.have_sent(&message) => Route::Drop(OF_A_SCANNER),
        Some(_) if is_barred(element, guard, now, ingress, &message) => {
            Route::Drop("request of a network that tries out passwords")
        }
        Some(method) => route_request(element, now, ingress, &message, method),
    }
}

fn route_malformed(element: &Element, ingress: &Ingress, error: ParseError) -> Route {
    match Malformed::read(&ingress.bytes, error) {
        Some(it) if element.scanners.are(&it.user_agent()) => Route::Drop(OF_A_SCANNER),
        Some(it) => Route::Answer(vec![answer_malformed(element, ingress, &it)]),
        None => Route::Drop(drop_reason(error)),
    }
}

fn route_response(element: &Element, response: &Message<'_>) -> Route {
    let via = response.top_via();
    // RFC 3261 §18.1.2: a response to somebody else's request.
    if !element.is_here(via.host(), via.port()) {
        return Route::Drop("response for another element");
    }
    let Some(branch) = via.branch().and_then(parse_branch) else {
        return Route::Drop("response to a request that was not ours");
    };
    if let Some(cell) = own_invite::cell_of_response(element, response) {
        return Route::Known(cell);
    }
    let key = element.secret.call_key(response.call_id());
    let cohort = Some(CohortId(branch.cohort));
    Route::Cell { key, scope: Scope::Call, creates: false, cohort }
}

fn route_request(
    element: &Element,
    now: Timestamp,
    ingress: &Ingress,
    request: &Message<'_>,
    method: &str,
) -> Route {
    if let Some(refusal) = fault(element, request, ingress.flow.remote) {
        let answer = refusal.answer_ingress(element, ingress);
        return Route::Answer(answer.into_iter().collect());
    }
    if method == "REGISTER" {
        let key = element.secret.registration_key(&address_of_record(request));
        return Route::Cell { key, scope: Scope::Tables, creates: true, cohort: None };
    }
    if let Some(cell) = own_invite::cell_of_request(element, request) {
        return Route::Known(cell);
    }
    let key = element.secret.call_key(request.call_id());
    let creates = begins(request) || Ends::of_other(element, request, now).is_some();
    Route::Cell { key, scope: Scope::Call, creates, cohort: named_cohort(element, request) }
}

/// Whether the request begins something: calls that are up, or being set up, go on.
fn begins(request: &Message<'_>) -> bool {
    let follows = matches!(request.method(), Some("ACK" | "CANCEL"));
    request.to_tag().is_none() && !follows
}

fn is_barred(
    element: &Element,
    guard: &PasswordGuard,
    now: Timestamp,
    ingress: &Ingress,
    request: &Message<'_>,
) -> bool {
    let ip = ingress.flow.remote.ip();
    let source = SourceNetwork::of(ip);
    if !guard.bars_source(now, source) || !begins(request) {
        return false;
    }
    let credentials = credentials(element, now, request, ip);
    let account = claimed_account(&element.secret, request, credentials.as_ref());
    !guard.knows(now, source, account)
}

/// To header of a REGISTER as the key of its bindings; an odd URI as it is.
fn address_of_record(request: &Message<'_>) -> String {
    let to = request.header(HeaderName::To).unwrap_or_default();
    let uri = name_addr(&to).map(|to| to.uri).unwrap_or_default();
    SipUri::parse(uri).map_or_else(|| uri.to_owned(), |uri| uri.address_of_record())
}

/// The cohort in the topmost Route, if it is ours: a token under another one is not looked at.
fn named_cohort(element: &Element, request: &Message<'_>) -> Option<CohortId> {
    let routes = request.values(HeaderName::Route);
    element.signed_cohort(routes.first()?, request.call_id()).map(CohortId)
}

fn drop_reason(error: ParseError) -> &'static str {
    match error {
        ParseError::Empty => "empty",
        ParseError::TooLong => "message too long",
        ParseError::TooManyHeaders => "too many headers",
        ParseError::BadStartLine => "not SIP",
        ParseError::BadVersion => "SIP version is not 2.0",
        ParseError::Missing(_) => "mandatory header missing",
        ParseError::Duplicate(_) => "single header doubled",
        ParseError::CSeqMethodMismatch => "CSeq names another method",
        ParseError::BodyTooShort => "body shorter than Content-Length",
        _ => "malformed",
    }
}
