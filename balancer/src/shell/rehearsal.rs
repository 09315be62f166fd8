//! What one that stands by tries, to know whether it could be where clients are: the sockets that
//! it would open there. They are bound for a moment, though the address is not at this host.
//!
//! Not here: the cable, the address and its announcement (`address.rs`).

use super::RunError;
use super::front::{Wanted, tcp_refused, tcp_wanted};
use super::sockets::refused;
use crate::config::Config;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// All ports are free.
pub(super) fn rehearse(config: &Config) -> Result<(), RunError> {
    let listen = &config.balancer.listen;
    for (address, place) in listen.iter().zip(&config.listen_places) {
        bind_absent(*address, Type::DGRAM).map_err(|error| refused(*address, place, &error))?;
    }
    let here = listen.iter().copied().zip(&config.listen_places);
    tcp_wanted(config, here).into_iter().try_for_each(|(address, place): Wanted<'_>| {
        bind_absent(address, Type::STREAM).map_err(|error| tcp_refused(address, place, &error))
    })
}

fn bind_absent(address: SocketAddr, kind: Type) -> io::Result<()> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    if kind == Type::STREAM {
        // As the one that is to listen: connections that have ended are in nobody's way.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SockAddr::from(address))
}
