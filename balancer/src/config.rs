//! The configuration file `balancer.toml`: reading it, and saying what is wrong with it where.
//!
//! Not here: reading files and binding addresses (`shell`).

use crate::boundary::{Algorithm, BalancerConfig, Server};
use resilee_membership::NodeName;
use serde::Deserialize;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Most addresses to listen on, and most servers.
const ENTRIES_MAX: usize = 16;

/// Heartbeats may come this often.
const INTERVAL_MS: Range<u64> = 10..5_001;

/// So many missed heartbeats may make a loss.
const MISSED: Range<u32> = 2..101;

const INTERVAL_MS_DEFAULT: u64 = 50;
const MISSED_DEFAULT: u32 = 6;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the machine needs.
    pub balancer: BalancerConfig,
    /// Where each server's socket is bound; none: any port on any address of the host.
    pub nodes_listen: Option<SocketAddr>,
    /// The cluster's key.
    pub key_file: PathBuf,
    /// Where the voter state is kept.
    pub state_file: PathBuf,
}

/// Something wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ConfigError {
    file: String,
    line: usize,
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Spanned<OneOrMany>,
    nodes_listen: Option<Spanned<String>>,
    key_file: PathBuf,
    algorithm: Option<Spanned<String>>,
    state_file: Option<PathBuf>,
    server: Spanned<Vec<ServerEntry>>,
    heartbeat: Option<Heartbeat>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    name: Spanned<String>,
    address: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    interval_ms: Option<Spanned<u64>>,
    missed: Option<Spanned<u32>>,
}

/// The text of a file, to say where in it something is wrong.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Config {
    /// Reads the text of the configuration file at `path`. Paths in it are relative to it.
    ///
    /// # Errors
    /// Names the file, the line and the key.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let source = Source { path, text };
        let file: File = toml::from_str(text).map_err(|error| {
            source.error(error.span().unwrap_or(0..0), error.message().trim_end())
        })?;
        let listen = source.listen(&file.listen)?;
        let servers = source.servers(&file.server)?;
        let heartbeat = file.heartbeat.unwrap_or(Heartbeat { interval_ms: None, missed: None });
        let nodes_listen = match &file.nodes_listen {
            Some(text) => Some(source.nodes_listen(text, &servers)?),
            None => None,
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let state_file = file.state_file.unwrap_or_else(|| "balancer.state".into());
        Ok(Config {
            balancer: BalancerConfig {
                listen,
                servers,
                algorithm: source.algorithm(file.algorithm.as_ref())?,
                heartbeat_ms: source.within(
                    "heartbeat.interval_ms",
                    heartbeat.interval_ms.as_ref(),
                    &INTERVAL_MS,
                    INTERVAL_MS_DEFAULT,
                )?,
                missed: source.within(
                    "heartbeat.missed",
                    heartbeat.missed.as_ref(),
                    &MISSED,
                    MISSED_DEFAULT,
                )?,
            },
            nodes_listen,
            key_file: directory.join(file.key_file),
            state_file: directory.join(state_file),
        })
    }
}

