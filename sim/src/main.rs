//! `resilee-sim`: plays seeds. `check` is the fixed part of the test run, `sweep` looks for new
//! failures, `replay` shows one seed step by step.

use clap::{Parser, Subcommand};
use resilee_sim::{Ending, Fault, Plan, Process, Report, When, play, play_plan};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Seeds of the test run, besides the committed ones.
const CHECKED_SEEDS: std::ops::Range<u64> = 0..2_000;
/// Seeds that failed once.
const COMMITTED_SEEDS: &str = include_str!("../seeds.txt");

/// Plays whole clusters from seeds.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays the fixed range and the committed seeds, some of them twice.
    Check,
    /// Plays new seeds for some minutes and says which fail.
    Sweep {
        /// How long.
        #[arg(long, default_value_t = 5)]
        minutes: u64,
        /// The first seed; by default one that the clock gives.
        #[arg(long)]
        from: Option<u64>,
    },
    /// Plays one seed and prints its trace.
    Replay {
        /// The seed.
        seed: u64,
    },
    /// Kills each process at each step of the plain call.
    Steps,
    /// Plants one fault after the other, and says which rule finds it.
    #[cfg(feature = "planted-faults")]
    Planted,
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().command {
        Command::Check => check(),
        Command::Sweep { minutes, from } => sweep(minutes, from),
        Command::Replay { seed } => replay(seed),
        Command::Steps => kill_at_every_step().1 == 0,
        #[cfg(feature = "planted-faults")]
        Command::Planted => planted(),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn committed_seeds() -> impl Iterator<Item = u64> {
    let lines = COMMITTED_SEEDS.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed is a number"))
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulator is, not what it decides")]
fn check() -> bool {
    let started = Instant::now();
    let (mut played, mut failed, mut steps) = (0u64, 0u64, 0u64);
    for seed in committed_seeds().chain(CHECKED_SEEDS) {
        let report = play(seed, false);
        played += 1;
        steps += report.steps;
        failed += u64::from(!passes(&report));
        if seed % 100 == 0 && play(seed, false).fingerprint != report.fingerprint {
            failed += 1;
            println!("seed {seed}: played twice, two traces");
        }
    }
    let (at_steps, lost) = kill_at_every_step();
    let seconds = started.elapsed().as_secs_f64();
    (played, failed) = (played + at_steps, failed + lost);
    let rate = played as f64 / seconds;
    println!("{played} seeds, {steps} steps in {seconds:.1} s: {rate:.0} seeds per second");
    println!("{} passed, {failed} failed", played - failed.min(played));
    failed == 0
}

/// Kills each process at each step of the plain call, however it ends. Plans played, and failed.
fn kill_at_every_step() -> (u64, u64) {
    let (mut played, mut failed) = (0, 0);
    for ending in [Ending::Caller, Ending::Callee, Ending::Cancel] {
        let steps = play_plan(Plan::plain(ending, Vec::new()), false).steps_of_calls;
        for process in [Process::Node(0), Process::Node(1), Process::Balancer] {
            for at_step in 0..=steps {
                let restart_ms = (process == Process::Balancer).then_some(20);
                let kill = (When::Step(at_step), Fault::Kill { process, restart_ms });
                let report = play_plan(Plan::plain(ending, vec![kill]), false);
                played += 1;
                if let Some(violation) = report.violation {
                    failed += 1;
                    println!("{ending:?}, {process:?} killed at step {at_step}: {violation}");
                }
            }
        }
    }
    println!("a kill at every step of the plain call: {played} runs, {failed} failed");
    (played, failed)
}

#[expect(clippy::disallowed_methods, reason = "how long to sweep is asked in minutes")]
fn sweep(minutes: u64, from: Option<u64>) -> bool {
    let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let first = from.unwrap_or_else(|| clock() << 20);
    let started = Instant::now();
    let limit = Duration::from_secs(minutes * 60);
    let (mut played, mut failed) = (0u64, 0u64);
    while started.elapsed() < limit {
        failed += u64::from(!passes(&play(first + played, false)));
        played += 1;
    }
    println!("{played} seeds from {first}: {failed} failed");
    failed == 0
}

fn passes(report: &Report) -> bool {
    let Some(violation) = &report.violation else { return true };
    println!("seed {}: {violation}\n  {:?}", report.seed, report.plan);
    println!("  replay it: cargo run --release -p resilee-sim -- replay {}", report.seed);
    false
}

fn replay(seed: u64) -> bool {
    let report = play(seed, true);
    report.lines.iter().for_each(|line| println!("{line}"));
    println!("{:?}", report.plan);
    println!("{} steps, fingerprint {:016x}", report.steps, report.fingerprint);
    passes(&report)
}

#[cfg(feature = "planted-faults")]
fn planted() -> bool {
    let mut all = true;
    for &fault in resilee_membership::PlantedFault::ALL {
        match resilee_sim::planted::find(fault) {
            Ok(found) => println!("{fault:?}: {} runs: {}", found.runs, found.rule),
            Err(reason) => {
                all = false;
                println!("{fault:?}: {reason}");
            }
        }
    }
    all
}
