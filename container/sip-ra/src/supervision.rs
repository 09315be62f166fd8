//! Ends of calls that nobody hangs up: phones that lose power or network say no BYE.
//!
//! | what is noticed                        | what happens                                      |
//! |----------------------------------------|---------------------------------------------------|
//! | no proof of life for                   | both ends are asked (`proof_of_life.rs`)          |
//! | [`CallLimits::ask_after`]              |                                                   |
//! | the session was not refreshed in time  | both ends are asked                               |
//! | (RFC 4028 §10)                         |                                                   |
//! | the same, and both say that they live  | BYE to both ends; over now                        |
//! | the same, and one of them does not     | BYE to both ends; over since its last proof of    |
//! |                                        | life                                              |
//! | a BYE was challenged, and does not     | BYE to both ends; over since that BYE came        |
//! | come again within 64 T1 of its arrival | (`dialog.rs`)                                     |
//! | the call lasts [`CallLimits::longest`] | BYE to both ends; over now                        |
//! | a service or an operator hangs up      | BYE to both ends; over now                        |
//! | the same after an outage, and nobody   | the same when it is known: over now, or as if     |
//! | knows yet whether it was up meanwhile  | nobody had hung up                                |
//! | a further target answers when the call | BYE to both ends of that dialog                   |
//! | is over                                |                                                   |
//! | the same, and the caller's ACK has not | the same when it comes, or when nobody repeats    |
//! | come (RFC 3261 §15)                    | the 2xx any more: before, a BYE might overtake it |
//! | the same, and nobody has answered yet  | 480 to the caller, CANCEL to the callees          |
//!
//! An end that answers 481 may have hung up just now, and its BYE be on its way: it is asked again
//! when nobody would repeat that any more. All moments are in the replicated state, so a survivor
//! goes on with them; one that has passed meanwhile is acted on at once. But nobody is billed for
//! a time in which no node lived because a call has lasted too long by then, or was to be ended
//! meanwhile: it is asked for first, until each question of [`QUESTIONS_AFTER_OUTAGE`] is answered,
//! and one that was to be ended by then is over since then. So is one whose session was over by
//! then, or that had lasted too long, unless both ends say that they talk still. If others lived,
//! and the call was in a store that was away, its session begins anew: they have passed refreshes
//! on.

use crate::call::Call;
use crate::dialog::{Bye, Dialog, DialogState};
use crate::own_request::OwnMethod;
use crate::step::Step;
use resilee_sbb::{Failure, Timestamp};
use resilee_sip_api::{EndCause, Side};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// After an outage so many questions, one after the other, come before it is noticed that the call
/// has lasted too long: whether the ends are there, the same when the session is over meanwhile,
/// and each of them once more by another number.
pub(crate) const QUESTIONS_AFTER_OUTAGE: u32 = 4;

/// When a call is looked after that nobody ends. `None` switches one of them off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// After so long without a proof that both ends live, they are asked.
    pub ask_after: Option<Duration>,
    /// Session interval, in seconds, of an INVITE that has none (RFC 4028); at least 90 s.
    pub session_expires_s: Option<u32>,
    /// After so long it is ended.
    pub longest: Option<Duration>,
    /// So long it may ring, since it was first sent on. Less than timer C, which is 3 minutes,
    /// would break RFC 3261 §16.6 step 11.
    pub longest_ringing: Option<Duration>,
}

impl Default for CallLimits {
    /// Asked after 15 minutes, refreshed each half hour, ended after 12 hours; 10 minutes to ring.
    fn default() -> Self {
        CallLimits {
            ask_after: Some(Duration::from_secs(900)),
            session_expires_s: Some(1_800),
            longest: Some(Duration::from_secs(43_200)),
            longest_ringing: Some(Duration::from_secs(600)),
        }
    }
}

