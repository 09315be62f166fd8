//! Calls that a service makes, with an answer, without one, busy, given up: each ends once and as
//! it was planned, whichever node dies, and whether the service is in a call's cell or one of the
//! cluster. Each step is killed at by `resilee-sim wake-ups`; here some are.

use resilee_sim::{Fault, Plan, Process, Report, Waking, When, Woken, play_plan};

/// Of so many steps one is killed at.
const EVERY: usize = 53;

fn play(waking: Waking, faults: Vec<(When, Fault)>) -> Report {
    play_as_planned(waking, Plan::waking(waking, faults))
}

fn play_as_planned(waking: Waking, plan: Plan) -> Report {
    let report = play_plan(plan, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "{waking:?}, {:?}: {violation:?}", report.plan.faults);
    report
}

fn kill(node: usize, restart_ms: Option<u64>) -> Fault {
    Fault::Kill { process: Process::Node(node), restart_ms }
}

/// Kills at some steps of a call, other ones for each.
fn at_some_steps(waking: Waking, faults: impl Fn(u64) -> Vec<(When, Fault)>) {
    let steps = play(waking, Vec::new()).steps_of_calls;
    let offset = waking.woken as usize * 5 + usize::from(waking.in_cluster);
    for step in (0..=steps).skip(offset).step_by(EVERY) {
        play(waking, faults(step));
    }
}

#[test]
fn a_call_of_a_service_outlives_either_node() {
    for waking in Waking::all() {
        for node in [0, 1] {
            at_some_steps(waking, |step| vec![(When::Step(step), kill(node, None))]);
        }
    }
}

/// The second node is killed when the first one is back, and has the call by its snapshot.
#[test]
fn a_call_of_a_service_outlives_both_nodes_one_after_the_other() {
    for woken in [Woken::HangsUp, Woken::IsHungUp, Woken::IsGivenUp] {
        let waking = Waking { woken, in_cluster: woken == Woken::IsGivenUp };
        at_some_steps(waking, |step| {
            vec![(When::Step(step), kill(0, Some(50))), (When::Pair(step % 50), kill(1, None))]
        });
    }
}

/// Nobody is rung again for it, and the service hears of it.
#[test]
fn a_call_of_a_service_that_rings_when_both_nodes_die_is_given_up() {
    let mut given_up = 0;
    for woken in [Woken::HangsUp, Woken::IsGivenUp, Woken::IsOff] {
        let waking = Waking { woken, in_cluster: false };
        let steps = play(waking, Vec::new()).steps_of_calls;
        for step in (0..=steps).step_by(EVERY * 3) {
            let both = Fault::KillBoth { first: 0, apart_ms: step % 7, restart_ms: [50, 90] };
            let report = play(waking, vec![(When::Step(step), both)]);
            given_up += usize::from(report.lines.iter().any(|line| line.contains("CANCEL")));
        }
    }
    assert!(given_up > 3, "{given_up}");
}

#[test]
fn a_phone_over_tcp_is_called_by_a_service() {
    for waking in Waking::all() {
        let kills = [None, Some(0), Some(1)].map(|node| node.map(|node| kill(node, None)));
        for faults in kills.map(|fault| fault.map(|fault| (When::Step(180), fault))) {
            let plan = Plan::waking(waking, faults.into_iter().collect());
            play_as_planned(waking, Plan { over_tcp: 0b11, ..plan });
        }
    }
}
