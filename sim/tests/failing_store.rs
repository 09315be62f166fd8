//! A store that takes nothing any more: calls go on, and their bills are somewhere.

use resilee_sim::{Fault, Plan, play_plan};

fn assert_kept(seed: u64, fault: Fault) -> Vec<String> {
    let report = play_plan(Plan { fault, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {fault:?}: {violation:?}");
    report.lines
}

#[test]
fn in_a_pair_the_other_node_has_everything() {
    for seed in 0..24 {
        for node in 0..2 {
            assert_kept(seed, Fault::StoreFails { node, at_step: seed * 25, other: None });
        }
    }
}

#[test]
fn a_joiner_gets_calls_and_bills_from_a_member_without_a_store() {
    let mut told = 0;
    for seed in 0..24 {
        let node = (seed % 2) as usize;
        let other = Some((seed * 12, 100 + seed * 25));
        let lines = assert_kept(seed, Fault::StoreFails { node, at_step: seed * 25, other });
        told += lines.iter().filter(|line| line.contains("JoinerSynced")).count();
    }
    assert!(told > 24, "the joiner became a member: {told}");
}
