//! A node that exists only as what it answers: for tests of the site, and for the preview that a
//! designer looks at. States and bills are made by the real billing service.

use crate::fake_profiles::{self, Profiles};
use resilee_admin_ui::Ask;
use resilee_call_billing::{CallBilling, TARIFFS, Tariff};
use resilee_core::StoredRecord;
use resilee_core::management::{
    ActivitySnapshot, AdaptorState, AdaptorStatus, Alarm, Answer, BalancerStatus, CellSnapshot,
    Changed, Command, EntitySnapshot, LeftoverPage, LeftoverRow, PeerStatus, Query, Removal,
    SampleStatus, Search, ServiceState, ServiceStatus, SleeState, Status, TracerStatus,
    UsageSetStatus, UsageStatus, UsageSum,
};
use resilee_membership::{RunId, SeatProcess, View};
use resilee_sbb::{
    ActivityId, CellId, Deliver, Effect, Event, EventPayload, Outcome, Sbb, Severity, StateBytes,
    Tables, Timestamp, TraceLevel, encode, invoke,
};
use resilee_sip_api::{Answered, EndCause, Ended, Invite, Party, Side};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 2026-05-01 14:03:22.120 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_777_644_202_120);
/// When its runs started: a day before.
const STARTED: u64 = NOW.as_millis() - 86_400_000;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The tracers of a node: one with a level of its own, one that writes too much.
fn tracers() -> Vec<TracerStatus> {
    let tracer = |name: &str, given: Option<TraceLevel>, lines, left_out| {
        let (name, effective) = (name.to_owned(), given.unwrap_or_default());
        TracerStatus { name, given, effective, lines, left_out }
    };
    vec![
        tracer("root", Some(TraceLevel::Info), 0, 0),
        tracer("call-billing", None, 12, 0),
        tracer("call-billing.rating", Some(TraceLevel::Fine), 48_211, 310),
        tracer("call-control", None, 7, 0),
        tracer("registrar", None, 1_204, 0),
    ]
}

/// What billing counted and measured, in two sets.
fn usage() -> UsageStatus {
    let (count, min, max, mean_milli) = (31_872, 1, 14_016, 74_251);
    let talk = SampleStatus { count, min, max, mean_milli, p50: 61, p95: 263, p99: 1_119 };
    let set = |set: &str, bills, talk| UsageSetStatus {
        set: set.to_owned(),
        counters: [("bills".to_owned(), bills)].into(),
        samples: [("talk_s".to_owned(), talk)].into(),
    };
    let sets = vec![set("", 31_872, talk), set("gold", 0, SampleStatus::default())];
    UsageStatus { since: NOW - seconds(86_400), sets, refused: 0 }
}

/// What the node would answer.
pub struct FakeNode {
    pub status: Status,
    pub cells: Vec<CellSnapshot>,
    pub records: Vec<StoredRecord>,
    /// Why it answers nothing.
    pub unavailable: Option<String>,
    pub tariff: Tariff,
    /// Profiles by table and name.
    pub profiles: Profiles,
    /// What it finds that may be left over.
    pub leftovers: Vec<LeftoverRow>,
    /// Removals that it was asked for.
    pub removed: Vec<Removal>,
    /// What it answers to changes, instead of making them.
    pub changed: Option<Changed>,
    /// The parts of a unit that it has got.
    pub upload: Vec<u8>,
    /// It was built with a compiler.
    pub compiles: bool,
    next_call: u64,
}

/// One call through its life: what the billing service makes of it.
pub struct FakeCall {
    id: CellId,
    state: Option<StateBytes>,
    tables: Tables,
    bill: Option<Vec<u8>>,
}

