//! HTTP as a service sees it: events that the HTTP resource adaptor fires, and commands that it
//! takes. Plain data; nothing here reads or writes HTTP.
//!
//! | an activity    | begins with             | its events                         | ends with  |
//! |----------------|-------------------------|------------------------------------|------------|
//! | a web hook in  | a request to `/hooks/…` | [`HttpRequest`], may be initial    | its answer |
//! | a web hook out | [`call`] of a service   | [`HttpResponse`] or [`HttpFailed`] | that event |
//!
//! The answer of a request is [`respond`]. It leaves when what the handler changed is held by the
//! backup, as everything does.

mod command;
mod event;

pub use command::{ADAPTOR, Call, HttpCommand, call, respond};
pub use event::{FailureReason, HttpFailed, HttpRequest, HttpResponse};

/// Bytes of a body, of requests and answers in both directions; an operator may allow less.
pub const BODY_BYTES_MAX: usize = 32 * 1024;
/// Headers of a request or an answer.
pub const HEADERS_MAX: usize = 64;
/// Bytes of all header names and values of a request or an answer.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a URL, or of path and query.
pub const URL_BYTES_MAX: usize = 2_048;
