//! The program reads its file again, and serves its status over HTTP.

use crate::keep_sockets::{Program, wait_for};
use crate::stage::{DEADLINE, Files, Node};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const METRICS: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

/// What the balancer answers; none if it does not.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Some(answer)
}

/// The program with a keeper, and where its metrics are.
fn start(files: &Files) -> (Program<'_>, SocketAddr) {
    let program = Program::keeping(files);
    let metrics = program.last_after("metrics.listen: ").parse().unwrap();
    (program, metrics)
}

#[test]
fn the_status_is_served_as_json_and_for_prometheus() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address()).with(METRICS);
    let (_program, metrics) = start(&files);
    node.adopt_view_1();
    let status = wait_for("view 1", || {
        get(metrics, "/status").filter(|answer| answer.contains("\"view\":{\"number\":1"))
    });
    assert!(status.contains("content-type: application/json"), "{status}");
    assert!(status.contains("\"name\":\"one\""), "{status}");
    let page = get(metrics, "/metrics").unwrap();
    assert!(page.starts_with("HTTP/1.0 200 OK") || page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
    assert!(page.contains("\nresilee_balancer_view 1\n"), "{page}");
    assert!(get(metrics, "/").unwrap().contains(" 404 "));
}

#[test]
fn a_changed_file_is_read_again_and_a_bad_one_refused() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address()).with(METRICS);
    let good = fs::read_to_string(files.config()).unwrap();
    let (program, metrics) = start(&files);
    let wait = |what: &str| {
        wait_for(what, || get(metrics, "/status").filter(|answer| answer.contains(what)))
    };
    fs::write(files.config(), format!("algorithm = \"call-id\"\n{good}")).unwrap();
    wait("\"algorithm\":\"call-id\"");
    fs::write(files.config(), format!("algorithm = \"any\"\n{good}")).unwrap();
    let status = wait("\"refused\":1");
    assert!(status.contains("balancer.toml:1: algorithm: "), "{status}");
    assert!(status.contains("\"algorithm\":\"call-id\""), "the old one stays: {status}");
    let other = good.replace("name = \"one\"", "name = \"two\"");
    fs::write(files.config(), other).unwrap();
    let status = wait("\"refused\":2");
    assert!(status.contains("which servers there are is fixed"), "{status}");
    assert!(program.log().contains("changed: algorithm"), "{}", program.log());
}

#[test]
fn a_keeper_passes_the_order_to_read_again_on() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address()).with(METRICS);
    let (program, metrics) = start(&files);
    wait_for("the worker", || get(metrics, "/status"));
    program.signal(Signal::SIGHUP);
    wait_for("the reload", || program.log().contains("read again and says the same").then_some(()));
}
