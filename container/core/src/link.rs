//! One peer's link as this node keeps it: updates in order, once, repeated until acknowledged.
//!
//! | event                       | what happens                                               |
//! |-----------------------------|------------------------------------------------------------|
//! | update pushed               | gets the next sequence; kept until acknowledged            |
//! | frame with updates in order | handed on once each; an acknowledgement is due             |
//! | frame behind, or ahead      | what is known is skipped; a hole is refused, link closed   |
//! | acknowledgement             | kept updates up to it are dropped                          |
//! | link down, then up again    | all kept updates are sent again, once the peer has spoken  |
//! | nothing acknowledged a while| the same                                                   |
//! | another run of the peer     | everything of the old run is forgotten                     |
//!
//! What an update means is not here; nor is the transport, which keeps order while it lives.

use crate::format::FORMAT;
use crate::frame::{Extra, Frame, Update};
use resilee_membership::{NodeName, Planted, PlantedFault, RunId};
use resilee_sbb::{CellId, Timestamp, encode};
use serde_bytes::ByteBuf;
use std::collections::VecDeque;
use std::time::Duration;

/// Kept updates of one link; a peer that falls behind further is cut off, and rejoins by snapshot.
pub(crate) const UNACKNOWLEDGED_MAX: usize = 100_000;
/// Bytes of updates in one frame; a single larger update travels alone.
pub(crate) const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a snapshot that may be under way unacknowledged.
pub(crate) const SNAPSHOT_WINDOW_BYTES: usize = 1024 * 1024;
/// Kept updates are sent again when nothing was acknowledged for so long.
pub(crate) const RESEND_AFTER: Duration = Duration::from_millis(500);
/// Unsequenced words that wait for the next frame; more are dropped (clients repeat).
pub(crate) const EXTRAS_MAX: usize = 4096;

/// How far the peer is with our state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It gets no updates.
    Idle,
    /// It gets a snapshot (cells behind this one are still to come), and all commits meanwhile.
    Cells(Option<CellId>),
    /// It gets the records of the journal with this index from this sequence on.
    Records { journal: usize, from: u64, loading: bool },
    /// It waits until the update with this sequence, the end of its snapshot, is acknowledged.
    Ending(u64),
    /// It has the snapshot and gets all commits.
    Live,
}

#[derive(Debug)]
struct Kept {
    sequence: u64,
    bytes: Vec<u8>,
    /// Number of the commit; 0 for pieces of a snapshot.
    commit: u64,
}

/// A link to one node.
#[derive(Debug)]
pub(crate) struct Link {
    pub peer: NodeName,
    /// The run that spoke last.
    pub run: Option<RunId>,
    /// True while the transport has a connection.
    pub up: bool,
    /// The peer spoke on this connection. Before, another run of it may be at the other end, which
    /// would take what its old run was to hear for its own.
    heard: bool,
    pub mode: Mode,
    /// Our stream, as the peer named it.
    stream: u64,
    next: u64,
    sent: u64,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// The peer's stream, and how far it is applied.
    peer_stream: u64,
    received: u64,
    acknowledgement_due: bool,
    extras: Vec<Extra>,
    /// True once the log knows that the peer has the snapshot.
    announced: bool,
    /// Number of the last commit whose effects the peer knows to be done.
    done_told: u64,
    /// The first kept update, and since when it is that one.
    oldest: Option<(u64, Timestamp)>,
    /// What is done wrong on purpose.
    pub planted: Planted,
}

impl Link {
    /// A link to a node that nobody heard of.
    pub fn new(peer: NodeName) -> Self {
        Link {
            peer,
            run: None,
            up: false,
            heard: false,
            mode: Mode::Idle,
            stream: 0,
            next: 1,
            sent: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            peer_stream: 0,
            received: 0,
            acknowledgement_due: false,
            extras: Vec::new(),
            announced: false,
            done_told: 0,
            oldest: None,
            planted: Planted::NONE,
        }
    }

