//! Waiting for what a test wants to see, instead of for time to pass.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for a step that takes moments: a phone's, a process's, a page's.
pub const SOON: Duration = Duration::from_secs(20);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something; that, or a failed test that names `what`.
#[track_caller]
pub fn wait_for<T>(
    what: impl fmt::Display,
    within: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        // sleep: between two looks at the condition
        thread::sleep(LOOK_EVERY);
    }
}

/// Looks until `is_so`.
#[track_caller]
pub fn wait_until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    wait_for(what, within, || is_so().then_some(()));
}
