//! One adaptor with just enough of a core around it: cells by key, commits, timers, and a node
//! that can be killed. What stands for call control is a [`Policy`].
#![allow(dead_code, reason = "each test file uses its part of the harness")]

pub mod own_call;
pub mod phone;

use resilee_core::{Adoption, Egress, Endpoint, Ingress, Missed, PassedOn, ResourceAdaptor, Route};
use resilee_membership::{Flow, Transport};
use resilee_sbb::{ActivityId, CellId, CohortId, Event, EventPayload, Timestamp, encode};
use resilee_sip_api::{
    Account, Algorithm, Invite, OtherRequest, PhoneCall, Register, SipCommand, Target,
};
use resilee_sip_proto::{HeaderName, Message, TimerConfig};
use resilee_sip_ra::{Advertised, CallLimits, SipRa, SipRaConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub const BALANCER: &str = "198.51.100.1:5060";
/// The same for IPv6.
pub const BALANCER_V6: &str = "[2001:db8::100]:5060";

/// What the service does with a request that begins an activity.
#[derive(Clone)]
pub enum Policy {
    Say(Vec<SipCommand>),
    /// To these contacts: URI, destination.
    ProxyTo(Vec<(&'static str, &'static str)>),
    /// To one contact, by these proxies.
    ProxyBy(Target),
    /// As registrar and call control: who proves this account is accepted, and calls Bob.
    Account(Account),
}

/// What one or several steps did.
#[derive(Default)]
pub struct Turn {
    pub sent: Vec<Egress>,
    pub events: Vec<Event>,
    pub alarms: Vec<String>,
    /// What was counted as refused.
    pub refused: Vec<&'static str>,
    /// Why it was dropped.
    pub dropped: Option<&'static str>,
    /// Steps that were commits.
    pub commits: usize,
}

impl Turn {
    /// What was sent to `address`, as text.
    pub fn to(&self, address: &str) -> Vec<String> {
        let to_it = |sent: &&Egress| sent.flow.remote == flow(address).remote;
        let text = |sent: &Egress| String::from_utf8(sent.bytes.clone()).expect("text");
        self.sent.iter().filter(to_it).map(text).collect()
    }

    /// The one message that was sent to `address`.
    #[track_caller]
    pub fn only(&self, address: &str) -> String {
        let mut sent = self.to(address);
        assert_eq!(sent.len(), 1, "to {address}: {sent:#?}");
        sent.remove(0)
    }

    /// The BYE of the server's own that was sent to `address`.
    #[track_caller]
    pub fn our_bye(&self, address: &str) -> String {
        let mut byes = self.to(address);
        byes.retain(|it| it.starts_with("BYE "));
        assert_eq!(byes.len(), 1, "to {address}: {:?}", self.sent);
        assert_eq!(parse(&byes[0]).values(HeaderName::Via).len(), 1);
        byes.remove(0)
    }

    /// First lines of what was sent to `address`, cut behind the status or method.
    pub fn lines(&self, address: &str) -> Vec<String> {
        let line = |text: String| {
            let first = text.lines().next().unwrap_or_default().replace("SIP/2.0 ", "");
            first.split(' ').next().unwrap_or_default().to_owned()
        };
        self.to(address).into_iter().map(line).collect()
    }

    #[track_caller]
    pub fn event<E: EventPayload>(&self) -> E {
        let mut found = self.events.iter().filter_map(|it| it.get::<E>().expect("readable"));
        let event = found.next().unwrap_or_else(|| panic!("no {}", E::TYPE));
        assert!(found.next().is_none(), "two {}", E::TYPE);
        event
    }

    pub fn types(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.event_type.as_str()).collect()
    }

    /// A retransmission: nothing new for services and nothing for the backup.
    #[track_caller]
    pub fn assert_changes_nothing(&self) {
        assert_eq!((self.types(), self.commits), (Vec::<&str>::new(), 0));
    }

    /// Nothing new for services or phones.
    #[track_caller]
    pub fn assert_changes_nothing_but_its_state(&self) {
        assert_eq!((self.types(), self.sent.len()), (Vec::<&str>::new(), 0));
    }

    fn add(&mut self, other: Turn) {
        self.sent.extend(other.sent);
        self.events.extend(other.events);
        self.alarms.extend(other.alarms);
        self.refused.extend(other.refused);
        self.commits += other.commits;
    }
}

/// What became of a message of a call that no node has.
pub struct Passed {
    turn: Turn,
    /// What the call must hear of.
    pub missed: Option<Vec<u8>>,
}

impl std::ops::Deref for Passed {
    type Target = Turn;

    fn deref(&self) -> &Turn {
        &self.turn
    }
}

