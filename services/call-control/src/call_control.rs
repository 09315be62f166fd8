//! The call-control SBB: one decision about the request that begins an activity.
//!
//! | request                                          | answer                            |
//! |--------------------------------------------------|-----------------------------------|
//! | answered by another service                      | none                              |
//! | OPTIONS without a user part: to this server      | 200; Allow: what it passes on     |
//! | another method (not INVITE) without a user part  | 405; Allow: what it takes itself  |
//! | a scheme that is not sip or sips                 | 416                               |
//! | sender not admitted                              | 403, 407 or 503, see `admission`  |
//! | callee registered                                | proxied to its live contacts      |
//! | callee has an account, no live contact           | 480                               |
//! | a phone that is registered, as its Contact names | proxied to that one: it stands in |
//! | it, of the account with the user that it names   | the Refer-To of a transfer        |
//! | in the domain of the sender                      | (RFC 5589)                        |
//! | the same of another domain, where the sender's   | the same                          |
//! | has no such account and only one can be meant    |                                   |
//! | anybody else, also at any other domain or server | 404                               |
//!
//! There is no way out: a request goes to contacts that were registered here with a password, and
//! to nobody else, whatever its Request-URI, To and Routes say. So this is no relay for others.
//!
//! All methods outside a dialog go the same way, also those that this server has never heard of
//! (RFC 3261 §16: a proxy does not look at the method). Nothing is kept: the entity detaches with
//! its answer.

use crate::admission::{Admission, Sender, account, admit, host};
use crate::request_uri::{Callee, is_same_place};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, Sbb, TraceLevel, UsageParameter,
};
use resilee_sip_api::{
    ACCOUNT_PROFILES, ACCOUNTS, Account, Contact, Invite, OtherRequest, REFUSED, REFUSED_ALIAS,
    REGISTRATIONS, Registrations, SipCommand, Target,
};
use serde::{Deserialize, Serialize};

/// Contacts that a request is forked to; of more, those with the highest `q` are taken.
pub const TARGETS_MAX: usize = 4;

/// Accounts of one user name, in several domains, among whose phones one is looked for; of more,
/// no phone of another domain is found.
const ACCOUNTS_OF_USER_MAX: usize = 16;

/// What this server understands, or passes on: its capabilities (RFC 3261 §11.2). It passes on any
/// other method as well; these are those that phones look for.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE, INFO, PRACK, UPDATE, \
                     SUBSCRIBE, NOTIFY, REFER";

/// What may be said to its own address, which is nobody's (RFC 3261 §21.4.6).
const ALLOW_AT_ITSELF: &str = "OPTIONS, REGISTER";

/// Characters of a client's own text in a trace line.
const TRACED_CHARS_MAX: usize = 64;

/// One request; it has no state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallControl {}

/// Requests of senders who are not let in; and of these, those of accounts whose password is being
/// tried out.
const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("requests_forbidden"), UsageParameter::counter("barred")];

impl Sbb for CallControl {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "resilee",
            version: env!("CARGO_PKG_VERSION"),
            priority: 10,
            initial_events: &[Invite::TYPE, OtherRequest::TYPE],
            attribute_aliases: &[REFUSED_ALIAS],
            usage: USAGE,
            deployment: Deployment {
                unit: "telephony",
                profile_tables: &[&ACCOUNT_PROFILES],
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-control")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let command = if cx.attribute::<bool>(REFUSED)? == Some(true) {
            None
        } else if let Some(invite) = event.get::<Invite>()? {
            Some(on_invite(cx, &invite)?)
        } else if let Some(request) = event.get::<OtherRequest>()? {
            Some(on_other_request(cx, &request)?)
        } else {
            return Ok(());
        };
        if let Some(command) = command {
            if !matches!(command, SipCommand::Proxy { .. }) {
                cx.set_attribute(REFUSED, &true)?;
            }
            cx.send(&command)?;
        }
        cx.detach();
        Ok(())
    }
}

fn on_invite(cx: &mut Context<'_>, invite: &Invite) -> Result<SipCommand, Failure> {
    if Callee::of_uri(&invite.request_uri).is_none() {
        return Ok(respond(416, Vec::new()));
    }
    let callee = Callee::of_party(&invite.callee);
    let sender = Sender {
        party: &invite.caller,
        credentials: invite.credentials.as_ref(),
        source: &invite.source,
        barred_s: invite.barred_s,
    };
    route(cx, &sender, (&callee, &invite.request_uri))
}

