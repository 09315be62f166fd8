//! Registrar: binds addresses of record to contacts (RFC 3261 §10.3).
//!
//! It answers each REGISTER and writes the location table; it neither routes calls nor makes or
//! checks nonces (the SIP resource adaptor does), and it never reads a SIP message.

mod binding_update;
mod digest;
mod registrar;

pub use binding_update::{
    CALL_ID_BYTES_MAX, CONTACT_URI_BYTES_MAX, CONTACTS_BYTES_MAX, CONTACTS_MAX, EXPIRES_DEFAULT_S,
    EXPIRES_MAX_S, EXPIRES_MIN_S, INSTANCE_BYTES_MAX, PATH_BYTES_MAX,
};
pub use digest::{NONCE_MEMORY, NONCES_MAX};
pub use registrar::Registrar;
