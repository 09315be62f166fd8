//! How the voter's state gets to the disk; nothing that follows from a vote leaves before.
//!
//! | the store            | a state goes               | it is stored when                      |
//! |----------------------|----------------------------|----------------------------------------|
//! | works                | into the next batch        | that batch is flushed                  |
//! | fails under way      | to its own file, at once   | [`Input::VoteSaved`](crate::Input)     |
//! | has failed           | to its own file            | [`Input::VoteSaved`](crate::Input)     |
//! | and that file, too   | there again, after 1 s     | it says so; until then it is an alarm  |
//!
//! Calls in progress do not wait for it: who is a member stays one. What does wait is the next
//! view, as far as this node's vote is needed for it.
//!
//! The membership stores one state at a time (`persist_queue.rs` there), so there is one at most.

use crate::alarms::sources::STORE;
use crate::core::Core;
use crate::io::Output;
use crate::store::{StoreOp, Tree, VOTER_KEY};
use resilee_membership::{MemberInput, VoterState};
use resilee_sbb::{Severity, Timestamp, encode};
use std::time::Duration;

/// A state that could not be saved is tried again after this time: there may be room by then.
const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// The voter's state on its way to the disk.
#[derive(Debug, Default)]
pub(crate) struct VoteWrites {
    under_way: Option<Vote>,
    /// The alarm that is raised.
    alarm: Option<String>,
}

#[derive(Debug)]
struct Vote {
    /// The membership's number.
    number: u64,
    /// Encoded.
    state: Vec<u8>,
    /// The batch that has it; none before that is emitted, and after the store failed.
    batch: Option<u64>,
    /// When it is tried again, in local time.
    again_at: Option<Timestamp>,
}

impl VoteWrites {
    /// The alarm that it cannot be saved, while it is raised.
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.as_deref()
    }

    /// When a state is tried again that could not be saved, in local time.
    pub fn again_at(&self) -> Option<Timestamp> {
        self.under_way.as_ref()?.again_at
    }

    /// A batch takes all writes with it.
    pub fn note_batch(&mut self, number: u64) {
        if let Some(vote) = self.under_way.as_mut().filter(|vote| vote.batch.is_none()) {
            vote.batch = Some(number);
        }
    }
}

impl Core {
    pub(crate) fn persist(&mut self, number: u64, state: &VoterState) {
        let state = encode(state).expect("plain data can be encoded");
        let vote = Vote { number, state: state.clone(), batch: None, again_at: None };
        self.votes.under_way = Some(vote);
        if self.writes.failed {
            return self.save_vote();
        }
        let key = VOTER_KEY.to_vec();
        self.writes.ops.push(StoreOp::Put { tree: Tree::Meta, key, value: state });
    }

    /// All batches up to this one are flushed.
    pub(crate) fn note_vote_flushed(&mut self, batch: u64) {
        let flushed = |vote: &mut Vote| vote.batch.is_some_and(|in_batch| in_batch <= batch);
        if let Some(vote) = self.votes.under_way.take_if(flushed) {
            self.tell_member(MemberInput::Persisted(vote.number));
        }
    }

    /// Tries to save what is under way outside the store, which has failed.
    pub(crate) fn save_vote(&mut self) {
        let Some(vote) = &mut self.votes.under_way else { return };
        (vote.batch, vote.again_at) = (None, None);
        let (number, state) = (vote.number, vote.state.clone());
        self.outputs.push_back(Output::SaveVote { number, state });
    }

    pub(crate) fn save_vote_again(&mut self) {
        if self.votes.again_at().is_some_and(|at| at <= self.clock.local()) {
            self.save_vote();
        }
    }

    pub(crate) fn on_vote_saved(&mut self, number: u64) {
        let Some(vote) = self.votes.under_way.take_if(|vote| vote.number == number) else { return };
        if let Some(alarm) = self.votes.alarm.take() {
            self.clear_alarm(STORE, &alarm);
        }
        self.tell_member(MemberInput::Persisted(vote.number));
    }

    pub(crate) fn on_vote_not_saved(&mut self, now: Timestamp, number: u64, reason: &str) {
        let again_at = self.clock.local() + SAVE_AGAIN;
        let vote = self.votes.under_way.as_mut().filter(|vote| vote.number == number);
        let Some(vote) = vote else { return };
        vote.again_at = Some(again_at);
        let text = format!(
            "votes cannot be stored: this node gives none, so nobody takes over or joins that \
             needs it: {reason}"
        );
        if self.votes.alarm.as_ref() == Some(&text) {
            return;
        }
        if let Some(before) = self.votes.alarm.replace(text.clone()) {
            self.clear_alarm(STORE, &before);
        }
        self.raise_alarm(now, Severity::Major, STORE, &text);
    }
}
