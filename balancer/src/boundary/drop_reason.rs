//! Why a datagram goes no further.

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
    /// From a client: no node serves, and too many others were just told so.
    TooManyAnswers,
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

impl DropReason {
    /// All of them, in their order.
    pub const ALL: [DropReason; 10] = [
        DropReason::NotSip,
        DropReason::TooLong,
        DropReason::NoMember,
        DropReason::TooManyAnswers,
        DropReason::StrayResponse,
        DropReason::NoEnvelope,
        DropReason::WrongKey,
        DropReason::WrongSender,
        DropReason::OldView,
        DropReason::NotMember,
    ];

    /// Its name for programs, which stays: the label `reason` of the metrics.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::NotSip => "not_sip",
            DropReason::TooLong => "too_long",
            DropReason::NoMember => "no_member",
            DropReason::TooManyAnswers => "too_many_answers",
            DropReason::StrayResponse => "stray_response",
            DropReason::NoEnvelope => "no_envelope",
            DropReason::WrongKey => "wrong_key",
            DropReason::WrongSender => "wrong_sender",
            DropReason::OldView => "old_view",
            DropReason::NotMember => "not_member",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NotSip => "from a client, no SIP message",
            DropReason::TooLong => "from a client, too long",
            DropReason::NoMember => "from a client, while no node serves",
            DropReason::TooManyAnswers => {
                "from a client, while no node serves and too many others are told so"
            }
            DropReason::StrayResponse => "from a client, a response to nothing of ours",
            DropReason::NoEnvelope => "from a node's address, no envelope",
            DropReason::WrongKey => "from a node's address, sealed with another key",
            DropReason::WrongSender => "from a node's address, in another node's name",
            DropReason::OldView => "from a node that goes by an older view",
            DropReason::NotMember => "from a node that is no member",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_reason_has_a_name_of_its_own_for_programs() {
        let names: BTreeSet<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(is_plain), "{names:?}");
        assert!(DropReason::ALL.is_sorted());
    }
}
