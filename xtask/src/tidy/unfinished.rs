//! What is committed is finished: no marks of work to be done later.

use super::source_tree::{Problem, SourceTree, has_word, has_word_start};

/// Marks in code.
const MACROS: [&str; 2] = ["todo!", "unimplemented!"];
/// Marks in any text.
const WORDS: [&str; 2] = ["FIXME", "XXX"];

/// Finds such marks.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files_outside_rules() {
        for (number, line) in file.lines() {
            let macros = MACROS.iter().filter(|mark| has_word_start(line, mark));
            let words = WORDS.iter().filter(|mark| has_word(line, mark));
            for mark in macros.chain(words) {
                problems.push(file.problem(number, format!("`{mark}`: finish it, or leave it")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_fail() {
        for line in ["    todo!()", "unimplemented!(\"x\")", "// FIXME: later", "<!-- XXX -->"] {
            assert_eq!(check(&SourceTree::of(&[("a.rs", line)])).len(), 1, "{line}");
        }
    }

    #[test]
    fn words_that_look_like_marks_pass() {
        for line in ["let todos = 1;", "a 1XX response", "branch=z9hG4bKXXX"] {
            assert_eq!(check(&SourceTree::of(&[("a.rs", line)])), [], "{line}");
        }
    }
}
