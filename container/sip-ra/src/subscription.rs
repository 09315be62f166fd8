//! Subscriptions within a call, which outlive it (RFC 6665 §4.5.2, RFC 5057): that of a REFER (RFC
//! 3515 §2.4.4), and those of a SUBSCRIBE, of any event package. Who refers usually hangs up at
//! once, and hears by NOTIFY what became of it; the last one comes when the third phone has
//! answered. Who follows a conference or a dialog may go on with that. So the call is kept for
//! them, replicated as it is; its bill is written when it ends, as always.
//!
//! | input                                              | what happens                         |
//! |----------------------------------------------------|--------------------------------------|
//! | 2xx to a REFER, a SUBSCRIBE                        | a subscription begins                |
//! | the same, with `Refer-Sub: false` (RFC 4488)       | none does                            |
//! | 2xx to a SUBSCRIBE of it                           | it lasts as long as that says        |
//! | its NOTIFY says `terminated`, and is answered 2xx, | it is over                           |
//! | or not at all                                      |                                      |
//! | a NOTIFY or SUBSCRIBE of it is answered 481        | it is over (RFC 6665 §4.1.2.2)       |
//! | of a REFER: [`REFER_KEPT`] after the end of the    | it is over                           |
//! | call                                               |                                      |
//! | of a SUBSCRIBE: the call has ended, and it expires | it is over                           |
//! | or [`SUBSCRIBE_KEPT`] is over                      |                                      |
//! | an operator ends the activity of the call          | all are over                         |
//! | the dialog has ended: NOTIFY of whom was referred  | they go on as within the call        |
//! | or subscribed to, SUBSCRIBE of the other one       |                                      |
//! | the same: ACK, BYE, while anything of the call may | as within the call                   |
//! | be repeated, and until 64 T1 after its end         |                                      |
//! | the same: anything else, a SUBSCRIBE of another    | 481: the Route of a call that is     |
//! | event too                                          | over leads nowhere else              |
//! | the call has failed: all but NOTIFY and SUBSCRIBE  | as if it was not there: it may be of |
//! |                                                    | the next call                        |
//! | the same, and no subscription is left              | the call is forgotten                |
//!
//! A survivor forgets, and counts, a subscription that cannot be: of no dialog of the call, of the
//! server's, of the future, for too long, of an event that is not kept, or one of more than
//! [`OF_REFERS_MAX`], [`OF_SUBSCRIBES_MAX`].
//!
//! A NOTIFY of a REFER is of the subscription that its Event names by the CSeq number of the REFER;
//! without that it is of the first one (RFC 3515 §2.4.6). Any other is of the one with the same
//! package and `id` (RFC 6665 §4.1.3).

use crate::call::Call;
use crate::dialog::{DialogState, other_end};
use crate::in_dialog::Way;
use crate::incoming::Incoming;
use crate::proxied_request::RequestNews;
use crate::step::Step;
use resilee_sbb::Timestamp;
use resilee_sip_api::Side;
use resilee_sip_proto::{HeaderName, Message, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// So long after its end a call is kept for the subscription of a REFER: as long as the phone to
/// which somebody was referred may ring at most, by default.
const REFER_KEPT: Duration = Duration::from_secs(600);

/// So long for one of a SUBSCRIBE, however often it is prolonged: nobody is billed for what is kept
/// of the call by then. Who wants more subscribes anew, outside it.
const SUBSCRIBE_KEPT: Duration = Duration::from_secs(3_600);

/// Longer than this none lasts at once, whatever its 2xx says.
const LASTS_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Its last NOTIFY, or a SUBSCRIBE that crosses it, may be repeated so long: 64 T1.
const GRACE: Duration = Duration::from_secs(32);

/// Most subscriptions of REFERs of a call that may outlive it; of more, the oldest is forgotten,
/// that which was not prolonged for the longest time.
const OF_REFERS_MAX: usize = 8;

/// The same of SUBSCRIBEs.
const OF_SUBSCRIBES_MAX: usize = 8;

/// Most bytes of an event package and its id; a subscription to a longer one ends with its call.
const EVENT_BYTES_MAX: usize = 128;

/// The event package of a REFER (RFC 3515 §2.4.4).
const REFER: &str = "refer";

/// What a REFER or SUBSCRIBE within a call has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// The dialog, by its callee's tag.
    dialog_tag: String,
    /// Who has referred, or subscribed to, the other end, and is notified.
    #[serde(rename = "referrer")]
    subscriber: Side,
    /// CSeq number of the REFER, its id; 0 of a SUBSCRIBE.
    id: u32,
    /// When the REFER, or the last SUBSCRIBE that was accepted, came.
    since: Timestamp,
    /// Event package and id of a SUBSCRIBE; empty for a REFER.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    event: String,
    /// How long it lasts since then, in seconds; of a SUBSCRIBE.
    #[serde(default, skip_serializing_if = "is_zero")]
    lasts_s: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The subscription that a request names in its Event.
enum Named {
    /// Of the REFER with this CSeq number, or of the first one.
    Refer(Option<u32>),
    /// Of a SUBSCRIBE: package and id.
    Other(String),
}

/// What a request within a call is to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    subscription: Subscription,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Role {
    /// The REFER; the first SUBSCRIBE.
    Begins,
    /// NOTIFY or SUBSCRIBE.
    Follows,
    /// The last NOTIFY.
    Ends,
}

