//! What the shell, which owns the sockets, and the adaptor say to each other.
//!
//! A connection is a [`Token`] of its shell. What is said to the token of another shell, for
//! example by the survivor of a node, is for a connection that is gone: the shell drops it.

use resilee_core::{Egress, Ingress};
use resilee_http_api::{Call, FailureReason, HttpRequest, HttpResponse};
use resilee_membership::{Flow, Transport};
use resilee_sbb::{ActivityId, CodecError, decode, encode};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// A request that waits for its answer at a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// A random number of the shell.
    pub shell: u64,
    /// Counts its requests.
    pub number: u64,
}

impl Token {
    /// Key of the cell that the request begins. Shells have numbers far apart.
    pub fn cell_key(self) -> u64 {
        self.shell.wrapping_add(self.number)
    }
}

/// From the shell to the adaptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromShell {
    /// A request came.
    Request {
        /// Where its answer goes.
        token: Token,
        /// What it says.
        request: HttpRequest,
    },
    /// Its client closed the connection.
    Gone {
        /// Of the request.
        token: Token,
    },
    /// A call was answered.
    Answered {
        /// The activity of the call.
        activity: ActivityId,
        /// What the answer says.
        response: HttpResponse,
    },
    /// A call has no answer.
    Failed {
        /// The activity of the call.
        activity: ActivityId,
        /// Why.
        reason: FailureReason,
        /// The same in words.
        text: String,
    },
}

/// From the adaptor to the shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShell {
    /// Answer a request.
    Respond {
        /// Which.
        token: Token,
        /// With this.
        response: HttpResponse,
    },
    /// Send a request, unless that of the same activity is under way.
    Call {
        /// Comes back with the answer.
        activity: ActivityId,
        /// The request; its key is filled in.
        call: Call,
    },
}

/// Shells have no addresses to be named.
pub fn flow() -> Flow {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Flow { remote: nowhere, local: nowhere, transport: Transport::Udp }
}

/// What the shell hands to the node, for the adaptor with this number.
///
/// # Panics
/// Never: plain data can be encoded.
pub fn ingress_of(adaptor: resilee_core::AdaptorId, message: &FromShell) -> Ingress {
    let bytes = encode(message).expect("plain data can be encoded");
    Ingress { adaptor, ..Ingress::new(flow(), bytes) }
}

/// What the node hands to the shell.
///
/// # Errors
/// Bytes that another version wrote.
pub fn egress_of(egress: &Egress) -> Result<ToShell, CodecError> {
    decode(&egress.bytes)
}

pub(crate) fn egress(message: &ToShell) -> Egress {
    Egress::new(flow(), encode(message).expect("plain data can be encoded"))
}
