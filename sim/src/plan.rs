//! What a seed plans: how bad the network is, who talks how long, who hangs up, who dies when.

use resilee_balancer::Algorithm;
use resilee_test_kit::{NetworkConfig, Random};

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// `server1` or `server2`, by index.
    Node(usize),
    /// The balancer.
    Balancer,
}

/// A sudden death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Who dies.
    pub process: Process,
    /// Steps after the call began.
    pub at_step: u64,
    /// When it starts again, in milliseconds after its death; `None`: never.
    pub restart_ms: Option<u64>,
}

/// What goes wrong besides datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// One process dies.
    Kill(Kill),
    /// One node dies and comes back; when it is a member again, the other one dies. What the
    /// first got while it joined is then all there is.
    KillInTurn {
        /// The first.
        node: usize,
        /// Steps after the call began.
        at_step: u64,
        /// When the first starts again, in milliseconds.
        restart_ms: u64,
        /// Steps from the first one's return to the second death.
        second_after: u64,
    },
    /// One node is told to hand over and end (SIGTERM).
    Drain(Kill),
    /// One node stands still for a while and is woken (SIGSTOP, SIGCONT).
    Pause {
        /// Which.
        node: usize,
        /// Steps after the call began.
        at_step: u64,
        /// For how long.
        for_ms: u64,
    },
    /// All cohorts change their owner again and again; then, perhaps, a node dies.
    HandOverStorm {
        /// Steps after the call began.
        at_step: u64,
        /// Time from one change to the next.
        every_ms: u64,
        /// How often.
        times: u64,
        /// Who dies, so many steps after the storm began.
        kill: Option<(usize, u64)>,
    },
    /// A disk takes nothing any more; later the other node dies, and comes back.
    StoreFails {
        /// Whose.
        node: usize,
        /// Steps after the call began.
        at_step: u64,
        /// When the other one dies, in steps from then, and when it starts again, in ms.
        other: Option<(u64, u64)>,
    },
    /// Call billing rolls back everything for a while; meanwhile a node may die.
    BillingFails {
        /// Steps after the call began.
        at_step: u64,
        /// For how long.
        for_ms: u64,
        /// Who dies, so many steps later.
        kill: Option<(usize, u64)>,
    },
    /// Nothing gets through between the nodes for a while; both reach the balancer.
    Cut {
        /// Steps after the call began.
        at_step: u64,
        /// For how long.
        for_ms: u64,
    },
}

impl Fault {
    /// Steps after the call began.
    pub fn at_step(&self) -> Option<u64> {
        match self {
            Fault::None => None,
            Fault::Kill(kill) | Fault::Drain(kill) => Some(kill.at_step),
            Fault::KillInTurn { at_step, .. }
            | Fault::Pause { at_step, .. }
            | Fault::BillingFails { at_step, .. }
            | Fault::StoreFails { at_step, .. }
            | Fault::HandOverStorm { at_step, .. }
            | Fault::Cut { at_step, .. } => Some(*at_step),
        }
    }
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
}

/// Everything that is left to chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it came from.
    pub seed: u64,
    /// How bad the network is.
    pub network: NetworkConfig,
    /// What goes wrong besides.
    pub fault: Fault,
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
    /// How the balancer spreads new calls.
    pub algorithm: Algorithm,
}

/// A call of the story takes fewer steps than this; a kill is planned within them.
const STEPS_OF_A_CALL: u64 = 700;

impl Plan {
    /// One call in a perfect network: the plain story, for a kill at each of its steps.
    pub fn plain(ending: Ending, fault: Fault) -> Plan {
        Plan {
            seed: 0,
            network: NetworkConfig::default(),
            fault,
            pairs: 1,
            ring_ms: 150,
            talk_ms: 300,
            ending,
            flush_us_max: 2_000,
            algorithm: Algorithm::FirstAlive,
        }
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
        let process = match random.between(0, 5) {
            0..=2 => Process::Node(0),
            3..=4 => Process::Node(1),
            _ => Process::Balancer,
        };
        let at_step = random.between(0, STEPS_OF_A_CALL);
        let restart_ms = match process {
            Process::Balancer => Some(random.between(1, 500)),
            Process::Node(_) => random.chance(600).then(|| random.between(5, 3_000)),
        };
        let kill = Kill { process, at_step, restart_ms };
        let for_ms = random.between(1, 3_000);
        let restart_soon = random.between(1, 200);
        let second_after = random.between(0, 300);
        let fault = match (random.between(0, 14), process) {
            (0, _) => Fault::None,
            (12.., Process::Node(node)) => {
                Fault::KillInTurn { node, at_step, restart_ms: restart_soon, second_after }
            }
            (1, Process::Node(_)) => Fault::Drain(kill),
            (2..=3, Process::Node(node)) => Fault::Pause { node, at_step, for_ms },
            (4..=5, _) => Fault::Cut { at_step, for_ms },
            _ => Fault::Kill(kill),
        };
        let ending = match random.between(0, 8) {
            0 => Ending::Cancel,
            1..=4 => Ending::Caller,
            _ => Ending::Callee,
        };
        Plan {
            seed,
            network,
            fault: storm(seed).unwrap_or(fault),
            pairs: random.between(1, 3) as usize,
            ring_ms: random.between(20, 800),
            talk_ms: random.between(0, 2_500),
            ending,
            flush_us_max: random.between(200, 20_000),
            algorithm: match random.between(0, 3) {
                0 => Algorithm::CallId,
                1 => Algorithm::RoundRobin,
                _ => Algorithm::FirstAlive,
            },
        }
    }
}

/// One seed in ten has a storm of hand-overs instead of its other fault.
fn storm(seed: u64) -> Option<Fault> {
    let mut random = Random::of(seed, "storm");
    random.chance(100).then(|| Fault::HandOverStorm {
        at_step: random.between(0, STEPS_OF_A_CALL),
        every_ms: [20, 100, 500][random.between(0, 2) as usize],
        times: random.between(1, 12),
        kill: random
            .chance(300)
            .then(|| (random.between(0, 1) as usize, random.between(0, STEPS_OF_A_CALL))),
    })
}
