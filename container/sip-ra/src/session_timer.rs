//! Session timers as a proxy has them (RFC 4028 §8): of a call whose ends refresh it, nobody needs
//! to hang up. When it ends is in `supervision.rs`.
//!
//! | message                                 | its Session-Expires                              |
//! |-----------------------------------------|--------------------------------------------------|
//! | INVITE without one                      | ours is added; its Min-SE, if that is longer     |
//! | INVITE, UPDATE with less than [`MIN_S`] | 422 if the sender knows session timers, else     |
//! |                                         | raised to that, with a Min-SE that says so       |
//! | any other INVITE, UPDATE                | goes on as it is                                 |
//! | 2xx with one                            | goes on as it is: the session lasts so long      |
//! | 2xx without one of an INVITE or UPDATE  | is added: the sender refreshes the session       |
//! | that had one, or got it, and whose      | (`Require: timer`; §8.2)                         |
//! | sender knows session timers             |                                                  |
//! | any other 2xx                           | none: the session has no end                     |

use crate::element::Element;
use resilee_sip_proto::{Edit, HeaderName, Message};
use serde::{Deserialize, Serialize};

/// The shortest session interval, in seconds (RFC 4028 §4).
pub(crate) const MIN_S: u32 = 90;

const SESSION_EXPIRES: &str = "Session-Expires";
const MIN_SE: &str = "Min-SE";
/// The option tag of RFC 4028.
const TIMER: &str = "timer";

/// What an INVITE or UPDATE goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    interval_s: u32,
    /// Its sender knows session timers.
    sender_refreshes: bool,
}

impl Offer {
    /// Of this request; `None` if it has no session timer and gets none.
    pub(crate) fn of(element: &Element, request: &Message<'_>) -> Option<Offer> {
        let method = request.method().filter(|method| matches!(*method, "INVITE" | "UPDATE"))?;
        let sender_refreshes = supports_timer(request);
        let min_s = delta(request, MIN_SE).unwrap_or_default().max(MIN_S);
        let interval_s = match (delta(request, SESSION_EXPIRES), element.calls.session_expires_s) {
            (Some(asked_s), _) => asked_s.max(MIN_S),
            (None, Some(ours_s)) if method == "INVITE" => ours_s.max(min_s),
            (None, _) => return None,
        };
        Some(Offer { interval_s, sender_refreshes })
    }

    /// True if the sender must ask for a longer interval.
    pub(crate) fn is_refused(request: &Message<'_>) -> bool {
        let is_short = delta(request, SESSION_EXPIRES).is_some_and(|asked_s| asked_s < MIN_S);
        is_short && supports_timer(request)
    }

    /// Writes it into the request.
    pub(crate) fn put(&self, request: &Message<'_>, edit: &mut Edit<'_>) {
        match delta(request, SESSION_EXPIRES) {
            Some(asked_s) if asked_s == self.interval_s => {}
            Some(_) => {
                edit.set(SESSION_EXPIRES, &self.interval_s.to_string());
                edit.set(MIN_SE, &MIN_S.to_string());
            }
            None => {
                edit.add(SESSION_EXPIRES, &self.interval_s.to_string());
            }
        }
    }
}

/// How long the session lasts by a 2xx, in seconds; `None`: it has no end.
pub(crate) fn agreed_s(offer: Option<&Offer>, response: &Message<'_>) -> Option<u32> {
    delta(response, SESSION_EXPIRES).or(added(offer, response).map(|offer| offer.interval_s))
}

/// A 2xx as it goes on to the sender of the request.
pub(crate) fn amend(offer: Option<&Offer>, response: &Message<'_>, edit: &mut Edit<'_>) {
    let Some(offer) = added(offer, response) else { return };
    edit.add(SESSION_EXPIRES, &format!("{};refresher=uac", offer.interval_s));
    if !response.values(HeaderName::Require).iter().any(|tag| tag.eq_ignore_ascii_case(TIMER)) {
        edit.add("Require", TIMER);
    }
}

fn added<'o>(offer: Option<&'o Offer>, response: &Message<'_>) -> Option<&'o Offer> {
    let is_answer = response.status().is_some_and(|status| (200..300).contains(&status));
    let is_open = is_answer && delta(response, SESSION_EXPIRES).is_none();
    offer.filter(|offer| is_open && offer.sender_refreshes)
}

fn supports_timer(request: &Message<'_>) -> bool {
    let names = request.values(HeaderName::Supported).into_iter();
    names.chain(request.values(HeaderName::Require)).any(|tag| tag.eq_ignore_ascii_case(TIMER))
}

/// The seconds of a header, without its parameters.
fn delta(message: &Message<'_>, name: &str) -> Option<u32> {
    let value = message.header_named(name)?;
    let digits = value.split(';').next()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}
