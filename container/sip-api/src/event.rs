//! Events of the SIP resource adaptor. One activity is one INVITE with all dialogs it forms, or
//! one request outside a dialog.
//!
//! Set-up, answer and end of a call are facts of the activity: they are in its events, with the
//! node that saw them, whatever services do.

use crate::account::Credentials;
use resilee_sbb::{EventPayload, Timestamp};
use serde::{Deserialize, Serialize};

/// One end of a call, from a From or To header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Display name, without quotes; empty if there was none.
    pub display: String,
    /// URI as received.
    pub uri: String,
    /// User part of the URI; empty if there is none.
    pub user: String,
    /// Address of record: `sip:user@host`, host in lower case, no port, no parameters.
    pub address_of_record: String,
}

/// Which side did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Who sent the INVITE.
    Caller,
    /// Who answered it.
    Callee,
    /// The server itself.
    Server,
}

/// An INVITE outside a dialog: a call is being set up. Initial event of call services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Call-ID header.
    pub call_id: String,
    /// Request-URI as received.
    pub request_uri: String,
    /// `sip:user@host` of the Request-URI.
    pub callee: Party,
    /// From header.
    pub caller: Party,
    /// When the node received it.
    pub set_up_at: Timestamp,
    /// Address (`ip:port`) the request came from.
    pub source: String,
    /// Credentials for this server, if any; the nonce is already checked.
    pub credentials: Option<Credentials>,
    /// See [`Register::barred_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred_s: Option<u32>,
}

impl EventPayload for Invite {
    const TYPE: &'static str = "sip.invite";
}

/// A provisional response above 100 to the INVITE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Status code, 101 to 199.
    pub status: u16,
}

impl EventPayload for Progress {
    const TYPE: &'static str = "sip.progress";
}

/// The first 2xx to the INVITE: the call is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// When the node received the 2xx.
    pub at: Timestamp,
    /// The node that did.
    pub node: String,
}

impl EventPayload for Answered {
    const TYPE: &'static str = "sip.answered";
}

/// The INVITE ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Final status code sent to the caller, 300 to 699.
    pub status: u16,
    /// When.
    pub at: Timestamp,
}

impl EventPayload for Rejected {
    const TYPE: &'static str = "sip.rejected";
}

/// How the end of a call became known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    /// A BYE arrived, or the server sent one to both ends.
    #[default]
    Bye,
    /// An end of the call was found to be gone: it does not know the call any more, does not
    /// answer, or has not refreshed the session (RFC 4028). The call counts until its last proof of
    /// life.
    LastProofOfLife,
    /// It lasted as long as a call may, and the server sent a BYE to both ends.
    MaxDuration,
}

/// An answered call is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When the first BYE arrived (not when it was answered), or the last proof of life.
    pub at: Timestamp,
    /// Who sent it.
    pub by: Side,
    /// The node that closed the call.
    pub node: String,
    /// How that became known.
    #[serde(default)]
    pub cause: EndCause,
}

impl EventPayload for Ended {
    const TYPE: &'static str = "sip.ended";
}

/// One Contact of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Contact URI as received.
    pub uri: String,
    /// `q` in thousandths, 0 to 1000; 1000 if absent.
    pub q_thousandths: u16,
    /// `expires` parameter in seconds, if present.
    pub expires_s: Option<u32>,
    /// `+sip.instance` with its angle brackets (RFC 5626 §4.1), if present: which phone it is.
    #[serde(default)]
    pub instance: Option<String>,
    /// `reg-id` (RFC 5626 §4.2), if present: which of the ways to that phone.
    #[serde(default)]
    pub reg_id: Option<u32>,
}

/// A REGISTER. Its cell belongs to the shared tables, so its service may write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// To header: whose contacts are registered.
    pub to: Party,
    /// Host of the Request-URI, in lower case and as in an address of record: whose registrar is
    /// asked (RFC 3261 §10.2). Empty if an older node took it, or if it is no SIP URI.
    #[serde(default)]
    pub domain: String,
    /// Call-ID header.
    pub call_id: String,
    /// CSeq number.
    pub cseq: u32,
    /// Contacts; empty in a query.
    pub bindings: Vec<Binding>,
    /// True for `Contact: *`.
    pub wildcard: bool,
    /// Expires header in seconds, if present.
    pub expires_s: Option<u32>,
    /// Address (`ip:port`) the request came from: how to reach the client, also behind NAT.
    pub source: String,
    /// Credentials for this server, if any; the nonce is already checked.
    pub credentials: Option<Credentials>,
    /// Path of the request (RFC 3327), the nearest proxy first; empty if it came directly.
    #[serde(default)]
    pub path: Vec<String>,
    /// The password of the account that the credentials name is being tried out: for so many
    /// seconds they are to be looked at only if they come from where the account is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred_s: Option<u32>,
}

impl EventPayload for Register {
    const TYPE: &'static str = "sip.register";
}

/// Another request outside a dialog (OPTIONS, MESSAGE, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherRequest {
    /// Method.
    pub method: String,
    /// Request-URI as received.
    pub request_uri: String,
    /// Whom the Request-URI names; empty if an older node took it, or if it is no SIP URI.
    #[serde(default)]
    pub callee: Party,
    /// From header.
    pub from: Party,
    /// To header.
    pub to: Party,
    /// Credentials for this server, if any; the nonce is already checked.
    pub credentials: Option<Credentials>,
    /// Address (`ip:port`) the request came from; empty if an older node took it.
    #[serde(default)]
    pub source: String,
    /// See [`Register::barred_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred_s: Option<u32>,
}

impl EventPayload for OtherRequest {
    const TYPE: &'static str = "sip.request";
}
