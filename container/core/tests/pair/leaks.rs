//! The leak check at the end of each test of a pair.

#[path = "kept.rs"]
mod kept;

use super::Pair;
use crate::toy::{OVER, last_message};
use resilee_core::Core;
use resilee_sbb::ActivityId;
use std::collections::BTreeSet;

/// So long what is left of calls may take to end.
const ENDS_WITHIN_MS: u64 = 60_000;

impl Drop for Pair {
    /// The leak check: whatever a test did, nothing is about something that is not there, and when
    /// all calls have ended, nothing is there.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let living = [0, 1].into_iter().filter(|node| self.nodes[*node].core.is_some());
        let statuses = living.map(|node| self.status(node).services);
        let mut linked: BTreeSet<_> = statuses.flatten().map(|it| it.name).collect();
        linked.extend(self.services.iter().map(|sbb| sbb.descriptor().name.to_owned()));
        for core in self.nodes.iter().filter_map(|node| node.core.as_ref()) {
            let mut found = core.inconsistencies();
            // A node may lack a service: that is an alarm.
            found.retain(|it| !it.ends_with("is of no service"));
            assert_eq!(found, Vec::<String>::new());
            let mut found = kept::kept_of_none(core, &linked);
            found.retain(|it| !self.keeps.contains(&it.as_str()));
            assert_eq!(found, Vec::<String>::new(), "is kept, and what it is about is gone");
        }
        if self.leaves.is_none() {
            self.end_calls();
            assert_eq!(self.remains(), Vec::<String>::new(), "when all calls have ended");
        }
    }
}

impl Pair {
    /// The nodes that serve calls.
    fn members(&self) -> Vec<usize> {
        let serves = |node: &usize| {
            let core = self.nodes[*node].core.as_ref();
            core.is_some_and(|core| core.status(self.local(*node)).member)
        };
        [0, 1].into_iter().filter(serves).collect()
    }

    /// Clients end their calls, and so does the second adaptor.
    fn end_calls(&mut self) {
        for node in self.members() {
            self.nodes[node].slow_disk = false;
            self.flush(node);
            self.settle();
            for call in self.calls.clone() {
                self.say(node, &format!("{call} {OVER}"));
            }
            let core = self.nodes[node].core.as_ref();
            let cells = core.map(|core| core.cells(usize::MAX)).unwrap_or_default();
            for activity in cells.iter().flat_map(|cell| &cell.activities) {
                if let Some(message) = last_message(activity_of(&activity.id)) {
                    self.tell_second(node, message);
                }
            }
        }
        for _ in 0..ENDS_WITHIN_MS / 10 {
            if self.remains().is_empty() {
                return;
            }
            self.pass_ms(10);
        }
    }

    /// What is there of calls at nodes that serve them.
    fn remains(&self) -> Vec<String> {
        let cores = self.members().into_iter().filter_map(|node| self.nodes[node].core.as_ref());
        cores.flat_map(Core::remains).collect()
    }
}

fn activity_of(id: &str) -> ActivityId {
    let (cell, number) = id.rsplit_once("/a").expect("the id of an activity");
    let (cell, number) = (cell.parse().expect("a cell's"), number.parse().expect("a number"));
    ActivityId { cell, number }
}
