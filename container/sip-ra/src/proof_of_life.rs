//! Is the call still up? A BYE may have come while no node lived, or an end may have lost power
//! (`supervision.rs`). So each end of each dialog is asked with one OPTIONS, and one that has moved
//! (`leg.rs`) at each place where it was, too: the other end may have moved it away.
//!
//! | an end answers            | what happens                                                    |
//! |---------------------------|-----------------------------------------------------------------|
//! | 481, 408, nothing         | the dialog is over since its last proof of life; BYE to all who |
//! |                           | have not said so                                                |
//! | the same, at one of the   | nothing, unless a BYE came from there that was challenged: that |
//! | places of an end          | is where the end is                                             |
//! | nothing, and there was a  | nothing                                                         |
//! | proof of life meanwhile   |                                                                 |
//! | 481 or 408, to a first    | its BYE may be on its way: both are asked again when nobody     |
//! | question of `supervision` | would repeat that                                               |
//! | 481, the caller, shortly  | the 2xx may be lost with the node that had it, and the callee   |
//! | after the answer (64*T1)  | still repeats it until the ACK (RFC 3261 §13.3.1.4): both are   |
//! |                           | asked again when that time is over                              |
//! | anything else             | it lives                                                        |
//! | both ends 2xx             | it lives, and that is a proof of life                           |
//! | a BYE, before its answer  | the call ends by the BYE, as always                             |
//!
//! An end whose Allow has no OPTIONS is not asked, and that is no sign that it is gone. One end
//! alone proves nothing, whatever it sends or says: the other has hung up, and nobody talks. So the
//! last proof of life is the latest moment at which one has answered what the other one sent, other
//! than with 481 or 408, or has first acknowledged the answer, and that a commit was made after:
//! what changes nothing is no commit.

use crate::call::Call;
use crate::dialog::{Bye, DialogState, other_end};
use crate::leg::Leg;
use crate::own_request::{Direction, Outcome, OwnMethod, OwnRequest};
use crate::step::Step;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use resilee_sip_proto::Message;
use std::time::Duration;

/// Whether an end that answers so has no such dialog (RFC 3261 §12.2.1.2).
fn is_gone(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// Whether this answer to a request of the other end says that both are there. A 100 is a proxy's.
pub(crate) fn is_proof(status: u16) -> bool {
    status > 100 && !is_gone(status)
}

/// What an end has said to the questions of now: of several places, the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// A 2xx.
    Yes,
    /// Another answer than that it is gone.
    Something,
    /// Nothing yet.
    None,
    /// That it is gone, or nothing for so long that it must be.
    Gone,
    /// It was not asked: it takes no OPTIONS.
    NotAsked,
}

impl Call {
    /// Asks both ends of all dialogs that are up; who does not know of it is gone.
    pub(crate) fn ask_for_life(&mut self, step: &mut Step<'_>) {
        self.supervision.count_at_once();
        self.ask_both_ends(step);
    }

    pub(crate) fn ask_both_ends(&mut self, step: &mut Step<'_>) {
        // Earlier questions: their answers are asked for anew.
        self.own_requests.retain(|own| own.method == OwnMethod::Bye);
        for index in 0..self.dialogs.len() {
            let dialog = &self.dialogs[index];
            if dialog.state != DialogState::Confirmed || dialog.bye.is_some() {
                continue;
            }
            for receiver in [Side::Caller, Side::Callee] {
                if self.end(index, receiver).takes_options {
                    self.send_own(step, index, receiver, OwnMethod::Probe);
                }
            }
        }
    }

    /// A response to a request of our own; false if it is to none.
    pub(crate) fn on_own_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        let found = self.own_requests.iter_mut().find(|own| own.matches(response));
        let Some(own) = found else { return false };
        if own.on_response(step, response) {
            let own = own.clone();
            self.on_outcome(step, &own);
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
        // One by one they would take what they know with them.
        if self.own_requests.iter().all(OwnRequest::is_terminated) {
            self.own_requests.clear();
        }
    }

