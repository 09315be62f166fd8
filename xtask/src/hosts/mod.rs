//! `cargo xtask hosts`: two balancers and two servers, each a host of its own, with cables that can
//! be pulled; under calls.
//!
//! This file is the command, and a run. The network is in `network`, what runs on the hosts in
//! `cluster`, what breaks in `fault`.

mod cluster;
mod fault;
mod network;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::bench::{binaries, provide_binaries};
use crate::own_network;
use crate::phones::{Load, Phones, Place};
use crate::soak::verdict::Verdict;
use cluster::Cluster;
use fault::Fault;
use network::{CLIENT, ENTRY, Network};

/// Shown by `cargo xtask hosts --help`.
pub const HELP: &str = "\
Each run makes five hosts (network namespaces on two bridges, one for phones and one for servers):
one with SIPp, two with a balancer, two with a server. Under calls a process is killed, or cables of
its host are pulled and put back.
Then the caller's log is compared with both servers' bills, and the phones' address must never have
been at two hosts that could be reached. Exit code 1 if a call failed, a bill is lost, doubled or
wrong, an address was held twice, or nobody had taken over within the fault's limit. Files of a bad
run are kept in target/hosts.

Needs root or a system that lets users have namespaces; SIPp, unshare, mount and ip; for the fault
keepalived also that program and curl.";

/// How much longer than planned the calls may take: all repeats of a lost message.
const LATE_MAX: Duration = Duration::from_secs(45);
/// After so long of calls something breaks.
const CALLS_FIRST: Duration = Duration::from_secs(4);

/// What is run.
#[derive(Args)]
pub struct Options {
    /// What breaks, instead of all in turn
    #[arg(long, value_enum, value_name = "K")]
    fault: Vec<Fault>,
    /// Calls that begin in a second
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate: u32,
    /// For how long calls come
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
    /// From answer to BYE
    #[arg(long, value_name = "N", default_value_t = 5)]
    talk_s: u32,
    /// Folder of the binaries, instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<std::path::PathBuf>,
}

/// Builds the binaries and makes the runs.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if !own_network::is_inside() {
        provide_binaries(root, options.binaries.as_deref())?;
        return own_network::enter();
    }
    let faults = if options.fault.is_empty() { Fault::value_variants() } else { &options.fault };
    let network = Network::make()?;
    let load =
        Load { rate: options.rate, seconds: options.seconds, talk_ms: options.talk_s * 1000 };
    let mut bad = 0;
    for fault in faults {
        let good = one_run(root, &network, options, load, *fault)
            .with_context(|| format!("fault {fault}"))?;
        bad += u32::from(!good);
    }
    ensure!(bad == 0, "{bad} of {} runs are bad; their files are kept", faults.len());
    Ok(())
}

fn one_run(
    root: &Path,
    network: &Network,
    options: &Options,
    load: Load,
    fault: Fault,
) -> Result<bool> {
    let folder = root.join("target/hosts").join(fault.to_string());
    // Files of an earlier run.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let binaries = binaries(root, options.binaries.as_deref());
    let mut cluster = Cluster::start(&binaries, &folder, fault.has_keepalived())?;
    let proxy = format!("{ENTRY}:5060");
    let place = Place { address: CLIENT, host: Some("client"), proxy: &proxy, signed: &proxy };
    let mut phones = Phones::start_at(root, &folder, load, place)?;
    std::thread::sleep(CALLS_FIRST);
    let played = fault.play(network, &mut cluster)?;
    phones.wait(load.duration() + LATE_MAX)?;
    phones.repeats()?;
    let calls = phones.calls()?;
    let mut good = played.twice_ms == 0;
    for server in cluster.survivors(fault) {
        let bills = cluster.bills_once_quiet(server)?;
        let verdict = Verdict::new(&calls, &bills, fault.off_max_ms());
        verdict.problems.iter().for_each(|problem| println!("{fault}, {server}: {problem}"));
        let figures = verdict.figures;
        let all_billed = figures.lost + figures.double + figures.stray + figures.wrong == 0;
        println!("{fault}, bills of {server}: {figures:?}");
        good &= all_billed;
    }
    let failed = load.failed(&calls);
    let limit = fault.takeover_max_ms();
    let takeover = played.takeover_ms.map_or("none was seen".to_owned(), |ms| format!("{ms} ms"));
    println!(
        "{fault}: {} calls, {failed} failed; takeover: {takeover} of at most {limit} ms; address \
         at two hosts for {} ms meanwhile, and {} ms when all was put back",
        load.calls(),
        played.leaving_ms,
        played.twice_ms,
    );
    good &= failed == 0 && played.takeover_ms.is_some_and(|ms| ms <= limit);
    cluster.end();
    if good {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(good)
}
