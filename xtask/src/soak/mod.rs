//! `cargo xtask soak`: a pair under calls, a fault at a random moment, every bill checked.
//!
//! This file is the command: which runs there are. A run is in `run`, what can break in `kind`,
//! how in `fault`, what is promised in `limits`, what must show in `signs`, the bills in
//! `verdict`, the row in `record`, all rows in `summary`.

mod fault;
mod kind;
mod limits;
mod random;
mod record;
mod run;
mod signs;
mod small_disk;
mod store_damage;
mod summary;
pub mod verdict;
mod watch;
mod witness;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::bench::{binaries, provide_binaries};
use crate::own_network;
use crate::phones::Load;
use kind::Kind;
use record::Record;

/// Shown by `cargo xtask soak --help`.
pub const HELP: &str = "\
Each run starts a fresh pair of release binaries behind the balancer, lets SIPp make calls, breaks
something at a random moment, and compares the survivor's bills with the caller's own log. A row
for each run is appended to bench/failover.csv at once, so a soak can be stopped at any time; the
next one goes on with the next number. The number is the seed of the run: it chooses the moment,
and the kind unless --kind does.

A run is bad if a call failed, a bill is lost, doubled or wrong, a call is left over, the servers
disagree, the fault did not show, an alarm is left when all is well again, or a limit of time is
exceeded. Its files are kept in target/soak (but for what was on a disk that was full), and the exit
code is 1. alarm_ms of a row is the time from the fault to the first alarm of it at /api/v1/alarms;
a dash says that not all of what a person must see was to be seen.
disk_max_ms and wait_max_ms of a row are the machine's own: the slowest flushed write, and the
longest that a thread which wanted to run had to wait.

Needs root or a system that lets users have namespaces; SIPp, unshare, mount, ip and iptables.";

/// Where the rows go, from the root of the repository.
const FILE: &str = "bench/failover.csv";

/// What is run.
#[derive(Args)]
pub struct Options {
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 1)]
    runs: u32,
    /// What breaks, instead of all kinds in turn
    #[arg(long, value_enum, value_name = "K")]
    kind: Vec<Kind>,
    /// The first run's seed, instead of the number after the last row's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Calls that begin in a second
    #[arg(long, value_name = "N", default_value_t = 200)]
    rate: u32,
    /// For how long calls come
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
    /// From answer to BYE
    #[arg(long, value_name = "N", default_value_t = 30)]
    talk_s: u32,
    /// Append nothing and judge no times: the machine may be anything
    #[arg(long)]
    smoke: bool,
    /// Only print what the rows so far add up to
    #[arg(long)]
    summary: bool,
    /// Where the processes keep their state, instead of target/soak: /dev/shm takes the disk out
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Folder of the binaries, instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Builds the binaries, makes the runs and prints the summary.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let file = root.join(FILE);
    if options.summary {
        print!("{}", summary::summary(&summary::read(&file)?));
        return Ok(());
    }
    if !own_network::is_inside() {
        provide_binaries(root, options.binaries.as_deref())?;
        return own_network::enter();
    }
    let rows = summary::read(&file)?;
    let next = rows.iter().map(summary::Row::seed).max().map_or(1, |last| last + 1);
    let first = options.seed.unwrap_or(next);
    let kinds = if options.kind.is_empty() { Kind::value_variants() } else { &options.kind };
    let mut bad = 0;
    for seed in first..first + u64::from(options.runs) {
        let turn = usize::try_from(seed % kinds.len() as u64).expect("less than a few kinds");
        let record = one_run(root, options, kinds[turn], seed)
            .with_context(|| format!("run {seed} ({})", kinds[turn]))?;
        println!("{record}");
        bad += u32::from(!record.is_good(options.smoke));
        if !options.smoke {
            record.append(root, &file)?;
        }
    }
    if !options.smoke {
        print!("\n{}", summary::summary(&summary::read(&file)?));
    }
    if bad > 0 {
        bail!("{bad} of {} runs are bad; their files are kept", options.runs);
    }
    Ok(())
}

fn one_run(root: &Path, options: &Options, kind: Kind, seed: u64) -> Result<Record> {
    let folder = options.folder.clone().unwrap_or_else(|| root.join("target/soak"));
    let folder = folder.join(format!("{seed}-{kind}"));
    // Files of an earlier run of the same seed.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let load =
        Load { rate: options.rate, seconds: options.seconds, talk_ms: options.talk_s * 1000 };
    let binaries = binaries(root, options.binaries.as_deref());
    let record = run::run(root, &binaries, &folder, load, kind, seed)?;
    if record.is_good(options.smoke) {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(record)
}
