//! Events of the HTTP resource adaptor.

use resilee_sbb::EventPayload;
use serde::{Deserialize, Serialize};

/// A request came for `/hooks/…`. Initial event of services that web hooks start; whoever takes it
/// answers with [`respond`](crate::respond), at once or on a later event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, `/hooks/…`, percent-encoded as it came.
    pub path: String,
    /// What stands behind the `?`; empty if there is none.
    #[serde(default)]
    pub query: String,
    /// Headers with their names in lower case, in the order in which they came.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default, with = "serde_bytes")]
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The hook's name: what stands between `/hooks/` and the next `/`.
    pub fn hook(&self) -> &str {
        let name = self.path.strip_prefix("/hooks/").unwrap_or_default();
        name.split('/').next().unwrap_or_default()
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

impl EventPayload for HttpRequest {
    const TYPE: &'static str = "http.request";
}

/// A call was answered, with whatever status. Its activity ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers with their names in lower case.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default, with = "serde_bytes")]
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

impl EventPayload for HttpResponse {
    const TYPE: &'static str = "http.response";
}

/// A call has no answer. Its activity ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFailed {
    /// What went wrong.
    pub reason: FailureReason,
    /// The same in words, for the log.
    #[serde(default)]
    pub text: String,
}

impl EventPayload for HttpFailed {
    const TYPE: &'static str = "http.failed";
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReason {
    /// The host is not one that an operator allows; nothing was sent.
    NotAllowed,
    /// Too many calls are under way; nothing was sent.
    TooMany,
    /// It was not answered in time; it may have been received.
    TimedOut,
    /// There was no connection, or it broke; it may have been received.
    Unreachable,
    /// The answer is larger than what is taken.
    TooLarge,
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_known_by_the_first_part_of_its_path() {
        let hook = |path: &str| HttpRequest { path: path.to_owned(), ..Default::default() };
        assert_eq!(hook("/hooks/dial").hook(), "dial");
        assert_eq!(hook("/hooks/dial/alice").hook(), "dial");
        assert_eq!(hook("/other").hook(), "");
    }
}
