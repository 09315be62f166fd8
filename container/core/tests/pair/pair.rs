//! Two nodes and a seat, each node with a clock of its own; what they send arrives at once.

#[path = "leaks.rs"]
mod leaks;

use crate::toy::{SERVICES, adaptors};
use resilee_core::management::{Changed, Notice, Status, TableChange};
use resilee_core::{AdaptorId, Fate, Ingress, StoreOp, StoredRecord, Tree, VOTER_KEY};
use resilee_core::{
    Core, CoreConfig, Input, Limits, Output, PROGRESS_KEY, Peer, Restored, StoreBatch, units_of,
};
use resilee_membership::{
    Balancers, Flow, Key, Packet, RunId, Seat, SeatConfig, SeatInput, SeatOutput, Transport,
    Unclean, View, VoterState, open, seal_control, seal_sip,
};
use resilee_sbb::{CellId, CohortId, Deliver, LinkedSbb, NotCompiled, Tables, Timestamp, decode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// A node, alive or dead, with its disk.
#[derive(Default)]
pub struct Node {
    pub core: Option<Core>,
    /// Its clock minus the world's, in milliseconds.
    pub ahead_ms: i64,
    /// What is written is not flushed.
    pub slow_disk: bool,
    pub journals: BTreeMap<String, Vec<StoredRecord>>,
    disk: BTreeMap<(Tree, Vec<u8>), Vec<u8>>,
    unflushed: Vec<StoreBatch>,
    /// The store takes nothing any more.
    store_failed: bool,
    /// Nor does the file of the vote.
    pub vote_lost: bool,
    /// What it said, and what it was told by the core.
    pub sent: Vec<String>,
    /// The same by the sockets of other adaptors than the first one.
    pub posted: Vec<String>,
    pub notices: Vec<Notice>,
    pub delivered: Vec<Deliver>,
    /// Threads that hang.
    pub hanging: usize,
    pub rejoins: usize,
    /// Bytes of the largest frame that it sent.
    pub largest_frame: usize,
    /// It said that it is drained.
    pub drained: bool,
    /// What became of changes, by their tokens.
    pub changed: BTreeMap<u64, Changed>,
}

/// Both nodes, and what is on its way.
pub struct Pair {
    pub now: Timestamp,
    pub nodes: [Node; 2],
    seat: Seat,
    /// It hears nothing and says nothing.
    pub seat_away: bool,
    /// Nodes that do not hear it, while it hears them.
    pub deaf_to_seat: [bool; 2],
    pub on_its_way: VecDeque<(usize, Input)>,
    linked: bool,
    /// What is deployed by nodes that are started from now on, and what ever was.
    services: Vec<LinkedSbb>,
    known: Vec<LinkedSbb>,
    configured: Tables,
    /// Of nodes that are started from now on.
    pub limits: Limits,
    /// Which deliveries hang: nobody answers them, and their worker is replaced.
    pub hangs: fn(&Deliver) -> bool,
    next_token: u64,
    /// Which services are in units, by the units' bytes.
    pub units: BTreeMap<Vec<u8>, LinkedSbb>,
    /// The services that each node's workers have of units, by these.
    of_units: [BTreeMap<String, &'static str>; 2],
    /// Nodes that compile nothing for now, and what waits at them.
    pub slow_compilers: [bool; 2],
    uncompiled: Vec<(usize, String, Vec<u8>)>,
    /// Nodes whose machines have too much to do to compile anything, and how often they tried.
    pub busy_compilers: [bool; 2],
    pub tries: usize,
    /// The bytes of a unit that nobody can compile at the first try.
    pub busy_once: Option<Vec<u8>>,
    /// Frames that were sent, if they are kept.
    pub frames: Option<Vec<Vec<u8>>>,
    /// Calls that clients began.
    calls: BTreeSet<String>,
    /// Why something is there when all calls have ended; `None`: nothing may be.
    pub leaves: Option<&'static str>,
    /// What is kept of what is gone, and has to be.
    pub keeps: &'static [&'static str],
}

/// Why a node compiles nothing for now.
const BUSY: &str = "the machine has too much to do";

fn name(node: usize) -> String {
    format!("server{}", node + 1)
}

/// Where the seat is.
fn seat_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 6001))
}

