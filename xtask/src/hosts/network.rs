//! The hosts, and the bridge between them: in the task's own network, and gone with it.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::own_network;

/// Names and addresses of the hosts.
pub const HOSTS: [(&str, &str); 5] = [
    ("client", CLIENT),
    ("server1", "10.9.0.11"),
    ("server2", "10.9.0.12"),
    ("balancer1", "10.9.0.21"),
    ("balancer2", "10.9.0.22"),
];

/// Where SIPp is.
pub const CLIENT: &str = "10.9.0.10";

/// The phones' address: at the host of the balancer that serves.
pub const ENTRY: &str = "10.9.0.100";

/// The address of this task on the bridge, from which it asks servers.
const OWN: &str = "10.9.0.1/24";

/// See the module.
pub struct Network(());

impl Network {
    /// Makes all of it.
    pub fn make() -> Result<Self> {
        ensure!(own_network::is_inside(), "hosts are made in a network of the task's own only");
        // Names of namespaces are files: those of a mount of our own, in our own mount namespace.
        std::fs::create_dir_all("/run/netns")?;
        run("mount", "-t tmpfs netns /run/netns")?;
        ip("link add br0 type bridge")?;
        ip(&format!("addr add {OWN} dev br0"))?;
        ip("link set br0 up")?;
        for (host, address) in HOSTS {
            ip(&format!("netns add {host}"))?;
            ip(&format!("link add {host} type veth peer name eth0 netns {host}"))?;
            ip(&format!("link set {host} master br0 up"))?;
            ip(&format!("-n {host} link set lo up"))?;
            ip(&format!("-n {host} link set eth0 up"))?;
            ip(&format!("-n {host} addr add {address}/24 dev eth0"))?;
        }
        Ok(Network(()))
    }

    /// Pulls the cable of a host.
    pub fn pull(&self, host: &str) -> Result<()> {
        ip(&format!("link set {host} down")).map(drop)
    }

    /// Puts it back.
    pub fn put_back(&self, host: &str) -> Result<()> {
        ip(&format!("link set {host} up")).map(drop)
    }

    /// The host has the phones' address.
    pub fn has_entry(&self, host: &str) -> Result<bool> {
        Ok(ip(&format!("-n {host} -o addr show dev eth0"))?.contains(&format!("{ENTRY}/")))
    }
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