/// What the backup holds, and what services have heard.
#[derive(Clone, Default)]
struct Held {
    cells: BTreeMap<u64, CellId>,
    activities: BTreeMap<CellId, u32>,
    /// The committed state of each living activity.
    states: BTreeMap<ActivityId, Vec<u8>>,
    /// Types of all events so far.
    history: Vec<String>,
}

/// A node, and the backup of its state.
pub struct Node {
    pub ra: SipRa,
    pub now: Timestamp,
    pub policy: Policy,
    name: &'static str,
    cohort: CohortId,
    algorithms: Vec<Algorithm>,
    held: Held,
}

impl Node {
    pub fn new(policy: Policy) -> Self {
        Node::offering(policy, &[Algorithm::Md5])
    }

    /// A node whose challenges offer these, the preferred one first.
    pub fn offering(policy: Policy, algorithms: &[Algorithm]) -> Self {
        let cohort = CohortId(0xa);
        Node {
            ra: adaptor(cohort, 1).with_algorithms(algorithms),
            now: Timestamp::from_millis(1_000_000),
            policy,
            name: "server1",
            cohort,
            algorithms: algorithms.to_vec(),
            held: Held::default(),
        }
    }

    /// A node whose service sends every call to Bob.
    pub fn for_bob() -> Self {
        Node::new(Policy::ProxyTo(vec![(phone::BOB_CONTACT, phone::BOB)]))
    }

    /// A message arrives.
    pub fn receive(&mut self, from: &str, message: impl AsRef<[u8]>) -> Turn {
        let bytes = message.as_ref().to_vec();
        let ingress = Ingress::new(flow(from), bytes);
        match self.ra.route(self.now, &ingress) {
            Route::Drop(reason) => Turn { dropped: Some(reason), ..Turn::default() },
            // Of a call of the server's own.
            Route::Known(cell) if self.held.cells.values().any(|it| *it == cell) => {
                self.step(cell, |ra, endpoint| ra.receive(endpoint, &ingress))
            }
            Route::Known(_) => {
                let sent = self.ra.unknown(self.now, &ingress);
                Turn { sent, ..Turn::default() }
            }
            Route::Answer(sent) => Turn { sent, ..Turn::default() },
            Route::Cell { key, creates, .. } => {
                if !creates && !self.held.cells.contains_key(&key) {
                    let sent = self.ra.unknown(self.now, &ingress);
                    return Turn { sent, ..Turn::default() };
                }
                let number = self.held.cells.len() as u64 + 1;
                let cell = CellId { cohort: self.cohort, number };
                let cell = *self.held.cells.entry(key).or_insert(cell);
                self.step(cell, |ra, endpoint| ra.receive(endpoint, &ingress))
            }
        }
    }

