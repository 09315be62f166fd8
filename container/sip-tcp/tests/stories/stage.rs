//! Clients on a stage: the test plays the nodes and the network.

use resilee_membership::{Flow, Transport};
use resilee_sbb::Timestamp;
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::{ConnectionId, TcpClients, TcpInput, TcpLimits, TcpOutput};
use std::net::SocketAddr;
use std::time::Duration;

/// Where the client's connection comes from.
pub const CLIENT: &str = "192.0.2.1:40000";
const LOCAL: &str = "198.51.100.1:5060";

pub struct Stage {
    pub clients: TcpClients,
    pub now: Timestamp,
    /// Connections of clients so far.
    pub accepted: usize,
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn flow(remote: &str) -> Flow {
    Flow { remote: address(remote), local: address(LOCAL), transport: Transport::Tcp }
}

/// A request of a client, or, with a branch of a node's, of a node.
pub fn request(method: &str, branch: &str) -> String {
    let cseq = method;
    format!(
        "{method} sip:a@192.0.2.1:5070;transport=tcp SIP/2.0\r\n\
         Via: SIP/2.0/TCP 192.0.2.1:5070;branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 {cseq}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The response to it.
pub fn response(status: u16, method: &str, branch: &str) -> String {
    format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/TCP 192.0.2.1:5070;branch={branch}\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

impl Stage {
    pub fn new(limits: TcpLimits) -> Self {
        let clients = TcpClients::new(limits, TimerConfig::default());
        Stage { clients, now: Timestamp::from_millis(1_000), accepted: 0 }
    }

    /// One client has connected.
    pub fn connected() -> (Self, ConnectionId) {
        let mut stage = Stage::new(TcpLimits::default());
        let connection = stage.accept(CLIENT).expect("there is room");
        (stage, connection)
    }

    pub fn accept(&mut self, remote: &str) -> Option<ConnectionId> {
        self.accepted += 1;
        self.clients.accept(self.now, address(remote), address(LOCAL))
    }

    /// A client says something; what becomes of it in short, as in [`Stage::told`].
    pub fn says(&mut self, connection: ConnectionId, text: &str) -> Vec<String> {
        self.handle(TcpInput::Received { connection, bytes: text.as_bytes() })
    }

    /// A node says something to the client.
    pub fn node(&mut self, text: &str) -> Vec<String> {
        self.handle(TcpInput::Send { flow: flow(CLIENT), bytes: text.as_bytes() })
    }

    pub fn handle(&mut self, input: TcpInput<'_>) -> Vec<String> {
        self.clients.handle_input(self.now, input);
        self.told()
    }

    /// Time passes; what happens in it.
    pub fn pass(&mut self, millis: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(millis);
        let mut told = Vec::new();
        while let Some(at) = self.clients.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            told.extend(self.handle(TcpInput::Timeout));
        }
        self.now = end;
        told
    }

    /// Outputs in short: to a node, to a client, and what else is done.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(output) = self.clients.poll_output() {
            told.push(match output {
                TcpOutput::Message { bytes, .. } => format!("node: {}", short(&bytes)),
                TcpOutput::Write { connection, bytes } => {
                    format!("client {}: {}", connection.0, short(&bytes))
                }
                TcpOutput::Open { connection, remote } => {
                    format!("open {}: {remote}", connection.0)
                }
                TcpOutput::Close(connection) => format!("close {}", connection.0),
                TcpOutput::Dropped { reason, .. } => format!("{reason:?}"),
            });
        }
        told
    }
}

/// `INVITE` or `200 INVITE`.
fn short(bytes: &[u8]) -> String {
    let Ok(message) = resilee_sip_proto::Message::parse(bytes) else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    match message.status() {
        Some(status) => format!("{status} {}", message.cseq().1),
        None => message.method().unwrap_or_default().to_owned(),
    }
}
