//! `resilee-sim`: plays seeds. `check` is the fixed part of the test run, `sweep` looks for new
//! failures, `replay` shows one seed step by step.

use clap::{Parser, Subcommand};
use resilee_sim::{Ending, Fault, Plan, Process, Report, Violation, Waking, When, play, play_plan};
use resilee_test_kit::flows::FLOWS;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The allocator of the nodes themselves; all that happens in memory takes less time with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seeds of the test run, besides the committed ones.
const CHECKED_SEEDS: std::ops::Range<u64> = 0..5_000;
/// The test run kills at each so many steps of a flow.
const CHECKED_EVERY: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
/// A flow with more steps waits for a timer; most of them are heartbeats.
const STEPS_OF_A_FLOW_MAX: u64 = 2_500;
/// A call of a service with more steps waits for a timer.
const LONG_WAKE_UP: u64 = 1_000;
/// Where steps are left out, so many times as many are in such a flow.
const COARSER_IN_A_LONG_FLOW: usize = 10;
/// Seeds of a sweep that are played before their failures are told.
const SEEDS_AT_ONCE: u64 = 256;
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
    /// Plays new seeds for some minutes, or so many, and says which fail.
    Sweep {
        /// How long.
        #[arg(long, default_value_t = 5)]
        minutes: u64,
        /// How many, instead of how long.
        #[arg(long)]
        seeds: Option<u64>,
        /// The first seed; by default one that the clock gives.
        #[arg(long)]
        from: Option<u64>,
    },
    /// Plays one seed and prints its trace.
    Replay {
        /// The seed.
        seed: u64,
    },
    /// Kills and stops each process at each step of the plain call.
    Steps,
    /// Plays the calls that a service makes, with either node killed at each step.
    WakeUps {
        /// Only each so many steps; ten times as many if nobody says anything for long.
        #[arg(long, default_value = "1")]
        every: NonZeroUsize,
    },
    /// Plays the call flows, or one of them, with the owner killed at each step.
    Flows {
        /// Which; all without it.
        name: Option<String>,
        /// Only this step, with the trace.
        step: Option<u64>,
        /// Only each so many steps; ten times as many in a flow with more than 2,500.
        #[arg(long, default_value = "1", conflicts_with = "step")]
        every: NonZeroUsize,
    },
    /// Plants one fault after the other, and says which rule finds it.
    #[cfg(feature = "planted-faults")]
    Planted,
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().command {
        Command::Check => check(),
        Command::Sweep { minutes, seeds, from } => sweep(minutes, seeds, from),
        Command::Replay { seed } => replay(seed),
        Command::Steps => steps(),
        Command::WakeUps { every } => wake_ups(every),
        Command::Flows { name, step, every } => flows(name.as_deref(), step, every),
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
    let seeds: BTreeSet<_> = committed_seeds().chain(CHECKED_SEEDS).collect();
    let seeds: Vec<_> = seeds.into_iter().collect();
    let mut tally = Tally::default();
    tally.add(&seeds, play_all(&seeds, twice_if_hundredth));
    tally.add_plans("a fault at every step of the plain call", &plans_of_steps());
    let wake_ups = plans_of_wake_ups(CHECKED_EVERY);
    tally.add_plans(&kills_in_wake_ups(CHECKED_EVERY), &wake_ups);
    let flows = plans_of_flows(None, CHECKED_EVERY);
    tally.add_plans(&kills_in_flows(CHECKED_EVERY), &flows);
    tally.print(started.elapsed());
    tally.is_good()
}

/// Plays a seed; each hundredth one again, which must give the same trace.
fn twice_if_hundredth(seed: &u64) -> Report {
    let mut report = play(*seed, false);
    if seed.is_multiple_of(100) && play(*seed, false).fingerprint != report.fingerprint {
        let violation = Violation::new("same seed, same trace", "played twice, two traces");
        report.violation.get_or_insert(violation);
    }
    report
}

fn steps() -> bool {
    let mut tally = Tally::default();
    tally.add_plans("a fault at every step of the plain call", &plans_of_steps());
    tally.is_good()
}

