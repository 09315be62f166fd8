//! The service in each call: it waits for the call's end, and tells the hook until that accepts.
//!
//! | the hook                                    | what happens                                  |
//! |---------------------------------------------|-----------------------------------------------|
//! | answers 2xx                                 | done                                          |
//! | answers 408, 425, 429 or 5xx, or not at all | again after 5 s, 10 s, 20 s …: [`POSTS_MAX`]  |
//! | answers anything else, is not allowed       | given up, with an alarm                       |

use crate::hooks::{HOOKS, Hook};
use crate::missed_call::{Invited, MissedCall, Reason};
use resilee_http_api::{ADAPTOR, Call, FailureReason, HttpFailed, HttpResponse, call};
use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure,
    Permission, Sbb, Severity, TimerFired, TimerId, UsageParameter,
};
use resilee_sip_api::{Answered, Invite, Progress, Rejected};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So often a hook is told of a call; the last time after about ten minutes.
pub const POSTS_MAX: u32 = 8;
/// Between the first two times; then twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const POST_AGAIN: TimerId = TimerId(1);
/// Type of the alarm about a hook; its instance is the URL.
const NOT_TOLD: &str = "hook_not_told";

const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("hooks_told"), UsageParameter::counter("hooks_given_up")];

/// One call, as long as its hook may have to be told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MissedCallHook {
    /// The call is neither answered nor over.
    call: Option<WatchedCall>,
    /// The call was missed, and its hook has not accepted that.
    post: Option<Post>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WatchedCall {
    url: String,
    invited: Invited,
    rang: bool,
}

/// What the hook is told.
#[derive(Debug, Serialize, Deserialize)]
struct Post {
    url: String,
    body: String,
    /// The receiver knows by it that it is the same call.
    key: String,
    /// How often it was sent.
    times: u32,
    /// The request, as long as it has no answer.
    under_way: Option<ActivityId>,
    /// Keeps this entity between two times, when the call has no part of it any more.
    hold: ActivityId,
}

impl Sbb for MissedCallHook {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            // Before call control: what that answers is not missed here.
            priority: 50,
            initial_events: &[Invite::TYPE],
            events: &[
                Progress::TYPE,
                Answered::TYPE,
                Rejected::TYPE,
                HttpResponse::TYPE,
                HttpFailed::TYPE,
                ActivityEnd::TYPE,
            ],
            usage: USAGE,
            deployment: Deployment {
                profile_tables: &[&HOOKS],
                permissions: &[Permission::Start { adaptor: ADAPTOR, to: "" }],
                ..Deployment::ALONE
            },
            ..Descriptor::named("missed-call-hook")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            match Hook::of(cx, &invite.callee.address_of_record)? {
                Some(url) => {
                    let invited = Invited::of(&invite);
                    self.call = Some(WatchedCall { url, invited, rang: false });
                }
                None => cx.detach(),
            }
        } else if event.get::<Progress>()?.is_some() {
            self.call.iter_mut().for_each(|call| call.rang = true);
        } else if event.get::<Answered>()?.is_some() {
            self.call = None;
            cx.detach();
        } else if let Some(rejected) = event.get::<Rejected>()? {
            self.on_rejected(cx, &rejected)?;
            cx.detach();
        } else if let Some(HttpResponse { status, .. }) = event.get()? {
            self.post.iter_mut().for_each(|post| post.under_way = None);
            match status {
                200..=299 => self.accepted(cx)?,
                408 | 425 | 429 | 500..=599 => self.post_later(cx, &status.to_string())?,
                _ => self.give_up(cx, &status.to_string())?,
            }
        } else if let Some(HttpFailed { reason, text }) = event.get()? {
            self.post.iter_mut().for_each(|post| post.under_way = None);
            match reason {
                FailureReason::NotAllowed => self.give_up(cx, &text)?,
                // The answer to a POST that was taken, maybe; the key says that it is the same.
                _ => self.post_later(cx, &text)?,
            }
        } else if event.get::<TimerFired>()?.is_some() {
            self.post(cx)?;
        } else if event.get::<ActivityEnd>()?.is_some() {
            self.on_end(cx)?;
        }
        Ok(())
    }
}

impl MissedCallHook {
    fn on_rejected(&mut self, cx: &mut Context<'_>, rejected: &Rejected) -> Result<(), Failure> {
        let Some(call) = self.call.take() else { return Ok(()) };
        let Some(reason) = Reason::of(rejected.status, call.rang) else { return Ok(()) };
        let missed = MissedCall::new(&call.invited, reason, rejected);
        let body = serde_json::to_string(&missed).map_err(|it| Failure::new(it.to_string()))?;
        let hold = cx.create_null_activity()?;
        cx.attach(cx.entity(), hold)?;
        let key = format!("missed-call/{}", cx.activity());
        self.post = Some(Post { url: call.url, body, key, times: 0, under_way: None, hold });
        self.post(cx)
    }

    fn post(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(post) = &mut self.post else { return Ok(()) };
        post.times += 1;
        let idempotency_key = post.key.clone();
        let request = Call::post_json(&post.url, post.body.as_bytes());
        post.under_way = Some(call(cx, &Call { idempotency_key, ..request })?);
        Ok(())
    }

    /// An activity is over. If it is the request, the adaptor did not take it: an operator has
    /// stopped it, or the URL is none.
    fn on_end(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let over = Some(cx.activity());
        match self.post.as_mut().and_then(|post| post.under_way.take_if(|it| Some(*it) == over)) {
            Some(_) => self.post_later(cx, "the HTTP adaptor does not take it"),
            None => Ok(()),
        }
    }

    fn post_later(&mut self, cx: &mut Context<'_>, why: &str) -> Result<(), Failure> {
        let Some(post) = &self.post else { return Ok(()) };
        if post.times >= POSTS_MAX {
            return self.give_up(cx, why);
        }
        cx.set_timer(POST_AGAIN, FIRST_WAIT * 2_u32.pow(post.times - 1));
        Ok(())
    }

    fn accepted(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        self.post.iter().for_each(|post| cx.clear_alarm(NOT_TOLD, &post.url));
        self.is_done(cx, "hooks_told")
    }

    fn give_up(&mut self, cx: &mut Context<'_>, why: &str) -> Result<(), Failure> {
        if let Some(post) = &self.post {
            let text = format!("{} was not told of a missed call: {why}", post.url);
            cx.raise_alarm(NOT_TOLD, &post.url, Severity::Minor, text);
        }
        self.is_done(cx, "hooks_given_up")
    }

    fn is_done(&mut self, cx: &mut Context<'_>, counter: &'static str) -> Result<(), Failure> {
        let Some(post) = self.post.take() else { return Ok(()) };
        cx.count(counter, 1);
        cx.end_activity(post.hold)
    }
}