impl Subscription {
    fn is_same(&self, other: &Subscription) -> bool {
        self.dialog_tag == other.dialog_tag
            && self.subscriber == other.subscriber
            && self.id == other.id
            && self.event == other.event
    }

    fn is_of_refer(&self) -> bool {
        self.event.is_empty()
    }

    /// Whether it has this name in an Event.
    fn is_named(&self, named: &Named) -> bool {
        match named {
            Named::Refer(id) => self.is_of_refer() && id.is_none_or(|id| self.id == id),
            Named::Other(event) => self.event == *event,
        }
    }

    /// Until when a call that is over since then is kept for it.
    fn kept_until(&self, over: Timestamp) -> Timestamp {
        if self.is_of_refer() {
            return over.max(self.since) + REFER_KEPT;
        }
        let lasts = Duration::from_secs(u64::from(self.lasts_s));
        (over + SUBSCRIBE_KEPT).min(self.since + lasts + GRACE)
    }

    /// Whether it has expired, also while the call is up.
    fn has_expired(&self, now: Timestamp) -> bool {
        let lasts = Duration::from_secs(u64::from(self.lasts_s));
        !self.is_of_refer() && self.since + lasts + GRACE <= now
    }
}

impl Part {
    /// It may come when the call is over.
    pub(crate) fn may_come_late(&self) -> bool {
        self.role != Role::Begins
    }
}

impl Call {
    /// What a request is to the subscriptions of the call; none to most.
    pub(crate) fn part(&self, step: &Step<'_>, way: &Way, incoming: &Incoming<'_>) -> Option<Part> {
        let request = incoming.message;
        let dialog_tag = self.dialogs[way.dialog].callee.tag.as_str();
        let begins = |id, event| {
            let subscription = Subscription {
                dialog_tag: dialog_tag.to_owned(),
                subscriber: way.sender,
                id,
                since: step.now(),
                event,
                lasts_s: 0,
            };
            Part { subscription, role: Role::Begins }
        };
        let (subscriber, role) = match incoming.method() {
            "REFER" => return Some(begins(request.cseq().0, String::new())),
            "SUBSCRIBE" => (way.sender, Role::Follows),
            "NOTIFY" if is_last(request) => (other_end(way.sender), Role::Ends),
            "NOTIFY" => (other_end(way.sender), Role::Follows),
            _ => return None,
        };
        let named = named_by(request)?;
        // A NOTIFY may overtake the 2xx to what it is of (RFC 6665 §4.1.2.4).
        let parts = self.requests.iter().filter_map(|request| request.part.as_ref());
        let begun = parts.filter(|part| part.role == Role::Begins).map(|it| &it.subscription);
        let mut all = self.subscriptions.iter().chain(begun);
        let is_it = |it: &&Subscription| {
            it.dialog_tag == dialog_tag && it.subscriber == subscriber && it.is_named(&named)
        };
        match (all.find(is_it), named) {
            (Some(found), _) => Some(Part { subscription: found.clone(), role }),
            (None, Named::Other(event)) if incoming.method() == "SUBSCRIBE" => {
                Some(begins(0, event))
            }
            (None, _) => None,
        }
    }

    /// Whether the call has failed, and this is of none of its subscriptions. Its dialogs ended
    /// with that (RFC 3261 §12.3): their tags may be those of the next call of its Call-ID.
    pub(crate) fn has_no_dialogs_any_more(&self, part: Option<&Part>) -> bool {
        self.is_rejected() && !part.is_some_and(Part::may_come_late)
    }

