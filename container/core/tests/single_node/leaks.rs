//! The leak check at the end of each test of one node.

use super::House;
use crate::toy::OVER;

/// So long what is left of calls may take to end.
const ENDS_WITHIN_S: u64 = 60;

impl Drop for House {
    /// Whatever a test did, nothing is about something that is not there, and when all calls have
    /// ended, nothing is there.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert_eq!(self.core.inconsistencies(), Vec::<String>::new());
        assert_eq!(self.core.kept_of_none(), Vec::<String>::new());
        if self.leaves.is_none() && self.core.status(self.now).member {
            self.end_calls();
            assert_eq!(self.core.remains(), Vec::<String>::new(), "when all calls have ended");
        }
    }
}

impl House {
    /// Handlers do what they should, and clients end their calls.
    fn end_calls(&mut self) {
        (self.answering, self.failing) = (true, None);
        for _ in 0..ENDS_WITHIN_S {
            self.flush();
            if self.core.remains().is_empty() {
                return;
            }
            // Under overload what waited too long is dropped: clients repeat it.
            for call in self.calls.clone() {
                self.say(&format!("{call} {OVER}"));
            }
            self.pass_seconds(1);
        }
    }
}
