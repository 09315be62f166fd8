//! `cargo xtask bench-units`: what a delivery costs of a service that is linked into a node, of a
//! unit of Rust, and of a unit of JavaScript.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::bench::binaries;
use crate::command::{Mode, cargo, run as run_command};
use crate::figures::{append_row, load_average, stamp};
use crate::unit;

/// Shown by `cargo xtask bench-units --help`.
pub const HELP: &str = "\
One service in three shapes (bench/units): linked, as a unit of Rust, and as one of JavaScript. Each
computes the delivery of an INVITE again and again, in a process of its own, and all three give the
same answer. It looks a profile up, sets a timer and an attribute, counts, and writes its state.

  CPU µs per delivery  of the thread, the best of five batches: an instance of its own included
  slowest              by the clock
  compile              CPU of all threads, and the clock, for the node to take the file
  memory               proportional set size that is more once the unit is compiled: its code,
                       and what the compiler's allocator keeps

Rows go to bench/units.csv.";

const HEADER: &str = "at,commit,load_average,shape,cpu_ns_per_delivery,slowest_us,file_bytes,\
compile_ms,compile_cpu_ms,unit_bytes,delivery_bytes,state_bytes";

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Deliveries of each batch
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    deliveries: u32,
}

/// Builds the program and the units, and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    run_command(cargo(root, &["build", "--release", "-p", "resilee-bench-units"]), Mode::Run)?;
    let folder = root.join("target/bench-units");
    let built = |what: &str, name: &str| -> Result<PathBuf> {
        let out = folder.join(name);
        let options =
            unit::Options { what: what.to_owned(), features: None, out: Some(out.clone()) };
        unit::run(root, &options)?;
        Ok(out)
    };
    let javascript = root.join("bench/units/javascript");
    let javascript = javascript.to_str().context("the path of the workspace is no text")?;
    let shapes = [
        ("linked", None),
        ("rust", Some(built("resilee-bench-units", "rust.wasm")?)),
        ("javascript", Some(built(javascript, "javascript.wasm")?)),
    ];
    println!("| | CPU µs per delivery | slowest µs | file kB | compile CPU s | memory kB | load |");
    println!("|---|---|---|---|---|---|---|");
    for (shape, unit) in shapes {
        measure(root, shape, unit.as_deref(), options.deliveries)?;
    }
    Ok(())
}

fn measure(root: &Path, shape: &str, unit: Option<&Path>, deliveries: u32) -> Result<()> {
    let mut command = Command::new(binaries(root, None).join("resilee-bench-units"));
    command.args(["--deliveries", &deliveries.to_string()]);
    command.args(unit.into_iter().flat_map(|unit| [Path::new("--unit"), unit]));
    let load = load_average();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start the program")?;
    ensure!(output.status.success(), "the measurement failed: {}", output.status);
    let line: Value = serde_json::from_slice(&output.stdout)?;
    let mut row = format!("{},{load:.2},{shape}", stamp(root));
    let number = |key: &str| line[key].as_u64().with_context(|| format!("no {key} in {line}"));
    for key in [
        "cpu_ns",
        "slowest_us",
        "file_bytes",
        "compile_ms",
        "compile_cpu_ms",
        "unit_bytes",
        "delivery_bytes",
        "state_bytes",
    ] {
        row.push_str(&format!(",{}", number(key)?));
    }
    println!(
        "| {shape} | {:.1} | {} | {} | {:.2} | {} | {load:.1} |",
        number("cpu_ns")? as f64 / 1e3,
        number("slowest_us")?,
        number("file_bytes")?.div_ceil(1_000),
        number("compile_cpu_ms")? as f64 / 1e3,
        number("unit_bytes")? / 1_000,
    );
    append_row(&root.join("bench/units.csv"), HEADER, &row)
}
