//! What waits in a cell for its turn.
//!
//! | what comes out next   | the node is | what happens                                     |
//! |-----------------------|-------------|--------------------------------------------------|
//! | a message that waited | overloaded  | dropped, counted; its client has repeated it, or |
//! | too long              |             | given up                                         |
//! | the same              | not         | its turn begins: only its cell is slow           |
//! | anything else         | any         | its turn begins                                  |
//!
//! Timers and what the container itself has to do are never dropped.

use crate::cell::CellInput;
use crate::core::Core;
use resilee_sbb::{CellId, Timestamp};
use std::time::Duration;

impl Core {
    /// The next input of a cell that is worth a turn.
    pub(crate) fn next_input(&mut self, now: Timestamp, id: CellId) -> Option<CellInput> {
        let age_max = Duration::from_millis(self.config.limits.inbox_age_ms_max);
        loop {
            let input = self.cells.get_mut(&id)?.inbox.pop_front()?;
            let since = match &input {
                CellInput::Message(_, since) => *since,
                _ => return Some(input),
            };
            if now.since(since) <= age_max || !self.is_overloaded(now) {
                return Some(input);
            }
            self.count_drop("message that waited too long for its cell under overload");
        }
    }
}