impl FakeNode {
    /// `server1`, in view 2 with `server2`, behind a balancer; no calls, no bills.
    pub fn new() -> Self {
        let (server1, server2) = (run("server1", STARTED), run("server2", STARTED + 1));
        let first = View::default().next(vec![server1.clone()], &server1);
        let view = first.next(vec![server1.clone(), server2], &server1);
        let peer = |name: &str, linked| PeerStatus {
            name: name.to_owned(),
            last_heard: Some(NOW - Duration::from_millis(23)),
            alive: true,
            linked,
            unacknowledged: 0,
            clock_offset_ms: Some(0),
        };
        let balancer = BalancerStatus {
            name: None,
            holds_seat: true,
            last_heard: Some(NOW - Duration::from_millis(23)),
            alive: true,
            ready: true,
            process: Some(SeatProcess {
                up_ms: 90_000,
                sockets_kept: true,
                restarts: 2,
                holds_address: None,
                dropped: BTreeMap::from([("from a client, too long".to_owned(), 1_234)]),
            }),
        };
        let service = |name: &str, priority| ServiceStatus {
            name: name.to_owned(),
            vendor: "resilee".to_owned(),
            version: "0.1.0".to_owned(),
            priority,
            state: ServiceState::Active,
            unit: "telephony".to_owned(),
            needs: Vec::new(),
            needed_by: Vec::new(),
            entities_in_cluster: 0,
            entities: 0,
            migration: None,
            delivered: 0,
            rolled_back: 0,
            usage: (name == "call-billing").then(usage),
        };
        let services =
            vec![service("registrar", 20), service("call-control", 10), service("call-billing", 0)];
        let status = Status {
            run: server1,
            now: NOW,
            view,
            member: true,
            draining: false,
            slee: SleeState::Running,
            peers: vec![peer("server2", true)],
            balancers: vec![balancer],
            adaptors: vec![AdaptorStatus {
                name: "sip".to_owned(),
                state: AdaptorState::Active,
                removed: false,
                activities_in_cluster: 0,
                activities: 0,
                properties: BTreeMap::new(),
            }],
            services,
            units: Vec::new(),
            cells: BTreeMap::new(),
            activities: 0,
            commits: 0,
            gated: 0,
            dropped: BTreeMap::new(),
            alarms: Vec::new(),
            tracers: tracers(),
            peer_alarms: BTreeMap::new(),
            orphans: 0,
        };
        let tariff = Tariff {
            prefix: String::new(),
            currency: "EUR".to_owned(),
            connect_fee: "0.05".parse().expect("an amount"),
            per_minute: "0.12".parse().expect("an amount"),
            increment_s: 1,
        };
        let (cells, records) = (Vec::new(), Vec::new());
        let profiles = fake_profiles::configured(&tariff);
        let (unavailable, changed) = (None, None);
        FakeNode {
            status,
            cells,
            records,
            unavailable,
            tariff,
            profiles,
            leftovers: Vec::new(),
            removed: Vec::new(),
            changed,
            upload: Vec::new(),
            compiles: true,
            next_call: 1,
        }
    }

    /// The function that the site asks.
    pub fn ask(node: &Arc<Mutex<FakeNode>>) -> Ask {
        let node = Arc::clone(node);
        Arc::new(move |query| {
            let mut node = node.lock().expect("no test panics while it holds it");
            let answer = match query {
                Query::Command(command) => node.obey(&command),
                Query::Change(change) => node.change(change),
                query => node.answer(query),
            };
            Box::pin(async move { answer })
        })
    }

    /// Answers one question.
    pub fn answer(&self, query: Query) -> Answer {
        if let Some(reason) = &self.unavailable {
            return Answer::Unavailable(reason.clone());
        }
        match query {
            Query::Status => Answer::Status(Box::new(self.status.clone())),
            Query::Cells { limit } => {
                Answer::Cells(self.cells.iter().rev().take(limit).cloned().collect())
            }
            Query::Records { journal, from, limit } if journal == "bills" => {
                let wanted = self.records.iter().filter(|record| record.sequence >= from);
                Answer::Records(wanted.take(limit).cloned().collect())
            }
            Query::Records { .. } => Answer::Records(Vec::new()),
            Query::UsageSum { service } => self.usage_sum(&service),
            Query::Leftovers(search) => self.find_leftovers(&search),
            Query::DescribeUnit { bytes } => self.describe_unit(&bytes),
            Query::ProfileTables => self.profile_tables(),
            Query::Profiles { table, from, limit } => self.profiles_of(&table, &from, limit),
            Query::Change(_) => Answer::Refused("it is told through change()".to_owned()),
            Query::Command(_) => Answer::Refused("it is told through obey()".to_owned()),
        }
    }

    /// Does at once what it is told, unless it has a reason not to.
    pub fn obey(&mut self, command: &Command) -> Answer {
        let this = self.status.run.clone();
        match command {
            Command::HandOver { cohort, to } => {
                let Some(heir) = self.status.view.member(to).cloned() else {
                    return Answer::Refused(format!("{to} is no member"));
                };
                for (id, owner) in &mut self.status.view.cohorts {
                    if cohort.is_none_or(|cohort| cohort == *id) && *owner == this {
                        *owner = heir.clone();
                    }
                }
                self.status.view.number += 1;
            }
            Command::Force => self.status.view = self.status.view.next(vec![this.clone()], &this),
            Command::ForgetOrphans => self.status.orphans = 0,
        }
        Answer::Accepted
    }

