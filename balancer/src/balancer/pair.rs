//! One of two balancers: whether it serves clients, and is where they are.
//!
//! | it                                       | and so                                          |
//! |------------------------------------------|-------------------------------------------------|
//! | gets a lease                             | takes the addresses of clients                  |
//! | loses it, or the seat                    | leaves them                                     |
//! | holds none when a datagram comes         | drops it                                        |
//! | serves, and the addresses are refused    | is told so by the shell, which tries again      |
//! | could not serve (`fitness.rs`)           | says so to the nodes, which move the seat       |
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
            self.fitness.handle_lease(now);
            self.outputs.push_back(BalancerOutput::Serve(serves));
            self.notice(BalancerNotice::Serves(serves));
        }
    }

    /// What came of it; said late, it says nothing any more.
    pub(super) fn on_address(&mut self, now: Timestamp, address: Address) {
        if !self.serves {
            return;
        }
        match &address {
            Address::Refused(why) => self.fitness.handle_refused(now, why),
            _ => self.fitness.handle_taken(now),
        }
        self.note_fitness(now);
        self.note_address(address);
    }

    /// Where it serves, its addresses are refused.
    pub(super) fn on_no_carrier(&mut self, now: Timestamp, why: &str) {
        self.fitness.handle_no_carrier(now, why);
        self.note_fitness(now);
        if self.serves {
            self.note_address(Address::Refused(why.to_owned()));
        }
    }

    fn note_address(&mut self, address: Address) {
        if self.address == address {
            return;
        }
        self.notice(match &address {
            Address::Refused(why) => BalancerNotice::AddressRefused { why: why.clone() },
            _ => BalancerNotice::AddressTaken,
        });
        self.address = address;
        self.process.1 = true;
    }

    pub(super) fn on_standby_checked(&mut self, now: Timestamp, why: Option<&str>) {
        if !self.serves {
            self.fitness.handle_standing_by(now, why);
            self.note_fitness(now);
        }
    }

    /// Whether it could serve may have changed.
    pub(super) fn note_fitness(&mut self, now: Timestamp) {
        if self.config.pair.is_none() {
            return;
        }
        let changed = self.fitness.look(now);
        self.seat.set_readiness(self.fitness.readiness());
        if changed {
            let unfit = self.fitness.unfit().map(str::to_owned);
            self.notice(BalancerNotice::Unfit(unfit));
        }
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
            ready: self.fitness.unfit().is_none(),
            unfit: self.fitness.unfit().map(str::to_owned),
        })
    }
}
