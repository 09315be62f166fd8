//! The sockets of TCP clients: a task that reads and one that writes for each connection. They
//! decide nothing. All of it runs on the thread that owns the [`TcpFront`].

#![allow(
    clippy::disallowed_types,
    reason = "the shell is the one place of this crate with sockets"
)]

use crate::boundary::{ConnectionId, TcpDrop, TcpInput, TcpLimits, TcpOutput};
use crate::clients::TcpClients;
use crate::drops::Drops;
use resilee_membership::Flow;
use resilee_membership::dual_stack::canonical;
use resilee_sbb::Timestamp;
use resilee_sip_proto::TimerConfig;
use socket2::SockRef;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

/// Messages that wait to be written to one client.
const WRITES_MAX: usize = 256;

/// Bytes that wait to be written to one client, unless it is one message.
const WRITE_BYTES_MAX: usize = 131_072;

/// How long a client may take to read one message; then its connection is of no use.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Events that wait for the owner: readers stop until there is room.
const EVENTS_MAX: usize = 1_024;

/// Bytes that are read at once.
const READ_BYTES: usize = 16_384;

/// The same once the connection is to be closed.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// How long it may take to connect to a client.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// What was sent and is not acknowledged for so long breaks the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// A pause when the system gives no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What happened at a socket.
#[derive(Debug)]
pub struct Event(What);

#[derive(Debug)]
enum What {
    Accepted(TcpStream, SocketAddr),
    Opened(ConnectionId, TcpStream),
    Received(ConnectionId, Vec<u8>),
    Closed(ConnectionId),
}

/// Messages of clients, for nodes.
pub type Messages = Vec<(Flow, Vec<u8>)>;

/// TCP clients with their sockets.
#[derive(Debug)]
pub struct TcpFront {
    clients: TcpClients,
    events: mpsc::Sender<Event>,
    open: BTreeMap<ConnectionId, Open>,
    /// Clients that were found not to read, for the machine.
    unread: VecDeque<ConnectionId>,
    /// Dropped: nobody listens any more.
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Open {
    writes: mpsc::Sender<Vec<u8>>,
    /// Bytes that wait to be written.
    waiting: Rc<Cell<usize>>,
    /// Dropped: the reader ends.
    _reads: oneshot::Sender<()>,
}

/// Binds a listening socket.
///
/// # Errors
/// The address is in use, or none of this host.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl TcpFront {
    /// Accepts clients on these sockets; what happens is to be given to
    /// [`TcpFront::handle_event`]. Must be called within a `LocalSet` of tokio.
    ///
    /// # Errors
    /// A socket cannot be used.
    pub fn start(
        listeners: Vec<std::net::TcpListener>,
        limits: TcpLimits,
        timers: TimerConfig,
    ) -> io::Result<(TcpFront, mpsc::Receiver<Event>)> {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn_local(accept(TcpListener::from_std(listener)?, events.clone()));
        }
        let clients = TcpClients::new(limits, timers);
        let (open, unread) = (BTreeMap::new(), VecDeque::new());
        let front = TcpFront { clients, events, open, unread, _accepting: accepting };
        Ok((front, receiver))
    }

    /// Takes in what happened at a socket.
    pub fn handle_event(&mut self, now: Timestamp, Event(what): Event) -> Messages {
        match what {
            What::Accepted(stream, remote) => self.on_accepted(now, stream, remote),
            What::Opened(connection, stream) => {
                if self.clients.has(connection) {
                    self.add(connection, stream);
                }
                self.feed(now, TcpInput::Opened(connection))
            }
            What::Received(connection, bytes) => {
                self.feed(now, TcpInput::Received { connection, bytes: &bytes })
            }
            What::Closed(connection) => {
                self.open.remove(&connection);
                self.feed(now, TcpInput::Closed(connection))
            }
        }
    }

    /// Sends a node's message to a client.
    pub fn send(&mut self, now: Timestamp, flow: Flow, bytes: &[u8]) -> Messages {
        self.feed(now, TcpInput::Send { flow, bytes })
    }

    /// The moment of [`TcpFront::poll_timeout`] has come.
    pub fn on_timeout(&mut self, now: Timestamp) -> Messages {
        self.feed(now, TcpInput::Timeout)
    }

    /// When to call [`TcpFront::on_timeout`].
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.clients.poll_timeout()
    }

    /// How often what was refused.
    pub fn drops(&self) -> &Drops<TcpDrop> {
        self.clients.drops()
    }

    fn on_accepted(&mut self, now: Timestamp, stream: TcpStream, remote: SocketAddr) -> Messages {
        // A client that is gone already has no address.
        let Ok(local) = stream.local_addr() else { return Messages::new() };
        let (remote, local) = (canonical(remote), canonical(local));
        if let Some(connection) = self.clients.accept(now, remote, local) {
            self.add(connection, stream);
        }
        self.carry_out(now)
    }

    fn feed(&mut self, now: Timestamp, input: TcpInput<'_>) -> Messages {
        self.clients.handle_input(now, input);
        self.carry_out(now)
    }

    fn carry_out(&mut self, now: Timestamp) -> Messages {
        let mut messages = Messages::new();
        loop {
            while let Some(output) = self.clients.poll_output() {
                match output {
                    TcpOutput::Message { flow, bytes } => messages.push((flow, bytes)),
                    TcpOutput::Write { connection, bytes } => self.write(connection, bytes),
                    TcpOutput::Open { connection, remote } => {
                        spawn_local(open(connection, remote, self.events.clone()));
                    }
                    TcpOutput::Close(connection) => drop(self.open.remove(&connection)),
                    TcpOutput::Dropped { reason, count } => log(reason, count),
                }
            }
            let Some(connection) = self.unread.pop_front() else { return messages };
            self.clients.handle_input(now, TcpInput::Unread(connection));
        }
    }

    fn write(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        let Some(open) = self.open.get(&connection) else { return };
        let waiting = open.waiting.get();
        if waiting > 0 && waiting + bytes.len() > WRITE_BYTES_MAX {
            return self.unread.push_back(connection);
        }
        open.waiting.set(waiting + bytes.len());
        match open.writes.try_send(bytes) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.unread.push_back(connection),
            // The reader tells that it is closed.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn add(&mut self, connection: ConnectionId, stream: TcpStream) {
        // Both only make a dead client known sooner, and messages leave sooner.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        let (reader, writer) = stream.into_split();
        let (writes, to_write) = mpsc::channel(WRITES_MAX);
        let (reads, until) = oneshot::channel();
        let waiting = Rc::new(Cell::new(0));
        spawn_local(read(connection, reader, until, self.events.clone()));
        spawn_local(write(writer, to_write, waiting.clone()));
        self.open.insert(connection, Open { writes, waiting, _reads: reads });
    }
}

