//! Calls of the server's own: a service has phones called, and talks to whoever answers as far as
//! SIP goes. There is no audio: who answers hears silence until somebody hangs up.

use crate::command::Target;
use resilee_sbb::{ActivityId, Context, Failure};
use serde::{Deserialize, Serialize};

/// Name of the SIP resource adaptor.
pub const ADAPTOR: &str = "sip";

/// An offer (RFC 3264) of audio that neither side sends: a phone answers it as any other call.
pub const NO_AUDIO: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n\
    t=0 0\r\nm=audio 9 RTP/AVP 0 8\r\na=inactive\r\n";

/// Whom the server is to call, and in whose name.
///
/// What becomes of it are events on the activity, each at most once but `Progress`:
///
/// | event          | what it says                                                         |
/// |----------------|----------------------------------------------------------------------|
/// | `sip.progress` | a phone rings (180), or another status of 101 to 199; each once      |
/// | `sip.answered` | a phone has answered; the others are cancelled                       |
/// | `sip.rejected` | nobody has: the phones' best refusal; 408 if none says anything; 487 |
/// |                | if the service gave up, or they rang for three minutes; 503 if all   |
/// |                | nodes were dead meanwhile                                            |
/// | `sip.ended`    | the answered call is over, and who hung up: `Callee` or `Server`     |
///
/// [`HangUp`](crate::SipCommand::HangUp) ends it at any time: CANCEL before the answer, BYE behind
/// it. No other command can be given. Services that begin with `sip.invite` never see such a call,
/// so it is neither admitted nor billed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneCall {
    /// URI of who calls, as the phone is to show it.
    pub from: String,
    /// Name that the phone is to show; empty: none.
    pub display: String,
    /// URI of who is called: an address of record.
    pub to: String,
    /// His phones: all ring at once. At least one.
    pub targets: Vec<Target>,
    /// The offer of the session, SDP of 16 KiB at most; [`NO_AUDIO`] if a service has none of its
    /// own.
    pub offer: String,
}

/// Has phones called, in this cell, once what this handler changed is held. The events come on the
/// activity, which this entity gets.
///
/// # Errors
/// As for [`Context::start_activity`]. A call that cannot be made ends at once, with an alarm.
pub fn call_phone(cx: &mut Context<'_>, call: &PhoneCall) -> Result<ActivityId, Failure> {
    let activity = cx.start_activity(ADAPTOR, call)?;
    cx.attach(cx.entity(), activity)?;
    Ok(activity)
}
