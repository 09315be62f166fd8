//! What the other nodes get, and who takes in what they send (`replica.rs` applies it).
//!
//! A joiner gets a snapshot in pieces while calls go on: every commit made meanwhile follows in
//! the same stream, so a piece (the whole cell as it is when the piece is made) is never older
//! than a commit before it, and never newer than one behind it.

use crate::commit::{Commit, RowChange};
use crate::core::{Core, Joining};
use crate::frame::{Extra, Frame, FrameError, Update};
use crate::inspection::Observed;
use crate::io::Output;
use crate::link::{Link, Mode};
use crate::management::Notice;
use crate::offer::Offer;
use crate::store::{Progress, StoreOp, StoredRecord, Tree};
use resilee_membership::{Destination, MemberInput, NodeName, PlantedFault, RunId};
use resilee_sbb::{CellId, Timestamp, encode};
use std::time::Duration;

/// A joiner asks again after so long.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Rows of a table in one piece of a snapshot.
const ROWS_PER_PIECE: usize = 256;
/// Bytes of rows, or of records, in one piece, if it has more than one.
const PIECE_BYTES_MAX: usize = 1024 * 1024;
/// Of what is wrong with a frame: some of it is the peer's own text.
const REASON_CHARS_MAX: usize = 200;
/// Records of a journal in one piece of a snapshot.
const RECORDS_PER_PIECE: usize = 256;

impl Core {
    pub(crate) fn on_link_up(&mut self, now: Timestamp, peer: &NodeName) {
        let Some(link) = self.links.get_mut(peer) else { return };
        link.on_up();
        self.note_link(now, peer, true);
        self.tell_units_to(peer);
        self.hurry_words(now);
        self.ask_to_join();
    }

    pub(crate) fn on_link_down(&mut self, now: Timestamp, peer: &NodeName) {
        let Some(link) = self.links.get_mut(peer) else { return };
        link.on_down();
        let run = link.run.clone();
        self.note_link(now, peer, false);
        self.forget_change_words(peer);
        self.words.forget(peer);
        if let Some(run) = run {
            self.units.forget(&run);
            self.tell_member(MemberInput::LinkDown(run));
        }
    }

    /// A frame from a peer; a bad one closes the link with a reason.
    pub(crate) fn on_frame(&mut self, now: Timestamp, peer: &NodeName, bytes: &[u8]) {
        if let Err(error) = self.read_frame(now, peer, bytes) {
            self.refuse_frame(now, peer, &error);
        }
    }

    pub(crate) fn refuse_frame(&mut self, now: Timestamp, peer: &NodeName, error: &FrameError) {
        self.count_drop("bad frame of a peer");
        self.note_refused_frame(now, peer, error);
        let reason = error.to_string().chars().take(REASON_CHARS_MAX).collect();
        self.outputs.push_back(Output::CloseLink { peer: peer.clone(), reason });
    }

    fn read_frame(
        &mut self,
        now: Timestamp,
        peer: &NodeName,
        bytes: &[u8],
    ) -> Result<(), FrameError> {
        let mut frame = Frame::read(bytes)?;
        if frame.from.node != *peer {
            return Err(format!("a frame of {} on the link to {peer}", frame.from).into());
        }
        let Some(link) = self.links.get_mut(peer) else { return Ok(()) };
        if link.run.as_ref().is_some_and(|run| run.incarnation > frame.from.incarnation) {
            return Ok(());
        }
        let new = link.run.as_ref() != Some(&frame.from);
        if new {
            if link.run.is_some() {
                self.came_back.insert(peer.clone());
            }
            link.on_new_run(frame.from.clone());
        }
        link.on_heard();
        if new {
            // What was to be told the run before is forgotten with it.
            self.tell_units_to(peer);
            self.tell_member(MemberInput::LinkUp(frame.from.clone()));
            self.ask_to_join();
        }
        self.check_frame(peer, &frame)?;
        let outdated = frame.view < self.view.number && !self.view.contains(&frame.from);
        for extra in std::mem::take(&mut frame.extras) {
            match extra {
                Extra::Relay(_) if outdated => {
                    self.refuse_old(Destination::Node(peer.clone()));
                }
                extra => self.on_extra(now, &frame.from, frame.view, extra),
            }
        }
        self.on_changes_asked(now, &frame.from, std::mem::take(&mut frame.asked));
        self.on_changes_answered(&frame.from, std::mem::take(&mut frame.answered));
        let words = std::mem::take(&mut frame.words);
        let joined = self.joining.as_ref().is_some_and(|joining| joining.member == frame.from);
        if let Some(sent_at) = frame.sent_at.filter(|_| joined) {
            self.clock.handle_frame(&frame.from, sent_at);
            self.follow_clock();
        }
        let Some(link) = self.links.get_mut(peer) else { return Ok(()) };
        link.on_acknowledgement(frame.ack_stream, frame.ack);
        let (from, view) = (frame.from.clone(), frame.view);
        self.take_updates(now, peer, frame)?;
        self.on_words(&from, view, words);
        Ok(())
    }

