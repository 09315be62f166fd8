//! The text files of the repository, as the rules see them.
//!
//! Read once, without following links; build output, version control and files that are not text
//! are left out. No rule is here.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const LEFT_OUT_FOLDERS: [&str; 3] = [".git", "target", "node_modules"];
/// Files written by a tool.
const LEFT_OUT_FILES: [&str; 1] = ["Cargo.lock"];
/// Folders that every machine has: a text may name one although this checkout stands in it.
const COMMON_FOLDERS: [&str; 7] = ["/", "/mnt", "/opt", "/srv", "/tmp", "/usr/src", "/var"];
/// The rules' own folder quotes what the rules look for.
const RULES_FOLDER: &str = "xtask/src/tidy/";

/// All text files.
pub struct SourceTree {
    files: Vec<SourceFile>,
    /// Where this checkout stands, with a `/` at the end.
    surroundings: Vec<String>,
}

/// One text file.
pub struct SourceFile {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// Its whole content.
    pub text: String,
}

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, from the root of the repository.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl SourceTree {
    /// Reads the repository.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files, surroundings: surroundings(root)? })
    }

    /// The folder of this checkout and the one around it: what is there on this machine only.
    pub fn surroundings(&self) -> &[String] {
        &self.surroundings
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// Every file but those that quote what the rules look for.
    pub fn files_outside_rules(&self) -> impl Iterator<Item = &SourceFile> {
        self.files().filter(|file| !file.path.starts_with(RULES_FOLDER))
    }

    /// Every Rust file.
    pub fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files().filter(|file| file.is_rust())
    }

    /// Every Rust file but those that quote what the rules look for.
    pub fn rust_files_outside_rules(&self) -> impl Iterator<Item = &SourceFile> {
        self.files_outside_rules().filter(|file| file.is_rust())
    }

    /// The file at a path, if there is one.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files().find(|file| file.path == path)
    }

    /// Whether a folder, given with a `/` at the end, has a file or folder of that name.
    pub fn has(&self, folder: &str, name: &str) -> bool {
        let is_it = |rest: &str| rest == name || rest.starts_with(&format!("{name}/"));
        self.files().any(|file| file.path.strip_prefix(folder).is_some_and(is_it))
    }

    /// A tree for tests of the rules.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self::standing_in("/checkouts/resilee", files)
    }

    /// The same, in a folder of the machine.
    #[cfg(test)]
    pub fn standing_in(root: &str, files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let surroundings = around(Path::new(root));
        Self { files: files.iter().map(file).collect(), surroundings }
    }
}

fn surroundings(root: &Path) -> Result<Vec<String>> {
    let root = root.canonicalize().with_context(|| format!("cannot find {}", root.display()))?;
    Ok(around(&root))
}

fn around(root: &Path) -> Vec<String> {
    let folders = [Some(root), root.parent()].into_iter().flatten();
    let own = folders.map(|folder| folder.display().to_string());
    own.filter(|folder| !COMMON_FOLDERS.contains(&folder.as_str()))
        .map(|folder| folder + "/")
        .collect()
}

impl SourceFile {
    /// Lines with their numbers, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// How many folders lie between the root of the repository and this file.
    pub fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    /// A problem at a line of this file.
    pub fn problem(&self, line: usize, message: impl Into<String>) -> Problem {
        Problem { path: self.path.clone(), line, message: message.into() }
    }

    /// The line where test code begins: 1 in a test's own file, that of the test module in others.
    pub fn tests_from_line(&self) -> Option<usize> {
        if self.is_test_file() {
            return Some(1);
        }
        let mut lines = self.lines().peekable();
        while let Some((number, line)) = lines.next() {
            let opens_module = |next: &str| next.starts_with("mod ") && next.ends_with('{');
            if line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| opens_module(next)) {
                return Some(number);
            }
        }
        None
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test_file(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Whether `text` has `word` with no letter, digit or underscore directly before it.
pub fn has_word_start(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(is_word_character))
}

/// Whether `text` has `word` with no letter, digit or underscore on either side.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_word_character)
            && !text[at + word.len()..].starts_with(is_word_character)
    })
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(|| format!("cannot look at {path}"))?;
        if kind.is_dir() && !LEFT_OUT_FOLDERS.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && !LEFT_OUT_FILES.contains(&name.as_str()) {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests_from_line(path: &str, text: &str) -> Option<usize> {
        SourceTree::of(&[(path, text)]).file(path).expect("just put there").tests_from_line()
    }

    #[test]
    fn test_code_begins_at_the_test_module() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(tests_from_line("a/src/a.rs", text), Some(4));
        assert_eq!(tests_from_line("a/tests/a.rs", text), Some(1));
        assert_eq!(tests_from_line("a/src/a/tests.rs", text), Some(1));
    }

    #[test]
    fn one_function_for_tests_does_not_begin_test_code() {
        assert_eq!(tests_from_line("a/src/a.rs", "#[cfg(test)]\nfn a() {}\n"), None);
        assert_eq!(tests_from_line("a/src/a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n"), None);
    }

    #[test]
    fn a_word_ends_where_letters_end() {
        assert!(has_word("// XXX: why", "XXX"));
        assert!(!has_word("branch=z9hG4bKXXX", "XXX"));
        assert!(has_word_start("thread::sleep(a)", "sleep("));
        assert!(!has_word_start("no_sleep(a)", "sleep("));
    }
}
