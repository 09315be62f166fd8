//! Each dependency of the workspace has a comment beside or directly above it that says why.
//!
//! Crates of our own (`path = …`) need none: their own docs say what they are for.

use super::source_tree::{Problem, SourceFile, SourceTree};

const SECTION: &str = "[workspace.dependencies]";

/// Finds dependencies without a reason.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    tree.file("Cargo.toml").map(check_root).unwrap_or_default()
}

fn check_root(file: &SourceFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut in_section = false;
    let mut reason_above = false;
    // How many brackets are open: an entry may take several lines.
    let mut depth = 0;
    for (number, line) in file.lines() {
        let line = line.trim();
        if depth == 0 && line.starts_with('[') {
            in_section = line == SECTION;
            let is_entry = line.starts_with("[workspace.dependencies.");
            if is_entry && !reason_above && !has_comment(line) {
                problems.push(file.problem(number, format!("say why beside or above `{line}`")));
            }
        } else if depth == 0 && in_section && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or(line);
            if !line.contains("path =") && !reason_above && !has_comment(line) {
                let message = format!("say why beside or above the dependency `{name}`");
                problems.push(file.problem(number, message));
            }
        }
        reason_above = line.strip_prefix('#').is_some_and(|reason| !reason.trim().is_empty());
        if in_section && !reason_above {
            depth += line.matches(['[', '{']).count();
            depth = depth.saturating_sub(line.matches([']', '}']).count());
            if line.starts_with("[workspace") {
                depth = 0;
            }
        }
    }
    problems
}

/// Whether something is said behind a `#` that is not inside a string.
fn has_comment(line: &str) -> bool {
    let mut in_string = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => in_string = !in_string,
            '#' if !in_string => return !line[at + 1..].trim().is_empty(),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(dependencies: &str) -> usize {
        let text = format!("[workspace]\nmembers = []\n{SECTION}\n{dependencies}\n[profile.dev]\n");
        check(&SourceTree::of(&[("Cargo.toml", &text)])).len()
    }

    #[test]
    fn a_reason_above_or_beside_passes() {
        assert_eq!(problems("# Actors.\nactix = \"0.13\""), 0);
        assert_eq!(problems("actix = \"0.13\" # Actors."), 0);
        assert_eq!(
            problems("# Actors.\nactix = { version = \"1\", features = [\n  \"a\",\n] }"),
            0
        );
        assert_eq!(problems("resilee-sbb = { path = \"container/sbb\" }"), 0);
    }

    #[test]
    fn no_reason_fails() {
        assert_eq!(problems("actix = \"0.13\""), 1);
        assert_eq!(problems("actix = \"#0.13\""), 1);
        assert_eq!(problems("#\nactix = \"0.13\""), 1);
    }

    #[test]
    fn a_reason_is_for_one_dependency() {
        assert_eq!(problems("# Actors.\nactix = \"0.13\"\nractor = \"0.16\""), 1);
        assert_eq!(problems("# Actors.\n\nactix = \"0.13\""), 1);
    }

    #[test]
    fn other_sections_are_not_looked_at() {
        assert_eq!(problems("\n[profile.release]\nlto = \"thin\""), 0);
    }
}
