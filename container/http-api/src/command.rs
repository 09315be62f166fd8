//! Commands to the HTTP resource adaptor.

use resilee_sbb::{ActivityId, Context, Failure};
use serde::{Deserialize, Serialize};

/// Name of the adaptor.
pub const ADAPTOR: &str = "http";

/// What a service may ask for on the activity of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpCommand {
    /// Answer it; refused if it was answered before.
    Respond {
        /// Status code, 200 to 599.
        status: u16,
        /// Further headers: name, value.
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
}

/// A request that a service sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// `http://…` or `https://…`, of a host that an operator allows.
    pub url: String,
    /// Further headers: name, value.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default, with = "serde_bytes")]
    pub body: Vec<u8>,
    /// How long it may take, in milliseconds; 0: as long as an operator allows.
    #[serde(default)]
    pub timeout_ms: u64,
    /// What the header `Idempotency-Key` bears. The request may be sent twice when a node dies: by
    /// this key the receiver knows it. Empty: the name of the activity, which no other call has.
    #[serde(default)]
    pub idempotency_key: String,
}

impl Call {
    /// A `POST` of JSON.
    pub fn post_json(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Call {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into(),
            ..Call::default()
        }
    }
}

/// Sends a request in this cell once what this handler changed is held; the answer is an event on
/// the activity, which this entity gets.
///
/// # Errors
/// As for [`Context::start_activity`].
pub fn call(cx: &mut Context<'_>, call: &Call) -> Result<ActivityId, Failure> {
    let activity = cx.start_activity(ADAPTOR, call)?;
    cx.attach(cx.entity(), activity)?;
    Ok(activity)
}

/// Answers the request of an activity, with a body of text.
///
/// # Errors
/// A command that cannot be encoded.
pub fn respond(
    cx: &mut Context<'_>,
    activity: ActivityId,
    status: u16,
    body: impl Into<Vec<u8>>,
) -> Result<(), Failure> {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    cx.send_on(activity, &HttpCommand::Respond { status, headers, body: body.into() })
}
