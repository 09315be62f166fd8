//! A Rust file opens with `//!` and says what it is.

use super::source_tree::{Problem, SourceTree};

/// Finds files whose first line is anything else.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let says_what_it_is = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("//!").is_some_and(|docs| !docs.trim().is_empty())
    };
    tree.rust_files()
        .filter(|file| !says_what_it_is(&file.text))
        .map(|file| file.problem(1, "the first line must be `//!` and say what the file is"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_opens_with_docs_passes() {
        assert_eq!(check(&SourceTree::of(&[("a.rs", "//! A bill.\n"), ("a.md", "A")])), []);
    }

    #[test]
    fn a_file_that_opens_with_anything_else_fails() {
        for text in ["", "use a;\n//! Late.\n", "//!\n", "// A bill.\n"] {
            assert_eq!(check(&SourceTree::of(&[("a.rs", text)])).len(), 1, "{text:?}");
        }
    }
}