    /// The figures of this node, as if the other one had none.
    fn usage_sum(&self, service: &str) -> Answer {
        let known = self.status.services.iter().find(|known| known.name == service);
        let Some(usage) = known.and_then(|known| known.usage.clone()) else {
            return Answer::Refused(format!("{service} declares no usage parameters"));
        };
        let others = self.status.peers.iter();
        let others = others.map(|peer| peer.name.parse().expect("a name"));
        let nodes = [self.status.run.node.clone()].into_iter().chain(others).collect();
        Answer::UsageSum(Box::new(UsageSum { service: service.to_owned(), usage, nodes }))
    }

    fn find_leftovers(&self, search: &Search) -> Answer {
        let wanted = |row: &&LeftoverRow| match &search.service {
            Some(service) => row.services.contains(service),
            None => true,
        };
        let rows = self.leftovers.iter().filter(wanted);
        let mut rows: Vec<_> = rows.cloned().collect();
        let next = rows.get(search.limit).map(|row| row.what.cell());
        rows.truncate(search.limit);
        Answer::Leftovers(LeftoverPage { rows, next })
    }

    /// A call that rings since `ago`.
    pub fn ringing(&mut self, caller: &str, callee: &str, ago: Duration) -> String {
        let mut call = self.invite(caller, callee, self.status.now - ago);
        self.keep(&mut call)
    }

    /// A call that is answered since `ago`, by the node that owns it.
    pub fn talking(&mut self, caller: &str, callee: &str, ago: Duration) -> String {
        let at = self.status.now - ago;
        let mut call = self.invite(caller, callee, at - seconds(4));
        let node = self.owner(call.id).unwrap_or_default();
        call.deliver(&Answered { at, node });
        self.keep(&mut call)
    }

    /// A bill of a call that ended `ago` after `talk`; its id.
    pub fn bill(&mut self, caller: &str, callee: &str, talk: Duration, ago: Duration) -> String {
        self.bill_of_nodes(caller, callee, talk, ago, ["server1", "server1"])
    }

    /// A bill of a call that one node answered and another one closed.
    pub fn bill_of_nodes(
        &mut self,
        caller: &str,
        callee: &str,
        talk: Duration,
        ago: Duration,
        [answered_by, closed_by]: [&str; 2],
    ) -> String {
        let ended_at = self.status.now - ago;
        let mut call = self.invite(caller, callee, ended_at - talk - seconds(6));
        call.deliver(&Answered { at: ended_at - talk, node: answered_by.to_owned() });
        let node = closed_by.to_owned();
        call.deliver(&Ended { at: ended_at, by: Side::Caller, node, cause: EndCause::Bye });
        let record = call.bill.take().expect("an answered call that ended has a bill");
        self.record(call.id, record);
        call.id.to_string()
    }

    /// A record that is no bill.
    pub fn unreadable(&mut self) -> String {
        let id = self.next_id();
        self.record(id, vec![0xc1, 1, 2]);
        id.to_string()
    }

    /// Raises an alarm.
    pub fn alarm(&mut self, source: &str, text: &str, ago: Duration, count: u64) {
        let raised_at = self.status.now - ago;
        let (source, text) = (source.to_owned(), text.to_owned());
        let id = self.status.alarms.len() as u64 + 1;
        let (severity, last_at) = (Severity::Major, raised_at);
        let alarm =
            Alarm { id, source, severity, text, raised_at, last_at, count, ..Alarm::default() };
        self.status.alarms.push(alarm);
    }

    /// Raises an alarm at `server2`.
    pub fn peer_alarm(&mut self, source: &str, text: &str, ago: Duration) {
        let raised_at = self.status.now - ago;
        let (source, text) = (source.to_owned(), text.to_owned());
        let alarms = self.status.peer_alarms.entry("server2".to_owned()).or_default();
        let (severity, count) = (Severity::Minor, 1);
        alarms.push(Alarm { source, severity, text, raised_at, count, ..Alarm::default() });
    }

