//! A line of a Rust file has at most 100 columns; an address cannot be broken and may be longer.

use super::source_tree::{Problem, SourceTree};

/// Characters in a line.
const COLUMNS_MAX: usize = 100;

/// Finds wider lines.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust_files() {
        for (number, line) in file.lines() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX && !line.contains("://") {
                let message = format!("{columns} columns, {COLUMNS_MAX} are allowed");
                problems.push(file.problem(number, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_columns_pass_whatever_their_bytes() {
        let line = "—".repeat(COLUMNS_MAX);
        assert_eq!(check(&SourceTree::of(&[("a.rs", &line)])), []);
    }

    #[test]
    fn one_more_fails_unless_it_is_an_address() {
        let line = "a".repeat(COLUMNS_MAX + 1);
        assert_eq!(check(&SourceTree::of(&[("a.rs", &line)]))[0].line, 1);
        let line = format!("// https://{line}");
        assert_eq!(check(&SourceTree::of(&[("a.rs", &line)])), []);
    }
}
