//! What comes from nodes: control messages for the seat, and SIP for clients.

use super::{Balancer, Route};
use crate::boundary::{BalancerNotice, BalancerOutput, DropReason, Removed};
use resilee_membership::{
    Control, EnvelopeError, Flow, Packet, PlantedFault, SeatInput, SeatOutput, View, VoterId, open,
    seal_control,
};
use resilee_sbb::Timestamp;

impl Balancer {
    pub(super) fn on_node(&mut self, now: Timestamp, server: usize, bytes: &[u8]) {
        match open(&self.key, bytes) {
            Ok(Packet::Control(control)) => self.on_control(now, server, control),
            Ok(Packet::Sip { view, flow, bytes }) => {
                self.on_sip(now, server, (view, flow, bytes));
            }
            Err(EnvelopeError::WrongMac) => self.drop(DropReason::WrongKey),
            Err(_) => self.drop(DropReason::NoEnvelope),
        }
    }

    fn on_control(&mut self, now: Timestamp, server: usize, control: Control) {
        let name = &self.config.servers[server].name;
        if !matches!(&control.from, VoterId::Run(run) if run.node == *name) {
            self.drop(DropReason::WrongSender);
            return;
        }
        self.standings[server].refused = false;
        self.standings[server].recent.handle_heard(now);
        self.feed_seat(now, SeatInput::Control(control));
    }

    fn on_sip(&mut self, now: Timestamp, server: usize, (view, flow, bytes): (u64, Flow, &[u8])) {
        if view < self.view.number && !self.planted.is(PlantedFault::TakeOldView) {
            self.drop(DropReason::OldView);
            self.seat.tell_view(self.config.servers[server].name.clone());
            self.drain_seat(now);
        } else if view == self.view.number && self.standings[server].cohort.is_none() {
            self.drop(DropReason::NotMember);
        } else if !self.seat.may_forward(now) {
            self.drop(DropReason::Standby);
        } else {
            let client = flow.remote.ip();
            self.note_response(now, server, client, bytes);
            self.protection.handle_sent(now, client, bytes);
            let bytes = bytes.to_vec();
            self.outputs.push_back(BalancerOutput::ToClient { flow, bytes });
        }
    }

    pub(super) fn on_refused(&mut self, now: Timestamp, server: usize) {
        if !std::mem::replace(&mut self.standings[server].refused, true) {
            let node = self.config.servers[server].name.clone();
            self.notice(BalancerNotice::Refused { node });
            self.look(now);
        }
    }

    // The seat.

    pub(super) fn feed_seat(&mut self, now: Timestamp, input: SeatInput) {
        self.seat.handle_input(now, input);
        self.drain_seat(now);
        self.look(now);
        self.note_lease(now);
        self.note_fitness(now);
    }

    fn drain_seat(&mut self, now: Timestamp) {
        while let Some(output) = self.seat.poll_output() {
            match output {
                SeatOutput::Send { to, control } => {
                    let Some(server) = self.server(&to) else { continue };
                    let bytes = seal_control(&self.key, &control);
                    self.outputs.push_back(BalancerOutput::ToNode { server, bytes });
                }
                SeatOutput::Persist { number, state } => {
                    self.outputs.push_back(BalancerOutput::Persist { number, state });
                }
                SeatOutput::Adopt(view) => self.on_view(now, view),
                SeatOutput::Notice(notice) => self.notice(BalancerNotice::Seat(notice)),
            }
        }
    }

    fn on_view(&mut self, now: Timestamp, view: View) {
        let before = std::mem::replace(&mut self.view, view);
        self.note_members();
        self.note_joiners(now, &before);
        let gone = before.members.into_iter().filter(|run| !self.view.contains(run));
        let mut removed = Vec::new();
        let mut unread = Vec::new();
        for run in gone {
            let silent_for = self.seat.heard_at(&run.node).map(|at| now.since(at));
            if let Some(server) = self.server(&run.node) {
                unread.extend(self.standings[server].recent.take());
            }
            removed.push(Removed { run, silent_for });
        }
        let mut resent = 0;
        if !self.seat.may_forward(now) {
            unread.clear();
        }
        for datagram in unread {
            let source = self.protection.source(datagram.flow.remote.ip());
            if let Route::Server(heir) = self.route(now, source, &datagram.bytes) {
                self.forward(now, heir, datagram.flow, datagram.bytes);
                resent += 1;
            }
        }
        self.notice(BalancerNotice::View { view: self.view.clone(), removed, resent });
    }
}
