//! The hosts, and the two bridges between them: in the task's own network, and gone with it.
//! Servers are on one, phones on the other one, and balancers on both, with a cable to each.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::own_network;

/// Names of the hosts, and their addresses on the servers' side and on the phones'.
pub const HOSTS: [(&str, Option<&str>, Option<&str>); 5] = [
    ("client", None, Some(CLIENT)),
    ("server1", Some("10.9.0.11"), None),
    ("server2", Some("10.9.0.12"), None),
    ("balancer1", Some("10.9.0.21"), Some("10.9.1.21")),
    ("balancer2", Some("10.9.0.22"), Some("10.9.1.22")),
];

/// Where SIPp is.
pub const CLIENT: &str = "10.9.1.10";

/// The phones' address: at the host of the balancer that serves.
pub const ENTRY: &str = "10.9.1.100";

/// A balancer's interface on the phones' side.
pub const PHONES_SIDE: &str = "eth1";

/// The address of this task on the servers' bridge, from which it asks them.
const OWN: &str = "10.9.0.1/24";

/// One of the cables of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Servers,
    Phones,
}

impl Side {
    const ALL: [Side; 2] = [Side::Servers, Side::Phones];

    /// The bridge, and the interface of a host.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Side::Servers => ("br0", "eth0"),
            Side::Phones => ("br1", PHONES_SIDE),
        }
    }

    /// Addresses of the hosts on it.
    fn hosts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        HOSTS.into_iter().filter_map(move |(host, servers, phones)| {
            let address = if self == Side::Servers { servers } else { phones };
            Some((host, address?))
        })
    }

    /// The bridge's end of a host's cable.
    fn end(self, host: &str) -> String {
        format!("{host}-{}", self.names().1)
    }
}

/// See the module.
pub struct Network(());

impl Network {
    /// Makes all of it.
    pub fn make() -> Result<Self> {
        ensure!(own_network::is_inside(), "hosts are made in a network of the task's own only");
        // Names of namespaces are files: those of a mount of our own, in our own mount namespace.
        std::fs::create_dir_all("/run/netns")?;
        run("mount", "-t tmpfs netns /run/netns")?;
        for (host, ..) in HOSTS {
            ip(&format!("netns add {host}"))?;
            ip(&format!("-n {host} link set lo up"))?;
        }
        for side in Side::ALL {
            let (bridge, interface) = side.names();
            ip(&format!("link add {bridge} type bridge"))?;
            ip(&format!("link set {bridge} up"))?;
            for (host, address) in side.hosts() {
                let end = side.end(host);
                ip(&format!("link add {end} type veth peer name {interface} netns {host}"))?;
                ip(&format!("link set {end} master {bridge} up"))?;
                ip(&format!("-n {host} link set {interface} up"))?;
                ip(&format!("-n {host} addr add {address}/24 dev {interface}"))?;
            }
        }
        ip(&format!("addr add {OWN} dev br0"))?;
        Ok(Network(()))
    }

    /// Pulls the cables of a host, or puts them back.
    pub fn set_all(&self, host: &str, plugged: bool) -> Result<()> {
        let mut sides = Side::ALL.into_iter();
        sides.try_for_each(|side| set(side, host, plugged))
    }

    /// The same with the one on the phones' side only.
    pub fn set_phones(&self, host: &str, plugged: bool) -> Result<()> {
        set(Side::Phones, host, plugged)
    }

    /// The host has the phones' address.
    pub fn has_entry(&self, host: &str) -> Result<bool> {
        let shown = ip(&format!("-n {host} -o addr show dev {PHONES_SIDE}"))?;
        Ok(shown.contains(&format!("{ENTRY}/")))
    }
}

/// A cable that the host does not have is none to pull.
fn set(side: Side, host: &str, plugged: bool) -> Result<()> {
    if side.hosts().all(|(name, _)| name != host) {
        return Ok(());
    }
    let state = if plugged { "up" } else { "down" };
    ip(&format!("link set {} {state}", side.end(host))).map(drop)
}

fn ip(words: &str) -> Result<String> {
    run("ip", words)
}

fn run(program: &str, words: &str) -> Result<String> {
    let output = Command::new(program).args(words.split(' ')).output();
    let output = output.with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!("{program} {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
