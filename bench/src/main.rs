//! `resilee-bench`: what the container costs, without sockets, threads and protocols. Cores of one
//! or two nodes run in this process, in virtual time; handlers run at once, what is stored counts
//! as flushed at once. `cargo xtask bench-slee` runs it, a process for each figure.
//!
//! Each measurement ends with one line of JSON. Calls through SIP, stores and networks are not
//! here (`cargo xtask bench`).

mod services;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use resilee_test_slee::{EventType, Slee, TestActivity};
use serde_json::json;
use services::{Counter, Deployed, Root, Tick};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: [EventType; 1] = [EventType::of::<Tick>()];

/// Measures the container.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
    /// 2: each commit goes to a backup before it counts
    #[arg(long, global = true, default_value_t = 1, value_parser = nodes())]
    nodes: u8,
    /// Activities, each with a cell of its own
    #[arg(long, global = true, default_value_t = 1_000)]
    activities: u64,
}

fn nodes() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=2)
}

#[derive(Subcommand)]
enum What {
    /// CPU time per event
    Events {
        /// What gets them
        #[arg(long, value_enum)]
        deployed: Deployed,
        /// Events, to all activities in turn
        #[arg(long, default_value_t = 500_000)]
        events: u64,
        /// Events that arrive together: their commits share frames and batches
        #[arg(long, default_value_t = 1)]
        together: u64,
    },
    /// Memory per idle activity with one entity attached
    Memory,
    /// Time until a survivor has adopted all cells of its peer
    Takeover,
}

fn main() -> Result<()> {
    let CommandLine { what, nodes, activities } = CommandLine::parse();
    let line = match what {
        What::Events { deployed, events, together } => {
            measure_events(nodes, activities, deployed, events, together)?
        }
        What::Memory => measure_memory(nodes, activities)?,
        What::Takeover => measure_takeover(activities)?,
    };
    println!("{line}");
    Ok(())
}

/// Nodes with these services.
fn slee(nodes: u8, deployed: Deployed) -> Slee {
    match nodes {
        1 => Slee::one(deployed.services(), &EVENTS),
        _ => Slee::pair(deployed.services(), &EVENTS),
    }
}

/// Starts activities; each has had one event.
fn begin(slee: &mut Slee, activities: u64) -> Vec<TestActivity> {
    let begin = |_| {
        let activity = slee.begin();
        slee.fire(activity, &Tick { number: 0 });
        activity
    };
    (0..activities).map(begin).collect()
}

fn measure_events(
    nodes: u8,
    activities: u64,
    deployed: Deployed,
    events: u64,
    together: u64,
) -> Result<serde_json::Value> {
    let mut slee = slee(nodes, deployed);
    let begun = begin(&mut slee, activities);
    let before = Clock::now()?;
    for number in 0..events {
        let activity = begun[(number % activities) as usize];
        slee.fire_later(activity, &Tick { number });
        if (number + 1) % together == 0 {
            slee.settle();
        }
    }
    slee.settle();
    let (cpu, wall) = before.passed()?;
    // The activity that was started last had the fewest events.
    let expected = 1 + events / activities;
    let counted = match deployed {
        Deployed::None => expected,
        Deployed::Counter => slee.state::<Counter>(1).map_or(0, |it| it.count),
        Deployed::Tree => {
            let root = slee.state::<Root>(1).map_or(0, |it| it.count);
            (2..=3).filter_map(|n| slee.state::<Counter>(n)).fold(root, |n, it| n.min(it.count))
        }
    };
    ensure!(counted == expected, "{counted} events were counted instead of {expected}");
    ensure!(slee.agrees(), "the nodes do not hold the same");
    Ok(json!({
        "deployed": deployed, "nodes": nodes, "activities": activities, "events": events,
        "together": together, "cpu_ns": cpu.as_nanos() / u128::from(events),
        "per_s": (events as f64 / wall.as_secs_f64()) as u64,
    }))
}

fn measure_memory(nodes: u8, activities: u64) -> Result<serde_json::Value> {
    let mut slee = slee(nodes, Deployed::Counter);
    let warm = begin(&mut slee, 100);
    warm.into_iter().for_each(|activity| slee.end(activity));
    ensure!(slee.is_empty(), "an activity that is over left something behind");
    let before = memory_bytes()?;
    let begun = begin(&mut slee, activities);
    let after = memory_bytes()?;
    // They are there, and live.
    let last = *begun.last().context("there are activities")?;
    slee.fire(last, &Tick { number: 1 });
    ensure!(slee.state::<Counter>(1).is_some_and(|it| it.count == 2), "an activity was lost");
    // The list of what was begun is not a node's.
    let own = size_of_val(&begun[..]) as u64;
    let grown = after.saturating_sub(before + own);
    Ok(json!({ "nodes": nodes, "activities": activities, "bytes": grown / activities }))
}

fn measure_takeover(activities: u64) -> Result<serde_json::Value> {
    let mut slee = slee(2, Deployed::Counter);
    let begun = begin(&mut slee, activities);
    slee.lose_the_owner();
    let before = Clock::now()?;
    slee.until_members(1);
    let (cpu, wall) = before.passed()?;
    for activity in &begun {
        slee.fire(*activity, &Tick { number: 1 });
    }
    let cells = slee.cells(usize::MAX);
    let served = cells.iter().filter(|cell| cell.owner.as_deref() == Some("server2")).count();
    ensure!(served as u64 == activities, "{served} of {activities} cells were taken over");
    ensure!(slee.state::<Counter>(1).is_some_and(|it| it.count == 2), "a count was lost");
    let ms = |time: Duration| (time.as_secs_f64() * 1e4).round() / 10.0;
    Ok(json!({ "activities": activities, "cpu_ms": ms(cpu), "wall_ms": ms(wall) }))
}

/// CPU time of this process, and wall time.
struct Clock {
    cpu: Duration,
    wall: Instant,
}

impl Clock {
    fn now() -> Result<Self> {
        let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
        Ok(Clock { cpu: nix::time::clock_gettime(clock)?.into(), wall: Instant::now() })
    }

    /// CPU and wall time since then.
    fn passed(&self) -> Result<(Duration, Duration)> {
        let now = Clock::now()?;
        Ok((now.cpu.saturating_sub(self.cpu), now.wall.duration_since(self.wall)))
    }
}

/// Proportional set size of this process.
fn memory_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no Pss")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
