//! What the credentials of a call use up: no other INVITE of its Call-ID may use the same nonce as
//! often (`nonce.rs`).

use crate::nonce::CALL_NONCE_MEMORY;
use resilee_sbb::Timestamp;
use resilee_sip_api::Credentials;
use serde::{Deserialize, Serialize};

/// A nonce that was used so often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpentNonce {
    nonce: String,
    /// Nonce count of the INVITE; the highest if it had none, as such a nonce serves once.
    count: u32,
    /// Too old from then on.
    pub(crate) until: Timestamp,
}

impl SpentNonce {
    /// What fresh credentials use up.
    pub(crate) fn of(credentials: &Credentials, now: Timestamp) -> Option<Self> {
        let count = credentials.nonce_count().unwrap_or(u32::MAX);
        let spent =
            SpentNonce { nonce: credentials.nonce.clone(), count, until: now + CALL_NONCE_MEMORY };
        credentials.nonce_fresh.then_some(spent)
    }

    /// Whether these credentials were used before, by the same or an earlier count.
    pub(crate) fn covers(&self, other: &SpentNonce) -> bool {
        self.nonce == other.nonce && self.count >= other.count
    }
}
