//! A Rust file or its folder is named by its concept, never by its being left over.

use super::source_tree::{Problem, SourceTree};

const BANNED: [&str; 9] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "manager",
    "managers",
    "misc",
    "miscellaneous",
];

/// Finds names that say nothing.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust_files() {
        for part in file.path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if BANNED.contains(&name) {
                let message = format!("`{name}` names no concept: say what is in it");
                problems.push(file.problem(1, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concept_passes() {
        assert_eq!(check(&SourceTree::of(&[("core/src/event_router.rs", "")])), []);
    }

    #[test]
    fn a_left_over_fails_as_file_and_as_folder() {
        for path in ["src/utils.rs", "tests/common/mod.rs", "src/manager.rs"] {
            assert_eq!(check(&SourceTree::of(&[(path, "")])).len(), 1, "{path}");
        }
    }
}
