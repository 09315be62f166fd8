//! A node starts, answers questions, hands over, and starts again.

use crate::node::{Client, DEADLINE, free_address, start, status};
use actix::System;
use resilee_core::management::{Answer, Query, Status};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One life of a node; its run.
fn live_once(data_dir: &Path, address: SocketAddr) -> Status {
    System::new().block_on(async {
        let mut runtime = start(data_dir, address, Vec::new()).await.unwrap();
        let asker = runtime.asker();
        let status = status(&asker, |status| status.member).await;
        assert_eq!(Client::new(address).await.ask("c1 hello").await, "c1 hello");
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
    let error =
        System::new().block_on(async { start(dir.path(), address, Vec::new()).await.err() });
    let text = error.expect("refused").to_string();
    assert!(text.contains(&format!("{address} (UDP, [sip] listen)")), "{text}");
}

#[test]
fn a_node_alone_serves_tcp_clients_at_its_sip_address() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    System::new().block_on(async {
        let runtime = start(dir.path(), address, Vec::new()).await.unwrap();
        status(&runtime.asker(), |status| status.member).await;
        let mut client = TcpStream::connect(address).await.expect("it listens");
        for word in ["hello", "again"] {
            let message = format!("c1 {word} SIP/2.0\r\nContent-Length: 0\r\n\r\n");
            client.write_all(message.as_bytes()).await.unwrap();
            let mut answer = vec![0; "c1 ".len() + word.len()];
            timeout(DEADLINE, client.read_exact(&mut answer)).await.expect("answers").unwrap();
            assert_eq!(answer, format!("c1 {word}").into_bytes());
        }
    });
}
