//! What a REGISTER makes of the contacts of its address of record: RFC 3261 §10.3 steps 6 and 7.
//! All of its contacts are changed, or none. Who may ask for it is in `registrar` and `digest`.
//!
//! | a contact of the REGISTER                                | sets, or replaces               |
//! |----------------------------------------------------------|---------------------------------|
//! | has the URI of a stored one                              | that one                        |
//! | names the instance and `reg-id`, or the instance and no  | that one, whatever its URI: the |
//! | `reg-id`, of one that another REGISTER has set           | phone has moved (RFC 5626 §6)   |
//! | of a phone over TCP that does not say which it is: has   | that one: the phone has         |
//! | user, host and Call-ID of one that another REGISTER set  | connected again                 |
//! | anything else                                            | a new one                       |
//!
//! Contact URIs are compared as text: a phone repeats its own, and a spelling that differs only
//! makes it ring twice, unless it names its instance. A CSeq that is not higher is refused only
//! within its Call-ID and contact, as the RFC has it: a phone that has lost count, and is at
//! another address, sets that. Not here: flow tokens and `ob` of RFC 5626. The answer
//! does not say `outbound`, so phones do not count on them.

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
/// Bytes of a `+sip.instance`; a longer one is passed over. RFC 5626 §4.1: a URN.
pub const INSTANCE_BYTES_MAX: usize = 128;
/// Bytes of the Path of a REGISTER; a longer one is refused with 400.
pub const PATH_BYTES_MAX: usize = 1024;
/// Bytes of URIs, Call-IDs, instances and Paths of all contacts of one address of record; a
/// REGISTER that would exceed them is refused with 403. [`CONTACTS_MAX`] full ones that came
/// directly are less.
pub const CONTACTS_BYTES_MAX: usize = 8_000;

/// Why a REGISTER is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: it breaks a rule of syntax or a limit of ours.
    BadRequest(&'static str),
    /// 423: shorter than [`EXPIRES_MIN_S`].
    IntervalTooBrief,
    /// 500: not newer than what is stored (step 7).
    OutOfOrder,
    /// 403: more than [`CONTACTS_MAX`], or [`CONTACTS_BYTES_MAX`].
    TooManyContacts,
    /// 503: more than [`crate::NONCES_MAX`].
    TooManyNonces,
    /// 503: somebody tries out the account's password; in so many seconds.
    Barred(u32),
}

/// The row after `register`, without contacts that have expired by `now`.
pub(crate) fn update(
    row: &Registrations,
    register: &Register,
    now: Timestamp,
) -> Result<Registrations, Refusal> {
    let live = row.contacts.iter().filter(|contact| contact.expires_at > now);
    let stored: Vec<_> = live.cloned().collect();
    let mut contacts = stored.clone();
    if register.wildcard {
        remove_all(&mut contacts, register)?;
    }
    let path = checked_path(&register.path)?;
    for binding in &register.bindings {
        let lifetime_s = lifetime_s(binding, register)?;
        let instance = binding.instance.as_deref().filter(|it| is_instance(it));
        let contact = Contact {
            uri: checked(&binding.uri)?.to_owned(),
            source: register.source.clone(),
            q_thousandths: binding.q_thousandths.min(1000),
            expires_at: now + Duration::from_secs(u64::from(lifetime_s)),
            call_id: register.call_id.clone(),
            cseq: register.cseq,
            instance: instance.map(str::to_owned),
            reg_id: instance.and(binding.reg_id),
            path: path.to_vec(),
        };
        let before = known(&stored, &contact, |_| false);
        if before.is_some_and(|at| !is_newer(register, &stored[at])) {
            return Err(Refusal::OutOfOrder);
        }
        match (known(&contacts, &contact, |it| is_set_by(register, it)), lifetime_s) {
            (Some(at), 0) => drop(contacts.remove(at)),
            (None, 0) => {}
            (Some(at), _) => contacts[at] = contact,
            (None, _) => contacts.push(contact),
        }
    }
    if contacts.len() > CONTACTS_MAX || bytes(&contacts) > CONTACTS_BYTES_MAX {
        return Err(Refusal::TooManyContacts);
    }
    Ok(Registrations { contacts, nonces: row.nonces.clone() })
}

