//! What goes into [`TcpClients`](crate::TcpClients) and what comes out of it.

use resilee_membership::Flow;
use std::fmt;
use std::net::SocketAddr;

/// One connection, in this process; a number is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Most of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at a time; more are closed at once.
    pub connections_max: usize,
    /// Of these, from one IPv4 address or IPv6 /64; from a /56 twice as many, from a /48 half of
    /// all.
    pub connections_per_source_max: usize,
    /// From the first byte of a message to its last, and from the connection to its first message,
    /// in milliseconds; whoever is slower is cut off.
    pub message_within_ms: u64,
    /// A connection on which nothing moved for so long is closed, in milliseconds; one whose client
    /// no node has served, after five minutes.
    pub idle_ms: u64,
}

impl Default for TcpLimits {
    fn default() -> Self {
        TcpLimits {
            connections_max: 10_000,
            connections_per_source_max: 256,
            message_within_ms: 10_000,
            // Longer than the longest registration: a phone that only registers keeps its own.
            idle_ms: 3_900_000,
        }
    }
}

/// Everything that can happen.
#[derive(Clone, Copy, Debug)]
pub enum TcpInput<'a> {
    /// A connection that [`TcpOutput::Open`] asked for is there.
    Opened(ConnectionId),
    /// Bytes of a client.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        bytes: &'a [u8],
    },
    /// The client closed it, or it broke, or it could not be opened.
    Closed(ConnectionId),
    /// The client does not read what is written.
    Unread(ConnectionId),
    /// A message of a node for a client.
    Send {
        /// The client.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// The moment of `poll_timeout` has come.
    Timeout,
}

/// Everything that is wanted done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOutput {
    /// A message of a client, for a node.
    Message {
        /// The client.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Write this.
    Write {
        /// Where.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Connect, then say [`TcpInput::Opened`] or [`TcpInput::Closed`].
    Open {
        /// The name that it has from now on.
        connection: ConnectionId,
        /// To where.
        remote: SocketAddr,
    },
    /// Close it when all is written; nothing more is heard of it.
    Close(ConnectionId),
    /// Something was refused; told at the first, the tenth, the hundredth and so on.
    Dropped {
        /// Why.
        reason: TcpDrop,
        /// How often until now.
        count: u64,
    },
}

/// Why a connection was closed, or a message went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpDrop {
    /// More connections than [`TcpLimits::connections_max`].
    TooManyConnections,
    /// More from one address than [`TcpLimits::connections_per_source_max`].
    TooManyOfSource,
    /// The stream cannot be cut into messages.
    Unreadable,
    /// Its message is not all there, and others of its address, or of all, are large enough.
    TooMuchUnfinished,
    /// Slower than [`TcpLimits::message_within_ms`].
    TooSlow,
    /// Nothing for [`TcpLimits::idle_ms`].
    Idle,
    /// A message for a client that has no connection and takes none.
    Unreachable,
    /// A message for a client that does not read.
    NotRead,
    /// A message that is not repeated if it gets lost: too many others are waiting.
    NotKept,
    /// A message for a client: too many others wait to be given to it and to others.
    TooManyWaiting,
}

impl TcpDrop {
    /// Its name for programs, which stays.
    pub fn name(self) -> &'static str {
        match self {
            TcpDrop::TooManyConnections => "tcp_too_many_connections",
            TcpDrop::TooManyOfSource => "tcp_too_many_of_source",
            TcpDrop::Unreadable => "tcp_unreadable",
            TcpDrop::TooMuchUnfinished => "tcp_too_much_unfinished",
            TcpDrop::TooSlow => "tcp_too_slow",
            TcpDrop::Idle => "tcp_idle",
            TcpDrop::Unreachable => "tcp_unreachable",
            TcpDrop::NotRead => "tcp_not_read",
            TcpDrop::NotKept => "tcp_not_kept",
            TcpDrop::TooManyWaiting => "tcp_too_many_waiting",
        }
    }
}

impl fmt::Display for TcpDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TcpDrop::TooManyConnections => "a TCP connection: there are too many",
            TcpDrop::TooManyOfSource => "a TCP connection: its address has too many",
            TcpDrop::Unreadable => "a TCP connection whose bytes are no SIP messages",
            TcpDrop::TooMuchUnfinished => {
                "a TCP connection with a large message that is not all there: too many are"
            }
            TcpDrop::TooSlow => "a TCP connection that takes too long for a message",
            TcpDrop::Idle => "a TCP connection that nobody used",
            TcpDrop::Unreachable => "a message for a TCP client that cannot be reached",
            TcpDrop::NotRead => "a message for a TCP client that does not read",
            TcpDrop::NotKept => "the repeats of a TCP client's message: too many wait",
            TcpDrop::TooManyWaiting => "a message for a TCP client: too many wait",
        })
    }
}
