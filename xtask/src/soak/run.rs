//! One run: start, calls, fault, end of the calls, bills.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::fault::{Moments, Stage};
use super::kind::Kind;
use super::random::Random;
use super::record::{Record, Times};
use super::small_disk::SmallDisk;
use super::verdict::Verdict;
use super::watch::{Shown, Watch, alarms_left};
use super::witness::Witness;
use crate::figures::load_average;
use crate::pair::{Bill, Pair, data_dir, first_line};
use crate::phones::{Load, Phones, RING_MS};

/// How much longer than planned the calls may take: all repeats of a lost message.
const LATE_MAX: Duration = Duration::from_secs(45);
/// After the last call: its bill, and calls that nobody ended.
const OVER_MAX: Duration = Duration::from_secs(10);
/// No fault before so many milliseconds of calls.
const CALLS_FIRST_MS: u64 = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Plays it.
pub fn run(
    root: &Path,
    binaries: &Path,
    folder: &Path,
    load: Load,
    kind: Kind,
    seed: u64,
) -> Result<Record> {
    let mut random = Random::new(seed);
    let loaded = load_average();
    let witness = Witness::start(folder)?;
    let disk = kind.small_disk().map(|server| SmallDisk::mount(&data_dir(folder, server)));
    let disk = disk.transpose()?;
    let mut pair = Pair::start(binaries, folder)?;
    let mut phones = Phones::start(root, folder, load)?;
    let started = Instant::now();
    // The last second of calls is left out: whatever broke needs calls that show it.
    let end_ms = u64::try_from(load.duration().as_millis())?.saturating_sub(1_000);
    let bill_ms = if kind.needs_bills() { u64::from(load.talk_ms) + RING_MS } else { 0 };
    let first_ms = CALLS_FIRST_MS + bill_ms;
    let fault_at_ms = random.between(first_ms, end_ms.max(first_ms));
    sleep(Duration::from_millis(fault_at_ms).saturating_sub(started.elapsed()));
    let watch = Watch::start(&pair, kind);
    let stage = Stage { pair: &mut pair, random: &mut random, disk: disk.as_ref() };
    let moments = played(stage, kind, seed);
    let shown = watch.shown();
    for missing in &shown.missing {
        println!("run {seed}: never seen: {missing}");
    }
    let left = (load.duration() + LATE_MAX).saturating_sub(started.elapsed());
    phones.wait(left.max(OVER_MAX))?;
    let loaded = loaded.max(load_average());
    let seen = witness.seen();
    let left_over = left_over(&pair, kind)?;
    let repeats = phones.repeats()?;
    let calls = phones.calls()?;
    let bills = bills(&pair, kind)?;
    let limits = kind.limits();
    let verdict = Verdict::new(&calls, &bills[0], limits.duration_ms);
    for problem in &verdict.problems {
        println!("run {seed}: {problem}");
    }
    let alarms_left = told_alarms_left(&pair, kind, seed);
    let differ = bills.iter().any(|others| !same_bills(&bills[0], others));
    Ok(Record {
        seed,
        kind,
        load,
        load_average: loaded,
        seen,
        fault_at_ms,
        calls: calls.len() as u64,
        failed: load.failed(&calls),
        repeats,
        verdict: verdict.figures,
        left_over,
        differ: differ || moments.is_none(),
        alarms_left,
        times: moments.map(|moments| times(&pair, kind, &moments, &shown)).unwrap_or_default(),
    })
}

/// Plays the fault; nothing if the pair did not become whole again.
fn played(mut stage: Stage<'_>, kind: Kind, seed: u64) -> Option<Moments> {
    match stage.play(kind) {
        Ok(moments) => Some(moments),
        Err(error) => {
            println!("run {seed}: {error:#}");
            None
        }
    }
}

/// How many alarms are left although all is well again.
fn told_alarms_left(pair: &Pair, kind: Kind, seed: u64) -> u64 {
    if kind.survivors().len() < 2 {
        return 0;
    }
    let left = alarms_left(pair, kind);
    for alarm in &left {
        println!("run {seed}: an alarm is left: {alarm:?}");
    }
    left.len() as u64
}

/// Calls that are still in progress although no phone knows of them.
fn left_over(pair: &Pair, kind: Kind) -> Result<u64> {
    let deadline = Instant::now() + OVER_MAX;
    loop {
        let mut left = 0;
        for server in kind.survivors() {
            left = left.max(pair.management(*server).calls()?);
        }
        if left == 0 || Instant::now() > deadline {
            return Ok(left as u64);
        }
        sleep(LOOK_EVERY);
    }
}

/// The bills of each survivor.
fn bills(pair: &Pair, kind: Kind) -> Result<Vec<Vec<Bill>>> {
    // A bill is written when the other server has it, and is read when it is written.
    sleep(LOOK_EVERY);
    let bills = kind.survivors().iter().map(|server| pair.management(*server).bills());
    bills.collect::<Result<_>>().context("bills of a survivor")
}

fn same_bills(one: &[Bill], other: &[Bill]) -> bool {
    let ids = |bills: &[Bill]| {
        let mut ids: Vec<_> = bills.iter().map(|b| (b.call_id.clone(), b.ended_at)).collect();
        ids.sort();
        ids
    };
    ids(one) == ids(other)
}

/// Reads the logs.
fn times(pair: &Pair, kind: Kind, moments: &Moments, shown: &Shown) -> Times {
    let logs: Vec<String> = (0..3).map(|index| pair.log(index)).collect();
    let first = |logs: &[String], since, wanted: fn(&str) -> bool| {
        let found = logs.iter().filter_map(|log| first_line(log, since, wanted));
        found.min().and_then(|time| u64::try_from(time.as_millis()).ok())
    };
    let broken = moments.broken;
    let noticed = |said: &str| said.contains(" is lost") || said.contains("nobody listens");
    let alone = |said: &str| said.contains(" adopted: ") && !said.contains(", ");
    let both = |said: &str| said.contains(" adopted: ") && said.contains(", ");
    let takeover = kind.changes_view().then(|| first(&logs[1..], broken, alone)).flatten();
    Times {
        balancer_ms: first(&logs[..1], broken, noticed),
        cluster_ms: first(&logs[1..], broken, noticed),
        alarm_ms: shown.after_ms(broken),
        takeover_ms: takeover,
        resync_ms: moments.mended.and_then(|mended| first(&logs[1..], mended, both)),
    }
}
