//! What `balancer.toml` says of TCP clients: `tcp_listen` and the table `[tcp]`.

use super::ENTRIES_MAX;
use resilee_config::{
    ConfigError, Limits as Range, Located, OneOrMany, OwnAddresses, Protocol, Source,
};
use resilee_sip_tcp::TcpLimits;
use serde::Deserialize;
use std::net::SocketAddr;
use toml::Spanned;

/// Connections, of all clients or of one address.
const CONNECTIONS: std::ops::RangeInclusive<u64> = 1..=1_000_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    connections_max: Option<Spanned<u64>>,
    connections_per_source_max: Option<Spanned<u64>>,
    message_within_ms: Option<Spanned<u64>>,
    idle_s: Option<Spanned<u64>>,
}

/// Where TCP clients connect to; an empty list is no TCP, none the addresses for UDP.
pub(super) fn listen(
    source: &Source<'_>,
    listen: Option<&Spanned<OneOrMany>>,
    udp: &[SocketAddr],
    own: &mut OwnAddresses,
) -> Result<Option<Vec<Located<SocketAddr>>>, ConfigError> {
    let Some(listen) = listen else { return Ok(None) };
    let texts = OneOrMany::texts(listen);
    if texts.len() > ENTRIES_MAX {
        let what = format!("{} addresses: at most {ENTRIES_MAX} are expected", texts.len());
        return Err(source.error("tcp_listen", listen.span(), what));
    }
    let mut addresses = Vec::new();
    for text in &texts {
        let value = source.any_address("tcp_listen", text)?;
        let place = source.place("tcp_listen", text.span());
        if !udp.iter().any(|udp| udp.port() == value.port()) {
            let what = format!(
                "{value}: no address of listen has this port, and phones are told one for both"
            );
            return Err(place.error(what));
        }
        own.take(Protocol::Tcp, value, place.clone())?;
        addresses.push(Located { value, place });
    }
    Ok(Some(addresses))
}

pub(super) fn limits(source: &Source<'_>, file: &Limits) -> Result<TcpLimits, ConfigError> {
    let usual = TcpLimits::default();
    let count = |key, value: &Option<Spanned<u64>>, usual: usize| {
        let range = Range { range: CONNECTIONS, default: usual as u64 };
        let count = source.within(key, value.as_ref(), &range)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    let within = Range { range: 100..=600_000, default: usual.message_within_ms };
    let idle = Range { range: 10..=604_800, default: usual.idle_ms / 1000 };
    Ok(TcpLimits {
        connections_max: count(
            "tcp.connections_max",
            &file.connections_max,
            usual.connections_max,
        )?,
        connections_per_source_max: count(
            "tcp.connections_per_source_max",
            &file.connections_per_source_max,
            usual.connections_per_source_max,
        )?,
        message_within_ms: source.within(
            "tcp.message_within_ms",
            file.message_within_ms.as_ref(),
            &within,
        )?,
        idle_ms: source.within("tcp.idle_s", file.idle_s.as_ref(), &idle)? * 1000,
    })
}
