//! The dependencies' licences, duplicates, sources and known holes, by cargo-deny.
//!
//! What is allowed stands in `deny.toml`. cargo-deny takes minutes to compile and is not installed
//! from here: where it is missing the step says so. Known holes (advisories) come from the
//! network: without it that part says so too.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;

use crate::command::{Mode, cargo, run as run_command};

/// Checks the dependency tree against `deny.toml`.
pub fn run(root: &Path, mode: Mode) -> Result<()> {
    if !is_installed(root) {
        println!("SKIPPED: cargo-deny is not installed, licences and duplicates are not checked.");
        println!("         To check them: cargo install --locked cargo-deny");
        return Ok(());
    }
    let offline = ["deny", "check", "licenses", "bans", "sources"];
    run_command(cargo(root, &offline), mode)?;
    if let Err(error) = run_command(cargo(root, &["deny", "fetch", "db"]), mode) {
        println!("SKIPPED: known holes are not checked, their database did not come: {error:#}");
        return Ok(());
    }
    run_command(cargo(root, &["deny", "check", "--disable-fetch", "advisories"]), mode)
}

fn is_installed(root: &Path) -> bool {
    cargo(root, &["deny", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
