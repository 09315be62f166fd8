//! From a finished turn to its effects: the commit, the gate, the store.
//!
//! | view              | a commit is held when                                              |
//! |-------------------|--------------------------------------------------------------------|
//! | one member        | the local store flushed it (memory, with an alarm, if it failed)   |
//! | more members      | every other member acknowledged it                                 |
//! | one to be changed | the store flushed it *and* every member of both views has it       |
//! | not a member      | never                                                              |

use crate::cell::{Cell, CellInput, changes};
use crate::commit::{Commit, Part, Record, RowChange};
use crate::core::Core;
use crate::event_router::Turn;
use crate::frame::Update;
use crate::inspection::Observed;
use crate::io::Output;
use crate::management::Notice;
use crate::resource_adaptor::{Egress, Scope};
use crate::store::{Progress, StoreBatch, StoreOp, Tree};
use crate::timers::Due;
use resilee_membership::{NodeName, PlantedFault, RunId, seal_sip};

use resilee_sbb::{CellId, Timestamp, encode};
use std::collections::{BTreeMap, VecDeque};

/// What the store is asked for, and what of it is done.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Writes since the last batch.
    pub ops: Vec<StoreOp>,
    /// Number of the next batch.
    pub next_batch: u64,
    /// Batches under way, with the last commit that each covers.
    pub under_way: VecDeque<(u64, u64)>,
    /// All commits up to this one are flushed.
    pub stored_commit: u64,
    /// [`Progress::since`] of the store.
    pub since: u64,
    /// A batch of this run is flushed: the first one names it.
    pub flushed: bool,
    /// Journals that have records.
    pub journals: Vec<String>,
    /// True once the store failed: memory is the gate, with an alarm.
    pub failed: bool,
    /// Records that are not flushed yet, with their batch; after a failure, all further ones.
    pub unflushed: VecDeque<(u64, CellId, Record)>,
    /// Loads of records for joiners: token, and the peer and the stream they are for.
    pub loads: BTreeMap<u64, (NodeName, u64)>,
    /// Token of the next load.
    pub next_load: u64,
}

impl Core {
    /// Nothing is left to deliver: commits what the turn changed and begins the next turn.
    pub(crate) fn end_turn(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.take() else { return };
        let over = cell.is_over();
        let ended = |part: &Part| match part {
            Part::Activity(number) if !cell.activities.contains_key(number) => Some(*number),
            _ => None,
        };
        for number in turn.touched.iter().filter_map(ended) {
            let activity = cell.activity_id(number);
            self.timers.set(Due::Adaptor(activity), None);
            self.timers.set(Due::Suspended(activity), None);
            self.adaptors.forget(activity);
        }
        for part in &turn.touched {
            if let Part::Timer(entity, timer) = part
                && !cell.timers.contains_key(&(*entity, *timer))
            {
                self.timers.set(Due::Sbb(cell.entity_id(*entity), *timer), None);
            }
        }
        for (number, known) in cell.activities.iter().filter(|(_, known)| known.is_adaptors()) {
            let activity = cell.activity_id(*number);
            let adaptor = self.adaptors.get(known.adaptor);
            let due = adaptor.and_then(|adaptor| adaptor.next_timeout(activity));
            self.timers.set(Due::Adaptor(activity), due);
        }
        self.commit(id, *turn, over);
        self.end_pending_rows(now, id);
        if over {
            self.bury(now, id);
        } else {
            // Its next turn may begin at once, so that a snapshot would never find it between two.
            self.advance_snapshots();
            // Not here: with a long inbox this would go as deep as that is long.
            self.next_turns.push_back(id);
        }
    }

    /// Begins the turns of cells for which something waits.
    pub(crate) fn begin_next_turns(&mut self, now: Timestamp) {
        while let Some(id) = self.next_turns.pop_front() {
            // What waits in its inbox may wait for the end of a hand-over.
            let is_ready = self.cells.get(&id).is_some_and(|cell| cell.live && cell.turn.is_none());
            if is_ready
                && !self.rests(id.cohort)
                && let Some(input) = self.next_input(now, id)
            {
                self.begin_turn(now, id, input);
            }
        }
    }

