//! What the tests play around a balancer: its files, one node, and clients.

use resilee_membership::{
    Control, ControlBody, Flow, Key, Packet, RunId, View, VoterId, open, seal_control, seal_sip,
};
use resilee_sbb::Timestamp;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A balancer's files, with one server named `one`.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new(listen: &str, node: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cluster.key"), "k".repeat(40)).unwrap();
        let text = format!(
            "listen = \"{listen}\"\nnodes_listen = \"127.0.0.1\"\nkey_file = \"cluster.key\"\n\
             [[server]]\nname = \"one\"\naddress = \"{node}\"\n"
        );
        std::fs::write(folder.path().join("balancer.toml"), text).unwrap();
        Files(folder)
    }

    /// With this at the end of the configuration.
    pub fn with(self, more: &str) -> Self {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), text + more).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("balancer.toml")
    }
}

pub fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// The one server, played by the test.
pub struct Node {
    pub socket: UdpSocket,
    key: Key,
}

impl Node {
    pub fn new() -> Self {
        let key = Key::from_file_bytes("k".repeat(40).as_bytes()).unwrap();
        Node { socket: socket(), key }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Tells the balancer a view 1 with itself alone, and waits until it goes by that; where the
    /// balancer's heartbeats come from.
    pub fn adopt_view_1(&self) -> SocketAddr {
        let (number, from) = self.receive(heartbeat);
        assert_eq!(number, 0);
        let me = RunId { node: "one".parse().unwrap(), incarnation: 1 };
        let view = View::default().next(vec![me.clone()], &me);
        let body = ControlBody::TellView { view, member: true, last_commit: 0, store_empty: false };
        let tell = Control { view: 1, from: VoterId::Run(me), body };
        self.socket.send_to(&seal_control(&self.key, &tell), from).unwrap();
        self.receive(|packet| heartbeat(packet).filter(|number| *number == 1));
        from
    }

    /// The next SIP message, whose view is 1, and where it came from.
    pub fn receive_sip(&self) -> (Flow, Vec<u8>, SocketAddr) {
        let ((view, flow, bytes), from) = self.receive(|packet| match packet {
            Packet::Sip { view, flow, bytes } => Some((view, flow, bytes.to_vec())),
            Packet::Control(_) => None,
        });
        assert_eq!(view, 1);
        (flow, bytes, from)
    }

    /// Whether another SIP message comes within this time.
    pub fn hears_sip_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut buffer = vec![0; 65_536];
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
        {
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else { break };
            if matches!(open(&self.key, &buffer[..length]).unwrap(), Packet::Sip { .. }) {
                return true;
            }
        }
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        false
    }

    /// Waits for a heartbeat that says this of the balancer's process.
    pub fn wait_for_process(&self, sockets_kept: bool, restarts: u64) {
        self.receive(|packet| match packet {
            Packet::Control(Control { body: ControlBody::Heartbeat { seat, .. }, .. }) => {
                seat.filter(|it| (it.sockets_kept, it.restarts) == (sockets_kept, restarts))
            }
            _ => None,
        });
    }

    /// Confirms that the balancer may forward, until one of its heartbeats says this.
    pub fn confirm_until(&self, what: &str, done: impl Fn(&Beat) -> bool) {
        self.beat_until(what, true, done);
    }

    /// Hears the balancer, which may not forward, until one of its heartbeats says this.
    pub fn hear_until(&self, what: &str, done: impl Fn(&Beat) -> bool) {
        self.beat_until(what, false, done);
    }

    fn beat_until(&self, what: &str, confirms: bool, done: impl Fn(&Beat) -> bool) {
        let start = Instant::now();
        let mut said = None;
        while start.elapsed() < DEADLINE {
            let (beat, from) = self.receive(beat);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let body = ControlBody::Heartbeat {
                // Grows faster than it may send.
                sequence: u64::try_from(now.as_micros()).unwrap(),
                echo: beat.sequence,
                hears_seat: true,
                sent_at: Timestamp::ZERO + now,
                draining: false,
                ready: true,
                rests: false,
                seat: None,
                confirms,
            };
            let me = RunId { node: "one".parse().unwrap(), incarnation: 1 };
            let control = Control { view: 1, from: VoterId::Run(me), body };
            self.socket.send_to(&seal_control(&self.key, &control), from).unwrap();
            if done(&beat) {
                return;
            }
            said = Some(beat);
        }
        panic!("not in time: {what}: {said:?}");
    }

    pub fn send_sip(&self, flow: &Flow, bytes: &[u8], to: SocketAddr) {
        self.socket.send_to(&seal_sip(&self.key, 1, flow, bytes), to).unwrap();
    }

    /// Receives until `wanted` finds what it looks for.
    fn receive<T>(&self, wanted: impl Fn(Packet<'_>) -> Option<T>) -> (T, SocketAddr) {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).expect("in time");
            if let Some(found) = wanted(open(&self.key, &buffer[..length]).unwrap()) {
                return (found, from);
            }
        }
    }
}

/// What a heartbeat of one of two balancers says.
#[derive(Debug)]
pub struct Beat {
    sequence: u64,
    pub ready: bool,
    pub rests: bool,
    pub holds_address: bool,
}

fn beat(packet: Packet<'_>) -> Option<Beat> {
    let Packet::Control(Control { body, .. }) = packet else { return None };
    let ControlBody::Heartbeat { sequence, ready, rests, seat, .. } = body else { return None };
    let holds_address = seat.and_then(|it| it.holds_address).unwrap_or(false);
    Some(Beat { sequence, ready, rests, holds_address })
}

/// The view that a heartbeat goes by.
fn heartbeat(packet: Packet<'_>) -> Option<u64> {
    match packet {
        Packet::Control(Control { view, body: ControlBody::Heartbeat { .. }, .. }) => Some(view),
        _ => None,
    }
}

/// A request that is not any other.
pub fn options(number: usize) -> Vec<u8> {
    format!(
        "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{number}\r\n\
         Call-ID: c{number}\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    .into_bytes()
}
