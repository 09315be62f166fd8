//! Counts libtest's closing lines: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
//!
//! Only those lines are read; a suite that died before its closing line is not counted, and its
//! command's exit code tells of it.

use std::fmt;

/// What libtest reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that did not run.
    pub ignored: u64,
    /// Closing lines seen: test executables and sets of doc tests.
    pub suites: u64,
}

impl Tally {
    /// Reads one line of output; `None` unless it closes a suite.
    pub fn of_line(line: &str) -> Option<Self> {
        let (_verdict, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self { suites: 1, ..Self::default() };
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            match what {
                "passed" => tally.passed = number.parse().ok()?,
                "failed" => tally.failed = number.parse().ok()?,
                "ignored" => tally.ignored = number.parse().ok()?,
                _ => {}
            }
        }
        Some(tally)
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.suites += other.suites;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored, suites } = self;
        write!(formatter, "{passed} passed, {failed} failed, {ignored} ignored in {suites} suites")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_line_is_counted() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; \
                    0 filtered out; finished in 0.01s\n";
        let expected = Tally { passed: 12, failed: 2, ignored: 1, suites: 1 };
        assert_eq!(Tally::of_line(line), Some(expected));
    }

    #[test]
    fn other_lines_are_not() {
        assert_eq!(Tally::of_line("test a_call_is_billed_once ... ok"), None);
        assert_eq!(Tally::of_line("running 3 tests"), None);
    }
}
