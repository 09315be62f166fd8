//! Is the call still up? A BYE may have come while no node lived, or an end may have lost power
//! (`supervision.rs`). So each end of each dialog is asked with one OPTIONS, and one that has moved
//! (`leg.rs`) at each place where it was, too: the other end may have moved it away.
//!
//! | an end answers            | what happens                                                    |
//! |---------------------------|-----------------------------------------------------------------|
//! | 481; 408 or nothing, but  | the dialog is over since its last proof of life; BYE to all who |
//! | see below                 | have not said so                                                |
//! | the same where it is, and | the dialog is over now: it may have been moved away, and talk   |
//! | something else where it   | on there; after an outage, no later than it might last          |
//! | was before                | (`supervision.rs`)                                              |
//! | nothing, and there was a  | nothing                                                         |
//! | proof of life meanwhile   |                                                                 |
//! | nothing to a number that  | it is asked once more, by the next one: to some phones the same |
//! | it has answered before    | number is a copy (`own_request.rs`)                             |
//! | 481 or 408, to a first    | its BYE may be on its way: both are asked again when nobody     |
//! | question of `supervision` | would repeat that                                               |
//! | 481, the caller, shortly  | the 2xx may be lost with the node that had it, and the callee   |
//! | after the answer (64*T1)  | still repeats it until the ACK (RFC 3261 §13.3.1.4): both are   |
//! |                           | asked again when that time is over                              |
//! | anything else             | it lives                                                        |
//! | both ends anything else   | it lives, and that is a proof of life: who chooses what to      |
//! |                           | answer does not choose how long he is billed                    |
//! | a BYE, before its answer  | the call ends by the BYE, as always                             |
//!
//! An end whose Allow has no OPTIONS is asked as well, since all must take it (RFC 3261 §11), and a
//! 405 or 501 is an answer. But it may not answer what it does not know: its silence, or a proxy's
//! 408 for it, is no sign that it is gone, nor a proof, until it has answered a question. One end
//! alone proves nothing, whatever it sends or says: the other has hung up, and nobody talks. So the
//! last proof of life is the latest moment at which one has answered what the other one sent, other
//! than with 481 or 408, or has first acknowledged the answer, and that a commit was made after:
//! what changes nothing is no commit. An INVITE or UPDATE that came from no place of its sender
//! proves nothing of that unless it is accepted: each end knows both tags, and may ask itself in
//! the name of the other one. An INVITE within the call may ring for minutes, and who has
//! sent it be gone meanwhile: answers to that prove that both were there when it came. Those to
//! anything else come within 64 T1, and count when they come.
//!
//! What an end says where it has moved to counts as its own. Who has the other end moved there,
//! when that has lost power, can answer for it: nothing but credentials would tell that from a
//! phone that has left one network for another, where its old place is as silent; and within a call
//! none are asked for. An end that lives can hang up where it was; if it does not live, the call
//! lasts [`CallLimits::longest`](crate::CallLimits::longest) at most.

use crate::call::Call;
use crate::dialog::{Bye, DialogState};
use crate::leg::Leg;
use crate::own_request::{Direction, Outcome, OwnMethod, OwnRequest};
use crate::step::Step;
use resilee_core::Adoption;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use resilee_sip_proto::Message;
use std::time::Duration;

/// Whether an end that answers so has no such dialog (RFC 3261 §12.2.1.2).
fn is_gone(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// Whether this answer to a request of the other end says that both are there. A 100 is a proxy's.
/// A request that came from no place of the other end may be of whoever answers it, until that has
/// accepted where it came from.
pub(crate) fn is_proof(status: u16, is_from_nowhere: bool) -> bool {
    let is_accepted = (200..300).contains(&status);
    status > 100 && !is_gone(status) && (is_accepted || !is_from_nowhere)
}

/// Until when a dialog was up of which an end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    LastProof,
    /// The end is gone where it is, and not where it was: there it may be, and talk on.
    Now,
}