    /// Whether nothing but subscriptions is left of the dialog, and this is of none of them. As
    /// long as what was said may be repeated, a BYE may cross the one that has ended it, and an
    /// ACK come behind that. Further BYEs do not make that longer: each of them may be repeated.
    pub(crate) fn is_too_late(
        &self,
        step: &Step<'_>,
        way: &Way,
        method: &str,
        part: Option<&Part>,
    ) -> bool {
        let is_dialog_over = match self.dialogs[way.dialog].state {
            // Another phone has answered, and nobody repeats that (RFC 3261 §13.2.2.4).
            DialogState::Early => !self.is_unanswered() && self.repeated_until(step) <= step.now(),
            DialogState::Confirmed => false,
            DialogState::Ended => !matches!(method, "ACK" | "BYE") || self.is_long_over(step),
        };
        let is_over = is_dialog_over || self.is_over_but_for_subscriptions();
        is_over && !part.is_some_and(Part::may_come_late)
    }

    /// Whether nobody repeats any more what has ended the call.
    fn is_long_over(&self, step: &Step<'_>) -> bool {
        let repeated = Duration::from_millis(step.timers().long_ms());
        self.over_since().is_some_and(|over| over + repeated <= step.now())
    }

    /// A request that is part of a subscription has its final response, or will never have one.
    pub(crate) fn on_part_news(
        &mut self,
        step: &mut Step<'_>,
        part: &Part,
        news: RequestNews,
        response: Option<&Message<'_>>,
    ) {
        let of = &part.subscription;
        match (part.role, news) {
            (Role::Begins, RequestNews::Completed(200..=299)) => {
                if let Some(response) = response.filter(|it| !declines_subscription(it)) {
                    self.begin_subscription(step, of, response);
                }
            }
            (Role::Follows, RequestNews::Completed(200..=299)) if !of.is_of_refer() => {
                if let Some(response) = response.filter(|it| it.cseq().1 == "SUBSCRIBE") {
                    self.begin_subscription(step, of, response);
                }
            }
            (Role::Ends, RequestNews::Completed(200..=299) | RequestNews::TimedOut)
            | (Role::Ends | Role::Follows, RequestNews::Completed(481)) => {
                self.end_subscription(of);
                step.changed();
            }
            (Role::Begins | Role::Ends | Role::Follows, _) => {}
        }
    }

    /// The 2xx to a REFER, or to a SUBSCRIBE: it begins, or lasts on.
    fn begin_subscription(
        &mut self,
        step: &mut Step<'_>,
        of: &Subscription,
        response: &Message<'_>,
    ) {
        step.changed();
        let mut subscription = of.clone();
        if !of.is_of_refer() {
            subscription.lasts_s = expires_s(response);
            subscription.since = step.now();
        }
        // It may be there: prolonged; or of a REFER that was forgotten and came again.
        if let Some(known) = self.subscriptions.iter_mut().find(|it| it.is_same(of)) {
            if !of.is_of_refer() {
                *known = subscription;
            }
            return;
        }
        self.subscriptions.retain(|it| !it.has_expired(step.now()));
        self.subscriptions.push(subscription);
        forget_surplus(&mut self.subscriptions);
    }

    /// An operator ends what they keep.
    pub(crate) fn end_subscriptions(&mut self, step: &mut Step<'_>) {
        if !self.subscriptions.is_empty() {
            self.subscriptions.clear();
            step.changed();
        }
    }

    fn end_subscription(&mut self, subscription: &Subscription) {
        self.subscriptions.retain(|it| !it.is_same(subscription));
        // The 2xx to its REFER or SUBSCRIBE may still come.
        for request in &mut self.requests {
            let may_begin = |part: &mut Part| part.role != Role::Ends;
            request.part.take_if(|part| may_begin(part) && part.subscription.is_same(subscription));
        }
    }

    /// When the first of them is over, unless a NOTIFY says so before; none while the call is up.
    pub(crate) fn next_subscription_end(&self) -> Option<Timestamp> {
        self.subscriptions.iter().filter_map(|it| self.kept_until(it)).min()
    }

