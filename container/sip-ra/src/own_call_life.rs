//! Is the phone of a call of our own still there? It may have lost power or network, or have sent
//! its BYE while no node lived. So it is asked with an OPTIONS within the dialog, as the ends of
//! other calls are (`proof_of_life.rs`); here the other end is this server, so what the phone says
//! or sends is proof enough.
//!
//! | what is noticed                               | what happens                              |
//! |-----------------------------------------------|-------------------------------------------|
//! | nothing of the phone for                      | it is asked                               |
//! | [`CallLimits::ask_after`]                     |                                           |
//! | no node lived for a while; an operator asks   | it is asked; who does not know the call   |
//! |                                               | is gone                                   |
//! | it answers 481 or 408                         | its BYE may be on its way: it is asked    |
//! |                                               | again when nobody would repeat that       |
//! | the same to that question                     | over since its last proof of life         |
//! | it does not answer, nor has it sent anything  | BYE; over since its last proof of life    |
//! | anything else                                 | it lives, and that is a proof of life     |
//! | a service or an operator hangs up before it   | BYE then: over now, or as if nobody had   |
//! | is heard after such a while                   | hung up                                   |
//!
//! The silence of a phone whose Allow has no OPTIONS says nothing until it has answered a question
//! (`proof_of_life.rs`). The questions are numbered on from our INVITE (RFC 3261 §12.2.1.1): in
//! this dialog all our requests are our own. All of it is in the replicated state; what is no
//! commit (what the phone sends within the dialog) is not known elsewhere.
//!
//! Not here: a session timer (RFC 4028). Our INVITE offers none: to refresh the session we would
//! have to make offers for the service, and to be told what the questions tell already.
//!
//! [`CallLimits::ask_after`]: crate::CallLimits::ask_after

use crate::dialog::DialogState;
use crate::own_call::OwnCall;
use crate::own_request::{Outcome, OwnMethod, OwnRequest};
use crate::step::Step;
use crate::supervision::{QUESTIONS_AFTER_OUTAGE, put_off};
use resilee_sbb::Timestamp;
use resilee_sip_api::EndCause;
use resilee_sip_proto::Message;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When the phone is asked, and what was heard of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    /// The phone was there then.
    seen_at: Timestamp,
    /// It is asked; none in calls of earlier versions until another node takes them over.
    ask_at: Option<Timestamp>,
    /// Who does not know the call has it ended by that: it was asked before, or no BYE can be on
    /// its way.
    counts_at_once: bool,
    /// The last question.
    question: Option<OwnRequest>,
    /// Nobody had the call for a while, and nothing was heard of the phone since: what is asked
    /// puts off until then, not further, that it has lasted too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard_by: Option<Timestamp>,
    /// It is to be ended when the phone is heard, or then; after a further outage it is heard
    /// later, and the call was up no longer than until then all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hang_up_by: Option<Timestamp>,
}

impl Life {
    /// It has something to do then.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let question = self.question.as_ref().and_then(OwnRequest::next_timeout);
        let heard = self.hang_up_by.max(self.heard_by).filter(|_| self.hang_up_by.is_some());
        question.into_iter().chain(self.ask_at).chain(heard).min()
    }

    /// The phone has said something.
    pub(crate) fn note(&mut self, now: Timestamp) {
        (self.seen_at, self.heard_by) = (now, None);
    }
}

impl OwnCall {
    /// It is up from now on.
    pub(crate) fn begin_life(&mut self, step: &Step<'_>) {
        let ask_after = step.element.calls.ask_after;
        let ask_at = ask_after.map(|after| step.now() + after);
        self.life = Life { seen_at: step.now(), ask_at, ..Life::default() };
    }

    /// Nobody had the call for a while. What the phone says comes first: nobody is billed for a
    /// time in which no node lived.
    pub(crate) fn ask_after_outage(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let answered_within = Duration::from_millis(step.timers().long_ms());
        let proven_at = self.last_proof_of_life();
        // What was over before that was none of this time.
        self.over_meanwhile.take_if(|over| *over < proven_at);
        self.over_meanwhile = self.over_meanwhile.or(self.longest_until.filter(|at| *at <= now));
        self.life.heard_by = Some(now + answered_within * QUESTIONS_AFTER_OUTAGE);
        self.ask_for_life(step);
    }

    /// An operator asks, or nobody had the call for a while: who does not know it is gone.
    pub(crate) fn ask_for_life(&mut self, step: &mut Step<'_>) {
        let answered_by = step.now() + Duration::from_millis(step.timers().long_ms());
        if self.life.heard_by.is_some_and(|by| answered_by <= by) {
            put_off(&mut self.longest_until, answered_by);
        }
        self.life.counts_at_once = true;
        self.ask(step);
    }

    /// A service or an operator hangs up: when the phone was heard, if nobody had the call for a
    /// while and it is not known whether it was up; else at once.
    pub(crate) fn hang_up_once_heard(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        match self.life.heard_by.filter(|by| now < *by) {
            Some(by) => {
                self.life.hang_up_by.get_or_insert(by);
                step.changed();
            }
            None => {
                let at = self.up_until(now);
                self.hang_up_all(step, at, EndCause::Bye);
            }
        }
    }

