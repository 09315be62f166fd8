//! A network of datagrams between addresses that loses, doubles, delays and reorders them as its
//! seed says. It is a machine: packets go in with `now`, and come out when their time has come.
//!
//! What is absent: bandwidth, queues that overflow, ICMP. Who a packet is for is the user's to
//! look up; a packet to nobody just vanishes there.

use crate::random::Random;
use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Most packets in flight; a further one is lost and counted as such.
pub const PACKETS_MAX: usize = 65_536;

/// Most packets of [`Network::lost_by_chance`].
pub const LOST_MAX: usize = 256;

/// How bad a network is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Packets lost, of 1000.
    pub loss_permille: u32,
    /// Packets that arrive twice, of 1000.
    pub duplicate_permille: u32,
    /// Packets that may overtake those sent before them, of 1000; the others keep the order of
    /// their sender and receiver.
    pub reorder_permille: u32,
    /// Time from sender to receiver, in microseconds.
    pub delay_us: RangeInclusive<u64>,
}

impl Default for NetworkConfig {
    /// A perfect local network: 100 us, nothing lost.
    fn default() -> Self {
        NetworkConfig {
            loss_permille: 0,
            duplicate_permille: 0,
            reorder_permille: 0,
            delay_us: 100..=100,
        }
    }
}

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub source: SocketAddr,
    /// Who is to get it.
    pub destination: SocketAddr,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What happened to packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Handed in.
    pub sent: u64,
    /// Handed out.
    pub delivered: u64,
    /// Lost by chance, or because [`PACKETS_MAX`] were in flight.
    pub lost: u64,
    /// Doubled by chance.
    pub duplicated: u64,
    /// Lost on a link that was cut, or with [`Network::discard_to`].
    pub cut: u64,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    random: Random,
    /// Packets by arrival; the number keeps those of one moment in the order they were sent.
    in_flight: BTreeMap<(Timestamp, u64), Packet>,
    /// Numbers the packets.
    next_number: u64,
    /// Last arrival of each ordered pair: a later packet arrives no earlier.
    last_arrival: BTreeMap<(SocketAddr, SocketAddr), Timestamp>,
    /// Directions in which nothing gets through.
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    counters: NetworkCounters,
    /// The last ones that were lost by chance, with when they were sent.
    lost: VecDeque<(Timestamp, Packet)>,
}

impl Network {
    /// A network whose accidents `seed` determines.
    pub fn new(config: NetworkConfig, seed: u64) -> Self {
        Network {
            config,
            random: Random::of(seed, "network"),
            in_flight: BTreeMap::new(),
            next_number: 0,
            last_arrival: BTreeMap::new(),
            cuts: BTreeSet::new(),
            counters: NetworkCounters::default(),
            lost: VecDeque::new(),
        }
    }

    /// Takes one datagram to deliver, or to lose.
    pub fn handle_send(&mut self, now: Timestamp, packet: Packet) {
        self.counters.sent += 1;
        // All draws of a packet are made in any case: see `Random::chance`.
        let is_lost = self.random.chance(self.config.loss_permille);
        let is_doubled = self.random.chance(self.config.duplicate_permille);
        if self.cuts.contains(&(packet.source, packet.destination)) {
            self.counters.cut += 1;
        } else if is_lost {
            self.counters.lost += 1;
            self.lost.truncate(LOST_MAX - 1);
            self.lost.push_front((now, packet));
        } else {
            if is_doubled {
                self.counters.duplicated += 1;
                self.schedule(now, packet.clone());
            }
            self.schedule(now, packet);
        }
    }

    /// The next packet that has arrived by `now`, in the order of arrival.
    pub fn poll_packet(&mut self, now: Timestamp) -> Option<Packet> {
        let entry = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        self.counters.delivered += 1;
        Some(entry.remove())
    }