    /// A cell that is over is forgotten; messages behind its last turn may begin a new one.
    fn bury(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.remove(&id) else { return };
        self.outputs.push_back(Output::Notice(Notice::Over { cell: id }));
        self.index.remove(&cell.head.cell_key());
        if let Some(root) = &cell.head.root {
            self.words.roots.remove(root);
        }
        for input in cell.inbox {
            match input {
                CellInput::Message(ingress, _) => self.on_message(now, ingress, true),
                CellInput::Word(word) => self.let_out(vec![*word]),
                _ => {}
            }
        }
    }

    fn commit(&mut self, id: CellId, turn: Turn, over: bool) {
        for RowChange { table, key, row } in &turn.rows {
            self.write_row(table, key, row.as_deref().map(Vec::as_slice));
        }
        let noted = self.note(turn.usage);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let mut parts = turn.touched;
        if !cell.committed && !parts.is_empty() {
            parts.insert(Part::Head);
        }
        let known = cell.committed;
        let changes = if over { Vec::new() } else { changes(cell, parts.iter().copied()) };
        let over = over && known;
        let adds = !turn.rows.is_empty() || !turn.records.is_empty() || noted.is_some();
        if changes.is_empty() && !over && !adds {
            // Rows outlive the cells that wrote them: what speaks of rows waits for all of them.
            let last = match cell.head.scope {
                Scope::Tables if self.planted.is(PlantedFault::AnswerRowsAtOnce) => 0,
                Scope::Tables => self.gate.last_commit(),
                Scope::Call => cell.last_commit.max(turn.read_up_to),
            };
            // An alarm that it raised some deliveries ago is in a commit of its own, or another's.
            let last = last.max(self.noted_commit);
            cell.last_commit = last.max(cell.last_commit);
            let place = (id, cell.head.scope);
            self.observe(|| Observed::Said { cell: Some(place), egress: turn.egress.clone() });
            self.say_behind(last, turn.words);
            return self.send_behind(last, turn.egress);
        }
        let number = self.gate.next_commit();
        if !turn.rows.is_empty() {
            self.rows_commit = number;
        }
        // They may be those of another call, whose turn goes on.
        if noted.as_ref().is_some_and(|noted| !noted.alarms.is_empty()) {
            self.noted_commit = number;
        }
        cell.last_commit = number;
        cell.changed_at = self.clock.now();
        // What is only counted tells nobody of the cell.
        cell.committed |= !changes.is_empty() || !turn.rows.is_empty();
        let Turn { rows, records, egress, .. } = turn;
        let commit = Commit { number, cell: id, changes, over, rows, records, egress, noted };
        if over {
            let parts: Vec<_> = cell.parts().into_iter().chain(parts).collect();
            self.remove_stored(id, &parts);
        }
        self.store_commit(&commit);
        self.replicate(&Update::Commit(commit.clone()), number);
        self.observe(|| commit.observed());
        let records = commit.records.into_iter().map(|record| (id, record));
        let waiting = self.gate.behind(number);
        waiting.egress.extend(commit.egress);
        waiting.records.extend(records);
        waiting.words.extend(turn.words);
    }

    /// Answers outside any cell, at once.
    pub(crate) fn answer(&mut self, egress: Vec<Egress>) {
        self.observe(|| Observed::Said { cell: None, egress: egress.clone() });
        self.send_at_once(egress);
    }

    /// Sends what changes nothing: behind the cell's last commit, or at once.
    pub(crate) fn send_behind(&mut self, last_commit: u64, egress: Vec<Egress>) {
        if egress.is_empty() {
            return;
        }
        match self.gate.is_closed(last_commit) {
            true => self.gate.behind(last_commit).egress.extend(egress),
            false => self.send_at_once(egress),
        }
    }

    /// Commits nothing but effects: they leave behind all that was committed before.
    pub(crate) fn commit_effects(&mut self, id: CellId, egress: Vec<Egress>) {
        if egress.is_empty() {
            return;
        }
        let number = self.gate.next_commit();
        let commit = Commit { egress: egress.clone(), ..Commit::empty(number, id) };
        self.observe(|| commit.observed());
        self.replicate(&Update::Commit(commit), number);
        self.gate.behind(number).egress.extend(egress);
    }

