//! A node alone, with SIP and the telephony services, a disk that never fails and a clock that
//! stands still unless it is told to pass.

use resilee_call_billing::{BILLS, CallBilling};
use resilee_call_control::CallControl;
use resilee_core::management::Status;
use resilee_core::{Adaptors, Core, CoreConfig, Input, Limits, Output, Peer, Restored, StoreOp};
use resilee_membership::{Balancers, Flow, Key, RunId, Transport, Unclean};
use resilee_registrar::Registrar;
use resilee_sbb::{CellId, CohortId, LinkedSbb, Tables, Timestamp, encode};
use resilee_sip_api::{ACCOUNTS, Account, Contact, REGISTRATIONS, Registrations};
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{CallLimits, SipRa, SipRaConfig};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

const SERVICES: [LinkedSbb; 3] =
    [LinkedSbb::of::<CallControl>(), LinkedSbb::of::<CallBilling>(), LinkedSbb::of::<Registrar>()];

/// Timeouts that may be due at one moment: more, and one of them is set again and again.
const TIMEOUTS_MAX: usize = 10_000;

/// When its world begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The cluster's key.
pub fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

/// The address of this name.
pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Between this phone and the node.
pub fn flow(remote: &str) -> Flow {
    Flow { remote: address(remote), local: address("198.51.100.1:5060"), transport: Transport::Udp }
}

/// The adaptor of a run.
pub fn adaptor(cohort: CohortId) -> SipRa {
    SipRa::new(SipRaConfig {
        advertise: address("198.51.100.1:5060").into(),
        key: key().derive("sip"),
        seed: 1,
        cohort,
        timers: TimerConfig::default(),
        calls: CallLimits::default(),
    })
}

/// The node.
pub struct Alone {
    core: Core,
    now: Timestamp,
    /// What phones got, and where.
    sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Calls of which a bill was written: a journal has one of each.
    bills: BTreeSet<CellId>,
}

impl Alone {
    /// One that serves calls, and knows `server2` as its peer if it has one.
    pub fn new(has_peer: bool) -> Self {
        let me = RunId { node: "server1".parse().expect("a name"), incarnation: START.as_millis() };
        let peer =
            Peer { name: "server2".parse().expect("a name"), address: address("192.0.2.2:7000") };
        let adaptors = Adaptors::first("sip", Box::new(adaptor(me.cohort())));
        let config = CoreConfig {
            me,
            key: key(),
            peers: has_peer.then_some(peer).into_iter().collect(),
            behind_balancer: false,
            balancers: Balancers::default(),
            // Rare: what is looked at is what bytes do.
            heartbeat_ms: 10_000,
            missed: 6,
            cold_start_ms: 0,
            unclean: Unclean::Refuse,
            limits: Limits::default(),
        };
        let core = Core::new(START, config, &SERVICES, adaptors, tables(), Restored::default());
        let mut alone = Alone { core, now: START, sent: Vec::new(), bills: BTreeSet::new() };
        alone.drain();
        alone
    }

    /// A phone says something: what phones get for it, and where.
    pub fn hear(&mut self, from: &str, message: impl AsRef<[u8]>) -> Vec<(SocketAddr, Vec<u8>)> {
        self.sent.clear();
        self.feed(Input::Datagram { flow: flow(from), bytes: message.as_ref().to_vec() });
        std::mem::take(&mut self.sent)
    }

    /// How many bills were written.
    pub fn bills(&self) -> usize {
        self.bills.len()
    }

    /// What operators see.
    pub fn status(&self) -> Status {
        self.core.status(self.now)
    }

    /// Gives it an input and carries out what comes of it.
    pub fn feed(&mut self, input: Input) {
        self.core.handle_input(self.now, input);
        self.drain();
        self.check();
    }

    fn check(&self) {
        let wrong = self.core.inconsistencies();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// Time passes.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut at_once = 0;
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= end) {
            at_once = if due > self.now { 0 } else { at_once + 1 };
            assert!(at_once < TIMEOUTS_MAX, "timeouts without end at {}", self.now);
            self.now = self.now.max(due);
            self.core.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
        self.check();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            let answer = match output {
                Output::Deliver(deliver) => {
                    let named = |it: &&LinkedSbb| it.descriptor().name == deliver.service;
                    let service = SERVICES.iter().find(named).expect("a known service");
                    Input::Outcome { delivery: deliver.id, outcome: service.invoke(&deliver) }
                }
                Output::Store(batch) => {
                    let bill = |op: &StoreOp| match op {
                        StoreOp::Record { journal, cell, .. } if journal == BILLS => Some(*cell),
                        _ => None,
                    };
                    self.bills.extend(batch.ops.iter().filter_map(bill));
                    Input::Stored { number: batch.number }
                }
                Output::Datagram { flow, bytes } => {
                    self.sent.push((flow.remote, bytes));
                    continue;
                }
                Output::SaveVote { number, .. } => Input::VoteSaved { number },
                _ => continue,
            };
            self.core.handle_input(self.now, answer);
        }
    }
}

/// Alice and Bob have accounts, and Bob is registered.
fn tables() -> Tables {
    let mut tables = Tables::default();
    for user in ["alice", "bob"] {
        let account = Account::with_password(user, "example.test", "secret");
        let row = encode(&account).expect("plain data");
        tables.put(ACCOUNTS, &Account::key(user, "example.test"), row);
    }
    tables.put(
        resilee_call_control::POLICY,
        resilee_call_control::OPEN_CALLS,
        encode(&true).expect("plain data"),
    );
    let contact = Contact {
        uri: "sip:bob@192.0.2.20:5060".to_owned(),
        source: "192.0.2.20:5060".to_owned(),
        q_thousandths: 1_000,
        expires_at: START + Duration::from_secs(3_600),
        call_id: "registration".to_owned(),
        cseq: 1,
        instance: None,
        reg_id: None,
        path: Vec::new(),
    };
    let row = Registrations { contacts: vec![contact], nonces: Vec::new() };
    let registrations = encode(&row).expect("plain data");
    tables.put(REGISTRATIONS, "sip:bob@example.test", registrations);
    tables
}
