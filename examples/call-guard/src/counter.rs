//! The counter of one caller's calls: one entity in the cluster, whichever server has the calls.

use crate::UNIT;
use crate::rules::CALLS_PER_MINUTE_MAX;
use resilee_sbb::{
    ActivityId, Context, Deployment, Descriptor, Event, EventPayload, Failure, InitialEvent, Sbb,
    TimerFired, TimerId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a call counts.
const MINUTE: Duration = Duration::from_secs(60);
/// Looks whether there is still something to count.
const LOOK: TimerId = TimerId(1);

/// A caller wants to call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallWanted {
    /// His address of record.
    pub caller: String,
    /// So many of his calls may begin in a minute.
    pub calls_per_minute: u32,
}

impl EventPayload for CallWanted {
    const TYPE: &'static str = "call_guard.call_wanted";
}

/// The answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// He may.
    pub allowed: bool,
}

impl EventPayload for Counted {
    const TYPE: &'static str = "call_guard.counted";
}

/// Counts the calls of one caller.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CallCounter {
    /// When those of the last minute began.
    began_at: VecDeque<Timestamp>,
    /// Holds the count when the calls have no part of it any more.
    count: Option<ActivityId>,
}

impl CallCounter {
    pub(crate) const NAME: &str = "call-counter";

    fn forget_old(&mut self, now: Timestamp) {
        while self.began_at.front().is_some_and(|began| now.since(*began) >= MINUTE) {
            self.began_at.pop_front();
        }
    }
}

impl Sbb for CallCounter {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            initial_events: &[CallWanted::TYPE],
            selects_initial_events: true,
            deployment: Deployment { unit: UNIT, ..Deployment::ALONE },
            ..Descriptor::named(CallCounter::NAME)
        }
    }

    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        Ok(match event.get::<CallWanted>()? {
            Some(wanted) => InitialEvent::by().custom_name(&wanted.caller),
            None => InitialEvent::none(),
        })
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.forget_old(cx.now());
        if let Some(wanted) = event.get::<CallWanted>()? {
            if self.count.is_none() {
                let count = cx.create_null_activity()?;
                cx.attach(cx.entity(), count)?;
                cx.set_timer(LOOK, MINUTE);
                self.count = Some(count);
            }
            let max = wanted.calls_per_minute.min(CALLS_PER_MINUTE_MAX) as usize;
            let allowed = self.began_at.len() < max;
            if allowed {
                self.began_at.push_back(cx.now());
            }
            cx.fire(cx.activity(), &Counted { allowed })?;
        } else if event.get::<TimerFired>()?.is_some() {
            if let Some(first) = self.began_at.front() {
                cx.set_timer(LOOK, MINUTE.saturating_sub(cx.now().since(*first)));
            } else if let Some(count) = self.count.take() {
                cx.end_activity(count)?;
            }
        }
        Ok(())
    }
}
