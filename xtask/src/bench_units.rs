//! `cargo xtask bench-units`: what a delivery costs of a service that is linked into a node, of a
//! unit of Rust, and of a unit of JavaScript; what an idle entity of each takes; and how long a
//! unit takes from its upload until it is active.

mod upload;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::bench::{binaries, provide_binaries};
use crate::command::build_programs;
use crate::figures::{append_row, load_average, stamp};
use crate::own_network;
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
  idle entity          proportional set size that is more once N calls are up in a node of this
                       process, by N: each with its cell, activity context, entity and state
  upload to active     from the start of `resilee ctl deploy FILE --activate` until both nodes of a
                       pair without calls list the service as active; then it is removed, and again

Rows go to bench/units.csv and bench/uploads.csv. Uploads need unshare (util-linux) and ip
(iproute2) for a network of their own; root, or a system that lets users have namespaces.";

const HEADER: &str = "at,commit,load_average,shape,cpu_ns_per_delivery,slowest_us,file_bytes,\
compile_ms,compile_cpu_ms,unit_bytes,delivery_bytes,state_bytes,idle_entities,idle_entity_bytes";

/// The shapes that are uploaded, with what `cargo xtask unit` builds for each.
const UNITS: [(&str, &str); 2] =
    [("rust", "resilee-bench-units"), ("javascript", "bench/units/javascript")];

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Deliveries of each batch
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    deliveries: u32,
    /// Idle entities of which the memory is measured; 0: it is not
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    idle: u32,
    /// Uploads of each unit to a pair; 0: none
    #[arg(long, value_name = "N", default_value_t = 11)]
    uploads: u32,
}

/// Builds the programs and the units, and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if own_network::is_inside() {
        return upload::run(root, options.uploads);
    }
    build_programs(root, &["resilee-bench-units"])?;
    for (shape, what) in UNITS {
        let what = if root.join(what).is_dir() { root.join(what) } else { what.into() };
        let what = what.into_os_string().into_string();
        let what = what.ok().context("the path of the workspace is no text")?;
        unit::run(
            root,
            &unit::Options { what, features: None, out: Some(unit_file(root, shape)) },
        )?;
    }
    println!(
        "| | CPU µs per delivery | slowest µs | file kB | compile CPU s | memory kB \
         | idle entity bytes | load |\n|---|---|---|---|---|---|---|---|"
    );
    measure(root, "linked", None, options)?;
    for (shape, _) in UNITS {
        measure(root, shape, Some(&unit_file(root, shape)), options)?;
    }
    if options.uploads > 0 {
        provide_binaries(root, None)?;
        own_network::enter()?;
    }
    Ok(())
}

/// Where the unit of a shape is built.
fn unit_file(root: &Path, shape: &str) -> PathBuf {
    root.join("target/bench-units").join(shape).with_extension("wasm")
}

fn measure(root: &Path, shape: &str, unit: Option<&Path>, options: &Options) -> Result<()> {
    let mut command = Command::new(binaries(root, None).join("resilee-bench-units"));
    command.args(["--deliveries", &options.deliveries.to_string()]);
    command.args(["--idle", &options.idle.to_string()]);
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
    // Empty if it was not measured.
    let idle = line["idle_entity_bytes"].as_u64().map(|bytes| bytes.to_string());
    let idle = idle.unwrap_or_default();
    row.push_str(&format!(",{},{idle}", options.idle));
    println!(
        "| {shape} | {:.1} | {} | {} | {:.2} | {} | {idle} | {load:.1} |",
        number("cpu_ns")? as f64 / 1e3,
        number("slowest_us")?,
        number("file_bytes")?.div_ceil(1_000),
        number("compile_cpu_ms")? as f64 / 1e3,
        number("unit_bytes")? / 1_000,
    );
    append_row(&root.join("bench/units.csv"), HEADER, &row)
}
