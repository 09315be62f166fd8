//! The boundary of a phone: its configuration, all that goes in, all that comes out.

use resilee_sip_proto::TimerConfig;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// Who a phone is and how it behaves.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// User part of its address of record, and of its credentials.
    pub user: String,
    /// Host part of its address of record.
    pub domain: String,
    /// Password; without one a challenge is a failure.
    pub password: Option<String>,
    /// Its own address, in Via and Contact.
    pub address: SocketAddr,
    /// Where requests outside a dialog go.
    pub proxy: SocketAddr,
    /// Registration interval it asks for, in seconds.
    pub register_expires_s: u32,
    /// How long it rings before [`AnswerPolicy::Answer`] answers, in milliseconds.
    pub ring_ms: u64,
    /// What it does with a call.
    pub answer: AnswerPolicy,
    /// Determines its tags, branches, Call-IDs and client nonces, together with user and address.
    pub seed: u64,
    /// Timer values. With a reliable transport it says that it is reached over TCP; whoever has
    /// its connection gives it each message of the stream as a datagram.
    pub timers: TimerConfig,
    /// Where it wants audio; `None`: it refuses the stream.
    pub rtp: Option<SocketAddr>,
}

/// What a phone does with an incoming call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerPolicy {
    /// Rings for `ring_ms`, then answers.
    Answer,
    /// Answers 486.
    Busy,
    /// Rings and never answers.
    Ring,
    /// Rings until [`PhoneCommand::Answer`] or [`PhoneCommand::HangUp`].
    Manual,
}

/// All that goes in.
#[derive(Clone, Debug)]
pub enum PhoneInput {
    /// A datagram came.
    Datagram {
        /// From where.
        source: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// The moment of `poll_timeout` has come.
    Timeout,
    /// The user wants something.
    Command(PhoneCommand),
}

/// What a user can want. What makes no sense at the moment is refused with
/// [`DropReason::Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneCommand {
    /// Register, and stay registered.
    Register,
    /// End the registration.
    Unregister,
    /// Call somebody.
    Call {
        /// Whom: a `sip:` URI.
        to: String,
    },
    /// Answer the call that rings.
    Answer,
    /// End the call: BYE; CANCEL while it rings at the other side, 603 while it rings here.
    HangUp,
    /// Give up a call that was not answered yet; one that is answered goes on.
    Cancel,
}

/// All that comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneOutput {
    /// Send this datagram.
    Send {
        /// Where to.
        destination: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Tell the user.
    Event(PhoneEvent),
}

/// What a user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneEvent {
    /// Registered, or registered again.
    Registered,
    /// The registration is ended.
    Unregistered,
    /// A REGISTER failed with this status; 408 also if nothing came back.
    RegistrationFailed(u16),
    /// Caller: somebody is working on the call (100).
    Trying,
    /// Caller: it rings over there (101 to 199).
    Ringing,
    /// Callee: somebody calls.
    IncomingCall {
        /// URI of the From.
        from: String,
    },
    /// Both sides: the call is answered.
    Answered {
        /// Where the other side wants its audio.
        remote_rtp: Option<SocketAddr>,
    },
    /// Callee: the ACK came.
    Acked,
    /// Both sides: the call was never answered. 408 if nothing came back, 487 if cancelled.
    CallFailed(u16),
    /// The call is over: by the other side's BYE, or by ours, for which its 200 came.
    HungUp {
        /// True if the BYE was theirs.
        by_remote: bool,
    },
    /// Our BYE got this status (408: none), so the other side may not know; the call is over.
    HangUpFailed(u16),
    /// A message was sent again.
    Retransmitted {
        /// Its method, or its status.
        what: String,
    },
    /// Something was not done.
    Dropped(DropReason),
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The bytes are no SIP message.
    NoMessage,
    /// A response to none of our transactions.
    StrayResponse,
    /// An ACK of no call of ours.
    StrayAck,
    /// Too many transactions at once.
    TooManyTransactions,
    /// The command makes no sense at the moment.
    Command,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NoMessage => "no SIP message",
            DropReason::StrayResponse => "response without a request",
            DropReason::StrayAck => "ACK without a call",
            DropReason::TooManyTransactions => "too many transactions",
            DropReason::Command => "command makes no sense now",
        })
    }
}

/// What a phone counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhoneCounters {
    /// Messages sent again, by method or status.
    pub retransmitted: BTreeMap<String, u64>,
    /// Requests that came again.
    pub duplicate_requests: u64,
    /// Datagrams sent, the repeated ones too.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// What was not done.
    pub dropped: BTreeMap<DropReason, u64>,
}

impl PhoneCounters {
    /// All messages sent again.
    pub fn retransmissions(&self) -> u64 {
        self.retransmitted.values().sum()
    }
}
