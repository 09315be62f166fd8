//! Programs of the system that a test needs: there, or left out on purpose, or a failure.
//!
//! Who left a program out, and why, is the test runner's to say; here it is only obeyed.

use std::env;

/// False if the runner says to leave `program` out; the test then ends at once.
///
/// # Panics
/// The program is not there and nobody left it out: a test that does nothing must not pass.
#[track_caller]
pub fn is_wanted(program: &str) -> bool {
    let variable = format!("RESILEE_SKIP_{}", program.to_ascii_uppercase());
    if env::var_os(&variable).is_some_and(|value| value == "1") {
        println!("SKIPPED: {variable}=1");
        return false;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(is_there, "{program} is not installed; {variable}=1 leaves this test out");
    true
}
