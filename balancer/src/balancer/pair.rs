//! One of two balancers: whether it serves clients, and is where they are.
//!
//! | it                                       | and so                                          |
//! |------------------------------------------|-------------------------------------------------|
//! | gets a lease                             | takes the addresses of clients                  |
//! | loses it, or the seat                    | leaves them                                     |
//! | holds none when a datagram comes         | drops it                                        |
//! | serves, and the addresses are refused    | is told so by the shell, which tries again      |
//!
//! Not here: who holds the seat, and for how long (`resilee-membership`); sockets and interfaces.

use super::Balancer;
use crate::boundary::{BalancerNotice, BalancerOutput};
use crate::status::PairStatus;
use resilee_sbb::Timestamp;

/// Where clients are: whether this balancer is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// It is not, or not yet.
    Left,
    Taken,
    /// It should be.
    Refused(String),
}

impl Balancer {
    /// Whether it serves may have changed.
    pub(super) fn note_lease(&mut self, now: Timestamp) {
        let serves = self.seat.may_forward(now);
        if std::mem::replace(&mut self.serves, serves) != serves {
            self.address = Address::Left;
            self.process.1 = true;
            self.outputs.push_back(BalancerOutput::Serve(serves));
            self.notice(BalancerNotice::Serves(serves));
        }
    }

    /// What came of it; said late, it says nothing any more.
    pub(super) fn on_address(&mut self, address: Address) {
        if !self.serves || self.address == address {
            return;
        }
        self.notice(match &address {
            Address::Refused(why) => BalancerNotice::AddressRefused { why: why.clone() },
            _ => BalancerNotice::AddressTaken,
        });
        self.address = address;
        self.process.1 = true;
    }

    pub(super) fn pair_status(&self) -> Option<PairStatus> {
        let pair = self.config.pair.as_ref()?;
        let balancers = self.config.balancers();
        let refused = match &self.address {
            Address::Refused(why) => Some(why.clone()),
            _ => None,
        };
        Some(PairStatus {
            name: pair.name.to_string(),
            peer: pair.peer.to_string(),
            seat: balancers.holder(&self.view).map(ToString::to_string),
            serves: self.serves,
            holds_address: self.address == Address::Taken,
            address_refused: refused,
        })
    }
}
