//! The threads that receive datagrams: one for each socket, which blocks in `recv`. So a datagram
//! costs one call to receive it and one to send it on; a loop that waits for many sockets at once
//! would ask the system twice more for each that comes alone, as nearly all do.
//!
//! What they receive goes to the machine under the worker's lock. Not here: what becomes of it.

use super::worker::{Shared, handle};
use crate::boundary::BalancerInput;
use resilee_membership::{DATAGRAM_BYTES_MAX, Flow, Transport, dual_stack};
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Whose datagrams come at a socket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// Of clients, which send to this address.
    Clients(SocketAddr),
    /// Of this node; the socket is connected to it.
    Node(usize),
}

/// Dropped: nothing is received any more, and the sockets are closed.
pub(super) struct Receivers {
    threads: Vec<(UdpSocket, JoinHandle<()>)>,
    ends: Arc<AtomicBool>,
    /// Others have the same sockets, and receive at them once this process has ended: until then
    /// the threads stay.
    are_kept: bool,
}

impl Receivers {
    /// Receives at these sockets.
    pub(super) fn start(
        shared: &Shared,
        sockets: Vec<(Origin, UdpSocket)>,
        are_kept: bool,
    ) -> io::Result<Self> {
        let (threads, ends) = (Vec::new(), Arc::default());
        let mut receivers = Receivers { threads, ends, are_kept };
        for (from, socket) in sockets {
            socket.set_nonblocking(false)?;
            let (own, shared, ends) = (socket.try_clone()?, shared.clone(), receivers.ends.clone());
            let name = match from {
                Origin::Clients(_) => "clients".to_owned(),
                Origin::Node(server) => format!("node {server}"),
            };
            let receive = move || receive(&shared, from, &own, &ends);
            receivers.threads.push((socket, thread::Builder::new().name(name).spawn(receive)?));
        }
        Ok(receivers)
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        if self.are_kept {
            return;
        }
        self.ends.store(true, Ordering::Release);
        for (socket, thread) in self.threads.drain(..) {
            // Of one that is not connected Linux says that it is not, and wakes its thread.
            let _ = SockRef::from(&socket).shutdown(Shutdown::Read);
            let _ = thread.join();
        }
    }
}

fn receive(shared: &Shared, from: Origin, socket: &UdpSocket, ends: &AtomicBool) {
    let _guard = EndsProcess;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = match from {
            Origin::Clients(local) => socket.recv_from(&mut buffer).map(|(length, source)| {
                let remote = dual_stack::canonical(source);
                let flow = Flow { remote, local, transport: Transport::Udp };
                BalancerInput::FromClient { flow, bytes: &buffer[..length] }
            }),
            Origin::Node(server) => socket
                .recv(&mut buffer)
                .map(|length| BalancerInput::FromNode { server, bytes: &buffer[..length] }),
        };
        match (received, from) {
            // Woken by the shutdown: nothing was received, or something in the same moment.
            _ if ends.load(Ordering::Acquire) => return,
            (Ok(input), _) => handle(shared, input),
            (Err(error), Origin::Node(server))
                if error.kind() == io::ErrorKind::ConnectionRefused =>
            {
                handle(shared, BalancerInput::Refused { server });
            }
            // A client that went away; the socket is not connected, so nothing is lost.
            (Err(error), _) => tracing::debug!("{from:?}: {error}"),
        }
    }
}

/// A thread that panicked leaves a machine that nobody may use any more, and a socket at which
/// nobody receives. Whoever started the balancer starts it again.
struct EndsProcess;

impl Drop for EndsProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}
