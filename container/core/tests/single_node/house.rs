//! One node with a virtual clock, a disk that flushes when told, and handlers that answer at once.

#[path = "leaks.rs"]
mod leaks;

use crate::toy::{SERVICES, adaptors};
use resilee_core::management::{Changed, Notice};
use resilee_core::{Core, CoreConfig, Input, Limits, Output, Restored, StoreBatch, StoreOp, Tree};
use resilee_core::{Fate, PROGRESS_KEY, VOTER_KEY};
use resilee_membership::{Balancers, Flow, Key, RunId, Transport, Unclean, seal_sip};
use resilee_sbb::{Deliver, DeliveryId, Outcome, Tables, Timestamp, decode};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The node and its world.
pub struct House {
    pub core: Core,
    pub now: Timestamp,
    pub delivered: Vec<Deliver>,
    /// False: handlers never return.
    pub answering: bool,
    /// A service whose deliveries roll back.
    pub failing: Option<&'static str>,
    /// Which deliveries hang: nobody answers them, and their worker is replaced.
    pub hangs: fn(&Deliver) -> bool,
    /// Deliveries that the core waits for no longer.
    pub abandoned: Vec<DeliveryId>,
    /// How much longer the next of them is waited for.
    pub early: Option<Duration>,
    /// The next of them is answered first.
    pub answers_when_asked: bool,
    /// What the store was asked for, flushed or not.
    pub written: Vec<StoreOp>,
    pub disk: BTreeMap<(Tree, Vec<u8>), Vec<u8>>,
    unflushed: Vec<StoreBatch>,
    failed: bool,
    sent: Vec<String>,
    pub drained: bool,
    pub notices: Vec<Notice>,
    /// What became of the changes that an operator asked for.
    pub changed: Vec<Changed>,
    /// Calls that clients began.
    calls: BTreeSet<String>,
    /// Why something is there when all calls have ended; `None`: nothing may be.
    pub leaves: Option<&'static str>,
}

fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

fn flow() -> Flow {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5070));
    Flow { remote, local, transport: Transport::Udp }
}

