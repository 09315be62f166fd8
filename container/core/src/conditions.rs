//! Conditions that last, as alarms: raised when they begin, cleared when they end.
//!
//! | condition                                  | source     | begins            | ends           |
//! |--------------------------------------------|------------|-------------------|----------------|
//! | the balancer is not heard                  | `balancer` | its loss          | it is heard    |
//! | a link is down that was up                 | `cluster`  | link down         | link up        |
//! | a view was forced                          | `cluster`  | that view         | with this run  |
//! | there is no backup                         | `cluster`  | `takeover.rs`     | a pair again   |
//! | ends of calls wait for a store             | `cluster`  | `orphans.rs`      | none waits     |
//! | nothing is stored                          | `store`    | the store failed  | with this run  |
//! | a service rolled back, an adaptor refused  | its name   | where it happens  | see there      |
//!
//! What the alarm table does with them is in `alarms.rs`.

use crate::core::Core;
use crate::io::Output;
use resilee_membership::{MemberNotice, NodeName, PeerLoss};
use resilee_sbb::Timestamp;

const BALANCER: &str = "balancer";
/// While the seat is not heard.
const NOT_HEARD: &str =
    "the balancer is not heard: no calls come in, and no other node can take over";

impl Core {
    /// What the membership noticed, if it lasts.
    pub(crate) fn note_condition(&mut self, now: Timestamp, notice: &MemberNotice) {
        match notice {
            MemberNotice::SeatLost => self.raise_alarm(now, BALANCER, NOT_HEARD),
            MemberNotice::SeatBack => self.clear_alarm(BALANCER, NOT_HEARD),
            MemberNotice::Forced { number } => {
                self.orphans.forced = true;
                let text = format!(
                    "view {number} was forced: no other vote stands behind it, so another node \
                     may serve and bill the same calls; start this node again when all is well"
                );
                self.raise_alarm(now, "cluster", &text);
            }
            // TCP alone notices a silent partition only when something stays unacknowledged.
            MemberNotice::PeerLost { run, why: PeerLoss::Silent | PeerLoss::Deaf, .. }
                if self.links.get(&run.node).is_some_and(|link| link.up) =>
            {
                let reason = "its heartbeats are missing".to_owned();
                self.outputs.push_back(Output::CloseLink { peer: run.node.clone(), reason });
            }
            _ => {}
        }
    }

    /// The transport has a connection to a peer, or has lost it.
    pub(crate) fn note_link(&mut self, now: Timestamp, peer: &NodeName, up: bool) {
        let text = format!("the link to {peer} is down: it gets no changes");
        match up {
            true => self.clear_alarm("cluster", &text),
            false => {
                self.alarms.set_peer(peer, Vec::new());
                self.raise_alarm(now, "cluster", &text);
            }
        }
        self.alarms.tell_again();
    }
}