    /// Time passes; timers fire when they are due.
    pub fn wait(&mut self, millis: u64) -> Turn {
        let end = self.now + Duration::from_millis(millis);
        let mut turn = Turn::default();
        while let Some((at, activity)) = self.next_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            turn.add(self.step(activity.cell, |ra, endpoint| ra.timeout(endpoint, activity)));
        }
        self.now = end;
        turn
    }

    /// The node dies; another takes over what the backup has.
    pub fn take_over(&mut self) -> Turn {
        self.adopt(Adoption::Takeover)
    }

    /// The same of a node whose only activity has a state that may be no record.
    pub fn try_to_take_over(&mut self) -> Result<(), resilee_sbb::Failure> {
        let state = self.held_state().clone();
        let activity = *self.held.states.keys().next().expect("an activity");
        let mut endpoint = Endpoint::new(self.now, "server2", activity.cell, 1);
        let mut survivor = adaptor(CohortId(0xb), 2);
        survivor.adopt(&mut endpoint, activity, &state, Adoption::Takeover)
    }

    /// Marshalled state of the only activity, as the backup has it.
    pub fn held_state(&mut self) -> &mut Vec<u8> {
        assert_eq!(self.held.states.len(), 1, "one activity");
        self.held.states.values_mut().next().expect("one activity")
    }

    /// All nodes were dead; one starts from its store.
    pub fn cold_start(&mut self) -> Turn {
        self.adopt(Adoption::ColdStart)
    }

    /// The store that has the calls was away while others lived.
    pub fn take_over_from_an_old_store(&mut self) -> Turn {
        self.adopt(Adoption::Stranded)
    }

    /// A message of a call that no node has; none if it is not passed on.
    pub fn pass_on(&mut self, from: &str, message: impl AsRef<[u8]>) -> Option<Passed> {
        let ingress = Ingress::new(flow(from), message.as_ref().to_vec());
        let PassedOn { egress, missed } = self.ra.pass_on(self.now, &ingress)?;
        Some(Passed { turn: Turn { sent: egress, ..Turn::default() }, missed })
    }

    /// The only call hears of what came while nobody had it.
    pub fn missed(&mut self, at: Timestamp, missed: &[u8]) -> Turn {
        self.missed_all(&[Missed { at, missed: missed.to_vec() }])
    }

    /// The same of several.
    pub fn missed_all(&mut self, missed: &[Missed]) -> Turn {
        let activity = *self.held.states.keys().next_back().expect("an activity");
        self.step(activity.cell, |ra, endpoint| ra.missed(endpoint, missed))
    }

    /// An operator asks whether the calls are still up.
    pub fn query_liveness(&mut self) -> Turn {
        self.each(SipRa::query_liveness)
    }

    /// An operator removes the adaptor; the activities end right behind this.
    pub fn removed(&mut self) -> Turn {
        self.each(SipRa::removed)
    }

    /// An operator ends the activities in order.
    pub fn end(&mut self) -> Turn {
        self.each(SipRa::end)
    }

    fn each(&mut self, act: impl Fn(&mut SipRa, &mut Endpoint, ActivityId)) -> Turn {
        let mut turn = Turn::default();
        for activity in self.held.states.keys().copied().collect::<Vec<_>>() {
            turn.add(self.step(activity.cell, |ra, endpoint| act(ra, endpoint, activity)));
        }
        turn
    }

    fn adopt(&mut self, adoption: Adoption) -> Turn {
        self.name = "server2";
        self.cohort = CohortId(0xb);
        self.ra = adaptor(self.cohort, 2).with_algorithms(&self.algorithms);
        let mut turn = Turn::default();
        for (activity, state) in self.held.states.clone() {
            turn.add(self.step(activity.cell, |ra, endpoint| {
                ra.adopt(endpoint, activity, &state, adoption).expect("state can be adopted");
            }));
        }
        turn
    }

    /// A message arrives, and the node dies before its commit is held: nothing of it happened.
    pub fn die_before_commit(&mut self, from: &str, message: impl AsRef<[u8]>) -> Turn {
        let held = self.held.clone();
        self.receive(from, message);
        self.held = held;
        self.take_over()
    }

    /// A message arrives, and the node dies with its commit held and nothing sent.
    pub fn die_after_commit(&mut self, from: &str, message: impl AsRef<[u8]>) -> Turn {
        self.receive(from, message);
        self.take_over()
    }

    /// Types of all events so far, of all nodes.
    pub fn history(&self) -> &[String] {
        &self.held.history
    }

    /// A service has phones called, in a cell that nothing else is in.
    pub fn call(&mut self, wanted: &PhoneCall) -> Result<Turn, resilee_sbb::Failure> {
        let number = self.held.cells.len() as u64 + 1;
        let cell = CellId { cohort: self.cohort, number };
        self.held.cells.insert(u64::MAX - number, cell);
        let activity = ActivityId { cell, number: 0 };
        let payload = encode(wanted).expect("plain data");
        let mut done = Ok(());
        let turn = self.step(cell, |ra, endpoint| {
            done = ra.start(endpoint, activity, &payload);
            if done.is_ok() {
                endpoint.changed(activity);
            }
        });
        done.map(|()| turn)
    }

    /// A service's command on the only activity.
    pub fn command(&mut self, command: &SipCommand) -> Result<Turn, resilee_sbb::Failure> {
        let activity = *self.held.states.keys().next_back().expect("an activity");
        let payload = encode(command).expect("plain data");
        let mut done = Ok(());
        let turn = self.step(activity.cell, |ra, endpoint| {
            done = ra.command(endpoint, activity, &payload);
        });
        done.map(|()| turn)
    }

    /// The container says that a service rolled back an event of the only activity.
    pub fn service_failed(&mut self) -> Turn {
        let activity = *self.held.states.keys().next_back().expect("an activity");
        self.step(activity.cell, |ra, endpoint| ra.event_processing_failed(endpoint, activity))
    }

    /// Bytes that the adaptor keeps, as a snapshot would have them.
    pub fn kept_bytes(&self) -> usize {
        self.held.states.keys().map(|activity| self.ra.marshal(*activity).len()).sum()
    }

    pub fn living_activities(&self) -> usize {
        self.held.states.len()
    }

    pub fn count(&self, event_type: &str) -> usize {
        self.held.history.iter().filter(|it| *it == event_type).count()
    }

    fn next_timeout(&self) -> Option<(Timestamp, ActivityId)> {
        let due = |id: &ActivityId| Some((self.ra.next_timeout(*id)?, *id));
        self.held.states.keys().filter_map(due).min()
    }

    fn step(&mut self, cell: CellId, act: impl FnOnce(&mut SipRa, &mut Endpoint)) -> Turn {
        let next = self.held.activities.get(&cell).copied().unwrap_or_default();
        let mut endpoint = Endpoint::new(self.now, self.name, cell, next);
        act(&mut self.ra, &mut endpoint);
        let events = endpoint.fired().to_vec();
        for event in &events {
            self.held.history.push(event.event_type.clone());
            for command in self.decide(event) {
                let payload = encode(&command).expect("plain data");
                let done = self.ra.command(&mut endpoint, event.activity, &payload);
                done.expect("the command can be carried out");
            }
        }
        // Commands fire events too (a refusal is `Rejected`).
        for event in &endpoint.fired()[events.len()..] {
            self.held.history.push(event.event_type.clone());
        }
        self.commit(&endpoint)
    }

    fn commit(&mut self, endpoint: &Endpoint) -> Turn {
        let cell = endpoint.cell();
        for activity in endpoint.changes() {
            self.held.states.insert(*activity, self.ra.marshal(*activity));
            let next = self.held.activities.entry(cell).or_default();
            *next = (*next).max(activity.number + 1);
        }
        for activity in endpoint.ended() {
            self.ra.forget(*activity);
            assert!(self.held.states.remove(activity).is_some(), "ended twice");
            if self.held.states.keys().all(|it| it.cell != cell) {
                self.held.cells.retain(|_, it| *it != cell);
            }
        }
        Turn {
            sent: endpoint.sent().to_vec(),
            events: endpoint.fired().to_vec(),
            alarms: endpoint.alarms().iter().map(|(_, text)| text.clone()).collect(),
            refused: endpoint.refused().to_vec(),
            dropped: None,
            commits: usize::from(!endpoint.changes().is_empty()),
        }
    }

    fn decide(&self, event: &Event) -> Vec<SipCommand> {
        let initial = [Invite::TYPE, Register::TYPE, OtherRequest::TYPE];
        if !initial.contains(&event.event_type.as_str()) {
            return Vec::new();
        }
        match &self.policy {
            Policy::Say(commands) => commands.clone(),
            Policy::ProxyBy(target) => vec![SipCommand::Proxy { targets: vec![target.clone()] }],
            Policy::Account(account) => vec![judged(account, event)],
            Policy::ProxyTo(contacts) => {
                let target = |(uri, destination): &(&str, &str)| Target {
                    uri: (*uri).to_owned(),
                    destination: (*destination).to_owned(),
                    ..Target::default()
                };
                vec![SipCommand::Proxy { targets: contacts.iter().map(target).collect() }]
            }
        }
    }
}