/// What an end has said to the questions of now: of several places, the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// Another answer than that it is gone: a phone may refuse a question of an old CSeq number
    /// (RFC 3261 §12.2.2), or questions.
    Yes,
    /// Nothing yet.
    None,
    /// That it is gone, or nothing for so long that it must be.
    Gone,
    /// It was not asked there, or need not have answered.
    Unknown,
}

impl Call {
    /// Nobody had it for a while: the same, before anything that was due meanwhile.
    pub(crate) fn ask_after_outage(&mut self, step: &mut Step<'_>, adoption: Adoption) {
        let answered_after = Duration::from_millis(step.timers().long_ms());
        let proven_at = self.last_proof_of_life();
        if adoption != Adoption::ColdStart {
            self.supervision.restart_session(step.now());
        }
        self.supervision.hear_first((step.now(), proven_at), answered_after);
        self.ask_for_life(step);
    }

    /// Asks both ends of all dialogs that are up; who does not know of it is gone. Earlier
    /// questions are not answered any more: what was to be done behind those waits for these.
    pub(crate) fn ask_for_life(&mut self, step: &mut Step<'_>) {
        let answered_by = step.now() + Duration::from_millis(step.timers().long_ms());
        self.supervision.wait_until(answered_by);
        self.supervision.count_at_once();
        self.ask_both_ends(step);
    }

    pub(crate) fn ask_both_ends(&mut self, step: &mut Step<'_>) {
        // Earlier questions: their answers are asked for anew.
        self.own_requests.retain(|own| own.method == OwnMethod::Bye);
        let is_up = |index: &usize| {
            let dialog = &self.dialogs[*index];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        };
        let dialogs = (0..self.dialogs.len()).filter(is_up);
        let ends = dialogs.flat_map(|index| [(index, Side::Caller), (index, Side::Callee)]);
        let ends: Vec<_> = ends.collect();
        self.send_own(step, &ends, OwnMethod::Probe, |_| true);
    }

    /// Whether a question has no answer yet.
    pub(crate) fn is_asking(&self) -> bool {
        let is_open = |own: &OwnRequest| own.outcome == Outcome::Pending;
        self.own_requests.iter().any(|own| own.method == OwnMethod::Probe && is_open(own))
    }

