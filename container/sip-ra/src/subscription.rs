//! REFER within a call: the subscription that it makes (RFC 3515 §2.4.4, RFC 6665), which outlives
//! the call. Who refers usually hangs up at once, and hears by NOTIFY what became of it; the last
//! one comes when the third phone has answered. So the call is kept for it, replicated as it is;
//! its bill is written when it ends, as always.
//!
//! | input                                              | what happens                         |
//! |----------------------------------------------------|--------------------------------------|
//! | 2xx to a REFER                                     | a subscription begins                |
//! | the same, with `Refer-Sub: false` (RFC 4488)       | none does                            |
//! | its NOTIFY says `terminated`, and is answered 2xx, | it is over                           |
//! | or not at all                                      |                                      |
//! | a NOTIFY or SUBSCRIBE of it is answered 481        | it is over (RFC 6665 §4.1.2.2)       |
//! | [`KEPT_AFTER_CALL`] after the end of the call      | it is over                           |
//! | the dialog has ended: NOTIFY of whom was referred, | they go on as within the call        |
//! | SUBSCRIBE of who has referred                      |                                      |
//! | the same: ACK, BYE, while anything of the call may | as within the call                   |
//! | be repeated                                        |                                      |
//! | the same: anything else                            | 481: the Route of a call that is     |
//! |                                                    | over leads nowhere else              |
//! | the call has failed: all but NOTIFY and SUBSCRIBE  | as if it was not there: it may be of |
//! |                                                    | the next call                        |
//! | the same, and no subscription is left              | the call is forgotten                |
//!
//! A survivor forgets, and counts, a subscription that cannot be: of no dialog of the call, of the
//! server's, of the future, or one of more than [`SUBSCRIPTIONS_MAX`].
//!
//! A NOTIFY is of the subscription that its Event names by the CSeq number of the REFER; without
//! that it is of the first one (RFC 3515 §2.4.6).

use crate::call::Call;
use crate::dialog::{DialogState, other_end};
use crate::in_dialog::Way;
use crate::incoming::Incoming;
use crate::proxied_request::RequestNews;
use crate::step::Step;
use resilee_sbb::Timestamp;
use resilee_sip_api::Side;
use resilee_sip_proto::{Message, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// So long after its end a call is kept for its subscriptions: as long as the phone to which
/// somebody was referred may ring at most, by default.
const KEPT_AFTER_CALL: Duration = Duration::from_secs(600);

/// Most subscriptions of a call that may outlive it; of more, the oldest is forgotten.
const SUBSCRIPTIONS_MAX: usize = 8;

/// The event package (RFC 3515 §2.4.4).
const PACKAGE: &str = "refer";

/// What a REFER within a call has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// The dialog, by its callee's tag.
    dialog_tag: String,
    /// Who has referred the other end, and is notified.
    referrer: Side,
    /// CSeq number of the REFER, its id.
    id: u32,
    /// When the REFER came.
    since: Timestamp,
}

/// What a request within a call is to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    subscription: Subscription,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Role {
    /// The REFER.
    Begins,
    /// NOTIFY or SUBSCRIBE.
    Follows,
    /// The last NOTIFY.
    Ends,
}

impl Subscription {
    fn is_of_same_refer(&self, other: &Subscription) -> bool {
        self.dialog_tag == other.dialog_tag
            && self.referrer == other.referrer
            && self.id == other.id
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
        let (referrer, role) = match incoming.method() {
            "REFER" => {
                let subscription = Subscription {
                    dialog_tag: dialog_tag.to_owned(),
                    referrer: way.sender,
                    id: request.cseq().0,
                    since: step.now(),
                };
                return Some(Part { subscription, role: Role::Begins });
            }
            "SUBSCRIBE" => (way.sender, Role::Follows),
            "NOTIFY" if is_last(request) => (other_end(way.sender), Role::Ends),
            "NOTIFY" => (other_end(way.sender), Role::Follows),
            _ => return None,
        };
        let id = id_of(request)?;
        // A NOTIFY may overtake the 2xx to the REFER (RFC 6665 §4.1.2.4).
        let parts = self.requests.iter().filter_map(|request| request.part.as_ref());
        let refers = parts.filter(|part| part.role == Role::Begins).map(|it| &it.subscription);
        let mut all = self.subscriptions.iter().chain(refers);
        let is_it = |it: &&Subscription| {
            it.dialog_tag == dialog_tag
                && it.referrer == referrer
                && id.is_none_or(|id| it.id == id)
        };
        all.find(is_it).map(|it| Part { subscription: it.clone(), role })
    }

    /// Whether the call has failed, and this is of none of its subscriptions. Its dialogs ended
    /// with that (RFC 3261 §12.3): their tags may be those of the next call of its Call-ID.
    pub(crate) fn has_no_dialogs_any_more(&self, part: Option<&Part>) -> bool {
        self.is_rejected() && !part.is_some_and(Part::may_come_late)
    }

    /// Whether nothing but subscriptions is left of the dialog, and this is of none of them. As
    /// long as what was said may be repeated, a BYE may cross the one that has ended it, and an
    /// ACK come behind that.
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
            DialogState::Ended => !matches!(method, "ACK" | "BYE"),
        };
        let is_over = is_dialog_over || self.is_over_but_for_subscriptions();
        is_over && !part.is_some_and(Part::may_come_late)
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
                if response.is_none_or(|response| !declines_subscription(response)) {
                    self.begin_subscription(of.clone());
                    step.changed();
                }
            }
            (Role::Begins, _) => {}
            (Role::Ends, RequestNews::Completed(200..=299) | RequestNews::TimedOut)
            | (Role::Ends | Role::Follows, RequestNews::Completed(481)) => {
                self.end_subscription(of);
                step.changed();
            }
            (Role::Ends | Role::Follows, _) => {}
        }
    }

    fn begin_subscription(&mut self, subscription: Subscription) {
        // Of a REFER that was forgotten and came again it may be there.
        if self.subscriptions.iter().any(|it| it.is_of_same_refer(&subscription)) {
            return;
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            self.subscriptions.remove(0);
        }
        self.subscriptions.push(subscription);
    }

    fn end_subscription(&mut self, subscription: &Subscription) {
        self.subscriptions.retain(|it| it != subscription);
        // The 2xx to its REFER may still come.
        for request in &mut self.requests {
            let begins = |part: &mut Part| part.role == Role::Begins;
            request.part.take_if(|part| begins(part) && part.subscription == *subscription);
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
            it.referrer != Side::Server
                && it.since <= latest
                && tags.contains(it.dialog_tag.as_str())
        };
        let before = self.subscriptions.len();
        self.subscriptions.retain(can_be);
        let beyond = self.subscriptions.len().saturating_sub(SUBSCRIPTIONS_MAX);
        self.subscriptions.drain(..beyond);
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
        self.over_since().map(|over| over.max(subscription.since) + KEPT_AFTER_CALL)
    }
}

/// The `id` in the Event of a request of such a subscription; none if it is of another package.
#[expect(clippy::option_option, reason = "an Event of a REFER need not have an id")]
fn id_of(request: &Message<'_>) -> Option<Option<u32>> {
    let event = request.header_named("Event")?;
    let (package, params) = event.split_once(';').unwrap_or((&event, ""));
    if !package.trim().eq_ignore_ascii_case(PACKAGE) {
        return None;
    }
    match text::param(params, "id") {
        None => Some(None),
        Some(id) => id.parse().ok().map(Some),
    }
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
