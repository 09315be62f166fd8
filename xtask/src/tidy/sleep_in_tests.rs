//! A test does not sleep: it waits for what it wants to see, or uses virtual time.
//!
//! Where real time itself is tested, `// sleep: why` stands beside the line or in the comment
//! directly above it.

use super::source_tree::{Problem, SourceFile, SourceTree, has_word_start};

/// Finds sleeps without a written reason.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    tree.rust_files_outside_rules().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Problem> {
    let Some(tests_from_line) = file.tests_from_line() else { return Vec::new() };
    let mut problems = Vec::new();
    let mut reason_above = false;
    for (number, line) in file.lines() {
        let is_comment = line.trim_start().starts_with("//");
        if is_comment {
            reason_above |= gives_reason(line);
            continue;
        }
        let sleeps = number >= tests_from_line && has_word_start(line, "sleep(");
        if sleeps && !reason_above && !gives_reason(line) {
            let message = "a test sleeps: wait for what it wants to see, or write `// sleep: why`";
            problems.push(file.problem(number, message));
        }
        reason_above = false;
    }
    problems
}

fn gives_reason(line: &str) -> bool {
    line.split_once("// sleep:").is_some_and(|(_, reason)| !reason.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check(&SourceTree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_sleep_in_a_test_fails() {
        assert_eq!(problems("tests/a.rs", "thread::sleep(second);\n"), 1);
        assert_eq!(problems("src/a.rs", "#[cfg(test)]\nmod tests {\n    sleep(second);\n}\n"), 1);
        assert_eq!(problems("tests/a.rs", "sleep(second); // sleep:\n"), 1);
    }

    #[test]
    fn a_reason_beside_or_above_passes() {
        assert_eq!(problems("tests/a.rs", "sleep(second); // sleep: a phone rings so long\n"), 0);
        assert_eq!(problems("tests/a.rs", "// sleep: a phone\n// rings\nsleep(second);\n"), 0);
    }

    #[test]
    fn a_reason_counts_for_one_line() {
        assert_eq!(problems("tests/a.rs", "// sleep: why\nsleep(one);\nsleep(two);\n"), 1);
    }

    #[test]
    fn code_that_is_no_test_is_not_looked_at() {
        assert_eq!(problems("src/a.rs", "sleep(second);\n"), 0);
        assert_eq!(problems("tests/a.rs", "// Never sleep(second).\n"), 0);
    }
}