    /// Ends the call if that was wanted before the phone was heard, and it is.
    pub(crate) fn hang_up_if_heard(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let is_wanted = self.life.hang_up_by.is_some();
        if is_wanted && self.life.heard_by.is_none_or(|by| by <= now) {
            let at = self.up_until(now);
            self.hang_up_all(step, at, EndCause::Bye);
        }
    }

    /// The same, whether it is heard or not.
    pub(crate) fn wait_no_longer(&mut self, step: &mut Step<'_>) {
        if let Some(by) = self.life.hang_up_by {
            let at = self.up_until(by.min(step.now()));
            self.hang_up_all(step, at, EndCause::Bye);
        }
    }

    /// Until when it was up if nobody has proven that it is over by now: no longer than it might be
    /// while nobody lived, if the phone was not heard since, nor than it was to be.
    pub(crate) fn up_until(&self, now: Timestamp) -> Timestamp {
        let over = self.over_meanwhile.filter(|over| self.last_proof_of_life() <= *over);
        over.into_iter().chain(self.life.hang_up_by).fold(now, Timestamp::min)
    }

    /// Goes on at the survivor, which may be of a later version than who had it.
    pub(crate) fn resume_life(&mut self, step: &mut Step<'_>) {
        if let Some(question) = &mut self.life.question {
            question.resume(step);
        }
        if self.phone().is_some() && self.life.ask_at.is_none() {
            let ask_after = step.element.calls.ask_after;
            self.life.ask_at = ask_after.map(|after| step.now() + after);
        }
    }

    /// A response to the last question; false if it is to something else.
    pub(crate) fn on_answer_to_question(
        &mut self,
        step: &mut Step<'_>,
        response: &Message<'_>,
    ) -> bool {
        let Some(question) = self.life.question.as_mut().filter(|it| it.matches(response)) else {
            return false;
        };
        if question.on_response(step, response) {
            self.on_outcome(step);
        }
        true
    }

    /// Repeats the last question, or learns that it is not answered.
    pub(crate) fn on_question_timeout(&mut self, step: &mut Step<'_>) {
        let question = self.life.question.as_mut();
        if question.is_some_and(|question| question.on_timeout(step)) {
            self.on_outcome(step);
        }
        self.life.question.take_if(|question| question.is_terminated());
    }

    /// Asks, if that is due.
    pub(crate) fn on_life_timeout(&mut self, step: &mut Step<'_>) {
        if self.life.ask_at.is_some_and(|at| at <= step.now()) {
            self.ask_if_silent(step);
        }
    }

    fn ask_if_silent(&mut self, step: &mut Step<'_>) {
        step.changed();
        let ask_after = step.element.calls.ask_after;
        let silent_until = ask_after.map(|after| self.last_proof_of_life() + after);
        if !self.life.counts_at_once && silent_until.is_some_and(|until| until > step.now()) {
            self.life.ask_at = silent_until;
            return;
        }
        self.ask(step);
    }

    fn ask(&mut self, step: &mut Step<'_>) {
        let Some(index) = self.phone() else { return };
        step.changed();
        let answered_after = Duration::from_millis(step.timers().long_ms());
        let ask_after = step.element.calls.ask_after;
        self.life.ask_at = ask_after.map(|after| step.now() + after.max(answered_after));
        self.server.cseq = self.server.cseq.saturating_add(1);
        let way = self.way_to(&self.dialogs[index]);
        self.life.question = Some(OwnRequest::send(step, &way, OwnMethod::OwnProbe));
    }

    fn on_outcome(&mut self, step: &mut Step<'_>) {
        let Some(question) = self.life.question.as_ref() else { return };
        let (outcome, sent_at) = (question.outcome, question.sent_at);
        let (is_answered, phone) = (question.is_answered(), self.phone());
        step.changed();
        self.life.heard_by = None;
        if let Some(index) = phone.filter(|_| is_answered) {
            self.dialogs[index].callee.has_answered = true;
        }
        let must_answer = phone.is_none_or(|it| self.dialogs[it].callee.answers_questions());
        let counts_at_once = std::mem::take(&mut self.life.counts_at_once);
        match outcome {
            Outcome::Answered(408) | Outcome::Silent if !must_answer => {}
            Outcome::Answered(408 | 481) if counts_at_once => {
                let at = self.last_proof_of_life();
                self.end_without_bye(step, at);
            }
            Outcome::Answered(408 | 481) => {
                let repeated = Duration::from_millis(step.timers().long_ms());
                self.life.counts_at_once = true;
                self.life.ask_at = Some(step.now() + repeated);
            }
            Outcome::Silent if self.life.seen_at <= sent_at => {
                let at = self.last_proof_of_life();
                self.hang_up_all(step, at, EndCause::LastProofOfLife);
            }
            Outcome::Answered(_) => self.life.note(step.now()),
            Outcome::Silent | Outcome::Pending => {}
        }
        self.hang_up_if_heard(step);
    }

    fn last_proof_of_life(&self) -> Timestamp {
        self.life.seen_at.max(self.answered_at())
    }

    /// The dialog that is up; others were ended as soon as they had begun.
    fn phone(&self) -> Option<usize> {
        let is_up = self.is_up();
        let up = self.dialogs.iter().position(|it| it.state == DialogState::Confirmed);
        up.filter(|_| is_up)
    }
}