fn address(node: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7001 + node as u16))
}

/// A seat that has stored nothing.
fn seat(now: Timestamp) -> Seat {
    let nodes = [0, 1].map(|node| name(node).parse().expect("a name")).to_vec();
    let config = SeatConfig {
        nodes,
        name: None,
        balancers: Balancers::default(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 3_000,
    };
    Seat::new(now, config, None)
}

pub fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

fn flow() -> Flow {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5070));
    Flow { remote, local, transport: Transport::Udp }
}

impl Pair {
    /// Two nodes that were never started.
    pub fn new() -> Self {
        Pair::of(&SERVICES, Tables::default())
    }

    /// The same with other services, and with rows of the configuration.
    pub fn of(services: &[LinkedSbb], configured: Tables) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let seat = seat(now);
        let (nodes, on_its_way) = (Default::default(), VecDeque::new());
        let (services, known) = (services.to_vec(), services.to_vec());
        Pair {
            now,
            nodes,
            seat,
            seat_away: false,
            deaf_to_seat: [false; 2],
            on_its_way,
            linked: false,
            services,
            known,
            configured,
            limits: Limits::default(),
            hangs: |_| false,
            next_token: 1,
            units: BTreeMap::new(),
            of_units: Default::default(),
            slow_compilers: [false; 2],
            uncompiled: Vec::new(),
            busy_compilers: [false; 2],
            tries: 0,
            busy_once: None,
            frames: None,
            calls: BTreeSet::new(),
            leaves: None,
            keeps: &[],
        }
    }

    /// The balancer starts anew, and has lost what it had stored.
    pub fn replace_seat(&mut self) {
        self.seat = seat(self.now);
    }

    /// Both are started and are members.
    pub fn up() -> Self {
        Pair::new().whole()
    }

    /// The same of this pair.
    pub fn whole(mut self) -> Self {
        self.start(0);
        self.start(1);
        self.until_whole();
        self
    }

    /// An operator wants a change at a node, and nothing arrives yet; its token.
    pub fn ask(&mut self, node: usize, change: TableChange) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.feed(node, Input::Change { token, change });
        token
    }

    /// The same of several at once; their tokens.
    pub fn ask_all(&mut self, node: usize, changes: Vec<TableChange>) -> Range<u64> {
        let first = self.next_token;
        let local = self.local(node);
        for change in changes {
            let token = self.next_token;
            self.next_token += 1;
            let core = self.nodes[node].core.as_mut().expect("it lives");
            core.handle_input(local, Input::Change { token, change });
        }
        self.carry_out(node);
        first..self.next_token
    }

    /// What became of changes, as far as that is known.
    pub fn answers(&self, node: usize, tokens: Range<u64>) -> Vec<Option<Changed>> {
        tokens.map(|token| self.nodes[node].changed.get(&token).cloned()).collect()
    }

    /// The same, and all arrives: what became of it, if that is known.
    pub fn change(&mut self, node: usize, change: TableChange) -> Option<Changed> {
        let token = self.ask(node, change);
        self.settle();
        self.nodes[node].changed.get(&token).cloned()
    }

    /// What is on its way between the nodes is lost, and the link is down; this one sees it first.
    pub fn cut(&mut self, first: usize) {
        self.linked = false;
        self.on_its_way.retain(|(_, input)| !matches!(input, Input::Frame { .. }));
        for node in [first, 1 - first] {
            let peer = name(1 - node).parse().expect("a name");
            self.feed(node, Input::LinkDown { peer });
        }
    }

    /// What is on its way is lost.
    pub fn lose_all(&mut self) {
        self.on_its_way.clear();
    }

    fn link(&mut self) {
        self.linked = true;
        for node in [0, 1] {
            let peer = name(1 - node).parse().expect("a name");
            self.on_its_way.push_back((node, Input::LinkUp { peer }));
        }
    }

    /// Lets so many inputs arrive that are on their way.
    pub fn deliver(&mut self, inputs: usize) {
        for _ in 0..inputs {
            if let Some((node, input)) = self.on_its_way.pop_front() {
                self.feed(node, input);
            }
        }
    }

    /// Which node owns the shared tables.
    pub fn tables_owner(&self) -> usize {
        let owner = self.status(0).view.owner(CohortId::TABLES).expect("an owner").node.to_string();
        usize::from(owner == name(1))
    }

    /// The node's own clock.
    pub fn local(&self, node: usize) -> Timestamp {
        let ahead = self.nodes[node].ahead_ms * 1_000;
        Timestamp::from_micros(self.now.as_micros().saturating_add_signed(ahead))
    }

    pub fn status(&self, node: usize) -> Status {
        self.nodes[node].core.as_ref().expect("it lives").status(self.local(node))
    }

    /// Nodes that are started from now on have these services.
    pub fn deploy(&mut self, services: &[LinkedSbb]) {
        self.services = services.to_vec();
        self.known.extend(services);
    }

    /// Starts a run with what was flushed.
    pub fn start(&mut self, node: usize) {
        let (local, other) = (self.local(node), 1 - node);
        let incarnation = local.as_millis();
        let peer = Peer { name: name(other).parse().expect("a name"), address: address(other) };
        let config = CoreConfig {
            me: RunId { node: name(node).parse().expect("a name"), incarnation },
            key: key(),
            peers: vec![peer],
            behind_balancer: true,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
            limits: self.limits,
        };
        let mut restored = self.nodes[node].restore();
        let units = units_of(&restored).into_iter();
        // What cannot be compiled is compiled again by the core, which says so.
        let compiled = units.filter_map(|(id, bytes)| Some((id, *self.units.get(&bytes)?)));
        restored.units = compiled.collect();
        let named = restored.units.iter().map(|(id, sbb)| (id.clone(), sbb.descriptor().name));
        self.of_units[node] = named.collect();
        let toy = adaptors();
        let configured = self.configured.clone();
        let core = Core::new(local, config, &self.services, toy, configured, restored);
        self.nodes[node].core = Some(core);
        self.carry_out(node);
        if self.nodes.iter().all(|node| node.core.is_some()) {
            self.link();
        }
        self.settle();
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].core = None;
        self.uncompiled.retain(|(at, _, _)| *at != node);
        self.nodes[node].hanging = 0;
        self.nodes[node].unflushed.clear();
        self.nodes[node].store_failed = false;
        self.on_its_way.retain(|(to, _)| *to != node);
        if std::mem::take(&mut self.linked) {
            let peer = name(node).parse().expect("a name");
            self.feed(1 - node, Input::LinkDown { peer });
            self.settle();
        }
    }

    /// The node's store fails, until the node starts again.
    pub fn fail_store(&mut self, node: usize) {
        self.nodes[node].store_failed = true;
        self.nodes[node].unflushed.clear();
        self.feed(node, Input::StoreFailed { reason: "the disk is full".to_owned() });
        self.settle();
    }

    /// A client says something to a node.
    pub fn say(&mut self, node: usize, text: &str) {
        self.begin_to_say(node, text);
        self.settle();
    }

    /// The same, and nothing of what the node says arrives yet.
    pub fn begin_to_say(&mut self, node: usize, text: &str) {
        self.calls.extend(text.split(' ').next().map(str::to_owned));
        let bytes = seal_sip(&key(), self.seat.view().number, &flow(), text.as_bytes());
        self.feed(node, Input::Packet { source: seat_address(), bytes });
    }

    /// True if something is on its way.
    pub fn is_busy(&self) -> bool {
        !self.on_its_way.is_empty()
    }

    /// The sockets of a node's second adaptor say something to it.
    pub fn tell_second(&mut self, node: usize, bytes: Vec<u8>) {
        let ingress = Ingress { adaptor: AdaptorId(1), ..Ingress::new(flow(), bytes) };
        self.feed(node, Input::Message(ingress));
        self.settle();
    }

    pub fn feed(&mut self, node: usize, input: Input) {
        let local = self.local(node);
        let Some(core) = self.nodes[node].core.as_mut() else { return };
        core.handle_input(local, input);
        self.carry_out(node);
    }

    /// Lets all arrive that is on its way.
    pub fn settle(&mut self) {
        while let Some((node, input)) = self.on_its_way.pop_front() {
            self.feed(node, input);
        }
    }

    /// Lets time pass in steps of a millisecond.
    pub fn pass_ms(&mut self, millis: u64) {
        for _ in 0..millis {
            self.tick();
            self.settle();
        }
    }

    /// One millisecond passes, and nothing arrives.
    pub fn tick(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        for node in [0, 1] {
            let due = self.nodes[node].core.as_ref().and_then(Core::poll_timeout);
            if due.is_some_and(|due| due <= self.local(node)) {
                self.feed(node, Input::Timeout);
            }
        }
        if self.seat.poll_timeout() <= self.now {
            self.feed_seat(SeatInput::Timeout);
        }
    }

    /// Lets time pass until a handler of this one hangs: that it is told so is on its way.
    pub fn until_handler_hangs(&mut self, node: usize) {
        let before = self.nodes[node].hanging;
        for _ in 0..60_000 {
            self.tick();
            while self.is_busy() {
                if self.nodes[node].hanging > before {
                    return;
                }
                self.deliver(1);
            }
        }
        panic!("no handler hangs");
    }

    /// Lets time pass until this one has just become a member: what that set off is on its way.
    pub fn until_just_a_member(&mut self, node: usize) {
        for _ in 0..10_000 {
            self.tick();
            while self.is_busy() {
                self.deliver(1);
                if self.status(node).member {
                    return;
                }
            }
        }
        panic!("no member within 10 s");
    }

    /// Lets time pass until both are members of one view.
    pub fn until_whole(&mut self) {
        for _ in 0..10_000 {
            if self.is_whole() {
                return;
            }
            self.pass_ms(1);
        }
        panic!("not both are members within 10 s");
    }

    /// Lets time pass until this one is a member.
    pub fn until_member(&mut self, node: usize) {
        for _ in 0..10_000 {
            if self.status(node).member {
                return;
            }
            self.pass_ms(1);
        }
        panic!("no member within 10 s");
    }

    /// Lets time pass until this one is a member of a view with so many.
    pub fn until_member_of(&mut self, node: usize, members: usize) {
        for _ in 0..10_000 {
            if self.status(node).member && self.view(node).members.len() == members {
                return;
            }
            self.pass_ms(1);
        }
        panic!("no member of such a view within 10 s");
    }

    /// The view that a node has.
    pub fn view(&self, node: usize) -> View {
        self.nodes[node].core.as_ref().expect("it lives").view().clone()
    }

    /// Members of the view that the seat has.
    pub fn seat_members(&self) -> usize {
        self.seat.view().members.len()
    }

    pub fn is_whole(&self) -> bool {
        let views = self.nodes.each_ref().map(|node| node.core.as_ref().map(Core::view));
        views[0].is_some_and(|view| view.members.len() == 2) && views[0] == views[1]
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].core.as_mut().and_then(Core::poll_output) {
            let own = &mut self.nodes[node];
            match output {
                Output::Deliver(deliver) if (self.hangs)(&deliver) => own.delivered.push(*deliver),
                Output::Abandon { delivery, .. } => {
                    let mut hung = own.delivered.iter().filter(|it| (self.hangs)(it));
                    let fate = hung.find(|it| it.id == delivery);
                    let hangs = |_| Fate::Hangs("its worker was replaced".to_owned());
                    let fate = fate.map_or(Fate::Waited, hangs);
                    own.hanging += usize::from(fate != Fate::Waited);
                    let hanging = Input::Hanging { threads: own.hanging };
                    self.on_its_way.push_back((node, Input::Abandoned { delivery, fate }));
                    self.on_its_way.push_back((node, hanging));
                }
                Output::Deliver(deliver) => {
                    own.delivered.push(*deliver.clone());
                    let mut known = self.known.iter().chain(self.units.values());
                    let service = known.find(|s| s.descriptor().name == deliver.service);
                    let outcome = service.expect("a known service").invoke(&deliver);
                    let input = Input::Outcome { delivery: deliver.id, outcome };
                    self.on_its_way.push_back((node, input));
                }
                Output::Packet { destination, bytes } if destination == seat_address() => {
                    self.send_to_balancer(node, &bytes);
                }
                Output::Packet { destination, bytes } => {
                    let source = address(node);
                    let to = usize::from(destination == address(1));
                    self.on_its_way.push_back((to, Input::Packet { source, bytes }));
                }
                Output::Frame { bytes, .. } if self.linked => {
                    own.largest_frame = own.largest_frame.max(bytes.len());
                    self.frames.iter_mut().for_each(|frames| frames.push(bytes.clone()));
                    let peer = name(node).parse().expect("a name");
                    self.on_its_way.push_back((1 - node, Input::Frame { peer, bytes }));
                }
                Output::SaveVote { number, .. } if own.vote_lost => {
                    let reason = "the disk is full".to_owned();
                    self.on_its_way.push_back((node, Input::VoteNotSaved { number, reason }));
                }
                Output::SaveVote { number, state } => {
                    own.disk.insert((Tree::Meta, VOTER_KEY.to_vec()), state);
                    self.on_its_way.push_back((node, Input::VoteSaved { number }));
                }
                Output::Store(_) if own.store_failed => {}
                Output::Store(batch) => {
                    own.unflushed.push(batch);
                    if !own.slow_disk {
                        self.flush(node);
                    }
                }
                Output::LoadRecords { token, journal, from, limit } => {
                    let records = own.journals.get(&journal).cloned().unwrap_or_default();
                    let records = records.into_iter().filter(|r| r.sequence >= from).take(limit);
                    let input = Input::Records { token, records: records.collect() };
                    self.on_its_way.push_back((node, input));
                }
                Output::Message(egress) => {
                    own.posted.push(String::from_utf8(egress.bytes).expect("toys say text"));
                }
                Output::Compile { unit, bytes } => {
                    self.uncompiled.push((node, unit, bytes));
                    self.compile();
                }
                Output::ForgetUnit { unit } => {
                    self.of_units[node].remove(&unit);
                    self.uncompiled.retain(|(at, id, _)| (*at, id) != (node, &unit));
                }
                Output::Notice(notice) => own.notices.push(notice),
                Output::Changed { token, changed } => {
                    own.changed.insert(token, changed);
                }
                Output::Rejoin => own.rejoins += 1,
                Output::Drained => own.drained = true,
                _ => {}
            }
        }
    }

    /// Compiles what waits at nodes that do.
    pub fn compile(&mut self) {
        let slow = self.slow_compilers;
        let waiting = std::mem::take(&mut self.uncompiled).into_iter();
        let (left, now): (Vec<_>, _) = waiting.partition(|(node, _, _)| slow[*node]);
        self.uncompiled = left;
        for (node, unit, bytes) in now {
            let service = match self.units.get(&bytes) {
                _ if self.busy_compilers[node] => {
                    self.tries += 1;
                    Err(NotCompiled::Passing(BUSY.to_owned()))
                }
                Some(_) if self.busy_once.take_if(|it| *it == bytes).is_some() => {
                    Err(NotCompiled::Passing(BUSY.to_owned()))
                }
                Some(service) => {
                    let (name, known) = (service.descriptor().name, &mut self.of_units[node]);
                    // Whoever had the name first keeps it, whatever the core has forgotten since.
                    match known.iter().any(|(id, it)| *it == name && *id != unit) {
                        true => Err(NotCompiled::Lasting(format!("there is another {name}"))),
                        false => {
                            known.insert(unit.clone(), name);
                            Ok(*service)
                        }
                    }
                }
                None => Err(NotCompiled::Lasting("it is no WebAssembly".to_owned())),
            };
            self.on_its_way.push_back((node, Input::Compiled { unit, service }));
        }
    }

    /// What the balancer gets: control for its seat, or a message to a client.
    fn send_to_balancer(&mut self, node: usize, bytes: &[u8]) {
        match open(&key(), bytes).expect("a node sealed it") {
            Packet::Control(control) => self.feed_seat(SeatInput::Control(control)),
            Packet::Sip { bytes, .. } => {
                let text = String::from_utf8(bytes.to_vec()).expect("toys say text");
                self.nodes[node].sent.push(text);
            }
        }
    }

    fn feed_seat(&mut self, input: SeatInput) {
        if self.seat_away {
            return;
        }
        self.seat.handle_input(self.now, input);
        while let Some(output) = self.seat.poll_output() {
            match output {
                SeatOutput::Send { to, control } => {
                    let node = usize::from(to.as_str() == name(1));
                    let (source, bytes) = (seat_address(), seal_control(&key(), &control));
                    if !self.deaf_to_seat[node] {
                        self.on_its_way.push_back((node, Input::Packet { source, bytes }));
                    }
                }
                SeatOutput::Persist { number, .. } => {
                    self.seat.handle_input(self.now, SeatInput::Persisted(number));
                }
                SeatOutput::Adopt(_) | SeatOutput::Notice(_) => {}
            }
        }
    }

    /// Flushes what was written.
    pub fn flush(&mut self, node: usize) {
        for batch in std::mem::take(&mut self.nodes[node].unflushed) {
            batch.ops.into_iter().for_each(|op| self.nodes[node].apply(op));
            self.on_its_way.push_back((node, Input::Stored { number: batch.number }));
        }
    }
}

