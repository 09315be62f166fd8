//! `cargo xtask bench-registrations`: what a million registered phones cost a node.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::bench::binaries;
use crate::command::build_programs;
use crate::figures::{append_row, load_average, stamp};

/// Shown by `cargo xtask bench-registrations --help`.
pub const HELP: &str = "\
Phones register with digest, each with an account and one contact, at one node without peers: its
core, SIP and registrar, and its store on disk, in one process; network and clock are not real.

  bytes               proportional set size per registration, without its account
  registrations/s     by the clock, with what the phones themselves take, and the disk
  look-ups/s          find a row by its address of record, decode it, sort its contacts
  start               from the first byte of the store that is read until the node serves

Rows go to bench/registrations.csv.";

const HEADER: &str = "at,commit,load_average,phones,bytes_per_registration,registrations_per_s,\
look_ups_per_s,start_ms,store_bytes";

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Phones
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    phones: u64,
}

/// Builds the program and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    build_programs(root, &["resilee-bench-registrations"])?;
    let folder = root.join("target/bench-registrations");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot empty target/bench-registrations")?;
    }
    let mut command = Command::new(binaries(root, None).join("resilee-bench-registrations"));
    command.args(["--phones", &options.phones.to_string(), "--folder"]).arg(&folder);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start the program")?;
    ensure!(output.status.success(), "the measurement failed: {}", output.status);
    std::fs::remove_dir_all(&folder).context("cannot remove what was stored")?;
    let text = String::from_utf8(output.stdout)?;
    let line: Value = serde_json::from_str(text.trim())?;
    let mut row = format!("{},{:.2}", stamp(root), load_average());
    for key in
        ["phones", "bytes", "registrations_per_s", "look_ups_per_s", "start_ms", "store_bytes"]
    {
        let value = line[key].as_u64().with_context(|| format!("no {key} in {line}"))?;
        println!("{key}: {value}");
        row.push_str(&format!(",{value}"));
    }
    append_row(&root.join("bench/registrations.csv"), HEADER, &row)
}
