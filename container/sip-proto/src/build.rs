//! Messages we make ourselves: responses, and the requests of our own transactions.
//!
//! Requests are made of `rsip`'s typed headers. Responses copy the request's header text, because
//! what came must go back as it was written. Not here: forwarded messages ([`crate::edit`]).

use crate::header_name::HeaderName;
use crate::message::Message;
use crate::text::{one_line, one_word};
use rsip::headers::{self, UntypedHeader};
use rsip::{Header, Headers, Method};
use std::borrow::Cow;

/// Max-Forwards of the requests that start here (RFC 3261 §8.1.1.6).
pub const MAX_FORWARDS: u32 = 70;

/// A response to `request` (RFC 3261 §8.2.6). Amend the top Via before: it is copied.
///
/// An empty `reason` stands for the usual phrase of the status. `to_tag` is added unless the To
/// already has a tag. Record-Route is copied if the response can create a dialog (§12.1.1),
/// Timestamp into a 100 (§8.2.6.1). Content-Length is added; Content-Type belongs into `extra`.
pub fn response(
    request: &Message<'_>,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
    extra: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
    let mut bytes = Vec::with_capacity(512 + body.len());
    bytes.extend_from_slice(format!("SIP/2.0 {status} {}\r\n", one_line(reason)).as_bytes());
    copy(&mut bytes, request, HeaderName::Via, "");
    copy(&mut bytes, request, HeaderName::From, "");
    let new_tag = to_tag.filter(|_| request.to_tag().is_none());
    let tag = new_tag.map_or(String::new(), |tag| format!(";tag={}", one_line(tag)));
    copy(&mut bytes, request, HeaderName::To, &tag);
    copy(&mut bytes, request, HeaderName::CallId, "");
    copy(&mut bytes, request, HeaderName::CSeq, "");
    if creates_dialog(request.method(), status) {
        copy(&mut bytes, request, HeaderName::RecordRoute, "");
    }
    if let Some(timestamp) = request.header_named("Timestamp").filter(|_| status == 100) {
        write_header(&mut bytes, "Timestamp", &timestamp);
    }
    for (name, value) in extra {
        write_header(&mut bytes, name, value);
    }
    write_header(&mut bytes, "Content-Length", &body.len().to_string());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A request from typed headers, for requests that start here (OPTIONS, BYE).
/// Content-Length is added; `headers` must hold the others.
pub fn request(method: Method, uri: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    // The URI stays text: rsip's own URI type cannot hold every URI that comes.
    let mut bytes = format!("{method} {} SIP/2.0\r\n", one_word(uri)).into_bytes();
    let length = Header::ContentLength(headers::ContentLength::new(body.len().to_string()));
    for header in headers.iter().chain([&length]) {
        bytes.extend_from_slice(one_line(&header.to_string()).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A request from header lines, name and value, for requests that start here without a body.
/// Content-Length is added.
pub fn plain_request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request_of_lines(method, uri, headers, &[])
}

/// The same with a body; its Content-Type belongs into `headers`.
pub fn request_of_lines(method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {} SIP/2.0\r\n", one_word(uri)).into_bytes();
    let length = body.len().to_string();
    for (name, value) in headers.iter().chain([&("Content-Length", length.as_str())]) {
        write_header(&mut bytes, name, value);
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The ACK of a 300-699 response (RFC 3261 §17.1.1.3); `invite` as we sent it.
pub fn ack_for_failure(invite: &Message<'_>, response: &Message<'_>) -> Vec<u8> {
    follow_up(invite, Method::Ack, response.header(HeaderName::To), None)
}

/// The CANCEL of an INVITE as we sent it (RFC 3261 §9.1); `reason` is the value of its Reason, if
/// it has one (RFC 3326).
pub fn cancel(invite: &Message<'_>, reason: Option<&str>) -> Vec<u8> {
    follow_up(invite, Method::Cancel, invite.header(HeaderName::To), reason)
}

/// A request of the INVITE's own transaction: same Request-URI, top Via, Routes, From, Call-ID
/// and CSeq number.
fn follow_up(
    invite: &Message<'_>,
    method: Method,
    to: Option<Cow<'_, str>>,
    reason: Option<&str>,
) -> Vec<u8> {
    let text = |name| invite.header(name).unwrap_or_default();
    let mut headers = Headers::default();
    headers.push(headers::Via::new(invite.top_via().text()).into());
    for route in invite.values(HeaderName::Route) {
        headers.push(headers::Route::new(route).into());
    }
    headers.push(headers::MaxForwards::from(MAX_FORWARDS).into());
    headers.push(headers::From::new(text(HeaderName::From)).into());
    headers.push(headers::To::new(to.unwrap_or_default()).into());
    headers.push(headers::CallId::new(invite.call_id()).into());
    let (seq, _) = invite.cseq();
    headers.push(rsip::typed::CSeq { seq, method }.into());
    if let Some(reason) = reason {
        headers.push(Header::Other("Reason".to_owned(), reason.to_owned()));
    }
    request(method, invite.request_uri().unwrap_or_default(), &headers, &[])
}

/// RFC 3261 §12.1, RFC 6665 §4.4.1: which responses set up a route set.
fn creates_dialog(method: Option<&str>, status: u16) -> bool {
    let can_create = matches!(method, Some("INVITE" | "SUBSCRIBE" | "REFER" | "NOTIFY"));
    can_create && (101..=299).contains(&status)
}

/// Copies all lines of a header as they are, with `suffix` behind the value.
fn copy(bytes: &mut Vec<u8>, request: &Message<'_>, name: HeaderName, suffix: &str) {
    for value in request.raw_values(name) {
        bytes.extend_from_slice(name.long().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(suffix.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

fn write_header(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(format!("{}: {}\r\n", one_line(name), one_line(value)).as_bytes());
}

/// The usual phrase of a status code, else that of its class.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        430 => "Flow Failed",
        439 => "First Hop Lacks Outbound Support",
        440 => "Max-Breadth Exceeded",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => class_phrase(status),
    }
}

fn class_phrase(status: u16) -> &'static str {
    match status / 100 {
        1 => "Session Progress",
        2 => "OK",
        3 => "Redirection",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Global Failure",
    }
}
