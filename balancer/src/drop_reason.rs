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
