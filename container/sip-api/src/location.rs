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
    /// Nonce and nonce count of its credentials: an equal or lower count is a replay, unless
    /// the REGISTER is this very one again.
    #[serde(default)]
    pub nonce_count: Option<(String, u32)>,
}
