//! The configuration file `balancer.toml`: its keys, and what they may say.
//!
//! Not here: what it shares with a node's file (`resilee-config`), reading the files that it
//! names and binding its addresses (`shell`).

mod health;
mod metrics;
mod pair;
mod protection;
mod start_only;
mod tcp;

use crate::boundary::{Algorithm, BalancerConfig, Server};
use resilee_config::{
    ConfigError, INTERVAL_MS, Limits, Located, MISSED, OneOrMany, OwnAddresses, Place, Protocol,
    Source, T1_MS,
};
use resilee_membership::NodeName;
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::TcpLimits;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Most addresses to listen on, and most servers.
const ENTRIES_MAX: usize = 16;

/// A server's part of new calls. 0 is refused: a server that is to get none is ordered to drain,
/// so that it hands its calls over, too.
const WEIGHT: Limits<u32> = Limits { range: 1..=100, default: 1 };

/// A balancer that takes a server for lost too early gives it no new calls for a moment, and no
/// more: so it may be quicker about it than servers, whose heartbeats decide on takeovers.
const HEARTBEATS: Limits<u32> = Limits { default: 3, ..MISSED };

/// Where the voter state is, unless the file says something else.
const STATE_FILE: &str = "balancer.state";

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the machine needs.
    pub balancer: BalancerConfig,
    /// Where each address of `balancer.listen` stands.
    pub listen_places: Vec<Place>,
    /// Where TCP clients connect to; none: at the addresses for UDP.
    pub tcp_listen: Option<Vec<Located<SocketAddr>>>,
    /// Most of everything of TCP clients.
    pub tcp_limits: TcpLimits,
    /// SIP timers of TCP clients: those that they would have over UDP.
    pub timers: TimerConfig,
    /// Where the address of each server stands.
    pub server_places: Vec<Place>,
    /// Where the first server's socket is bound, the others at the next ports; port 0: at any;
    /// none: at any port of any address of the host.
    pub nodes_listen: Option<Located<SocketAddr>>,
    /// The cluster's key.
    pub key_file: Located<PathBuf>,
    /// Where the voter state is kept.
    pub state_file: Located<PathBuf>,
    /// Where metrics are asked for; none: nowhere.
    pub metrics_listen: Option<Located<SocketAddr>>,
    /// The interface to which the one of a pair that serves adds the addresses of clients; none:
    /// they are there, or somebody else adds them.
    pub interface: Option<Located<String>>,
    /// What cannot change while it runs.
    start_only: start_only::StartOnly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Spanned<OneOrMany>,
    tcp_listen: Option<Spanned<OneOrMany>>,
    nodes_listen: Option<Spanned<String>>,
    key_file: Spanned<PathBuf>,
    algorithm: Option<Spanned<String>>,
    state_file: Option<Spanned<PathBuf>>,
    server: Spanned<Vec<ServerEntry>>,
    pair: Option<pair::Table>,
    #[serde(default)]
    heartbeat: Heartbeat,
    #[serde(default)]
    health: health::Health,
    #[serde(default)]
    metrics: metrics::Metrics,
    #[serde(default)]
    tcp: tcp::Limits,
    #[serde(default)]
    protection: protection::Table,
    #[serde(default)]
    timers: Timers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    name: Spanned<String>,
    address: Spanned<String>,
    weight: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    interval_ms: Option<Spanned<u64>>,
    missed: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timers {
    t1_ms: Option<Spanned<u64>>,
}

impl Config {
    /// Where clients send or connect to, and where each stands in the file.
    pub(crate) fn client_addresses(&self) -> impl Iterator<Item = (SocketAddr, &Place)> {
        let udp = &self.balancer.listen;
        client_addresses(udp, &self.listen_places, self.tcp_listen.as_deref())
    }

