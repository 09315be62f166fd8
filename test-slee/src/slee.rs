//! One node, or two with a seat: what goes out of one comes in at another at once.

use crate::adaptor::{EventType, Order, TestAdaptor};
use resilee_core::management::{CellSnapshot, Notice};
use resilee_core::{Adaptors, Core, CoreConfig, Input, Limits, Output, Peer, Restored};
use resilee_membership::{
    Balancers, Flow, Key, NodeName, Packet, RunId, Seat, SeatConfig, SeatInput, SeatOutput,
    Transport, Unclean, open, seal_control,
};
use resilee_sbb::{EventPayload, LinkedSbb, Sbb, Tables, Timestamp, decode, encode};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Time between heartbeats; six may be missed.
const HEARTBEAT_MS: u64 = 50;
/// How often something may be due until what a test waits for.
const STEPS_MAX: u32 = 10_000;

/// An activity that the test has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestActivity(u64);

/// The nodes and their world.
pub struct Slee {
    services: Vec<LinkedSbb>,
    events: Vec<EventType>,
    now: Timestamp,
    nodes: Vec<Option<Core>>,
    seat: Option<Seat>,
    on_its_way: VecDeque<(usize, Input)>,
    begun: u64,
    traces: Vec<String>,
    alarms: Vec<String>,
}

impl Slee {
    /// A node alone, with these services and an adaptor that fires these events.
    pub fn one(services: &[LinkedSbb], events: &[EventType]) -> Self {
        Slee::of(1, services, events)
    }

    /// Two nodes, of which the first gets what the test says, and a seat.
    pub fn pair(services: &[LinkedSbb], events: &[EventType]) -> Self {
        Slee::of(2, services, events)
    }

