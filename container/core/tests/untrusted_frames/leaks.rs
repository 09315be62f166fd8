//! The leak check at the end of each test, whatever a node was told.

#[path = "../pair/kept.rs"]
mod kept;

use super::Pair;
use crate::toy::OVER;
use resilee_core::Core;

/// So long what is left of calls may take to end.
const ENDS_WITHIN_MS: u64 = 60_000;

impl Drop for Pair {
    /// Nothing is about something that is not there, and when all calls have ended, nothing is
    /// there. What only one of two nodes was told of the other one's calls nobody ends.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for core in self.nodes.iter().flatten() {
            assert_eq!(core.inconsistencies(), Vec::<String>::new());
            assert_eq!(kept::kept_of_none(core, &self.linked_elsewhere), Vec::<String>::new());
        }
        if self.is_whole() {
            self.end_calls();
            assert_eq!(self.remains(), Vec::<String>::new(), "when all calls have ended");
        }
    }
}

impl Pair {
    /// Both are members, and each hears the other one.
    fn is_whole(&self) -> bool {
        let member =
            |node: &Option<Core>| node.as_ref().is_some_and(|it| it.status(self.now).member);
        self.nodes.iter().all(member) && self.closed.is_empty() && !self.cut
    }

    /// Clients end their calls, once what server1 said has arrived after all.
    fn end_calls(&mut self) {
        self.held = None;
        for bytes in std::mem::take(&mut self.withheld) {
            self.frame(bytes);
        }
        for node in 0..2 {
            for call in self.calls.clone() {
                self.say(node, &format!("{call} {OVER}"));
            }
        }
        for _ in 0..ENDS_WITHIN_MS / 10 {
            if self.remains().is_empty() {
                return;
            }
            self.pass_ms(10);
        }
    }

    /// What is there of calls.
    fn remains(&self) -> Vec<String> {
        self.nodes.iter().flatten().flat_map(Core::remains).collect()
    }
}
