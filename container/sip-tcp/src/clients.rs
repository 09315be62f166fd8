//! The machine: between the connections of clients and the nodes.

use crate::boundary::{ConnectionId, TcpDrop, TcpInput, TcpLimits, TcpOutput};
use crate::connections::{Connections, Way};
use crate::delivered::Delivered;
use crate::drops::Drops;
use crate::fit_for_stream::fit_for_stream;
use crate::unanswered::{Fate, Unanswered};
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_proto::framing::Frame;
use resilee_sip_proto::{Message, TimerConfig};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What answers a ping (RFC 5626 §4.4.1).
const PONG: &[u8] = b"\r\n";

/// All TCP clients of one process; see the crate.
#[derive(Debug)]
pub struct TcpClients {
    timers: TimerConfig,
    connections: Connections,
    unanswered: Unanswered,
    delivered: Delivered,
    drops: Drops<TcpDrop>,
    outputs: VecDeque<TcpOutput>,
}

impl TcpClients {
    /// Nobody is connected. `timers` are those that the clients would have over UDP.
    pub fn new(limits: TcpLimits, timers: TimerConfig) -> Self {
        TcpClients {
            timers,
            connections: Connections::new(limits),
            unanswered: Unanswered::default(),
            delivered: Delivered::default(),
            drops: Drops::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A client has connected: the name of its connection, or nothing if it is to be closed.
    pub fn accept(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Option<ConnectionId> {
        self.connections.accept(now, remote, local).map_err(|reason| self.drop(reason)).ok()
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Timestamp, input: TcpInput<'_>) {
        match input {
            TcpInput::Opened(connection) => {
                for bytes in self.connections.opened(now, connection) {
                    self.outputs.push_back(TcpOutput::Write { connection, bytes });
                }
            }
            TcpInput::Received { connection, bytes } => self.on_bytes(now, connection, bytes),
            TcpInput::Closed(connection) => self.on_closed(connection),
            TcpInput::Unread(connection) => self.close(connection, TcpDrop::NotRead),
            TcpInput::Send { flow, bytes } => self.on_send(now, flow, bytes),
            TcpInput::Timeout => self.on_timeout(now),
        }
    }

    /// The next thing to be done; call until none is left.
    pub fn poll_output(&mut self) -> Option<TcpOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`TcpInput::Timeout`].
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let timeouts = [
            self.connections.poll_timeout(),
            self.unanswered.poll_timeout(),
            self.delivered.poll_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Whether a connection is not closed.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.connections.has(connection)
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Messages that are remembered, of clients and for clients.
    pub fn remembered(&self) -> (usize, usize) {
        (self.unanswered.len(), self.delivered.len())
    }

    /// How often what was refused.
    pub fn drops(&self) -> &Drops<TcpDrop> {
        &self.drops
    }

    fn on_bytes(&mut self, now: Timestamp, connection: ConnectionId, bytes: &[u8]) {
        let Some(received) = self.connections.received(now, connection, bytes) else { return };
        for frame in received.frames {
            match frame {
                Frame::Message(bytes) => self.on_message(now, received.flow, bytes),
                Frame::Ping => {
                    let bytes = PONG.to_vec();
                    self.outputs.push_back(TcpOutput::Write { connection, bytes });
                }
            }
        }
        if let Some(reason) = received.fault {
            self.close(connection, reason);
        }
    }

    /// Of a client. A message that is malformed goes on, too: a node answers it.
    fn on_message(&mut self, now: Timestamp, flow: Flow, bytes: Vec<u8>) {
        if let Ok(message) = Message::parse(&bytes) {
            let kept = if message.is_request() {
                self.unanswered.on_request(now, &self.timers, (flow, &message))
            } else {
                self.delivered.on_response(now, &self.timers, (flow, &message))
            };
            if let Err(reason) = kept {
                self.drop(reason);
            }
        }
        self.outputs.push_back(TcpOutput::Message { flow, bytes });
    }

    /// Of a node.
    fn on_send(&mut self, now: Timestamp, flow: Flow, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            // Nodes answer what is malformed with what may be so, too.
            self.write(now, &flow, bytes);
            return;
        };
        if message.method() == Some("ACK") {
            self.delivered.on_ack(&flow, &message);
        }
        let fate = if message.is_request() {
            self.delivered.fate(&flow, &message, self.connections.find(&flow, bytes))
        } else {
            self.unanswered.fate(&flow, &message)
        };
        match fate {
            Fate::Swallow => {}
            Fate::Answer(flow, bytes) => {
                self.outputs.push_back(TcpOutput::Message { flow, bytes });
            }
            Fate::Write => {
                let bytes = fit_for_stream(&message);
                let Some(connection) = self.write(now, &flow, &bytes) else { return };
                self.connections.note_served(now, connection, &message);
                if !message.is_request() {
                    return self.unanswered.on_written(now, &self.timers, (&flow, &message));
                }
                let kept =
                    self.delivered.on_written(now, &self.timers, (&flow, &message), connection);
                if let Err(reason) = kept {
                    self.drop(reason);
                }
            }
        }
    }

    fn write(&mut self, now: Timestamp, flow: &Flow, bytes: &[u8]) -> Option<ConnectionId> {
        match self.connections.reach(now, flow, bytes) {
            Ok(Way::Write(connection)) => {
                let bytes = bytes.to_vec();
                self.outputs.push_back(TcpOutput::Write { connection, bytes });
                Some(connection)
            }
            Ok(Way::Waits(connection)) => Some(connection),
            Ok(Way::Open(connection, remote)) => {
                self.outputs.push_back(TcpOutput::Open { connection, remote });
                Some(connection)
            }
            Err(reason) => {
                self.drop(reason);
                None
            }
        }
    }

    fn on_timeout(&mut self, now: Timestamp) {
        self.delivered.on_timeout(now);
        while let Some((flow, bytes)) = self.unanswered.poll_repeat(now, &self.timers) {
            self.outputs.push_back(TcpOutput::Message { flow, bytes });
        }
        while let Some((flow, bytes)) = self.delivered.poll_repeat(now, &self.timers) {
            self.outputs.push_back(TcpOutput::Message { flow, bytes });
        }
        while let Some((connection, reason)) = self.connections.poll_overdue(now) {
            self.close(connection, reason);
        }
    }

    fn on_closed(&mut self, connection: ConnectionId) {
        for _ in 0..self.connections.close(connection) {
            self.drop(TcpDrop::Unreachable);
        }
    }

    fn close(&mut self, connection: ConnectionId, reason: TcpDrop) {
        self.connections.close(connection);
        self.outputs.push_back(TcpOutput::Close(connection));
        self.drop(reason);
    }

    fn drop(&mut self, reason: TcpDrop) {
        if let Some(count) = self.drops.add(reason) {
            self.outputs.push_back(TcpOutput::Dropped { reason, count });
        }
    }
}
