//! The registrar SBB: one REGISTER in, one answer out, and the row of its address of record
//! rewritten if contacts changed. RFC 3261 §10.3:
//!
//! | step | what is wrong                              | answer                    |
//! |------|--------------------------------------------|---------------------------|
//! | 1, 5 | no account is of the domain of the address | 404                       |
//! |      | of record                                  |                           |
//! | 1, 5 | the Request-URI names another domain that  | 404                       |
//! |      | an account is of                           |                           |
//! | 3    | no credentials, wrong secret, unknown user | challenge                 |
//! | 3    | nonce too old, or its count was used       | challenge, stale          |
//! | 3    | others try out the account's password, and | 503, whatever the secret  |
//! |      | no contact of it is where this comes from  |                           |
//! | 4    | the address of record is another user's    | 403                       |
//! | 6, 7 | syntax, or a limit on lengths              | 400                       |
//! | 6, 7 | CSeq not higher than that of the same      | 500                       |
//! |      | Call-ID which has set the contact          |                           |
//! | 3    | too many nonces in use                     | 503                       |
//! | 7    | expires too soon; too many contacts        | 423; 403                  |
//! | 8    | nothing                                    | 200 with all contacts     |
//!
//! Step 2 (Require) is the resource adaptor's; the rest of step 5 (unknown address) is step 4 here,
//! since an address of record exists if its account does. Realm is the host of the address of
//! record. The domains that are served are those of accounts: by what names and addresses phones
//! find this server nobody tells it, so a Request-URI may also name an address, or a host that no
//! account is of.
//!
//! Each proven nonce count is noted in the row, also if the REGISTER only asks or is refused, and
//! stays there when the contacts are gone: digest does not cover the contacts, so whoever
//! overhears any REGISTER could make another of it. One that comes again changes nothing, and gets
//! what it got before. Limit: one that is refused with 403 for
//! another user's address is not noted.
//!
//! Each contact keeps the Path that its REGISTER came by, and the 200 repeats that of this one
//! (RFC 3327 §5.3); the adaptor leaves it out for a client that does not say that it knows of it.

use crate::binding_update::{CALL_ID_BYTES_MAX, EXPIRES_MIN_S, Refusal, check_again, update};
use crate::digest::{Authenticity, NONCE_MEMORY, Recurrence, authenticate, recurrence, remember};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, Permission, Sbb, Timestamp,
    TraceLevel, UsageParameter,
};
use resilee_sip_api::{
    ACCOUNT_PROFILES, ACCOUNTS, Account, Contact, REGISTRATIONS, Register, Registrations,
    SipCommand,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Characters of a client's own text in a trace line.
const TRACED_CHARS_MAX: usize = 64;

/// Tries to find out passwords.
const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("wrong_credentials"), UsageParameter::counter("barred")];

/// One REGISTER; it has no state, all of it is in the location table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrar {}

impl Sbb for Registrar {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "resilee",
            version: env!("CARGO_PKG_VERSION"),
            initial_events: &[Register::TYPE],
            usage: USAGE,
            deployment: Deployment {
                unit: "telephony",
                profile_tables: &[&ACCOUNT_PROFILES],
                // It is linked and needs none: it says that no unit makes profiles of these rows.
                permissions: &[Permission::Write(REGISTRATIONS)],
                ..Deployment::ALONE
            },
            ..Descriptor::named("registrar")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(register) = event.get::<Register>()? {
            let answer = on_register(cx, &register)?;
            cx.send(&answer)?;
            cx.detach();
        }
        Ok(())
    }
}

fn on_register(cx: &mut Context<'_>, register: &Register) -> Result<SipCommand, Failure> {
    let address = &register.to.address_of_record;
    let realm = address.rsplit_once('@').map_or("", |(_, host)| host);
    let credentials = register.credentials.as_ref();
    let user = credentials.map_or(&register.to.user, |credentials| &credentials.username);
    let account: Option<Account> = cx.profile(ACCOUNTS, &Account::key(user, realm))?;
    let algorithms = account.as_ref().map(Account::algorithms).unwrap_or_default();
    if (account.is_none() && !is_served(cx, realm)?) || names_other_domain(cx, register, realm)? {
        trace(cx, register, "no account of that domain can be registered there");
        return Ok(respond(404, "Domain Not Served", Vec::new()));
    }
    let challenge = |stale| SipCommand::Challenge {
        realm: realm.to_owned(),
        stale,
        proxy: false,
        algorithms: algorithms.clone(),
    };
    if let Some(seconds) = barred_s(cx, register, &format!("sip:{user}@{realm}"))? {
        trace(cx, register, "its password is being tried out, and it is not known there");
        cx.count("barred", 1);
        return Ok(refuse(Refusal::Barred(seconds)));
    }
    let (nonce, count) = match authenticate(credentials, account.as_ref(), realm) {
        Authenticity::NoCredentials => return Ok(challenge(false)),
        Authenticity::StaleNonce => return Ok(challenge(true)),
        Authenticity::Wrong => {
            trace(cx, register, "wrong credentials");
            cx.count("wrong_credentials", 1);
            return Ok(challenge(false));
        }
        Authenticity::Proven(nonce, count) => (nonce, count),
    };
    if account.is_none_or(|account| account.user != register.to.user) {
        trace(cx, register, "the address of record is another user's");
        return Ok(respond(403, "", Vec::new()));
    }
    if register.call_id.len() > CALL_ID_BYTES_MAX {
        return Ok(refuse(Refusal::BadRequest("Call-ID Too Long")));
    }
    let row: Option<Registrations> = cx.row(REGISTRATIONS, address)?;
    let mut row = row.unwrap_or_default();
    match recurrence(&row, register, (&nonce, count)) {
        Recurrence::Retransmission => {
            let again = check_again(&row, register, cx.now());
            return Ok(again.map_or_else(refuse, |()| accept(cx.now(), &row, &register.path)));
        }
        Recurrence::Replay => {
            trace(cx, register, "nonce count used before");
            return Ok(challenge(true));
        }
        Recurrence::New => {}
    }
    if !remember(&mut row, register, (&nonce, count), cx.now()) {
        trace(cx, register, "too many nonces in use");
        return Ok(refuse(Refusal::TooManyNonces));
    }
    let updated = update(&row, register, cx.now());
    cx.put_row(REGISTRATIONS, address, updated.as_ref().unwrap_or(&row))?;
    Ok(updated.map_or_else(refuse, |updated| accept(cx.now(), &updated, &register.path)))
}

