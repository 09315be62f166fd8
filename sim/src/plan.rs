//! What a seed plans: how bad the network is, who talks how long, who hangs up, who dies when.

mod faults;
mod hangs;

use crate::orders::Order;
use crate::waking::{Waking, Woken};
use faults::{aimed_faults, faults, faults_of_two};
pub use hangs::Hang;
use resilee_balancer::Algorithm;
use resilee_membership::Planted;
use resilee_test_kit::{NetworkConfig, Random};

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// `server1` or `server2`, by index.
    Node(usize),
    /// The balancer, or of two the one with this index.
    Balancer(usize),
}

/// What is cut for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All between the nodes.
    Nodes,
    /// All from the other node to this one.
    NodesOneWay {
        /// Who hears nothing.
        to: usize,
    },
    /// The frames to this node; heartbeats get through (a stalled connection).
    Frames {
        /// Who gets none.
        to: usize,
    },
    /// All between a host and everybody else: the cable of this balancer's.
    Cable {
        /// Which balancer's.
        balancer: usize,
    },
    /// All between the first balancer and a node.
    Balancer {
        /// Which.
        node: usize,
    },
    /// All from the first balancer to a node.
    FromBalancer {
        /// Which.
        node: usize,
    },
    /// All from a node to the first balancer.
    ToBalancer {
        /// Which.
        node: usize,
    },
}

/// What goes wrong besides datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process dies (SIGKILL).
    Kill {
        /// Who dies.
        process: Process,
        /// When it starts again, in milliseconds after its death; `None`: never.
        restart_ms: Option<u64>,
    },
    /// Both nodes die, the second while the first is dead, and start again.
    KillBoth {
        /// The first.
        first: usize,
        /// From its death to the other's, in milliseconds.
        apart_ms: u64,
        /// From the first death to the starts, in milliseconds.
        restart_ms: [u64; 2],
    },
    /// A node dies, then the other one; the first goes on alone, by force, with its older store,
    /// and the other one comes back later.
    OldStore {
        /// Who dies first, and goes on.
        first: usize,
        /// From its death to the other's, to its start, to the other's, in milliseconds.
        at_ms: [u64; 3],
    },
    /// A node dies, and starts again with an empty store.
    LoseStore {
        /// Which.
        node: usize,
        /// When it starts again, in milliseconds.
        restart_ms: u64,
    },
    /// One node is told to hand over and end (SIGTERM).
    Drain {
        /// Which.
        node: usize,
        /// When it starts again, in milliseconds; `None`: never.
        restart_ms: Option<u64>,
    },
    /// A process stands still for a while and is woken (SIGSTOP, SIGCONT).
    Pause {
        /// Which.
        process: Process,
        /// For how long.
        for_ms: u64,
    },
    /// All cohorts change their owner again and again.
    HandOverStorm {
        /// Time from one change to the next.
        every_ms: u64,
        /// How often.
        times: u64,
    },
    /// A disk takes nothing any more, until its node starts again.
    StoreFails {
        /// Whose.
        node: usize,
    },
    /// Call billing rolls back everything for a while, on both nodes.
    BillingFails {
        /// For how long.
        for_ms: u64,
    },
    /// Something does not get through for a while.
    Cut {
        /// What.
        what: Cut,
        /// For how long.
        for_ms: u64,
    },
    /// The phones' address is refused at a balancer's host for a while: its cable on their side is
    /// pulled, and the one on the nodes' side is not.
    Refuse {
        /// Which balancer's.
        balancer: usize,
        /// For how long.
        for_ms: u64,
    },
    /// The connection between the nodes breaks, with what is under way on it, and comes back.
    Reset,
    /// Somebody sets the wall clocks of the nodes' machines.
    SetClocks {
        /// Forward or back, in milliseconds, by node.
        by_ms: [i64; 2],
    },
}

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many steps after the first call began, or after the fault before.
    Step(u64),
    /// So many steps after a node has asked to join.
    Joining(u64),
    /// So many steps after both nodes are members again.
    Pair(u64),
    /// In the step in which a node has a handler run, before its answer; the first one is 0.
    Delivering {
        /// Which node.
        node: usize,
        /// Which of its deliveries from now on.
        number: u64,
    },
    /// In the step in which the state of a voter is stored (a vote, or a view that it learned),
    /// before the voter knows and can answer; the first one is 0.
    Voting(u64),
}

/// How a call comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The caller hangs up.
    Caller,
    /// The callee hangs up.
    Callee,
    /// The caller gives up while it rings; if that comes too late, it hangs up.
    Cancel,
    /// A service ends it.
    Service,
}

