//! Why a datagram goes no further, and how often that happened.

use std::fmt;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// From a client: not a SIP message that can be routed.
    NotSip,
    /// From a client: too long for an envelope.
    TooLong,
    /// From a client: no view has members yet.
    NoMember,
    /// From a client: a response to nothing that the cluster sent.
    StrayResponse,
    /// From a node's address: not an envelope, or one that is not understood.
    NoEnvelope,
    /// From a node's address: sealed with another key, or damaged.
    WrongKey,
    /// From a node's address: it says it comes from another node.
    WrongSender,
    /// From a node: it goes by an older view.
    OldView,
    /// From a node that is not in the view.
    NotMember,
}

const REASONS: [DropReason; 9] = [
    DropReason::NotSip,
    DropReason::TooLong,
    DropReason::NoMember,
    DropReason::StrayResponse,
    DropReason::NoEnvelope,
    DropReason::WrongKey,
    DropReason::WrongSender,
    DropReason::OldView,
    DropReason::NotMember,
];

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NotSip => "from a client, no SIP message",
            DropReason::TooLong => "from a client, too long",
            DropReason::NoMember => "from a client, while no node serves",
            DropReason::StrayResponse => "from a client, a response to nothing of ours",
            DropReason::NoEnvelope => "from a node's address, no envelope",
            DropReason::WrongKey => "from a node's address, sealed with another key",
            DropReason::WrongSender => "from a node's address, in another node's name",
            DropReason::OldView => "from a node that goes by an older view",
            DropReason::NotMember => "from a node that is no member",
        })
    }
}

/// Counts of dropped datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; REASONS.len()]);

impl Drops {
    /// How often that was the reason.
    pub fn count(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        REASONS.into_iter().map(|reason| (reason, self.count(reason)))
    }

    /// Counts one; says the count when it is worth a line in the log: 1, 10, 100 and so on.
    pub(crate) fn add(&mut self, reason: DropReason) -> Option<u64> {
        let count = &mut self.0[reason as usize];
        *count += 1;
        let mut milestone = 1;
        while milestone < *count {
            milestone *= 10;
        }
        (milestone == *count).then_some(*count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_count_of_its_own() {
        for (position, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, position, "{reason}");
        }
    }

    #[test]
    fn the_log_is_told_of_the_first_the_tenth_and_the_hundredth() {
        let mut drops = Drops::default();
        let told: Vec<u64> = (0..500).filter_map(|_| drops.add(DropReason::NotSip)).collect();
        assert_eq!(told, [1, 10, 100]);
        assert_eq!(drops.count(DropReason::NotSip), 500);
    }
}
