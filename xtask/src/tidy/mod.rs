//! The house rules that no compiler checks, one file per rule.
//!
//! Each rule is a function from the [`SourceTree`] to its [`Problem`]s: it reads no disk and stops
//! at no first problem. How the tree is read is in [`source_tree`].

mod dependency_reasons;
mod file_length;
mod file_name;
mod ignored_tests;
mod line_width;
mod machine_paths;
mod member_manifests;
mod module_docs;
mod own_voice;
mod pure_crates;
mod sleep_in_tests;
mod source_tree;
mod unfinished;

use std::path::Path;

use anyhow::{Result, bail};

use source_tree::{Problem, SourceTree};

/// Shown by `cargo xtask tidy --help`.
pub const HELP: &str = "\
Rules:
  module-docs         a Rust file opens with //! and says what it is
  file-length         at most 500 lines, tests aside
  line-width          at most 100 columns in Rust files, lines with an address aside
  file-name           no utils, helpers, common, manager, misc: a file has one concept
  sleep-in-tests      a test sleeps only with a written reason: // sleep: why
  unfinished          no todo!, unimplemented!, FIXME, XXX
  ignored-tests       #[ignore = \"why\"], never without the reason
  machine-paths       no path of one machine, none that leaves the repository
  own-voice           the text speaks for the project, not of the tools that wrote it
  pure-crates         a pure crate bans clock, threads, sockets and locks by its clippy.toml and
                      depends on no crate that brings them
  member-manifests    a member takes lints and dependencies from the workspace
  dependency-reasons  each dependency of the workspace has a comment that says why

What the rules name is quoted in xtask/src/tidy, so the rules about words leave that folder out.";

type Rule = fn(&SourceTree) -> Vec<Problem>;

const RULES: [(&str, Rule); 12] = [
    ("module-docs", module_docs::check),
    ("file-length", file_length::check),
    ("line-width", line_width::check),
    ("file-name", file_name::check),
    ("sleep-in-tests", sleep_in_tests::check),
    ("unfinished", unfinished::check),
    ("ignored-tests", ignored_tests::check),
    ("machine-paths", machine_paths::check),
    ("own-voice", own_voice::check),
    ("pure-crates", pure_crates::check),
    ("member-manifests", member_manifests::check),
    ("dependency-reasons", dependency_reasons::check),
];

/// Checks every rule and prints every problem.
pub fn run(root: &Path) -> Result<()> {
    let tree = SourceTree::read(root)?;
    let mut problems = 0;
    for (rule, check) in RULES {
        for problem in check(&tree) {
            println!("{problem} [{rule}]");
            problems += 1;
        }
    }
    if problems > 0 {
        bail!("{problems} problems");
    }
    println!("{} files keep {} rules", tree.files().count(), RULES.len());
    Ok(())
}
