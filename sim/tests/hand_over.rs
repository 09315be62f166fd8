//! Planned hand-overs while calls are made: nothing is lost, whatever the network does, and
//! whoever dies meanwhile.

use resilee_sim::{Fault, Plan, Process, Report, When, play_plan};

/// The plan of a seed with other faults.
fn play(seed: u64, faults: Vec<(When, Fault)>) -> Report {
    play_plan(Plan { faults, ..Plan::of(seed) }, true)
}

fn hand_overs(report: &Report) -> usize {
    report.lines.iter().filter(|line| line.contains("HandedOver")).count()
}

fn assert_kept(report: &Report) {
    let (seed, violation) = (report.seed, &report.violation);
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
}

#[test]
fn cohorts_change_their_owner_every_500_ms_while_calls_are_made() {
    for seed in 0..16 {
        let fault = Fault::HandOverStorm { every_ms: 500, times: 10 };
        let report = play(seed, vec![(When::Step(0), fault)]);
        assert_kept(&report);
        assert!(hand_overs(&report) >= 8, "seed {seed}: {}", hand_overs(&report));
    }
}

#[test]
fn cohorts_change_their_owner_all_the_time() {
    for seed in 0..16 {
        let fault = Fault::HandOverStorm { every_ms: 15, times: 80 };
        let report = play(seed, vec![(When::Step(10), fault)]);
        assert_kept(&report);
        assert!(hand_overs(&report) >= 3, "seed {seed}: {}", hand_overs(&report));
    }
}

#[test]
fn a_node_dies_at_any_step_of_a_hand_over() {
    for step in (0..80).step_by(3) {
        for node in 0..2 {
            let kill = Fault::Kill { process: Process::Node(node), restart_ms: None };
            let fault = Fault::HandOverStorm { every_ms: 500, times: 1 };
            let faults = vec![(When::Step(40), fault), (When::Step(step), kill)];
            assert_kept(&play(step, faults));
        }
    }
}
