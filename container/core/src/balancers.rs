//! Where balancers are: each is where its last heartbeat came from, and clients are behind the one
//! that holds the seat.

use crate::core::Core;
use resilee_membership::{Control, ControlBody, Destination, MemberInput, VoterId};
use std::net::SocketAddr;

impl Core {
    pub(crate) fn on_control(&mut self, source: SocketAddr, control: Control) {
        self.read_clock(&control);
        let heartbeat = matches!(control.body, ControlBody::Heartbeat { .. });
        let from = control.from.clone();
        let before = self.member.balancer_sequence(&from);
        if before.is_none() && from.node().is_none() {
            self.count_drop("message of a balancer that this node does not know");
        }
        self.tell_member(MemberInput::Control(control));
        // A recorded datagram that is sent again must not draw our messages to its sender, as long
        // as the balancer is heard. (Of a silent one it does: `failure_detector.rs` says why.)
        if heartbeat && self.member.balancer_sequence(&from) != before {
            let balancer = match from {
                VoterId::Balancer(name) => Destination::Balancer(name),
                _ => Destination::Seat,
            };
            self.balancers.insert(balancer, source);
        }
    }

    /// Where messages to clients go: to the balancer that holds the seat.
    pub(crate) fn seat_address(&self) -> Option<SocketAddr> {
        self.balancers.get(&self.member.seat_holder()).copied()
    }

    /// The balancer whose heartbeats come from there.
    pub(crate) fn balancer_at(&self, source: SocketAddr) -> Destination {
        let known = self.balancers.iter().find(|(_, address)| **address == source);
        known.map_or_else(|| self.member.seat_holder(), |(balancer, _)| balancer.clone())
    }
}
