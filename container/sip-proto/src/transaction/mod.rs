//! The four transaction machines of RFC 3261 §17, with RFC 6026, a file each.
//!
//! Bytes and `now` go in, [`TransactionOutput`]s come out. All state is plain data, so that a
//! transaction can be replicated in any state and go on at another node with `resume`. Not here:
//! matching messages to transactions (§17.1.3, §17.2.3), sockets, the transaction user.
//!
//! There is no transport error (§17.1.4, §17.2.4) either: nobody could tell of one. The sockets
//! are the balancer's, UDP says nothing of a client that is gone, and a TCP client is made to look
//! like one over UDP (`container/sip-tcp`): it may connect again while its message is repeated.
//! So a client that cannot be reached is one that does not answer, and timers B, F and H end what
//! waits for it.

mod client_invite;
mod client_non_invite;
mod server_invite;
mod server_non_invite;
#[cfg(test)]
mod story;

pub use client_invite::{ClientInvite, ClientInviteState};
pub use client_non_invite::{ClientNonInvite, ClientNonInviteState};
pub use server_invite::{ServerInvite, ServerInviteState};
pub use server_non_invite::{ServerNonInvite, ServerNonInviteState};

use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a transaction wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionOutput {
    /// Send these bytes to the peer.
    Send(Vec<u8>),
    /// Give this message to the transaction user.
    ToUser(Vec<u8>),
    /// No answer in time: timer B, F, H, or C (which leaves the transaction alive, see
    /// [`ClientInvite`]).
    Timeout,
    /// The transaction is over and can be forgotten.
    Terminated,
}

/// Most bytes of a response, or of an ACK of one, that is kept to be sent again; what is larger is
/// sent once. Of a provisional one the one before is repeated instead. A failure of an INVITE is
/// kept whatever it has (§17.2.1): its user makes none that is larger than the INVITE was.
pub const RESPONSE_KEPT_MAX: usize = 4_096;

/// Outputs of one step; most steps have none or one.
pub type Outputs = Vec<TransactionOutput>;

/// Timer values of RFC 3261 table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerConfig {
    /// T1: estimate of the round trip.
    pub t1_ms: u64,
    /// T2: longest interval between retransmissions.
    pub t2_ms: u64,
    /// T4: longest time a message stays in the network.
    pub t4_ms: u64,
    /// Timer C: how long an INVITE may ring (§16.6 step 11 wants more than 3 minutes).
    pub timer_c_ms: u64,
    /// TCP or TLS: nothing is retransmitted, nothing lingers.
    pub reliable: bool,
}

impl Default for TimerConfig {
    fn default() -> Self {
        TimerConfig { t1_ms: 500, t2_ms: 4_000, t4_ms: 5_000, timer_c_ms: 180_000, reliable: false }
    }
}

/// T2 and T4 in units of T1 (RFC 3261 table 4).
const T2_T4_PER_T1: (u64, u64) = (8, 10);

impl TimerConfig {
    /// The usual ones with another T1, in milliseconds: T2 and T4 follow it.
    pub fn with_t1(t1_ms: u64) -> Self {
        let (t2, t4) = T2_T4_PER_T1;
        TimerConfig { t1_ms, t2_ms: t2 * t1_ms, t4_ms: t4 * t1_ms, ..TimerConfig::default() }
    }

    /// 64*T1: timers B, F, H, L, M, and J over UDP.
    pub fn long_ms(&self) -> u64 {
        self.t1_ms.saturating_mul(64)
    }
}

/// The moment `ms` milliseconds after `now`.
fn after(now: Timestamp, ms: u64) -> Option<Timestamp> {
    Some(now + Duration::from_millis(ms))
}

/// Whether a timer is due.
fn is_due(timer: Option<Timestamp>, now: Timestamp) -> bool {
    timer.is_some_and(|at| at <= now)
}

/// The earliest of the timers that run.
fn earliest(timers: &[Option<Timestamp>]) -> Option<Timestamp> {
    timers.iter().flatten().min().copied()
}
