//! A phone and its registrar on virtual time. The phone counts CSeq and nonce uses by itself; a
//! test may change any field of a REGISTER before it is sent.

use resilee_registrar::Registrar;
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, Effect, Event, Outcome, Sbb, Tables, Timestamp, decode,
    encode, invoke,
};
use resilee_sip_api::{
    ACCOUNTS, Account, Algorithm, Binding, Credentials, Party, QopAuth, REGISTRATIONS, Register,
    Registrations, SipCommand,
};
use std::time::Duration;

pub const ALICE: &str = "sip:alice@example.com";

pub fn contact(uri: &str) -> Binding {
    Binding {
        uri: uri.to_owned(),
        q_thousandths: 1000,
        expires_s: None,
        instance: None,
        reg_id: None,
    }
}

pub fn challenge(stale: bool) -> SipCommand {
    challenge_by(stale, &[Algorithm::Sha256, Algorithm::Md5])
}

/// A challenge of an account that can be proven by these.
pub fn challenge_by(stale: bool, algorithms: &[Algorithm]) -> SipCommand {
    let (realm, algorithms) = ("example.com".to_owned(), algorithms.to_vec());
    SipCommand::Challenge { realm, stale, proxy: false, algorithms }
}

/// A 200 with these Contact headers.
pub fn ok(contacts: &[&str]) -> SipCommand {
    let header = |text: &&str| ("Contact".to_owned(), (*text).to_owned());
    let headers = contacts.iter().map(header).collect();
    SipCommand::Respond { status: 200, reason: String::new(), headers }
}

/// Status code of an answer that is not a challenge.
#[track_caller]
pub fn status(answer: &SipCommand) -> u16 {
    let SipCommand::Respond { status, .. } = answer else { panic!("{answer:?}") };
    *status
}

pub struct World {
    pub now: Timestamp,
    pub tables: Tables,
    pub traces: Vec<String>,
    pub writes: u32,
    cseq: u32,
}

impl World {
    /// Accounts of alice and bob; nobody is registered.
    pub fn new() -> Self {
        let mut tables = Tables::of(&[Registrar::descriptor()]);
        for user in ["alice", "bob"] {
            let row = encode(&account(user)).expect("a row");
            tables.put(ACCOUNTS, &Account::key(user, "example.com"), row);
        }
        let now = Timestamp::from_millis(1_000_000);
        World { now, tables, traces: Vec::new(), writes: 0, cseq: 0 }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// Alice's next REGISTER, with the right password and a fresh nonce.
    pub fn register(&mut self, bindings: &[Binding]) -> Register {
        self.cseq += 1;
        Register {
            to: Party {
                uri: ALICE.to_owned(),
                user: "alice".to_owned(),
                address_of_record: ALICE.to_owned(),
                ..Party::default()
            },
            domain: "example.com".to_owned(),
            call_id: "phone-1".to_owned(),
            cseq: self.cseq,
            bindings: bindings.to_vec(),
            wildcard: false,
            expires_s: None,
            source: "192.0.2.1:5060".to_owned(),
            path: Vec::new(),
            barred_s: None,
            credentials: Some(credentials(&account("alice"), self.cseq)),
        }
    }

    /// Sends it; the answer, after which the entity must be gone.
    pub fn send(&mut self, register: &Register) -> SipCommand {
        let cell = CellId { cohort: CohortId::TABLES, number: 1 };
        let activity = ActivityId { cell, number: 0 };
        let event = Event::new(activity, register).expect("an event");
        let deliver = Deliver::first("registrar", event);
        let outcome =
            invoke::<Registrar>(&Deliver { tables: self.tables.clone(), now: self.now, ..deliver });
        let Outcome::Delivered { effects, .. } = outcome else { panic!("{outcome:?}") };
        let mut answers: Vec<SipCommand> = Vec::new();
        for effect in &effects {
            match effect {
                Effect::Command { payload, .. } => answers.push(decode(payload).expect("ours")),
                Effect::Trace { text, .. } => self.traces.push(text.clone()),
                Effect::PutRow { table, key, row } => {
                    self.writes += 1;
                    self.tables.put(table, key, row.clone());
                }
                Effect::RemoveRow { table, key } => {
                    self.writes += 1;
                    assert!(self.tables.remove(table, key), "there was a row to remove");
                }
                Effect::Detach { .. } | Effect::Usage(_) => {}
                other => panic!("a registrar has no use for {other:?}"),
            }
        }
        assert!(matches!(effects.last(), Some(Effect::Detach { .. })));
        assert_eq!(answers.len(), 1, "one answer to each REGISTER");
        answers.remove(0)
    }

    /// The operator writes an account.
    pub fn put_account(&mut self, account: &Account) {
        let key = Account::key(&account.user, &account.realm);
        self.tables.put(ACCOUNTS, &key, encode(account).expect("a row"));
    }

    /// Alice registers these contacts.
    pub fn registered(&mut self, uris: &[&str]) {
        let bindings: Vec<_> = uris.iter().map(|uri| contact(uri)).collect();
        let register = self.register(&bindings);
        assert_eq!(status(&self.send(&register)), 200);
    }

    /// Alice's row.
    pub fn row(&self) -> Option<Registrations> {
        self.tables.get(REGISTRATIONS, ALICE).map(|row| decode(row).expect("a row"))
    }

    /// Alice's contacts, expired or not.
    pub fn uris(&self) -> Vec<String> {
        self.row().unwrap_or_default().contacts.into_iter().map(|contact| contact.uri).collect()
    }
}

pub fn account(user: &str) -> Account {
    Account::with_password(user, "example.com", "secret")
}

/// The right credentials of `account`, as its `count`th use of one nonce.
pub fn credentials(account: &Account, count: u32) -> Credentials {
    let mut credentials = Credentials {
        username: account.user.clone(),
        realm: account.realm.clone(),
        nonce: "nonce-1".to_owned(),
        uri: "sip:example.com".to_owned(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        qop: Some(QopAuth { nc: format!("{count:08x}"), cnonce: "abc".to_owned() }),
        method: "REGISTER".to_owned(),
        nonce_fresh: true,
    };
    sign(&mut credentials, account);
    credentials
}

pub fn sign(credentials: &mut Credentials, account: &Account) {
    credentials.response = match credentials.algorithm {
        Algorithm::Md5 => credentials.expected(&account.ha1),
        Algorithm::Sha256 => credentials.expected(account.ha1_sha256.as_ref().expect("known")),
    };
}
