//! A billing service that rolls back for a while: calls go on, and are billed all the same.

use resilee_sim::{Fault, Plan, play_plan};

fn assert_billed(seed: u64, fault: Fault) -> usize {
    let report = play_plan(Plan { fault, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {fault:?}: {violation:?}");
    let alarms = report.lines.iter().filter(|line| line.contains("AlarmRaised"));
    alarms.filter(|line| line.contains("tried again")).count()
}

#[test]
fn each_call_has_its_bill_when_billing_fails_at_any_time() {
    let mut alarms = 0;
    for seed in 0..32 {
        let fault = Fault::BillingFails { at_step: seed * 20, for_ms: 50 + seed * 90, kill: None };
        alarms += assert_billed(seed, fault);
    }
    assert!(alarms > 15, "it did fail: {alarms}");
}

#[test]
fn the_survivor_tries_again_what_waited_at_the_dead_node() {
    for seed in 0..32 {
        let kill = Some(((seed % 3 == 0) as usize, seed * 12));
        let fault = Fault::BillingFails { at_step: seed % 7, for_ms: 3_000, kill };
        assert_billed(seed, fault);
    }
}
