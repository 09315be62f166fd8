//! The configuration of a node: read from `node.toml`, and checked whole before anything starts.
//!
//! An error names the file, the line, the key and what is expected. Paths in the file are
//! relative to its folder.

mod file;
mod rows;
mod source;

pub use source::ConfigError;

use resilee_call_billing::Tariff;
use resilee_core::Peer;
use resilee_membership::{Key, NodeName};
use resilee_sbb::{CodecError, Tables};
use resilee_sip_api::Account;
use resilee_sip_proto::TimerConfig;
use source::Source;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Limits and default of `timers.t1_ms`.
const T1_MS: (RangeInclusive<u64>, u64) = (10..=5_000, 500);
/// Limits and default of `heartbeat.interval_ms`.
const INTERVAL_MS: (RangeInclusive<u64>, u64) = (10..=5_000, 50);
/// Limits and default of `heartbeat.missed`.
const MISSED: (RangeInclusive<u32>, u32) = (2..=100, 6);
/// Limits and default of `heartbeat.cold_start_ms`.
const COLD_START_MS: (RangeInclusive<u64>, u64) = (0..=60_000, 3_000);
/// T2 and T4 in units of T1, as in RFC 3261 table 4.
const T2_T4_PER_T1: (u64, u64) = (8, 10);

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Name of the node.
    pub name: NodeName,
    /// Folder of store and journals.
    pub data_dir: PathBuf,
    /// UDP address of SIP.
    pub sip_listen: SocketAddr,
    /// The address that clients know: the balancer's, or this node's own.
    pub advertise: SocketAddr,
    /// True if that is a balancer's.
    pub behind_balancer: bool,
    /// Address of heartbeats and links.
    pub cluster_listen: Option<SocketAddr>,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// The cluster key.
    pub key: Key,
    /// Admin UI and REST, if wanted.
    pub admin: Option<AdminConfig>,
    /// Who may register.
    pub accounts: Vec<Account>,
    /// What calls cost.
    pub tariffs: Vec<Tariff>,
    /// True if anybody may call without an account.
    pub open_calls: bool,
    /// SIP timers.
    pub timers: TimerConfig,
    /// Time between heartbeats.
    pub heartbeat_ms: u64,
    /// Heartbeats that may be missed.
    pub missed: u32,
    /// How long a cold start listens for living members.
    pub cold_start_ms: u64,
}

/// Where the admin UI listens.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// TCP address.
    pub listen: SocketAddr,
    /// The token that writes need.
    pub token: Option<String>,
}

impl NodeConfig {
    /// Reads and checks the text of the configuration file at `path`.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn parse(path: &Path, text: &str) -> Result<NodeConfig, ConfigError> {
        let source = Source { path, text };
        let file: file::File = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        let name: NodeName = source.parse("node.name", &file.node.name)?;
        let sip_listen = source.address("sip.listen", &file.sip.listen)?;
        let (advertise, behind_balancer) = advertised(&source, &file.sip, sip_listen)?;
        let peers = peers(&source, &file, &name)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (t1, interval) = (file.timers.t1_ms.as_ref(), file.heartbeat.interval_ms.as_ref());
        let missed = file.heartbeat.missed.as_ref();
        let cold_start = file.heartbeat.cold_start_ms.as_ref();
        Ok(NodeConfig {
            data_dir: folder.join(&file.node.data_dir),
            sip_listen,
            advertise,
            behind_balancer,
            cluster_listen: cluster_listen(&source, &file.cluster, sip_listen)?,
            key: key(&source, folder, &file.cluster.key_file)?,
            admin: file.admin.map(|admin| admin_config(&source, folder, &admin)).transpose()?,
            accounts: rows::accounts(&source, &file.account)?,
            tariffs: rows::tariffs(&source, &file.tariff)?,
            open_calls: file.policy.open_calls,
            timers: timers(source.within("timers.t1_ms", t1, &T1_MS.0, T1_MS.1)?),
            heartbeat_ms: source.within(
                "heartbeat.interval_ms",
                interval,
                &INTERVAL_MS.0,
                INTERVAL_MS.1,
            )?,
            missed: source.within("heartbeat.missed", missed, &MISSED.0, MISSED.1)?,
            cold_start_ms: source.within(
                "heartbeat.cold_start_ms",
                cold_start,
                &COLD_START_MS.0,
                COLD_START_MS.1,
            )?,
            peers,
            name,
        })
    }

    /// The tables that services read.
    ///
    /// # Errors
    /// Never for a configuration that was read from a file.
    pub fn tables(&self) -> Result<Tables, CodecError> {
        rows::tables(&self.accounts, &self.tariffs, self.open_calls)
    }
}

fn timers(t1_ms: u64) -> TimerConfig {
    let (t2, t4) = T2_T4_PER_T1;
    TimerConfig { t1_ms, t2_ms: t2 * t1_ms, t4_ms: t4 * t1_ms, ..TimerConfig::default() }
}