/// The moments of one call at which something is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Supervision {
    /// Its ends are asked.
    ask_at: Option<Timestamp>,
    /// They are asked for the second time then.
    is_second: bool,
    /// They were asked for the second time: who does not know the call is gone.
    counts_at_once: bool,
    /// The session is over, or, while `is_expiring`, nobody's answer counts any more.
    expires_at: Option<Timestamp>,
    /// So many seconds it lasts after each refresh. Calls of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_s: Option<u32>,
    /// The session is over, and the ends were asked whether they still talk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_expiring: bool,
    /// It has lasted too long.
    longest_until: Option<Timestamp>,
    /// Nobody lived for a while: what is asked puts `longest_until` off until then, not further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard_by: Option<Timestamp>,
    /// Somebody has it again since then, and asks its ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    back_at: Option<Timestamp>,
    /// The first moment in that time at which its session was over, or it had lasted too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over_meanwhile: Option<Timestamp>,
    /// It is to be ended when the ACK comes, or then.
    #[serde(default)]
    hang_up_by: Option<Timestamp>,
    /// It is to be ended when its ends are heard after an outage, or then; after a further outage
    /// they are heard later, and it was up no longer than until then all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hang_up_heard_by: Option<Timestamp>,
}

impl Supervision {
    /// The next of them.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let heard = self.hang_up_heard_by.max(self.heard_by);
        let heard = heard.filter(|_| self.hang_up_heard_by.is_some());
        let all = [self.ask_at, self.expires_at, self.longest_until, self.hang_up_by, heard];
        all.into_iter().flatten().min()
    }

    /// True if a dialog is to be ended when its ACK comes.
    pub(crate) fn waits_for_ack(&self) -> bool {
        self.hang_up_by.is_some()
    }

    /// True if who does not know the call is gone, whatever may be on its way.
    pub(crate) fn counts_at_once(&self) -> bool {
        self.counts_at_once
    }

    /// From now on the answers to what is asked count so.
    pub(crate) fn count_at_once(&mut self) {
        self.counts_at_once = true;
    }

    /// True if the session is over, and the ends' answers say since when.
    pub(crate) fn is_expiring(&self) -> bool {
        self.is_expiring
    }

    /// A question is asked, maybe once more, and is answered by then.
    pub(crate) fn wait_until(&mut self, answered_by: Timestamp) {
        put_off(&mut self.ask_at, answered_by);
        if self.is_expiring {
            self.expires_at = Some(answered_by);
        }
        self.hear_before_longest(answered_by);
    }

    /// It was refreshed, or may have been while only others lived, who pass that on and keep
    /// nothing of it (`orphan.rs`). If nobody knows how long it lasts, it has no end until the next
    /// refresh.
    pub(crate) fn restart_session(&mut self, now: Timestamp) {
        let interval = self.session_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
        self.expires_at = interval.map(|interval| now + interval);
        self.is_expiring = false;
    }

    /// Nobody lived for a while, and the ends are asked next: what they say within that time comes
    /// before what was due meanwhile, another question, the end of the session or that it has
    /// lasted too long.
    ///
    /// It was last `proven_at` to be up: what was over before that was none of this time.
    pub(crate) fn hear_first(
        &mut self,
        (now, proven_at): (Timestamp, Timestamp),
        answered_within: Duration,
    ) {
        self.over_meanwhile.take_if(|over| *over < proven_at);
        let over = [self.over_meanwhile, self.longest_until, self.expires_at];
        self.over_meanwhile = over.into_iter().flatten().filter(|at| *at <= now).min();
        self.back_at = Some(now);
        self.heard_by = Some(now + answered_within * QUESTIONS_AFTER_OUTAGE);
    }

    /// What is answered by then comes before that it has lasted too long, if that may have been
    /// while nobody lived.
    fn hear_before_longest(&mut self, answered_by: Timestamp) {
        if self.heard_by.is_some_and(|by| answered_by <= by) {
            put_off(&mut self.longest_until, answered_by);
        }
    }

    /// An answer leaves a doubt: both ends are asked again.
    pub(crate) fn ask_again(&mut self, at: Timestamp) {
        (self.ask_at, self.is_second) = (Some(at), true);
    }
}

/// What is due at this moment is due no earlier than that.
pub(crate) fn put_off(due: &mut Option<Timestamp>, until: Timestamp) {
    *due = due.map(|at| at.max(until));
}

impl Call {
    /// It is up from now on.
    pub(crate) fn begin_supervision(&mut self, step: &Step<'_>, session_s: Option<u32>) {
        let limits = step.element.calls;
        self.supervision = Supervision {
            ask_at: limits.ask_after.map(|after| step.now() + after),
            longest_until: limits.longest.map(|longest| step.now() + longest),
            ..Supervision::default()
        };
        self.refresh_session(step, session_s);
    }

