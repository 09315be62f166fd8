//! Which ports the story uses, and whether they are free. All are on loopback.

use anyhow::{Context, bail};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// Ports as they stand in the property files; `--sip-port` and `--http-port` move them.
const SIP_IN_FILES: u16 = 5060;
const HTTP_IN_FILES: u16 = 8081;

/// Ports from the first SIP port on.
const SIP_PORTS: u16 = 7;
const HTTP_PORTS: u16 = 2;

/// What each of them is for.
const SIP_PURPOSES: [&str; SIP_PORTS as usize] = [
    "SIP of the phones",
    "balancer to server1",
    "balancer to server2",
    "SIP of server1",
    "SIP of server2",
    "cluster of server1",
    "cluster of server2",
];

/// How long a keep-alive may take to be answered.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// The ports of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The address of the phones.
    entry: Ipv4Addr,
    sip: u16,
    http: u16,
}

impl Ports {
    /// The ports from the first of each kind on; phones are served at `entry`.
    pub fn new(entry: Ipv4Addr, sip: u16, http: u16) -> anyhow::Result<Self> {
        let sip_last = sip.checked_add(SIP_PORTS - 1);
        let http_last = http.checked_add(HTTP_PORTS - 1);
        let (Some(sip_last), Some(http_last)) = (sip_last, http_last) else {
            bail!("--sip-port {sip} and --http-port {http} must leave room for the next ports");
        };
        if sip == 0 || http == 0 {
            bail!("--sip-port and --http-port cannot be 0: the phones must know the port");
        }
        if sip <= http_last && http <= sip_last {
            bail!("--http-port {http} is among the ports {sip} to {sip_last} of --sip-port");
        }
        Ok(Ports { entry, sip, http })
    }

    /// Where phones send their requests.
    pub fn sip(self) -> SocketAddr {
        (self.entry, self.sip).into()
    }

    /// Admin UI of the server with this index.
    pub fn http(self, server: u16) -> SocketAddr {
        loopback(self.http + server)
    }

    /// A port of the property files as it is in this run; ports of others stay.
    pub fn moved(self, in_file: u16) -> u16 {
        let shifted = |first: u16, count: u16, to: u16| {
            let index = in_file.checked_sub(first).filter(|index| *index < count);
            index.map(|index| to + index)
        };
        shifted(SIP_IN_FILES, SIP_PORTS, self.sip)
            .or(shifted(HTTP_IN_FILES, HTTP_PORTS, self.http))
            .unwrap_or(in_file)
    }

    /// An error that names the port and the option, if one is taken.
    pub fn check(self) -> anyhow::Result<()> {
        for (port, purpose) in (self.sip..).zip(SIP_PURPOSES) {
            let taken =
                || format!("UDP port {port} ({purpose}) is taken; choose others with --sip-port");
            let address = if port == self.sip { self.sip() } else { loopback(port) };
            UdpSocket::bind(address).with_context(taken)?;
            if purpose.starts_with("cluster") {
                let taken = || {
                    format!("TCP port {port} ({purpose}) is taken; choose others with --sip-port")
                };
                TcpListener::bind(loopback(port)).with_context(taken)?;
            }
        }
        for (server, port) in [("server1", self.http), ("server2", self.http + 1)] {
            let taken = || {
                format!(
                    "TCP port {port} (admin of {server}) is taken; choose others with --http-port"
                )
            };
            TcpListener::bind(loopback(port)).with_context(taken)?;
        }
        Ok(())
    }
}

/// True if a balancer listens there: it answers a keep-alive (RFC 5626 §4.4.1).
pub fn answers_keepalive(address: SocketAddr) -> io::Result<bool> {
    let socket = UdpSocket::bind(loopback(0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    socket.send(b"\r\n\r\n")?;
    // Refused or too late: nobody listens yet.
    Ok(socket.recv(&mut [0; 8]).is_ok())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
