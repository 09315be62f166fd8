//! TCP clients of a node without a balancer: a task between their sockets and the core. What it
//! does with messages is `resilee-sip-tcp`'s.

use crate::clock::Clock;
use crate::slee::{Feed, Slee};
use actix::Addr;
use resilee_core::Input;
use resilee_membership::Flow;
use resilee_sip_proto::TimerConfig;
use resilee_sip_tcp::{Event, Messages, TcpFront, TcpLimits};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages for clients that wait for the task; more are dropped, as on a network.
const SENDS_MAX: usize = 4_096;
/// The task looks after clients at least so often.
const LOOK: Duration = Duration::from_millis(100);

/// The sending side.
pub(crate) type Sender = mpsc::Sender<(Flow, Vec<u8>)>;

/// Clients that have yet to be served.
#[derive(Debug)]
pub(crate) struct TcpClients {
    listener: TcpListener,
    timers: TimerConfig,
    sends: mpsc::Receiver<(Flow, Vec<u8>)>,
}

impl TcpClients {
    /// Opens the socket; `timers` are those that the clients would have over UDP.
    pub fn open(address: SocketAddr, timers: TimerConfig) -> io::Result<(Sender, TcpClients)> {
        let listener = resilee_sip_tcp::listen(address)?;
        let (sender, sends) = mpsc::channel(SENDS_MAX);
        Ok((sender, TcpClients { listener, timers, sends }))
    }

    /// Serves them until the actor is gone.
    pub async fn serve(mut self, clock: Clock, slee: Addr<Slee>) {
        let limits = TcpLimits::default();
        let started = TcpFront::start(vec![self.listener], limits, self.timers);
        let (mut front, mut events) = match started {
            Ok(started) => started,
            Err(error) => return tracing::error!(%error, "cannot accept TCP clients"),
        };
        loop {
            let due = front.poll_timeout().map(|due| due.since(clock.now()));
            let wait = due.map_or(LOOK, |due| due.min(LOOK));
            let mut messages = tokio::select! {
                event = events.recv() => on_event(&clock, &mut front, event),
                send = self.sends.recv() => match send {
                    Some((flow, bytes)) => front.send(clock.now(), flow, &bytes),
                    None => return,
                },
                () = tokio::time::sleep(wait) => Messages::new(),
            };
            messages.extend(front.on_timeout(clock.now()));
            if messages.is_empty() {
                continue;
            }
            let input = |(flow, bytes)| Input::Datagram { flow, bytes };
            // Nothing is dropped: a client over TCP is not read while the node is busy.
            if slee.send(Feed::outside(messages.into_iter().map(input).collect())).await.is_err() {
                return;
            }
        }
    }
}

fn on_event(clock: &Clock, front: &mut TcpFront, event: Option<Event>) -> Messages {
    // It has a sender itself.
    event.map_or_else(Messages::new, |event| front.handle_event(clock.now(), event))
}
