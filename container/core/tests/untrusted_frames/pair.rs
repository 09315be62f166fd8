//! Two nodes and a seat with a virtual clock: no message is lost, every write is flushed at once.

#[path = "leaks.rs"]
mod leaks;

use crate::toy::{SERVICES, adaptors};
use resilee_core::{Core, CoreConfig, Input, Output, Peer, Restored};
use resilee_membership::{
    Balancers, Control, Flow, Key, NodeName, Packet, RunId, Seat, SeatConfig, SeatInput,
    SeatOutput, Transport, Unclean, open, seal_control, seal_sip,
};
use resilee_sbb::{Tables, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const NAMES: [&str; 2] = ["server1", "server2"];
const SEAT: u16 = 9000;

/// The pair and its world.
pub struct Pair {
    pub now: Timestamp,
    /// Nothing: it was killed.
    nodes: [Option<Core>; 2],
    seat: Seat,
    queue: VecDeque<(usize, Input)>,
    /// Frames of server1 are kept here instead of being delivered, while it is something.
    pub held: Option<Vec<Vec<u8>>>,
    /// Copies of these.
    withheld: Vec<Vec<u8>>,
    /// True: no datagram gets from one node to the other.
    pub cut: bool,
    /// Links that server2 closed, with the reason.
    pub closed: Vec<String>,
    /// What both said to clients.
    pub sent: Vec<String>,
    /// Calls that clients began.
    calls: BTreeSet<String>,
    /// Services that server1's program has alone, by what its frames say.
    pub linked_elsewhere: BTreeSet<String>,
}

fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

fn name(node: usize) -> NodeName {
    NAMES[node].parse().expect("a name")
}

fn address(node: usize) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9001 + u16::try_from(node).expect("few nodes")).into()
}

fn seat_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, SEAT).into()
}

fn flow() -> Flow {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5070));
    Flow { remote, local, transport: Transport::Udp }
}

