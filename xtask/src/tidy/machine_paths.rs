//! No text names a folder of one machine, nor one outside the repository.

use super::source_tree::{Problem, SourceTree};

/// Where machines keep what is theirs.
const MACHINE_FOLDERS: [&str; 4] = ["/home/", "/root/", "/Users/", "/work/"];
/// Beside the repository.
const OUTSIDE: [&str; 1] = ["../shared"];

/// Finds such paths.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files_outside_rules() {
        for (number, line) in file.lines() {
            let machine = MACHINE_FOLDERS.iter().filter(|path| has_path_start(line, path));
            let outside = OUTSIDE.iter().filter(|path| line.contains(**path));
            for path in machine.chain(outside) {
                let message = format!("`{path}` is there on one machine only");
                problems.push(file.problem(number, message));
            }
        }
    }
    problems
}

/// Whether a path begins there, rather than goes on: `/work/a`, not `/patch/work/a`.
fn has_path_start(line: &str, path: &str) -> bool {
    let goes_on = |before: &str| {
        before
            .ends_with(|last: char| last.is_alphanumeric() || ['_', '-', '.', '}'].contains(&last))
    };
    line.match_indices(path).any(|(at, _)| !goes_on(&line[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_fail() {
        for line in ["see /work/main", "\"/root/.cargo\"", "[d](../shared/design.md)"] {
            assert_eq!(check(&SourceTree::of(&[("a.md", line)])).len(), 1, "{line}");
        }
    }

    #[test]
    fn paths_that_go_on_pass() {
        for line in ["https://example.com/work/a", "target/work/a", "$HOME/work/a"] {
            assert_eq!(check(&SourceTree::of(&[("a.md", line)])), [], "{line}");
        }
    }
}
