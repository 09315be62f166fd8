//! A store that takes nothing any more: calls go on, and their bills are somewhere.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

fn assert_kept(seed: u64, faults: Vec<(When, Fault)>) -> Vec<String> {
    let report = play_plan(Plan { faults, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
    report.lines
}

#[test]
fn in_a_pair_the_other_node_has_everything() {
    for seed in 0..24 {
        for node in 0..2 {
            assert_kept(seed, vec![(When::Step(seed * 25), Fault::StoreFails { node })]);
        }
    }
}

#[test]
fn a_joiner_gets_calls_and_bills_from_a_member_without_a_store() {
    let mut told = 0;
    for seed in 0..24 {
        let node = usize::from(seed % 2 == 1);
        let other = Process::Node(1 - node);
        let kill = Fault::Kill { process: other, restart_ms: Some(100 + seed * 25) };
        let fails = (When::Step(seed * 25), Fault::StoreFails { node });
        let lines = assert_kept(seed, vec![fails, (When::Step(seed * 12), kill)]);
        told += lines.iter().filter(|line| line.contains("JoinerSynced")).count();
    }
    assert!(told > 24, "the joiner became a member: {told}");
}