/// What `register` gets when it comes again, while the row says what became of it before: it
/// changes nothing, whatever its contacts are by now.
pub(crate) fn check_again(
    row: &Registrations,
    register: &Register,
    now: Timestamp,
) -> Result<(), Refusal> {
    let names = |contact: &Contact| register.bindings.iter().any(|it| it.uri == contact.uri);
    let mut before = row.clone();
    before.contacts.retain(|contact| !(is_set_by(register, contact) && names(contact)));
    update(&before, register, now).map(drop)
}

/// The stored contact that `new` replaces: of the same URI, unless both say that they are different
/// phones, or different ways to one (RFC 5626 §6); else of the same phone, unless both were set
/// together. Two phones in two homes may well have the same private address.
fn known(
    stored: &[Contact],
    new: &Contact,
    is_set_with_it: impl Fn(&Contact) -> bool,
) -> Option<usize> {
    let is_other = |known: &Contact| {
        let ways = known.way().zip(new.way());
        ways.is_some_and(|((phone, way), (new_phone, new_way))| {
            phone != new_phone || way.zip(new_way).is_some_and(|(way, new_way)| way != new_way)
        })
    };
    let is_same_uri = |known: &Contact| known.uri == new.uri && !is_other(known);
    let same_uri = stored.iter().position(is_same_uri);
    let is_same_phone = |known: &Contact| {
        let is_same_way = match new.way() {
            Some(_) => known.way() == new.way(),
            None => known.way().is_none() && has_connected_again(known, new),
        };
        is_same_way && !is_set_with_it(known)
    };
    same_uri.or_else(|| stored.iter().position(is_same_phone))
}

/// Whether both are of one phone over TCP, whose Contact has the port of its connection: a new one
/// each time it connects, and after ten the phone would be refused. RFC 3261 §10.2.4 would have
/// both kept, but nobody listens at the old port. A phone keeps its Call-ID until it is started
/// again (§10.2), and no other one has it. Over UDP two ports are two sockets, so both stay.
fn has_connected_again(known: &Contact, new: &Contact) -> bool {
    let is_over_tcp = |contact: &Contact| contact.source.ends_with(";transport=tcp");
    is_over_tcp(known)
        && is_over_tcp(new)
        && known.call_id == new.call_id
        && user_and_host(&known.uri) == user_and_host(&new.uri)
}

/// A URI up to its host.
fn user_and_host(uri: &str) -> &str {
    let host = uri.find('@').or_else(|| uri.find(':')).map_or(0, |before| before + 1);
    let rest = &uri[host..];
    let ipv6 = rest.find(']').filter(|_| rest.starts_with('['));
    let length = ipv6.map(|end| end + 1).or_else(|| rest.find([':', ';', '?']));
    &uri[..host + length.unwrap_or(rest.len())]
}

fn bytes(contacts: &[Contact]) -> usize {
    let of = |contact: &Contact| {
        let path: usize = contact.path.iter().map(String::len).sum();
        let instance = contact.instance.as_ref().map_or(0, String::len);
        contact.uri.len() + contact.call_id.len() + instance + path
    };
    contacts.iter().map(of).sum()
}

/// What may stand between the quotes of our own Contact header.
fn is_instance(text: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    !text.is_empty() && text.len() <= INSTANCE_BYTES_MAX && text.bytes().all(is_safe)
}

/// A Path that may be answered, and be the Routes of a request.
fn checked_path(path: &[String]) -> Result<&[String], Refusal> {
    if path.iter().any(|proxy| proxy.contains(char::is_control)) {
        return Err(Refusal::BadRequest("Bad Path"));
    }
    if path.iter().map(String::len).sum::<usize>() > PATH_BYTES_MAX {
        return Err(Refusal::BadRequest("Path Too Long"));
    }
    Ok(path)
}

/// RFC 3261 §10.3 step 6: `*` stands alone and only removes.
fn remove_all(contacts: &mut Vec<Contact>, register: &Register) -> Result<(), Refusal> {
    if register.expires_s != Some(0) || !register.bindings.is_empty() {
        return Err(Refusal::BadRequest("Contact * Needs Expires 0 And No Other Contact"));
    }
    if contacts.iter().any(|contact| !is_newer(register, contact)) {
        return Err(Refusal::OutOfOrder);
    }
    contacts.clear();
    Ok(())
}

/// False if `register` was not sent after the one that set `contact`, or has its CSeq.
fn is_newer(register: &Register, contact: &Contact) -> bool {
    contact.call_id != register.call_id || contact.cseq < register.cseq
}

fn is_set_by(register: &Register, contact: &Contact) -> bool {
    contact.call_id == register.call_id && contact.cseq == register.cseq
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
