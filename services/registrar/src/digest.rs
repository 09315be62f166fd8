//! Whether a REGISTER is authentic, and whether it was seen before. Nonces are made and checked
//! by the resource adaptor; what an authenticated user may do is in `registrar`.
//!
//! A wrong secret, or an unknown user, is challenged again and not answered 403: that is what
//! `stale=false` means (RFC 7616 §3.3: new values must be obtained), 403 means that credentials
//! would not help (RFC 3261 §21.4.4), and both cases look the same to who tries out names.

use resilee_sip_api::{Account, Credentials, Register, Registrations};

/// What the credentials of a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authenticity {
    /// None for this realm.
    NoCredentials,
    /// They prove nothing: wrong secret or unknown user.
    Wrong,
    /// The right secret with a nonce that is too old or not ours.
    StaleNonce,
    /// The right secret, with the nonce and its count.
    Proven(String, u32),
}

/// The count of credentials without one (no `qop`, as before RFC 3261): higher than all, so such
/// a nonce serves once and a second use is a replay.
const UNCOUNTED: u32 = u32::MAX;

/// Checks `credentials` against the `account` that they name, if there is one.
pub(crate) fn authenticate(
    credentials: Option<&Credentials>,
    account: Option<&Account>,
    realm: &str,
) -> Authenticity {
    let Some(credentials) = credentials.filter(|credentials| credentials.realm == realm) else {
        return Authenticity::NoCredentials;
    };
    if !account.is_some_and(|account| credentials.prove(account)) {
        return Authenticity::Wrong;
    }
    if !credentials.nonce_fresh {
        return Authenticity::StaleNonce;
    }
    let count = credentials.nonce_count().unwrap_or(UNCOUNTED);
    Authenticity::Proven(credentials.nonce.clone(), count)
}

/// How a REGISTER relates to those that set the contacts of its address of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recurrence {
    /// Not seen before, as far as the contacts tell.
    New,
    /// The very REGISTER that set one of the contacts, again: a client that got no answer. Digest
    /// does not cover the contacts, so this one must not change any.
    Retransmission,
    /// Another REGISTER with a nonce count that was used.
    Replay,
}

/// Compares `register` and the nonce count that it proves with the contacts of `row`.
pub(crate) fn recurrence(
    row: &Registrations,
    register: &Register,
    (nonce, count): (&str, u32),
) -> Recurrence {
    let mut contacts = row.contacts.iter();
    if contacts.any(|c| c.call_id == register.call_id && c.cseq == register.cseq) {
        return Recurrence::Retransmission;
    }
    let mut seen = row.contacts.iter().filter_map(|contact| contact.nonce_count.as_ref());
    let used = seen.any(|(seen_nonce, seen_count)| seen_nonce == nonce && *seen_count >= count);
    if used { Recurrence::Replay } else { Recurrence::New }
}
