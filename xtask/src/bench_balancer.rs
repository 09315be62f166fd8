//! `cargo xtask bench-balancer`: what the balancer takes for a datagram, beside a bare forwarder
//! that passes the same ones on; and what a flood does to it and to the calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::bench::binaries;
use crate::command::build_programs;
use crate::figures::{append_row, load_average, stamp};
use crate::own_network;
use crate::pair::{Pair, Process, SIP, Usage};
use crate::phones::{Load, Phones, Place};

/// Shown by `cargo xtask bench-balancer --help`.
pub const HELP: &str = "\
Forwarder: phones (SIPp) send to a bare forwarder (recv, send; a thread for each socket), which
passes all on to the balancer, and what comes back to the phones. So both handle the same datagrams
at the same time; CPU is user and system time of their processes, heartbeats included. Rows go to
bench/forward.csv.

Flood: malformed and random datagrams from many source addresses beside calls. Memory is the
balancer's proportional set size before, the most that was seen, and after. Addresses of the phones
are trusted, those of the flood are not. Rows go to bench/flood.csv.

Needs SIPp, and unshare (util-linux) and ip (iproute2) for a network of its own; root, or a system
that lets users have namespaces.";

const FORWARD_HEADER: &str = "at,commit,load_average,rate,seconds,calls,failed,datagrams,\
forwarder_cpu_us,balancer_cpu_us,ratio";
const FLOOD_HEADER: &str = "at,commit,load_average,flood_per_s,sources,seconds,sent,dropped,calls,\
failed,repeats,balancer_cpu_s,before_bytes,most_bytes,after_bytes";

