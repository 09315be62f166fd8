//! Planned hand-overs while calls are made: nothing is lost, whatever the network does, and
//! whoever dies meanwhile.

use resilee_sim::{Fault, Plan, Report, play_plan};

/// The plan of a seed with another fault.
fn play(seed: u64, fault: Fault) -> Report {
    play_plan(Plan { fault, ..Plan::of(seed) }, true)
}

fn hand_overs(report: &Report) -> usize {
    report.lines.iter().filter(|line| line.contains("HandedOver")).count()
}

fn assert_kept(report: &Report) {
    let (seed, violation) = (report.seed, &report.violation);
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.fault);
}

#[test]
fn cohorts_change_their_owner_every_500_ms_while_calls_are_made() {
    for seed in 0..16 {
        let fault = Fault::HandOverStorm { at_step: 0, every_ms: 500, times: 10, kill: None };
        let report = play(seed, fault);
        assert_kept(&report);
        assert!(hand_overs(&report) >= 8, "seed {seed}: {}", hand_overs(&report));
    }
}

#[test]
fn cohorts_change_their_owner_all_the_time() {
    for seed in 0..16 {
        let fault = Fault::HandOverStorm { at_step: 10, every_ms: 15, times: 80, kill: None };
        let report = play(seed, fault);
        assert_kept(&report);
        assert!(hand_overs(&report) >= 3, "seed {seed}: {}", hand_overs(&report));
    }
}

#[test]
fn a_node_dies_at_any_step_of_a_hand_over() {
    for step in (0..80).step_by(3) {
        for node in 0..2 {
            let kill = Some((node, step));
            let fault = Fault::HandOverStorm { at_step: 40, every_ms: 500, times: 1, kill };
            assert_kept(&play(step, fault));
        }
    }
}
