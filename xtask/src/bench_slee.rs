//! `cargo xtask bench-slee`: what the container costs, without sockets and protocols.
//!
//! What is measured is in `bench/src`; here is which measurements are made, each in a process of
//! its own, and where the figures go.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::bench::binaries;
use crate::command::build_programs;
use crate::figures::{append_row, load_average, stamp};
use crate::valgrind;

/// Shown by `cargo xtask bench-slee --help`.
pub const HELP: &str = "\
Cores of one or two nodes run in one process, in virtual time and without sockets: handlers run at
once, what is stored counts as flushed at once. CPU is that of the process, so with two nodes it is
what both take, and what little the test's own protocol takes. An event that no service gets
(`none`) says how much that is.

  events    for no service, one that counts, and a tree of three SBBs on one activity context; one
            node, and two of which the second gets each commit before it counts; events one by
            one, and 32 arriving together
  memory    proportional set size per idle activity with one attached entity; with two nodes that
            of both
  held      the same for 1,000,000 activities
  takeover  from the input that says that the owner is gone until the survivor has adopted all cells

Instructions per event come from valgrind (callgrind) where it is installed: they hardly depend on
what else the machine does, times do. Rows go to bench/slee.csv.";

const HEADER: &str = "at,commit,load_average,what,deployed,nodes,activities,together,\
cpu_ns_per_event,events_per_s,instructions_per_event,bytes_per_activity,cpu_ms,wall_ms";

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Events of each measurement of CPU time
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    events: u64,
    /// Idle activities whose memory is measured, and cells that are taken over
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    activities: u64,
    /// Idle activities that one node has to hold; 0: not measured
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    held: u64,
    /// Leave the instructions out
    #[arg(long)]
    no_instructions: bool,
}

/// Builds the program and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    build_programs(root, &["resilee-bench"])?;
    let program = binaries(root, None).join("resilee-bench");
    let bench = Bench {
        root,
        program: &program,
        counts: !options.no_instructions && valgrind::is_installed(),
    };
    println!(
        "| deployed | nodes | together | CPU µs per event | events/s | instructions | load |\n\
         |---|---|---|---|---|---|---|"
    );
    for deployed in ["none", "counter", "tree"] {
        for nodes in [1, 2] {
            for together in [1, 32] {
                bench.events(deployed, nodes, together, options.events)?;
            }
        }
    }
    let held = [(1, options.held)].into_iter().filter(|(_, activities)| *activities > 0);
    println!("\n| nodes | idle activities | bytes each | load |\n|---|---|---|---|");
    for (nodes, activities) in [1, 2].map(|n| (n, options.activities)).into_iter().chain(held) {
        bench.memory(nodes, activities)?;
    }
    bench.takeover(options.activities)
}

struct Bench<'b> {
    root: &'b Path,
    program: &'b Path,
    /// Instructions are counted.
    counts: bool,
}

/// One row, apart from when and what made it.
#[derive(Default)]
struct Row {
    what: &'static str,
    deployed: String,
    nodes: u64,
    activities: u64,
    together: Option<u64>,
    cpu_ns: Option<u64>,
    per_s: Option<u64>,
    instructions: Option<u64>,
    bytes: Option<u64>,
    /// CPU and wall.
    ms: Option<(f64, f64)>,
}

impl Bench<'_> {
    fn events(&self, deployed: &str, nodes: u64, together: u64, events: u64) -> Result<()> {
        let (nodes_, together_) = (nodes.to_string(), together.to_string());
        let arguments =
            ["events", "--deployed", deployed, "--nodes", &nodes_, "--together", &together_];
        let line = self.measure(&arguments, events)?;
        let number = |key: &str| line[key].as_u64().with_context(|| format!("no {key} in {line}"));
        let instructions = match self.counts {
            true => Some(self.instructions(&arguments)?),
            false => None,
        };
        let (cpu_ns, per_s) = (number("cpu_ns")?, number("per_s")?);
        println!(
            "| {deployed} | {nodes} | {together} | {:.2} | {per_s} | {} | {:.1} |",
            cpu_ns as f64 / 1e3,
            instructions.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            load_average(),
        );
        self.append(&Row {
            what: "events",
            deployed: deployed.to_owned(),
            nodes,
            activities: number("activities")?,
            together: Some(together),
            cpu_ns: Some(cpu_ns),
            per_s: Some(per_s),
            instructions,
            ..Row::default()
        })
    }

    fn measure(&self, arguments: &[&str], events: u64) -> Result<Value> {
        let mut command = Command::new(self.program);
        command.args(arguments).arg("--events").arg(events.to_string());
        answer(&mut command)
    }

    /// From two runs: what is done once is in both.
    fn instructions(&self, arguments: &[&str]) -> Result<u64> {
        const EVENTS: u64 = 3_200;
        let count = |events: u64| -> Result<u64> {
            let events = events.to_string();
            let arguments = [arguments, &["--activities", "100", "--events", &events]].concat();
            valgrind::instructions(self.program, &arguments)
        };
        Ok((count(2 * EVENTS)? - count(EVENTS)?) / EVENTS)
    }

    fn memory(&self, nodes: u64, activities: u64) -> Result<()> {
        let mut command = Command::new(self.program);
        command.args(["memory", "--nodes", &nodes.to_string()]);
        command.args(["--activities", &activities.to_string()]);
        let line = answer(&mut command)?;
        let bytes = line["bytes"].as_u64().context("no bytes")?;
        println!("| {nodes} | {activities} | {bytes} | {:.1} |", load_average());
        self.append(&Row {
            what: "memory",
            deployed: "counter".to_owned(),
            nodes,
            activities,
            bytes: Some(bytes),
            ..Row::default()
        })
    }

    fn takeover(&self, activities: u64) -> Result<()> {
        let mut command = Command::new(self.program);
        command.args(["takeover", "--activities", &activities.to_string()]);
        let line = answer(&mut command)?;
        let ms = |key: &str| line[key].as_f64().with_context(|| format!("no {key} in {line}"));
        let (cpu, wall) = (ms("cpu_ms")?, ms("wall_ms")?);
        println!("\n{activities} cells taken over: {cpu} ms of CPU time, {wall} ms by the clock");
        self.append(&Row {
            what: "takeover",
            deployed: "counter".to_owned(),
            nodes: 2,
            activities,
            ms: Some((cpu, wall)),
            ..Row::default()
        })
    }

    fn append(&self, row: &Row) -> Result<()> {
        let number = |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
        let (cpu_ms, wall_ms) =
            row.ms.map_or_else(Default::default, |(cpu, wall)| (cpu.to_string(), wall.to_string()));
        let row = format!(
            "{},{:.2},{},{},{},{},{},{},{},{},{},{cpu_ms},{wall_ms}",
            stamp(self.root),
            load_average(),
            row.what,
            row.deployed,
            row.nodes,
            row.activities,
            number(row.together),
            number(row.cpu_ns),
            number(row.per_s),
            number(row.instructions),
            number(row.bytes),
        );
        append_row(&self.root.join("bench/slee.csv"), HEADER, &row)
    }
}

/// Runs a measurement; its last line.
fn answer(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "a measurement ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(text.lines().last().context("a measurement said nothing")?)?)
}
