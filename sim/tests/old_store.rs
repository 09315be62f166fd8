//! Both nodes die, the one with the older store goes on by force, the other one comes back later:
//! each call that was up has its bill, and those that ended meanwhile end then.

use resilee_sim::{Plan, play_plan};
use resilee_test_kit::Random;

#[test]
fn each_call_that_was_up_has_its_bill_when_the_other_store_is_back() {
    let (mut waited, mut asked) = (0, 0);
    for seed in 0..60 {
        let mut plan = Plan::of(seed);
        plan.go_on_with_old_store(&mut Random::of(seed, "test"));
        let report = play_plan(plan, true);
        let violation = &report.violation;
        assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
        let says = |what: &str| report.lines.iter().any(|line| line.contains(what));
        waited += usize::from(says("for a store that has"));
        asked += usize::from(says("OPTIONS"));
    }
    assert!(waited > 15, "a BYE waited for its call: {waited}");
    assert!(asked > 15, "phones were asked: {asked}");
}
