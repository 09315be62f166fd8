//! What a node says to the other voters, and when it may: nothing that follows from a vote or a
//! view leaves before that is stored.
//!
//! A heartbeat alone names the highest view that is *known*, stored or about to be: a seat that
//! lost its memory must not take this node for one that has told all (`seat/lost_memory.rs`), and
//! whoever asks for that view gets what is stored.
//!
//! Not here: when something is to be said (`member.rs`, `proposal.rs`).

use super::{Destination, Member, MemberNotice, MemberOutput};
use crate::control::{Control, ControlBody, VoterId};
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Somebody who goes on by an older view is told again after so long.
const TELL_AGAIN: Duration = Duration::from_millis(10);

impl Member {
    /// Whoever floods us with what is old is not answered each time.
    pub(super) fn on_old_view(&mut self, now: Timestamp, from: Destination) {
        let told = self.told_at.get(&from);
        if told.is_none_or(|told| now.since(*told) >= TELL_AGAIN) {
            self.told_at.insert(from.clone(), now);
            self.tell_view(from);
        }
    }

    pub(super) fn send_heartbeats(&mut self, now: Timestamp) {
        let hears_seat = self.hears_seat(now);
        let ready = self.is_member() && !self.draining;
        for to in self.everyone() {
            let confirms = matches!(&to, Destination::Balancer(name) if self.confirms(now, name));
            let detector = match &to {
                Destination::Seat => self.seats.detector(&None),
                Destination::Balancer(name) => self.seats.detector(&Some(name.clone())),
                Destination::Node(node) => self.peers.get_mut(node).map(|it| &mut it.detector),
            };
            let Some(detector) = detector else { continue };
            let body = ControlBody::Heartbeat {
                sequence: detector.next_sequence(),
                echo: detector.heard_sequence(),
                hears_seat,
                sent_at: now,
                draining: self.draining,
                ready,
                rests: false,
                seat: None,
                confirms,
            };
            self.send_by(self.voter.highest.number, to, body);
        }
    }

    pub(super) fn tell_view(&mut self, to: Destination) {
        let view = self.persist.stored().highest.clone();
        let body = ControlBody::TellView {
            member: !self.ended && view.contains(&self.config.me),
            view,
            last_commit: self.last_commit,
            store_empty: self.store_at_start.is_empty(),
        };
        self.send(to, body);
    }

    pub(super) fn send_to_all(&mut self, body: &ControlBody) {
        for to in self.everyone() {
            self.send(to, body.clone());
        }
    }

    /// Sends once all that is decided by now is stored.
    pub(super) fn send_stored(&mut self, to: Destination, body: ControlBody) {
        if let Some((to, body)) = self.persist.handle_message((to, body)) {
            self.send(to, body);
        }
    }

    pub(super) fn send(&mut self, to: Destination, body: ControlBody) {
        self.send_by(self.persist.stored().highest.number, to, body);
    }

    fn send_by(&mut self, view: u64, to: Destination, body: ControlBody) {
        let from = VoterId::Run(self.config.me.clone());
        let control = Control { view, from, body };
        self.outputs.push_back(MemberOutput::Send { to, control });
    }

    pub(super) fn store(&mut self) {
        if let Some((number, state)) = self.persist.handle_state(&self.voter) {
            self.outputs.push_back(MemberOutput::Persist { number, state });
        }
    }

    pub(super) fn notice(&mut self, notice: MemberNotice) {
        self.outputs.push_back(MemberOutput::Notice(notice));
    }
}
