//! Why a datagram goes no further.

use resilee_sip_proto::routing_key::Unroutable;
use std::fmt;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// From a client: its first line is neither a SIP request's nor a response's.
    NotSip,
    /// From a client: it ends within a header, before it says enough to be routed.
    Truncated,
    /// From a client: no Via, or one that cannot be read.
    NoVia,
    /// From a client: no Call-ID.
    NoCallId,
    /// From a client: no CSeq.
    NoCseq,
    /// From a client: longer than `message_bytes_max`, or too long for an envelope.
    TooLong,
    /// From a client: start line and headers are longer than `header_bytes_max`.
    HeadersTooLong,
    /// From a client: more header lines than `headers_max`.
    TooManyHeaders,
    /// From a client: a request whose User-Agent begins as one of `scanners`.
    Scanner,
    /// From a client: its source sends more than `rate_per_s` and `burst` allow.
    TooFast,
    /// From a client: its source is banned for a while, after too many violations.
    Banned,
    /// From a client: its address is in `deny`.
    Denied,
    /// From a client: no view has members yet.
    NoMember,
    /// From a client: no node serves, and too many others were just told so.
    TooManyAnswers,
    /// From a client: a response to nothing that the cluster sent.
    StrayResponse,
    /// From a client, or from a node for one: the other balancer holds the seat, or none does.
    Standby,
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
    pub const ALL: [DropReason; 21] = [
        DropReason::NotSip,
        DropReason::Truncated,
        DropReason::NoVia,
        DropReason::NoCallId,
        DropReason::NoCseq,
        DropReason::TooLong,
        DropReason::HeadersTooLong,
        DropReason::TooManyHeaders,
        DropReason::Scanner,
        DropReason::TooFast,
        DropReason::Banned,
        DropReason::Denied,
        DropReason::NoMember,
        DropReason::TooManyAnswers,
        DropReason::StrayResponse,
        DropReason::Standby,
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
            DropReason::Truncated => "truncated",
            DropReason::NoVia => "no_via",
            DropReason::NoCallId => "no_call_id",
            DropReason::NoCseq => "no_cseq",
            DropReason::TooLong => "too_long",
            DropReason::HeadersTooLong => "headers_too_long",
            DropReason::TooManyHeaders => "too_many_headers",
            DropReason::Scanner => "scanner",
            DropReason::TooFast => "too_fast",
            DropReason::Banned => "banned",
            DropReason::Denied => "denied",
            DropReason::NoMember => "no_member",
            DropReason::TooManyAnswers => "too_many_answers",
            DropReason::StrayResponse => "stray_response",
            DropReason::Standby => "standby",
            DropReason::NoEnvelope => "no_envelope",
            DropReason::WrongKey => "wrong_key",
            DropReason::WrongSender => "wrong_sender",
            DropReason::OldView => "old_view",
            DropReason::NotMember => "not_member",
        }
    }

    /// What no phone sends, and what counts towards a ban.
    pub(crate) fn is_violation(self) -> bool {
        match self {
            DropReason::NotSip
            | DropReason::Truncated
            | DropReason::NoVia
            | DropReason::NoCallId
            | DropReason::NoCseq
            | DropReason::TooLong
            | DropReason::HeadersTooLong
            | DropReason::TooManyHeaders
            | DropReason::Scanner => true,
            DropReason::TooFast
            | DropReason::Banned
            | DropReason::Denied
            | DropReason::NoMember
            | DropReason::TooManyAnswers
            | DropReason::StrayResponse
            | DropReason::Standby
            | DropReason::NoEnvelope
            | DropReason::WrongKey
            | DropReason::WrongSender
            | DropReason::OldView
            | DropReason::NotMember => false,
        }
    }
}

impl From<Unroutable> for DropReason {
    fn from(why: Unroutable) -> Self {
        match why {
            Unroutable::StartLine => DropReason::NotSip,
            Unroutable::TooLong => DropReason::TooLong,
            Unroutable::Truncated => DropReason::Truncated,
            Unroutable::Via => DropReason::NoVia,
            Unroutable::CallId => DropReason::NoCallId,
            Unroutable::Cseq => DropReason::NoCseq,
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NotSip => "from a client, no SIP message",
            DropReason::Truncated => "from a client, ends within a header",
            DropReason::NoVia => "from a client, no Via that can be read",
            DropReason::NoCallId => "from a client, no Call-ID",
            DropReason::NoCseq => "from a client, no CSeq",
            DropReason::TooLong => "from a client, too long",
            DropReason::HeadersTooLong => "from a client, headers too long",
            DropReason::TooManyHeaders => "from a client, too many headers",
            DropReason::Scanner => "from a client, request of a scanner",
            DropReason::TooFast => "from a client, above its rate",
            DropReason::Banned => "from a client, banned for a while",
            DropReason::Denied => "from a client, in the list deny",
            DropReason::NoMember => "from a client, while no node serves",
            DropReason::TooManyAnswers => {
                "from a client, while no node serves and too many others are told so"
            }
            DropReason::StrayResponse => "from a client, a response to nothing of ours",
            DropReason::Standby => "from or for a client, while this balancer stands by",
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

    #[test]
    fn each_name_is_explained_in_the_documents() {
        let page = include_str!("../../../docs/balancer.md");
        for reason in DropReason::ALL {
            assert!(page.contains(&format!("`{}`", reason.name())), "{}", reason.name());
        }
    }
}
