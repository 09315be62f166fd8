//! What a process finds at its start: sockets that were passed to it, and a keeper it depends on.
//!
//! Sockets come by the protocol of systemd (`LISTEN_FDS`), from systemd or from a keeper
//! (`keeper.rs`). Names play no part: a socket is known by its address.

use super::RunError;
use listenfd::ListenFd;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use resilee_config::Place;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// The keeper's process id.
pub(super) const KEPT_BY: &str = "RESILEE_KEPT_BY";

/// How often the keeper had started a worker before this one.
pub(super) const RESTARTS: &str = "RESILEE_RESTARTS";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    sockets: Vec<PassedSocket>,
    /// Sockets that TCP clients connect to.
    listeners: Vec<(TcpListener, SocketAddr)>,
    /// None if there is no keeper.
    pub restarts: Option<u64>,
}

#[derive(Debug)]
struct PassedSocket {
    socket: UdpSocket,
    local: SocketAddr,
    /// Where it is connected to.
    peer: Option<SocketAddr>,
}

impl Inherited {
    /// Takes all there is. With a keeper, this process ends when the keeper does.
    pub(super) fn take() -> Result<Self, RunError> {
        let mut passed = ListenFd::from_env();
        let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
        for index in 0..passed.len() {
            // It says of each whether it is one.
            if let Ok(listener) = passed.take_tcp_listener(index) {
                let Some(listener) = listener else { continue };
                listener.set_nonblocking(true)?;
                let local = listener.local_addr()?;
                listeners.push((listener, local));
                continue;
            }
            let Some(socket) = passed.take_udp_socket(index)? else { continue };
            socket.set_nonblocking(true)?;
            let (local, peer) = (socket.local_addr()?, socket.peer_addr().ok());
            sockets.push(PassedSocket { socket, local, peer });
        }
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(keeper) = number(KEPT_BY) else {
            return Ok(Inherited { sockets, listeners, restarts: None });
        };
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)?;
        if u64::from(std::os::unix::process::parent_id()) != keeper {
            let what = format!("process {keeper}, which kept the sockets, has ended");
            return Err(io::Error::other(what).into());
        }
        Ok(Inherited { sockets, listeners, restarts: Some(number(RESTARTS).unwrap_or(0)) })
    }

    /// How many sockets nobody asked for yet.
    pub(super) fn count(&self) -> usize {
        self.sockets.len() + self.listeners.len()
    }

    /// The one that clients send to at this address; for port 0 any port.
    pub(super) fn for_clients(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        self.remove(|it| it.peer.is_none() && fits(address, it.local))
    }

    /// The one that clients connect to at this address; for port 0 any port.
    pub(super) fn for_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let position = self.listeners.iter().position(|(_, local)| fits(address, *local))?;
        Some(self.listeners.remove(position).0)
    }

    /// The one for a server: connected to it, or not yet connected and bound to `local`.
    pub(super) fn for_server(
        &mut self,
        server: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Option<UdpSocket> {
        self.remove(|it| it.peer == Some(server))
            .or_else(|| self.remove(|it| it.peer.is_none() && Some(it.local) == local))
    }

    /// An error if a socket is left that no key asks for.
    pub(super) fn check_all_taken(&self, place: &Place) -> Result<(), RunError> {
        let udp = self.sockets.first().map(|left| (left.local, "UDP"));
        match udp.or(self.listeners.first().map(|(_, local)| (*local, "TCP"))) {
            None => Ok(()),
            Some((local, protocol)) => {
                let what = format!(
                    "a socket on {local} ({protocol}) was passed to this process, and none of \
                     listen, tcp_listen and nodes_listen asks for it: make both sides agree, and \
                     start whoever passes it again"
                );
                Err(place.error(what).into())
            }
        }
    }

    fn remove(&mut self, fits: impl Fn(&PassedSocket) -> bool) -> Option<UdpSocket> {
        let position = self.sockets.iter().position(fits)?;
        Some(self.sockets.remove(position).socket)
    }
}

fn fits(address: SocketAddr, local: SocketAddr) -> bool {
    match address.port() {
        0 => local.ip() == address.ip(),
        _ => local == address,
    }
}
