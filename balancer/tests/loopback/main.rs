//! A balancer with real sockets, one node played by the test: proves the wiring, not the logic.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real sockets are what is tested here"
)]

mod keep_sockets;
mod own_address;
mod reload;
mod stage;

use resilee_balancer::{Addresses, RunError};
use stage::{DEADLINE, Files, Node, options, socket};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

fn run(
    config: &Path,
    ready: mpsc::Sender<Addresses>,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stop = async { stop.await.unwrap_or(()) };
    runtime.block_on(resilee_balancer::run(config, |a| ready.send(a.clone()).unwrap(), stop))
}

#[test]
fn a_request_reaches_the_node_and_its_answer_the_client_and_the_view_survives() {
    let (node, client) = (Node::new(), socket());
    let files = Files::new("127.0.0.1:0", node.address());
    let (ready, addresses) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let config = files.config();
    let balancer = std::thread::spawn(move || run(&config, ready, stopped));
    let addresses = addresses.recv_timeout(DEADLINE).unwrap();
    assert_eq!(node.adopt_view_1(), addresses.nodes[0]);

    client.send_to(&options(1), addresses.clients[0]).unwrap();
    let (flow, bytes, from) = node.receive_sip();
    assert_eq!((flow.remote, bytes), (client.local_addr().unwrap(), options(1)));
    node.send_sip(&flow, b"SIP/2.0 200 OK\r\n\r\n", from);
    let mut buffer = [0; 100];
    let (length, source) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(source, addresses.clients[0]);

    stop.send(()).unwrap();
    balancer.join().unwrap().unwrap();
    assert!(files.path("balancer.state").exists());
}

/// By the default T1 it would be heard again after half a second.
#[test]
fn a_tcp_client_is_repeated_by_the_t1_of_the_file() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address()).with("[timers]\nt1_ms = 5000\n");
    let (ready, addresses) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let config = files.config();
    let balancer = std::thread::spawn(move || run(&config, ready, stopped));
    let addresses = addresses.recv_timeout(DEADLINE).unwrap();
    node.adopt_view_1();

    let mut client = TcpStream::connect(addresses.tcp[0]).unwrap();
    let text = String::from_utf8(options(1)).unwrap();
    let more = "From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nContent-Length: 0\r\nCSeq";
    let text = text.replace("/UDP", "/TCP").replace("CSeq", more);
    client.write_all(text.as_bytes()).unwrap();
    let (_, bytes, _) = node.receive_sip();
    assert_eq!(bytes, text.as_bytes());
    assert!(!node.hears_sip_within(Duration::from_millis(1_500)));

    stop.send(()).unwrap();
    balancer.join().unwrap().unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_key() {
    let taken = socket();
    let address = taken.local_addr().unwrap();
    let files = Files::new(&address.to_string(), "127.0.0.1:9".parse().unwrap());
    let (ready, _addresses) = mpsc::channel();
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let error = run(&files.config(), ready, stopped).unwrap_err().to_string();
    let expected = format!("balancer.toml:1: listen: the address {address} is taken by another");
    assert!(error.contains(&expected), "{error}");
}
