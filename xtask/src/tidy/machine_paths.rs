//! No text names a folder of one machine, nor one outside the repository.

use super::source_tree::{Problem, SourceTree};

/// Where people's machines keep what is theirs.
const HOMES: [&str; 3] = ["/home/", "/root/", "/Users/"];
/// One folder up.
const UP: &str = "../";

/// Finds such paths.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files_outside_rules() {
        for (number, line) in file.lines() {
            let surroundings = tree.surroundings().iter().map(String::as_str);
            for path in HOMES.into_iter().chain(surroundings) {
                if has_path_start(line, path) {
                    let message = format!("`{path}` is there on one machine only");
                    problems.push(file.problem(number, message));
                }
            }
            let is_prose = !file.is_rust() || line.trim_start().starts_with("//");
            for (steps, rest) in paths_up(line) {
                if steps > file.depth() {
                    problems.push(file.problem(number, "a path that leaves the repository"));
                } else if is_prose && !tree.has(&above(&file.path, steps), rest) {
                    problems.push(file.problem(number, "a path to what the repository lacks"));
                }
            }
        }
    }
    problems
}

/// Whether a path begins there, rather than goes on: `/root/a`, not `/patch/root/a`.
fn has_path_start(line: &str, path: &str) -> bool {
    let goes_on = |before: &str| {
        before
            .ends_with(|last: char| last.is_alphanumeric() || ['_', '-', '.', '}'].contains(&last))
    };
    line.match_indices(path).any(|(at, _)| !goes_on(&line[..at]))
}

/// Paths in the line that go up: by how many folders, and the name that they go down to.
fn paths_up(line: &str) -> Vec<(usize, &str)> {
    let mut paths = Vec::new();
    let mut left = line;
    while let Some(at) = left.find(UP) {
        let mut rest = &left[at..];
        let mut steps = 0;
        while let Some(deeper) = rest.strip_prefix(UP) {
            (rest, steps) = (deeper, steps + 1);
        }
        let is_name = |c: char| c.is_alphanumeric() || ['_', '-', '.'].contains(&c);
        let name = rest.split(|c| !is_name(c)).next().unwrap_or_default();
        paths.push((steps, name));
        left = rest;
    }
    paths
}

/// The folder so many folders above that of a file, with a `/` at the end if it is not the root.
fn above(path: &str, steps: usize) -> String {
    let folders: Vec<&str> = path.split('/').rev().skip(1 + steps).collect();
    folders.iter().rev().map(|folder| format!("{folder}/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, line: &str) -> usize {
        check(&SourceTree::standing_in("/checkouts/resilee", &[(path, line)])).len()
    }

    #[test]
    fn paths_of_a_machine_fail() {
        for line in ["see /checkouts/other", "\"/root/.cargo\"", "cd /home/me"] {
            assert_eq!(problems("a.md", line), 1, "{line}");
        }
        assert_eq!(problems("a.md", "see /checkouts/resilee/a"), 2);
    }

    #[test]
    fn paths_that_go_on_pass() {
        for line in ["https://example.com/root/a", "target/checkouts/a", "$HOME/home/a"] {
            assert_eq!(problems("a.md", line), 0, "{line}");
        }
    }

    #[test]
    fn folders_that_every_machine_has_pass() {
        let tree = SourceTree::standing_in("/tmp/resilee", &[("a.md", "sockets in /tmp/a")]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn paths_that_leave_the_repository_fail() {
        assert_eq!(problems("a.md", "[d](../elsewhere/d.md)"), 1);
        assert_eq!(problems("a/b.md", "[d](../../elsewhere/d.md)"), 1);
        assert_eq!(problems("a/b/c.rs", "include_str!(\"../../d.txt\")"), 0);
    }

    #[test]
    fn prose_names_only_what_is_there() {
        let tree = |line| SourceTree::of(&[("a/b.md", line), ("c/d.md", "")]);
        assert_eq!(check(&tree("[d](../c/d.md), [c](../c)")), []);
        assert_eq!(check(&tree("[d](../e/d.md)")).len(), 1);
        assert_eq!(problems("a/b.rs", "// see ../e/d.md"), 1);
    }
}
