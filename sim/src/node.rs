//! One node of a simulated cluster: the core with its services and adaptor, and its disk. It dies
//! and starts again; the disk stays.

use crate::bell::Bell;
use crate::family::Family;
use crate::host::{Host, TALK_MS};
use crate::local_clock::LocalClock;
use crate::village::{Village, Villager};
use crate::waker::{PATIENCE, Patience, Waker};
use crate::witness::Witness;
use resilee_call_billing::{CallBilling, TARIFFS, Tariff};
use resilee_call_control::{CallControl, OPEN_CALLS, POLICY};
use resilee_core::{Adaptors, Core, CoreConfig, Input, Limits, Peer};
use resilee_membership::{Balancers, Key, NodeName, Planted, RunId, Unclean};
use resilee_registrar::Registrar;
use resilee_sbb::{Deliver, LinkedSbb, Outcome, Tables, Timestamp, encode};
use resilee_sip_api::{ACCOUNTS, Account};
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{CallLimits, SipRa, SipRaConfig};
use resilee_test_slee::Disk;
use std::net::SocketAddr;
use std::time::Duration;

/// Domain of all phones.
pub const DOMAIN: &str = "example.test";
/// Password of all phones.
pub const PASSWORD: &str = "secret";

/// Services of every node.
pub const SERVICES: [LinkedSbb; 9] = [
    LinkedSbb::of::<CallControl>(),
    LinkedSbb::of::<CallBilling>(),
    LinkedSbb::of::<Registrar>(),
    LinkedSbb::of::<Witness>(),
    LinkedSbb::of::<Family>(),
    LinkedSbb::of::<Villager>(),
    LinkedSbb::of::<Village>(),
    LinkedSbb::of::<Host>(),
    LinkedSbb::of::<Waker>(),
];

/// Another one, where an operator has orders.
const BELL: LinkedSbb = LinkedSbb::of::<Bell>();

/// SIP timers of the simulated world: a fifth of the real ones, so that a story is short.
pub fn timers() -> TimerConfig {
    TimerConfig { t1_ms: 100, t2_ms: 800, t4_ms: 1_000, ..TimerConfig::default() }
}

/// Calls are asked for soon, so that questions meet all that goes wrong.
pub const CALLS: CallLimits = CallLimits {
    ask_after: Some(Duration::from_millis(700)),
    session_expires_s: Some(90),
    longest: Some(Duration::from_secs(120)),
    longest_ringing: Some(Duration::from_secs(120)),
};

/// A node, alive or dead.
pub struct Node {
    pub name: NodeName,
    /// Where the balancer sends to.
    pub sip: SocketAddr,
    /// Where the other node sends heartbeats to.
    pub cluster: SocketAddr,
    pub disk: Disk,
    /// Its machine's clock; all that its core is told is told by it.
    pub clock: LocalClock,
    /// Its run, or the last one.
    pub run: Option<RunId>,
    /// `None` while it is dead.
    pub core: Option<Core>,
    /// What came while it stood still; `None`: it runs.
    pub paused: Option<Vec<Input>>,
    /// The moment of the world at which the core wants to be woken.
    due: Option<Timestamp>,
    /// True if its core was told something since [`Node::is_changed`] was last asked.
    told: bool,
    /// Counts its lives: what was on its way to an earlier one is lost.
    pub life: u64,
}

/// What all nodes of a cluster share.
pub struct Cluster {
    pub key: Key,
    pub seed: u64,
    /// The balancer's address for phones.
    pub advertise: SocketAddr,
    /// The names of two balancers; none of one.
    pub balancers: Balancers,
    pub users: Vec<String>,
    /// When calls are asked for and ended that nobody ends.
    pub calls: CallLimits,
    /// Anybody may call.
    pub open_calls: bool,
    /// A service ends calls so long after the answer.
    pub host_talk_ms: Option<u64>,
    /// When the service hangs up that makes calls.
    pub patience: Option<Patience>,
    /// Of each node.
    pub limits: Limits,
    /// There is a bell.
    pub has_bell: bool,
    /// What the nodes do wrong on purpose.
    #[cfg_attr(
        not(feature = "planted-faults"),
        expect(dead_code, reason = "nothing can be planted without the feature")
    )]
    pub planted: Planted,
}

