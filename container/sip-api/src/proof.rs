//! Whether a caller is who it says. Call control decides that for all calls, and challenges; a
//! service that acts before it asks here.

use crate::account::{ACCOUNTS, Account};
use crate::event::Invite;
use resilee_sbb::{Context, Failure};

impl Invite {
    /// True if the caller has proven the password of the account of its address of record.
    ///
    /// False also while the account is barred: a service that does one thing for right guesses and
    /// another one for wrong ones would tell them apart where nobody counts them.
    ///
    /// # Errors
    /// An account that cannot be read.
    pub fn is_proven(&self, cx: &Context<'_>) -> Result<bool, Failure> {
        let Some((user, host)) = self.claim() else { return Ok(false) };
        let account = cx.row::<Account>(ACCOUNTS, &Account::key(user, host))?;
        Ok(account.is_some_and(|account| self.proves(&account)))
    }

    /// User and host of the address of record in From.
    fn claim(&self) -> Option<(&str, &str)> {
        let (_, host) = self.caller.address_of_record.rsplit_once('@')?;
        Some((&self.caller.user, host))
    }

    fn proves(&self, account: &Account) -> bool {
        let is_claimed = self.claim() == Some((&account.user, &account.realm));
        let credentials = self.credentials.as_ref().filter(|it| it.nonce_fresh);
        is_claimed
            && self.barred_s.is_none()
            && credentials.is_some_and(|credentials| credentials.prove(account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Algorithm, Credentials};
    use crate::event::Party;
    use resilee_sbb::Timestamp;

    fn account() -> Account {
        Account::with_password("alice", "example.test", "secret")
    }

    fn invite(address_of_record: &str) -> Invite {
        let mut credentials = Credentials {
            username: "alice".into(),
            realm: "example.test".into(),
            nonce: "nonce".into(),
            uri: "sip:bob@example.test".into(),
            response: String::new(),
            algorithm: Algorithm::Md5,
            qop: None,
            method: "INVITE".into(),
            nonce_fresh: true,
        };
        credentials.response = credentials.expected(&account().ha1);
        let user = address_of_record.split([':', '@']).nth(1).unwrap().to_owned();
        let address_of_record = address_of_record.to_owned();
        Invite {
            call_id: "call".into(),
            request_uri: "sip:bob@example.test".into(),
            callee: Party::default(),
            caller: Party { user, address_of_record, ..Party::default() },
            set_up_at: Timestamp::ZERO,
            source: "192.0.2.1:5060".into(),
            credentials: Some(credentials),
            barred_s: None,
        }
    }

    #[test]
    fn a_password_proves_its_own_account_alone() {
        assert!(invite("sip:alice@example.test").proves(&account()));
        for other in ["sip:alice@evil.test", "sip:bob@example.test"] {
            assert!(!invite(other).proves(&account()), "{other}");
        }
        let bob = Account { user: "bob".into(), ..account() };
        assert!(!invite("sip:bob@example.test").proves(&bob));
    }

    #[test]
    fn nothing_is_proven_by_an_old_nonce_nor_while_the_account_is_barred() {
        let mut barred = invite("sip:alice@example.test");
        barred.barred_s = Some(30);
        assert!(!barred.proves(&account()));
        let mut old = invite("sip:alice@example.test");
        old.credentials.as_mut().unwrap().nonce_fresh = false;
        assert!(!old.proves(&account()));
        old.credentials = None;
        assert!(!old.proves(&account()));
    }
}
