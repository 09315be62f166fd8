//! The phones' address, of two balancers at the host of the one that serves; and what refuses it.
//!
//! A host whose side of the phones has no cable refuses it, and its balancer says so to the nodes,
//! whose side has one. It is asked for again and again, as the shell does.

use super::{Action, World};
use resilee_balancer::BalancerInput;

/// What cannot be taken is tried again after this time, in microseconds.
const TAKE_AGAIN_US: u64 = 50_000;

const REFUSED: &str = "the phones' side has no cable";

impl World {
    /// Its host is to have the phones' address from now on, or not any more.
    pub(super) fn move_address(&mut self, balancer: usize, life: u64, here: bool) {
        if self.balancers[balancer].life != life {
            return;
        }
        self.balancers[balancer].takes_address = here;
        if here {
            self.take_address(balancer, life);
        } else {
            self.leave_address(balancer);
            self.check_standby(balancer);
        }
    }

    /// Unless it is refused; then it is tried again.
    pub(super) fn take_address(&mut self, balancer: usize, life: u64) {
        let host = &self.balancers[balancer];
        if host.life != life || !host.takes_address {
            return;
        }
        let (refused, paused) = (host.refused, host.paused.is_some());
        if refused || paused {
            self.schedule(TAKE_AGAIN_US, Action::TakeAddress { balancer, life });
        }
        if refused {
            self.leave_address(balancer);
        } else if !paused {
            self.at = Some(balancer);
        }
        if !paused {
            self.feed_balancer(
                balancer,
                match refused {
                    true => BalancerInput::NoCarrier(REFUSED),
                    false => BalancerInput::AddressTaken,
                },
            );
        }
    }

    /// The cable of a host on the phones' side is pulled, or back.
    pub(super) fn refuse_address(&mut self, balancer: usize, refused: bool) {
        self.balancers[balancer].refused = refused;
        if self.balancers[balancer].takes_address {
            let life = self.balancers[balancer].life;
            self.take_address(balancer, life);
        } else {
            self.check_standby(balancer);
        }
    }

    /// Whoever stands by looks whether it could take the address.
    pub(super) fn check_standby(&mut self, balancer: usize) {
        let host = &self.balancers[balancer];
        if host.paused.is_none() {
            self.feed_balancer(
                balancer,
                match host.refused {
                    true => BalancerInput::NoCarrier(REFUSED),
                    false => BalancerInput::StandbyChecked(None),
                },
            );
        }
    }

    fn leave_address(&mut self, balancer: usize) {
        if self.at == Some(balancer) {
            self.at = None;
        }
    }
}
