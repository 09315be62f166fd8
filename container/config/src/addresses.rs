//! The addresses that one program listens on: none twice, and none that it would send to.

use crate::place::{ConfigError, Place};
use std::net::{IpAddr, SocketAddr};

/// TCP and UDP ports do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

/// What a program listens on, as far as its file has been read.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Vec<(Protocol, SocketAddr, Place)>);

impl OwnAddresses {
    /// Takes an address.
    ///
    /// # Errors
    /// The program has it already.
    pub fn take(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
        place: Place,
    ) -> Result<(), ConfigError> {
        let mut same = self.0.iter().filter(|(of, ..)| *of == protocol);
        if let Some((_, other, at)) = same.find(|(_, own, _)| overlap(*own, address)) {
            let what = format!("{address}: {}: use another port", already(*other, at));
            return Err(place.error(what));
        }
        self.0.push((protocol, address, place));
        Ok(())
    }

    /// Checks an address where another program is said to listen.
    ///
    /// # Errors
    /// It is one of the program's own.
    pub fn check_foreign(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        place: &Place,
    ) -> Result<(), ConfigError> {
        let mut same = self.0.iter().filter(|(of, ..)| *of == protocol);
        match same.find(|(_, own, _)| reaches(address, *own)) {
            Some((_, other, at)) => {
                let expected = "the address of another program is expected";
                Err(place.error(format!("{address}: {}: {expected}", already(*other, at))))
            }
            None => Ok(()),
        }
    }
}

fn already(address: SocketAddr, at: &Place) -> String {
    let line = at.line.map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("this is {} ({address}{line}) already", at.key)
}

/// True if no program can have both. The system chooses for port 0, and never the same.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |a: IpAddr, b: IpAddr| {
        // An IPv6 socket for all addresses takes IPv4 as well.
        a.is_unspecified() && (a.is_ipv6() || b.is_ipv4())
    };
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0 && one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

/// True if what is sent to `target` comes in at `own`. One that listens on all addresses of its
/// machine has the loopback ones for sure; which others, the file does not tell.
fn reaches(target: SocketAddr, own: SocketAddr) -> bool {
    target == own || (target.ip().is_loopback() && overlap(target, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_all_cover_those_for_one() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.2:1", true),
            ("[::]:1", "127.0.0.2:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let (a, b) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((overlap(a, b), overlap(b, a)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn another_machine_may_use_the_same_port() {
        let own = "0.0.0.0:5060".parse().unwrap();
        assert!(!reaches("192.0.2.1:5060".parse().unwrap(), own));
        assert!(reaches("127.0.0.1:5060".parse().unwrap(), own));
    }
}
