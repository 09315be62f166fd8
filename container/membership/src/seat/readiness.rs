//! Whether a balancer could serve clients, as it says to the nodes with each heartbeat.
//!
//! What nodes do with it is in `member/seats.rs`.

use super::Seat;

/// What a balancer says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// It can be where clients are, and store what it votes, as far as it knows.
    #[default]
    Ready,
    /// Nothing keeps it from that any more, as it has looked: it only rests from what did. It is
    /// to serve if the other one cannot.
    Rests,
    /// It cannot.
    Unfit,
}

impl Seat {
    /// Said from the next heartbeat on. From one that is not ready nodes move the seat to another
    /// balancer that is.
    pub fn set_readiness(&mut self, readiness: Readiness) {
        self.readiness = readiness;
    }
}
