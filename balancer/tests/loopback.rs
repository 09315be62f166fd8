//! One balancer with real sockets, one node played by the test: proves the wiring, not the logic.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real sockets are what is tested here"
)]

use resilee_balancer::{Addresses, RunError};
use resilee_membership::{
    Control, ControlBody, Flow, Key, Packet, RunId, View, VoterId, open, seal_control, seal_sip,
};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(10);
const OPTIONS: &[u8] = b"OPTIONS sip:b@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";

struct Files(PathBuf);

impl Files {
    fn new(name: &str, listen: &str, node: SocketAddr) -> Self {
        let directory = std::env::temp_dir().join(format!("resilee-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("cluster.key"), "k".repeat(40)).unwrap();
        let text = format!(
            "listen = \"{listen}\"\nnodes_listen = \"127.0.0.1\"\nkey_file = \"cluster.key\"\n\
             [[server]]\nname = \"one\"\naddress = \"{node}\"\n"
        );
        std::fs::write(directory.join("balancer.toml"), text).unwrap();
        Files(directory)
    }

    fn config(&self) -> PathBuf {
        self.0.join("balancer.toml")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Left-over files in the temporary directory harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn run(
    config: &Path,
    ready: mpsc::Sender<Addresses>,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stop = async { stop.await.unwrap_or(()) };
    runtime.block_on(resilee_balancer::run(config, |a| ready.send(a.clone()).unwrap(), stop))
}

/// Receives until `wanted` finds what it looks for.
fn receive<T>(
    socket: &UdpSocket,
    key: &Key,
    wanted: impl Fn(Packet<'_>) -> Option<T>,
) -> (T, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("in time");
        if let Some(found) = wanted(open(key, &buffer[..length]).unwrap()) {
            return (found, from);
        }
    }
}

#[test]
fn a_request_reaches_the_node_and_its_answer_the_client_and_the_view_survives() {
    let (node, client) = (socket(), socket());
    let files = Files::new("loopback", "127.0.0.1:0", node.local_addr().unwrap());
    let (ready, addresses) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let config = files.config();
    let balancer = std::thread::spawn(move || run(&config, ready, stopped));
    let addresses = addresses.recv_timeout(DEADLINE).unwrap();
    let key = Key::from_file_bytes("k".repeat(40).as_bytes()).unwrap();

    let heartbeat = |packet: Packet<'_>| match packet {
        Packet::Control(Control { view, body: ControlBody::Heartbeat { .. }, .. }) => Some(view),
        _ => None,
    };
    let (number, from) = receive(&node, &key, heartbeat);
    assert_eq!((number, from), (0, addresses.nodes[0]));
    let me = RunId { node: "one".parse().unwrap(), incarnation: 1 };
    let view = View::default().next(vec![me.clone()], &me);
    let body = ControlBody::TellView { view, member: true, last_commit: 0, store_empty: false };
    let tell = Control { view: 1, from: VoterId::Run(me), body };
    node.send_to(&seal_control(&key, &tell), from).unwrap();
    let in_view_1 = |packet: Packet<'_>| heartbeat(packet).filter(|number| *number == 1);
    receive(&node, &key, in_view_1);

    client.send_to(OPTIONS, addresses.clients[0]).unwrap();
    let sip = |packet: Packet<'_>| match packet {
        Packet::Sip { view, flow, bytes } => Some((view, flow, bytes.to_vec())),
        Packet::Control(_) => None,
    };
    let ((number, flow, bytes), _): ((u64, Flow, Vec<u8>), _) = receive(&node, &key, sip);
    assert_eq!((number, flow.remote, &bytes[..]), (1, client.local_addr().unwrap(), OPTIONS));
    node.send_to(&seal_sip(&key, 1, &flow, b"SIP/2.0 200 OK\r\n\r\n"), from).unwrap();
    let mut buffer = [0; 100];
    let (length, source) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(source, addresses.clients[0]);

    stop.send(()).unwrap();
    balancer.join().unwrap().unwrap();
    assert!(files.0.join("balancer.state").exists());
}

#[test]
fn a_taken_port_is_named_with_its_key() {
    let taken = socket();
    let address = taken.local_addr().unwrap();
    let files = Files::new("taken", &address.to_string(), "127.0.0.1:9".parse().unwrap());
    let (ready, _addresses) = mpsc::channel();
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let error = run(&files.config(), ready, stopped).unwrap_err().to_string();
    let expected = format!("balancer.toml:1: listen: the address {address} is taken by another");
    assert!(error.contains(&expected), "{error}");
}
