//! SIP messages, transactions and dialogs as machines without I/O.
//!
//! A datagram becomes a [`Message`], an index over its bytes; a proxy changes it with an [`Edit`],
//! which never re-prints what it did not create; the [`transaction`] machines decide what is
//! resent when. Nothing here has a clock, a socket, a thread or a random number.

pub mod branch;
pub mod build;
pub mod digest;
pub mod edit;
pub mod framing;
mod header_index;
mod header_line;
mod header_name;
pub mod malformed;
pub mod message;
pub mod routing_key;
mod scanners;
pub mod text;
pub mod transaction;
pub mod uri;
pub mod via;

pub use branch::{BranchIdentity, BranchKey, OurBranch, parse_branch, parse_route_cohort};
pub use edit::Edit;
pub use malformed::Malformed;
pub use message::{HeaderName, MESSAGE_BYTES_MAX, Message, ParseError, is_keepalive};
pub use routing_key::RoutingKey;
pub use scanners::SCANNERS_DEFAULT;
pub use transaction::{
    ClientInvite, ClientNonInvite, Outputs, ServerInvite, ServerNonInvite, TimerConfig,
    TransactionOutput,
};
pub use uri::{NameAddr, SipUri, is_display_name_sound, name_addr, without_headers};
pub use via::Via;
