//! The least that a forwarder must do: receive, send. Blocking calls, a thread for each socket; it
//! looks at nothing, and knows no node, no key and no limit of rates.

use anyhow::{Result, ensure};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Most clients; each has a socket and a thread.
const CLIENTS_MAX: usize = 16;
/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// How often the count is printed, if it is another.
const PRINT_EVERY: Duration = Duration::from_millis(200);

/// Forwards for ever. Prints how many datagrams it passed on, both ways together.
pub fn run(listen: SocketAddr, to: SocketAddr) -> Result<()> {
    let front = Arc::new(UdpSocket::bind(listen)?);
    let passed = Arc::new(AtomicU64::new(0));
    thread::spawn({
        let passed = passed.clone();
        move || print(&passed)
    });
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (length, client) = front.recv_from(&mut buffer)?;
        let way = match ways.get(&client) {
            Some(way) => way.clone(),
            None => {
                ensure!(ways.len() < CLIENTS_MAX, "more than {CLIENTS_MAX} clients");
                let way = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
                way.connect(to)?;
                let (front, passed) = (front.clone(), passed.clone());
                thread::spawn({
                    let way = way.clone();
                    move || pass_back(&way, &front, client, &passed)
                });
                ways.insert(client, way.clone());
                way
            }
        };
        // Whoever is gone for a moment refuses; the next datagram may reach it.
        if way.send(&buffer[..length]).is_ok() {
            passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn pass_back(way: &UdpSocket, front: &UdpSocket, client: SocketAddr, passed: &AtomicU64) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok(length) = way.recv(&mut buffer) else { continue };
        if front.send_to(&buffer[..length], client).is_ok() {
            passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn print(passed: &AtomicU64) {
    let mut printed = 0;
    loop {
        thread::sleep(PRINT_EVERY);
        let now = passed.load(Ordering::Relaxed);
        if now != printed {
            println!("{now}");
            printed = now;
        }
    }
}