    /// `server2` dies, and `server1` goes on alone in the next view.
    pub fn server2_dies(&mut self) {
        let (this, now) = (self.status.run.clone(), self.status.now);
        self.status.view = self.status.view.next(vec![this.clone()], &this);
        let peer = &mut self.status.peers[0];
        (peer.alive, peer.linked, peer.unacknowledged) = (false, false, 3);
        peer.last_heard = Some(now - Duration::from_millis(2_340));
        for cell in &mut self.cells {
            cell.owner = Some(this.node.to_string());
        }
        let all = self.status.cells.values().sum();
        self.status.cells = BTreeMap::from([(this.node.to_string(), all)]);
    }

    /// Time passes, and the heartbeats of the living come.
    pub fn now_is(&mut self, now: Timestamp) {
        let passed = now.since(self.status.now);
        self.status.now = now;
        for peer in self.status.peers.iter_mut().filter(|peer| peer.alive) {
            peer.last_heard = peer.last_heard.map(|at| at + passed);
        }
        for balancer in self.status.balancers.iter_mut().filter(|balancer| balancer.alive) {
            balancer.last_heard = balancer.last_heard.map(|at| at + passed);
        }
    }

    /// Cells are born in turn in the runs of both nodes.
    fn next_id(&mut self) -> CellId {
        let number = self.next_call;
        self.next_call += 1;
        let node = if number.is_multiple_of(2) {
            run("server2", STARTED + 1)
        } else {
            run("server1", STARTED)
        };
        CellId { cohort: node.cohort(), number }
    }

    fn owner(&self, id: CellId) -> Option<String> {
        self.status.view.owner(id.cohort).map(|owner| owner.node.to_string())
    }

    fn record(&mut self, cell: CellId, record: Vec<u8>) {
        let sequence = self.records.len() as u64 + 1;
        self.records.push(StoredRecord { sequence, cell, record });
    }

    fn invite(&mut self, caller: &str, callee: &str, set_up_at: Timestamp) -> FakeCall {
        let mut tables = Tables::of(&[CallBilling::descriptor()]);
        tables.put(TARIFFS, "", encode(&self.tariff).expect("a row"));
        let mut call = FakeCall { id: self.next_id(), state: None, tables, bill: None };
        let (caller, callee) = (party(caller), party(callee));
        call.deliver(&Invite {
            call_id: format!("{}@phone.example.org", call.id),
            request_uri: callee.uri.clone(),
            callee,
            caller,
            set_up_at,
            source: "192.0.2.1:5060".to_owned(),
            credentials: None,
            barred_s: None,
        });
        call
    }

    fn keep(&mut self, call: &mut FakeCall) -> String {
        let id = call.id;
        let owner = self.owner(id);
        let service = "call-billing".to_owned();
        let state = call.state.take().expect("a call that was set up has a state");
        self.cells.push(CellSnapshot {
            id: id.to_string(),
            owner: owner.clone(),
            born_at: self.status.now,
            activities: vec![ActivitySnapshot {
                id: format!("{id}/a1"),
                attributes: vec!["call-control.target".to_owned()],
                attached: vec!["call-control".to_owned(), service.clone()],
                ending: false,
            }],
            entities: vec![EntitySnapshot { number: 1, service, state }],
        });
        *self.status.cells.entry(owner.unwrap_or_default()).or_default() += 1;
        self.status.activities += 1;
        id.to_string()
    }
}

impl FakeCall {
    fn deliver<E: EventPayload>(&mut self, payload: &E) {
        let activity = ActivityId { cell: self.id, number: 1 };
        let event = Event::new(activity, payload).expect("an event");
        let deliver = Deliver {
            tables: self.tables.clone(),
            now: NOW,
            ..Deliver::first("call-billing", event).with_state(self.state.take())
        };
        match invoke::<CallBilling>(&deliver) {
            Outcome::Delivered { entities, effects, .. } => {
                self.state = entities.into_iter().next().map(|entity| entity.state);
                for effect in effects {
                    if let Effect::Record { record, .. } = effect {
                        self.bill = Some(record);
                    }
                }
            }
            other => panic!("billing was not delivered: {other:?}"),
        }
    }
}

fn run(node: &str, incarnation: u64) -> RunId {
    RunId { node: node.parse().expect("a node name"), incarnation }
}

fn party(address: &str) -> Party {
    let uri = format!("sip:{address}");
    let user = address.split('@').next().unwrap_or_default().to_owned();
    Party { display: String::new(), uri: uri.clone(), user, address_of_record: uri }
}
