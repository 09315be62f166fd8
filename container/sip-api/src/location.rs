//! The location table: where a registered user can be reached. Written by the registrar, read by
//! call control.

use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the table; its key is the address of record (`sip:user@host`).
pub const REGISTRATIONS: &str = "registrations";

/// The row of one address of record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrations {
    /// Its contacts, in the order they were added.
    pub contacts: Vec<Contact>,
    /// Nonces that were used and may still be fresh, also by contacts that are gone.
    #[serde(default)]
    pub nonces: Vec<UsedNonce>,
}

/// A nonce, and how often it was used: an equal or lower count is a replay, unless the REGISTER
/// is the very last one again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedNonce {
    /// The nonce.
    pub nonce: String,
    /// Its highest count so far.
    pub count: u32,
    /// CSeq number of the REGISTER with that count.
    pub cseq: u32,
    /// Too old to be used from then on, and forgotten.
    pub until: Timestamp,
}

impl Registrations {
    /// Contacts that have not expired, the highest `q` first.
    pub fn live(&self, now: Timestamp) -> Vec<&Contact> {
        let mut live: Vec<_> = self.contacts.iter().filter(|c| c.expires_at > now).collect();
        live.sort_by_key(|contact| std::cmp::Reverse(contact.q_thousandths));
        live
    }
}

/// One contact (RFC 3261 §10.3: with the Call-ID and CSeq that last changed it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Contact URI as received.
    pub uri: String,
    /// Address (`ip:port`) the REGISTER came from.
    pub source: String,
    /// `q` in thousandths, 0 to 1000.
    pub q_thousandths: u16,
    /// End of the registration.
    pub expires_at: Timestamp,
    /// Call-ID of the REGISTER that set it.
    pub call_id: String,
    /// CSeq number of the REGISTER that set it.
    pub cseq: u32,
}