/// Everything that is left to chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it came from.
    pub seed: u64,
    /// How bad the network is.
    pub network: NetworkConfig,
    /// What goes wrong besides, one after the other.
    pub faults: Vec<(When, Fault)>,
    /// Pairs of phones that call each other.
    pub pairs: usize,
    /// How long the callee rings, in milliseconds.
    pub ring_ms: u64,
    /// How long they talk, in milliseconds.
    pub talk_ms: u64,
    /// Who ends the call.
    pub ending: Ending,
    /// Slowest flush of a disk, in microseconds.
    pub flush_us_max: u64,
    /// There are two of them, of which one serves.
    pub two_balancers: bool,
    /// How the balancer spreads new calls.
    pub algorithm: Algorithm,
    /// The phones that would be connected over TCP, a bit each; see [`Plan::is_over_tcp`].
    pub over_tcp: u8,
    /// What the nodes do wrong on purpose.
    pub planted: Planted,
    /// The call flow that is played instead of the pairs' calls.
    pub flow: Option<&'static str>,
    /// A service would make calls instead of the pairs; see [`Plan::wakes`].
    pub waking: Option<Waking>,
    /// What an operator would order meanwhile; see [`Plan::orders`].
    pub ordered: Vec<Order>,
    /// Handlers that would not return; see [`Plan::hangs`].
    pub hanging: Vec<Hang>,
}

/// A call of the story takes fewer steps than this; a kill is planned within them.
const STEPS_OF_A_CALL: u64 = 700;
/// Of calls that the caller would end.
const SERVICE_ENDS_PERMILLE: u32 = 200;
/// Seeds with two balancers.
const TWO_BALANCERS_PERMILLE: u32 = 120;
/// Seeds with phones over TCP, of those in which the balancer lives.
const TCP_PERMILLE: u32 = 300;
/// Seeds in which a service makes the calls, of those that it can be told of.
const WAKING_PERMILLE: u32 = 40;
/// Seeds in which an operator has orders, of those in which what he is told must hold.
const ORDERS_PERMILLE: u32 = 60;
/// Seeds in which handlers hang, of those in which they are told of.
const HANGS_PERMILLE: u32 = 60;
/// Seeds in which an older store goes on.
const OLD_STORE_PERMILLE: u32 = 25;

impl Plan {
    /// One call in a perfect network: the plain story, for a kill at each of its steps.
    pub fn plain(ending: Ending, faults: Vec<(When, Fault)>) -> Plan {
        Plan {
            seed: 0,
            network: NetworkConfig::default(),
            faults,
            pairs: 1,
            ring_ms: 150,
            talk_ms: 300,
            ending,
            flush_us_max: 2_000,
            two_balancers: false,
            algorithm: Algorithm::FirstAlive,
            over_tcp: 0,
            planted: Planted::NONE,
            flow: None,
            waking: None,
            ordered: Vec::new(),
            hanging: Vec::new(),
        }
    }

    /// A call of a service in a perfect network, for a kill at each of its steps.
    pub fn waking(waking: Waking, faults: Vec<(When, Fault)>) -> Plan {
        Plan { waking: Some(waking), ..Plan::plain(Ending::Callee, faults) }
    }

