//! Units on threads that are kept from running: their time is the CPU's.

use crate::guest::{Guest, deliver};
use resilee_sbb::{NotCompiled, Outcome, UnitCompiler, UnitLimits};
use resilee_wasm::{DESCRIBE_TIME_MAX, UnitHost};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

const ENDLESS: &str = "(loop $l (br $l))";

/// Each time somebody looks the thread has run for another quarter of this.
fn quarters(of: Duration) -> Duration {
    LOOKS.set(LOOKS.get() + 1);
    of * (LOOKS.get() - 1) / 4
}

#[test]
fn a_delivery_whose_thread_was_kept_from_running_goes_on() {
    let limits = UnitLimits::default();
    let cpu = || quarters(UnitLimits::default().time_max);
    let host = UnitHost::with_cpu_clock(limits, cpu).expect("a host");
    let service = host.compile(&Guest::that(ENDLESS).bytes()).expect("a unit");
    LOOKS.set(0);
    let outcome = service.invoke(&deliver());
    let reason = "it ran longer than 50ms".to_owned();
    assert_eq!(outcome, Outcome::RolledBack { reason, effects: Vec::new() });
    assert_eq!(LOOKS.get(), 5, "when it began, and at the end of each quarter");
}

/// Whatever the machine does: it is no moment that passes.
#[test]
fn a_unit_that_does_not_end_to_say_what_it_is_is_refused_for_good() {
    let cpu = || quarters(DESCRIBE_TIME_MAX);
    let host = UnitHost::with_cpu_clock(UnitLimits::default(), cpu).expect("a host");
    LOOKS.set(0);
    let refused = host.compile(&Guest { describe: ENDLESS, ..Guest::default() }.bytes());
    let reason = "it does not say what it is: it ran longer than 1s".to_owned();
    assert_eq!(refused.err(), Some(NotCompiled::Lasting(reason)));
    assert_eq!(LOOKS.get(), 5);
}
