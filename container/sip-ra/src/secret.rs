//! Keyed hashes under the cluster key: equal on all nodes, unguessable outside.
//!
//! Branches and Route tokens have hashes of their own ([`resilee_sip_proto::BranchKey`]).

use std::fmt;

/// The cluster key, for hashes.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Secret(key)
    }

    /// Key of the cell of a call: all its messages share the Call-ID.
    pub(crate) fn call_key(&self, call_id: &str) -> u64 {
        self.hash64("call", &[call_id.as_bytes()])
    }

    /// Key of the cell that changes the bindings of one address of record.
    pub(crate) fn registration_key(&self, address_of_record: &str) -> u64 {
        self.hash64("registration", &[address_of_record.as_bytes()])
    }

    /// The To tag of our own responses to one request; the survivor makes the same.
    pub(crate) fn local_tag(&self, call_id: &str, received_branch: &str) -> String {
        let tag = self.hash64("to tag", &[call_id.as_bytes(), received_branch.as_bytes()]);
        format!("{tag:016x}")
    }

    /// Each part goes in with its length, so that no two lists of parts hash the same bytes.
    pub(crate) fn hash64(&self, purpose: &str, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        hash.as_bytes()[..8].iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }
}

impl fmt::Debug for Secret {
    /// Never prints the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