    /// The ends have agreed on a session interval, or on none.
    pub(crate) fn refresh_session(&mut self, step: &Step<'_>, session_s: Option<u32>) {
        self.supervision.session_s = session_s;
        self.supervision.restart_session(step.now());
        self.supervision.over_meanwhile = None;
    }

    /// Does what is due.
    pub(crate) fn on_supervision_timeout(&mut self, step: &mut Step<'_>) {
        self.hang_up_if_heard(step);
        let now = step.now();
        let supervision = &self.supervision;
        let is_expired = supervision.expires_at.is_some_and(|at| at <= now);
        if let Some(due) = supervision.hang_up_by.filter(|at| *at <= now) {
            self.hang_up_without_ack(step, due);
        } else if is_expired && supervision.is_expiring {
            self.on_session_over(step);
        } else if supervision.longest_until.is_some_and(|at| at <= now) {
            let at = self.up_until(now);
            self.hang_up_all(step, at, EndCause::MaxDuration);
        } else if is_expired {
            self.on_session_over(step);
        } else if self.supervision.ask_at.is_some_and(|at| at <= now) {
            self.ask_if_silent(step);
        }
    }

    /// Until when a call was up that nobody has proven to be over by now: no longer than it might
    /// be while nobody lived, if it was not proven to be up since, nor than it was to be.
    pub(crate) fn up_until(&self, now: Timestamp) -> Timestamp {
        let over = self.supervision.over_meanwhile;
        let over = over.filter(|over| self.last_proof_of_life() <= *over);
        over.into_iter().chain(self.supervision.hang_up_heard_by).fold(now, Timestamp::min)
    }

    /// By when its ends are heard, while nobody knows whether it was up when nobody had it: they
    /// are asked, and nothing has proven it since.
    fn unheard_until(&self, now: Timestamp) -> Option<Timestamp> {
        let supervision = &self.supervision;
        let is_proven = supervision.back_at.is_none_or(|at| at <= self.last_proof_of_life());
        supervision.heard_by.filter(|by| now < *by && !is_proven && self.is_asking())
    }

    /// Ends the call if that was wanted before its ends were heard, and they are.
    pub(crate) fn hang_up_if_heard(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let is_wanted = self.supervision.hang_up_heard_by.is_some();
        if is_wanted && self.unheard_until(now).is_none() {
            let at = self.up_until(now);
            self.hang_up_all(step, at, EndCause::Bye);
        }
    }

    /// Nobody repeats the 2xx any more, so no ACK will come. If a node lived by then, and does not
    /// know yet whether the call was up before it did, that is waited for as well.
    fn hang_up_without_ack(&mut self, step: &mut Step<'_>, due: Timestamp) {
        let was_back = self.supervision.back_at.is_some_and(|at| at <= due);
        if let Some(by) = self.unheard_until(step.now()).filter(|_| was_back) {
            self.supervision.hang_up_by = None;
            self.supervision.hang_up_heard_by.get_or_insert(by);
            step.changed();
        } else {
            self.hang_up_all(step, due, EndCause::Bye);
        }
    }

    /// They may talk all the same, and the caller have promised a refresh that never comes: up to
    /// when they did is asked before the call ends.
    fn on_session_over(&mut self, step: &mut Step<'_>) {
        if self.supervision.is_expiring {
            let at = self.last_proof_of_life();
            self.hang_up_all(step, at, EndCause::LastProofOfLife);
            return;
        }
        step.changed();
        let answered_by = step.now() + Duration::from_millis(step.timers().long_ms());
        self.supervision.is_expiring = true;
        self.supervision.expires_at = Some(answered_by);
        put_off(&mut self.supervision.ask_at, answered_by);
        self.supervision.hear_before_longest(answered_by);
        self.ask_both_ends(step);
        self.end_if_expired(step);
    }

    fn ask_if_silent(&mut self, step: &mut Step<'_>) {
        step.changed();
        let is_second = std::mem::take(&mut self.supervision.is_second);
        let ask_after = step.element.calls.ask_after;
        let silent_until = ask_after.map(|after| self.last_proof_of_life() + after);
        if !is_second && silent_until.is_some_and(|until| until > step.now()) {
            self.supervision.ask_at = silent_until;
            return;
        }
        // What is not answered is repeated so long, and counts then.
        let answered_after = Duration::from_millis(step.timers().long_ms());
        self.supervision.ask_at = ask_after.map(|after| step.now() + after.max(answered_after));
        self.supervision.counts_at_once = is_second;
        self.ask_both_ends(step);
    }

