//! A Rust file has at most 500 lines, tests aside: past that it holds two concepts.

use super::source_tree::{Problem, SourceTree};

/// Lines before the tests.
const LINES_MAX: usize = 500;

/// Finds longer files.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    tree.rust_files()
        .filter_map(|file| {
            let lines = match file.tests_from_line() {
                Some(line) => line - 1,
                None => file.lines().count(),
            };
            let message = format!("{lines} lines, {LINES_MAX} are allowed: split it by concept");
            (lines > LINES_MAX).then(|| file.problem(lines, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundred_lines_pass_and_one_more_fails() {
        let text = "//\n".repeat(LINES_MAX);
        assert_eq!(check(&SourceTree::of(&[("src/a.rs", &text)])), []);
        let text = "//\n".repeat(LINES_MAX + 1);
        assert_eq!(check(&SourceTree::of(&[("src/a.rs", &text)])).len(), 1);
    }

    #[test]
    fn tests_are_not_counted() {
        let tests = "//\n".repeat(LINES_MAX);
        let text = format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n{tests}}}\n");
        assert_eq!(check(&SourceTree::of(&[("src/a.rs", &text), ("tests/a.rs", &text)])), []);
    }
}
