//! A node dies while it joins, and joins again as another run.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

#[test]
fn a_new_run_takes_nothing_that_its_old_run_was_to_hear() {
    let mut met = 0;
    for seed in 0..120 {
        let process = Process::Node(usize::from(seed % 3 == 0));
        let kill = |restart_ms| Fault::Kill { process, restart_ms: Some(restart_ms) };
        let faults = vec![(When::Step(seed * 5), kill(60)), (When::Joining(seed % 20), kill(90))];
        let report = play_plan(Plan { faults, ..Plan::of(seed) }, true);
        let violation = &report.violation;
        assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
        met += report.lines.iter().filter(|line| line.contains(" FAULT Kill")).count();
    }
    assert!(met > 200, "it died while it joined: {met}");
}
