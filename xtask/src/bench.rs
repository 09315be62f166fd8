//! `cargo xtask bench`: what calls cost. The pair behind the balancer, SIPp on both sides.
//!
//! Each rate gets a fresh pair. Faults are not here (`soak`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::command::build_programs;
use crate::figures::{append_row, load_average, or_dash, percentile, stamp};
use crate::own_network;
use crate::pair::{Pair, Usage};
use crate::phones::{Load, Phones};

/// Shown by `cargo xtask bench --help`.
pub const HELP: &str = "\
Each rate gets a fresh pair of release binaries behind the balancer, 200 registered users and open
calls (no authentication of INVITE): ring 100 ms, talk 1 s, hang up. CPU is user and system time of
the processes from the first call to the last, per 1,000 calls. Ring delay is from INVITE to 180;
set-up is from INVITE to 200, less the 100 ms that the callee rings; release is from BYE to its 200.
Memory is the proportional set size before and with all calls up.

Rows go to bench/load.csv and bench/memory.csv. Needs SIPp, and unshare (util-linux) and ip
(iproute2) for a network of its own; root, or a system that lets users have namespaces.";

const LOAD_HEADER: &str = "at,commit,load_average,rate,seconds,calls,failed,repeats,\
ring_p50_ms,ring_p95_ms,ring_p99_ms,ring_max_ms,set_up_p50_ms,set_up_p95_ms,set_up_p99_ms,\
set_up_max_ms,release_p50_ms,release_p99_ms,balancer_cpu_s_per_1000,nodes_cpu_s_per_1000,\
idle_balancer_cpu,idle_nodes_cpu";
const MEMORY_HEADER: &str = "at,commit,load_average,calls_up,balancer_before_bytes,\
balancer_bytes,nodes_before_bytes,nodes_bytes,bytes_per_call_and_node";

/// From answer to BYE.
const TALK_MS: u32 = 1_000;
/// For how long an idle pair is watched.
const IDLE: Duration = Duration::from_secs(3);
/// What is still under way when the last call is over: the store, mostly.
const SETTLE: Duration = Duration::from_millis(500);
/// How much longer than planned the calls may take: all repeats of a lost BYE.
const LATE_MAX: Duration = Duration::from_secs(40);
/// How fast calls come whose memory is measured.
const MEMORY_RATE: u32 = 400;

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Calls per second, one run each
    #[arg(long, value_delimiter = ',', default_values_t = [200, 500, 1000])]
    rates: Vec<u32>,
    /// For how long calls come
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
    /// Calls that are up when memory is measured; 0: not measured
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    memory_calls: u32,
    /// Folder of the binaries, instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Builds the binaries and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if !own_network::is_inside() {
        provide_binaries(root, options.binaries.as_deref())?;
        return own_network::enter();
    }
    let binaries = binaries(root, options.binaries.as_deref());
    println!(
        "| calls/s | calls | failed | repeats | ring delay p50/p95/p99/max ms \
         | set-up p50/p95/p99/max ms | release p50/p99 ms | CPU s per 1,000: balancer | nodes \
         | sum | load |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for rate in &options.rates {
        let load = Load { rate: *rate, seconds: options.seconds, talk_ms: TALK_MS };
        measure_load(root, &binaries, load)?;
    }
    if options.memory_calls > 0 {
        measure_memory(root, &binaries, options.memory_calls)?;
    }
    Ok(())
}

/// Builds the release binaries, unless they are there.
pub fn provide_binaries(root: &Path, given: Option<&Path>) -> Result<()> {
    if given.is_some() {
        return Ok(());
    }
    build_programs(root, &["resilee", "resilee-balancer"])
}

/// Where the release binaries are.
pub fn binaries(root: &Path, given: Option<&Path>) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = given.map(Path::to_owned);
    let folder =
        folder.unwrap_or_else(|| target.unwrap_or_else(|| "target".into()).join("release"));
    root.join(folder)
}

