//! Which accepted connections may wait until they have proven something, as a machine without
//! I/O.
//!
//! | input                                        | output                                   |
//! |----------------------------------------------|------------------------------------------|
//! | accepted from an address of no peer          | close it                                 |
//! | accepted, its address has the most that wait | close the oldest of that address         |
//! | accepted, the most wait in total             | close the oldest                         |
//! | accepted otherwise                           |                                          |
//! | proven, or gone                              | (it does not wait any more)              |
//!
//! So whoever holds connections open without proving anything crowds out himself, and a peer that
//! dials always gets its turn. How long one may wait is not here (`tls/handshake.rs`, `links.rs`).

use crate::config::Limits;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// What to do with an accepted connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Close it.
    Stranger,
    /// Go on with it.
    Yes,
    /// Go on with it, and close this one.
    InPlaceOf(SocketAddr),
}

/// The connections that wait.
#[derive(Debug)]
pub(crate) struct Admission {
    peers: BTreeSet<IpAddr>,
    pending_max: usize,
    pending_per_source_max: usize,
    /// Oldest first; at most `pending_max`.
    pending: VecDeque<SocketAddr>,
}

impl Admission {
    /// Nobody waits. `peers` are the addresses that may connect.
    pub fn new(peers: impl IntoIterator<Item = IpAddr>, limits: &Limits) -> Self {
        Admission {
            peers: peers.into_iter().collect(),
            pending_max: limits.pending_max.max(1),
            pending_per_source_max: limits.pending_per_source_max.max(1),
            pending: VecDeque::new(),
        }
    }

    /// A connection from `source` was accepted.
    pub fn handle_accepted(&mut self, source: SocketAddr) -> Admitted {
        if !self.peers.contains(&source.ip()) {
            return Admitted::Stranger;
        }
        // A port that is used again: the system has forgotten the old connection.
        self.handle_settled(source);
        let same = |pending: &&SocketAddr| pending.ip() == source.ip();
        let of_source = self.pending.iter().filter(same).count();
        let oldest = if of_source >= self.pending_per_source_max {
            self.pending.iter().find(same).copied()
        } else if self.pending.len() >= self.pending_max {
            self.pending.front().copied()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.handle_settled(oldest);
        }
        self.pending.push_back(source);
        oldest.map_or(Admitted::Yes, Admitted::InPlaceOf)
    }

    /// The connection from `source` has proven who it is, or is gone.
    pub fn handle_settled(&mut self, source: SocketAddr) {
        self.pending.retain(|pending| *pending != source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(host: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, host], port).into()
    }

    fn admission(pending_max: usize, pending_per_source_max: usize) -> Admission {
        let limits = Limits { pending_max, pending_per_source_max, ..Limits::default() };
        Admission::new([source(1, 0).ip(), source(2, 0).ip()], &limits)
    }

    #[test]
    fn an_address_of_no_peer_is_a_stranger_and_takes_no_place() {
        let mut admission = admission(1, 1);
        assert_eq!(admission.handle_accepted(source(1, 1)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(3, 1)), Admitted::Stranger);
        assert_eq!(admission.pending, [source(1, 1)]);
    }

    #[test]
    fn who_holds_too_many_crowds_out_his_own_oldest() {
        let mut admission = admission(10, 2);
        assert_eq!(admission.handle_accepted(source(2, 1)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(1, 1)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(1, 2)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(1, 3)), Admitted::InPlaceOf(source(1, 1)));
        assert_eq!(admission.pending, [source(2, 1), source(1, 2), source(1, 3)]);
    }

    #[test]
    fn in_total_the_oldest_goes_and_what_is_settled_counts_no_more() {
        let mut admission = admission(2, 2);
        assert_eq!(admission.handle_accepted(source(1, 1)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(2, 1)), Admitted::Yes);
        assert_eq!(admission.handle_accepted(source(2, 2)), Admitted::InPlaceOf(source(1, 1)));
        admission.handle_settled(source(2, 1));
        assert_eq!(admission.handle_accepted(source(2, 3)), Admitted::Yes);
    }

    #[test]
    fn a_port_that_is_used_again_is_one_connection() {
        let mut admission = admission(2, 2);
        admission.handle_accepted(source(1, 1));
        assert_eq!(admission.handle_accepted(source(1, 1)), Admitted::Yes);
        assert_eq!(admission.pending, [source(1, 1)]);
    }
}
