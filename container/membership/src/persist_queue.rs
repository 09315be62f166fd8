//! Holds back what depends on a voter's state until that state is stored.
//!
//! | state         | input        | output                           | next                  |
//! |---------------|--------------|----------------------------------|-----------------------|
//! | idle          | state        | persist n+1                      | storing               |
//! | idle          | message      | the message                      | same                  |
//! | storing n     | state        |                                  | storing n, n+1 wanted |
//! | storing n     | message      |                                  | waits for n           |
//! | n+1 wanted    | message      |                                  | waits for n+1         |
//! | storing n     | persisted n  | what waits for n                 | idle                  |
//! | n+1 wanted    | persisted n  | what waits for n; persist n+1    | storing n+1           |
//!
//! One state is being stored at a time and the newest wins, so a slow store costs no memory.
//! Not here: the store.

use crate::VoterState;
use std::collections::VecDeque;

/// Most messages that wait; more are dropped, and their senders ask again.
const WAITING_MAX: usize = 64;

/// A number, and the state to store under it.
pub(crate) type Persist = (u64, VoterState);

/// See the table.
#[derive(Debug)]
pub(crate) struct PersistQueue<T> {
    /// Number of the last state that was handed out.
    number: u64,
    /// What is stored for sure.
    stored: VoterState,
    /// What is being stored.
    storing: Option<VoterState>,
    /// What to store next.
    wanted: Option<VoterState>,
    /// Messages with the number they wait for.
    waiting: VecDeque<(u64, T)>,
}

/// What a stored state sets free.
#[derive(Debug)]
pub(crate) struct Released<T> {
    pub(crate) messages: Vec<T>,
    pub(crate) persist: Option<Persist>,
}

impl<T> PersistQueue<T> {
    pub(crate) fn new(stored: VoterState) -> Self {
        PersistQueue { number: 0, stored, storing: None, wanted: None, waiting: VecDeque::new() }
    }

    /// The state that survives a kill at this moment.
    pub(crate) fn stored(&self) -> &VoterState {
        &self.stored
    }

    /// Takes in a changed state; returns it if it is to be stored now.
    pub(crate) fn handle_state(&mut self, state: &VoterState) -> Option<Persist> {
        if self.storing.is_some() {
            self.wanted = Some(state.clone());
            return None;
        }
        Some(self.begin(state.clone()))
    }

    /// Takes in a message that depends on the newest state; returns it if that is stored.
    pub(crate) fn handle_message(&mut self, message: T) -> Option<T> {
        if self.storing.is_none() {
            return Some(message);
        }
        let number = self.number + u64::from(self.wanted.is_some());
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((number, message));
        }
        None
    }

    /// The state of that number is stored; other numbers are ignored.
    pub(crate) fn handle_persisted(&mut self, number: u64) -> Option<Released<T>> {
        let stored = self.storing.take_if(|_| number == self.number)?;
        self.stored = stored;
        let mut messages = Vec::new();
        while self.waiting.front().is_some_and(|(waits_for, _)| *waits_for <= number) {
            messages.extend(self.waiting.pop_front().map(|(_, message)| message));
        }
        let persist = self.wanted.take().map(|state| self.begin(state));
        Some(Released { messages, persist })
    }

    fn begin(&mut self, state: VoterState) -> Persist {
        self.number += 1;
        self.storing = Some(state.clone());
        (self.number, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::View;

    fn state(number: u64) -> VoterState {
        VoterState { highest: View { number, ..View::default() }, ..Default::default() }
    }

    #[test]
    fn nothing_leaves_before_the_state_it_depends_on_is_stored() {
        let mut queue = PersistQueue::new(VoterState::default());
        assert_eq!(queue.handle_message("before"), Some("before"));
        assert_eq!(queue.handle_state(&state(1)), Some((1, state(1))));
        assert_eq!(queue.handle_message("on 1"), None);
        assert_eq!(queue.handle_state(&state(2)), None);
        assert_eq!(queue.handle_message("on 2"), None);
        assert_eq!(queue.stored().highest.number, 0);
        let released = queue.handle_persisted(1).unwrap();
        assert_eq!(released.messages, ["on 1"]);
        assert_eq!(released.persist, Some((2, state(2))));
        assert!(queue.handle_persisted(1).is_none());
        assert_eq!(queue.handle_persisted(2).unwrap().messages, ["on 2"]);
        assert_eq!(queue.handle_message("after"), Some("after"));
    }

    #[test]
    fn a_store_that_never_answers_costs_bounded_memory() {
        let mut queue = PersistQueue::new(VoterState::default());
        for number in 1..10_000 {
            queue.handle_state(&state(number));
            queue.handle_message(number);
        }
        assert_eq!(queue.waiting.len(), WAITING_MAX);
    }
}
