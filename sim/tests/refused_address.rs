//! The host of the balancer that serves has no cable on the phones' side, and all its heartbeats
//! come: the other balancer serves soon, if it can.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

/// Longer than a phone repeats an INVITE.
const LONG_MS: u64 = 8_000;

fn lines_of(seed: u64, faults: Vec<(When, Fault)>) -> Vec<String> {
    let plan = Plan { two_balancers: true, over_tcp: 0, waking: None, faults, ..Plan::of(seed) };
    let report = play_plan(plan, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
    report.lines
}

fn refuse(balancer: usize, for_ms: u64) -> Fault {
    Fault::Refuse { balancer, for_ms }
}

fn serves(lines: &[String], balancer: &str) -> usize {
    let said = format!("{balancer}: Serves(true)");
    lines.iter().filter(|line| line.contains(&said)).count()
}

#[test]
fn the_other_balancer_serves_as_long_as_it_can_and_no_call_is_lost() {
    for seed in 0..16 {
        let lines = lines_of(seed, vec![(When::Step(seed * 20), refuse(0, LONG_MS))]);
        assert_eq!(serves(&lines, "balancer2"), 1, "seed {seed}");
        assert_eq!(serves(&lines, "balancer1"), 1, "seed {seed}: it takes nothing back");
    }
}

/// Shorter than a cable has to be away before its host says that it is not fit.
const MOMENT_MS: u64 = 60;

#[test]
fn what_is_refused_for_a_moment_moves_nothing() {
    for seed in 0..8 {
        let lines = lines_of(seed, vec![(When::Step(seed * 20), refuse(0, MOMENT_MS))]);
        assert_eq!(serves(&lines, "balancer2"), 0, "seed {seed}");
    }
}

#[test]
fn the_seat_stays_where_it_is_while_the_other_host_has_no_cable_either() {
    for seed in 0..8 {
        let both =
            vec![(When::Step(seed * 20), refuse(1, 3_000)), (When::Step(0), refuse(0, 2_500))];
        let lines = lines_of(seed, both);
        assert_eq!(serves(&lines, "balancer2"), 0, "seed {seed}");
    }
}

#[test]
fn it_dies_while_its_address_is_refused() {
    for seed in 0..8 {
        let kill = Fault::Kill { process: Process::Balancer(0), restart_ms: Some(200) };
        let dies = (When::Step(100 + seed * 30), kill);
        let lines = lines_of(seed, vec![(When::Step(seed * 20), refuse(0, LONG_MS)), dies]);
        assert_eq!(serves(&lines, "balancer2"), 1, "seed {seed}");
    }
}
