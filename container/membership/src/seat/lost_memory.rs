//! When a seat votes that has no state file: it cannot tell a first start from a lost file, and may
//! have voted for what it does not know (`voter.rs`, *a voter without a memory*).
//!
//! | what it knows                                           | it grants, if `voter.rs` does    |
//! |---------------------------------------------------------|----------------------------------|
//! | what every node has told this process                   | anything                         |
//! | no view, and no node names one: a first start           | a first view                     |
//! | a view of the proposer's node alone                     | the next number                  |
//! | anything else                                           | nothing                          |
//!
//! With a grant its memory is as good as whole.
//!
//! **Every node has told.** Whatever a lost vote decided, its proposer says in its heartbeats from
//! the moment it hears of it, before it has stored it: so it has not told until then, however
//! long its disk takes. A heartbeat counts if it echoes one of this process: so its node has taken
//! in all that earlier processes said before. What of that is still on its way then is given the
//! time in which silence is a loss, and [`ON_ITS_WAY_MAX`] at least.
//!
//! **A first start** must not wait for a node that was never started, and nothing tells it from
//! this: the other node has a past and is silent, the seat has lost its own, and the proposer has
//! none (it lost it, or never was a member). Then a view of the silent node and the new one have
//! the same number. Who is back later learns of the next view and joins.
//!
//! **The proposer's node alone.** Only members propose what follows a view (`voter.rs`), and from
//! cold only their nodes. If all members are of one node, nobody else can have asked for a vote
//! that follows it, and what that node asked for itself it has stored: a number beyond the next one
//! says that it may have. So a node whose peer is dead starts again although the balancer's file is
//! lost.
//!
//! What is left: one of two members dies, and the balancer's file is lost. The lost vote may have
//! made the dead one the last member; only it knows. The survivor waits for it, or is forced.

use super::{Seat, SeatNotice, SeatOutput};
use crate::voter::{Proposal, Refusal};
use resilee_sbb::Timestamp;
use std::time::Duration;

/// What an earlier process sent has come by then, or never comes.
const ON_ITS_WAY_MAX: Duration = Duration::from_millis(300);

impl Seat {
    /// All nodes have told this process their highest views.
    pub(super) fn all_told(&self, now: Timestamp) -> bool {
        let window = self.config.heartbeat_ms.saturating_mul(u64::from(self.config.missed));
        let window = Duration::from_millis(window).max(ON_ITS_WAY_MAX);
        let settled = now.since(self.process.1) >= window;
        settled && self.nodes.values().all(|node| node.told)
    }

    /// Whatever was forgotten, a vote for this proposal does not contradict it.
    pub(super) fn cannot_contradict(&self, proposal: Proposal<'_>) -> bool {
        let highest = &self.voter.highest;
        if highest.number == 0 {
            let nobody_knows = |number: Option<u64>| number.unwrap_or(0) == 0;
            return self.nodes.values().all(|node| nobody_knows(node.number));
        }
        let node = &proposal.proposer.node;
        highest.members.iter().all(|run| run.node == *node)
            && proposal.view.number == highest.number + 1
    }

    /// Says once for whom it does not vote; it may be for nobody, in the first moments.
    pub(super) fn notice_refusal(&mut self, refusal: Refusal) {
        let untold = self.nodes.iter().filter(|(_, node)| !node.told);
        let untold: Vec<_> = untold.map(|(name, _)| name.clone()).collect();
        if refusal == Refusal::Forgetful && !untold.is_empty() && !self.noticed_forgetful {
            self.noticed_forgetful = true;
            self.outputs.push_back(SeatOutput::Notice(SeatNotice::Forgetful { untold }));
        }
    }
}
