//! Text and names speak for the project, never of the tools that helped to write it.
//!
//! The words are put together from halves, so that a search of the repository finds none.

use super::source_tree::{Problem, SourceTree, has_word};

/// In lower case; found as whole words.
const WORDS: [&str; 8] = [
    concat!("cla", "ude"),
    concat!("anth", "ropic"),
    concat!("chat", "gpt"),
    concat!("open", "ai"),
    concat!("l", "lm"),
    concat!("l", "lms"),
    concat!("ai", " session"),
    concat!("ai", " agent"),
];

/// Finds such words, in lines and in paths.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files() {
        let path = std::iter::once((1, file.path.as_str()));
        for (number, line) in path.chain(file.lines()) {
            let line = line.to_lowercase();
            if let Some(word) = WORDS.iter().find(|word| has_word(&line, word)) {
                problems.push(file.problem(number, format!("`{word}` is not the project's voice")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_fails_in_any_case_and_in_a_path() {
        for word in WORDS {
            let line = format!("Made by {}.", word.to_uppercase());
            assert_eq!(check(&SourceTree::of(&[("a.md", &line)])).len(), 1, "{word}");
            assert_eq!(check(&SourceTree::of(&[(&format!("{word}.md"), "")])).len(), 1, "{word}");
        }
    }

    #[test]
    fn words_of_the_field_pass() {
        for line in ["the session's agent", "a user agent", "the cluster session"] {
            assert_eq!(check(&SourceTree::of(&[("a.md", line)])), [], "{line}");
        }
    }
}