fn core(now: Timestamp, limits: Limits, restored: Restored) -> Core {
    let config = CoreConfig {
        me: RunId { node: "server1".parse().expect("a name"), incarnation: now.as_millis() },
        key: key(),
        peers: Vec::new(),
        behind_balancer: false,
        balancers: Balancers::default(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 3_000,
        unclean: Unclean::Refuse,
        limits,
    };
    let adaptor = adaptors();
    Core::new(now, config, &SERVICES, adaptor, Tables::default(), restored)
}

impl House {
    pub fn new() -> Self {
        let mut house = House::starting();
        house.settle();
        house
    }

    /// A node that holds so many cells.
    pub fn with_limits(limits: Limits) -> Self {
        let mut house = House::starting();
        house.core = core(house.now, limits, Restored::default());
        house.settle();
        house
    }

    /// A node that has not adopted its first view.
    pub fn starting() -> Self {
        House::starting_with(Restored::default())
    }

    /// The same, with what its store held.
    pub fn starting_with(restored: Restored) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        House {
            core: core(now, Limits::default(), restored),
            now,
            delivered: Vec::new(),
            answering: true,
            hangs: |_| false,
            failing: None,
            abandoned: Vec::new(),
            early: None,
            answers_when_asked: false,
            written: Vec::new(),
            disk: BTreeMap::new(),
            unflushed: Vec::new(),
            failed: false,
            sent: Vec::new(),
            drained: false,
            notices: Vec::new(),
            changed: Vec::new(),
            calls: BTreeSet::new(),
            leaves: None,
        }
    }

    /// Lets the node become the member of its view of one.
    pub fn settle(&mut self) {
        self.drain();
        for _ in 0..4 {
            self.flush();
        }
    }

    pub fn say(&mut self, text: &str) {
        self.note_call(text);
        self.feed(Input::Datagram { flow: flow(), bytes: text.as_bytes().to_vec() });
    }

    /// The same from a balancer that has adopted this view.
    pub fn say_by_view(&mut self, view: u64, text: &str) {
        self.note_call(text);
        let bytes = seal_sip(&key(), view, &flow(), text.as_bytes());
        self.feed(Input::Packet { source: flow().remote, bytes });
    }

    fn note_call(&mut self, text: &str) {
        self.calls.extend(text.split(' ').next().map(str::to_owned));
    }

    pub fn feed(&mut self, input: Input) {
        self.core.handle_input(self.now, input);
        self.drain();
    }

    pub fn answer(&mut self, deliver: &Deliver) {
        let service = SERVICES.iter().find(|s| s.descriptor().name == deliver.service);
        let outcome = match self.failing {
            Some(failing) if failing == deliver.service => {
                Outcome::RolledBack { reason: "as it was told".to_owned(), effects: Vec::new() }
            }
            _ => service.expect("a known service").invoke(deliver),
        };
        self.core.handle_input(self.now, Input::Outcome { delivery: deliver.id, outcome });
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Deliver(deliver) => {
                    self.delivered.push(*deliver.clone());
                    if self.answering && !(self.hangs)(&deliver) {
                        self.answer(&deliver);
                    }
                }
                Output::Datagram { bytes, .. } => {
                    self.sent.push(String::from_utf8(bytes).expect("toys say text"));
                }
                Output::Store(batch) => {
                    self.written.extend(batch.ops.clone());
                    self.unflushed.push(batch);
                }
                Output::Abandon { delivery, .. } => {
                    self.abandoned.push(delivery);
                    if std::mem::take(&mut self.answers_when_asked) {
                        let deliver = self.delivered.iter().find(|it| it.id == delivery).cloned();
                        self.answer(&deliver.expect("it was handed out"));
                    }
                    let mut hung = self.delivered.iter().filter(|it| (self.hangs)(it));
                    let fate = hung.find(|it| it.id == delivery);
                    let hangs = |_| Fate::Hangs("its worker was replaced".to_owned());
                    let fate = fate.map_or(Fate::Waited, hangs);
                    let fate = self.early.take().map_or(fate, Fate::Early);
                    self.core.handle_input(self.now, Input::Abandoned { delivery, fate });
                }
                Output::Drained => self.drained = true,
                Output::Notice(notice) => self.notices.push(notice),
                Output::Changed { changed, .. } => self.changed.push(changed),
                _ => {}
            }
        }
    }

    /// What was sent since this was last asked.
    pub fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    /// Flushes all that was written.
    pub fn flush(&mut self) {
        for batch in std::mem::take(&mut self.unflushed) {
            if self.failed {
                continue;
            }
            for op in batch.ops {
                match op {
                    StoreOp::Put { tree, key, value } => drop(self.disk.insert((tree, key), value)),
                    StoreOp::Remove { tree, key } => drop(self.disk.remove(&(tree, key))),
                    StoreOp::Clear { tree } => self.disk.retain(|(of, _), _| *of != tree),
                    StoreOp::Record { .. } => {}
                }
            }
            self.feed(Input::Stored { number: batch.number });
        }
    }

    pub fn fail_store(&mut self) {
        self.failed = true;
        self.feed(Input::StoreFailed { reason: "the disk is full".to_owned() });
    }

    pub fn pass_seconds(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Timeout);
            self.flush();
        }
        self.now = end;
    }

    /// `kill -9`, and a start with what was flushed.
    pub fn restart(&mut self) {
        self.unflushed.clear();
        self.now = self.now + Duration::from_millis(50);
        let tree = |tree: Tree| {
            let values = self.disk.iter().filter(move |((of, _), _)| *of == tree);
            values.map(|((_, key), value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        let single = |key: &[u8]| self.disk.get(&(Tree::Meta, key.to_vec()));
        let restored = Restored {
            voter: single(VOTER_KEY).map(|bytes| decode(bytes).expect("the core wrote it")),
            progress: single(PROGRESS_KEY)
                .map(|bytes| decode(bytes).expect("the core wrote it"))
                .unwrap_or_default(),
            cells: tree(Tree::Cells),
            tables: tree(Tree::Tables),
            journals: Vec::new(),
            notices: Vec::new(),
            units: Default::default(),
        };
        self.core = core(self.now, Limits::default(), restored);
        self.settle();
    }

    /// True if no cell and no row is on the disk.
    pub fn disk_is_empty(&self) -> bool {
        self.disk.keys().all(|(tree, _)| *tree == Tree::Meta)
    }

    pub fn was_delivered(&self, service: &str, event_type: &str) -> bool {
        let of = |deliver: &&Deliver| deliver.service == service;
        self.delivered.iter().filter(of).any(|deliver| deliver.event.event_type == event_type)
    }
}
