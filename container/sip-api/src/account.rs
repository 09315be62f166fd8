//! Accounts and the check of digest credentials (RFC 7616, RFC 8760).
//!
//! Nonces are made and checked by the resource adaptor, which holds the cluster key; here is only
//! what needs the user's secret.

use md5::{Digest, Md5};
use resilee_sbb::{Attribute, AttributeKind, ProfileTable};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Name of the table of accounts; its key is `user@realm`.
pub const ACCOUNTS: &str = "accounts";

/// The profile table of accounts: [`Account`] is a row of it.
pub const ACCOUNT_PROFILES: ProfileTable = ProfileTable {
    name: ACCOUNTS,
    about: "who may register, and call with an account",
    attributes: &[
        Attribute::new("user", AttributeKind::Text { chars_max: 128 }).required().indexed(),
        Attribute::new("realm", AttributeKind::Text { chars_max: 255 }).required().indexed(),
        Attribute::new("ha1", AttributeKind::Hex { digits: 32 }).required().secret(),
        Attribute::new("ha1_sha256", AttributeKind::Hex { digits: 64 }).secret(),
    ],
    named_by: &["user", "realm"],
    separator: "@",
    profiles_max: 1_000_000,
};

/// Seconds for which the nonce of a registration is good. Who checks that none is used twice
/// remembers it so long.
pub const REGISTER_NONCE_LIFETIME_S: u64 = 300;

/// The row of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// User name in credentials; also the user part of the address of record.
    pub user: String,
    /// Protection domain.
    pub realm: String,
    /// MD5(user:realm:password) in lower-case hex.
    pub ha1: String,
    /// SHA-256(user:realm:password) in lower-case hex, if known.
    #[serde(default)]
    pub ha1_sha256: Option<String>,
}

impl Account {
    /// Key of the row for `user` in `realm`.
    pub fn key(user: &str, realm: &str) -> String {
        format!("{user}@{realm}")
    }

    /// An account from the password itself.
    pub fn with_password(user: &str, realm: &str, password: &str) -> Self {
        let secret = format!("{user}:{realm}:{password}");
        Account {
            user: user.to_owned(),
            realm: realm.to_owned(),
            ha1: Algorithm::Md5.hash(&secret),
            ha1_sha256: Some(Algorithm::Sha256.hash(&secret)),
        }
    }

    /// Algorithms that it can be proven by.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let sha256 = self.ha1_sha256.as_ref().map(|_| Algorithm::Sha256);
        sha256.into_iter().chain([Algorithm::Md5]).collect()
    }
}

/// Digest algorithm. Of RFC 7616, SHA-512-256 and those with `-sess` are not there: no phone
/// that is known asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// MD5 (RFC 2617).
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// H(text) in lower-case hex.
    pub fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digest credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// `username`.
    pub username: String,
    /// `realm`.
    pub realm: String,
    /// `nonce`.
    pub nonce: String,
    /// `uri`.
    pub uri: String,
    /// `response`.
    pub response: String,
    /// `algorithm`; MD5 if absent.
    pub algorithm: Algorithm,
    /// `qop`, `nc` and `cnonce`, if the client used quality of protection.
    pub qop: Option<QopAuth>,
    /// Method of the request.
    pub method: String,
    /// True if the nonce is this cluster's, for such a request from there and not too old. An
    /// INVITE's was not used as often before, either; a REGISTER's count is the registrar's to
    /// watch. If it is false the response is not to be looked at: whoever could learn without a
    /// nonce whether a password is right could try out any number of them.
    pub nonce_fresh: bool,
}

/// The parameters of `qop=auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QopAuth {
    /// `nc` as sent: eight hex digits.
    pub nc: String,
    /// `cnonce`.
    pub cnonce: String,
}

impl Credentials {
    /// True if the response proves the account's password. Says nothing of the nonce.
    pub fn prove(&self, account: &Account) -> bool {
        let ha1 = match self.algorithm {
            Algorithm::Md5 => Some(&account.ha1),
            Algorithm::Sha256 => account.ha1_sha256.as_ref(),
        };
        let same_account = account.user == self.username && account.realm == self.realm;
        same_account && ha1.is_some_and(|ha1| equal(&self.expected(ha1), &self.response))
    }

    /// The response that the secret `ha1` gives (RFC 7616 §3.4.1).
    pub fn expected(&self, ha1: &str) -> String {
        let ha2 = self.algorithm.hash(&format!("{}:{}", self.method, self.uri));
        let nonce = &self.nonce;
        let text = match &self.qop {
            None => format!("{ha1}:{nonce}:{ha2}"),
            Some(qop) => format!("{ha1}:{nonce}:{}:{}:auth:{ha2}", qop.nc, qop.cnonce),
        };
        self.algorithm.hash(&text)
    }

    /// The nonce count as a number.
    pub fn nonce_count(&self) -> Option<u32> {
        u32::from_str_radix(&self.qop.as_ref()?.nc, 16).ok()
    }
}

/// Compares without stopping at the first difference.
fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1: the one example with both algorithms.
    #[test]
    fn the_example_of_rfc_7616_is_proven_by_md5_and_by_sha_256() {
        let account = Account::with_password("Mufasa", "http-auth@example.org", "Circle of Life");
        let md5 = "8ca523f5e9506fed4657c9700eebdbec";
        let sha256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        for (algorithm, response) in [(Algorithm::Md5, md5), (Algorithm::Sha256, sha256)] {
            let credentials = Credentials {
                username: "Mufasa".into(),
                realm: "http-auth@example.org".into(),
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
                uri: "/dir/index.html".into(),
                response: response.into(),
                algorithm,
                qop: Some(QopAuth {
                    nc: "00000001".into(),
                    cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".into(),
                }),
                method: "GET".into(),
                nonce_fresh: true,
            };
            assert!(credentials.prove(&account), "{algorithm:?}");
            let md5_only = Account { ha1_sha256: None, ..account.clone() };
            assert_eq!(credentials.prove(&md5_only), algorithm == Algorithm::Md5);
        }
    }

    #[test]
    fn an_account_is_proven_by_the_algorithms_whose_secret_it_has() {
        let both = Account::with_password("alice", "example.test", "secret");
        assert_eq!(both.algorithms(), [Algorithm::Sha256, Algorithm::Md5]);
        let one = Account { ha1_sha256: None, ..both };
        assert_eq!(one.algorithms(), [Algorithm::Md5]);
    }

    /// RFC 2617 §3.5.
    #[test]
    fn the_example_of_rfc_2617_is_proven() {
        let account = Account::with_password("Mufasa", "testrealm@host.com", "Circle Of Life");
        let credentials = Credentials {
            username: "Mufasa".into(),
            realm: "testrealm@host.com".into(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".into(),
            uri: "/dir/index.html".into(),
            response: "6629fae49393a05397450978507c4ef1".into(),
            algorithm: Algorithm::Md5,
            qop: Some(QopAuth { nc: "00000001".into(), cnonce: "0a4f113b".into() }),
            method: "GET".into(),
            nonce_fresh: true,
        };
        assert!(credentials.prove(&account));
        let other = Account::with_password("Mufasa", "testrealm@host.com", "circle of life");
        assert!(!credentials.prove(&other));
    }
}
