//! Whether a REGISTER is authentic, and whether it was seen before. Nonces are made and checked
//! by the resource adaptor; what an authenticated user may do is in `registrar`.
//!
//! A wrong secret, or an unknown user, is challenged again and not answered 403: that is what
//! `stale=false` means (RFC 7616 §3.3: new values must be obtained), 403 means that credentials
//! would not help (RFC 3261 §21.4.4), and both cases look the same to who tries out names.
//! With a nonce that is not fresh nothing is proven, nor disproven: whoever tries out passwords
//! needs a fresh one for each, and the resource adaptor counts these.

use resilee_sbb::Timestamp;
use resilee_sip_api::{
    Account, Credentials, REGISTER_NONCE_LIFETIME_S, Register, Registrations, UsedNonce,
};
use std::time::Duration;

/// Nonces of one address of record that are remembered at a time. A user whose phones use more
/// within [`NONCE_MEMORY`] is refused with 503 until the first of them is too old: one forgotten
/// early could be replayed.
/// Enough for eight phones that register each minute and never use one twice; all of them and
/// [`crate::CONTACTS_MAX`] contacts are within the size of a row.
pub const NONCES_MAX: usize = 48;

/// After so long no nonce that is used now is fresh: its lifetime, and what the clocks of two
/// nodes may differ.
pub const NONCE_MEMORY: Duration = Duration::from_secs(REGISTER_NONCE_LIFETIME_S + 10);

/// What the credentials of a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authenticity {
    /// None for this realm.
    NoCredentials,
    /// They prove nothing: wrong secret or unknown user.
    Wrong,
    /// A nonce that is too old, not ours, or for somewhere else.
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
    if !credentials.nonce_fresh {
        return Authenticity::StaleNonce;
    }
    if !account.is_some_and(|account| credentials.prove(account)) {
        return Authenticity::Wrong;
    }
    let count = credentials.nonce_count().unwrap_or(UNCOUNTED);
    Authenticity::Proven(credentials.nonce.clone(), count)
}

/// How a REGISTER relates to those that came before for its address of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recurrence {
    /// Not seen before.
    New,
    /// The very REGISTER that set one of the contacts, or that used the nonce last, again: a
    /// client that got no answer. Digest does not cover the contacts, so this one must not change
    /// any. One with the same CSeq and a nonce count that was never used is no retransmission: it
    /// is of a phone that has lost count, as it was started again.
    Retransmission,
    /// Another REGISTER with a nonce count that was used.
    Replay,
}

/// Compares `register` and the nonce count that it proves with what `row` remembers.
pub(crate) fn recurrence(
    row: &Registrations,
    register: &Register,
    (nonce, count): (&str, u32),
) -> Recurrence {
    let is_it = |call_id: &str, cseq| register.call_id == call_id && register.cseq == cseq;
    let used = row.nonces.iter().find(|used| used.nonce == nonce && used.count >= count);
    let has_set = row.contacts.iter().any(|contact| is_it(&contact.call_id, contact.cseq));
    let is_last = used.is_some_and(|used| used.count == count && used.cseq == register.cseq);
    match used {
        None => Recurrence::New,
        Some(_) if has_set || is_last => Recurrence::Retransmission,
        Some(_) => Recurrence::Replay,
    }
}

/// Notes in `row` that `register` has used the nonce, whatever becomes of it; false if too many
/// are noted already. What is too old is forgotten.
pub(crate) fn remember(
    row: &mut Registrations,
    register: &Register,
    (nonce, count): (&str, u32),
    now: Timestamp,
) -> bool {
    row.nonces.retain(|used| used.until > now);
    let cseq = register.cseq;
    if let Some(used) = row.nonces.iter_mut().find(|used| used.nonce == nonce) {
        (used.count, used.cseq) = (count, cseq);
        return true;
    }
    if row.nonces.len() >= NONCES_MAX {
        return false;
    }
    let until = now + NONCE_MEMORY;
    row.nonces.push(UsedNonce { nonce: nonce.to_owned(), count, cseq, until });
    true
}
