//! What clients said that no node has answered: it is said again, by the timers of a client
//! transaction over UDP (RFC 3261 §17.1), and that to whichever node has the call by then.
//!
//! | of a client                | what is done                                                  |
//! |----------------------------|---------------------------------------------------------------|
//! | INVITE                     | again after T1, 2 T1, 4 T1, … until a response, for 64 T1     |
//! | other request              | the same, not faster than T2, until a final response          |
//! | ACK of a refusal           | again whenever the node repeats the refusal                   |
//! | ACK of a 2xx               | once: the callee repeats its 2xx, which goes to the client    |
//!
//! | of a node                  | what is done                                                  |
//! |----------------------------|---------------------------------------------------------------|
//! | a refusal of an INVITE     | to the client once                                            |
//! | any other response         | to the client                                                 |

use crate::boundary::TcpDrop;
use crate::source::{BYTES, REQUESTS, Shares};
use crate::transaction_key::TransactionKey;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, TimerConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So long an INVITE that rings may be refused: longer than timer C (RFC 3261 §16.6).
const RINGING: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    requests: BTreeMap<TransactionKey, Request>,
    due: BTreeSet<(Timestamp, TransactionKey)>,
    /// Kept requests of each source.
    of_sources: Shares,
    /// Of all that is kept.
    bytes: Shares,
}

#[derive(Debug)]
struct Request {
    flow: Flow,
    /// What is said again: the request, or the ACK of its refusal.
    bytes: Vec<u8>,
    state: State,
    interval_ms: u64,
    /// It is forgotten then.
    until: Timestamp,
    due: Timestamp,
}

/// How far a client's request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No response.
    Trying,
    /// A provisional one.
    Proceeding,
    /// An INVITE was refused; no ACK of that.
    Refused,
    /// An INVITE was refused, and the client has acknowledged it.
    Confirmed,
}

/// What becomes of a node's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is for the client.
    Write,
    /// The client has it.
    Swallow,
    /// The client has it, and has said this to it.
    Answer(Flow, Vec<u8>),
}

impl Unanswered {
    /// A client's request is on its way to a node.
    pub(crate) fn on_request(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
        (flow, request): (Flow, &Message<'_>),
    ) -> Result<(), TcpDrop> {
        let key = TransactionKey::from_client(&flow, request);
        if request.method() == Some("ACK") {
            return self.on_ack(now, timers, key.of_invite(), request);
        }
        if self.requests.contains_key(&key) {
            return Ok(());
        }
        let length = request.bytes().len();
        let has_room = self.of_sources.has_room(&flow, 1, REQUESTS);
        if !has_room || !self.bytes.has_room(&flow, length, BYTES) {
            return Err(TcpDrop::NotKept);
        }
        self.of_sources.take(&flow, 1);
        self.bytes.take(&flow, length);
        let due = now + Duration::from_millis(timers.t1_ms);
        let kept = Request {
            flow,
            bytes: request.bytes().to_vec(),
            state: State::Trying,
            interval_ms: timers.t1_ms,
            until: now + Duration::from_millis(timers.long_ms()),
            due,
        };
        self.due.insert((due, key));
        self.requests.insert(key, kept);
        Ok(())
    }

    fn on_ack(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
        key: TransactionKey,
        ack: &Message<'_>,
    ) -> Result<(), TcpDrop> {
        let refused = self.requests.get_mut(&key).filter(|kept| kept.state == State::Refused);
        // Its request was forgotten by its refusal.
        let Some(kept) = refused else { return Ok(()) };
        let length = ack.bytes().len();
        if !self.bytes.has_room(&kept.flow, length, BYTES) {
            return Err(TcpDrop::NotKept);
        }
        self.bytes.take(&kept.flow, length);
        kept.state = State::Confirmed;
        kept.bytes = ack.bytes().to_vec();
        self.stay_until(key, now + Duration::from_millis(timers.long_ms()));
        Ok(())
    }

    /// What becomes of a node's response for a client.
    pub(crate) fn fate(&self, flow: &Flow, response: &Message<'_>) -> Fate {
        let key = TransactionKey::from_client(flow, response);
        let is_refusal = response.status().is_some_and(|status| status >= 300);
        match self.requests.get(&key).map(|kept| (kept.state, kept)) {
            Some((State::Confirmed, kept)) if is_refusal => {
                Fate::Answer(kept.flow, kept.bytes.clone())
            }
            Some((State::Refused | State::Confirmed, _)) => Fate::Swallow,
            _ => Fate::Write,
        }
    }

    /// A node's response was written to its client.
    pub(crate) fn on_written(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
        (flow, response): (&Flow, &Message<'_>),
    ) {
        let key = TransactionKey::from_client(flow, response);
        let Some(kept) = self.requests.get_mut(&key) else { return };
        let is_final = response.status().is_some_and(|status| status >= 200);
        let is_refusal = response.status().is_some_and(|status| status >= 300);
        match key.is_invite() {
            true if is_refusal => {
                kept.state = State::Refused;
                self.forget_bytes(&key);
                self.stay_until(key, now + Duration::from_millis(timers.long_ms()));
            }
            true if !is_final => {
                kept.state = State::Proceeding;
                self.forget_bytes(&key);
                self.stay_until(key, now + RINGING);
            }
            false if !is_final => {
                kept.state = State::Proceeding;
                kept.interval_ms = timers.t2_ms;
            }
            _ => self.remove(&key),
        }
    }

    /// The next message that is due to be said again.
    pub(crate) fn poll_repeat(
        &mut self,
        now: Timestamp,
        timers: &TimerConfig,
    ) -> Option<(Flow, Vec<u8>)> {
        while let Some((_, key)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            let kept = self.requests.get_mut(&key).expect("what is due is kept");
            if kept.until <= now || kept.state != State::Trying && key.is_invite() {
                self.remove(&key);
                continue;
            }
            let t2_ms = if key.is_invite() { u64::MAX } else { timers.t2_ms };
            kept.interval_ms = (kept.interval_ms * 2).min(t2_ms.max(timers.t1_ms));
            let again = (kept.flow, kept.bytes.clone());
            let next = (now + Duration::from_millis(kept.interval_ms)).min(kept.until);
            self.set_due(&key, next);
            return Some(again);
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    fn stay_until(&mut self, key: TransactionKey, until: Timestamp) {
        if let Some(kept) = self.requests.get_mut(&key) {
            kept.until = until;
            self.set_due(&key, until);
        }
    }

    fn forget_bytes(&mut self, key: &TransactionKey) {
        if let Some(kept) = self.requests.get_mut(key) {
            let forgotten = std::mem::take(&mut kept.bytes).len();
            self.bytes.give_back(&kept.flow, forgotten);
        }
    }

    fn remove(&mut self, key: &TransactionKey) {
        if let Some(kept) = self.requests.remove(key) {
            self.bytes.give_back(&kept.flow, kept.bytes.len());
            self.due.remove(&(kept.due, *key));
            self.of_sources.give_back(&kept.flow, 1);
        }
    }

    fn set_due(&mut self, key: &TransactionKey, due: Timestamp) {
        if let Some(kept) = self.requests.get_mut(key) {
            self.due.remove(&(kept.due, *key));
            kept.due = due;
            self.due.insert((due, *key));
        }
    }
}