fn measure_load(root: &Path, binaries: &Path, load: Load) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair::start(binaries, folder.path())?;
    let idle = idle(&pair)?;
    let mut phones = Phones::start(root, folder.path(), load)?;
    let before = pair.usage()?;
    phones.wait(load.duration() + LATE_MAX)?;
    let busy = load_average();
    std::thread::sleep(SETTLE);
    let after = pair.usage()?;
    let repeats = phones.repeats()?;
    let calls = phones.calls()?;
    let times = |time: fn(&crate::phones::Call) -> Option<u64>, percents: &[u32]| {
        let mut times: Vec<u64> = calls.values().filter_map(time).collect();
        percents.iter().map(|percent| or_dash(percentile(&mut times, *percent))).collect::<Vec<_>>()
    };
    let ring = times(crate::phones::Call::ring_delay_ms, &[50, 95, 99, 100]);
    let set_up = times(crate::phones::Call::set_up_ms, &[50, 95, 99, 100]);
    let release = times(crate::phones::Call::release_ms, &[50, 99]);
    let made = calls.len() as u64;
    let per_1000 = |index: usize| {
        let used: Usage = after[index] - before[index];
        used.cpu.as_secs_f64() * 1000.0 / made.max(1) as f64
    };
    let (balancer, nodes) = (per_1000(0), per_1000(1));
    let failed = load.failed(&calls);
    println!(
        "| {} | {made} | {failed} | {} | {} | {} | {} | {balancer:.3} | {nodes:.3} | {:.3} \
         | {busy:.1} |",
        load.rate,
        repeats,
        ring.join("/"),
        set_up.join("/"),
        release.join("/"),
        balancer + nodes,
    );
    let row = format!(
        "{},{busy:.2},{},{},{made},{failed},{},{},{},{},{balancer:.3},{nodes:.3},{:.4},{:.4}",
        stamp(root),
        load.rate,
        load.seconds,
        repeats,
        ring.join(","),
        set_up.join(","),
        release.join(","),
        idle[0],
        idle[1],
    );
    append_row(&root.join("bench/load.csv"), LOAD_HEADER, &row)
}

/// The share of a processor that balancer and nodes take without calls.
fn idle(pair: &Pair) -> Result<[f64; 2]> {
    let before = pair.usage()?;
    std::thread::sleep(IDLE);
    let after = pair.usage()?;
    Ok([0, 1].map(|index| (after[index] - before[index]).cpu.div_duration_f64(IDLE)))
}

fn measure_memory(root: &Path, binaries: &Path, calls: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair::start(binaries, folder.path())?;
    let seconds = calls.div_ceil(MEMORY_RATE);
    // All are up when the last one begins, and some seconds more.
    let load = Load { rate: MEMORY_RATE, seconds, talk_ms: (seconds + 20) * 1000 };
    let before = pair.usage()?;
    let mut phones = Phones::start(root, folder.path(), load)?;
    std::thread::sleep(Duration::from_secs(u64::from(seconds) + 3));
    let up = pair.management(1).calls()?;
    let [balancer, nodes] = pair.usage()?;
    let grown = nodes.pss_bytes.saturating_sub(before[1].pss_bytes);
    let per_call = grown / 2 / (up.max(1) as u64);
    phones.repeats()?;
    println!(
        "\n{up} calls up: balancer {:.1} MB (before: {:.1}), both nodes {:.1} MB (before: {:.1}): \
         {per_call} bytes per call and node",
        mega(balancer.pss_bytes),
        mega(before[0].pss_bytes),
        mega(nodes.pss_bytes),
        mega(before[1].pss_bytes),
    );
    let row = format!(
        "{},{:.2},{up},{},{},{},{},{per_call}",
        stamp(root),
        load_average(),
        before[0].pss_bytes,
        balancer.pss_bytes,
        before[1].pss_bytes,
        nodes.pss_bytes,
    );
    append_row(&root.join("bench/memory.csv"), MEMORY_HEADER, &row)
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