impl Node {
    fn apply(&mut self, op: StoreOp) {
        match op {
            StoreOp::Put { tree, key, value } => drop(self.disk.insert((tree, key), value)),
            StoreOp::Remove { tree, key } => drop(self.disk.remove(&(tree, key))),
            StoreOp::Clear { tree } => self.disk.retain(|(of, _), _| *of != tree),
            StoreOp::Record { journal, cell, record } => self.append(&journal, cell, record),
        }
    }

    /// All that it had stored is gone.
    pub fn lose_files(&mut self) {
        self.disk.clear();
        self.journals.clear();
    }

    /// Appends a record, unless there is one of the cell.
    pub fn append(&mut self, journal: &str, cell: CellId, record: Vec<u8>) {
        let records = self.journals.entry(journal.to_owned()).or_default();
        if !records.iter().any(|known| known.cell == cell) {
            let sequence = records.len() as u64 + 1;
            records.push(StoredRecord { sequence, cell, record });
        }
    }

    /// What its voter remembers on the disk.
    pub fn voter(&self) -> VoterState {
        self.restore().voter.expect("one was stored")
    }

    fn restore(&self) -> Restored {
        let tree = |tree: Tree| {
            let values = self.disk.iter().filter(move |((of, _), _)| *of == tree);
            values.map(|((_, key), value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        let single = |key: &[u8]| self.disk.get(&(Tree::Meta, key.to_vec()));
        let progress = single(PROGRESS_KEY).map(|bytes| decode(bytes).expect("the core wrote it"));
        Restored {
            voter: single(VOTER_KEY).map(|bytes| decode(bytes).expect("the core wrote it")),
            progress: progress.unwrap_or_default(),
            cells: tree(Tree::Cells),
            tables: tree(Tree::Tables),
            journals: self.journals.keys().cloned().collect(),
            notices: Vec::new(),
            units: BTreeMap::new(),
        }
    }
}
