//! The configuration of a node: read from `node.toml`, and checked whole before anything starts.
//!
//! An error names the file, the line, the key and what is expected. Paths in the file are
//! relative to its folder.

mod advertised;
mod balancers;
mod calls;
mod file;
mod http;
mod limits;
mod links;
mod rows;
mod sip;

pub use http::HttpConfig;
pub use resilee_config::ConfigError;
pub use sip::SipConfig;

use resilee_call_billing::Tariff;
use resilee_cluster::Tls;
use resilee_config::{
    INTERVAL_MS, Limits, Located, MISSED, OwnAddresses, Protocol, Source, T1_MS, read_file,
    read_key,
};
use resilee_core::Peer;
use resilee_membership::{Balancers, Key, NodeName, Unclean};
use resilee_sbb::{CodecError, Tables};
use resilee_sip_api::Account;
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{Advertised, CallLimits};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Limits and default of `heartbeat.cold_start_ms`.
const COLD_START_MS: Limits<u64> = Limits { range: 0..=60_000, default: 3_000 };

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Name of the node.
    pub name: NodeName,
    /// Folder of store and journals.
    pub data_dir: PathBuf,
    /// Address of SIP: UDP, and for a node without a balancer TCP, too.
    pub sip_listen: SocketAddr,
    /// The addresses that clients know: the balancer's, or this node's own.
    pub advertise: Advertised,
    /// How clients prove who they are, and who is not listened to.
    pub sip: SipConfig,
    /// True if that is a balancer's.
    pub behind_balancer: bool,
    /// Names of the balancers, if there are two.
    pub balancers: Balancers,
    /// Address of heartbeats and links.
    pub cluster_listen: Option<SocketAddr>,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// The cluster key.
    pub key: Key,
    /// Certificates of the links; without them links stay on loopback addresses.
    pub tls: Option<Tls>,
    /// Admin UI and REST, if wanted.
    pub admin: Option<AdminConfig>,
    /// Web hooks.
    pub http: HttpConfig,
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
    /// What to do when no vote but its own is to be had.
    pub unclean: Unclean,
    /// What it takes on, and what a call may grow to.
    pub limits: resilee_core::Limits,
    /// Actors of SBB entity trees that it keeps.
    pub actors_max: usize,
    /// What uploaded units may use.
    pub unit_limits: resilee_sbb::UnitLimits,
    /// When calls are looked after that nobody ends.
    pub calls: CallLimits,
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
        let source = Source { path, text, secret_table: Some("account") };
        let file: file::File = source.read()?;
        let name: NodeName = source.parse("node.name", &file.node.name)?;
        let addresses = Addresses::read(&source, &file)?;
        let peers = peers(&source, &file, &name, &addresses)?;
        let (timers, heartbeat) = (&file.timers, &file.heartbeat);
        let accounts = rows::accounts(&source, &file.account)?;
        let interval = heartbeat.interval_ms.as_ref();
        let heartbeat_ms = source.within("heartbeat.interval_ms", interval, &INTERVAL_MS)?;
        let balancers = balancers::read(&source, &file, peers.len(), heartbeat_ms)?;
        let (limits, actors_max) = limits::limits(&source, &file.limits)?;
        Ok(NodeConfig {
            data_dir: data_dir(&source.file("node.data_dir", &file.node.data_dir))?,
            sip_listen: addresses.sip,
            advertise: addresses.advertise,
            behind_balancer: file.sip.behind_balancer.is_some(),
            cluster_listen: addresses.cluster,
            tls: links::tls(&source, &file.cluster, &name)?,
            key: read_key(&source.file("cluster.key_file", &file.cluster.key_file))?,
            admin: admin_config(&source, file.admin.as_ref(), addresses.admin)?,
            http: http::read(&source, &file.http, addresses.http)?,
            sip: sip::read(&source, &file.sip, &accounts)?,
            accounts,
            tariffs: rows::tariffs(&source, &file.tariff)?,
            open_calls: file.policy.open_calls,
            timers: TimerConfig::with_t1(source.within(
                "timers.t1_ms",
                timers.t1_ms.as_ref(),
                &T1_MS,
            )?),
            heartbeat_ms,
            balancers,
            missed: source.within("heartbeat.missed", heartbeat.missed.as_ref(), &MISSED)?,
            cold_start_ms: source.within(
                "heartbeat.cold_start_ms",
                heartbeat.cold_start_ms.as_ref(),
                &COLD_START_MS,
            )?,
            unclean: match &file.cluster.unclean {
                Some(text) => source.parse("cluster.unclean", text)?,
                None => Unclean::Refuse,
            },
            unit_limits: limits::unit_limits(
                &source,
                &file.limits,
                Duration::from_millis(limits.delivery_deadline_ms),
            )?,
            limits,
            actors_max,
            calls: calls::limits(&source, &file.calls)?,
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

/// Where the node listens, and where clients find it.
struct Addresses {
    own: OwnAddresses,
    sip: SocketAddr,
    advertise: Advertised,
    cluster: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Addresses {
    fn read(source: &Source<'_>, file: &file::File) -> Result<Self, ConfigError> {
        let mut own = OwnAddresses::default();
        let sip = source.address("sip.listen", &file.sip.listen)?;
        let sip_place = source.place("sip.listen", file.sip.listen.span());
        own.take(Protocol::Udp, sip, sip_place.clone())?;
        if file.sip.behind_balancer.is_none() {
            own.take(Protocol::Tcp, sip, sip_place)?;
        }
        let cluster = match &file.cluster.listen {
            None => None,
            Some(text) => {
                let (address, place) =
                    links::address(source, &file.cluster, "cluster.listen", text)?;
                own.take(Protocol::Udp, address, place.clone())?;
                own.take(Protocol::Tcp, address, place)?;
                Some(address)
            }
        };
        let admin = match &file.admin {
            None => None,
            Some(admin) => {
                let address = source.address("admin.listen", &admin.listen)?;
                let place = source.place("admin.listen", admin.listen.span());
                own.take(Protocol::Tcp, address, place)?;
                Some(address)
            }
        };
        let http = match &file.http.listen {
            None => None,
            Some(text) => {
                let address = source.address("http.listen", text)?;
                own.take(Protocol::Tcp, address, source.place("http.listen", text.span()))?;
                Some(address)
            }
        };
        let advertise = advertised::read(source, &file.sip, sip, &own)?;
        Ok(Addresses { own, sip, advertise, cluster, admin, http })
    }
}

fn peers(
    source: &Source<'_>,
    file: &file::File,
    me: &NodeName,
    known: &Addresses,
) -> Result<Vec<Peer>, ConfigError> {
    const NAME: &str = "cluster.peers.name";
    const ADDRESS: &str = "cluster.peers.address";
    let mut peers: Vec<Peer> = Vec::new();
    for entry in &file.cluster.peers {
        let at = entry.name.span();
        let name: NodeName = source.parse(NAME, &entry.name)?;
        let (address, place) = links::address(source, &file.cluster, ADDRESS, &entry.address)?;
        if name == *me {
            let what = format!("{name} is this node itself: list the others only");
            return Err(source.error(NAME, at, what));
        }
        if peers.iter().any(|peer| peer.name == name) {
            let what = format!("{name} is there twice: remove one");
            return Err(source.error(NAME, at, what));
        }
        if peers.iter().any(|peer| peer.address == address) {
            return Err(place.error(format!("{address} is there twice: each has its own")));
        }
        known.own.check_foreign(Protocol::Udp, address, &place)?;
        if known.advertise.addresses().any(|balancer| balancer == address) {
            let what = format!("{address}: this is the balancer's: the node's own is expected");
            return Err(place.error(what));
        }
        if file.sip.behind_balancer.is_none() {
            let what = "nodes with peers need a balancer, which has the third vote: set \
                        behind_balancer in [sip], or remove the peers";
            return Err(source.error("cluster.peers", at, what));
        }
        if file.cluster.listen.is_none() {
            let what = "nodes with peers need an address for heartbeats and links: set listen in \
                        [cluster]";
            return Err(source.error("cluster.peers", at, what));
        }
        if let Some(listen) = known.cluster {
            links::check_reachable(listen, address, &place)?;
        }
        peers.push(Peer { name, address });
    }
    Ok(peers)
}

/// A folder, or nothing yet.
fn data_dir(folder: &Located<PathBuf>) -> Result<PathBuf, ConfigError> {
    let path = folder.value.display();
    match std::fs::metadata(&folder.value) {
        Ok(found) if !found.is_dir() => {
            Err(folder.place.error(format!("{path} is a file: a folder is expected")))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(folder.place.error(format!("cannot use {path}: {error}")))
        }
        _ => Ok(folder.value.clone()),
    }
}

fn admin_config(
    source: &Source<'_>,
    admin: Option<&file::Admin>,
    listen: Option<SocketAddr>,
) -> Result<Option<AdminConfig>, ConfigError> {
    let (Some(admin), Some(listen)) = (admin, listen) else { return Ok(None) };
    let Some(file) = &admin.token_file else {
        return Ok(Some(AdminConfig { listen, token: None }));
    };
    let file = source.file("admin.token_file", file);
    let token = String::from_utf8(read_file(&file)?).ok().map(|text| text.trim().to_owned());
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(AdminConfig { listen, token: Some(token) })),
        None => {
            let what = format!("{}: a line of text is expected", file.value.display());
            Err(file.place.error(what))
        }
    }
}