    /// Reads the text of the configuration file at `path`. Paths in it are relative to it.
    /// `look_up` says what address a server has that is given as `name:port`, or why not.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn parse(
        path: &Path,
        text: &str,
        look_up: impl Fn(&str) -> Result<SocketAddr, String>,
    ) -> Result<Config, ConfigError> {
        let source = Source { path, text, secret_table: None };
        let file: File = source.read()?;
        let mut own = OwnAddresses::default();
        let (listen, listen_places) = listen(&source, &file.listen, &mut own)?;
        let tcp_listen = tcp::listen(&source, file.tcp_listen.as_ref(), &listen, &mut own)?;
        if tcp_listen.is_none() {
            for (address, place) in listen.iter().zip(&listen_places) {
                own.take(Protocol::Tcp, *address, place.clone())?;
            }
        }
        let metrics_listen = metrics::listen(&source, &file.metrics, &mut own)?;
        let count = file.server.get_ref().len();
        if count == 0 || count > ENTRIES_MAX {
            let what = format!("{count} entries: from 1 to {ENTRIES_MAX} are expected");
            return Err(source.error("server", file.server.span(), what));
        }
        let nodes_listen = match &file.nodes_listen {
            Some(text) => Some(nodes_listen(&source, text, count, &mut own)?),
            None => None,
        };
        let (servers, server_places) = servers(&source, file.server.get_ref(), &own, &look_up)?;
        check_ip_version(&servers, nodes_listen.as_ref())?;
        let key_file = source.file("key_file", &file.key_file);
        let state_file = source.file_or("state_file", file.state_file.as_ref(), STATE_FILE);
        check_state_file(&state_file, &key_file, path)?;
        let heartbeat = &file.heartbeat;
        let interval = heartbeat.interval_ms.as_ref();
        let heartbeat_ms = source.within("heartbeat.interval_ms", interval, &INTERVAL_MS)?;
        let pair = pair::read(&source, file.pair.as_ref())?;
        let interval_place = match interval {
            Some(interval) => source.place("heartbeat.interval_ms", interval.span()),
            None => source.absent("heartbeat.interval_ms"),
        };
        pair::check(
            &pair,
            (&servers, source.place("server", file.server.span())),
            (heartbeat_ms, interval_place),
            client_addresses(&listen, &listen_places, tcp_listen.as_deref()),
        )?;
        let (pair, interface) = pair;
        let mut config = Config {
            balancer: BalancerConfig {
                listen,
                servers,
                algorithm: algorithm(&source, file.algorithm.as_ref())?,
                heartbeat_ms,
                missed: source.within(
                    "heartbeat.missed",
                    heartbeat.missed.as_ref(),
                    &HEARTBEATS,
                )?,
                health: health::read(&source, &file.health)?,
                protection: protection::read(&source, &file.protection)?,
                pair,
            },
            listen_places,
            tcp_listen,
            tcp_limits: tcp::limits(&source, &file.tcp)?,
            timers: TimerConfig::with_t1(source.within(
                "timers.t1_ms",
                file.timers.t1_ms.as_ref(),
                &T1_MS,
            )?),
            server_places,
            nodes_listen,
            key_file,
            state_file,
            metrics_listen,
            interface,
            start_only: Vec::new(),
        };
        config.start_only = start_only::collect(&source, &file, &config);
        Ok(config)
    }
}

fn listen(
    source: &Source<'_>,
    listen: &Spanned<OneOrMany>,
    own: &mut OwnAddresses,
) -> Result<(Vec<SocketAddr>, Vec<Place>), ConfigError> {
    let texts = OneOrMany::texts(listen);
    if texts.is_empty() || texts.len() > ENTRIES_MAX {
        let what = format!("{} addresses: from 1 to {ENTRIES_MAX} are expected", texts.len());
        return Err(source.error("listen", listen.span(), what));
    }
    let (mut addresses, mut places) = (Vec::new(), Vec::new());
    for text in &texts {
        let address = source.any_address("listen", text)?;
        let place = source.place("listen", text.span());
        own.take(Protocol::Udp, address, place.clone())?;
        addresses.push(address);
        places.push(place);
    }
    Ok((addresses, places))
}

/// One port for each server, counted up from the one that is given.
fn nodes_listen(
    source: &Source<'_>,
    text: &Spanned<String>,
    servers: usize,
    own: &mut OwnAddresses,
) -> Result<Located<SocketAddr>, ConfigError> {
    let first = match text.get_ref().parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 0),
        Err(_) => source.any_address("nodes_listen", text)?,
    };
    let place = source.place("nodes_listen", text.span());
    for position in 0..servers {
        let Some(address) = counted_up(first, position) else {
            let what = format!("each of {servers} servers needs a port, counted up from this one");
            return Err(place.error(what));
        };
        own.take(Protocol::Udp, address, place.clone())?;
    }
    Ok(Located { value: first, place })
}