impl Source<'_> {
    fn listen(&self, listen: &Spanned<OneOrMany>) -> Result<Vec<SocketAddr>, ConfigError> {
        let texts = match listen.get_ref() {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts.as_slice(),
        };
        if texts.is_empty() || texts.len() > ENTRIES_MAX {
            return Err(self.error(listen.span(), "listen: 1 to 16 addresses are expected"));
        }
        texts.iter().map(|text| self.address("listen", text, listen.span())).collect()
    }

    fn servers(&self, entries: &Spanned<Vec<ServerEntry>>) -> Result<Vec<Server>, ConfigError> {
        if entries.get_ref().is_empty() || entries.get_ref().len() > ENTRIES_MAX {
            return Err(self.error(entries.span(), "server: 1 to 16 entries are expected"));
        }
        let mut servers: Vec<Server> = Vec::new();
        for entry in entries.get_ref() {
            let name: NodeName =
                entry.name.get_ref().parse().map_err(|error| {
                    self.error(entry.name.span(), format!("server.name: {error}"))
                })?;
            let address =
                self.address("server.address", entry.address.get_ref(), entry.address.span())?;
            if address.port() == 0 {
                return Err(self.error(entry.address.span(), "server.address: the port is missing"));
            }
            if servers.iter().any(|server| server.name == name) {
                return Err(self.error(entry.name.span(), format!("server.name: {name} is taken")));
            }
            if servers.iter().any(|server| server.address == address) {
                let what = format!("server.address: {address} is taken");
                return Err(self.error(entry.address.span(), what));
            }
            servers.push(Server { name, address });
        }
        Ok(servers)
    }

    fn nodes_listen(
        &self,
        text: &Spanned<String>,
        servers: &[Server],
    ) -> Result<SocketAddr, ConfigError> {
        let address = match text.get_ref().parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, 0),
            Err(_) => self.address("nodes_listen", text.get_ref(), text.span())?,
        };
        if servers.iter().any(|server| server.address.is_ipv4() != address.is_ipv4()) {
            let what = "nodes_listen: all servers must have addresses of its IP version";
            return Err(self.error(text.span(), what));
        }
        if usize::from(u16::MAX - address.port()) < servers.len() {
            let what = "nodes_listen: each server needs a port, counted up from this one";
            return Err(self.error(text.span(), what));
        }
        Ok(address)
    }

    fn algorithm(&self, text: Option<&Spanned<String>>) -> Result<Algorithm, ConfigError> {
        let Some(text) = text else { return Ok(Algorithm::default()) };
        match text.get_ref().as_str() {
            "first-alive" => Ok(Algorithm::FirstAlive),
            "call-id" => Ok(Algorithm::CallId),
            "round-robin" => Ok(Algorithm::RoundRobin),
            other => {
                let expected = "first-alive, call-id or round-robin is expected";
                Err(self.error(text.span(), format!("algorithm: {other:?}: {expected}")))
            }
        }
    }

    fn address(
        &self,
        key: &str,
        text: &str,
        span: Range<usize>,
    ) -> Result<SocketAddr, ConfigError> {
        text.parse().map_err(|_| {
            let expected = "an IP address and a port, like 127.0.0.1:5060, are expected";
            self.error(span, format!("{key}: {text:?}: {expected}"))
        })
    }

    fn within<T: Copy + PartialOrd + Display>(
        &self,
        key: &str,
        value: Option<&Spanned<T>>,
        range: &Range<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        if range.contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        let Range { start, end } = range;
        let what = format!("{key}: {start} or more, and less than {end}, is expected");
        Err(self.error(value.span(), what))
    }

    fn error(&self, span: Range<usize>, what: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        ConfigError { file: self.path.display().to_string(), line, what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:5060"
nodes_listen = "127.0.0.1"
key_file = "cluster.key"
algorithm = "round-robin"

[[server]]
name = "server1"
address = "127.0.0.1:5081"

[[server]]
name = "server2"
address = "127.0.0.1:5082"

[heartbeat]
interval_ms = 20
"#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("/etc/resilee/balancer.toml"), text)
    }

    #[test]
    fn a_good_file_is_read() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.balancer.servers[1].name.as_str(), "server2");
        assert_eq!(config.balancer.algorithm, Algorithm::RoundRobin);
        assert_eq!((config.balancer.heartbeat_ms, config.balancer.missed), (20, 6));
        assert_eq!(config.key_file, Path::new("/etc/resilee/cluster.key"));
        assert_eq!(config.state_file, Path::new("/etc/resilee/balancer.state"));
        assert_eq!(config.nodes_listen, Some("127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn every_mistake_names_the_line_and_the_key() {
        for (right, wrong, line, key) in [
            ("listen = \"127.0.0.1:5060\"", "listen = \"here\"", 2, "listen"),
            ("listen = \"127.0.0.1:5060\"", "listen = []", 2, "listen"),
            ("\"127.0.0.1\"", "\"[::1]:1\"", 3, "nodes_listen"),
            ("key_file", "keyfile", 4, "keyfile"),
            ("round-robin", "random", 5, "algorithm"),
            ("server1", "Server 1", 8, "server.name"),
            ("server2", "server1", 12, "server.name"),
            ("5082", "5081", 13, "server.address"),
            ("127.0.0.1:5082", "localhost", 13, "server.address"),
            ("interval_ms = 20", "interval_ms = 1", 16, "heartbeat.interval_ms"),
            ("interval_ms = 20", "missed = \"x\"", 16, "x"),
        ] {
            let error = parse(&GOOD.replacen(right, wrong, 1)).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.line, line, "{text}");
            assert!(text.starts_with("/etc/resilee/balancer.toml:"), "{text}");
            assert!(text.contains(key), "{text}");
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = parse(&GOOD.replace("key_file = \"cluster.key\"", "")).unwrap_err();
        assert!(error.to_string().contains("key_file"), "{error}");
    }
}
