//! Phones over TCP: their connections with the balancer. What is written arrives in order; what a
//! datagram would lose comes later instead, once TCP has sent it again.

use super::{Action, World, address, balancer_address};
use crate::node::timers;
use resilee_balancer::BalancerInput;
use resilee_sbb::Timestamp;
use resilee_sip_tcp::{ConnectionId, TcpClients, TcpInput, TcpLimits, TcpOutput};
use std::net::SocketAddr;

/// Between bytes and their arrival, in microseconds.
const DELAY_US: [u64; 2] = [50, 3_000];
/// The same if TCP has to send them again.
const AGAIN_US: u64 = 200_000;
/// The longest time from a write to its arrival, unless another one comes before, in microseconds.
pub const STREAM_US_MAX: u64 = DELAY_US[1] + AGAIN_US;
/// Writes that have to be sent again.
const AGAIN_PERMILLE: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Streams {
    clients: TcpClients,
    /// Each phone's connection.
    of_phones: Vec<Option<ConnectionId>>,
    /// When the last write of each phone, and to it, arrives: they keep their order.
    last: Vec<[Timestamp; 2]>,
}

impl Streams {
    pub(super) fn new(phones: usize) -> Self {
        Streams {
            clients: TcpClients::new(TcpLimits::default(), timers()),
            of_phones: vec![None; phones],
            last: vec![[Timestamp::ZERO; 2]; phones],
        }
    }

    /// When something is to be done here, or at `other`.
    pub(super) fn poll_timeout(&self, other: Timestamp) -> Timestamp {
        self.clients.poll_timeout().map_or(other, |own| own.min(other))
    }

    fn phone_of(&self, connection: ConnectionId) -> Option<usize> {
        self.of_phones.iter().position(|of| *of == Some(connection))
    }
}

/// Where a phone's own connection comes from.
fn ephemeral(phone: usize) -> SocketAddr {
    address(3, phone as u8 + 1, 40_000)
}

impl World {
    /// A phone writes.
    pub(super) fn send_in_stream(&mut self, phone: usize, bytes: Vec<u8>) {
        self.write(phone, false, bytes);
    }

    fn write(&mut self, phone: usize, to_phone: bool, bytes: Vec<u8>) {
        let mut delay = self.random.between(DELAY_US[0], DELAY_US[1]);
        if self.random.chance(AGAIN_PERMILLE) {
            delay += AGAIN_US;
        }
        let last = &mut self.streams.last[phone][usize::from(to_phone)];
        let at = (self.now + std::time::Duration::from_micros(delay)).max(*last);
        *last = at;
        let life = self.balancers[0].life;
        let delay_us = at.since(self.now).as_micros() as u64;
        self.schedule(delay_us, Action::Stream { life, phone, to_phone, bytes });
    }

    /// What a phone wrote is there; the first bytes come with a connection.
    pub(super) fn arrive_in_stream(&mut self, phone: usize, bytes: &[u8]) {
        let connection = self.streams.of_phones[phone].or_else(|| {
            let (remote, local) = (ephemeral(phone), balancer_address());
            self.streams.clients.accept(self.now, remote, local)
        });
        self.streams.of_phones[phone] = connection;
        if let Some(connection) = connection {
            self.feed_streams(TcpInput::Received { connection, bytes });
        }
    }

    pub(super) fn feed_streams(&mut self, input: TcpInput<'_>) {
        self.streams.clients.handle_input(self.now, input);
        while let Some(output) = self.streams.clients.poll_output() {
            match output {
                TcpOutput::Message { flow, bytes } => {
                    self.feed_balancer(0, BalancerInput::FromClient { flow, bytes: &bytes });
                }
                TcpOutput::Write { connection, bytes } => {
                    if let Some(phone) = self.streams.phone_of(connection) {
                        self.write(phone, true, bytes);
                    }
                }
                // No phone is out of reach here, and none takes a second connection.
                TcpOutput::Open { connection, .. } => {
                    self.streams.clients.handle_input(self.now, TcpInput::Closed(connection));
                }
                TcpOutput::Close(connection) => {
                    if let Some(phone) = self.streams.phone_of(connection) {
                        self.streams.of_phones[phone] = None;
                    }
                }
                TcpOutput::Dropped { reason, .. } => {
                    self.trace.add(self.now, "TCP", &[], || reason.to_string());
                }
            }
        }
    }
}