/// The address of the server at this position; port 0 is any port for all of them.
pub(crate) fn counted_up(first: SocketAddr, position: usize) -> Option<SocketAddr> {
    let position = if first.port() == 0 { 0 } else { u16::try_from(position).ok()? };
    Some(SocketAddr::new(first.ip(), first.port().checked_add(position)?))
}

fn servers(
    source: &Source<'_>,
    entries: &[ServerEntry],
    own: &OwnAddresses,
    look_up: &dyn Fn(&str) -> Result<SocketAddr, String>,
) -> Result<(Vec<Server>, Vec<Place>), ConfigError> {
    let mut servers: Vec<Server> = Vec::new();
    let mut places = Vec::new();
    for entry in entries {
        let name: NodeName = source.parse("server.name", &entry.name)?;
        let address = server_address(source, &entry.address, look_up)?;
        let place = source.place("server.address", entry.address.span());
        if servers.iter().any(|server| server.name == name) {
            let what = format!("{name} is there twice: remove one");
            return Err(source.error("server.name", entry.name.span(), what));
        }
        if servers.iter().any(|server| server.address == address) {
            return Err(place.error(format!("{address} is there twice: each has its own")));
        }
        own.check_foreign(Protocol::Udp, address, &place)?;
        let weight = source.within("server.weight", entry.weight.as_ref(), &WEIGHT)?;
        servers.push(Server { name, address, weight });
        places.push(place);
    }
    Ok((servers, places))
}

fn server_address(
    source: &Source<'_>,
    entry: &Spanned<String>,
    look_up: &dyn Fn(&str) -> Result<SocketAddr, String>,
) -> Result<SocketAddr, ConfigError> {
    let (key, text) = ("server.address", entry.get_ref());
    if text.parse::<SocketAddr>().is_ok() {
        return source.address(key, entry);
    }
    let error = |what: &str| source.error(key, entry.span(), format!("{text:?}: {what}"));
    let is_name = |host: &str| {
        host.starts_with(|it: char| it.is_ascii_alphanumeric())
            && host.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '.'))
            && host.parse::<Ipv4Addr>().is_err()
    };
    let port = |port: &str| port.parse().ok().filter(|port: &u16| *port != 0);
    match text.rsplit_once(':') {
        Some((host, digits)) if is_name(host) && port(digits).is_some() => look_up(text)
            .map_err(|why| error(&format!("this name is not found ({why}): give an address"))),
        _ => Err(error(
            "an IP address or a name, and a port other than 0, like 127.0.0.1:5060, are expected",
        )),
    }
}

fn check_ip_version(
    servers: &[Server],
    nodes_listen: Option<&Located<SocketAddr>>,
) -> Result<(), ConfigError> {
    let Some(Located { value, place }) = nodes_listen else { return Ok(()) };
    if servers.iter().any(|server| server.address.is_ipv4() != value.is_ipv4()) {
        return Err(place.error("all servers must have addresses of its IP version"));
    }
    Ok(())
}

fn client_addresses<'a>(
    listen: &'a [SocketAddr],
    places: &'a [Place],
    tcp_listen: Option<&'a [Located<SocketAddr>]>,
) -> impl Iterator<Item = (SocketAddr, &'a Place)> {
    let udp = listen.iter().copied().zip(places);
    udp.chain(tcp_listen.into_iter().flatten().map(|it| (it.value, &it.place)))
}

/// The state is written over whatever is there, so nothing else may be.
fn check_state_file(
    state_file: &Located<PathBuf>,
    key_file: &Located<PathBuf>,
    config: &Path,
) -> Result<(), ConfigError> {
    let path = state_file.value.display();
    for (other, name) in [(key_file.value.as_path(), "the key file"), (config, "this file")] {
        if state_file.value == other {
            return Err(state_file.place.error(format!("{path} is {name}: use another name")));
        }
    }
    Ok(())
}

fn algorithm(
    source: &Source<'_>,
    text: Option<&Spanned<String>>,
) -> Result<Algorithm, ConfigError> {
    let Some(text) = text else { return Ok(Algorithm::default()) };
    match text.get_ref().as_str() {
        "first-alive" => Ok(Algorithm::FirstAlive),
        "call-id" => Ok(Algorithm::CallId),
        "round-robin" => Ok(Algorithm::RoundRobin),
        other => {
            let expected = "first-alive, call-id or round-robin is expected";
            Err(source.error("algorithm", text.span(), format!("{other:?}: {expected}")))
        }
    }
}