    fn of(nodes: usize, services: &[LinkedSbb], events: &[EventType]) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let names = (0..nodes).map(name).collect();
        let config = SeatConfig {
            nodes: names,
            name: None,
            balancers: Balancers::default(),
            heartbeat_ms: HEARTBEAT_MS,
            missed: 6,
            cold_start_ms: 3_000,
        };
        let mut slee = Slee {
            services: services.to_vec(),
            events: events.to_vec(),
            now,
            nodes: Vec::new(),
            seat: (nodes > 1).then(|| Seat::new(now, config, None)),
            on_its_way: VecDeque::new(),
            begun: 0,
            traces: Vec::new(),
            alarms: Vec::new(),
        };
        slee.nodes = (0..nodes).map(|node| Some(slee.core(node, nodes))).collect();
        for node in 0..nodes {
            slee.carry_out(node);
        }
        for (node, peer) in (0..nodes).flat_map(|node| peers(node, nodes)) {
            slee.on_its_way.push_back((node, Input::LinkUp { peer: name(peer) }));
        }
        slee.settle();
        slee.until_members(nodes);
        slee
    }

    fn core(&self, node: usize, nodes: usize) -> Core {
        let peer = |(_, peer)| Peer { name: name(peer), address: address(peer) };
        let config = CoreConfig {
            me: RunId { node: name(node), incarnation: self.now.as_millis() + node as u64 },
            key: key(),
            peers: peers(node, nodes).map(peer).collect(),
            behind_balancer: nodes > 1,
            balancers: Balancers::default(),
            heartbeat_ms: HEARTBEAT_MS,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
            limits: Limits { cells_max: usize::MAX, ..Limits::default() },
        };
        let adaptor = Adaptors::first("test", Box::new(TestAdaptor::new(&self.events)));
        let (tables, restored) = (Tables::default(), Restored::default());
        Core::new(self.now, config, &self.services, adaptor, tables, restored)
    }

    /// Starts an activity in a cell of its own.
    pub fn begin(&mut self) -> TestActivity {
        // Cells are told apart by when they were born.
        self.now = self.now + Duration::from_micros(1);
        self.begun += 1;
        let activity = TestActivity(self.begun);
        self.order(activity, Order::Begin);
        self.settle();
        activity
    }

    /// Fires an event on an activity; when this returns all handlers have run, and all that they
    /// changed is held.
    ///
    /// # Panics
    /// An event type that the SLEE was not made with.
    pub fn fire<E: EventPayload>(&mut self, activity: TestActivity, event: &E) {
        self.fire_later(activity, event);
        self.settle();
    }

    /// As [`Slee::fire`], but nothing is carried out before [`Slee::settle`]: events that arrive
    /// together.
    ///
    /// # Panics
    /// An event type that the SLEE was not made with.
    pub fn fire_later<E: EventPayload>(&mut self, activity: TestActivity, event: &E) {
        let known = self.events.iter().position(|it| it.name == E::TYPE);
        let number = known.and_then(|number| u8::try_from(number).ok());
        let payload = encode(event).expect("plain data can be encoded");
        self.order(activity, Order::Fire(number.expect("the event type is named"), &payload));
    }

    /// Ends an activity: its cell is over when the last handler has had the end.
    pub fn end(&mut self, activity: TestActivity) {
        self.order(activity, Order::End);
        self.settle();
    }

    fn order(&mut self, activity: TestActivity, order: Order<'_>) {
        let bytes = order.message(activity.0);
        let node = self.first_living();
        self.feed(node, Input::Datagram { flow: flow(), bytes });
    }

    /// Lets time pass: timers fire.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.step(due);
        }
        self.now = end;
    }

    /// `kill -9` of the node that has the cells; when this returns the other one has them.
    ///
    /// # Panics
    /// If it is the only node.
    pub fn kill_the_owner(&mut self) {
        self.lose_the_owner();
        self.until_members(1);
    }

    /// The first half of [`Slee::kill_the_owner`]: it is dead, and nobody knows it yet.
    ///
    /// # Panics
    /// If it is the only node.
    pub fn lose_the_owner(&mut self) {
        let dead = self.first_living();
        self.nodes[dead] = None;
        self.on_its_way.retain(|(to, _)| *to != dead);
        let survivor = self.first_living();
        self.on_its_way.push_back((survivor, Input::LinkDown { peer: name(dead) }));
    }

    /// Lets time pass until all living nodes have a view with so many members.
    ///
    /// # Panics
    /// If they never have.
    pub fn until_members(&mut self, members: usize) {
        self.settle();
        for _ in 0..STEPS_MAX {
            if self.nodes.iter().flatten().all(|core| core.view().members.len() == members) {
                return;
            }
            let due = self.next_due().expect("a cluster always waits for something");
            self.step(due);
        }
        panic!("what the test waits for does not happen");
    }

    fn next_due(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().flatten().filter_map(Core::poll_timeout);
        nodes.chain(self.seat.as_ref().map(Seat::poll_timeout)).min()
    }

    fn step(&mut self, due: Timestamp) {
        self.now = self.now.max(due);
        for node in 0..self.nodes.len() {
            let due = self.nodes[node].as_ref().and_then(Core::poll_timeout);
            if due.is_some_and(|due| due <= self.now) {
                self.feed(node, Input::Timeout);
                self.carry_out(node);
            }
        }
        if self.seat.as_ref().is_some_and(|seat| seat.poll_timeout() <= self.now) {
            self.feed_seat(SeatInput::Timeout);
        }
        self.settle();
    }

    /// CMP state of the entity of this number in the cell that was born last; its first root
    /// entity is number 1. None if there is no such entity.
    ///
    /// # Panics
    /// If it is not an `S`.
    pub fn state<S: Sbb>(&self, number: u32) -> Option<S> {
        let cell = self.cells(1).pop()?;
        let entity = cell.entities.into_iter().find(|entity| entity.number == number)?;
        Some(decode(&entity.state.bytes).expect("the entity's SBB is S"))
    }

    /// Cells, the newest first, at most `limit`.
    pub fn cells(&self, limit: usize) -> Vec<CellSnapshot> {
        self.nodes[self.first_living()].as_ref().map_or_else(Vec::new, |core| core.cells(limit))
    }

    /// True if no node has a cell.
    pub fn is_empty(&self) -> bool {
        self.nodes.iter().flatten().all(|core| core.cells(1).is_empty())
    }

    /// True if all living nodes have the same cells and rows, and all of it is held.
    pub fn agrees(&self) -> bool {
        let mut held = self.nodes.iter().flatten().map(Core::durable);
        let first = held.next().flatten();
        first.is_some() && held.all(|other| other == first)
    }

    /// Trace lines since this was asked last.
    pub fn traces(&mut self) -> Vec<String> {
        std::mem::take(&mut self.traces)
    }

    /// Alarms that were raised since this was asked last.
    pub fn alarms(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alarms)
    }

    fn first_living(&self) -> usize {
        self.nodes.iter().position(Option::is_some).expect("a node lives")
    }

    fn feed(&mut self, node: usize, input: Input) {
        if let Some(core) = &mut self.nodes[node] {
            core.handle_input(self.now, input);
        }
    }

    /// Lets all arrive that is on its way, and all be done that follows from it.
    pub fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            self.carry_out(node);
        }
        while let Some((node, input)) = self.on_its_way.pop_front() {
            self.feed(node, input);
            self.carry_out(node);
        }
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].as_mut().and_then(Core::poll_output) {
            match output {
                Output::Deliver(deliver) => {
                    let of = |it: &&LinkedSbb| it.descriptor().name == deliver.service;
                    let service = self.services.iter().find(of).expect("a service of the SLEE");
                    let outcome = service.invoke(&deliver);
                    self.feed(node, Input::Outcome { delivery: deliver.id, outcome });
                }
                Output::Store(batch) => self.feed(node, Input::Stored { number: batch.number }),
                Output::SaveVote { number, .. } => self.feed(node, Input::VoteSaved { number }),
                Output::LoadRecords { token, .. } => {
                    self.feed(node, Input::Records { token, records: Vec::new() });
                }
                Output::Frame { peer, bytes } => {
                    let to = (0..self.nodes.len()).find(|to| name(*to) == peer);
                    let input = Input::Frame { peer: name(node), bytes };
                    self.on_its_way.extend(to.map(|to| (to, input)));
                }
                Output::Packet { destination, bytes } => self.send(node, destination, bytes),
                Output::Notice(Notice::Trace { text, .. }) => self.traces.push(text),
                Output::Notice(Notice::AlarmRaised(alarm)) => self.alarms.push(alarm.text),
                _ => {}
            }
        }
    }

    fn send(&mut self, node: usize, destination: SocketAddr, bytes: Vec<u8>) {
        let to = (0..self.nodes.len()).find(|to| address(*to) == destination);
        match (to, open(&key(), &bytes)) {
            (Some(to), _) => {
                let source = address(node);
                self.on_its_way.push_back((to, Input::Packet { source, bytes }));
            }
            (None, Ok(Packet::Control(control))) => self.feed_seat(SeatInput::Control(control)),
            (None, _) => {}
        }
    }

    fn feed_seat(&mut self, input: SeatInput) {
        let Some(seat) = &mut self.seat else { return };
        seat.handle_input(self.now, input);
        while let Some(output) = seat.poll_output() {
            match output {
                SeatOutput::Send { to, control } => {
                    let (source, bytes) = (seat_address(), seal_control(&key(), &control));
                    let to = (0..self.nodes.len()).find(|node| name(*node) == to);
                    let input = Input::Packet { source, bytes };
                    self.on_its_way.extend(to.map(|to| (to, input)));
                }
                SeatOutput::Persist { number, .. } => {
                    seat.handle_input(self.now, SeatInput::Persisted(number));
                }
                SeatOutput::Adopt(_) | SeatOutput::Notice(_) => {}
            }
        }
    }
}

impl Drop for Slee {
    /// Nothing in a node may be about something that is not there, whatever a test did. Whether all
    /// is over only the test knows, which may end in mid-call: see [`Slee::is_empty`].
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for core in self.nodes.iter().flatten() {
            let found = core.inconsistencies();
            assert!(found.is_empty(), "a fault of the container, not of a service: {found:?}");
        }
    }
}

fn name(node: usize) -> NodeName {
    format!("server{}", node + 1).parse().expect("a node's name")
}

/// A node with each of its peers.
fn peers(node: usize, nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes).filter(move |peer| *peer != node).map(move |peer| (node, peer))
}

fn seat_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 6001))
}

fn address(node: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7001 + node as u16))
}

fn flow() -> Flow {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5070));
    Flow { remote, local, transport: Transport::Udp }
}

fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}
