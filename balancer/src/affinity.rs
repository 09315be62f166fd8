//! Affinity: which cohort a request without a cohort of its own belongs to, by its Call-ID.
//!
//! The first request of a call names no cohort, and neither do its repeats, its CANCEL, or the
//! ACK of a refusal. The table remembers the cohort of the run that got the first one, not its
//! address: when the run dies, the view already says who inherited the call.
//!
//! What begins no call, as OPTIONS or MESSAGE, has repeats as well, for half a minute. Such
//! requests have a table of their own, so that no number of them pushes a call out.
//!
//! Past [`CALLS_MAX`], and as many others, the oldest entry goes. A request that misses its entry
//! goes where a new call would go, and that node relays it to the call's owner. Call-IDs are kept
//! as hashes under the cluster's key: nobody outside can aim for a collision, and a collision only
//! costs a relay.

use resilee_sbb::CohortId;
use resilee_sip_proto::RoutingKey;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Most calls remembered, and most other requests.
pub(crate) const CALLS_MAX: usize = 16_384;

/// See the module.
#[derive(Debug)]
pub(crate) struct Affinity {
    /// Has taken the key in.
    hasher: DefaultHasher,
    calls: Table,
    others: Table,
}

#[derive(Debug, Default)]
struct Table {
    cohorts: BTreeMap<u64, CohortId>,
    /// The keys of `cohorts`, oldest first.
    order: VecDeque<u64>,
}

impl Affinity {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Affinity { hasher, calls: Table::default(), others: Table::default() }
    }

    /// The same for the same Call-ID, on every balancer with this key.
    pub(crate) fn hash(&self, call_id: &[u8]) -> u64 {
        let mut hasher = self.hasher.clone();
        call_id.hash(&mut hasher);
        hasher.finish()
    }

    /// The same for a request, its repeats and its responses.
    pub(crate) fn hash_of_request(&self, key: &RoutingKey<'_>) -> u64 {
        let mut hasher = self.hasher.clone();
        (key.top_via_branch, key.top_via_sent_by, key.cseq_number).hash(&mut hasher);
        hasher.finish()
    }

    /// By the hash of a Call-ID.
    pub(crate) fn cohort(&self, call: u64) -> Option<CohortId> {
        self.calls.cohorts.get(&call).or_else(|| self.others.cohorts.get(&call)).copied()
    }

    /// An INVITE was given to this cohort.
    pub(crate) fn remember_call(&mut self, call: u64, cohort: CohortId) {
        self.calls.remember(call, cohort);
    }

    /// Another request was.
    pub(crate) fn remember_other(&mut self, call: u64, cohort: CohortId) {
        self.others.remember(call, cohort);
    }
}

impl Table {
    fn remember(&mut self, call: u64, cohort: CohortId) {
        if self.cohorts.insert(call, cohort).is_some() {
            return;
        }
        self.order.push_back(call);
        if self.order.len() > CALLS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.cohorts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_stay_bounded_and_forget_the_oldest_of_their_kind() {
        let mut affinity = Affinity::new([7; 32]);
        for call in 0..CALLS_MAX as u64 + 100 {
            affinity.remember_call(call, CohortId(call));
            affinity.remember_call(call, CohortId(call + 1));
            affinity.remember_other(u64::MAX - call, CohortId(call));
        }
        assert_eq!(affinity.calls.cohorts.len(), CALLS_MAX);
        assert_eq!(affinity.others.cohorts.len(), CALLS_MAX);
        assert_eq!(affinity.cohort(u64::MAX - 99), None);
        assert_eq!(affinity.cohort(99), None);
        assert_eq!(affinity.cohort(100), Some(CohortId(101)));
    }
}