/// Where phones reach the forwarder.
const FORWARDER: &str = "127.0.0.1:5050";
/// From answer to BYE.
const TALK_MS: u32 = 1_000;
/// How much longer than planned the calls may take: all repeats of a lost BYE.
const LATE_MAX: Duration = Duration::from_secs(40);
/// Until the last datagram is counted.
const SETTLE: Duration = Duration::from_millis(500);
/// Calls begin so long before the flood, and go on so long after it.
const CALLS_AROUND_S: u32 = 3;
/// A flood fills the tables of sources once: 3.4 MB more were measured, whatever it lasts.
const GROWN_MAX: u64 = 8_000_000;
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Calls per second beside the forwarder, one run each
    #[arg(long, value_delimiter = ',', default_values_t = [100, 500, 1000])]
    rates: Vec<u32>,
    /// For how long calls come, and for how long the flood
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
    /// Datagrams per second of the flood; 0: none
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    flood: u32,
    /// Addresses that the flood comes from
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    sources: u32,
    /// Calls per second beside the flood
    #[arg(long, value_name = "N", default_value_t = 50)]
    flood_calls: u32,
    /// Folder of the binaries, instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Builds the binaries and measures.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if !own_network::is_inside() {
        if options.binaries.is_none() {
            build_programs(root, &["resilee", "resilee-balancer", "resilee-bench-balancer"])?;
        }
        return own_network::enter();
    }
    let binaries = binaries(root, options.binaries.as_deref());
    if !options.rates.is_empty() {
        println!(
            "| calls/s | failed | datagrams | forwarder µs | balancer µs | ratio \
             | a call: forwarder ms | balancer ms | load |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }
    for rate in &options.rates {
        measure_forwarder(root, &binaries, *rate, options.seconds)?;
    }
    if options.flood > 0 {
        measure_flood(root, &binaries, options)?;
    }
    Ok(())
}

fn measure_forwarder(root: &Path, binaries: &Path, rate: u32, seconds: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair::start(binaries, folder.path())?;
    let mut command = Command::new(binaries.join("resilee-bench-balancer"));
    command.args(["forward", "--listen", FORWARDER, "--to", SIP]);
    let forwarder = Process::start("forwarder", folder.path(), command)?;
    let passed = || -> Result<u64> {
        let log = fs::read_to_string(folder.path().join("forwarder.log"))?;
        log.lines().next_back().map_or(Ok(0), |line| Ok(line.parse()?))
    };
    let load = Load { rate, seconds, talk_ms: TALK_MS };
    let behind = Place { proxy: FORWARDER, ..Place::LOOPBACK };
    let mut phones = Phones::start_at(root, folder.path(), load, behind)?;
    let before = (passed()?, forwarder.usage()?, pair.usage()?[0]);
    phones.wait(load.duration() + LATE_MAX)?;
    let busy = load_average();
    std::thread::sleep(SETTLE);
    let datagrams = passed()? - before.0;
    ensure!(datagrams > 0, "the forwarder passed nothing on");
    let used = [forwarder.usage()? - before.1, pair.usage()?[0] - before.2];
    let calls = phones.calls()?;
    let each = |usage: Usage| usage.cpu.as_secs_f64() * 1e6 / datagrams as f64;
    let [bare, balancer] = used.map(each);
    let (failed, ratio) = (load.failed(&calls), balancer / bare);
    let [bare_call, balancer_call] =
        used.map(|usage| usage.cpu.as_secs_f64() * 1e3 / calls.len() as f64);
    println!(
        "| {rate} | {failed} | {datagrams} | {bare:.2} | {balancer:.2} | {ratio:.2} \
         | {bare_call:.3} | {balancer_call:.3} | {busy:.1} |"
    );
    let row = format!(
        "{},{busy:.2},{rate},{seconds},{},{failed},{datagrams},{bare:.2},{balancer:.2},{ratio:.2}",
        stamp(root),
        calls.len(),
    );
    append_row(&root.join("bench/forward.csv"), FORWARD_HEADER, &row)
}

fn measure_flood(root: &Path, binaries: &Path, options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair::start_with(binaries, folder.path(), PHONES_TRUSTED)?;
    let seconds = options.seconds + 2 * CALLS_AROUND_S;
    let load = Load { rate: options.flood_calls, seconds, talk_ms: TALK_MS };
    let mut phones = Phones::start(root, folder.path(), load)?;
    std::thread::sleep(Duration::from_secs(CALLS_AROUND_S.into()));
    let before = pair.usage()?[0];
    let mut command = Command::new(binaries.join("resilee-bench-balancer"));
    command.args(["flood", "--to", SIP]);
    for (option, value) in
        [("--rate", options.flood), ("--sources", options.sources), ("--seconds", options.seconds)]
    {
        command.args([option, &value.to_string()]);
    }
    let mut flood = Process::start("flood", folder.path(), command)?;
    let mut most = before.pss_bytes;
    while flood.is_running() {
        std::thread::sleep(LOOK_EVERY);
        most = most.max(pair.usage()?[0].pss_bytes);
    }
    let busy = load_average();
    let log = fs::read_to_string(folder.path().join("flood.log"))?;
    let sent = log.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
    let sent = sent.with_context(|| format!("the flood ended with {:?}", log.trim()))?;
    phones.wait(load.duration() + LATE_MAX)?;
    let after = pair.usage()?[0];
    let (calls, repeats) = (phones.calls()?, phones.repeats()?);
    let failed = load.failed(&calls);
    // What the kernel dropped never reached the balancer.
    let dropped = kernel_drops()?;
    let cpu = (after - before).cpu.as_secs_f64();
    println!(
        "\n{sent} datagrams from {} addresses in {} s ({dropped} of them the kernel dropped) \
         beside {} calls: {failed} failed, {repeats} messages sent again; balancer {cpu:.2} s CPU, \
         {:.1} MB before, {:.1} at most, {:.1} after (load {busy:.1})",
        options.sources,
        options.seconds,
        calls.len(),
        before.pss_bytes as f64 / 1e6,
        most as f64 / 1e6,
        after.pss_bytes as f64 / 1e6,
    );
    let row = format!(
        "{},{busy:.2},{},{},{},{sent},{dropped},{},{failed},{repeats},{cpu:.2},{},{most},{}",
        stamp(root),
        options.flood,
        options.sources,
        options.seconds,
        calls.len(),
        before.pss_bytes,
        after.pss_bytes,
    );
    append_row(&root.join("bench/flood.csv"), FLOOD_HEADER, &row)?;
    ensure!(failed == 0, "{failed} calls failed beside the flood");
    let grown = most.max(after.pss_bytes).saturating_sub(before.pss_bytes);
    ensure!(grown <= GROWN_MAX, "the balancer grew by {grown} bytes, {GROWN_MAX} are allowed");
    Ok(())
}

/// Trusts 127.0.0.0/16, where phones are, instead of 127.0.0.0/8.
const PHONES_TRUSTED: &str = "[protection]\nallow = [\"127.0.0.0/16\"]\n";

/// Datagrams of this network that found a full queue.
fn kernel_drops() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/snmp")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = lines.next().zip(lines.next()).context("/proc/net/snmp has no Udp")?;
    let found = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "RcvbufErrors");
    Ok(found.context("/proc/net/snmp has no RcvbufErrors")?.1.parse()?)
}
