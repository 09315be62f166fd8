//! The balancer's own answer while no node can give one: 503 with Retry-After, without state.
//!
//! | since the last time that       | requests that begin something | all others                 |
//! |--------------------------------|-------------------------------|----------------------------|
//! | any node was heard: `SILENT`   | 503                           | as ever                    |
//! | a member lived: `NO_MEMBER`    | 503                           | as ever                    |
//! | shorter                        | as ever: clients repeat       | as ever                    |
//!
//! A takeover is much shorter, and so is a restart of both nodes that goes well: clients repeat
//! what they have sent, and need not hear of it. A request within a call, a CANCEL, and one whose
//! Call-ID a node was told of (`affinity.rs`; `balancer.rs` asks first) belong to something that a
//! node may hold in its store: when it comes back within the 32 s for which clients repeat
//! themselves it hears them. A response is never answered.
//!
//! A retransmission gets the same answer, tag and all (RFC 3261 §8.2.7). One request gets one
//! datagram, which is hardly longer, and at most [`ANSWERS_PER_S_MAX`] go out: no reflector.

use resilee_membership::{Flow, Transport};
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Edit, Message, build};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

/// No node was heard for so long.
const SILENT: Duration = Duration::from_secs(2);

/// Nodes are heard, but no member among them for so long; a cold start takes 3 s and a bit.
const NO_MEMBER: Duration = Duration::from_secs(10);

/// Most answers per second; further requests are dropped and counted, and repeated by clients.
pub(crate) const ANSWERS_PER_S_MAX: u32 = 500;

/// Clients are told to come back after so many seconds, and up to [`RETRY_SPREAD_S`] more, each
/// by its own call: not all at once.
const RETRY_AFTER_S: u64 = 5;

/// See [`RETRY_AFTER_S`].
const RETRY_SPREAD_S: u64 = 5;

/// What SIP means by an address without a port (RFC 3261 §18.2.2).
const SIP_PORT: u16 = 5060;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This goes to the client.
    Send(Flow, Vec<u8>),
    /// It is not for the balancer to answer.
    AsEver,
    /// The ACK of an answer: it has come to its end.
    Heard,
    /// Too many were answered in this second.
    TooMany,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Unavailable {
    secret: [u8; 32],
    /// When a node was heard last, but not before the start.
    heard_at: Timestamp,
    /// When a member lived last, but not before the start.
    member_at: Timestamp,
    /// A second, and how many answers went out in it.
    second: (Timestamp, u32),
    /// How many answers went out since the start.
    answers: u64,
}

impl Unavailable {
    pub(crate) fn new(now: Timestamp, secret: [u8; 32]) -> Self {
        Unavailable { secret, heard_at: now, member_at: now, second: (now, 0), answers: 0 }
    }

    /// A node is heard just now; it may be a member.
    pub(crate) fn handle_alive(&mut self, now: Timestamp, is_member: bool) {
        self.heard_at = now;
        if is_member {
            self.member_at = now;
        }
    }

    /// The balancer itself did not run for so long: nobody is to blame for that time.
    pub(crate) fn handle_own_pause(&mut self, pause: Duration) {
        self.heard_at = self.heard_at + pause;
        self.member_at = self.member_at + pause;
    }

    /// Nobody will serve for a while.
    pub(crate) fn is_hopeless(&self, now: Timestamp) -> bool {
        now.since(self.heard_at) > SILENT || now.since(self.member_at) > NO_MEMBER
    }

    /// How many answers went out.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// What becomes of a client's datagram while nobody serves.
    pub(crate) fn answer(&mut self, now: Timestamp, flow: Flow, bytes: &[u8]) -> Answer {
        let Ok(request) = Message::parse(bytes) else { return Answer::AsEver };
        let hash = self.hash(&request);
        if request.method() == Some("ACK") && request.to_tag().as_deref() == Some(&*tag(hash)) {
            return Answer::Heard;
        }
        if !begins_something(&request) {
            return Answer::AsEver;
        }
        if now.since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.second.1 >= ANSWERS_PER_S_MAX {
            return Answer::TooMany;
        }
        // RFC 3261 §18.2.1, RFC 3581 §4.
        let mut edit = Edit::new(&request);
        let amended = edit.amend_top_via(flow.remote.ip(), flow.remote.port()).finish();
        // With what was added it may be too long for a message.
        let Ok(request) = Message::parse(&amended) else { return Answer::AsEver };
        self.second.1 += 1;
        self.answers += 1;
        let retry_after = (RETRY_AFTER_S + hash % (RETRY_SPREAD_S + 1)).to_string();
        let header = [("Retry-After", retry_after.as_str())];
        let response = build::response(&request, 503, "", Some(&tag(hash)), &header, &[]);
        Answer::Send(way_back(&request, flow), response)
    }

    fn hash(&self, request: &Message<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        // Without the method: an ACK has it in common with its INVITE.
        (request.call_id(), request.top_via().branch(), request.cseq().0).hash(&mut hasher);
        hasher.finish()
    }
}

fn tag(hash: u64) -> String {
    format!("{hash:016x}")
}

/// A request outside of any dialog, other than ACK and CANCEL.
fn begins_something(message: &Message<'_>) -> bool {
    let is_first = message.method().is_some_and(|method| !matches!(method, "ACK" | "CANCEL"));
    is_first && message.to_tag().is_none()
}

/// RFC 3261 §18.2.2, RFC 3581 §4: to the source, and to its port if the client asked for that.
fn way_back(request: &Message<'_>, flow: Flow) -> Flow {
    let via = request.top_via();
    let port = match (flow.transport, via.rport()) {
        (Transport::Tcp, _) | (Transport::Udp, Some(_)) => flow.remote.port(),
        (Transport::Udp, None) => via.port().unwrap_or(SIP_PORT),
    };
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
}