    /// A service or an operator ends the call.
    ///
    /// # Errors
    /// One that is over.
    pub(crate) fn hang_up(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        if self.invite.is_pending() {
            return self.respond(step, 480, "", &[]);
        }
        if !self.is_up() {
            return Err(Failure::new("the call is over"));
        }
        let (now, by) = (step.now(), self.repeated_until(step));
        if !self.is_acked() && now < by {
            self.supervision.hang_up_by = Some(by);
            step.changed();
        } else if let Some(by) = self.unheard_until(now) {
            self.supervision.hang_up_heard_by.get_or_insert(by);
            step.changed();
        } else {
            let at = self.up_until(now);
            self.hang_up_all(step, at, EndCause::Bye);
        }
        Ok(())
    }

    /// A 2xx that crossed its CANCEL, of a call that is over: nobody would pay for that talk.
    pub(crate) fn end_late_answer(&mut self, step: &mut Step<'_>) {
        let repeated = Duration::from_millis(step.timers().long_ms());
        self.supervision.hang_up_by = Some(step.now() + repeated);
        step.changed();
    }

    /// What waits for the ACK, or until the ends are heard, is done at once.
    pub(crate) fn wait_no_longer(&mut self, step: &mut Step<'_>) {
        let waits = [self.supervision.hang_up_by, self.supervision.hang_up_heard_by];
        if let Some(by) = waits.into_iter().flatten().min() {
            let at = self.up_until(by.min(step.now()));
            self.hang_up_all(step, at, EndCause::Bye);
        }
    }

    /// The caller has got the answer: what waited for that is done.
    pub(crate) fn on_acked(&mut self, step: &mut Step<'_>, dialog: usize) {
        if !std::mem::replace(&mut self.dialogs[dialog].is_acked, true) {
            self.seen_at = step.now();
        }
        // What was due while no node lived was over then, whatever comes first now.
        if let Some(due) = self.supervision.hang_up_by.filter(|_| self.is_acked()) {
            self.hang_up_all(step, due.min(step.now()), EndCause::Bye);
        }
    }

    /// Of all dialogs that are up, the caller's ACK has come.
    fn is_acked(&self) -> bool {
        let is_open = |dialog: &&Dialog| dialog.state == DialogState::Confirmed;
        self.dialogs.iter().filter(is_open).all(|dialog| dialog.is_acked)
    }

    /// BYE to both ends of each dialog that is up; over since that moment, also if no dialog was
    /// ever up: earlier versions kept calls whose answer had none.
    pub(crate) fn hang_up_all(&mut self, step: &mut Step<'_>, at: Timestamp, cause: EndCause) {
        self.supervision = Supervision::default();
        step.changed();
        let bye = Bye { at, by: Side::Server, cause };
        self.end_where(step, bye, |_| true);
        self.end_by(step, bye);
    }

    /// Ends the dialogs with a BYE that was challenged and has not come again.
    pub(crate) fn end_challenged(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let is_due = |dialog: &Dialog| dialog.challenged_due().is_some_and(|at| at <= now);
        if self.dialogs.iter().any(is_due) {
            step.changed();
            self.end_where(step, Bye { at: now, by: Side::Server, cause: EndCause::Bye }, is_due);
        }
    }

    /// BYE to both ends of those dialogs that are up. One who has hung up says so in place of
    /// `otherwise`; the other end's answer is still awaited.
    fn end_where(&mut self, step: &mut Step<'_>, otherwise: Bye, is_one: impl Fn(&Dialog) -> bool) {
        let mut ends = Vec::new();
        for (index, dialog) in self.dialogs.iter_mut().enumerate() {
            if dialog.state == DialogState::Confirmed && is_one(dialog) {
                dialog.end(otherwise);
                ends.extend([(index, Side::Caller), (index, Side::Callee)]);
            }
        }
        for (dialog, _) in &ends {
            self.forget_questions(*dialog);
        }
        self.send_own(step, &ends, OwnMethod::Bye, |_| true);
        self.end_if_no_dialog_is_open(step);
    }
}
