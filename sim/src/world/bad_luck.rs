//! Bad luck: a phone repeats its INVITE six times and gives up. If a fault took the first ones and
//! chance all that were left, no cluster could have answered, and the call may fail.
//!
//! Chance is what the network lost by its seed; what was lost on a link that is cut, or with a
//! process, is a fault, which a cluster has to make good.

use super::World;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// What is sent so long before a phone gives up is answered in time, unless it is lost.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);
/// A balancer that lives has sent it on after this time: two hops in the slowest network.
const FORWARDED_WITHIN: Duration = Duration::from_millis(40);
/// So many of the last repeats must have been lost by chance, each of them.
const REPEATS_LOST: usize = 2;

impl World {
    /// Whether an INVITE that was repeated at these times, and never answered, was lost by chance
    /// each of the last times that could have been answered, and before that sent in a fault only.
    pub fn lost_by_chance(&self, call_id: &str, repeats: &[Timestamp]) -> bool {
        let has = |bytes: &[u8], text: &str| {
            !text.is_empty() && bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        let is_lost = |sent: &Timestamp| {
            self.network.lost_by_chance().any(|(at, packet)| {
                (*sent..=*sent + FORWARDED_WITHIN).contains(&at)
                    && has(&packet.bytes, "INVITE sip:")
                    && has(&packet.bytes, call_id)
            })
        };
        let mut in_time = repeats.iter().rev().filter(|at| self.now.since(**at) >= ANSWERED_WITHIN);
        let last: Vec<_> = in_time.by_ref().take(REPEATS_LOST).collect();
        last.len() == REPEATS_LOST
            && last.into_iter().all(is_lost)
            && in_time.all(|at| self.lateness.is_troubled(*at))
    }
}
