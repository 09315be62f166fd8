//! The connections: who may open one, when it is closed, and which one leads to a client.
//!
//! | what happens                                       | what becomes of it                      |
//! |----------------------------------------------------|-----------------------------------------|
//! | a connection too many, of all or of one address    | closed at once                          |
//! | a message that takes too long, or never begins     | closed                                  |
//! | a large one, while as many bytes of such are not   | closed                                  |
//! | all there as may be ([`BYTES`])                    |                                         |
//! | nothing for long, or for five minutes from one     | closed                                  |
//! | that no node has served                            |                                         |
//! | bytes that are no SIP                              | closed                                  |
//! | a message for a client with a connection           | written                                 |
//! | a message for one whose connection is gone         | a new one, to the same IP address and   |
//! |                                                    | the port that the message names for it  |
//! |                                                    | (RFC 3261 §18.1.1, §18.2.2), which is   |
//! |                                                    | used for what follows                   |
//! | the same, but the message names another address    | dropped: a client behind a NAT must     |
//! |                                                    | come back by itself                     |

use crate::boundary::{ConnectionId, TcpDrop, TcpLimits};
use crate::source::{BYTES, Most, Shares};
use resilee_membership::{Flow, Transport};
use resilee_sbb::Timestamp;
use resilee_sip_proto::framing::{Frame, Framing};
use resilee_sip_proto::{HeaderName, Message, SipUri, name_addr};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most messages that wait for a connection that is being opened.
const WAITING_MAX: usize = 32;

/// A connection that we opened is closed if its client says nothing for so long: the longest that
/// it may ring, so that a gone phone's does not stay.
const ANSWER_WITHIN_MS: u64 = 300_000;

/// A connection whose client no node has served is closed if nothing comes for so long: whoever
/// only connects could hold many for hours. A phone whose INVITE rings for longer says something.
const UNSERVED_IDLE_MS: u64 = 300_000;

/// So many bytes of a message that is not all there count for nobody: as long as there is room for
/// the connection, nobody else's large messages have it closed for one of the usual size.
const UNCOUNTED_BYTES: usize = 4_096;

/// Port of a SIP URI or Via without one (RFC 3261 §19.1.2).
const DEFAULT_PORT: u16 = 5060;

/// What has come by a connection.
pub(crate) struct Received {
    pub(crate) flow: Flow,
    /// All there: also before a fault.
    pub(crate) frames: Vec<Frame>,
    /// Why it is closed behind these.
    pub(crate) fault: Option<TcpDrop>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: TcpLimits,
    next: u64,
    all: BTreeMap<ConnectionId, Connection>,
    /// The latest connection with each client's address.
    by_remote: BTreeMap<SocketAddr, ConnectionId>,
    /// Whoever opened them.
    of_sources: Shares,
    /// Bytes of messages that are not all there.
    unfinished: Shares,
    /// When each one is closed, unless something moves.
    due: BTreeSet<(Timestamp, ConnectionId)>,
}

#[derive(Debug)]
struct Connection {
    flow: Flow,
    /// Opened by the client, not by us.
    is_accepted: bool,
    /// A node has accepted something of the client, or has something for it.
    is_served: bool,
    framing: Framing,
    /// Of its bytes, those that count.
    unfinished: usize,
    /// A message or a ping was there.
    has_spoken: bool,
    /// The message that is coming has begun.
    is_within_message: bool,
    due: Timestamp,
    /// What is to be written once it is open; `None`: it is.
    waiting: Option<Vec<Vec<u8>>>,
}

/// How a message gets to its client.
pub(crate) enum Way {
    /// Written at once.
    Write(ConnectionId),
    /// Kept until the connection is open.
    Waits(ConnectionId),
    /// The connection is to be opened; it is kept until then.
    Open(ConnectionId, SocketAddr),
}