fn wake_ups(every: NonZeroUsize) -> bool {
    let mut tally = Tally::default();
    tally.add_plans(&kills_in_wake_ups(every), &plans_of_wake_ups(every));
    tally.is_good()
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulator is, not what it decides")]
fn flows(name: Option<&str>, step: Option<u64>, every: NonZeroUsize) -> bool {
    if let (Some(flow), Some(step)) = (FLOWS.iter().find(|it| Some(it.name) == name), step) {
        let report = play_plan(Plan::flow(flow.name, vec![(When::Step(step), KILL_OWNER)]), true);
        report.lines.iter().for_each(|line| println!("{line}"));
        return report.violation.is_none();
    }
    let started = Instant::now();
    let mut tally = Tally::default();
    tally.add_plans(&kills_in_flows(every), &plans_of_flows(name, every));
    tally.print(started.elapsed());
    tally.is_good()
}

/// The node that is preferred for new calls.
const KILL_OWNER: Fault = Fault::Kill { process: Process::Node(0), restart_ms: None };

fn kills_in_flows(every: NonZeroUsize) -> String {
    match every.get() {
        1 => "a kill at every step of a call flow".to_owned(),
        every => format!("a kill at each {every} steps of a call flow, fewer in long ones"),
    }
}

/// Each flow plain, and with the node killed that has its call, at each step. Of `every` so many
/// steps one is taken; of a flow with too many, because it waits for a long time, fewer are.
fn plans_of_flows(name: Option<&str>, every: NonZeroUsize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (number, flow) in FLOWS.iter().enumerate() {
        if name.is_some_and(|name| name != flow.name) {
            continue;
        }
        plans.push(Plan::flow(flow.name, Vec::new()));
        let steps = play_plan(Plan::flow(flow.name, Vec::new()), false).steps_of_calls;
        let every = match every.get() {
            1 => 1,
            every if steps > STEPS_OF_A_FLOW_MAX => every.saturating_mul(COARSER_IN_A_LONG_FLOW),
            every => every,
        };
        // Not the same ones of all flows.
        let kills = (0..=steps).skip(number % every).step_by(every);
        plans.extend(kills.map(|at| Plan::flow(flow.name, vec![(When::Step(at), KILL_OWNER)])));
    }
    plans
}

/// Kills each process at each step of the plain call, or has it stand still, however it ends.
fn plans_of_steps() -> Vec<Plan> {
    let mut plans = Vec::new();
    for ending in [Ending::Caller, Ending::Callee, Ending::Cancel, Ending::Service] {
        let steps = play_plan(Plan::plain(ending, Vec::new()), false).steps_of_calls;
        for process in [Process::Node(0), Process::Node(1), Process::Balancer(0)] {
            let restart_ms = (process == Process::Balancer(0)).then_some(20);
            let kill = Fault::Kill { process, restart_ms };
            // Longer than it takes to be taken for dead.
            let pause = Fault::Pause { process, for_ms: 400 };
            let faults = (0..=steps).flat_map(|step| [(step, kill), (step, pause)]);
            plans.extend(
                faults.map(|(at, fault)| Plan::plain(ending, vec![(When::Step(at), fault)])),
            );
        }
        plans.extend(plans_over_tcp(ending));
    }
    plans
}

fn kills_in_wake_ups(every: NonZeroUsize) -> String {
    match every.get() {
        1 => "a kill at every step of a call of a service".to_owned(),
        every => format!("a kill at each {every} steps of a call of a service"),
    }
}

/// Each call of a service plain, and with either node killed at each step; of `every` so many one
/// is taken, and fewer of a call that waits for long.
fn plans_of_wake_ups(every: NonZeroUsize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (number, waking) in Waking::all().enumerate() {
        plans.push(Plan::waking(waking, Vec::new()));
        let steps = play_plan(Plan::waking(waking, Vec::new()), false).steps_of_calls;
        let every = match steps {
            ..LONG_WAKE_UP => every.get(),
            _ => every.get().saturating_mul(COARSER_IN_A_LONG_FLOW),
        };
        for node in [0, 1] {
            let kill = Fault::Kill { process: Process::Node(node), restart_ms: None };
            // Not the same ones of all.
            let steps = (0..=steps).skip((number + node) % every).step_by(every);
            plans.extend(steps.map(|at| Plan::waking(waking, vec![(When::Step(at), kill)])));
        }
    }
    plans
}

/// The same between phones over TCP, whose connections end with the balancer: it lives.
fn plans_over_tcp(ending: Ending) -> Vec<Plan> {
    let plan = |faults| Plan { over_tcp: 0b11, ..Plan::plain(ending, faults) };
    let steps = play_plan(plan(Vec::new()), false).steps_of_calls;
    let kill = |node| Fault::Kill { process: Process::Node(node), restart_ms: None };
    let faults = (0..=steps).flat_map(|step| [(step, kill(0)), (step, kill(1))]);
    faults.map(|(at, fault)| plan(vec![(When::Step(at), fault)])).collect()
}

/// Of so many runs one may have a call that is lost by chance alone. It takes a network that loses
/// 5 %, a fault of seconds, and both of the INVITEs that are left lost: 1 was seen in 24,000.
const PLAYED_PER_UNLUCKY: u64 = 5_000;

/// What was played so far.
#[derive(Default)]
struct Tally {
    played: u64,
    failed: u64,
    unlucky: u64,
    steps: u64,
}

impl Tally {
    /// Nothing failed, and no more is laid to bad luck than bad luck brings.
    fn is_good(&self) -> bool {
        self.failed == 0 && self.unlucky <= self.unlucky_max()
    }

    fn unlucky_max(&self) -> u64 {
        self.played.div_ceil(PLAYED_PER_UNLUCKY)
    }

    /// Seeds that were played; no report: it panicked.
    fn add(&mut self, seeds: &[u64], reports: Vec<Option<Report>>) {
        for (seed, report) in seeds.iter().zip(reports) {
            self.played += 1;
            self.steps += report.as_ref().map_or(0, |report| report.steps);
            if let Some(report) = report.as_ref().filter(|report| report.unlucky > 0) {
                self.unlucky += report.unlucky;
                println!("seed {seed}: chance lost all INVITEs of a call that could be answered");
            }
            if report.is_none() {
                println!("seed {seed}: nothing panics: it does");
            }
            self.failed += u64::from(!report.is_some_and(|report| passes(&report)));
        }
    }

    fn add_plans(&mut self, what: &str, plans: &[Plan]) {
        let mut failed = 0;
        for (plan, report) in
            plans.iter().zip(play_all(plans, |plan| play_plan(plan.clone(), false)))
        {
            self.steps += report.as_ref().map_or(0, |report| report.steps);
            self.unlucky += report.as_ref().map_or(0, |report| report.unlucky);
            let violation = match report {
                Some(Report { violation: None, .. }) => continue,
                Some(Report { violation: Some(violation), .. }) => violation.to_string(),
                None => "nothing panics: it does".to_owned(),
            };
            failed += 1;
            let over_tcp = if plan.over_tcp == 0 { "" } else { " over TCP" };
            let flow = plan.flow.unwrap_or_default();
            let how = plan.wakes().map_or_else(
                || format!("{flow} {:?}{over_tcp}", plan.ending),
                |waking| format!("{waking:?}"),
            );
            println!("{how}, {:?}: {violation}", plan.faults);
        }
        let played = plans.len();
        println!("{what}: {played} runs, {failed} failed");
        self.played += played as u64;
        self.failed += failed;
    }

    fn print(&self, took: Duration) {
        let Tally { played, failed, unlucky, steps } = self;
        let seconds = took.as_secs_f64();
        let rate = *played as f64 / seconds;
        println!("{played} seeds, {steps} steps in {seconds:.1} s: {rate:.0} seeds per second");
        println!("calls lost by chance alone: {unlucky}; at most {} may be", self.unlucky_max());
        println!("{} passed, {failed} failed", played - failed);
    }
}

/// Plays on all processors. The reports are in the order of what was asked for, whoever played it:
/// threads share nothing but the place of what is next. No report: it panicked.
fn play_all<T: Sync>(all: &[T], play: impl Fn(&T) -> Report + Sync) -> Vec<Option<Report>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut reports = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(what) = all.get(at) else { return reports };
            let report = std::panic::catch_unwind(AssertUnwindSafe(|| play(what)));
            reports.push((at, report.ok()));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut reports = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let reports = workers.into_iter().map(|worker| worker.join().expect("it catches panics"));
        reports.flatten().collect::<Vec<_>>()
    });
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}

#[expect(clippy::disallowed_methods, reason = "how long to sweep is asked in minutes")]
fn sweep(minutes: u64, seeds: Option<u64>, from: Option<u64>) -> bool {
    let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let first = from.unwrap_or_else(|| clock() << 20);
    let started = Instant::now();
    let limit = Duration::from_secs(minutes * 60);
    let mut tally = Tally::default();
    let goes_on = |played| match seeds {
        Some(seeds) => played < seeds,
        None => started.elapsed() < limit,
    };
    while goes_on(tally.played) {
        let left = seeds.map_or(SEEDS_AT_ONCE, |seeds| SEEDS_AT_ONCE.min(seeds - tally.played));
        let next = first + tally.played;
        let seeds: Vec<_> = (next..next + left).collect();
        tally.add(&seeds, play_all(&seeds, |seed| play(*seed, false)));
    }
    println!("from seed {first}:");
    tally.print(started.elapsed());
    tally.is_good()
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