/// What registrar and call control answer.
fn judged(account: &Account, event: &Event) -> SipCommand {
    let (proxy, credentials, barred_s) = if let Some(it) = event.get::<Register>().expect("plain") {
        (false, it.credentials, it.barred_s)
    } else if let Some(it) = event.get::<Invite>().expect("plain") {
        (true, it.credentials, it.barred_s)
    } else {
        let it = event.get::<OtherRequest>().expect("plain").expect("the third kind");
        (true, it.credentials, it.barred_s)
    };
    let (realm, algorithms) = (account.realm.clone(), account.algorithms());
    let challenge = |stale| SipCommand::Challenge { realm, stale, proxy, algorithms };
    let respond = |status| SipCommand::Respond { status, reason: "".into(), headers: Vec::new() };
    match credentials {
        None => challenge(false),
        Some(_) if barred_s.is_some() => respond(503),
        Some(credentials) if !credentials.nonce_fresh => challenge(true),
        Some(credentials) if !credentials.prove(account) => challenge(false),
        Some(_) if !proxy => respond(200),
        Some(_) => {
            let (uri, destination) = (phone::BOB_CONTACT.into(), phone::BOB.into());
            let target = Target { uri, destination, ..Target::default() };
            SipCommand::Proxy { targets: vec![target] }
        }
    }
}

/// Reads a message that must be one.
#[track_caller]
pub fn parse(text: &str) -> Message<'_> {
    Message::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn adaptor(cohort: CohortId, seed: u64) -> SipRa {
    let [v4, v6] = [BALANCER, BALANCER_V6].map(|it| it.parse().expect("an address"));
    let advertise = Advertised::both(v4, v6).expect("one of each");
    let timers = TimerConfig::default();
    let calls = CallLimits::default();
    SipRa::new(SipRaConfig { advertise, key: [7; 32], seed, cohort, timers, calls })
}

/// The way of a message from this address; with `;transport=tcp` behind it, over TCP.
pub fn flow(remote: &str) -> Flow {
    let (remote, transport) = match remote.strip_suffix(";transport=tcp") {
        Some(remote) => (remote, Transport::Tcp),
        None => (remote, Transport::Udp),
    };
    let remote: SocketAddr = remote.parse().expect("an address");
    let local = if remote.is_ipv4() { BALANCER } else { BALANCER_V6 };
    Flow { remote, local: local.parse().expect("an address"), transport }
}