impl Node {
    /// A node that was never started.
    pub fn new(name: &str, sip: SocketAddr, cluster: SocketAddr, clock: LocalClock) -> Self {
        let name = name.parse().expect("a node name");
        let disk = Disk::default();
        let (run, core, paused, due) = (None, None, None, None);
        Node { name, sip, cluster, disk, clock, run, core, paused, due, told: false, life: 0 }
    }

    /// Starts a new run at a moment of the world.
    pub fn start(&mut self, now: Timestamp, cluster: &Cluster, peer: Peer) {
        self.life += 1;
        self.clock.begin_run();
        let now = self.clock.at(now);
        let restored = self.disk.restore();
        let me = restored.next_run(&self.name, now);
        self.run = Some(me.clone());
        #[cfg_attr(
            not(feature = "planted-faults"),
            allow(unused_mut, reason = "what is planted is planted into it")
        )]
        let mut adaptor = SipRa::new(SipRaConfig {
            advertise: cluster.advertise.into(),
            key: cluster.key.derive("sip"),
            seed: cluster.seed ^ self.life,
            cohort: me.cohort(),
            timers: timers(),
            calls: cluster.calls,
        });
        #[cfg(feature = "planted-faults")]
        adaptor.plant(cluster.planted);
        let config = CoreConfig {
            me,
            key: cluster.key.clone(),
            peers: vec![peer],
            behind_balancer: true,
            balancers: cluster.balancers.clone(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
            limits: cluster.limits,
        };
        let tables = configured_tables(cluster);
        let adaptors = Adaptors::first("sip", Box::new(adaptor));
        let bell = cluster.has_bell.then_some(BELL);
        let services: Vec<_> = SERVICES.into_iter().chain(bell).collect();
        let mut core = Core::new(now, config, &services, adaptors, tables, restored);
        core.watch();
        #[cfg(feature = "planted-faults")]
        core.plant(cluster.planted);
        self.core = Some(core);
    }

    /// The moment of the world at which the core wants to be woken; none while it stands still.
    pub fn timeout(&self) -> Option<Timestamp> {
        self.due.filter(|_| self.core.is_some() && self.paused.is_none())
    }

    /// To be called whenever the core was told something.
    pub fn note_timeout(&mut self) {
        let due = self.core.as_ref().and_then(Core::poll_timeout);
        self.due = due.map(|local| self.clock.world(local));
        self.told = true;
    }

    /// True once after each time that the core was told something.
    pub fn is_changed(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.life += 1;
        self.core = None;
        self.paused = None;
        self.disk.lose_unflushed();
        self.disk.failed = false;
    }
}

/// Runs the handler of a delivery, as an actor would.
pub fn run(deliver: &Deliver) -> Outcome {
    service(deliver.service).invoke(deliver)
}

/// True if an event of this type may begin a root entity of a service.
pub fn is_initial(of: &str, event_type: &str) -> bool {
    service(of).descriptor().initial_events.contains(&event_type)
}

fn service(name: &str) -> LinkedSbb {
    let mut services = SERVICES.iter().chain([&BELL]);
    let service = services.find(|service| service.descriptor().name == name);
    *service.expect("the core only delivers to services it was given")
}

fn configured_tables(cluster: &Cluster) -> Tables {
    let mut tables = Tables::default();
    if let Some(talk_ms) = &cluster.host_talk_ms {
        tables.put(TALK_MS.0, TALK_MS.1, encode(talk_ms).expect("plain data"));
    }
    if let Some(patience) = &cluster.patience {
        tables.put(PATIENCE.0, PATIENCE.1, encode(patience).expect("plain data"));
    }
    if cluster.open_calls {
        tables.put(POLICY, OPEN_CALLS, encode(&true).expect("plain data"));
    }
    for user in &cluster.users {
        let account = Account::with_password(user, DOMAIN, PASSWORD);
        let row = encode(&account).expect("plain data");
        tables.put(ACCOUNTS, &Account::key(user, DOMAIN), row);
    }
    let tariff = tariff();
    tables.put(TARIFFS, &tariff.prefix, encode(&tariff).expect("plain data"));
    tables
}

/// The tariff of all calls.
pub fn tariff() -> Tariff {
    let money = |text: &str| text.parse().expect("an amount");
    Tariff {
        prefix: String::new(),
        currency: "EUR".to_owned(),
        connect_fee: money("0.05"),
        per_minute: money("0.12"),
        increment_s: 1,
    }
}
