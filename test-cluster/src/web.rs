//! Web hosts that services call: they get what nodes send, and answer as the test says.
//!
//! | the host                    | the node that called                                    |
//! |-----------------------------|---------------------------------------------------------|
//! | answers, at once or late    | hears it, if it still waits                             |
//! | does not answer             | fails its call when the call's time is over             |
//! | is not there                | fails its call at once; the host hears nothing          |
//!
//! A host is no node: it outlives them, and has what dead nodes have sent. An answer for a node
//! that has died meanwhile is lost with its connection.

use crate::cluster::{Arrival, ON_ITS_WAY, TestCluster};
use crate::node::HTTP;
use resilee_core::{Egress, Input};
use resilee_http_api::{Call, FailureReason, HttpResponse};
use resilee_http_ra::{AllowedHosts, FromShell, ToShell, Url, egress_of, ingress_of};
use resilee_sbb::{ActivityId, Timestamp};
use std::time::Duration;

/// A host, as it is now.
#[derive(Debug)]
pub(crate) struct WebHost {
    name: String,
    /// Which URLs are its own.
    urls: AllowedHosts,
    answer: Answer,
    requests: Vec<WebRequest>,
}

/// What a host does with requests.
#[derive(Clone, Copy, Debug)]
enum Answer {
    After(Duration, u16),
    Never,
    NotThere,
}

/// A request that came to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRequest {
    /// When it came.
    pub at: Timestamp,
    /// What it says; its key as the adaptor has filled it in.
    pub call: Call,
}

impl WebRequest {
    /// The header `Idempotency-Key`.
    pub fn key(&self) -> &str {
        &self.call.idempotency_key
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.call.body).into_owned()
    }
}

/// Which run of which node has sent a request: its connection dies with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Connection {
    pub(crate) node: usize,
    pub(crate) run: u32,
    pub(crate) activity: ActivityId,
}

/// A web host of the test.
pub struct TestWeb<'a> {
    host: &'a mut WebHost,
}

impl TestCluster {
    /// A host that [`Builder::web`](crate::Builder::web) has named. It answers 200 at first.
    ///
    /// # Panics
    /// If none has this name.
    pub fn web(&mut self, name: &str) -> TestWeb<'_> {
        let host = self.web_hosts.iter_mut().find(|host| host.name == name);
        let host = host.unwrap_or_else(|| panic!("there is no {name}: name it in the builder"));
        TestWeb { host }
    }

    /// Carries out what the HTTP adaptor of a node says, as its shell does.
    pub(crate) fn carry_out_http(&mut self, node: usize, said: &Egress) {
        // Web hooks that come in are not played here: nobody waits for an answer.
        let Ok(ToShell::Call { activity, call }) = egress_of(said) else { return };
        let connection = Connection { node, run: self.nodes[node].run, activity };
        // The survivor of a node is told twice what that left undone.
        if !self.connections.insert(connection) {
            return;
        }
        let timeout = self.now + Duration::from_millis(call.timeout_ms);
        self.arrive_at(timeout, Arrival::AtShell(connection, failed(activity, true)));
        self.arrive_at(self.now + ON_ITS_WAY, Arrival::AtWeb(connection, call));
    }

    /// A request comes to its host.
    pub(crate) fn arrive_at_web(&mut self, connection: Connection, call: Call) {
        let (now, activity) = (self.now, connection.activity);
        let url = Url::parse(&call.url);
        let is_its = |host: &&mut WebHost| url.as_ref().is_ok_and(|url| host.urls.allow(url));
        let host = self.web_hosts.iter_mut().find(is_its);
        let answer = host.map_or(Answer::NotThere, |host| {
            if !matches!(host.answer, Answer::NotThere) {
                host.requests.push(WebRequest { at: now, call });
            }
            host.answer
        });
        let (after, answer) = match answer {
            Answer::After(after, status) => {
                let response = HttpResponse { status, ..HttpResponse::default() };
                (after, FromShell::Answered { activity, response })
            }
            Answer::NotThere => (Duration::ZERO, failed(activity, false)),
            Answer::Never => return,
        };
        self.arrive_at(now + ON_ITS_WAY + after, Arrival::AtShell(connection, answer));
    }

    /// An answer, or the end of the time for one, comes to the node that has called.
    pub(crate) fn arrive_at_shell(&mut self, connection: Connection, answer: &FromShell) {
        let Connection { node, run, .. } = connection;
        let is_waited_for = self.connections.remove(&connection);
        if is_waited_for && self.nodes[node].run == run {
            self.feed(node, Input::Message(ingress_of(HTTP, answer)));
        }
    }
}

impl WebHost {
    pub(crate) fn new(name: &str) -> Self {
        let urls = AllowedHosts::parse([name]).unwrap_or_else(|error| panic!("{error}"));
        let answer = Answer::After(Duration::ZERO, 200);
        WebHost { name: name.to_owned(), urls, answer, requests: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl TestWeb<'_> {
    /// From now on it answers at once, with this status.
    pub fn answers(&mut self, status: u16) -> &mut Self {
        self.answers_after(Duration::ZERO, status)
    }

    /// From now on it answers so long after a request, with this status.
    pub fn answers_after(&mut self, time: Duration, status: u16) -> &mut Self {
        self.host.answer = Answer::After(time, status);
        self
    }

    /// From now on it takes requests, and does not answer.
    pub fn never_answers(&mut self) -> &mut Self {
        self.host.answer = Answer::Never;
        self
    }

    /// From now on nobody listens there.
    pub fn is_not_there(&mut self) -> &mut Self {
        self.host.answer = Answer::NotThere;
        self
    }

    /// All requests that have come, in their order.
    pub fn requests(&self) -> &[WebRequest] {
        &self.host.requests
    }
}

fn failed(activity: ActivityId, in_time: bool) -> FromShell {
    let (reason, text) = match in_time {
        true => (FailureReason::TimedOut, "timeout"),
        false => (FailureReason::Unreachable, "connection refused"),
    };
    FromShell::Failed { activity, reason, text: text.to_owned() }
}
