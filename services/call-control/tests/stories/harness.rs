//! A server with accounts and registrations on virtual time, and requests to it.

use resilee_call_control::{CallControl, OPEN_CALLS, POLICY};
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, Effect, Event, EventPayload, Outcome, Sbb, Tables,
    Timestamp, decode, encode, invoke,
};
use resilee_sip_api::{
    ACCOUNTS, Account, Algorithm, Contact, Credentials, Invite, OtherRequest, Party, QopAuth,
    REFUSED, REGISTRATIONS, Registrations, SipCommand, Target,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// What one delivery led to.
#[derive(Debug)]
pub struct Reaction {
    pub command: Option<SipCommand>,
    /// True if services of lower priority are told to leave the request alone.
    pub refused: bool,
    pub alarms: Vec<String>,
    pub traces: Vec<String>,
}

impl Reaction {
    /// Status of the answer; services of lower priority must know of it.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let Some(SipCommand::Respond { status, .. }) = self.command else { panic!("{self:?}") };
        assert!(self.refused);
        status
    }

    /// `stale` of a 407; services of lower priority must know of it.
    #[track_caller]
    pub fn challenge(&self) -> bool {
        let Some(SipCommand::Challenge { realm, stale, proxy: true, .. }) = &self.command else {
            panic!("{self:?}")
        };
        assert_eq!(realm, "example.com");
        assert!(self.refused);
        *stale
    }

    /// Where it was proxied to.
    #[track_caller]
    pub fn targets(self) -> Vec<Target> {
        assert!(!self.refused);
        let Some(SipCommand::Proxy { targets }) = self.command else { panic!("{self:?}") };
        targets
    }
}

#[derive(Default)]
pub struct Server {
    pub tables: Tables,
    pub attributes: BTreeMap<String, Vec<u8>>,
}

impl Server {
    /// Accounts of alice and bob; bob is registered with one phone.
    pub fn new() -> Self {
        let tables = Tables::of(&[CallControl::descriptor()]);
        let mut server = Server { tables, ..Server::default() };
        for user in ["alice", "bob"] {
            let key = Account::key(user, "example.com");
            server.tables.put(ACCOUNTS, &key, encode(&account(user)).expect("a row"));
        }
        server.register("bob", &[contact(1, 600, 1000)]);
        server
    }

    pub fn with_open_calls(mut self) -> Self {
        self.tables.put(POLICY, OPEN_CALLS, encode(&true).expect("a row"));
        self
    }

    pub fn answered_by_another_service(mut self) -> Self {
        self.attributes.insert(REFUSED.to_owned(), encode(&true).expect("an attribute"));
        self
    }

    pub fn register(&mut self, user: &str, contacts: &[Contact]) {
        let row = Registrations { contacts: contacts.to_vec(), ..Registrations::default() };
        let key = party(user).address_of_record;
        self.tables.put(REGISTRATIONS, &key, encode(&row).expect("a row"));
    }

    /// Delivers the event; the entity must be gone after it.
    pub fn send<E: EventPayload>(&self, payload: &E) -> Reaction {
        let cell = CellId { cohort: CohortId(7), number: 1 };
        let activity = ActivityId { cell, number: 0 };
        let event = Event::new(activity, payload).expect("an event");
        let deliver =
            Deliver::first("call-control", event).with_attributes(self.attributes.clone());
        let outcome =
            invoke::<CallControl>(&Deliver { tables: self.tables.clone(), now: NOW, ..deliver });
        let Outcome::Delivered { effects, .. } = outcome else { panic!("{outcome:?}") };
        assert!(matches!(effects.last(), Some(Effect::Detach { .. })));
        let (alarms, traces) = (Vec::new(), Vec::new());
        let mut reaction = Reaction { command: None, refused: false, alarms, traces };
        for effect in effects {
            match effect {
                Effect::Command { payload, .. } => {
                    assert!(reaction.command.is_none(), "one command to each request");
                    reaction.command = Some(decode(&payload).expect("a command"));
                }
                Effect::SetAttribute { name, .. } => reaction.refused |= name == REFUSED,
                Effect::RaiseAlarm { text, .. } => reaction.alarms.push(text),
                Effect::Trace { text, .. } => reaction.traces.push(text),
                Effect::Detach { .. } | Effect::Usage(_) => {}
                other => panic!("call control has no use for {other:?}"),
            }
        }
        reaction
    }
}

pub fn account(user: &str) -> Account {
    Account::with_password(user, "example.com", "secret")
}

pub fn party(user: &str) -> Party {
    let uri = format!("sip:{user}@example.com");
    Party { uri: uri.clone(), user: user.to_owned(), address_of_record: uri, ..Party::default() }
}

/// Phone number `number`, which stays registered for so many seconds.
pub fn contact(number: u8, expires_s: u64, q_thousandths: u16) -> Contact {
    Contact {
        uri: format!("sip:phone{number}@10.0.0.{number}"),
        source: format!("192.0.2.{number}:5060"),
        q_thousandths,
        expires_at: NOW + Duration::from_secs(expires_s),
        call_id: "c".to_owned(),
        cseq: 1,
        ..Contact::default()
    }
}

/// The target that [`contact`] makes.
pub fn target(number: u8) -> Target {
    let contact = contact(number, 0, 0);
    Target { uri: contact.uri, destination: contact.source, ..Target::default() }
}

/// An INVITE with the caller's right credentials.
pub fn invite(caller: &str, callee: &str) -> Invite {
    Invite {
        call_id: "call-1".to_owned(),
        request_uri: party(callee).uri,
        callee: party(callee),
        caller: party(caller),
        set_up_at: NOW,
        source: "192.0.2.77:5060".to_owned(),
        credentials: Some(credentials(caller, "INVITE")),
        barred_s: None,
    }
}

/// Another request with the right credentials of alice.
pub fn request(method: &str, request_uri: &str) -> OtherRequest {
    OtherRequest {
        method: method.to_owned(),
        request_uri: request_uri.to_owned(),
        callee: Party::default(),
        from: party("alice"),
        to: party("somebody"),
        credentials: Some(credentials("alice", method)),
        source: "192.0.2.77:5060".to_owned(),
        barred_s: None,
    }
}

pub fn credentials(user: &str, method: &str) -> Credentials {
    let mut credentials = Credentials {
        username: user.to_owned(),
        realm: "example.com".to_owned(),
        nonce: "nonce-1".to_owned(),
        uri: "sip:bob@example.com".to_owned(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        qop: Some(QopAuth { nc: "00000001".to_owned(), cnonce: "abc".to_owned() }),
        method: method.to_owned(),
        nonce_fresh: true,
    };
    credentials.response = credentials.expected(&account(user).ha1);
    credentials
}
