//! What tests, the simulator and the examples share: one [`phone::Phone`], a [`Network`] that
//! loses, doubles, delays and reorders, and [`rtp`] packets; call [`flows`], and a [`sipp`] to play
//! them.
//!
//! All of it is plain machines: `now` and seeds come in as arguments, bytes go out as outputs.
//! Not here: sockets and clocks (the example has them), whole clusters (the simulator), and a
//! tone that anybody would want to listen to for long.

pub mod flows;
pub mod kept_records;
pub mod network;
pub mod phone;
mod random;
pub mod rtp;
pub mod sdp;
pub mod sipp;

pub use network::{Network, NetworkConfig, Packet};
pub use phone::{
    AnswerPolicy, CallPhase, CallStatus, DropReason, Phone, PhoneCommand, PhoneConfig,
    PhoneCounters, PhoneEvent, PhoneInput, PhoneOutput, Side,
};
pub use random::Random;