    /// Hands messages to the balancer or to the node's own socket.
    pub(crate) fn send_at_once(&mut self, egress: Vec<Egress>) {
        let seat_address = self.seat_address();
        for Egress { flow, bytes, adaptor } in egress {
            if !adaptor.is_first() {
                self.outputs.push_back(Output::Message(Egress { flow, bytes, adaptor }));
            } else if !self.config.behind_balancer {
                self.outputs.push_back(Output::Datagram { flow, bytes });
            } else if let Some(destination) = seat_address {
                let bytes = seal_sip(&self.config.key, self.view.number, &flow, &bytes);
                self.outputs.push_back(Output::Packet { destination, bytes });
            } else {
                self.count_drop("message to a client before the balancer was heard");
            }
        }
    }

    /// Lets out what is held. Records become bills now.
    pub(crate) fn release(&mut self) {
        let Some(held) = self.held() else { return };
        for waiting in self.gate.raise(held) {
            for (cell, record) in waiting.records {
                self.publish(cell, record);
            }
            self.send_at_once(waiting.egress);
            self.let_out(waiting.words);
        }
    }

    /// All commits up to this one are held; `None` while this run may let nothing out.
    fn held(&self) -> Option<u64> {
        if !self.is_member() {
            return None;
        }
        let last = self.gate.last_commit();
        let joint = self.proposing.as_ref();
        let members = self.view.members.iter().chain(joint.into_iter().flat_map(|v| &v.members));
        let others: Vec<_> = members.filter(|member| **member != self.config.me).collect();
        let stored = if self.writes.failed { last } else { self.writes.stored_commit };
        let local = if joint.is_some() || others.is_empty() { stored } else { last };
        if !others.is_empty() && self.planted.is(PlantedFault::SendBeforeAck) {
            return Some(last);
        }
        if !others.is_empty() && self.planted.is(PlantedFault::StoreGatesPair) {
            return Some(stored);
        }
        let voting = joint.is_some() && self.view.members.len() == 1;
        let no_store = voting && self.planted.is(PlantedFault::StoreNoGateWhileVoting);
        let local = if no_store { last } else { local };
        let acknowledged = others.iter().map(|member| match self.links.get(&member.node) {
            Some(link) if link.run.as_ref() == Some(*member) && link.replicates() => {
                link.held(last)
            }
            _ => self.gate.held(),
        });
        Some(acknowledged.fold(local, u64::min))
    }

    /// The only member, and not about to take another one in: records wait for the flush of
    /// their journal, with their commit.
    pub(crate) fn is_alone(&self) -> bool {
        self.view.members.len() <= 1 && self.proposing.is_none()
    }

    pub(crate) fn journal(&mut self, cell: CellId, record: Record) {
        self.keep_unflushed(cell, &record);
        let Record { journal, record } = record;
        if !self.writes.journals.contains(&journal) {
            self.writes.journals.push(journal.clone());
        }
        self.offer.iter_mut().for_each(|offer| offer.note(&journal, cell));
        self.writes.ops.push(StoreOp::Record { journal, cell, record });
    }

    /// Writes a commit to the local store; alone, its records are part of what is flushed.
    ///
    /// In a pair, and from the vote on one, they wait for the acknowledgement. Until then they
    /// stand beside their cell, so that a cell that counts as recorded never comes back without
    /// its record.
    fn store_commit(&mut self, commit: &Commit) {
        self.store_changes(commit);
        for record in &commit.records {
            if self.is_alone() || self.planted.is(PlantedFault::RecordBeforeHeld) {
                self.journal(commit.cell, record.clone());
            } else {
                let key = Part::Record.store_key(commit.cell);
                let value = encode(record).expect("plain data can be encoded");
                self.writes.ops.push(StoreOp::Put { tree: Tree::Cells, key, value });
            }
        }
    }

    /// A record becomes a bill: it is appended to its journal.
    pub(crate) fn publish(&mut self, cell: CellId, record: Record) {
        self.journal(cell, record);
        let key = Part::Record.store_key(cell);
        self.writes.ops.push(StoreOp::Remove { tree: Tree::Cells, key });
    }

