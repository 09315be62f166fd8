//! Units that could not be compiled for a reason that may pass: they are tried again.

use crate::pair::Pair;
use crate::units::{
    ALPHA, BETA, activate, has, id, remove, the_survivor_serves_its_call, unit, upload,
    without_them,
};
use crate::upgrades::want;
use resilee_core::management::Changed;

const ALARM: &str = "alpha is not compiled here yet: the machine has too much to do; it is tried \
                     again";

fn alarms(pair: &Pair, node: usize) -> Vec<String> {
    let alarms = pair.status(node).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "unit").map(|alarm| alarm.text).collect()
}

/// Node 1 is away, and comes back to a machine that compiles nothing for a while.
fn joins_busy() -> Pair {
    let mut pair = without_them().whole();
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 alone");
    pair.busy_compilers = [false, true];
    pair.start(1);
    pair.pass_ms(5_000);
    pair
}

#[test]
fn a_joiner_that_could_not_compile_a_unit_at_once_joins_once_it_can() {
    let mut pair = joins_busy();
    assert!(!pair.status(1).member);
    assert_eq!(alarms(&pair, 1), [ALARM]);
    assert_eq!(unit(&pair, 1, &id(ALPHA)).problem.as_deref(), Some(ALARM));
    assert!(unit(&pair, 1, &id(ALPHA)).is_passing);
    pair.busy_compilers = [false; 2];
    pair.until_whole();
    assert_eq!(alarms(&pair, 1), [""; 0]);
    assert_eq!(unit(&pair, 1, &id(ALPHA)).problem, None);
    the_survivor_serves_its_call(&mut pair);
    pair.say(1, "c1 over");
}

/// After 1, 3, 7, 15, 31 and 63 s, and then once a minute.
#[test]
fn it_is_tried_less_and_less_often_and_at_least_once_a_minute() {
    let mut pair = without_them().whole();
    pair.busy_compilers = [true; 2];
    pair.slow_compilers = [false, true];
    upload(&mut pair, 0, "alpha", ALPHA);
    let tried_by = |pair: &mut Pair, ms| {
        pair.pass_ms(ms);
        pair.tries
    };
    assert_eq!(pair.tries, 1);
    assert_eq!(tried_by(&mut pair, 999), 1);
    assert_eq!(tried_by(&mut pair, 2), 2);
    assert_eq!(tried_by(&mut pair, 2_000), 3);
    assert_eq!(tried_by(&mut pair, 28_010), 6);
    assert_eq!(tried_by(&mut pair, 32_010), 7);
    assert_eq!(tried_by(&mut pair, 180_010), 10);
    assert_eq!(alarms(&pair, 0), [ALARM]);
}

#[test]
fn a_reason_that_lasts_is_the_last_one() {
    let mut pair = without_them().whole();
    pair.busy_compilers = [true; 2];
    let unit_id = upload(&mut pair, 0, "alpha", b"no component");
    pair.busy_compilers = [false; 2];
    pair.pass_ms(2_000);
    let text = "alpha is not deployed here: it is no WebAssembly; remove the unit, or run the same \
                version of Resilee at all nodes";
    for node in [0, 1] {
        assert!(!unit(&pair, node, &unit_id).is_passing);
        assert_eq!(alarms(&pair, node), [text]);
    }
    pair.busy_compilers = [true; 2];
    let tries = pair.tries;
    pair.pass_ms(130_000);
    assert_eq!(pair.tries, tries);
    assert_eq!(pair.change(0, remove(&unit_id)), Some(Changed::Done));
    assert_eq!(alarms(&pair, 0), [""; 0]);
}

#[test]
fn one_that_is_removed_is_not_tried_again_and_its_alarm_ends() {
    let mut pair = without_them().whole();
    pair.busy_compilers = [true; 2];
    let unit_id = upload(&mut pair, 0, "alpha", ALPHA);
    assert_eq!(pair.change(0, remove(&unit_id)), Some(Changed::Done));
    for node in [0, 1] {
        assert_eq!(alarms(&pair, node), [""; 0]);
    }
    let tries = pair.tries;
    pair.pass_ms(10_000);
    assert_eq!(pair.tries, tries);
}

/// Others are deployed meanwhile, and nothing is activated before all members have it.
#[test]
fn it_keeps_nobody_else_and_is_not_activated_before_all_have_it() {
    let mut pair = without_them().whole();
    pair.busy_compilers = [false, true];
    upload(&mut pair, 0, "alpha", ALPHA);
    let Some(Changed::NotYet(why)) = pair.change(0, activate("alpha")) else { panic!("activated") };
    assert!(why.starts_with("server2 has not compiled alpha yet"), "{why}");
    pair.busy_compilers = [false; 2];
    upload(&mut pair, 0, "beta", BETA);
    assert!(has(&pair, 1, "beta") && !has(&pair, 1, "alpha"));
    pair.pass_ms(1_000);
    want(&mut pair, &["alpha"], &[]);
}