    /// When the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.in_flight.first_key_value().map(|(key, _)| key.0)
    }

    /// Changes how bad the network is, for packets sent from now on.
    pub fn set_config(&mut self, config: NetworkConfig) {
        self.config = config;
    }

    /// Nothing sent from `from` to `to` gets through any more; what is in flight does.
    pub fn cut(&mut self, from: SocketAddr, to: SocketAddr) {
        self.cuts.insert((from, to));
    }

    /// Ends [`Self::cut`].
    pub fn heal(&mut self, from: SocketAddr, to: SocketAddr) {
        self.cuts.remove(&(from, to));
    }

    /// Loses all that is in flight to `address`: its process died with what it had queued.
    pub fn discard_to(&mut self, address: SocketAddr) {
        let before = self.in_flight.len();
        self.in_flight.retain(|_, packet| packet.destination != address);
        self.counters.cut += (before - self.in_flight.len()) as u64;
    }

    /// Packets in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The packets that were lost by chance last, the newest first, with when they were sent.
    pub fn lost_by_chance(&self) -> impl Iterator<Item = (Timestamp, &Packet)> {
        self.lost.iter().map(|(at, packet)| (*at, packet))
    }

    /// What happened so far.
    pub fn counters(&self) -> NetworkCounters {
        self.counters
    }

    fn schedule(&mut self, now: Timestamp, packet: Packet) {
        let (low, high) = (*self.config.delay_us.start(), *self.config.delay_us.end());
        let delay = Duration::from_micros(self.random.between(low, high));
        let may_overtake = self.random.chance(self.config.reorder_permille);
        if self.in_flight.len() >= PACKETS_MAX {
            self.counters.lost += 1;
            return;
        }
        let mut arrival = now + delay;
        if !may_overtake {
            let pair = (packet.source, packet.destination);
            let last = self.last_arrival.entry(pair).or_default();
            arrival = arrival.max(*last);
            *last = arrival;
        }
        self.in_flight.insert((arrival, self.next_number), packet);
        self.next_number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn packet(byte: u8) -> Packet {
        Packet { source: address(1), destination: address(2), bytes: vec![byte] }
    }

    fn config(loss: u32, duplicate: u32, reorder: u32) -> NetworkConfig {
        NetworkConfig {
            loss_permille: loss,
            duplicate_permille: duplicate,
            reorder_permille: reorder,
            delay_us: 100..=9_000,
        }
    }

    /// Sends 100 packets 10 us apart and returns what arrives, with the time.
    fn run(config: NetworkConfig, seed: u64) -> Vec<(u64, u8)> {
        let mut network = Network::new(config, seed);
        for byte in 0..100 {
            network.handle_send(Timestamp::from_micros(u64::from(byte) * 10), packet(byte));
        }
        let mut arrived = Vec::new();
        while let Some(now) = network.poll_timeout() {
            while let Some(packet) = network.poll_packet(now) {
                arrived.push((now.as_micros(), packet.bytes[0]));
            }
        }
        arrived
    }

    #[test]
    fn the_same_seed_gives_the_same_accidents() {
        assert_eq!(run(config(100, 100, 100), 7), run(config(100, 100, 100), 7));
        assert_ne!(run(config(100, 100, 100), 7), run(config(100, 100, 100), 8));
    }

    #[test]
    fn without_reordering_packets_keep_their_order() {
        let arrived = run(config(0, 0, 0), 1);
        let bytes: Vec<u8> = arrived.iter().map(|(_, byte)| *byte).collect();
        assert_eq!(bytes, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn with_reordering_some_overtake() {
        let arrived = run(config(0, 0, 1000), 1);
        assert_eq!(arrived.len(), 100);
        assert!(!arrived.is_sorted_by_key(|(_, byte)| *byte));
    }

    #[test]
    fn packets_are_lost_and_doubled_as_often_as_asked() {
        assert!(run(config(1000, 0, 0), 1).is_empty());
        assert_eq!(run(config(0, 1000, 0), 1).len(), 200);
        assert!((30..70).contains(&run(config(500, 0, 0), 1).len()));
    }

    #[test]
    fn a_cut_link_loses_what_is_sent_and_a_dead_receiver_what_was_on_its_way() {
        let mut network = Network::new(NetworkConfig::default(), 1);
        network.handle_send(Timestamp::ZERO, packet(1));
        network.cut(address(1), address(2));
        network.handle_send(Timestamp::ZERO, packet(2));
        assert_eq!(network.in_flight(), 1);
        network.heal(address(1), address(2));
        network.discard_to(address(2));
        assert_eq!(network.poll_packet(Timestamp::MAX), None);
        assert_eq!(network.counters().cut, 2);
    }
}
