//! Commands to the SIP resource adaptor.

use crate::account::Algorithm;
use resilee_sbb::{ActivityId, AttributeAlias, Context, Failure};
use serde::{Deserialize, Serialize};

/// Attribute of the activity context: the request was answered by a service, so services of
/// lower priority leave it alone. Set by [`refuse`].
pub const REFUSED: &str = "sip.refused";

/// What the descriptor of a service has that sets or reads [`REFUSED`].
pub const REFUSED_ALIAS: AttributeAlias = AttributeAlias { attribute: REFUSED, alias: REFUSED };

/// Where a request is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The new Request-URI.
    pub uri: String,
    /// Where the datagram goes (`ip:port`); for a registered contact the address it came from.
    pub destination: String,
    /// Routes of the request: the Path of a registered contact (RFC 3327 §5.3), the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
}

/// From whom a call was diverted (RFC 5806), for the phone that it goes on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// URI of who was called before.
    pub from: String,
    /// Why the call goes on.
    pub reason: DiversionReason,
}

/// Why a call goes on to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiversionReason {
    /// Nobody has answered in time.
    NoAnswer,
    /// There is no phone that can be reached.
    Unavailable,
    /// Any other one.
    Unknown,
}

impl DiversionReason {
    /// As the header says it.
    pub fn as_str(self) -> &'static str {
        match self {
            DiversionReason::NoAnswer => "no-answer",
            DiversionReason::Unavailable => "unavailable",
            DiversionReason::Unknown => "unknown",
        }
    }
}

/// What a service may ask for, about the activity or the request that began it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SipCommand {
    /// Answer it. Refused if it was answered finally before.
    Respond {
        /// Status code, 200 to 699.
        status: u16,
        /// Reason phrase; empty for the standard one.
        reason: String,
        /// Further headers: name, value.
        headers: Vec<(String, String)>,
    },
    /// Answer it with a digest challenge: 401, or 407 for `proxy`. If its credentials were fresh
    /// and it is not `stale`, they were wrong, and count as a try to find out a password.
    Challenge {
        /// Protection domain.
        realm: String,
        /// True if only the nonce was too old.
        stale: bool,
        /// True for 407 and Proxy-Authenticate.
        proxy: bool,
        /// Algorithms that the account can be proven by, for those of them that the adaptor is
        /// to offer; empty: all of these.
        #[serde(default)]
        algorithms: Vec<Algorithm>,
    },
    /// Forward it to all targets at once and stay on the path of the dialog (Record-Route).
    Proxy {
        /// Where to; at least one.
        targets: Vec<Target>,
    },
    /// End the call: BYE to both ends, or, if nobody has answered yet, 480 to the caller and CANCEL
    /// to the callees. Also later, and for another activity than that of the event: a service that
    /// has seen the `sip.invite` of a call can end it whenever it wants. Refused if it is over.
    HangUp,
    /// Send a call that nobody has answered on to other targets instead: CANCEL to those where it
    /// rings, INVITE to these. Also later, and for another activity than that of the event.
    ///
    /// Should one of the old targets answer first, it has the call, and the new ones are cancelled;
    /// of their failures the caller hears nothing. Refused before the first [`SipCommand::Proxy`];
    /// nothing happens if the call is answered, being cancelled, or over.
    Redirect {
        /// Where to; at least one, and 16 with all that it was sent to before.
        targets: Vec<Target>,
        /// Put into the INVITEs, if given.
        #[serde(default)]
        diversion: Option<Diversion>,
    },
}

/// Refuses the request of the event's activity and tells services of lower priority so.
///
/// # Errors
/// An SBB whose descriptor lacks [`REFUSED_ALIAS`]: nobody else would hear of it.
pub fn refuse(cx: &mut Context<'_>, status: u16, reason: &str) -> Result<(), Failure> {
    refuse_on(cx, cx.activity(), status, reason)
}

/// The same on another activity: one whose request was suspended, for instance.
///
/// # Errors
/// As of [`refuse`]; an activity that is over, or of another cell.
pub fn refuse_on(
    cx: &mut Context<'_>,
    activity: ActivityId,
    status: u16,
    reason: &str,
) -> Result<(), Failure> {
    if !cx.shares(REFUSED, REFUSED) {
        let text = "add REFUSED_ALIAS to the attribute_aliases of the SBB's descriptor";
        return Err(Failure::new(text));
    }
    cx.set_attribute_of(activity, REFUSED, &true)?;
    let (reason, headers) = (reason.to_owned(), Vec::new());
    cx.send_on(activity, &SipCommand::Respond { status, reason, headers })
}
