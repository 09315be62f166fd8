//! `resilee-bench-registrations`: phones register with digest at a node without peers; its store is
//! a real one, its network and its clock are not. `cargo xtask bench-registrations` runs it.
//!
//! It ends with one line of JSON: memory of a binding, look-ups per second, and how long the node
//! takes to be back with all of them after it was started again.

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use resilee_core::{Adaptors, Core, CoreConfig, Input, Limits, Output, Restored};
use resilee_membership::{Balancers, Flow, Key, NodeName, Transport, Unclean};
use resilee_registrar::Registrar;
use resilee_runtime::store::{self, Store, StoreEvent};
use resilee_sbb::{LinkedSbb, Tables, Timestamp, decode, encode};
use resilee_sip_api::{ACCOUNTS, Account, REGISTRATIONS, Registrations};
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{CallLimits, SipRa, SipRaConfig};
use resilee_test_kit::{
    AnswerPolicy, Phone, PhoneCommand, PhoneConfig, PhoneInput, PhoneOutput, Random,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVICES: [LinkedSbb; 1] = [LinkedSbb::of::<Registrar>()];
const DOMAIN: &str = "example.test";
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Phones that register at the same time.
const AT_ONCE: u64 = 500;
/// Time that passes, for the node, with each group of them.
const APART: Duration = Duration::from_millis(50);
/// Longer than any transaction.
const REST: Duration = Duration::from_secs(60);
const LOOK_UPS: u64 = 2_000_000;
/// A disk that takes longer is broken.
const STORED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct CommandLine {
    /// Phones, each with an account and one contact
    #[arg(long, default_value_t = 1_000_000)]
    phones: u64,
    /// An empty folder for the node's store
    #[arg(long)]
    folder: PathBuf,
}

fn main() -> Result<()> {
    let CommandLine { phones, folder } = CommandLine::parse();
    let mut node = Node::start(START, &folder, phones)?;
    let before = memory_bytes()?;
    let started = Instant::now();
    for first in (0..phones).step_by(AT_ONCE as usize) {
        node.register(first..phones.min(first + AT_ONCE), 0)?;
    }
    let registering = started.elapsed();
    node.pass(REST)?;
    let bytes = memory_bytes()?.saturating_sub(before) / phones;
    // What the registrar reads for one more are the rows of all before.
    node.register(0..1, 1)?;
    let tables = node.tables.take().context("the registrar was asked")?;
    let per_s = look_up(&tables, phones, node.now)?;
    drop(tables);
    let now = node.now;
    drop(node);

    let started = Instant::now();
    let mut node = Node::start(now, &folder, phones)?;
    let back = started.elapsed();
    // The same again: these are the rows that the store gave back.
    node.register(0..1, 2)?;
    let tables = node.tables.take().context("the registrar was asked")?;
    ensure!(tables.len(REGISTRATIONS) as u64 == phones, "registrations were lost");
    let line = json!({
        "phones": phones, "bytes": bytes, "registrations_per_s": rate(phones, registering),
        "look_ups_per_s": per_s, "start_ms": back.as_millis() as u64,
        "store_bytes": size(&folder)?,
    });
    println!("{line}");
    Ok(())
}

/// A node with its store, and the way to its registrar.
struct Node {
    core: Core,
    now: Timestamp,
    store: Store,
    stored: Receiver<StoreEvent>,
    /// What its services read last.
    tables: Option<Tables>,
    /// What it sent, by receiver.
    sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Number of the last batch that was handed to the store, and of the last one on disk.
    batches: (u64, u64),
}

impl Node {
    fn start(now: Timestamp, folder: &Path, phones: u64) -> Result<Node> {
        let opened = store::open(folder)?;
        let restored = opened.restored.clone();
        let (tell, stored) = channel();
        // Nobody asks any more once the node is gone.
        let store = opened.start(move |event| drop(tell.send(event)))?;
        let mut node = Node {
            core: core(now, restored, phones)?,
            now,
            store,
            stored,
            tables: None,
            sent: Vec::new(),
            batches: (0, 0),
        };
        node.drain()?;
        while node.core.view().members.is_empty() {
            node.pass(APART)?;
        }
        Ok(node)
    }

    /// These phones register, all at once; each time they were started anew.
    fn register(&mut self, numbers: std::ops::Range<u64>, start: u64) -> Result<()> {
        let mut phones: BTreeMap<SocketAddr, Phone> = BTreeMap::new();
        for number in numbers {
            let config = phone(number, start);
            let (address, mut phone) = (config.address, Phone::new(config, self.now));
            phone.handle_input(self.now, PhoneInput::Command(PhoneCommand::Register));
            self.say(address, &mut phone)?;
            phones.insert(address, phone);
        }
        let deadline = Instant::now() + STORED_WITHIN;
        while !phones.values().all(Phone::is_registered) {
            for (address, bytes) in std::mem::take(&mut self.sent) {
                let Some(phone) = phones.get_mut(&address) else { continue };
                let source = local();
                phone.handle_input(self.now, PhoneInput::Datagram { source, bytes });
                self.say(address, phone)?;
            }
            if self.sent.is_empty() && !phones.values().all(Phone::is_registered) {
                ensure!(Instant::now() < deadline, "a phone does not get its answer");
                self.wait_for_disk()?;
            }
        }
        self.pass(APART)
    }

    fn say(&mut self, remote: SocketAddr, phone: &mut Phone) -> Result<()> {
        let flow = Flow { remote, local: local(), transport: Transport::Udp };
        while let Some(output) = phone.poll_output() {
            if let PhoneOutput::Send { bytes, .. } = output {
                self.core.handle_input(self.now, Input::Datagram { flow, bytes });
                self.drain()?;
            }
        }
        Ok(())
    }

    /// Time passes, and all is on disk.
    fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.now + time;
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.core.handle_input(self.now, Input::Timeout);
            self.drain()?;
        }
        self.now = end;
        while self.batches.0 > self.batches.1 {
            self.wait_for_disk()?;
        }
        Ok(())
    }

    fn wait_for_disk(&mut self) -> Result<()> {
        let input = match self.stored.recv_timeout(STORED_WITHIN)? {
            StoreEvent::Stored { number, .. } => {
                self.batches.1 = number;
                Input::Stored { number }
            }
            StoreEvent::VoteSaved { number, .. } => Input::VoteSaved { number },
            event => anyhow::bail!("the store fails: {event:?}"),
        };
        self.core.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Deliver(deliver) => {
                    self.tables = Some(deliver.tables.clone());
                    let outcome = SERVICES[0].invoke(&deliver);
                    self.core
                        .handle_input(self.now, Input::Outcome { delivery: deliver.id, outcome });
                }
                Output::Store(batch) => {
                    self.batches.0 = batch.number;
                    self.store.handle().write(0, batch).map_err(anyhow::Error::msg)?;
                }
                Output::SaveVote { number, state } => {
                    self.store.handle().save_vote(0, number, state).map_err(anyhow::Error::msg)?;
                }
                Output::Datagram { flow, bytes } => self.sent.push((flow.remote, bytes)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn core(now: Timestamp, restored: Restored, phones: u64) -> Result<Core> {
    let name: NodeName = "alone".parse().map_err(|_| anyhow::anyhow!("a name"))?;
    let me = restored.next_run(&name, now);
    let key = Key::from_file_bytes(&[b'k'; 32])?;
    let sip = SipRa::new(SipRaConfig {
        advertise: local().into(),
        key: key.derive("sip"),
        seed: 1,
        cohort: me.cohort(),
        timers: TimerConfig::default(),
        calls: CallLimits::default(),
    });
    let config = CoreConfig {
        me,
        key,
        peers: Vec::new(),
        behind_balancer: false,
        balancers: Balancers::default(),
        heartbeat_ms: 1_000,
        missed: 6,
        cold_start_ms: 0,
        unclean: Unclean::Refuse,
        limits: Limits::default(),
    };
    let adaptors = Adaptors::first("sip", Box::new(sip));
    Ok(Core::new(now, config, &SERVICES, adaptors, accounts(phones)?, restored))
}

/// As `[[account]]` of a property file would make them.
fn accounts(phones: u64) -> Result<Tables> {
    let mut tables = Tables::default();
    for number in 0..phones {
        let user = user(number);
        let account = Account::with_password(&user, DOMAIN, &user);
        tables.put(ACCOUNTS, &Account::key(&user, DOMAIN), encode(&account)?);
    }
    Ok(tables)
}

fn user(number: u64) -> String {
    format!("phone{number:07}")
}

fn phone(number: u64, start: u64) -> PhoneConfig {
    let user = user(number);
    let [_, a, b, c] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    PhoneConfig {
        password: Some(user.clone()),
        user,
        domain: DOMAIN.to_owned(),
        address: SocketAddr::from((Ipv4Addr::new(10, a, b, c), 5060)),
        proxy: local(),
        register_expires_s: 3_600,
        ring_ms: 0,
        answer: AnswerPolicy::Answer,
        seed: number + (start << 40),
        timers: TimerConfig::default(),
        rtp: None,
    }
}

fn local() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 5060))
}

/// What call control does for each call: find the row, read it, sort its contacts.
fn look_up(tables: &Tables, phones: u64, now: Timestamp) -> Result<u64> {
    let mut random = Random::of(1, "look-ups");
    let started = Instant::now();
    for _ in 0..LOOK_UPS {
        let key = format!("sip:{}@{DOMAIN}", user(random.between(0, phones - 1)));
        let row = tables.get(REGISTRATIONS, &key).context("a registration was lost")?;
        let row: Registrations = decode(row)?;
        ensure!(row.live(now).len() == 1, "a phone has one contact");
    }
    Ok(rate(LOOK_UPS, started.elapsed()))
}

fn rate(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64()) as u64
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Proportional set size of this process.
fn memory_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no Pss")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
