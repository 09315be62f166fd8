//! Who is in the cluster and who owns what, decided by machines without I/O: views, votes,
//! heartbeats, and the envelope between the balancer and the nodes.
//!
//! Both the container's core and the balancer (which holds a vote, the *seat*) run on this crate.
//! There is no socket, clock, thread or randomness here; see `ARCHITECTURE.md`.

mod balancers;
mod control;
pub mod dual_stack;
mod envelope;
mod failure_detector;
mod mac;
mod member;
mod persist_queue;
mod planted;
mod seat;
mod view;
mod view_on_wire;
mod voter;

pub use balancers::{BALANCERS_MAX, Balancers, PAIR_INTERVAL_MS_MAX, PAIR_NODES_MAX};
pub use control::{Control, ControlBody, SeatProcess, Verdict, VoterId};
pub use envelope::{
    DATAGRAM_BYTES_MAX, EnvelopeError, Flow, KEY_BYTES_MIN, Key, KeyError, Packet, SIP_BYTES_MAX,
    Transport, open, seal, seal_control, seal_sip,
};
pub use failure_detector::{FailureDetector, Loss};
pub use member::{
    BalancerStatus, Destination, Member, MemberConfig, MemberInput, MemberNotice, MemberOutput,
    PeerLoss, PeerStatus, StoreAtStart, Unclean,
};
pub use planted::{Planted, PlantedFault};
pub use seat::{Readiness, Seat, SeatConfig, SeatInput, SeatNotice, SeatOutput};
pub use view::{COHORTS_MAX, NodeName, ParseNodeNameError, RunId, View};
pub use voter::{Circumstances, Grant, Proposal, Refusal, VoterState, majority};