    fn on_outcome(&mut self, step: &mut Step<'_>, own: &OwnRequest) {
        if own.method != OwnMethod::Probe {
            return;
        }
        let found = self.dialogs.iter().position(|it| it.callee.tag == own.dialog_tag);
        let is_up = |index: &usize| {
            let dialog = &self.dialogs[*index];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        };
        let Some(dialog) = found.filter(is_up) else { return };
        step.changed();
        if self.supervision.is_expiring() {
            self.end_if_expired(step);
            return;
        }
        let is_gone = match own.outcome {
            Outcome::Answered(481) if self.may_lack_answer(step, own.receiver) => {
                let at = self.repeated_until(step);
                self.supervision.ask_again(at);
                false
            }
            Outcome::Answered(status) if is_gone(status) => {
                let is_gone = self.supervision.counts_at_once();
                if !is_gone {
                    let repeated = Duration::from_millis(step.timers().long_ms());
                    self.supervision.ask_again(step.now() + repeated);
                }
                is_gone
            }
            Outcome::Answered(_) => false,
            Outcome::Silent => self.seen_at <= own.sent_at,
            Outcome::Pending => false,
        };
        if is_gone && self.is_gone_at_all_places(dialog, own) {
            self.end_at_last_proof(step, dialog);
        } else if self.both_live(dialog) {
            self.seen_at = step.now();
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

    /// Whether an end that is gone there is not elsewhere.
    fn is_gone_at_all_places(&self, dialog: usize, own: &OwnRequest) -> bool {
        let hung_up_there = self.dialogs[dialog].refused_bye.as_ref().is_some_and(|refused| {
            refused.by == own.receiver && refused.from.remote == own.flow.remote
        });
        hung_up_there || self.word_of(dialog, own.receiver) == Word::Gone
    }

    /// Whoever has not said that it is gone still waits: it is told.
    fn end_at_last_proof(&mut self, step: &mut Step<'_>, dialog: usize) {
        let at = self.last_proof_of_life();
        let tag = self.dialogs[dialog].callee.tag.clone();
        let (by, cause) = (Side::Server, EndCause::LastProofOfLife);
        self.dialogs[dialog].bye = Some(Bye { at, by, cause });
        self.dialogs[dialog].state = DialogState::Ended;
        let of_it = |own: &OwnRequest| own.dialog_tag == tag && own.method == OwnMethod::Probe;
        let gone = self.own_requests.iter().filter(|own| of_it(own) && own.says_gone());
        let gone: Vec<_> = gone.map(|own| (own.receiver, own.flow.remote)).collect();
        self.own_requests.retain(|own| !of_it(own));
        for receiver in [Side::Caller, Side::Callee] {
            let may_wait = |place: &Leg| !gone.contains(&(receiver, place.flow.remote));
            self.send_where(step, dialog, receiver, OwnMethod::Bye, may_wait);
        }
        self.end_if_no_dialog_is_open(step);
    }

    /// What an end has said at all its places.
    fn word_of(&self, dialog: usize, side: Side) -> Word {
        let tag = &self.dialogs[dialog].callee.tag;
        let probes = self.own_requests.iter().filter(|own| {
            own.method == OwnMethod::Probe && own.dialog_tag == *tag && own.receiver == side
        });
        let words = probes.map(|own| match own.outcome {
            Outcome::Answered(200..=299) => Word::Yes,
            Outcome::Pending => Word::None,
            _ if own.says_gone() => Word::Gone,
            _ => Word::Something,
        });
        words.min().unwrap_or(Word::NotAsked)
    }

    fn both_live(&self, dialog: usize) -> bool {
        [Side::Caller, Side::Callee].iter().all(|side| self.word_of(dialog, *side) == Word::Yes)
    }

    /// The session was not refreshed, and both ends were asked: once it is known of a dialog that
    /// nobody is gone, or of all that somebody is, the call ends.
    pub(crate) fn end_if_expired(&mut self, step: &mut Step<'_>) {
        let sides = [Side::Caller, Side::Callee];
        let words = |dialog| sides.map(|side| self.word_of(dialog, side));
        let open = (0..self.dialogs.len()).filter(|dialog| {
            let dialog = &self.dialogs[*dialog];
            dialog.state == DialogState::Confirmed && dialog.bye.is_none()
        });
        let mut lasting = open.map(words).filter(|words| !words.contains(&Word::Gone)).peekable();
        if lasting.peek().is_some() {
            if lasting.all(|words| words.contains(&Word::None)) {
                return;
            }
            self.seen_at = step.now();
        }
        let at = self.last_proof_of_life();
        self.hang_up_all(step, at, EndCause::LastProofOfLife);
    }

    /// The latest moment at which both ends are known to have been there.
    pub(crate) fn last_proof_of_life(&self) -> Timestamp {
        self.seen_at.max(self.answered_at())
    }

    /// Sends it to the receiver at all its places.
    pub(crate) fn send_own(
        &mut self,
        step: &mut Step<'_>,
        dialog: usize,
        receiver: Side,
        method: OwnMethod,
    ) {
        self.send_where(step, dialog, receiver, method, |_| true);
    }

    /// The same, at those of its places.
    fn send_where(
        &mut self,
        step: &mut Step<'_>,
        dialog: usize,
        receiver: Side,
        method: OwnMethod,
        is_one: impl Fn(&Leg) -> bool,
    ) {
        let (from, to) = (self.end(dialog, other_end(receiver)), self.end(dialog, receiver));
        let mut places: Vec<Leg> = to.at_all_places().collect();
        let refused = self.dialogs[dialog].refused_bye.as_ref();
        if let Some(refused) = refused.filter(|refused| refused.by == receiver)
            && places.iter().all(|place| place.flow.remote != refused.from.remote)
        {
            places.push(to.at(refused.from));
        }
        let (call_id, dialog_tag) = (&self.call_id, &self.dialogs[dialog].callee.tag);
        let sent = places.iter().filter(|place| is_one(place)).map(|to| {
            OwnRequest::send(step, &Direction { call_id, dialog_tag, from, to, receiver }, method)
        });
        let sent: Vec<_> = sent.collect();
        self.own_requests.extend(sent);
    }

    /// One end of a dialog; the server stands for nobody.
    pub(crate) fn end(&self, dialog: usize, side: Side) -> &Leg {
        match side {
            Side::Caller | Side::Server => &self.caller,
            Side::Callee => &self.dialogs[dialog].callee,
        }
    }
}