    /// Applies what was acknowledged before.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn apply_late(&mut self, now: Timestamp) {
        for (from, update) in std::mem::take(&mut self.unapplied) {
            self.apply_update(now, &from, update).expect("a node of this test wrote it");
        }
    }

    fn on_extra(&mut self, now: Timestamp, from: &RunId, view: u64, extra: Extra) {
        match extra {
            Extra::Hello => self.tell_member(MemberInput::LinkUp(from.clone())),
            // The other side may have adopted the view by which a cohort is ours a moment before.
            Extra::Relay(ingress) if view > self.view.number => self.keep_early(ingress),
            Extra::Relay(ingress) => self.on_message(now, ingress, true),
            Extra::Units(units) => self.on_units_told(from, units),
            Extra::Alarms(alarms) => self.on_alarms_told(&from.node, alarms),
            Extra::JoinFailed { stream } => self.on_join_failed(&from.node, stream),
            Extra::Join { stream, empty } => {
                if self.view.contains(from) {
                    // It dropped all it had: it is a member in name only.
                    return self.tell_member(MemberInput::LinkDown(from.clone()));
                }
                let proposed = self.proposing.as_ref().is_some_and(|view| view.contains(from));
                if !self.is_member() || proposed {
                    return;
                }
                self.note_empty_store(now, from, empty);
                let rows = self.snapshot_rows();
                let size =
                    |row: &RowChange| row.key.len() + row.row.as_ref().map_or(0, |it| it.len());
                let rows = pieces(rows, ROWS_PER_PIECE, size).into_iter().map(Update::Rows);
                let records = self.waiting_records().into_iter().chain(self.records_in_memory());
                let pieces: Vec<_> = rows.chain(records).collect();
                let Some(link) = self.links.get_mut(&from.node) else { return };
                link.restart(stream, Mode::Cells(None));
                if pieces.iter().any(|piece| link.push(piece, 0).is_err()) {
                    link.stop();
                }
            }
        }
    }

    /// Records behind the gate: neither in the store yet nor in a commit that the joiner gets.
    fn waiting_records(&mut self) -> Vec<Update> {
        let waiting = self.gate.waiting().flat_map(|waiting| waiting.records.clone());
        let update = |(cell, record): (CellId, crate::commit::Record)| Update::Records {
            journal: record.journal,
            records: vec![StoredRecord { sequence: 0, cell, record: record.record }],
        };
        waiting.map(update).collect()
    }

    /// The membership wants this run to join a member.
    pub(crate) fn join(&mut self, member: RunId) {
        let stream = self.joining.as_ref().map_or(0, |joining| joining.stream);
        let asked_at = self.clock.local();
        self.joining = Some(Joining { member, stream, asked_at, whole: false });
        self.ask_to_join();
    }

    /// Asks again while nothing comes: a member that had not adopted its view yet when it was
    /// asked did not answer.
    pub(crate) fn ask_again_to_join(&mut self) {
        let Some(joining) = &self.joining else { return };
        let link = self.links.get(&joining.member.node);
        let receiving = link.is_some_and(|link| link.is_receiving(joining.stream));
        if !receiving && self.clock.local().since(joining.asked_at) >= ASK_AGAIN {
            self.ask_to_join();
        }
    }

    /// Drops all state and asks for a snapshot, if the member's run is on the link.
    fn ask_to_join(&mut self) {
        let Some(Joining { member, stream, asked_at, whole }) = self.joining.as_mut() else {
            return;
        };
        *asked_at = self.clock.local();
        let Some(link) = self.links.get_mut(&member.node) else { return };
        if !link.up || link.run.as_ref() != Some(member) || self.view.contains(&self.config.me) {
            return;
        }
        // A stream that was interrupted goes on where it was.
        if link.is_receiving(*stream) {
            return;
        }
        // A stream of its own for each try: what is left of an earlier one is not mistaken.
        let same = *stream > 0 && self.planted.is(PlantedFault::JoinSameStream);
        *stream += u64::from(!same);
        *whole = false;
        link.expect(*stream);
        link.say(Extra::Join { stream: *stream, empty: self.empty_store });
        self.set_aside();
        self.index.clear();
        self.words.roots.clear();
        self.outbox.clear();
        self.forget_written_rows();
        self.applied.clear();
        self.observe(|| Observed::Dropped);
        self.offer = Some(Offer::default());
        self.writes.ops.push(StoreOp::Clear { tree: Tree::Cells });
        self.writes.ops.push(StoreOp::Clear { tree: Tree::Tables });
        let joining = Progress { joining: true, view: 0, ..self.progress_of(Vec::new()) };
        self.writes.ops.push(joining.store_op());
    }

    /// Gives an update to every node that gets them.
    pub(crate) fn replicate(&mut self, update: &Update, commit: u64) {
        let mut broken = Vec::new();
        let mut shortened = None;
        if self.planted.is(PlantedFault::LosePart)
            && let Update::Commit(commit) = update
        {
            let mut commit = commit.clone();
            commit.changes.pop();
            shortened = Some(Update::Commit(commit));
        }
        let update = shortened.as_ref().unwrap_or(update);
        for link in self.links.values_mut().filter(|link| link.replicates()) {
            if let Err(reason) = link.push(update, commit) {
                link.stop();
                broken.push((link.peer.clone(), reason.to_owned()));
            }
        }
        for (peer, reason) in broken {
            self.outputs.push_back(Output::CloseLink { peer, reason });
        }
    }

    /// Goes on with snapshots where there is room, and tells the membership of those complete.
    pub(crate) fn advance_joiners(&mut self, now: Timestamp) {
        let (peers, held): (Vec<_>, _) = (self.links.keys().cloned().collect(), self.gate.held());
        for peer in peers {
            self.advance_joiner(&peer);
            let Some(link) = self.links.get_mut(&peer) else { continue };
            let Some(run) = link.run.clone() else { continue };
            let proposed = self.proposing.as_ref().is_some_and(|view| view.contains(&run));
            let complete = link.mode == Mode::Live && link.held(self.gate.last_commit()) >= held;
            let joins = !self.view.contains(&run) && !proposed;
            if complete && joins && self.has_units(now, &run) {
                let Some(link) = self.links.get_mut(&peer) else { continue };
                if link.announce() {
                    self.outputs.push_back(Output::Notice(Notice::JoinerSynced(run.clone())));
                }
                self.tell_member(MemberInput::JoinerReady(run));
                self.drive_member(now);
            }
        }
    }

    /// After effects were let out that a joiner does not hold yet: it is not proposed before it
    /// does. From the proposal on the gate waits for it.
    pub(crate) fn note_joiners_behind(&mut self) {
        let (last, held) = (self.gate.last_commit(), self.gate.held());
        let behind = self.links.values().filter(|link| {
            let joins = link.run.as_ref().is_some_and(|run| !self.view.contains(run));
            joins && link.mode == Mode::Live && link.held(last) < held
        });
        for run in behind.filter_map(|link| link.run.clone()).collect::<Vec<_>>() {
            self.tell_member(MemberInput::JoinerBehind(run));
        }
    }

    /// Goes on with snapshots that wait for a cell whose turn has just ended.
    pub(crate) fn advance_snapshots(&mut self) {
        let waits = |link: &&Link| matches!(link.mode, Mode::Cells(_));
        let peers: Vec<_> = self.links.values().filter(waits).map(|it| it.peer.clone()).collect();
        peers.iter().for_each(|peer| self.advance_joiner(peer));
    }

    fn advance_joiner(&mut self, peer: &NodeName) {
        loop {
            let Some(link) = self.links.get_mut(peer).filter(|link| link.has_room()) else {
                return;
            };
            let pushed = match link.mode {
                Mode::Idle | Mode::Live | Mode::Ending(_) => return,
                Mode::Cells(last) => {
                    let from = last.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                    let next = self.cells.range((from, std::ops::Bound::Unbounded)).next();
                    match next {
                        // What a running turn changed is not committed: its end is awaited.
                        Some((_, cell)) if cell.turn.is_some() => return,
                        Some((id, cell)) => {
                            link.mode = Mode::Cells(Some(*id));
                            link.push(&Update::Cell { id: *id, parts: cell.snapshot() }, 0)
                        }
                        None => {
                            link.mode = Mode::Records { journal: 0, from: 1, loading: false };
                            continue;
                        }
                    }
                }
                Mode::Records { .. } => return self.load_records(peer),
            };
            if pushed.is_err() {
                return self.refuse_joiner(peer);
            }
        }
    }

    /// Asks the store for the joiner's next records, or ends its snapshot.
    fn load_records(&mut self, peer: &NodeName) {
        let Some(link) = self.links.get_mut(peer) else { return };
        let Mode::Records { journal, from, loading: false } = link.mode else { return };
        match self.writes.journals.get(journal) {
            Some(name) => {
                // What is read must show what was written before.
                let name = name.clone();
                self.emit_batch();
                let Some(link) = self.links.get_mut(peer) else { return };
                link.mode = Mode::Records { journal, from, loading: true };
                let stream = link.stream();
                let token = self.writes.next_load;
                self.writes.next_load += 1;
                self.writes.loads.insert(token, (peer.clone(), stream));
                let (journal, limit) = (name, RECORDS_PER_PIECE);
                self.outputs.push_back(Output::LoadRecords { token, journal, from, limit });
            }
            None => {
                // Says how far the snapshot is: all commits up to this one are in it.
                let cell = CellId { cohort: self.config.me.cohort(), number: 0 };
                let last_commit = self.gate.last_commit();
                let last = Update::Commit(Commit::empty(last_commit, cell));
                match link.push(&last, 0).and_then(|_| link.push(&Update::SnapshotEnd, 0)) {
                    Ok(end) => {
                        link.mode = Mode::Ending(end);
                        if let Some(to) = link.run.clone() {
                            self.observe(|| Observed::SnapshotSent { to, last_commit });
                        }
                    }
                    Err(_) => self.refuse_joiner(peer),
                }
            }
        }
    }

    pub(crate) fn on_records(&mut self, token: u64, records: Vec<StoredRecord>) {
        let Some(records) = self.offer_records(token, records) else { return };
        let Some((peer, stream)) = self.writes.loads.remove(&token) else { return };
        let Some(link) = self.links.get_mut(&peer).filter(|link| link.stream() == stream) else {
            return;
        };
        let Mode::Records { journal, .. } = link.mode else { return };
        let Some(name) = self.writes.journals.get(journal).cloned() else { return };
        match records.last().map(|record| record.sequence + 1) {
            Some(from) => {
                link.mode = Mode::Records { journal, from, loading: false };
                let pieces = pieces(records, RECORDS_PER_PIECE, |it| it.record.len());
                let update = |records| Update::Records { journal: name.clone(), records };
                if pieces.into_iter().any(|records| link.push(&update(records), 0).is_err()) {
                    self.refuse_joiner(&peer);
                }
            }
            None => {
                let journal = journal + 1;
                link.mode = Mode::Records { journal, from: 1, loading: false };
            }
        }
    }

    /// Emits what the links have to say.
    pub(crate) fn flush_links(&mut self) {
        if !self.may_speak() {
            return;
        }
        let listeners = self.changes.listeners().chain(self.words.listeners());
        for peer in listeners.cloned().collect::<Vec<_>>() {
            self.links.get_mut(&peer).into_iter().for_each(|link| link.speak());
        }
        let (view, done) = (self.view.number, self.gate.held());
        let sent_at = self.is_member().then(|| self.clock.now());
        for link in self.links.values_mut() {
            let joins = link.run.as_ref().is_some_and(|run| !self.view.contains(run));
            while let Some(mut frame) = link.poll_frame(&self.config.me, view, done) {
                frame.sent_at = sent_at.filter(|_| joins);
                (frame.asked, frame.answered) = self.changes.take_words(&link.peer);
                frame.words = self.words.take(&link.peer);
                let mut more = self.words.listeners().chain(self.changes.listeners());
                if more.any(|peer| *peer == link.peer) {
                    link.speak();
                }
                let bytes = encode(&frame).expect("plain data can be encoded");
                self.outputs.push_back(Output::Frame { peer: link.peer.clone(), bytes });
            }
        }
    }
}

/// Cuts what a joiner gets into pieces of so many, each of which a frame has room for.
fn pieces<T>(all: Vec<T>, count_max: usize, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut pieces, mut bytes) = (Vec::<Vec<T>>::new(), 0);
    for one in all {
        bytes += size(&one);
        match pieces.last_mut() {
            Some(piece) if piece.len() < count_max && bytes <= PIECE_BYTES_MAX => piece.push(one),
            _ => {
                bytes = size(&one);
                pieces.push(vec![one]);
            }
        }
    }
    pieces
}
