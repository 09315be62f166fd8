//! Who may call: digest authentication of the sender (RFC 3261 §22.3). Nonces are made and
//! checked by the resource adaptor; where the call goes is in `call_control`.
//!
//! | sender                                         | answer                       |
//! |------------------------------------------------|------------------------------|
//! | anyone, while [`OPEN_CALLS`] is true           | admitted                     |
//! | no account for the From address                | 403                          |
//! | an account, but no credentials for its realm   | 407                          |
//! | credentials of another user than From          | 403                          |
//! | wrong secret                                   | 407 (RFC 7616 §3.3)          |
//! | right secret, nonce too old or not ours        | 407, stale                   |
//! | right secret                                   | admitted                     |
//!
//! That no INVITE uses credentials again is the resource adaptor's: a nonce is good for one
//! Call-ID, whose cell remembers it. Limit: a request that is no INVITE leaves no cell behind, so
//! the very same can be replayed for as long as its nonce stays fresh (8 s).

use resilee_sbb::{Context, Failure, Severity};
use resilee_sip_api::{ACCOUNTS, Account, Credentials, Party};

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
    },
    /// It may not; for the trace.
    Forbidden(&'static str),
}

/// Decides about a request of `sender`.
pub(crate) fn admit(
    cx: &mut Context<'_>,
    sender: &Party,
    credentials: Option<&Credentials>,
) -> Result<Admission, Failure> {
    if calls_are_open(cx) {
        return Ok(Admission::Admitted);
    }
    let realm = host(&sender.address_of_record);
    let Some(account) = account(cx, &sender.user, realm)? else {
        return Ok(Admission::Forbidden("the sender has no account"));
    };
    let challenge = |stale| Admission::Challenge { realm: realm.to_owned(), stale };
    let Some(credentials) = credentials.filter(|credentials| credentials.realm == realm) else {
        return Ok(challenge(false));
    };
    if credentials.username != sender.user {
        return Ok(Admission::Forbidden("From is not the user of the credentials"));
    }
    match (credentials.prove(&account), credentials.nonce_fresh) {
        (false, _) => Ok(challenge(false)),
        (true, false) => Ok(challenge(true)),
        (true, true) => Ok(Admission::Admitted),
    }
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
