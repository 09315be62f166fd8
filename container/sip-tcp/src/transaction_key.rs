//! What a request, its repeats and its responses have in common (RFC 3261 §17.1.3, §17.2.3), with
//! the client that sends or gets it.

use resilee_membership::Flow;
use resilee_sip_proto::Message;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// See the module. Call-ID and CSeq number are in it for clients whose branches repeat (RFC 2543).
/// All is hashed: a client that finds two transactions of one hash only confuses its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionKey {
    client: SocketAddr,
    hash: u64,
    method: u64,
}

impl TransactionKey {
    /// Of a client's request: its responses go back to where it came from.
    pub(crate) fn from_client(flow: &Flow, message: &Message<'_>) -> Self {
        TransactionKey::of(flow.remote, message)
    }

    /// Of a node's request: it may reach the client on another connection than the flow's, from
    /// which its responses come then.
    pub(crate) fn to_client(flow: &Flow, message: &Message<'_>) -> Self {
        TransactionKey::of(SocketAddr::new(flow.remote.ip(), 0), message)
    }

    fn of(client: SocketAddr, message: &Message<'_>) -> Self {
        let via = message.top_via();
        let (number, method) = message.cseq();
        let what = (via.branch(), via.sent_by(), message.call_id(), number);
        let method = message.method().unwrap_or(method);
        TransactionKey { client, hash: hash(&what), method: hash(&method) }
    }

    /// The transaction of the INVITE that an ACK belongs to.
    pub(crate) fn of_invite(mut self) -> Self {
        self.method = hash(&"INVITE");
        self
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.method == hash(&"INVITE")
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