    /// Forgets those that were kept too long. If nothing else is left but since now, that must be
    /// known elsewhere: a survivor would go on with the rest, and let pass what comes too late.
    pub(crate) fn on_subscription_timeout(&mut self, step: &mut Step<'_>, was_over: bool) {
        let is_due = |it: &Subscription| self.kept_until(it).is_some_and(|at| at <= step.now());
        let kept = self.subscriptions.iter().filter(|it| !is_due(it)).cloned();
        let kept: Vec<_> = kept.collect();
        let is_over_now = !was_over && self.is_over_but_for_subscriptions();
        if kept.len() < self.subscriptions.len() || (is_over_now && !kept.is_empty()) {
            self.subscriptions = kept;
            step.changed();
        }
    }

    /// Goes on at the survivor: what cannot be is a lie of the node that kept it, and would keep
    /// the call for as long as that likes.
    pub(crate) fn sift_subscriptions(&mut self, step: &mut Step<'_>) {
        // Clocks of nodes differ, by far less.
        let latest = step.now() + Duration::from_millis(step.timers().long_ms());
        let tags: BTreeSet<_> = self.dialogs.iter().map(|it| it.callee.tag.as_str()).collect();
        let can_be = |it: &Subscription| {
            it.subscriber != Side::Server
                && it.since <= latest
                && u64::from(it.lasts_s) <= LASTS_MAX.as_secs()
                && it.event.len() <= EVENT_BYTES_MAX
                && tags.contains(it.dialog_tag.as_str())
        };
        let before = self.subscriptions.len();
        self.subscriptions.retain(can_be);
        forget_surplus(&mut self.subscriptions);
        let mut lies = before - self.subscriptions.len();
        for request in &mut self.requests {
            let lie = request.part.take_if(|part| !can_be(&part.subscription));
            lies += usize::from(lie.is_some());
        }
        for _ in 0..lies {
            step.endpoint.count_refused("subscription that cannot be");
            step.changed();
        }
    }

    fn kept_until(&self, subscription: &Subscription) -> Option<Timestamp> {
        self.over_since().map(|over| subscription.kept_until(over))
    }
}

/// Of more than may be, the oldest.
fn forget_surplus(subscriptions: &mut Vec<Subscription>) {
    for (of_refers, most) in [(true, OF_REFERS_MAX), (false, OF_SUBSCRIBES_MAX)] {
        let of_kind = |it: &&Subscription| it.is_of_refer() == of_refers;
        while subscriptions.iter().filter(of_kind).count() > most {
            let all = subscriptions.iter().enumerate().filter(|(_, it)| of_kind(it));
            let Some((oldest, _)) = all.min_by_key(|(_, it)| it.since) else { break };
            subscriptions.remove(oldest);
        }
    }
}

/// Which subscription a request is of; none if its Event is none, or too long to be kept.
fn named_by(request: &Message<'_>) -> Option<Named> {
    let event = request.header_named("Event")?;
    let (package, params) = event.split_once(';').unwrap_or((&event, ""));
    let (package, id) = (package.trim(), text::param(params, "id"));
    if package.eq_ignore_ascii_case(REFER) {
        return match id {
            None => Some(Named::Refer(None)),
            Some(id) => id.parse().ok().map(|id| Named::Refer(Some(id))),
        };
    }
    let event = id.map_or_else(|| package.to_owned(), |id| format!("{package};id={id}"));
    (!package.is_empty() && event.len() <= EVENT_BYTES_MAX).then_some(Named::Other(event))
}

/// Its 2xx says how long (RFC 6665 §4.2.1.1); one that does not is no longer than of a REFER.
fn expires_s(response: &Message<'_>) -> u32 {
    let expires = response.header(HeaderName::Expires).and_then(|it| it.trim().parse().ok());
    let seconds = expires.unwrap_or(REFER_KEPT.as_secs()).min(LASTS_MAX.as_secs());
    u32::try_from(seconds).expect("a day at most")
}

/// RFC 6665 §4.1.3.
fn is_last(notify: &Message<'_>) -> bool {
    let state = notify.header_named("Subscription-State").unwrap_or_default();
    let state = state.split(';').next().unwrap_or_default();
    state.trim().eq_ignore_ascii_case("terminated")
}

/// RFC 4488 §4.
fn declines_subscription(response: &Message<'_>) -> bool {
    let wanted = response.header_named("Refer-Sub").unwrap_or_default();
    let wanted = wanted.split(';').next().unwrap_or_default();
    wanted.trim().eq_ignore_ascii_case("false")
}