async fn accept(listener: TcpListener, events: mpsc::Sender<Event>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if events.send(Event(What::Accepted(stream, remote))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("a TCP client was not accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn open(connection: ConnectionId, remote: SocketAddr, events: mpsc::Sender<Event>) {
    let what = match timeout(CONNECT_WITHIN, TcpStream::connect(remote)).await {
        Ok(Ok(stream)) => What::Opened(connection, stream),
        Ok(Err(error)) => {
            tracing::debug!("cannot connect to {remote}: {error}");
            What::Closed(connection)
        }
        Err(_) => What::Closed(connection),
    };
    // Without an owner nobody wants to know.
    let _ = events.send(Event(what)).await;
}

/// Reads until the client closes, or `until` is dropped.
async fn read(
    connection: ConnectionId,
    reader: OwnedReadHalf,
    mut until: oneshot::Receiver<()>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let readable = tokio::select! {
            readable = reader.readable() => readable,
            _ = &mut until => return,
        };
        let what = match readable.and_then(|()| read_some(&reader)) {
            Ok(bytes) if bytes.is_empty() => What::Closed(connection),
            Ok(bytes) => What::Received(connection, bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => What::Closed(connection),
        };
        let is_over = matches!(what, What::Closed(_));
        if events.send(Event(what)).await.is_err() || is_over {
            return;
        }
    }
}

/// No buffer lives while a connection is idle.
fn read_some(reader: &OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut buffer = [0; READ_BYTES];
    let length = reader.try_read(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

/// Writes until there is nobody to say what; then the connection is closed.
async fn write(
    writer: OwnedWriteHalf,
    mut to_write: mpsc::Receiver<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
) {
    while let Some(bytes) = to_write.recv().await {
        // What is left of a closed connection is written within this time, too, or not at all. The
        // reader tells that it is closed.
        let within = if to_write.is_closed() { LAST_WORDS_WITHIN } else { WRITTEN_WITHIN };
        match timeout(within, write_one(&writer, &bytes)).await {
            Ok(Ok(())) => waiting.set(waiting.get().saturating_sub(bytes.len())),
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn write_one(writer: &OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        writer.writable().await?;
        match writer.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn log(reason: TcpDrop, count: u64) {
    tracing::warn!("dropped {count}: {reason}");
}
