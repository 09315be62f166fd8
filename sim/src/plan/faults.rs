//! What goes wrong in the plan of a seed, and when.

use super::{Cut, Fault, Process, STEPS_OF_A_CALL, When};
use resilee_test_kit::Random;

/// So long the only node that lives stands still at most: a cold start is not what is looked for.
const PAUSE_OF_LAST_MS_MAX: u64 = 2_000;

/// What goes wrong, by chance.
pub(super) fn faults(random: &mut Random) -> Vec<(When, Fault)> {
    let node = usize::from(random.chance(400));
    let at = When::Step(random.between(0, STEPS_OF_A_CALL));
    let restart_ms = random.chance(600).then(|| random.between(5, 3_000));
    let soon = Some(random.between(1, 200));
    let for_ms = random.between(1, 3_000);
    let after = random.between(0, 300);
    let kill = |node, restart_ms| Fault::Kill { process: Process::Node(node), restart_ms };
    let back = Some(random.between(1, 500));
    let balancer = Fault::Kill { process: Process::Balancer(0), restart_ms: back };
    let storm = Fault::HandOverStorm {
        every_ms: [20, 100, 500][random.between(0, 2) as usize],
        times: random.between(1, 12),
    };
    let later = When::Step(random.between(0, STEPS_OF_A_CALL));
    let both = Fault::KillBoth {
        first: node,
        apart_ms: [0, random.between(0, 30), random.between(0, 600)][random.between(0, 2) as usize],
        restart_ms: [random.between(1, 600), random.between(1, 600)],
    };
    match random.between(0, 43) {
        0..=1 => vec![],
        2..=9 => vec![(at, kill(node, restart_ms))],
        10..=11 => vec![(at, balancer)],
        12..=13 => vec![(at, Fault::Drain { node, restart_ms })],
        14..=16 => vec![(at, Fault::Pause { process: Process::Node(node), for_ms })],
        17..=21 => vec![(at, Fault::Cut { what: cut(random, node), for_ms })],
        22 => vec![(at, Fault::Reset)],
        23 => vec![(at, kill(node, soon)), (When::Joining(after / 4), Fault::Reset)],
        24 => {
            let cut = Fault::Cut { what: cut(random, node), for_ms: for_ms / 2 };
            vec![(at, kill(node, soon)), (When::Joining(after / 4), cut)]
        }
        25 => {
            let pause = Fault::Pause { process: Process::Node(node), for_ms };
            vec![(at, pause), (When::Step(after / 4), balancer)]
        }
        30..=31 => vec![(at, storm)],
        32 => vec![(at, storm), (later, kill(node, None))],
        33..=34 => vec![(at, Fault::StoreFails { node })],
        35 => vec![(at, Fault::StoreFails { node }), (later, kill(1 - node, soon))],
        36 => vec![(at, Fault::BillingFails { for_ms })],
        37 => vec![(at, Fault::BillingFails { for_ms }), (When::Step(after), kill(node, None))],
        38..=40 => vec![(at, both)],
        41 => vec![(at, Fault::LoseStore { node, restart_ms: for_ms })],
        // What the first got while it joined is then all there is.
        _ => vec![(at, kill(node, soon)), (When::Pair(after), kill(1 - node, None))],
    }
}

/// What goes wrong at a chosen moment, or with clocks, instead of the usual; in a third of all
/// seeds. They have numbers of their own: a new one leaves the plans of other seeds as they are.
pub(super) fn aimed_faults(seed: u64) -> Option<Vec<(When, Fault)>> {
    let mut random = Random::of(seed, "aimed faults");
    let node = usize::from(random.chance(300));
    let at = When::Step(random.between(0, STEPS_OF_A_CALL));
    let few = random.between(0, 100);
    let soon = random.between(1, 200);
    let for_ms = random.between(1, 3_000);
    let restart_ms = random.chance(600).then(|| random.between(5, 2_000));
    let delivering = When::Delivering { node, number: random.between(0, 30) };
    let voting = When::Voting(random.between(0, 6));
    let kill = |process, restart_ms| Fault::Kill { process, restart_ms };
    let (one, other) = (Process::Node(node), Process::Node(1 - node));
    let restart = kill(one, Some(soon));
    let pause = |process, for_ms| Fault::Pause { process, for_ms };
    let by_ms = [-7_200_000, -20_000, -1_000, -300, 60, 400, 10_000, 3_600_000];
    let by_ms = by_ms[random.between(0, 7) as usize];
    let by_node = if node == 0 { [by_ms, 0] } else { [0, by_ms] };
    let back = -(random.between(100, 60_000) as i64);
    let faults = match random.between(0, 59) {
        0..=2 => vec![(delivering, kill(one, restart_ms))],
        3 => vec![(delivering, pause(one, for_ms))],
        4 => vec![(delivering, kill(Process::Balancer(0), Some(soon)))],
        5 => vec![(at, pause(Process::Balancer(0), for_ms))],
        6 => vec![(at, restart), (voting, kill(Process::Balancer(0), Some(soon)))],
        // Longer, and a lossy network, and the phones would give up.
        7 => vec![(at, restart), (voting, pause(Process::Balancer(0), for_ms.min(1_000)))],
        8 => vec![(at, restart), (voting, pause(other, for_ms.min(PAUSE_OF_LAST_MS_MAX)))],
        9 => vec![(at, restart), (voting, kill(one, Some(few + 1)))],
        10 => {
            let cut = Fault::Cut { what: cut(&mut random, node), for_ms };
            vec![(at, cut), (voting, kill(Process::Balancer(0), Some(soon)))]
        }
        11 => {
            let drain = Fault::Drain { node, restart_ms };
            vec![(at, drain), (voting, pause(other, for_ms.min(PAUSE_OF_LAST_MS_MAX)))]
        }
        12 => vec![(at, pause(one, for_ms)), (voting, kill(Process::Balancer(0), Some(soon)))],
        13 => vec![(at, Fault::SetClocks { by_ms: by_node })],
        14..=15 => {
            let set = Fault::SetClocks { by_ms: by_node };
            vec![(at, set), (When::Step(few), kill(one, restart_ms))]
        }
        16 => {
            let set = Fault::SetClocks { by_ms: by_node };
            vec![(at, restart), (When::Joining(few / 4), set), (When::Step(few / 2), restart)]
        }
        17..=18 => {
            // Both are behind the last stored time when they start.
            let set = Fault::SetClocks { by_ms: [back, back - soon as i64] };
            let restart_ms = [soon, few + 1];
            let both = Fault::KillBoth { first: node, apart_ms: few / 2, restart_ms };
            vec![(at, set), (When::Step(few), both)]
        }
        19 => {
            vec![(at, restart), (When::Joining(few / 2), pause(Process::Balancer(0), for_ms / 4))]
        }
        _ => return None,
    };
    Some(faults)
}

