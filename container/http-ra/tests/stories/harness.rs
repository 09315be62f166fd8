//! One cell with the adaptor of a node, which dies and is taken over.

use resilee_core::{Adoption, Endpoint, ResourceAdaptor, Route};
use resilee_http_api::{Call, HttpCommand, HttpRequest, HttpResponse};
use resilee_http_ra::{
    AllowedHosts, FromShell, HttpLimits, HttpRa, ToShell, Token, egress_of, ingress_of,
};
use resilee_sbb::{ActivityId, CellId, CohortId, Event, EventPayload, Failure, Timestamp, encode};
use std::collections::BTreeMap;
use std::time::Duration;

pub const TOKEN: Token = Token { shell: 7, number: 1 };
const CELL: CellId = CellId { cohort: CohortId(5), number: 9 };

/// What one step did.
#[derive(Debug, Default)]
pub struct Turn {
    pub said: Vec<ToShell>,
    pub events: Vec<Event>,
    pub ended: Vec<ActivityId>,
}

impl Turn {
    pub fn event<E: EventPayload>(&self) -> E {
        let mut found = self.events.iter().filter_map(|event| event.get::<E>().expect("readable"));
        found.next().unwrap_or_else(|| panic!("no {}: {self:?}", E::TYPE))
    }

    /// The answer to [`TOKEN`].
    pub fn answer(&self) -> &HttpResponse {
        match &self.said[..] {
            [ToShell::Respond { token: TOKEN, response }] => response,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// What is sent.
    pub fn call(&self) -> (ActivityId, &Call) {
        match &self.said[..] {
            [ToShell::Call { activity, call }] => (*activity, call),
            other => panic!("no call: {other:?}"),
        }
    }

    pub fn assert_nothing(&self) {
        assert!(self.said.is_empty() && self.events.is_empty() && self.ended.is_empty());
    }
}

/// The node that has the cell.
pub struct Node {
    pub now: Timestamp,
    pub limits: HttpLimits,
    ra: HttpRa,
    next_activity: u32,
    /// What the backup has.
    held: BTreeMap<ActivityId, Vec<u8>>,
}

pub fn limits() -> HttpLimits {
    let allow = AllowedHosts::parse(["crm.test", "127.0.0.1:8080"]).expect("hosts");
    HttpLimits { allow, requests_max: 3, calls_max: 2, body_bytes_max: 100, ..Default::default() }
}

impl Node {
    pub fn new() -> Self {
        let (now, limits) = (Timestamp::from_millis(1_000_000), limits());
        let ra = HttpRa::new(limits.clone());
        Node { now, limits, ra, next_activity: 1, held: BTreeMap::new() }
    }

    /// How the adaptor routes a message.
    pub fn route(&self, message: &FromShell) -> Route {
        self.ra.route(self.now, &ingress_of(resilee_core::AdaptorId(1), message))
    }

    /// What it is answered without a cell.
    pub fn refused(&self, request: HttpRequest) -> u16 {
        match self.route(&FromShell::Request { token: TOKEN, request }) {
            Route::Answer(answers) => match egress_of(&answers[0]) {
                Ok(ToShell::Respond { response, .. }) => response.status,
                other => panic!("{other:?}"),
            },
            other => panic!("it is not answered: {other:?}"),
        }
    }

    /// What it is answered while no cell may begin.
    pub fn refuse(&mut self, request: HttpRequest) -> HttpResponse {
        let message = FromShell::Request { token: TOKEN, request };
        let ingress = ingress_of(resilee_core::AdaptorId(1), &message);
        match egress_of(&self.ra.refuse(self.now, &ingress, 10)[0]) {
            Ok(ToShell::Respond { response, .. }) => response,
            other => panic!("{other:?}"),
        }
    }

    /// The shell says something.
    pub fn tell(&mut self, message: &FromShell) -> Turn {
        let ingress = ingress_of(resilee_core::AdaptorId(1), message);
        self.step(|ra, endpoint| ra.receive(endpoint, &ingress))
    }

    /// A request comes.
    pub fn request(&mut self, path: &str) -> (ActivityId, Turn) {
        self.request_of(TOKEN, path)
    }

    pub fn request_of(&mut self, token: Token, path: &str) -> (ActivityId, Turn) {
        let turn = self.tell(&FromShell::Request { token, request: hook(path) });
        (turn.events[0].activity, turn)
    }

    pub fn respond(&mut self, to: ActivityId, status: u16, body: &str) -> Result<Turn, Failure> {
        let (headers, body) = (vec![("x-a".to_owned(), "b".to_owned())], body.as_bytes().to_vec());
        self.command(to, &HttpCommand::Respond { status, headers, body })
    }

    pub fn command(&mut self, to: ActivityId, command: &HttpCommand) -> Result<Turn, Failure> {
        let payload = encode(command).expect("plain data");
        let mut done = Ok(());
        let turn = self.step(|ra, endpoint| done = ra.command(endpoint, to, &payload));
        done.map(|()| turn)
    }

    /// A service calls.
    pub fn call(&mut self, call: &Call) -> Result<Turn, Failure> {
        let activity = ActivityId { cell: CELL, number: self.next_activity };
        self.next_activity += 1;
        let payload = encode(call).expect("plain data");
        let mut done = Ok(());
        let turn = self.step(|ra, endpoint| {
            done = ra.start(endpoint, activity, &payload);
            endpoint.changed(activity);
        });
        done.map(|()| turn)
    }

    /// All services had the event.
    pub fn processed(&mut self, activity: ActivityId, received: bool) -> Turn {
        assert!(self.ra.asks_about_event(HttpRequest::TYPE));
        self.step(|ra, endpoint| {
            ra.event_processed(endpoint, activity, HttpRequest::TYPE, received);
        })
    }

    pub fn failed(&mut self, activity: ActivityId) -> Turn {
        self.step(|ra, endpoint| ra.event_processing_failed(endpoint, activity))
    }

    pub fn unreferenced(&mut self, activity: ActivityId) -> Turn {
        self.step(|ra, endpoint| ra.activity_unreferenced(endpoint, activity))
    }

    pub fn query_liveness(&mut self, activity: ActivityId) -> Turn {
        self.step(|ra, endpoint| ra.query_liveness(endpoint, activity))
    }

    pub fn removed(&mut self, activity: ActivityId) -> Turn {
        self.step(|ra, endpoint| ra.removed(endpoint, activity))
    }

    pub fn configure(&mut self, name: &str, value: &str) {
        let properties = [(name.to_owned(), value.to_owned())].into();
        self.ra.verify(&properties).and_then(|()| self.ra.configure(&properties)).expect("taken");
    }

    /// Time passes; what was due.
    pub fn wait(&mut self, millis: u64) -> Turn {
        self.now = self.now + Duration::from_millis(millis);
        let due = |id: &ActivityId| self.ra.next_timeout(*id).is_some_and(|due| due <= self.now);
        let due: Vec<_> = self.held.keys().copied().filter(due).collect();
        let mut all = Turn::default();
        for activity in due {
            let turn = self.step(|ra, endpoint| ra.timeout(endpoint, activity));
            all.said.extend(turn.said);
            all.events.extend(turn.events);
            all.ended.extend(turn.ended);
        }
        all
    }

    /// Its node dies, and another one has the cell.
    pub fn take_over(&mut self) -> Turn {
        self.ra = HttpRa::new(self.limits.clone());
        let mut all = Turn::default();
        for (activity, state) in self.held.clone() {
            let turn = self.step(|ra, endpoint| {
                ra.adopt(endpoint, activity, &state, Adoption::Takeover).expect("readable");
            });
            all.said.extend(turn.said);
            all.events.extend(turn.events);
            all.ended.extend(turn.ended);
        }
        all
    }

    pub fn living(&self) -> usize {
        self.held.len()
    }

    fn step(&mut self, act: impl FnOnce(&mut HttpRa, &mut Endpoint)) -> Turn {
        let mut endpoint = Endpoint::new(self.now, "server1", CELL, self.next_activity);
        act(&mut self.ra, &mut endpoint);
        for activity in endpoint.changes() {
            self.next_activity = self.next_activity.max(activity.number + 1);
            self.held.insert(*activity, self.ra.marshal(*activity));
        }
        for activity in endpoint.ended() {
            self.ra.forget(*activity);
            assert!(self.held.remove(activity).is_some(), "ended twice");
        }
        let said = endpoint.sent().iter().map(|egress| egress_of(egress).expect("readable"));
        Turn {
            said: said.collect(),
            events: endpoint.fired().to_vec(),
            ended: endpoint.ended().to_vec(),
        }
    }
}

pub fn hook(path: &str) -> HttpRequest {
    HttpRequest { method: "POST".to_owned(), path: path.to_owned(), ..HttpRequest::default() }
}