fn core(now: Timestamp, node: usize) -> Core {
    let config = CoreConfig {
        me: RunId { node: name(node), incarnation: now.as_millis() },
        key: key(),
        peers: vec![Peer { name: name(1 - node), address: address(1 - node) }],
        behind_balancer: true,
        balancers: Balancers::default(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 3_000,
        unclean: Unclean::Refuse,
        limits: resilee_core::Limits::default(),
    };
    let adaptor = adaptors();
    Core::new(now, config, &SERVICES, adaptor, Tables::default(), Restored::default())
}

impl Pair {
    /// Both are members.
    pub fn new() -> Pair {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let nodes = vec![name(0), name(1)];
        let seat = SeatConfig {
            nodes,
            name: None,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
        };
        let mut pair = Pair {
            now,
            nodes: [Some(core(now, 0)), Some(core(now, 1))],
            seat: Seat::new(now, seat, None),
            queue: VecDeque::new(),
            held: None,
            withheld: Vec::new(),
            cut: false,
            closed: Vec::new(),
            sent: Vec::new(),
            calls: BTreeSet::new(),
            linked_elsewhere: BTreeSet::new(),
        };
        for node in 0..2 {
            pair.feed(node, Input::LinkUp { peer: name(1 - node) });
        }
        for _ in 0..200 {
            if pair.members() == 2 {
                return pair;
            }
            pair.pass_ms(50);
        }
        panic!("the pair did not form");
    }

    pub fn members(&self) -> usize {
        let members = |node: &Option<Core>| node.as_ref().map(|core| core.view().members.len());
        self.nodes.iter().filter_map(members).min().unwrap_or_default()
    }

    pub fn core(&self, node: usize) -> &Core {
        self.nodes[node].as_ref().expect("it lives")
    }

    /// A message from a client, by the balancer.
    pub fn say(&mut self, node: usize, text: &str) {
        self.calls.extend(text.split(' ').next().map(str::to_owned));
        let bytes = seal_sip(&key(), self.seat.view().number, &flow(), text.as_bytes());
        self.feed(node, Input::Packet { source: seat_address(), bytes });
    }

    /// A frame on the link from server1 to server2.
    pub fn frame(&mut self, bytes: Vec<u8>) {
        self.feed(1, Input::Frame { peer: name(0), bytes });
    }

    /// `kill -9` of server1; server2 gets the next view.
    pub fn kill_first(&mut self) {
        self.nodes[0] = None;
        self.feed(1, Input::LinkDown { peer: name(0) });
        for _ in 0..200 {
            if self.core(1).view().members.len() == 1 {
                return;
            }
            self.pass_ms(50);
        }
        panic!("server2 did not take over");
    }

    /// The cells that `node` holds, as text.
    pub fn cells(&self, node: usize) -> Vec<String> {
        let cells = self.core(node).cells(100);
        let mut cells: Vec<_> = cells.iter().map(|cell| format!("{cell:?}")).collect();
        cells.sort();
        cells
    }

    /// How often server2 dropped something for this reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        let status = self.core(1).status(self.now);
        let of = status.dropped.iter().find(|(why, _)| why.as_str() == reason);
        of.map_or(0, |(_, count)| *count)
    }

    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let due = self.nodes.iter().flatten().filter_map(Core::poll_timeout);
            let due = due.chain([self.seat.poll_timeout()]).min().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            for node in 0..2 {
                let timeout = self.nodes[node].as_ref().and_then(Core::poll_timeout);
                if timeout.is_some_and(|at| at <= self.now) {
                    self.feed(node, Input::Timeout);
                }
            }
            if self.seat.poll_timeout() <= self.now {
                self.tell_seat(SeatInput::Timeout);
                self.run();
            }
        }
        self.now = end;
    }

    fn feed(&mut self, node: usize, input: Input) {
        self.queue.push_back((node, input));
        self.run();
    }

    fn run(&mut self) {
        while let Some((node, input)) = self.queue.pop_front() {
            let Some(core) = &mut self.nodes[node] else { continue };
            core.handle_input(self.now, input);
            while let Some(output) = self.nodes[node].as_mut().and_then(Core::poll_output) {
                self.carry_out(node, output);
            }
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Deliver(deliver) => {
                let service = SERVICES.iter().find(|s| s.descriptor().name == deliver.service);
                let outcome = service.expect("a known service").invoke(&deliver);
                self.queue.push_back((node, Input::Outcome { delivery: deliver.id, outcome }));
            }
            Output::Packet { destination, bytes } => self.packet(node, destination, bytes),
            Output::Frame { bytes, .. } => match &mut self.held {
                Some(held) if node == 0 => {
                    self.withheld.push(bytes.clone());
                    held.push(bytes);
                }
                _ => self.queue.push_back((1 - node, Input::Frame { peer: name(node), bytes })),
            },
            Output::Store(batch) => {
                self.queue.push_back((node, Input::Stored { number: batch.number }));
            }
            Output::LoadRecords { token, .. } => {
                self.queue.push_back((node, Input::Records { token, records: Vec::new() }));
            }
            Output::CloseLink { reason, .. } if node == 1 => self.closed.push(reason),
            Output::Rejoin => self.nodes[node] = None,
            _ => {}
        }
    }

    fn packet(&mut self, from: usize, destination: SocketAddr, bytes: Vec<u8>) {
        if destination == seat_address() {
            match open(&key(), &bytes).expect("the core sealed it") {
                Packet::Control(control) => self.tell_seat(SeatInput::Control(control)),
                Packet::Sip { bytes, .. } => {
                    self.sent.push(String::from_utf8_lossy(bytes).into_owned());
                }
            }
            return;
        }
        if self.cut {
            return;
        }
        for node in (0..2).filter(|node| address(*node) == destination) {
            let (source, bytes) = (address(from), bytes.clone());
            self.queue.push_back((node, Input::Packet { source, bytes }));
        }
    }

    fn tell_seat(&mut self, input: SeatInput) {
        self.seat.handle_input(self.now, input);
        while let Some(output) = self.seat.poll_output() {
            match output {
                SeatOutput::Send { to, control } => self.seat_says(&to, &control),
                SeatOutput::Persist { number, .. } => {
                    self.seat.handle_input(self.now, SeatInput::Persisted(number));
                }
                _ => {}
            }
        }
    }

    fn seat_says(&mut self, to: &NodeName, control: &Control) {
        let (source, bytes) = (seat_address(), seal_control(&key(), control));
        for node in (0..2).filter(|node| name(*node) == *to) {
            self.queue.push_back((node, Input::Packet { source, bytes: bytes.clone() }));
        }
    }
}