/// What goes wrong where there are two balancers; nothing: what goes wrong anyway.
pub(super) fn faults_of_two(random: &mut Random) -> Vec<(When, Fault)> {
    let at = When::Step(random.between(0, STEPS_OF_A_CALL));
    let soon = When::Step(random.between(0, 150));
    let voting = When::Voting(random.between(0, 8));
    let for_ms = random.between(1, 3_000);
    let restart_ms = random.chance(600).then(|| random.between(1, 3_000));
    let node = usize::from(random.chance(500));
    let (first, second) = (Process::Balancer(0), Process::Balancer(1));
    let kill = |process, restart_ms| Fault::Kill { process, restart_ms };
    let back = |random: &mut Random| Some(random.between(1, 1_500));
    let cable = |balancer| Fault::Cut { what: Cut::Cable { balancer }, for_ms };
    match random.between(0, 19) {
        0..=2 => vec![(at, kill(first, restart_ms))],
        3 => vec![(at, kill(second, restart_ms))],
        4..=5 => vec![(at, cable(0))],
        6 => vec![(at, cable(1))],
        // It believes that it serves, until it looks at the time.
        7..=8 => vec![(at, Fault::Pause { process: first, for_ms })],
        9 => {
            let deaf = |what| Fault::Cut { what, for_ms };
            vec![(at, deaf(Cut::FromBalancer { node })), (soon, deaf(Cut::ToBalancer { node }))]
        }
        10 => {
            let one = Fault::Cut { what: Cut::Balancer { node }, for_ms };
            let other = Fault::Cut { what: Cut::Balancer { node: 1 - node }, for_ms };
            vec![(at, one), (soon, other)]
        }
        // The seat goes there and back.
        11..=12 => {
            let there = kill(first, back(random));
            vec![(at, there), (When::Voting(8), kill(second, back(random)))]
        }
        13 => vec![(at, kill(first, back(random))), (voting, kill(second, back(random)))],
        14 => {
            let flaps = |random: &mut Random| kill(Process::Node(node), back(random));
            let three = [flaps(random), flaps(random), flaps(random)];
            let joining = When::Joining(random.between(0, 60));
            vec![(at, three[0]), (joining, three[1]), (joining, three[2])]
        }
        15 => vec![
            (at, kill(first, restart_ms)),
            (voting, Fault::Pause { process: second, for_ms: for_ms / 3 }),
        ],
        // Each node may ask for a view without the other then: those wait for who may have voted.
        16 => vec![(at, kill(first, back(random))), (soon, Fault::Reset)],
        17..=18 => {
            let refuse = |balancer, for_ms| Fault::Refuse { balancer, for_ms };
            let for_ms = [for_ms / 2, for_ms, 6_000][random.between(0, 2) as usize];
            match random.between(0, 3) {
                // Longer, and the phones would give up.
                0 => {
                    let for_ms = for_ms.min(2_000);
                    vec![(at, refuse(0, for_ms)), (soon, refuse(1, for_ms))]
                }
                1 => vec![(at, refuse(0, for_ms)), (When::Voting(4), kill(first, restart_ms))],
                _ => vec![(at, refuse(0, for_ms))],
            }
        }
        _ => vec![],
    }
}

fn cut(random: &mut Random, node: usize) -> Cut {
    match random.between(0, 7) {
        0..=1 => Cut::Nodes,
        2 => Cut::NodesOneWay { to: node },
        3..=4 => Cut::Frames { to: node },
        5 => Cut::Balancer { node },
        6 => Cut::FromBalancer { node },
        _ => Cut::ToBalancer { node },
    }
}
