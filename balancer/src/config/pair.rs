//! What `balancer.toml` says of the other balancer: the table `[pair]`.

use crate::boundary::{Pair, Server};
use resilee_config::{ConfigError, Located, Place, Source};
use resilee_membership::{NodeName, PAIR_INTERVAL_MS_MAX, PAIR_NODES_MAX};
use serde::Deserialize;
use std::net::SocketAddr;
use toml::Spanned;

/// Linux takes names of interfaces up to this length.
const INTERFACE_BYTES_MAX: usize = 15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    name: Spanned<String>,
    peer: Spanned<String>,
    interface: Option<Spanned<String>>,
}

/// The pair, and the interface that the addresses of `listen` are added to; none: they are there,
/// or somebody else adds them.
pub(super) type Read = (Option<Pair>, Option<Located<String>>);

pub(super) fn read(source: &Source<'_>, table: Option<&Table>) -> Result<Read, ConfigError> {
    let Some(table) = table else { return Ok((None, None)) };
    let name: NodeName = source.parse("pair.name", &table.name)?;
    let peer: NodeName = source.parse("pair.peer", &table.peer)?;
    if name == peer {
        let what = format!("{peer} is this balancer itself: the other one's name is expected");
        return Err(source.error("pair.peer", table.peer.span(), what));
    }
    let interface = match &table.interface {
        Some(text) => Some(interface(source, text)?),
        None => None,
    };
    Ok((Some(Pair { name, peer, adds_addresses: interface.is_some() }), interface))
}

fn interface(source: &Source<'_>, text: &Spanned<String>) -> Result<Located<String>, ConfigError> {
    let (name, place) = (text.get_ref(), source.place("pair.interface", text.span()));
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
    if name.is_empty() || name.len() > INTERFACE_BYTES_MAX || !name.bytes().all(is_name) {
        let what = format!("{name:?}: the name of a network interface is expected, such as eth0");
        return Err(place.error(what));
    }
    Ok(Located { value: name.clone(), place })
}

/// What the two can do without: more than two servers, seldom heartbeats, and any address.
pub(super) fn check<'a>(
    (pair, interface): &Read,
    servers: (&[Server], Place),
    interval: (u64, Place),
    mut addresses: impl Iterator<Item = (SocketAddr, &'a Place)>,
) -> Result<(), ConfigError> {
    if pair.is_none() {
        return Ok(());
    }
    if servers.0.len() > PAIR_NODES_MAX {
        let what = format!(
            "{} servers: beside [pair] at most {PAIR_NODES_MAX} are expected, since they decide \
             who of the two balancers serves",
            servers.0.len()
        );
        return Err(servers.1.error(what));
    }
    if interval.0 > PAIR_INTERVAL_MS_MAX {
        let what = format!(
            "{} ms: beside [pair] at most {PAIR_INTERVAL_MS_MAX} are expected, since a balancer \
             serves by what servers confirm in their heartbeats",
            interval.0
        );
        return Err(interval.1.error(what));
    }
    let any = addresses.find(|(address, _)| address.ip().is_unspecified());
    match (interface, any) {
        (Some(interface), Some((address, place))) => Err(place.error(format!(
            "{address}: with pair.interface = {:?} the address that is added to it is expected",
            interface.value
        ))),
        _ => Ok(()),
    }
}
