//! Both ends of a dialog, as our Record-Route says them: where the request that began it came from
//! and where it went, signed for its Call-ID, its sender's tag, and what it calls both ends. Of a
//! call it is used if no node has it; other dialogs (SUBSCRIBE, REFER) have no state here, and are
//! routed by it alone.
//!
//! A node that has lost the call can still send a request within it to the other end and nowhere
//! else, as one that has it does (`leg.rs`): neither Request-URI nor Route of its sender is obeyed.
//! Which end sent it, its tags say. An end that has moved since (INVITE, UPDATE) is not known.
//!
//! No service hears of what follows in such a dialog, and nobody asks for credentials. The request
//! that began it had to prove its From, so From and To must stay what they were (RFC 3261
//! §12.2.1.1): whoever takes another name has no dialog. Of a call they are compared as they are
//! written, for that costs no call anything; phones repeat what they have kept.
//!
//! Nor does anybody bill what goes on by the Route of a call that is over, and that looks lost. So
//! once no call can be up any more, after [`CallLimits::longest`], the time that it may have rung
//! before, and [`CALL_MARGIN`], it leads only what ends the call ([`ENDING`]): phones of a call
//! that is lost indeed have nobody to end it for them, and when they do that counts. The same holds
//! of a call that was set up by an earlier version, whose Routes have no time; a phone whose INVITE
//! gets 481 hangs up.
//!
//! For the same reason a dialog that is no call's carries only [`OTHER_METHODS`], and only for
//! [`OTHER_DIALOG_HOURS`]: an INVITE by such a Route would be a call that nobody admits or bills.
//! What comes later gets 481, after which a phone subscribes anew (RFC 6665 §4.1.2.2).

use crate::client::Client;
use crate::element::Element;
use crate::supervision::CallLimits;
use resilee_sbb::Timestamp;
use resilee_sip_api::SourceNetwork;
use resilee_sip_proto::{HeaderName, Message, SipUri, name_addr};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

/// What is sent within a dialog that is no call's (RFC 6665, RFC 3515), or asks for its other end.
const OTHER_METHODS: [&str; 4] = ["SUBSCRIBE", "NOTIFY", "REFER", "OPTIONS"];

/// So long our Route leads through such a dialog. Its refreshes do not change the Route.
const OTHER_DIALOG_HOURS: u64 = 24;

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// So much longer than the longest call our Route leads through one that no node has: BYEs are
/// repeated, and clocks may differ.
const CALL_MARGIN: Duration = Duration::from_secs(900);

/// What goes by the Route of a call however old it is.
const ENDING: [&str; 2] = ["BYE", "ACK"];

/// Which dialogs the ends are those of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialogs {
    /// Of a call.
    Call,
    /// Of another request.
    Other,
}

impl Dialogs {
    /// Those that a request begins.
    pub(crate) fn of(request: &Message<'_>) -> Self {
        if request.method() == Some("INVITE") { Dialogs::Call } else { Dialogs::Other }
    }

    /// The parameter of our Record-Route.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Dialogs::Call => "e",
            Dialogs::Other => "s",
        }
    }

    /// What the time in the parameter is counted in.
    fn unit_ms(self) -> u64 {
        match self {
            Dialogs::Call => MINUTE_MS,
            Dialogs::Other => HOUR_MS,
        }
    }

    /// The address in what is signed of the callee, and how many units ago that was, if it says so.
    fn address_and_age(self, callee: &str, now: Timestamp) -> Option<(&str, Option<u64>)> {
        let Some((callee, since)) = callee.split_once('.') else { return Some((callee, None)) };
        let since = u64::from_str_radix(since, 16).ok()?;
        Some((callee, Some((now.as_millis() / self.unit_ms()).saturating_sub(since))))
    }

    /// What an end is called, by its URI in From or To.
    fn name(self, uri: Option<Cow<'_, str>>) -> Cow<'_, str> {
        let uri = uri.unwrap_or_default();
        match self {
            Dialogs::Call => uri,
            Dialogs::Other => match SipUri::parse(&uri) {
                Some(parsed) => Cow::Owned(parsed.address_of_record()),
                None => uri,
            },
        }
    }
}

/// Where the ends of a call were at its set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) caller: Client,
    pub(crate) callee: Client,
}

/// The ends, as the sender of a request sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) sender: Client,
    pub(crate) receiver: Client,
    /// What we signed both with, and their names and Call-ID: of no other ends' dialog.
    pub(crate) signed: u64,
}

