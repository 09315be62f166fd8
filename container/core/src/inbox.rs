//! What waits in a cell for its turn.
//!
//! | what comes out next   | the node is | what happens                                     |
//! |-----------------------|-------------|--------------------------------------------------|
//! | a message that waited | overloaded  | dropped, counted; its client has repeated it, or |
//! | too long              |             | given up                                         |
//! | the same              | not         | its turn begins: only its cell is slow           |
//! | a message, and a gap  | any         | as if it came now: another store may have the    |
//! | left the cell empty   |             | call (`ingress.rs`); one that may begin it, or   |
//! |                       |             | names the cell itself, has its turn              |
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
            let (ingress, since) = match self.cells.get_mut(&id)?.inbox.pop_front()? {
                CellInput::Message(ingress, since) => (ingress, since),
                input => return Some(input),
            };
            if now.since(since) > age_max && self.is_overloaded(now) {
                self.count_drop("message that waited too long for its cell under overload");
            } else if self.lingers(id) && !self.is_for_rest(now, &ingress) {
                self.on_message(now, ingress, true);
            } else {
                return Some(CellInput::Message(ingress, since));
            }
        }
    }
}
