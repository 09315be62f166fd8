//! A test that does not run says why: `#[ignore = "why"]`.

use super::source_tree::{Problem, SourceTree};

/// Finds ignored tests without a reason.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust_files_outside_rules() {
        for (number, line) in file.lines() {
            let Some((_, rest)) = line.split_once("#[ignore") else { continue };
            let reason = rest.trim_start().strip_prefix('=').unwrap_or_default().trim_start();
            if !reason.starts_with('"') || reason.starts_with("\"\"") {
                problems.push(file.problem(number, "write the reason: `#[ignore = \"why\"]`"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_passes() {
        assert_eq!(check(&SourceTree::of(&[("a.rs", "#[ignore = \"needs an hour\"]")])), []);
    }

    #[test]
    fn no_reason_fails() {
        for line in ["#[ignore]", "#[ignore = \"\"]"] {
            assert_eq!(check(&SourceTree::of(&[("a.rs", line)])).len(), 1, "{line}");
        }
    }
}