/// Whether any account is of this domain.
fn is_served(cx: &Context<'_>, domain: &str) -> Result<bool, Failure> {
    Ok(!domain.is_empty() && cx.find_profiles(ACCOUNTS, "realm", domain)?.next().is_some())
}

/// Whether the Request-URI names a domain that is served and is not that of the address of record.
/// An address may be a realm as well, and is this server's: what it asks for is what To says.
fn names_other_domain(cx: &Context<'_>, register: &Register, realm: &str) -> Result<bool, Failure> {
    let domain = register.domain.as_str();
    let is_address = domain.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    Ok(domain != realm && !is_address && is_served(cx, domain)?)
}

/// How long nobody else may say that it is the account of this `address`, if it is barred. A phone
/// of its own is known by a contact that is registered from there: that outlives nodes.
fn barred_s(cx: &Context<'_>, register: &Register, address: &str) -> Result<Option<u32>, Failure> {
    let Some(seconds) = register.barred_s else { return Ok(None) };
    let row: Registrations = cx.row(REGISTRATIONS, address)?.unwrap_or_default();
    Ok((!row.is_known_at(&register.source, cx.now())).then_some(seconds))
}

/// RFC 3261 §10.3 step 8: all contacts with the time that each has left.
fn accept(now: Timestamp, row: &Registrations, path: &[String]) -> SipCommand {
    let live = row.contacts.iter().filter(|contact| contact.expires_at > now);
    let contacts = live.map(|contact| ("Contact".to_owned(), contact_header(contact, now)));
    let path = path.iter().map(|proxy| ("Path".to_owned(), proxy.clone()));
    respond(200, "", contacts.chain(path).collect())
}

fn contact_header(contact: &Contact, now: Timestamp) -> String {
    // Rounded up, so that a new contact gets the whole seconds that it asked for.
    let left = contact.expires_at.since(now) + Duration::from_micros(999_999);
    let mut header = format!("<{}>;expires={}", contact.uri, left.as_secs());
    if contact.q_thousandths < 1000 {
        header.push_str(&format!(";q=0.{:03}", contact.q_thousandths));
    }
    if let Some(instance) = &contact.instance {
        header.push_str(&format!(";+sip.instance=\"{instance}\""));
    }
    if let Some(reg_id) = contact.reg_id {
        header.push_str(&format!(";reg-id={reg_id}"));
    }
    header
}

fn refuse(refusal: Refusal) -> SipCommand {
    match refusal {
        Refusal::BadRequest(reason) => respond(400, reason, Vec::new()),
        Refusal::OutOfOrder => respond(500, "CSeq Out Of Order", Vec::new()),
        Refusal::TooManyContacts => respond(403, "Too Many Contacts", Vec::new()),
        Refusal::TooManyNonces => {
            let retry_after = ("Retry-After".to_owned(), NONCE_MEMORY.as_secs().to_string());
            respond(503, "", vec![retry_after])
        }
        Refusal::Barred(seconds) => {
            respond(503, "", vec![("Retry-After".to_owned(), seconds.to_string())])
        }
        Refusal::IntervalTooBrief => {
            let min_expires = ("Min-Expires".to_owned(), EXPIRES_MIN_S.to_string());
            respond(423, "", vec![min_expires])
        }
    }
}

fn respond(status: u16, reason: &str, headers: Vec<(String, String)>) -> SipCommand {
    SipCommand::Respond { status, reason: reason.to_owned(), headers }
}

fn trace(cx: &mut Context<'_>, register: &Register, what: &str) {
    let address = register.to.address_of_record.chars().take(TRACED_CHARS_MAX);
    let address: String = address.collect();
    let source = &register.source;
    cx.trace(TraceLevel::Info, format_args!("REGISTER of {address:?} from {source}: {what}"));
}
