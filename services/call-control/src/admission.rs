//! Who may call: digest authentication of the sender (RFC 3261 §22.3). Nonces are made and
//! checked by the resource adaptor; where the call goes is in `call_control`.
//!
//! | sender                                         | answer                       |
//! |------------------------------------------------|------------------------------|
//! | anyone, while [`OPEN_CALLS`] is true           | admitted                     |
//! | From names no domain that an account is of     | 403                          |
//! | no credentials for the domain of From          | 407                          |
//! | credentials of another user than From          | 403                          |
//! | others try out the account's password, and no  | 503, whatever the secret     |
//! | contact of it is where this comes from         |                              |
//! | nonce too old, not ours, or for elsewhere      | 407, stale                   |
//! | wrong secret, or no such account               | 407 (RFC 7616 §3.3)          |
//! | right secret                                   | admitted                     |
//!
//! So nobody learns by whom there is an account, nor, without a fresh nonce, whether a password is
//! right: the resource adaptor counts who tries out either. Limit: an account without a SHA-256
//! secret is told from no account where the adaptor offers SHA-256.
//!
//! That no INVITE uses credentials again is the resource adaptor's: a nonce is good for one
//! Call-ID, whose cell remembers it. Limit: a request that is no INVITE leaves no cell behind, so
//! the very same can be replayed for as long as its nonce stays fresh (8 s).

use resilee_sbb::{Context, Failure, Severity};
use resilee_sip_api::{
    ACCOUNTS, Account, Algorithm, Credentials, Party, REGISTRATIONS, Registrations,
};

/// Name of the table of policies.
pub const POLICY: &str = "policy";
/// Key of a row that is `true` if anybody may call without an account or a password. Absent or
/// unreadable, it is `false`. For load tests and closed networks.
pub const OPEN_CALLS: &str = "open_calls";

/// Whether a request may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Admitted,
    /// Not without (other) credentials.
    Challenge {
        /// Protection domain: the host of the sender.
        realm: String,
        /// True if only the nonce was too old.
        stale: bool,
        /// What the account can be proven by; empty if there is none.
        algorithms: Vec<Algorithm>,
    },
    /// Not from there, for so many seconds.
    Barred(u32),
    /// It may not; for the trace.
    Forbidden(&'static str),
}

/// Who asks.
pub(crate) struct Sender<'a> {
    /// From.
    pub(crate) party: &'a Party,
    /// Its credentials for this server, if any.
    pub(crate) credentials: Option<&'a Credentials>,
    /// Where it sends from (`ip:port`).
    pub(crate) source: &'a str,
    /// The account is barred for so long where it is not known.
    pub(crate) barred_s: Option<u32>,
}

/// Decides about a request of `sender`.
pub(crate) fn admit(cx: &mut Context<'_>, sender: &Sender<'_>) -> Result<Admission, Failure> {
    if calls_are_open(cx) {
        return Ok(Admission::Admitted);
    }
    let Party { user, address_of_record, .. } = sender.party;
    let realm = host(address_of_record);
    let account = account(cx, user, realm)?;
    if account.is_none() && !is_served(cx, realm)? {
        return Ok(Admission::Forbidden("no account is of the sender's domain"));
    }
    let algorithms = account.as_ref().map(Account::algorithms).unwrap_or_default();
    let challenge = |stale| Admission::Challenge { realm: realm.to_owned(), stale, algorithms };
    let given = sender.credentials.filter(|credentials| credentials.realm == realm);
    let Some(credentials) = given else { return Ok(challenge(false)) };
    if credentials.username != *user {
        return Ok(Admission::Forbidden("From is not the user of the credentials"));
    }
    if let Some(seconds) = sender.barred_s {
        let row: Option<Registrations> = cx.row(REGISTRATIONS, address_of_record)?;
        if !row.is_some_and(|row| row.is_known_at(sender.source, cx.now())) {
            return Ok(Admission::Barred(seconds));
        }
    }
    if !credentials.nonce_fresh {
        return Ok(challenge(true));
    }
    match account.is_some_and(|account| credentials.prove(&account)) {
        true => Ok(Admission::Admitted),
        false => Ok(challenge(false)),
    }
}

/// Whether any account is of this domain.
fn is_served(cx: &Context<'_>, realm: &str) -> Result<bool, Failure> {
    Ok(!realm.is_empty() && cx.find_profiles(ACCOUNTS, "realm", realm)?.next().is_some())
}

/// The account of `user` at `host`.
pub(crate) fn account(
    cx: &Context<'_>,
    user: &str,
    host: &str,
) -> Result<Option<Account>, Failure> {
    cx.profile(ACCOUNTS, &Account::key(user, host))
}

/// The host of an address of record; empty if it has no user part.
pub(crate) fn host(address_of_record: &str) -> &str {
    address_of_record.rsplit_once('@').map_or("", |(_, host)| host)
}

/// A row that cannot be read must neither open the door nor fail every call.
fn calls_are_open(cx: &mut Context<'_>) -> bool {
    match cx.row(POLICY, OPEN_CALLS) {
        Ok(open) => open == Some(true),
        Err(failure) => {
            let text = format!("policy {OPEN_CALLS:?} unread, calls stay closed: {failure}");
            cx.raise_alarm("policy_unread", OPEN_CALLS, Severity::Major, text);
            false
        }
    }
}
