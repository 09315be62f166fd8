//! How long a call may ring. Timer C does not say: each provisional response starts it anew (RFC
//! 3261 §16.7 step 2), so a phone that says 180 each minute would keep the call for ever, and
//! nobody would be billed for it.
//!
//! | a call                               | longer than [`CallLimits::longest_ringing`]     |
//! |--------------------------------------|-------------------------------------------------|
//! | rings                                | 408 to its caller, CANCEL to its targets        |
//! |                                      | (RFC 3261 §16.8)                                |
//! | the same, and its caller has sent a  | 487, and the same                               |
//! | CANCEL that no target has answered   |                                                 |
//! | was redirected meanwhile             | the same: it began with the first targets       |
//!
//! Nor does one ring on that nobody had for a while, as all nodes were dead: its caller's CANCEL
//! was said for 64 T1 and has reached nobody. Whoever picked up then would talk to nobody, and the
//! caller be billed. So at a cold start a call rings no longer if the last that is known of it is
//! older than that. How long nobody lived is not known, and may be less; so a caller who waits
//! still hears 408.
//!
//! The moment is in the replicated state: a survivor goes on with it, and acts at once if it has
//! passed. Calls of earlier versions have none. A re-INVITE has the same, or one that is never
//! answered would keep its call also behind the BYE (`in_dialog.rs`); so have calls of our own
//! (`own_call.rs`).
//!
//! [`CallLimits::longest_ringing`]: crate::CallLimits::longest_ringing

use crate::call::Call;
use crate::step::Step;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Until when something may ring that begins now.
pub(crate) fn ringing_deadline(step: &Step<'_>) -> Option<Timestamp> {
    step.element.calls.longest_ringing.map(|longest| step.now() + longest)
}

impl Call {
    /// It was sent on for the first time, unless that was refused.
    pub(crate) fn begin_ringing(&mut self, step: &Step<'_>) {
        self.ringing_until = ringing_deadline(step).filter(|_| self.invite.is_pending());
    }

    /// Whether nobody was there for so long that its caller may have given up unheard.
    pub(crate) fn is_given_up(&self, step: &Step<'_>) -> bool {
        let said_for = Duration::from_millis(step.timers().long_ms());
        self.invite.is_pending() && step.now() > self.seen_at + said_for
    }

    /// It rings no longer, and is not said again to anybody.
    pub(crate) fn give_up(&mut self, step: &mut Step<'_>) {
        self.invite.resume_silently(step);
        let news = self.invite.give_up(step);
        self.on_invite_news(step, news, None);
    }

    /// Ends what has rung too long.
    pub(crate) fn on_ringing_timeout(&mut self, step: &mut Step<'_>) {
        if self.ringing_until.take_if(|until| *until <= step.now()).is_some() {
            let news = self.invite.give_up(step);
            self.on_invite_news(step, news, None);
        }
    }
}
