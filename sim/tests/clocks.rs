//! Somebody sets the wall clock of a node's machine: durations do not care, also when a node
//! starts again, and its clock is behind what it stored.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

fn assert_kept(seed: u64, faults: Vec<(When, Fault)>) -> Vec<String> {
    let report = play_plan(Plan { faults, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
    report.lines
}

fn set(node: usize, by_ms: i64) -> Fault {
    let mut by = [0; 2];
    by[node] = by_ms;
    Fault::SetClocks { by_ms: by }
}

#[test]
fn a_wall_clock_that_is_set_moves_nothing_and_is_an_alarm() {
    for seed in 0..24 {
        for (by_ms, alarm) in [(-3_600_000, true), (-40, false), (40, false), (3_600_000, true)] {
            let fault = set(usize::from(seed % 2 == 0), by_ms);
            let lines = assert_kept(seed, vec![(When::Step(seed * 20), fault)]);
            let told = lines.iter().any(|line| line.contains("the wall clock jumped"));
            assert_eq!(told, alarm, "seed {seed}, by {by_ms} ms");
        }
    }
}

#[test]
fn a_node_comes_back_with_another_wall_clock() {
    for seed in 0..24 {
        let node = usize::from(seed % 2 == 0);
        let kill = Fault::Kill { process: Process::Node(node), restart_ms: Some(1 + seed * 20) };
        for by_ms in [-3_600_000, -2_000, 2_000, 3_600_000] {
            let fault = (When::Step(seed * 20), set(node, by_ms));
            let lines = assert_kept(seed, vec![fault, (When::Step(seed), kill)]);
            assert!(lines.iter().any(|line| line.contains("JoinerSynced")), "seed {seed}");
        }
    }
}

#[test]
fn a_cold_start_goes_on_from_what_is_stored_when_all_clocks_are_behind() {
    for seed in 0..24 {
        let fault = Fault::SetClocks { by_ms: [-60_000, -30_000] };
        let restart_ms = [1 + seed * 9, 200];
        let both = Fault::KillBoth { first: (seed % 2) as usize, apart_ms: seed / 3, restart_ms };
        assert_kept(seed, vec![(When::Step(seed * 20), fault), (When::Step(seed), both)]);
    }
}

#[test]
fn a_run_that_dies_before_it_is_in_any_view_is_followed_by_a_later_one() {
    let mut met = 0;
    for seed in 0..60 {
        let node = usize::from(seed % 2 == 0);
        let kill = Fault::Kill { process: Process::Node(node), restart_ms: Some(60 + seed) };
        let set = (When::Joining(seed % 8), set(node, -20_000));
        let faults = vec![(When::Step(seed * 9), kill), set, (When::Step(seed % 5), kill)];
        let lines = assert_kept(seed, faults);
        met += lines.iter().filter(|line| line.contains(" FAULT Kill")).count();
    }
    assert!(met > 100, "it died while it joined: {met}");
}
