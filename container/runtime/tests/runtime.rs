//! A node alone on real sockets: it starts, answers questions, hands over, and starts again.

use actix::System;
use resilee_core::management::{Answer, Query, Status};
use resilee_core::{Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route};
use resilee_membership::{Key, Unclean};
use resilee_runtime::{Asker, Parts, Runtime, RuntimeConfig, RuntimeError};
use resilee_sbb::{ActivityId, Failure, Tables, Timestamp};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Nothing here takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers each message with itself.
struct Echo;

impl ResourceAdaptor for Echo {
    fn route(&self, _: Timestamp, ingress: &Ingress) -> Route {
        Route::Answer(vec![Egress { flow: ingress.flow, bytes: ingress.bytes.clone() }])
    }

    fn receive(&mut self, _: &mut Endpoint, _: &Ingress) {}

    fn unknown(&mut self, _: Timestamp, _: &Ingress) -> Vec<Egress> {
        Vec::new()
    }

    fn command(&mut self, _: &mut Endpoint, _: ActivityId, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn timeout(&mut self, _: &mut Endpoint, _: ActivityId) {}

    fn next_timeout(&self, _: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, _: ActivityId) -> Vec<u8> {
        Vec::new()
    }

    fn adopt(
        &mut self,
        _: &mut Endpoint,
        _: ActivityId,
        _: &[u8],
        _: Adoption,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn forget(&mut self, _: ActivityId) {}
}

fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn start(data_dir: &Path, sip_listen: SocketAddr) -> Result<Runtime, RuntimeError> {
    let config = RuntimeConfig {
        node: "alone".parse().unwrap(),
        data_dir: data_dir.to_owned(),
        sip_listen,
        behind_balancer: false,
        cluster_listen: None,
        peers: Vec::new(),
        tls: None,
        key: Key::from_file_bytes(&[b'k'; 32]).unwrap(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 0,
        unclean: Unclean::Refuse,
        workers: 1,
    };
    let adaptor = Box::new(|_: &_| Box::new(Echo) as Box<dyn ResourceAdaptor>);
    let parts = Parts { services: Vec::new(), adaptor, tables: Tables::default() };
    Runtime::start(config, parts).await
}

async fn member_status(asker: &Asker) -> Status {
    let wait = async {
        loop {
            if let Answer::Status(status) = asker.ask(Query::Status).await
                && status.member
            {
                return *status;
            }
            // sleep: asks again until the status says so, or the deadline ends it.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect("becomes a member")
}

async fn echo(node: SocketAddr) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"hello", node).await.unwrap();
    let mut buffer = [0; 16];
    let (length, source) = timeout(DEADLINE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!((&buffer[..length], source), (&b"hello"[..], node));
}

/// One life of a node; its run.
fn live_once(data_dir: &Path, address: SocketAddr) -> Status {
    System::new().block_on(async {
        let mut runtime = start(data_dir, address).await.unwrap();
        let asker = runtime.asker();
        let status = member_status(&asker).await;
        echo(address).await;
        let records = Query::Records { journal: "none".to_owned(), from: 1, limit: 10 };
        assert!(matches!(asker.ask(records).await, Answer::Records(records) if records.is_empty()));
        runtime.drain();
        timeout(DEADLINE, runtime.drained()).await.expect("hands over").unwrap();
        status
    })
}

#[test]
fn a_node_alone_serves_hands_over_and_comes_back_as_a_later_run() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let first = live_once(dir.path(), address);
    let second = live_once(dir.path(), address);
    assert!(second.run.incarnation > first.run.incarnation);
    assert!(second.view.number > first.view.number);
}

#[test]
fn a_taken_port_is_an_error_that_names_the_port_and_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = System::new().block_on(async { start(dir.path(), address).await.err() });
    let text = error.expect("refused").to_string();
    assert!(text.contains(&format!("{address} (UDP, [sip] listen)")), "{text}");
}