    /// Writes the changes of a commit, of this run or of another.
    pub(crate) fn store_changes(&mut self, commit: &Commit) {
        for change in &commit.changes {
            let key = change.part.store_key(commit.cell);
            self.writes.ops.push(match &change.value {
                Some(value) => StoreOp::Put { tree: Tree::Cells, key, value: value.to_vec() },
                None => StoreOp::Remove { tree: Tree::Cells, key },
            });
        }
        self.store_rows(&commit.rows);
    }

    pub(crate) fn store_rows(&mut self, rows: &[RowChange]) {
        for row in rows {
            let key = RowChange::store_key(&row.table, &row.key);
            self.writes.ops.push(match &row.row {
                Some(value) => StoreOp::Put { tree: Tree::Tables, key, value: value.to_vec() },
                None => StoreOp::Remove { tree: Tree::Tables, key },
            });
        }
    }

    pub(crate) fn remove_stored(&mut self, id: CellId, parts: &[Part]) {
        if self.planted.is(PlantedFault::StoreKeepsOver) {
            return;
        }
        for part in parts {
            let key = part.store_key(id);
            self.writes.ops.push(StoreOp::Remove { tree: Tree::Cells, key });
        }
    }

    /// The store is the gate from now on: all that waits, with its records, waits for a flush.
    pub(crate) fn gate_by_store(&mut self) {
        let records = self.gate.waiting().flat_map(|waiting| waiting.records.clone());
        for (cell, record) in records.collect::<Vec<_>>() {
            self.journal(cell, record);
        }
        self.writes.stored_commit = self.gate.held();
        self.writes.under_way.iter_mut().for_each(|(_, commit)| *commit = 0);
        // An empty batch is flushed too: it covers what the batches before it wrote.
        self.emit_batch();
    }

    /// Emits the writes since the last batch as one batch.
    pub(crate) fn flush_store(&mut self) {
        let covered = self.writes.under_way.back().map_or(self.writes.stored_commit, |b| b.1);
        let uncovered = self.gate.last_commit() > covered && self.is_member();
        if !self.writes.ops.is_empty() || uncovered || self.usage.has_unstored() {
            self.emit_batch();
        }
    }

    pub(crate) fn emit_batch(&mut self) {
        self.store_usage();
        if self.writes.failed {
            self.writes.ops.clear();
            return;
        }
        let number = self.writes.next_batch;
        self.observe(|| Observed::Batch(number));
        self.writes.next_batch += 1;
        let mut ops = std::mem::take(&mut self.writes.ops);
        if self.view.contains(&self.config.me) {
            ops.push(self.progress());
        }
        self.writes.under_way.push_back((number, self.gate.last_commit()));
        self.votes.note_batch(number);
        self.outputs.push_back(Output::Store(StoreBatch { number, ops }));
    }

    /// How far the store is with this batch.
    fn progress(&self) -> StoreOp {
        let own = (self.config.me.clone(), self.gate.last_commit());
        let others = self.applied.iter().map(|(run, number)| (run.clone(), *number));
        self.progress_of(others.chain([own]).collect()).store_op()
    }

    pub(crate) fn progress_of(&self, commits: Vec<(RunId, u64)>) -> Progress {
        let (time, run, view) = (self.clock.now(), self.config.me.incarnation, self.view.number);
        Progress { time, run, commits, joining: false, view, since: self.writes.since }
    }

    /// Others may hear of this run: the store knows it, so that the next one is a later one, also
    /// if the wall clock is set back meanwhile.
    pub(crate) fn may_speak(&self) -> bool {
        self.writes.flushed || self.writes.failed
    }

    pub(crate) fn on_stored(&mut self, number: u64) {
        self.writes.flushed = true;
        while let Some((batch, commit)) = self.writes.under_way.front().copied() {
            if batch > number {
                break;
            }
            self.writes.under_way.pop_front();
            self.writes.stored_commit = self.writes.stored_commit.max(commit);
        }
        while self.writes.unflushed.front().is_some_and(|(batch, ..)| *batch <= number) {
            self.writes.unflushed.pop_front();
        }
        self.note_vote_flushed(number);
    }

    /// The cells that this node holds, by owner or not.
    pub(crate) fn cells_of(&self, owned: bool) -> impl Iterator<Item = &Cell> {
        self.cells.values().filter(move |cell| self.owns(cell.id) == owned)
    }
}
