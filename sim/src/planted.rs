//! Are the checkers any good? Each planted fault must be found, and its plan pass without it.
//!
//! A plan that a seed gives finds most faults at once. Some need a fault of their own at the right
//! moment: [`sharpened`] puts it there.

use crate::orders::{Order, Ordered};
use crate::plan::{Cut, Fault, Plan, Process, When};
use crate::{Report, play_plan};
use resilee_balancer::Algorithm;
use resilee_membership::{Planted, PlantedFault};
use resilee_test_kit::{NetworkConfig, Random};

/// Plans that may be played until a fault is found.
pub const RUNS_MAX: u64 = 1_500;

/// How a planted fault was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Plans played, the last of which found it.
    pub runs: u64,
    /// The rule that it broke.
    pub rule: String,
}

/// Plays plans with the fault until a rule is broken, and each of them without it.
///
/// # Errors
/// It was not found, or a plan breaks a rule without it.
pub fn find(fault: PlantedFault) -> Result<Found, String> {
    for seed in 0..RUNS_MAX {
        let mut plan = sharpened(fault, seed);
        if let Some(violation) = play_plan(plan.clone(), false).violation {
            return Err(format!("seed {seed}, nothing planted: {violation}: {plan:?}"));
        }
        plan.planted = Planted::new(fault);
        let outcome = std::panic::catch_unwind(|| play_plan(plan, false));
        let rule = match outcome {
            Ok(Report { violation: None, .. }) => continue,
            Ok(Report { violation: Some(violation), .. }) => violation.rule.to_owned(),
            Err(_) => "nothing panics".to_owned(),
        };
        return Ok(Found { runs: seed + 1, rule });
    }
    Err(format!("{fault:?} was not found in {RUNS_MAX} runs"))
}

/// The plan of a seed, with what it takes to show the fault.
pub fn sharpened(fault: PlantedFault, seed: u64) -> Plan {
    let mut random = Random::of(seed, "sharpened");
    let mut plan = Plan::of(seed);
    let node = usize::from(random.chance(500));
    let step = random.between(0, 500);
    let few = random.between(0, 60);
    let kill = |restart_ms| Fault::Kill { process: Process::Node(node), restart_ms };
    let balancer = Fault::Kill { process: Process::Balancer(0), restart_ms: Some(few + 1) };
    let cut = |what, for_ms| Fault::Cut { what, for_ms };
    use PlantedFault::*;
    plan.faults = match fault {
        StoreNoGateWhileVoting | LoseSnapshotTail | JoinSameStream => {
            plan.pairs = 3;
            plan.flush_us_max = 20_000;
            let stall = cut(Cut::Frames { to: node }, 250);
            let join = When::Joining(few);
            match fault {
                JoinSameStream => vec![(When::Step(step), kill(Some(few))), (join, stall)],
                _ => vec![(When::Step(step), kill(Some(few)))],
            }
        }
        ForgetOrphan | OrphanStays | DropStranded => {
            plan.network = NetworkConfig::default();
            plan.go_on_with_old_store(&mut random);
            plan.faults
        }
        ForwardWithoutLease => {
            plan.two_balancers = true;
            let first = Process::Balancer(0);
            vec![(When::Step(step), Fault::Pause { process: first, for_ms: 1_000 + step })]
        }
        LinkTakesTwice => vec![(When::Step(step), cut(Cut::Frames { to: node }, 600 + step))],
        LinkForgetsWindow => {
            // Much at once: what the window holds is what was not heard of when the link broke.
            plan.pairs = 3;
            plan.over_tcp = 0;
            vec![(When::Step(step), kill(Some(few))), (When::Joining(few / 2), Fault::Reset)]
        }
        DropOutbox => {
            // The other has its commits, and it does not know that. A call that rings so shortly
            // has its 180 and its 200 among them, of which an adopted transaction says the last.
            plan.ring_ms = 20;
            let stall = cut(Cut::Frames { to: node }, 250);
            vec![(When::Step(step), stall), (When::Step(few), kill(None))]
        }
        AnswerOrdersAtOnce => {
            // What it was told is on its way when its node dies.
            plan.waking = None;
            plan.talk_ms = 2_000;
            let ordered = if few < 30 { Ordered::Reset } else { Ordered::Clear };
            plan.ordered = Order::often(node, ordered, 20);
            plan.network.delay_us = 10_000..=20_000;
            vec![(When::Step(step), kill(None))]
        }
        ForgetPosts | HearTwice => {
            plan.pairs = 3;
            plan.talk_ms = 1_000;
            vec![(When::Step(step), kill(None))]
        }
        NoAdoption | ForgetCohort | StreamNotStopped | LoseSuspended | ForgetMissed => {
            vec![(When::Step(step), kill(None))]
        }
        TimerStays => {
            plan.talk_ms = 2_000;
            vec![(When::Step(step + 200), kill(None))]
        }
        LookUpAgain => {
            plan.ring_ms = 2_000;
            vec![(When::Step(step / 2), kill(None))]
        }
        ForgetRelay | OwnerByArrival => {
            plan.algorithm = Algorithm::RoundRobin;
            plan.pairs = 3;
            vec![(When::Step(step), balancer)]
        }
        FollowWallClock => vec![(When::Step(step), Fault::SetClocks { by_ms: [300, 0] })],
        ForgetStoredTime => {
            let set = Fault::SetClocks { by_ms: [-20_000, -30_000] };
            let restart_ms = [few + 1, 2 * few + 1];
            let both = Fault::KillBoth { first: node, apart_ms: few, restart_ms };
            vec![(When::Step(step), set), (When::Step(few), both)]
        }
        HearOutsiders | IgnoreVotedOut | VoteTwice | MajorityOfOne | TakeOldView => {
            // The news of a view takes long, so that both nodes act before they have it.
            plan.algorithm = Algorithm::RoundRobin;
            plan.pairs = 3;
            plan.flush_us_max = 20_000;
            plan.network.delay_us = 10_000..=20_000;
            vec![(When::Step(step), cut(Cut::Nodes, 300 + few * 2))]
        }
        _ => plan.faults,
    };
    plan
}