fn on_other_request(cx: &mut Context<'_>, request: &OtherRequest) -> Result<SipCommand, Failure> {
    let Some(callee) = Callee::of_uri(&request.request_uri) else {
        return Ok(respond(416, Vec::new()));
    };
    // As the adaptor reads it, for calls too: escapes in it are undone.
    let callee = match request.callee.address_of_record.is_empty() {
        true => callee,
        false => Callee::of_party(&request.callee),
    };
    if callee.user.is_empty() {
        let (status, allow) = match request.method.as_str() {
            "OPTIONS" => (200, ALLOW),
            _ => (405, ALLOW_AT_ITSELF),
        };
        return Ok(respond(status, vec![("Allow".to_owned(), allow.to_owned())]));
    }
    let sender = Sender {
        party: &request.from,
        credentials: request.credentials.as_ref(),
        source: &request.source,
        barred_s: request.barred_s,
    };
    route(cx, &sender, (&callee, &request.request_uri))
}

/// Admits the sender, then finds the callee: an unknown sender learns nothing of who exists.
fn route(
    cx: &mut Context<'_>,
    sender: &Sender<'_>,
    (callee, request_uri): (&Callee, &str),
) -> Result<SipCommand, Failure> {
    match admit(cx, sender)? {
        Admission::Admitted => {
            let domain = host(&sender.party.address_of_record);
            locate(cx, domain, (callee, request_uri))
        }
        Admission::Challenge { realm, stale, algorithms } => {
            Ok(SipCommand::Challenge { realm, stale, proxy: true, algorithms })
        }
        Admission::Barred(seconds) => {
            cx.count("barred", 1);
            Ok(respond(503, vec![("Retry-After".to_owned(), seconds.to_string())]))
        }
        Admission::Forbidden(why) => {
            let sender: String = sender.party.uri.chars().take(TRACED_CHARS_MAX).collect();
            cx.trace(TraceLevel::Info, format_args!("request of {sender:?} forbidden: {why}"));
            cx.count("requests_forbidden", 1);
            Ok(respond(403, Vec::new()))
        }
    }
}

/// Where the callee is, for a sender of this domain.
fn locate(
    cx: &Context<'_>,
    domain: &str,
    (callee, request_uri): (&Callee, &str),
) -> Result<SipCommand, Failure> {
    let address = &callee.address_of_record;
    let row: Registrations = cx.row(REGISTRATIONS, address)?.unwrap_or_default();
    let targets: Vec<Target> =
        row.live(cx.now()).into_iter().take(TARGETS_MAX).map(target).collect();
    if !targets.is_empty() {
        return Ok(SipCommand::Proxy { targets });
    }
    if account(cx, &callee.user, host(address))?.is_some() {
        return Ok(respond(480, Vec::new()));
    }
    let targets = phones(cx, domain, (&callee.user, request_uri))?;
    Ok(match targets.is_empty() {
        false => SipCommand::Proxy { targets },
        true => respond(404, Vec::new()),
    })
}

/// To where the REGISTER came from: behind a NAT the contact's own address is not reachable. Its
/// Path is not where the datagram goes: the nearest proxy of it is who sent the REGISTER.
fn target(contact: &Contact) -> Target {
    Target {
        uri: contact.uri.clone(),
        destination: contact.source.clone(),
        routes: contact.path.clone(),
    }
}

/// The phones that a Request-URI is the Contact of, of the account with this user name in the
/// sender's domain. Private addresses and short names are the same at many customers: so those of
/// another domain are meant only if the sender's has no such account, and one other has them.
fn phones(
    cx: &Context<'_>,
    domain: &str,
    (user, request_uri): (&str, &str),
) -> Result<Vec<Target>, Failure> {
    if user.is_empty() {
        return Ok(Vec::new());
    }
    if account(cx, user, domain)?.is_some() {
        return phones_of(cx, &Account::key(user, domain), request_uri);
    }
    let mut found = Vec::new();
    for (number, key) in cx.find_profiles(ACCOUNTS, "user", user)?.enumerate() {
        if number >= ACCOUNTS_OF_USER_MAX {
            return Ok(Vec::new());
        }
        let phones = phones_of(cx, key, request_uri)?;
        if !found.is_empty() && !phones.is_empty() {
            return Ok(Vec::new());
        }
        found.extend(phones);
    }
    Ok(found)
}

/// The live contacts of an account that a Request-URI is: the very ones, or else those at its host
/// and port. Phones leave out parameters of their own; and two of an account, each behind its own
/// NAT, may say the same, so all of them are asked whether the dialog is theirs.
fn phones_of(cx: &Context<'_>, key: &str, request_uri: &str) -> Result<Vec<Target>, Failure> {
    let row: Registrations = cx.row(REGISTRATIONS, &format!("sip:{key}"))?.unwrap_or_default();
    let live = row.live(cx.now());
    let is_it = |contact: &&&Contact| contact.uri == request_uri;
    let is_near = |contact: &&&Contact| is_same_place(&contact.uri, request_uri);
    let mut found: Vec<_> = live.iter().filter(is_it).collect();
    if found.is_empty() {
        found = live.iter().filter(is_near).collect();
    }
    Ok(found.into_iter().take(TARGETS_MAX).map(|contact| target(contact)).collect())
}

fn respond(status: u16, headers: Vec<(String, String)>) -> SipCommand {
    SipCommand::Respond { status, reason: String::new(), headers }
}
