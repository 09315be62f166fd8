//! The last datagrams that were sent to one node, kept to be sent again should it die.
//!
//! A datagram is kept until the node was heard [`KEEP`] later: a node that is silent may have
//! died before it read it. Past [`RECENT_MAX`] the oldest goes; its client repeats it anyway.
//! Not here: when they are sent again, and to whom (`balancer.rs`).

use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Most datagrams kept for one node.
pub(crate) const RECENT_MAX: usize = 256;

/// A node that is heard so long after a datagram was sent to it has read that.
pub(crate) const KEEP: Duration = Duration::from_millis(200);

/// A datagram of a client.
#[derive(Debug)]
pub(crate) struct Recent {
    at: Timestamp,
    pub(crate) flow: Flow,
    pub(crate) bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RecentDatagrams(VecDeque<Recent>);

impl RecentDatagrams {
    pub(crate) fn push(&mut self, now: Timestamp, flow: Flow, bytes: Vec<u8>) {
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Recent { at: now, flow, bytes });
    }

    /// The node was heard.
    pub(crate) fn handle_heard(&mut self, now: Timestamp) {
        while self.0.front().is_some_and(|recent| recent.at + KEEP < now) {
            self.0.pop_front();
        }
    }

    /// All of them, oldest first; none stay.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Recent> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