    /// A response to a request of our own; false if it is to none.
    pub(crate) fn on_own_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        let found = self.own_requests.iter_mut().find(|own| own.matches(response));
        let Some(own) = found else { return false };
        if own.on_response(step, response) {
            let own = own.clone();
            self.on_outcome(step, &own);
            self.hang_up_if_heard(step);
        }
        true
    }

    /// Fires the timers that are due.
    pub(crate) fn on_own_timeout(&mut self, step: &mut Step<'_>) {
        let mut silent = Vec::new();
        for own in &mut self.own_requests {
            if own.on_timeout(step) {
                silent.push(own.clone());
            }
        }
        silent.iter().for_each(|own| self.on_outcome(step, own));
        // Nothing is known by a BYE. Questions would take what they know with them one by one.
        self.own_requests.retain(|own| own.method == OwnMethod::Probe || !own.is_terminated());
        if self.own_requests.iter().all(OwnRequest::is_terminated) {
            self.own_requests.clear();
        }
    }

    fn on_outcome(&mut self, step: &mut Step<'_>, own: &OwnRequest) {
        let found = self.dialogs.iter().position(|it| it.callee.tag == own.dialog_tag);
        if own.method != OwnMethod::Probe {
            found.into_iter().for_each(|dialog| self.insist_on_bye(step, dialog, own));
            return;
        }
        let is_up = |index: &usize| {
            let dialog = &self.dialogs[*index];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        };
        let Some(dialog) = found.filter(is_up) else { return };
        step.changed();
        if own.is_answered() && self.is_here(dialog, own.receiver, own) {
            self.end_mut(dialog, own.receiver).has_answered = true;
        }
        let is_unproven = own.outcome == Outcome::Silent && self.seen_at <= own.sent_at;
        if is_unproven && self.ask_once_more(step, dialog, own) {
            let answered_by = step.now() + Duration::from_millis(step.timers().long_ms());
            self.supervision.wait_until(answered_by);
            return;
        }
        if self.supervision.is_expiring() {
            self.end_if_expired(step);
            return;
        }
        if self.leaves_doubt(step, own) {
            return;
        }
        match self.end_of(step, dialog, own.receiver) {
            Some(Until::LastProof) => {
                let at = self.last_proof_of_life();
                self.end_without_bye(step, dialog, at);
            }
            Some(Until::Now) => {
                let at = self.up_until(step.now());
                self.end_without_bye(step, dialog, at);
            }
            // What an earlier place says, or does not, is no answer of an end.
            None if self.is_yes(dialog, own) && self.both_live(dialog) => {
                self.seen_at = step.now();
            }
            None => {}
        }
    }

    /// Whether an end that does not know of the dialog is to be asked again; then it is.
    fn leaves_doubt(&mut self, step: &Step<'_>, own: &OwnRequest) -> bool {
        let Outcome::Answered(status) = own.outcome else { return false };
        if own.is_earlier() {
            return false;
        }
        if status == 481 && self.may_lack_answer(step, own.receiver) {
            let at = self.repeated_until(step);
            self.supervision.ask_again(at);
            return true;
        }
        if is_gone(status) && !self.supervision.counts_at_once() {
            let repeated = Duration::from_millis(step.timers().long_ms());
            self.supervision.ask_again(step.now() + repeated);
            return true;
        }
        false
    }

    /// Until when a dialog was up, if an end of it is gone by what is known of all its places.
    fn end_of(&self, step: &Step<'_>, dialog: usize, side: Side) -> Option<Until> {
        let counts = |own: &OwnRequest| match own.outcome {
            Outcome::Silent => self.seen_at <= own.sent_at,
            Outcome::Answered(481) if self.may_lack_answer(step, side) => false,
            _ => self.supervision.counts_at_once(),
        };
        let mut here = self.probes(dialog, side).filter(|own| self.is_here(dialog, side, own));
        if !here.all(counts) {
            return None;
        }
        match self.words_of(dialog, side) {
            (Word::Gone, Word::Gone | Word::Unknown) => Some(Until::LastProof),
            (Word::Gone, Word::Yes) => Some(Until::Now),
            _ => None,
        }
    }

    /// The caller may not have got the 2xx yet, so it has no such dialog yet.
    fn may_lack_answer(&self, step: &Step<'_>, asked: Side) -> bool {
        asked == Side::Caller && step.now() < self.repeated_until(step)
    }

    /// Nobody repeats the 2xx after this.
    pub(crate) fn repeated_until(&self, step: &Step<'_>) -> Timestamp {
        self.answered_at() + Duration::from_millis(step.element.timers.long_ms())
    }

    /// It is over, and nobody has said so: whoever has not said that it is gone is told.
    fn end_without_bye(&mut self, step: &mut Step<'_>, dialog: usize, at: Timestamp) {
        let (by, cause) = (Side::Server, EndCause::LastProofOfLife);
        self.dialogs[dialog].end(Bye { at, by, cause });
        let ends = [(dialog, Side::Caller), (dialog, Side::Callee)];
        let probes = ends.iter().flat_map(|(dialog, side)| self.probes(*dialog, *side));
        let gone = probes.filter(|own| self.says_gone(dialog, own));
        let gone: Vec<_> = gone.map(|own| (own.receiver, own.flow.remote)).collect();
        self.forget_questions(dialog);
        let may_wait = |way: &Direction<'_>| !gone.contains(&(way.receiver, way.flow.remote));
        self.send_own(step, &ends, OwnMethod::Bye, may_wait);
        self.end_if_no_dialog_is_open(step);
    }

    /// What is said to its ends next is not a question.
    pub(crate) fn forget_questions(&mut self, dialog: usize) {
        let tag = &self.dialogs[dialog].callee.tag;
        self.own_requests.retain(|own| own.method == OwnMethod::Bye || own.dialog_tag != *tag);
    }

    /// What is asked of an end, and was.
    fn probes(&self, dialog: usize, side: Side) -> impl Iterator<Item = &OwnRequest> {
        let tag = &self.dialogs[dialog].callee.tag;
        self.own_requests.iter().filter(move |own| {
            own.method == OwnMethod::Probe && own.dialog_tag == *tag && own.receiver == side
        })
    }

    /// Whether its receiver has no such dialog there, as far as its silence says anything.
    fn says_gone(&self, dialog: usize, own: &OwnRequest) -> bool {
        let must_answer = || self.end(dialog, own.receiver).answers_questions();
        own.says_gone() && (own.is_answered() || must_answer())
    }

    fn is_here(&self, dialog: usize, side: Side, own: &OwnRequest) -> bool {
        own.flow.remote == self.end(dialog, side).flow.remote
    }

    /// What an end has said where it is, and where it was before.
    fn words_of(&self, dialog: usize, side: Side) -> (Word, Word) {
        let word = |own: &OwnRequest| match own.outcome {
            Outcome::Pending => Word::None,
            _ if self.says_gone(dialog, own) => Word::Gone,
            _ if own.says_gone() => Word::Unknown,
            _ => Word::Yes,
        };
        let words = |here: bool| {
            let probes = self.probes(dialog, side);
            let there = probes.filter(|own| self.is_here(dialog, side, own) == here);
            there.map(word).min().unwrap_or(Word::Unknown)
        };
        (words(true), words(false))
    }

    /// An end has just said so where it is.
    fn is_yes(&self, dialog: usize, own: &OwnRequest) -> bool {
        self.is_here(dialog, own.receiver, own)
            && matches!(own.outcome, Outcome::Answered(status) if !is_gone(status))
    }

    /// Both have said so where they are: at a place where an end was, by now somebody else may be.
    fn both_live(&self, dialog: usize) -> bool {
        let is_there = |side| self.words_of(dialog, side).0 == Word::Yes;
        [Side::Caller, Side::Callee].into_iter().all(is_there)
    }

    /// The session was not refreshed, and both ends were asked: once it is known of a dialog that
    /// nobody is gone, or of all that somebody is, the call ends.
    pub(crate) fn end_if_expired(&mut self, step: &mut Step<'_>) {
        let word = |dialog, side| match self.words_of(dialog, side) {
            (Word::Gone, Word::Gone | Word::Unknown) => Word::Gone,
            (Word::Gone, earlier) => earlier,
            (present, _) => present,
        };
        let words = |dialog| [Side::Caller, Side::Callee].map(|side| word(dialog, side));
        let open = (0..self.dialogs.len()).filter(|dialog| {
            let dialog = &self.dialogs[*dialog];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        });
        let lasting: Vec<_> = open.filter(|dialog| !words(*dialog).contains(&Word::Gone)).collect();
        if !lasting.is_empty() {
            if lasting.iter().all(|dialog| words(*dialog).contains(&Word::None)) {
                return;
            }
            let is_proven = lasting.iter().any(|dialog| self.both_live(*dialog));
            let now = step.now();
            self.seen_at = if is_proven { now } else { self.up_until(now) };
        }
        let at = self.last_proof_of_life();
        self.hang_up_all(step, at, EndCause::LastProofOfLife);
    }

    /// The latest moment at which both ends are known to have been there.
    pub(crate) fn last_proof_of_life(&self) -> Timestamp {
        self.seen_at.max(self.answered_at())
    }

    fn end_mut(&mut self, dialog: usize, side: Side) -> &mut Leg {
        match side {
            Side::Caller | Side::Server => &mut self.caller,
            Side::Callee => &mut self.dialogs[dialog].callee,
        }
    }

    /// One end of a dialog; the server stands for nobody.
    pub(crate) fn end(&self, dialog: usize, side: Side) -> &Leg {
        match side {
            Side::Caller | Side::Server => &self.caller,
            Side::Callee => &self.dialogs[dialog].callee,
        }
    }
}
