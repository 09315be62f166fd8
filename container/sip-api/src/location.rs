//! The location table: where a registered user can be reached. Written by the registrar, read by
//! call control.

use crate::source_network::SourceNetwork;
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;

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
    /// Contacts that have not expired, the highest `q` first. Of several ways to one instance the
    /// one that was prolonged last: a phone must not ring twice at once (RFC 5626 §7).
    pub fn live(&self, now: Timestamp) -> Vec<&Contact> {
        let mut live: Vec<_> = self.contacts.iter().filter(|c| c.expires_at > now).collect();
        live.sort_by_key(|it| std::cmp::Reverse((it.q_thousandths, it.expires_at)));
        let mut instances = BTreeSet::new();
        live.retain(|contact| match contact.way() {
            Some((instance, Some(_))) => instances.insert(instance),
            _ => true,
        });
        live
    }

    /// Whether a contact that has not expired was registered from the same network; `source` as in
    /// [`Contact::source`]. A phone changes its address within that by itself (RFC 8981).
    pub fn is_known_at(&self, source: &str, now: Timestamp) -> bool {
        let network = |text: &str| {
            let address = text.split(';').next()?.parse().ok();
            address.map(|address: SocketAddr| SourceNetwork::of(address.ip()))
        };
        let mut live = self.contacts.iter().filter(|contact| contact.expires_at > now);
        network(source).is_some_and(|asked| live.any(|it| network(&it.source) == Some(asked)))
    }
}

/// One contact (RFC 3261 §10.3: with the Call-ID and CSeq that last changed it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Contact URI as received.
    pub uri: String,
    /// Address the REGISTER came from: `ip:port`, over TCP with `;transport=tcp` behind it.
    pub source: String,
    /// `q` in thousandths, 0 to 1000.
    pub q_thousandths: u16,
    /// End of the registration.
    pub expires_at: Timestamp,
    /// Call-ID of the REGISTER that set it.
    pub call_id: String,
    /// CSeq number of the REGISTER that set it.
    pub cseq: u32,
    /// `+sip.instance` with its angle brackets, if the phone says which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `reg-id`, if the phone has several ways to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reg_id: Option<u32>,
    /// Path that its REGISTER came by (RFC 3327): the Routes of requests to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl Contact {
    /// Which phone, and by which way, if it says so.
    pub fn way(&self) -> Option<(&str, Option<u32>)> {
        Some((self.instance.as_deref()?, self.reg_id))
    }
}
