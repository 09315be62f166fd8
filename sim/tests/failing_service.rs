//! A billing service that rolls back for a while: calls go on, and are billed all the same.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

fn assert_billed(seed: u64, faults: Vec<(When, Fault)>) -> usize {
    let report = play_plan(Plan { faults, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
    let alarms = report.lines.iter().filter(|line| line.contains("AlarmRaised"));
    alarms.filter(|line| line.contains("tried again")).count()
}

#[test]
fn each_call_has_its_bill_when_billing_fails_at_any_time() {
    let mut alarms = 0;
    for seed in 0..32 {
        let fault = Fault::BillingFails { for_ms: 50 + seed * 90 };
        alarms += assert_billed(seed, vec![(When::Step(seed * 20), fault)]);
    }
    assert!(alarms > 15, "it did fail: {alarms}");
}

#[test]
fn the_survivor_tries_again_what_waited_at_the_dead_node() {
    for seed in 0..32 {
        let process = Process::Node(usize::from(seed % 3 == 0));
        let kill = (When::Step(seed * 12), Fault::Kill { process, restart_ms: None });
        let fails = (When::Step(seed % 7), Fault::BillingFails { for_ms: 3_000 });
        assert_billed(seed, vec![fails, kill]);
    }
}
