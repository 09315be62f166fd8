//! Free ports of loopback, found at run time.
//!
//! They lie below the range from which the system draws ports of its own (32768 and up), so that
//! no connection of a test takes one between the look and the use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Tests of another process start elsewhere in the range.
const STRIDE: u32 = 97;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The first of `count` ports in a row that nobody uses, for UDP or TCP. No port is given twice
/// until the range is used up.
pub fn free_ports(count: u16) -> u16 {
    for _ in 0..COUNT {
        let offset = TAKEN.fetch_add(u32::from(count), Ordering::Relaxed);
        let first = FIRST + (process::id().wrapping_mul(STRIDE).wrapping_add(offset)) % COUNT;
        let first = u16::try_from(first).expect("the range ends below 65536");
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row from {FIRST} on");
}

/// A free address of loopback.
pub fn free_address() -> SocketAddr {
    loopback(free_ports(1))
}

/// A port of loopback.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Softphones also use the machine's other addresses.
fn is_free(port: u16) -> bool {
    let anywhere = (Ipv4Addr::UNSPECIFIED, port);
    let loopback = (Ipv6Addr::LOCALHOST, port);
    let is_free = |anywhere: SocketAddr| {
        UdpSocket::bind(anywhere).is_ok() && TcpListener::bind(anywhere).is_ok()
    };
    is_free(anywhere.into()) && is_free(loopback.into())
}