    /// A call flow in a perfect network, for a kill at each of its steps.
    pub fn flow(name: &'static str, faults: Vec<(When, Fault)>) -> Plan {
        Plan { pairs: 0, flow: Some(name), ..Plan::plain(Ending::Caller, faults) }
    }

    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut random = Random::of(seed, "plan");
        let bad = random.between(0, 3);
        let network = NetworkConfig {
            loss_permille: [0, 0, 10, 50][bad as usize],
            duplicate_permille: [0, 20, 20, 50][bad as usize],
            reorder_permille: [0, 50, 50, 100][bad as usize],
            delay_us: [100..=100, 50..=2_000, 50..=5_000, 100..=20_000][bad as usize].clone(),
        };
        let usual = faults(&mut random);
        let faults = aimed_faults(seed).unwrap_or(usual);
        let ending = match random.between(0, 8) {
            0 => Ending::Cancel,
            // A draw of its own: what is drawn behind it stays as it was.
            1..=4 if Random::of(seed, "host").chance(SERVICE_ENDS_PERMILLE) => Ending::Service,
            1..=4 => Ending::Caller,
            _ => Ending::Callee,
        };
        let mut plan = Plan {
            seed,
            network,
            faults,
            pairs: random.between(1, 3) as usize,
            ring_ms: random.between(20, 800),
            talk_ms: random.between(0, 2_500),
            ending,
            flush_us_max: random.between(200, 20_000),
            two_balancers: false,
            algorithm: match random.between(0, 3) {
                0 => Algorithm::CallId,
                1 => Algorithm::RoundRobin,
                _ => Algorithm::FirstAlive,
            },
            over_tcp: 0,
            planted: Planted::NONE,
            flow: None,
            waking: None,
            ordered: Vec::new(),
            hanging: Vec::new(),
        };
        // Drawn apart, so that all other seeds stay as they are.
        let mut random = Random::of(seed, "old store");
        if random.chance(OLD_STORE_PERMILLE) {
            plan.go_on_with_old_store(&mut random);
        }
        let mut random = Random::of(seed, "tcp");
        if random.chance(TCP_PERMILLE) {
            plan.over_tcp = random.between(1, 63) as u8;
        }
        let mut random = Random::of(seed, "waking");
        if random.chance(WAKING_PERMILLE) {
            let woken = Woken::ALL[random.between(0, Woken::ALL.len() as u64 - 1) as usize];
            plan.waking = Some(Waking { woken, in_cluster: random.chance(500) });
        }
        let mut random = Random::of(seed, "orders");
        if random.chance(ORDERS_PERMILLE) {
            plan.ordered = Order::some(&mut random);
        }
        let mut random = Random::of(seed, "hangs");
        if random.chance(HANGS_PERMILLE) {
            plan.hanging = Hang::some(&mut random);
        }
        let mut random = Random::of(seed, "two balancers");
        if random.chance(TWO_BALANCERS_PERMILLE) {
            plan.stand_by(&mut random);
        }
        plan
    }

    /// The operator's orders. Where all that lives may die at once, or stores nothing any more,
    /// there are none: what was answered may be lost with it.
    pub fn orders(&self) -> &[Order] {
        let takes_all = |fault: &Fault| {
            matches!(
                fault,
                Fault::OldStore { .. }
                    | Fault::StoreFails { .. }
                    | Fault::KillBoth { .. }
                    | Fault::LoseStore { .. }
            )
        };
        let is_told = self.flow.is_none() && self.wakes().is_none();
        match is_told && !self.faults.iter().any(|(_, fault)| takes_all(fault)) {
            true => &self.ordered,
            false => &[],
        }
    }

    /// Handlers that do not return. In flows, and where a service makes the calls, all do: others
    /// than the checkers wait for them there.
    pub fn hangs(&self) -> &[Hang] {
        match self.flow.is_none() && self.wakes().is_none() {
            true => &self.hanging,
            false => &[],
        }
    }

    /// How a service makes calls instead of the pairs. Where a node goes on with an older store, or
    /// stores nothing any more, it makes none: their records may be at no node that lives.
    pub fn wakes(&self) -> Option<Waking> {
        let takes_store =
            |fault: &Fault| matches!(fault, Fault::OldStore { .. } | Fault::StoreFails { .. });
        self.waking.filter(|_| !self.faults.iter().any(|(_, fault)| takes_store(fault)))
    }

    /// Whether this phone, or any, is connected over TCP. With the balancer die the connections of
    /// phones, and what was on its way in them: no phone is where it is killed, or another serves.
    pub fn is_over_tcp(&self, phone: Option<usize>) -> bool {
        let wanted = phone.map_or(u8::MAX, |index| 1 << index);
        self.over_tcp & wanted != 0 && !self.kills_balancer() && !self.two_balancers
    }

    fn kills_balancer(&self) -> bool {
        self.faults
            .iter()
            .any(|(_, fault)| matches!(fault, Fault::Kill { process: Process::Balancer(_), .. }))
    }

    /// There are two balancers; in most plans something happens to them besides.
    pub fn stand_by(&mut self, random: &mut Random) {
        self.two_balancers = true;
        let faults = faults_of_two(random);
        if !faults.is_empty() {
            self.faults = faults;
        }
        // For two seconds nobody hears a phone: of what it repeats then, none may be lost.
        if self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Refuse { .. })) {
            self.network.loss_permille = 0;
        }
    }

    /// Both nodes die in the middle of calls, and the older store goes on.
    pub fn go_on_with_old_store(&mut self, random: &mut Random) {
        let first = random.between(0, 1) as usize;
        let other_dies = random.between(500, 3_000);
        let forced = other_dies + random.between(1, 1_500);
        let back = forced + random.between(2_000, 8_000);
        let fault = Fault::OldStore { first, at_ms: [other_dies, forced, back] };
        let step = random.between(0, STEPS_OF_A_CALL / 2);
        self.faults = vec![(When::Step(step), fault)];
        // Some end while nobody lives, most at the older store, some at the one that came back.
        self.talk_ms = random.between(2_000, 10_000);
        if matches!(self.ending, Ending::Cancel | Ending::Service) {
            self.ending = Ending::Caller;
        }
    }
}
