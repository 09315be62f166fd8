//! What goes on without a store.
//!
//! | this node       | the gate of calls in progress | new calls | their records                 |
//! |-----------------|-------------------------------|-----------|-------------------------------|
//! | has a backup    | the backup's acknowledgement  | served    | in the backup's journal       |
//! | is alone        | memory                        | refused   | in memory, for the next joiner |
//!
//! There is an alarm all the time. A store that failed stays failed until the node starts again:
//! what it would write now would follow a hole.
//!
//! Votes are stored nevertheless, or not given (`votes.rs`).
//!
//! Finding out is not here (the runtime's writer), nor moving a broken store aside (its engine).

use crate::alarms::sources::STORE;
use crate::commit::Record;
use crate::core::Core;
use crate::frame::{Extra, Update};
use crate::link::Mode;
use crate::store::StoredRecord;
use resilee_membership::NodeName;
use resilee_sbb::{CellId, Severity, Timestamp};

/// Records that are kept in memory while they are not in the store; the oldest are given up.
const UNFLUSHED_MAX: usize = 100_000;

impl Core {
    /// Nothing but memory holds what is committed: a call that begins now could be lost whole.
    pub(crate) fn is_memory_only(&self) -> bool {
        self.writes.failed && self.is_alone()
    }

    pub(crate) fn on_store_failed(&mut self, now: Timestamp, reason: &str) {
        self.writes.failed = true;
        let text = format!("nothing is stored any more: {reason}");
        self.raise_condition(now, Severity::Critical, STORE, &text);
        self.writes.under_way.clear();
        self.save_vote();
    }

    /// A record is handed to the store: it is kept until it is flushed.
    pub(crate) fn keep_unflushed(&mut self, cell: CellId, record: &Record) {
        if self.writes.unflushed.len() >= UNFLUSHED_MAX {
            self.writes.unflushed.pop_front();
            self.count_drop("record that neither disk nor memory could keep");
        }
        let batch = if self.writes.failed { u64::MAX } else { self.writes.next_batch };
        self.writes.unflushed.push_back((batch, cell, record.clone()));
    }

    /// Records for a joiner that [`crate::Output::LoadRecords`] may not find.
    pub(crate) fn records_in_memory(&self) -> Vec<Update> {
        let unflushed = self.writes.unflushed.iter().filter(|_| self.writes.failed);
        unflushed.map(|(_, cell, record)| update(*cell, record.clone())).collect()
    }

    /// The store cannot be read: the joiner is not left waiting.
    ///
    /// With a store that has failed there is nothing to wait for: the joiner gets all calls, and
    /// does without older records, which stand in a file here. Else it tries again.
    pub(crate) fn on_records_failed(&mut self, now: Timestamp, token: u64, reason: &str) {
        if self.end_offer(token) {
            let text = format!("records that only this node may have are not offered: {reason}");
            return self.raise_alarm(now, Severity::Major, STORE, &text);
        }
        let Some((peer, stream)) = self.writes.loads.remove(&token) else { return };
        let Some(link) = self.links.get_mut(&peer).filter(|link| link.stream() == stream) else {
            return;
        };
        let Mode::Records { journal, .. } = link.mode else { return };
        if self.writes.failed {
            let journal = journal + 1;
            link.mode = Mode::Records { journal, from: 1, loading: false };
            for update in self.records_in_memory() {
                self.push_to(&peer, &update);
            }
            let text = format!("{peer} did not get the older records: {reason}");
            return self.raise_alarm(now, Severity::Major, STORE, &text);
        }
        let text = format!("{peer} cannot get the records: {reason}");
        self.raise_alarm(now, Severity::Major, STORE, &text);
        self.refuse_joiner(&peer);
    }

    fn push_to(&mut self, peer: &NodeName, update: &Update) {
        let link = self.links.get_mut(peer).filter(|link| link.replicates());
        if link.is_some_and(|link| link.push(update, 0).is_err()) {
            self.refuse_joiner(peer);
        }
    }

    /// The snapshot cannot go on: the joiner is told to ask for another.
    pub(crate) fn refuse_joiner(&mut self, peer: &NodeName) {
        let Some(link) = self.links.get_mut(peer) else { return };
        let stream = link.stream();
        link.stop();
        link.say(Extra::JoinFailed { stream });
    }

    /// The member could not finish our snapshot: another one is asked for in a moment.
    pub(crate) fn on_join_failed(&mut self, peer: &NodeName, stream: u64) {
        let now = self.clock.local();
        let Some(joining) = self.joining.as_mut().filter(|j| j.stream == stream) else { return };
        let Some(link) = self.links.get_mut(peer).filter(|_| joining.member.node == *peer) else {
            return;
        };
        joining.asked_at = now;
        joining.stream += 1;
        link.expect(joining.stream);
    }
}

fn update(cell: CellId, record: Record) -> Update {
    let Record { journal, record } = record;
    Update::Records { journal, records: vec![StoredRecord { sequence: 0, cell, record }] }
}