impl Between {
    /// Whether a request from there is its sender's: a NAT may give it another port, and itself
    /// another address of its network.
    pub(crate) fn is_sent_from(&self, source: SocketAddr) -> bool {
        SourceNetwork::of(self.sender.address.ip()) == SourceNetwork::of(source.ip())
    }
}

impl Ends {
    /// The value of the parameter, for what begins now.
    pub(crate) fn token(&self, element: &Element, request: &Message<'_>, now: Timestamp) -> String {
        let (caller, callee) = (self.caller.digits(), self.callee.digits());
        let tag = request.from_tag().unwrap_or_default();
        let dialogs = Dialogs::of(request);
        let callee = format!("{callee}.{:x}", now.as_millis() / dialogs.unit_ms());
        let names = (&*dialogs.name(request.from_uri()), &*dialogs.name(request.to_uri()));
        let call = (request.call_id(), &*tag);
        let mac = mac(element, dialogs, call, (&caller, &callee), names);
        format!("{caller}.{callee}.{mac:016x}")
    }

    /// Between whom a request of a call is, by our topmost Route; none unless we signed it for this
    /// call, and it may be up, or the request ends it.
    pub(crate) fn of_call(
        element: &Element,
        request: &Message<'_>,
        now: Timestamp,
    ) -> Option<Between> {
        let minutes_max = call_minutes_max(element.calls);
        let is_ending = request.method().is_some_and(|method| ENDING.contains(&method));
        let may_be_up = |age: u64| minutes_max.is_none_or(|most| age <= most);
        Ends::of(element, request, Dialogs::Call, |callee| {
            let (address, age) = Dialogs::Call.address_and_age(callee, now)?;
            (is_ending || age.is_some_and(may_be_up)).then_some(address)
        })
    }

    /// The same of another dialog; also none if such a request has no place in it, or is too late.
    pub(crate) fn of_other(
        element: &Element,
        request: &Message<'_>,
        now: Timestamp,
    ) -> Option<Between> {
        request.method().filter(|method| OTHER_METHODS.contains(method))?;
        Ends::of(element, request, Dialogs::Other, |callee| {
            let (address, age) = Dialogs::Other.address_and_age(callee, now)?;
            (age? < OTHER_DIALOG_HOURS).then_some(address)
        })
    }

    /// `address` takes what else is signed off the callee's.
    fn of(
        element: &Element,
        request: &Message<'_>,
        dialogs: Dialogs,
        address: impl Fn(&str) -> Option<&str>,
    ) -> Option<Between> {
        let routes = request.values(HeaderName::Route);
        let uri = SipUri::parse(name_addr(routes.first()?)?.uri)?;
        let (ends, signed) = uri.param(dialogs.parameter())?.rsplit_once('.')?;
        let (caller, callee) = ends.split_once('.')?;
        let signed = u64::from_str_radix(signed, 16).ok()?;
        let (from, to) = (dialogs.name(request.from_uri()), dialogs.name(request.to_uri()));
        let is_caller = |tag: &str, names: (&str, &str)| {
            mac(element, dialogs, (request.call_id(), tag), (caller, callee), names) == signed
        };
        let ends = Ends {
            caller: Client::from_digits(caller)?,
            callee: Client::from_digits(address(callee)?)?,
        };
        if is_caller(&request.from_tag()?, (&from, &to)) {
            Some(Between { sender: ends.caller, receiver: ends.callee, signed })
        } else if is_caller(&request.to_tag()?, (&to, &from)) {
            Some(Between { sender: ends.callee, receiver: ends.caller, signed })
        } else {
            None
        }
    }
}

/// So many minutes after its set-up a call may be up; `None`: nothing ends it.
fn call_minutes_max(limits: CallLimits) -> Option<u64> {
    let longest = limits.longest? + limits.longest_ringing.unwrap_or_default() + CALL_MARGIN;
    Some(longest.as_secs().div_ceil(60))
}

fn mac(
    element: &Element,
    dialogs: Dialogs,
    (call_id, caller_tag): (&str, &str),
    (caller, callee): (&str, &str),
    (caller_name, callee_name): (&str, &str),
) -> u64 {
    let parts = [call_id, caller_tag, caller, callee, caller_name, callee_name].map(str::as_bytes);
    let purpose = match dialogs {
        Dialogs::Call => "ends",
        Dialogs::Other => "ends of no call",
    };
    element.secret.hash64(purpose, &parts)
}
