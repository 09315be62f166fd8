//! What a REGISTER makes of the contacts of its address of record: RFC 3261 §10.3 steps 6 and 7.
//! All of its contacts are changed, or none. Who may ask for it is in `registrar` and `digest`.
//!
//! Contact URIs are compared as text: a phone repeats its own, and a spelling that differs only
//! makes it ring twice. A lower CSeq is refused only within its Call-ID and contact, as the RFC
//! has it.

use resilee_sbb::Timestamp;
use resilee_sip_api::{Binding, Contact, Register, Registrations};
use std::time::Duration;

/// Shorter registrations are refused with 423, so that clients can't wear out the cluster.
pub const EXPIRES_MIN_S: u32 = 60;
/// Longer registrations are shortened to this, so that a lost client is forgotten.
pub const EXPIRES_MAX_S: u32 = 3600;
/// What a REGISTER gets that names no time.
pub const EXPIRES_DEFAULT_S: u32 = 3600;
/// Contacts of one address of record; a REGISTER that would exceed them is refused with 403
/// (not 503: trying again later or elsewhere does not help).
pub const CONTACTS_MAX: usize = 10;
/// Bytes of a contact URI; longer ones are refused with 400. With [`CONTACTS_MAX`] and
/// [`CALL_ID_BYTES_MAX`] it keeps a row within the size of a row.
pub const CONTACT_URI_BYTES_MAX: usize = 512;
/// Bytes of a Call-ID; longer ones are refused with 400.
pub const CALL_ID_BYTES_MAX: usize = 256;

/// Why a REGISTER is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: it breaks a rule of syntax or a limit of ours.
    BadRequest(&'static str),
    /// 423: shorter than [`EXPIRES_MIN_S`].
    IntervalTooBrief,
    /// 500: older than what is stored (step 7).
    OutOfOrder,
    /// 403: more than [`CONTACTS_MAX`].
    TooManyContacts,
    /// 503: more than [`crate::NONCES_MAX`].
    TooManyNonces,
}

/// The row after `register`, without contacts that have expired by `now`.
pub(crate) fn update(
    row: &Registrations,
    register: &Register,
    now: Timestamp,
) -> Result<Registrations, Refusal> {
    let mut contacts = row.contacts.clone();
    contacts.retain(|contact| contact.expires_at > now);
    if register.wildcard {
        remove_all(&mut contacts, register)?;
    }
    for binding in &register.bindings {
        let lifetime_s = lifetime_s(binding, register)?;
        let contact = Contact {
            uri: checked(&binding.uri)?.to_owned(),
            source: register.source.clone(),
            q_thousandths: binding.q_thousandths.min(1000),
            expires_at: now + Duration::from_secs(u64::from(lifetime_s)),
            call_id: register.call_id.clone(),
            cseq: register.cseq,
        };
        let known = contacts.iter().position(|known| known.uri == contact.uri);
        if known.is_some_and(|at| is_older(register, &contacts[at])) {
            return Err(Refusal::OutOfOrder);
        }
        match (known, lifetime_s) {
            (Some(at), 0) => drop(contacts.remove(at)),
            (None, 0) => {}
            (Some(at), _) => contacts[at] = contact,
            (None, _) => contacts.push(contact),
        }
    }
    if contacts.len() > CONTACTS_MAX {
        return Err(Refusal::TooManyContacts);
    }
    Ok(Registrations { contacts, nonces: row.nonces.clone() })
}

/// RFC 3261 §10.3 step 6: `*` stands alone and only removes.
fn remove_all(contacts: &mut Vec<Contact>, register: &Register) -> Result<(), Refusal> {
    if register.expires_s != Some(0) || !register.bindings.is_empty() {
        return Err(Refusal::BadRequest("Contact * Needs Expires 0 And No Other Contact"));
    }
    if contacts.iter().any(|contact| is_older(register, contact)) {
        return Err(Refusal::OutOfOrder);
    }
    contacts.clear();
    Ok(())
}

/// True if `register` was sent before the one that set `contact`.
fn is_older(register: &Register, contact: &Contact) -> bool {
    contact.call_id == register.call_id && contact.cseq > register.cseq
}

/// How long `binding` is to last; 0 removes it.
fn lifetime_s(binding: &Binding, register: &Register) -> Result<u32, Refusal> {
    match binding.expires_s.or(register.expires_s).unwrap_or(EXPIRES_DEFAULT_S) {
        0 => Ok(0),
        asked if asked < EXPIRES_MIN_S => Err(Refusal::IntervalTooBrief),
        asked => Ok(asked.min(EXPIRES_MAX_S)),
    }
}

/// A URI that is safe between the angle brackets of our own Contact header.
fn checked(uri: &str) -> Result<&str, Refusal> {
    let unsafe_char = |c: char| c.is_control() || c.is_whitespace() || "<>\"".contains(c);
    if uri.is_empty() || uri.contains(unsafe_char) {
        return Err(Refusal::BadRequest("Bad Contact"));
    }
    if uri.len() > CONTACT_URI_BYTES_MAX {
        return Err(Refusal::BadRequest("Contact Too Long"));
    }
    Ok(uri)
}
