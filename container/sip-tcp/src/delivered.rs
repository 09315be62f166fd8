//! What clients were told by nodes, and what they said to it. A node repeats a request until it is
//! answered, and so does the one that takes a call over; a client over TCP must not hear it twice:
//! a transaction of its own is over as soon as it has answered (RFC 3261 §17.2.2), and a repeat
//! would be a new request.
//!
//! | a request of a node                        | what is done                                  |
//! |--------------------------------------------|-----------------------------------------------|
//! | the first time                             | written                                       |
//! | again, and the client has responded        | the node gets that response again             |
//! | again, on the same connection              | nothing: the client has it, or will have it   |
//! | again, and that connection is gone         | written, to where the client can be reached   |
//!
//! | a response of a client                     | what is done                                  |
//! |--------------------------------------------|-----------------------------------------------|
//! | a refusal of an INVITE                     | said again after T1, 2 T1, … T2, until the    |
//! |                                            | node's ACK, for 64 T1 (RFC 3261 §17.2.1)      |
//! | any other                                  | on to the node once: it repeats its request,  |
//! |                                            | or the client repeats its 2xx                 |

use crate::boundary::{ConnectionId, TcpDrop};
use crate::source::{BYTES, Shares, TOLD};
use crate::transaction_key::TransactionKey;
use crate::unanswered::Fate;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, TimerConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So long an INVITE that rings is remembered: longer than timer C (RFC 3261 §16.6).
const RINGING: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    requests: BTreeMap<TransactionKey, Request>,
    until: BTreeSet<(Timestamp, TransactionKey)>,
    /// Refusals that no node has acknowledged, and when they are said again.
    repeats: BTreeSet<(Timestamp, TransactionKey)>,
    /// Requests that each client was told.
    of_sources: Shares,
    /// Of all responses.
    bytes: Shares,
}

#[derive(Debug)]
struct Request {
    /// The client.
    flow: Flow,
    connection: ConnectionId,
    /// The client's latest response, and how it came.
    response: Option<(Flow, Vec<u8>)>,
    is_final: bool,
    until: Timestamp,
    /// When a refusal is said again, and the time since it was said last, in milliseconds.
    repeat: Option<(Timestamp, u64)>,
}

impl Delivered {
    /// What becomes of a node's request, while this is the client's connection.
    pub(crate) fn fate(
        &self,
        flow: &Flow,
        request: &Message<'_>,
        connection: Option<ConnectionId>,
    ) -> Fate {
        match self.requests.get(&TransactionKey::to_client(flow, request)) {
            None => Fate::Write,
            Some(Request { response: Some((flow, bytes)), is_final: true, .. }) => {
                Fate::Answer(*flow, bytes.clone())
            }
            Some(told) if connection != Some(told.connection) => Fate::Write,
            Some(Request { response: Some((flow, bytes)), .. }) => {
                Fate::Answer(*flow, bytes.clone())
            }
            Some(_) => Fate::Swallow,
        }
    }

    /// A node's request was written there.
    pub(crate) fn on_written(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
        (flow, request): (&Flow, &Message<'_>),
        connection: ConnectionId,
    ) -> Result<(), TcpDrop> {
        let key = TransactionKey::to_client(flow, request);
        let until = now + remembered_for(&key, timers);
        if let Some(told) = self.requests.get_mut(&key) {
            told.connection = connection;
            self.stay_until(&key, until);
            return Ok(());
        }
        if !self.of_sources.has_room(flow, 1, TOLD) {
            return Err(TcpDrop::NotKept);
        }
        self.of_sources.take(flow, 1);
        let told = Request {
            flow: *flow,
            connection,
            response: None,
            is_final: false,
            until,
            repeat: None,
        };
        self.requests.insert(key, told);
        self.until.insert((until, key));
        Ok(())
    }

    /// A client's response is on its way to a node.
    pub(crate) fn on_response(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
        (flow, response): (Flow, &Message<'_>),
    ) -> Result<(), TcpDrop> {
        let key = TransactionKey::to_client(&flow, response);
        let Some(told) = self.requests.get_mut(&key) else { return Ok(()) };
        let length = response.bytes().len();
        // What it said before is not what it says now.
        if let Some((flow, bytes)) = told.response.take() {
            self.bytes.give_back(&flow, bytes.len());
        }
        if !self.bytes.has_room(&flow, length, BYTES) {
            return Err(TcpDrop::NotKept);
        }
        self.bytes.take(&flow, length);
        told.response = Some((flow, response.bytes().to_vec()));
        told.is_final |= response.status().is_some_and(|status| status >= 200);
        let until = if told.is_final {
            now + Duration::from_millis(timers.long_ms())
        } else {
            now + remembered_for(&key, timers)
        };
        self.stay_until(&key, until);
        if key.is_invite() && response.status().is_some_and(|status| status >= 300) {
            self.repeat_after(now, &key, timers.t1_ms);
        }
        Ok(())
    }

    /// A node has acknowledged a refusal.
    pub(crate) fn on_ack(&mut self, flow: &Flow, ack: &Message<'_>) {
        let key = TransactionKey::to_client(flow, ack).of_invite();
        self.stop_repeats(&key);
    }

    /// The next refusal that is due to be said again.
    pub(crate) fn poll_repeat(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
    ) -> Option<(Flow, Vec<u8>)> {
        let (_, key) = self.repeats.first().filter(|(due, _)| *due <= now).cloned()?;
        let told = self.requests.get(&key)?;
        let (_, interval_ms) = told.repeat?;
        let again = told.response.clone();
        self.repeat_after(now, &key, (interval_ms * 2).min(timers.t2_ms));
        again
    }

    fn repeat_after(&mut self, now: Timestamp, key: &TransactionKey, interval_ms: u64) {
        self.stop_repeats(key);
        if let Some(told) = self.requests.get_mut(key) {
            let due = now + Duration::from_millis(interval_ms);
            told.repeat = Some((due, interval_ms));
            self.repeats.insert((due, *key));
        }
    }

    fn stop_repeats(&mut self, key: &TransactionKey) {
        let repeat = self.requests.get_mut(key).and_then(|told| told.repeat.take());
        if let Some((due, _)) = repeat {
            self.repeats.remove(&(due, *key));
        }
    }

    /// Forgets what is old.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.until.first().filter(|(until, _)| *until <= now).cloned() {
            self.stop_repeats(&key);
            let told = self.requests.remove(&key).expect("what has an end is there");
            self.of_sources.give_back(&told.flow, 1);
            if let Some((flow, bytes)) = told.response {
                self.bytes.give_back(&flow, bytes.len());
            }
            self.until.pop_first();
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, TransactionKey)>| set.first().map(|(at, _)| *at);
        first(&self.until).into_iter().chain(first(&self.repeats)).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    fn stay_until(&mut self, key: &TransactionKey, until: Timestamp) {
        if let Some(told) = self.requests.get_mut(key) {
            self.until.remove(&(told.until, *key));
            told.until = until;
            self.until.insert((until, *key));
        }
    }
}

fn remembered_for(key: &TransactionKey, timers: &TimerConfig) -> Duration {
    if key.is_invite() { RINGING } else { Duration::from_millis(timers.long_ms()) }
}
