//! `cargo xtask lint`: everything that can be said about the code without running it.
//!
//! The order is the time each step takes, so that a slip shows early. The house rules themselves
//! are in [`crate::tidy`].

use std::path::Path;

use anyhow::Result;

use crate::command::{Mode, cargo, run as run_command};
use crate::steps::Steps;
use crate::{deny, packages, tidy};

/// Shown by `cargo xtask lint --help`.
pub const HELP: &str = "\
Steps:
  format        cargo fmt --all --check
  tidy          the house rules (cargo xtask tidy --help)
  dependencies  cargo deny check licenses bans sources (deny.toml), and advisories where their
                database can be fetched; skipped, saying so, where cargo-deny is not installed
  packages      cargo package --list of each library crate: no tests, no stray files, and all
                that crates.io shows
  clippy        cargo clippy --workspace --all-targets -- -D warnings
  docs          cargo doc --workspace --no-deps, with denied warnings";

/// Runs every step of the task.
pub fn run(root: &Path, mode: Mode) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("format", || run_command(cargo(root, &["fmt", "--all", "--check"]), mode))?;
    steps.run("tidy", || tidy::run(root))?;
    steps.run("dependencies", || deny::run(root, mode))?;
    steps.run("packages", || packages::run(root, mode))?;
    steps.run("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run_command(cargo(root, &arguments), mode)
    })?;
    steps.run("docs", || {
        let mut doc = cargo(root, &["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        run_command(doc, mode)
    })?;
    steps.finish();
    Ok(())
}