/// The address that clients know, and whether it is a balancer's.
fn advertised(
    source: &Source<'_>,
    sip: &file::Sip,
    listen: SocketAddr,
) -> Result<(SocketAddr, bool), ConfigError> {
    let (address, behind_balancer) = match (&sip.behind_balancer, &sip.advertise) {
        (Some(_), Some(advertise)) => {
            let what = "sip.advertise: behind a balancer clients know the balancer only: \
                        remove advertise or behind_balancer";
            return Err(source.error(advertise.span(), what));
        }
        (Some(balancer), None) => (source.address("sip.behind_balancer", balancer)?, true),
        (None, Some(advertise)) => (source.address("sip.advertise", advertise)?, false),
        (None, None) => (listen, false),
    };
    if address.ip().is_unspecified() {
        let what = format!(
            "sip: {address} is no address that clients can send to: set advertise (or \
             behind_balancer) to the one they use"
        );
        let at = sip.behind_balancer.as_ref().or(sip.advertise.as_ref()).unwrap_or(&sip.listen);
        return Err(source.error(at.span(), what));
    }
    Ok((address, behind_balancer))
}

fn cluster_listen(
    source: &Source<'_>,
    cluster: &file::Cluster,
    sip_listen: SocketAddr,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = &cluster.listen else { return Ok(None) };
    let address = loopback(source, "cluster.listen", text)?;
    if address == sip_listen {
        let what = "cluster.listen: this is sip.listen already: use another port";
        return Err(source.error(text.span(), what));
    }
    Ok(Some(address))
}

fn loopback(
    source: &Source<'_>,
    key: &str,
    text: &Spanned<String>,
) -> Result<SocketAddr, ConfigError> {
    let address = source.address(key, text)?;
    if !address.ip().is_loopback() {
        let what = format!(
            "{key}: {address} is not a loopback address: cluster links are not encrypted yet and \
             stay on this machine; use an address of 127.0.0.0/8"
        );
        return Err(source.error(text.span(), what));
    }
    Ok(address)
}

fn peers(source: &Source<'_>, file: &file::File, me: &NodeName) -> Result<Vec<Peer>, ConfigError> {
    let mut peers: Vec<Peer> = Vec::new();
    for entry in &file.cluster.peers {
        let at = entry.name.span();
        let name: NodeName = source.parse("cluster.peers.name", &entry.name)?;
        let address = loopback(source, "cluster.peers.address", &entry.address)?;
        if name == *me {
            let what = format!("cluster.peers: {name} is this node itself: list the others only");
            return Err(source.error(at, what));
        }
        if peers.iter().any(|peer| peer.name == name || peer.address == address) {
            let what = format!("cluster.peers: {name} or its address is there twice: remove one");
            return Err(source.error(at, what));
        }
        if file.sip.behind_balancer.is_none() {
            let what = "cluster.peers: nodes with peers need a balancer, which has the third \
                        vote: set behind_balancer in [sip], or remove the peers";
            return Err(source.error(at, what));
        }
        if file.cluster.listen.is_none() {
            let what = "cluster.peers: nodes with peers need an address for heartbeats and links: \
                        set listen in [cluster]";
            return Err(source.error(at, what));
        }
        peers.push(Peer { name, address });
    }
    Ok(peers)
}

fn key(source: &Source<'_>, folder: &Path, file: &Spanned<PathBuf>) -> Result<Key, ConfigError> {
    let bytes = read(source, "cluster.key_file", folder, file)?;
    Key::from_file_bytes(&bytes).map_err(|error| {
        let path = file.get_ref().display();
        let help = "make one with: openssl rand -hex 32";
        source.error(file.span(), format!("cluster.key_file: {path}: {error}; {help}"))
    })
}

fn admin_config(
    source: &Source<'_>,
    folder: &Path,
    admin: &file::Admin,
) -> Result<AdminConfig, ConfigError> {
    let listen = source.address("admin.listen", &admin.listen)?;
    let token = match &admin.token_file {
        None => None,
        Some(file) => {
            let bytes = read(source, "admin.token_file", folder, file)?;
            let token = String::from_utf8(bytes).ok().map(|text| text.trim().to_owned());
            let token = token.filter(|token| !token.is_empty()).ok_or_else(|| {
                let path = file.get_ref().display();
                let what = format!("admin.token_file: {path}: a line of text is expected");
                source.error(file.span(), what)
            })?;
            Some(token)
        }
    };
    Ok(AdminConfig { listen, token })
}

fn read(
    source: &Source<'_>,
    key: &str,
    folder: &Path,
    file: &Spanned<PathBuf>,
) -> Result<Vec<u8>, ConfigError> {
    let path = folder.join(file.get_ref());
    std::fs::read(&path).map_err(|error| {
        source.error(file.span(), format!("{key}: cannot read {}: {error}", path.display()))
    })
}