impl Connections {
    pub(crate) fn new(limits: TcpLimits) -> Self {
        Connections {
            limits,
            next: 0,
            all: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            of_sources: Shares::default(),
            unfinished: Shares::default(),
            due: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// A client has connected.
    pub(crate) fn accept(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Result<ConnectionId, TcpDrop> {
        let flow = Flow { remote, local, transport: Transport::Tcp };
        self.check_room(&flow)?;
        Ok(self.add(now, flow, None))
    }

    fn check_room(&self, flow: &Flow) -> Result<(), TcpDrop> {
        if self.all.len() >= self.limits.connections_max {
            return Err(TcpDrop::TooManyConnections);
        }
        let most = Most {
            of_source: self.limits.connections_per_source_max,
            in_all: self.limits.connections_max,
        };
        if !self.of_sources.has_room(flow, 1, most) {
            return Err(TcpDrop::TooManyOfSource);
        }
        Ok(())
    }

    /// Whether a connection is one of these still.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.all.contains_key(&connection)
    }

    /// A connection that was asked for is there; what waited for it is to be written.
    pub(crate) fn opened(&mut self, now: Timestamp, connection: ConnectionId) -> Vec<Vec<u8>> {
        let answer = now + Duration::from_millis(self.limits.idle_ms.min(ANSWER_WITHIN_MS));
        let Some(opened) = self.all.get_mut(&connection) else { return Vec::new() };
        let waiting = opened.waiting.take().unwrap_or_default();
        self.set_due(connection, answer);
        waiting
    }

    /// What a client sent: its frames, or why it is to be closed.
    pub(crate) fn received(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        bytes: &[u8],
    ) -> Option<Received> {
        // What was under way when it was closed.
        let from = self.all.get_mut(&connection)?;
        let flow = from.flow;
        from.framing.handle_bytes(bytes);
        let mut frames = Vec::new();
        loop {
            match from.framing.poll_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => {
                    return Some(Received { flow, frames, fault: Some(TcpDrop::Unreadable) });
                }
            }
        }
        let unfinished = from.framing.bytes().saturating_sub(UNCOUNTED_BYTES);
        self.unfinished.give_back(&from.flow, std::mem::take(&mut from.unfinished));
        if unfinished > 0 && !self.unfinished.has_room(&from.flow, unfinished, BYTES) {
            return Some(Received { flow, frames, fault: Some(TcpDrop::TooMuchUnfinished) });
        }
        self.unfinished.take(&from.flow, unfinished);
        from.unfinished = unfinished;
        let was_within =
            std::mem::replace(&mut from.is_within_message, from.framing.is_within_message());
        from.has_spoken |= !frames.is_empty();
        let has_spoken = from.has_spoken;
        if from.is_within_message {
            // One that comes byte by byte does not get more time by that.
            if !was_within && has_spoken || !frames.is_empty() {
                self.set_due(
                    connection,
                    now + Duration::from_millis(self.limits.message_within_ms),
                );
            }
        } else if has_spoken {
            self.set_idle_from(now, connection);
        }
        Some(Received { flow, frames, fault: None })
    }

    /// Forgets it; how many messages waited for it.
    pub(crate) fn close(&mut self, connection: ConnectionId) -> usize {
        let Some(closed) = self.all.remove(&connection) else { return 0 };
        self.due.remove(&(closed.due, connection));
        let remote = closed.flow.remote;
        if self.by_remote.get(&remote) == Some(&connection) {
            self.by_remote.remove(&remote);
        }
        self.of_sources.give_back(&closed.flow, 1);
        self.unfinished.give_back(&closed.flow, closed.unfinished);
        closed.waiting.map_or(0, |waiting| waiting.len())
    }

    /// The connection by which a message would get to a client, if there is one.
    pub(crate) fn find(&self, flow: &Flow, bytes: &[u8]) -> Option<ConnectionId> {
        let known = self.by_remote.get(&flow.remote);
        // A connection that somebody opened from that port is somebody's who has the same address.
        let opened = || {
            let named = self.by_remote.get(&takes_connections_at(flow.remote.ip(), bytes)?)?;
            (!self.all[named].is_accepted).then_some(named)
        };
        known.or_else(opened).copied()
    }

    /// How a message gets to a client. One that waits is kept here.
    pub(crate) fn reach(
        &mut self,
        now: Timestamp,
        flow: &Flow,
        bytes: &[u8],
    ) -> Result<Way, TcpDrop> {
        let Some(connection) = self.find(flow, bytes) else {
            let remote = takes_connections_at(flow.remote.ip(), bytes);
            let remote = remote.ok_or(TcpDrop::Unreachable)?;
            let flow = Flow { remote, ..*flow };
            self.check_room(&flow)?;
            return Ok(Way::Open(self.add(now, flow, Some(vec![bytes.to_vec()])), remote));
        };
        let to = self.all.get_mut(&connection).expect("a connection with an address is there");
        match &mut to.waiting {
            Some(waiting) if waiting.len() >= WAITING_MAX => return Err(TcpDrop::NotRead),
            Some(waiting) => waiting.push(bytes.to_vec()),
            None => {
                // One that we opened ends soon if its phone never says anything on it.
                if !to.is_within_message && to.has_spoken {
                    self.set_idle_from(now, connection);
                }
                return Ok(Way::Write(connection));
            }
        }
        Ok(Way::Waits(connection))
    }

    /// A node has written this on it: who is served keeps his connection.
    pub(crate) fn note_served(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        message: &Message<'_>,
    ) {
        let is_accepted = message.status().is_some_and(|status| (200..300).contains(&status));
        // Whom a node does not know it says 200 to for these as well.
        let is_for_anybody = matches!(message.cseq().1, "OPTIONS" | "CANCEL");
        let is_service = message.is_request() || is_accepted && !is_for_anybody;
        let Some(served) = self.all.get_mut(&connection).filter(|_| is_service) else { return };
        let is_new = !std::mem::replace(&mut served.is_served, true);
        if is_new && served.has_spoken && !served.is_within_message {
            self.set_idle_from(now, connection);
        }
    }

    /// One that is to be closed, and why.
    pub(crate) fn poll_overdue(&mut self, now: Timestamp) -> Option<(ConnectionId, TcpDrop)> {
        let (_, connection) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        let overdue = &self.all[&connection];
        let is_idle = overdue.has_spoken && !overdue.is_within_message;
        let reason = match is_idle {
            _ if overdue.waiting.is_some() => TcpDrop::Unreachable,
            true => TcpDrop::Idle,
            false => TcpDrop::TooSlow,
        };
        Some((connection, reason))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    fn add(&mut self, now: Timestamp, flow: Flow, waiting: Option<Vec<Vec<u8>>>) -> ConnectionId {
        let connection = ConnectionId(self.next);
        self.next += 1;
        let due = now + Duration::from_millis(self.limits.message_within_ms);
        let added = Connection {
            flow,
            is_accepted: waiting.is_none(),
            is_served: false,
            framing: Framing::default(),
            unfinished: 0,
            has_spoken: false,
            is_within_message: false,
            due,
            waiting,
        };
        self.all.insert(connection, added);
        self.by_remote.insert(flow.remote, connection);
        self.of_sources.take(&flow, 1);
        self.due.insert((due, connection));
        connection
    }

    /// Something has moved just now.
    fn set_idle_from(&mut self, now: Timestamp, connection: ConnectionId) {
        let is_served = self.all.get(&connection).is_some_and(|it| it.is_served);
        let most_ms = if is_served { u64::MAX } else { UNSERVED_IDLE_MS };
        let idle = Duration::from_millis(self.limits.idle_ms.min(most_ms));
        self.set_due(connection, now + idle);
    }

    fn set_due(&mut self, connection: ConnectionId, due: Timestamp) {
        let Some(moved) = self.all.get_mut(&connection) else { return };
        self.due.remove(&(moved.due, connection));
        moved.due = due;
        self.due.insert((due, connection));
    }
}

/// Where a client at this IP address takes connections, by a message for it: the port in its Via
/// or URI.
fn takes_connections_at(ip: IpAddr, bytes: &[u8]) -> Option<SocketAddr> {
    let message = Message::parse(bytes).ok()?;
    let port = if message.is_request() {
        let routes = message.values(HeaderName::Route);
        let route = routes.first().and_then(|route| Some(name_addr(route)?.uri));
        let next = SipUri::parse(route.or(message.request_uri())?)?;
        let host: IpAddr = next.host.parse().ok()?;
        (host.to_canonical() == ip.to_canonical()).then_some(next.port)?
    } else {
        // RFC 3261 §18.2.2: at the source address, whatever host it names.
        message.top_via().port()
    };
    Some(SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT)))
}