    /// The transport has a new connection: what is kept is sent again.
    pub fn on_up(&mut self) {
        (self.up, self.heard) = (true, false);
        if !self.planted.is(PlantedFault::LinkForgetsWindow) {
            self.sent = self.next - 1 - self.kept.len() as u64;
        }
        self.acknowledgement_due = true;
        self.extras.clear();
        self.say(Extra::Hello);
    }

    /// Sends all that is kept again if nothing was acknowledged for [`RESEND_AFTER`]: the
    /// transport may have lost a frame without breaking.
    ///
    /// What is done since the last frame is told with one more, so that a survivor does not do
    /// it again.
    pub fn on_timeout(&mut self, now: Timestamp, done: u64) {
        self.acknowledgement_due |= self.replicates() && done > self.done_told;
        let Some(first) = self.kept.front().map(|kept| kept.sequence) else {
            self.oldest = None;
            return;
        };
        match self.oldest {
            Some((sequence, since)) if sequence == first => {
                if now.since(since) >= RESEND_AFTER {
                    if !self.planted.is(PlantedFault::LinkForgetsWindow) {
                        self.sent = first - 1;
                    }
                    self.oldest = Some((first, now));
                }
            }
            _ => self.oldest = Some((first, now)),
        }
    }

    /// The connection is gone.
    pub fn on_down(&mut self) {
        self.up = false;
    }

    /// The run that is known is at the other end of this connection.
    pub fn on_heard(&mut self) {
        self.heard = true;
    }

    /// Another run of the peer speaks: forget the old one.
    pub fn on_new_run(&mut self, run: RunId) {
        let up = self.up;
        let planted = self.planted;
        *self = Link { run: Some(run), up, planted, ..Link::new(self.peer.clone()) };
        self.acknowledgement_due = true;
    }

    /// Starts a new stream of updates with an empty window.
    pub fn restart(&mut self, stream: u64, mode: Mode) {
        (self.stream, self.next, self.sent) = (stream, 1, 0);
        self.kept.clear();
        self.kept_bytes = 0;
        self.mode = mode;
        self.announced = false;
    }

    /// True the first time it is asked on this stream.
    pub fn announce(&mut self) -> bool {
        !std::mem::replace(&mut self.announced, true)
    }

    /// Stops sending updates and forgets those under way.
    pub fn stop(&mut self) {
        self.restart(self.stream, Mode::Idle);
    }

    /// The peer will send a snapshot on a new stream.
    pub fn expect(&mut self, stream: u64) {
        (self.peer_stream, self.received) = (stream, 0);
    }

    /// True if updates of that stream have come; stream 0 is nobody's wish.
    pub fn is_receiving(&self, stream: u64) -> bool {
        stream > 0 && self.peer_stream == stream && self.received > 0
    }

    /// Says something that needs no order.
    pub fn say(&mut self, extra: Extra) {
        // The reader takes one wish to join from a frame: the last one counts.
        if matches!(extra, Extra::Join { .. }) {
            self.extras.retain(|said| !matches!(said, Extra::Join { .. }));
        }
        if self.up && self.extras.len() < EXTRAS_MAX {
            self.extras.push(extra);
        }
    }

    /// There is something to say besides: the next frame comes at once.
    pub fn speak(&mut self) {
        self.acknowledgement_due = true;
    }

    /// True if the peer gets our updates.
    pub fn replicates(&self) -> bool {
        self.mode != Mode::Idle
    }

    /// Adds an update; `commit` is its number, 0 for a piece of a snapshot. Its sequence.
    ///
    /// # Errors
    /// The peer is too far behind.
    pub fn push(&mut self, update: &Update, commit: u64) -> Result<u64, &'static str> {
        if self.kept.len() >= UNACKNOWLEDGED_MAX {
            return Err("too many updates without acknowledgement");
        }
        let syncing = !matches!(self.mode, Mode::Live | Mode::Idle);
        if commit > 0 && syncing && self.planted.is(PlantedFault::LoseSnapshotTail) {
            return Ok(self.next - 1);
        }
        let bytes = encode(update).expect("plain data can be encoded");
        let sequence = self.next;
        self.next += 1;
        self.kept_bytes += bytes.len();
        self.kept.push_back(Kept { sequence, bytes, commit });
        Ok(sequence)
    }

    /// True if the snapshot may go on.
    pub fn has_room(&self) -> bool {
        self.up && self.kept_bytes < SNAPSHOT_WINDOW_BYTES
    }

    /// Updates without acknowledgement.
    pub fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    /// All commits up to the result are held by the peer, if `last` is the last one made.
    pub fn held(&self, last: u64) -> u64 {
        let first = self.kept.iter().find(|kept| kept.commit > 0);
        first.map_or(last, |kept| kept.commit - 1)
    }

    /// The peer applied our updates up to `ack` of `stream`.
    pub fn on_acknowledgement(&mut self, stream: u64, ack: u64) {
        if stream != self.stream {
            return;
        }
        while self.kept.front().is_some_and(|kept| kept.sequence <= ack) {
            if let Some(kept) = self.kept.pop_front() {
                self.kept_bytes -= kept.bytes.len();
                // What was to be sent again need not be.
                self.sent = self.sent.max(kept.sequence);
            }
        }
        if matches!(self.mode, Mode::Ending(end) if ack >= end) {
            self.mode = Mode::Live;
        }
    }

    /// True if an acknowledgement is of updates that were never made.
    pub fn was_not_sent(&self, stream: u64, ack: u64) -> bool {
        self.replicates() && stream == self.stream && ack >= self.next
    }

    /// Our stream, as the peer named it.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    /// The next of the updates that were taken is applied.
    pub fn on_applied(&mut self) {
        self.received += 1;
    }

    /// Takes the updates of a frame that are new; each counts once it is applied.
    ///
    /// # Errors
    /// A hole in the sequence: the link must be closed, so that the peer sends again.
    pub fn accept(&mut self, frame: &mut Frame) -> Result<Vec<ByteBuf>, &'static str> {
        if frame.updates.is_empty() || frame.stream != self.peer_stream {
            return Ok(Vec::new());
        }
        if frame.first == 0 || frame.first > self.received + 1 {
            return Err("updates are missing");
        }
        self.acknowledgement_due = true;
        let known = usize::try_from(self.received + 1 - frame.first).unwrap_or(usize::MAX);
        let known = if self.planted.is(PlantedFault::LinkTakesTwice) { 0 } else { known };
        Ok(std::mem::take(&mut frame.updates).into_iter().skip(known).collect())
    }

    /// As many of the unsequenced words as fit into a frame.
    fn next_extras(&mut self) -> Vec<Extra> {
        let mut size = 0;
        let fits = self.extras.iter().take_while(|extra| {
            let fits = size < FRAME_BYTES_MAX;
            if let Extra::Relay(ingress) = extra {
                size += ingress.bytes.len();
            }
            fits
        });
        let fitting = fits.count();
        self.extras.drain(..fitting).collect()
    }

    /// The next frame, if there is anything to say.
    pub fn poll_frame(&mut self, me: &RunId, view: u64, done: u64) -> Option<Frame> {
        let unsent = self.heard && self.next - 1 > self.sent;
        if !self.up || !(unsent || self.acknowledgement_due || !self.extras.is_empty()) {
            return None;
        }
        let first = self.sent + 1;
        let mut updates = Vec::new();
        let mut size = 0;
        let skipped = self.kept.partition_point(|kept| kept.sequence < first);
        for kept in self.kept.iter().skip(skipped).take_while(|_| unsent) {
            if size > 0 && size + kept.bytes.len() > FRAME_BYTES_MAX {
                break;
            }
            size += kept.bytes.len();
            updates.push(ByteBuf::from(kept.bytes.clone()));
        }
        self.sent += updates.len() as u64;
        self.acknowledgement_due = false;
        self.done_told = done;
        Some(Frame {
            format: FORMAT,
            from: me.clone(),
            view,
            stream: self.stream,
            first,
            updates,
            ack_stream: self.peer_stream,
            ack: self.received,
            done,
            sent_at: None,
            asked: Vec::new(),
            answered: Vec::new(),
            words: Vec::new(),
            extras: self.next_extras(),
        })
    }
}

#[cfg(test)]
mod tests;
