//! `cargo xtask test`: every test there is, from one crate's to real processes and a browser.
//!
//! What the tests check is in the crates; which system programs they need, and how those come, is
//! in [`crate::system_programs`].

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::command::{Mode, cargo, run as run_command, run_tests};
use crate::libtest_tally::Tally;
use crate::own_network;
use crate::steps::Steps;
use crate::system_programs;

/// Shown by `cargo xtask test --help`.
pub const HELP: &str = "\
Steps:
  system programs  node and npm for the crates step; sipp, baresip, chromium, chromedriver, ip and
                   iptables for the end-to-end step. A missing one is installed by apt-get where
                   that may be (root on Debian). Else, with CI=true, the step fails and names it;
                   without, it says what is missing, and what needs it is left out: the tests
                   of units in JavaScript, or those that get RESILEE_SKIP_SIPP=1,
                   RESILEE_SKIP_BARESIP=1, RESILEE_SKIP_CHROMIUM=1 or RESILEE_SKIP_CHROMEDRIVER=1.
                   Set by hand, outside CI, such a variable leaves a program out though it is
                   there; RESILEE_SKIP_NPM=1 those of JavaScript.
  crates           cargo test of every crate but `resilee-examples` and `resilee-sim`, in the dev
                   profile; then what `cargo xtask new-service` writes is compiled. Services in
                   JavaScript are built of what npm fetches.
  seeds            the simulator's fixed range of seeds and sim/seeds.txt, in the release profile;
                   then its own tests, in which it must find each planted fault.
  end-to-end       release binaries, then the tests of `resilee-examples` (examples/tests/*.rs) one
                   after another. They start those binaries, listen on real ports and measure
                   time, so they run neither in the dev profile nor beside other tests.
                   Then two short runs of `cargo xtask soak`: server1 is killed under calls and
                   comes back, and the link between the servers is cut one way. They are judged
                   by their calls, bills and alarms, not by times.
                   A system that gives no namespace has this left out, and is told so.

The last lines are libtest's results added up, and the time in all.";

/// The steps that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestStep {
    /// Tests of every crate but the examples
    Crates,
    /// The simulator's seeds
    Seeds,
    /// Real processes, system programs and a browser
    EndToEnd,
}

/// Runs the steps named in `only`, or all when it is empty.
pub fn run(root: &Path, only: &[TestStep], mode: Mode) -> Result<()> {
    let mut tally = Tally::default();
    let outcome = run_steps(root, only, mode, &mut tally);
    if tally.suites > 0 {
        println!("\n{tally}");
    }
    let (steps, skipped) = outcome?;
    for program in skipped {
        println!("SKIPPED: tests that need {program}");
    }
    steps.finish();
    Ok(())
}

/// Explores new seeds for some minutes.
pub fn sweep(root: &Path, minutes: u32, mode: Mode) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("sweep", || run_command(simulator(root, &sweep_arguments(minutes)), mode))?;
    steps.finish();
    Ok(())
}

type Finished = (Steps, Vec<&'static str>);

fn run_steps(root: &Path, only: &[TestStep], mode: Mode, tally: &mut Tally) -> Result<Finished> {
    let wanted = |step| only.is_empty() || only.contains(&step);
    let mut steps = Steps::new();
    let mut skipped = Vec::new();
    if wanted(TestStep::Crates) || wanted(TestStep::EndToEnd) {
        skipped = steps.run("system programs", || system_programs::provide(wanted, mode))?;
    }
    if wanted(TestStep::Crates) {
        steps.run("crates", || {
            let mut tests = cargo(root, &CRATES);
            if skipped.iter().any(|program| ["node", "npm"].contains(program)) {
                tests.args(WITHOUT_JAVASCRIPT);
            }
            run_tests(tests, mode, tally)
        })?;
        steps.run("new service", || new_service(root, mode))?;
    }
    if wanted(TestStep::Seeds) {
        steps.run("seeds", || run_command(simulator(root, &["check".to_owned()]), mode))?;
        steps.run("simulator", || run_tests(cargo(root, &SIMULATOR), mode, tally))?;
    }
    if wanted(TestStep::EndToEnd) {
        steps.run("release binaries", || run_command(cargo(root, &RELEASE_BINARIES), mode))?;
        steps.run("end-to-end", || {
            let mut tests = cargo(root, &END_TO_END);
            for program in &skipped {
                tests.env(system_programs::skip_variable(program), "1");
            }
            run_tests(tests, mode, tally)
        })?;
        if !skipped.contains(&"sipp") {
            steps.run("soak", || soak(root, mode))?;
        }
    }
    Ok((steps, skipped))
}

/// What `cargo xtask new-service` writes is a project that compiles, with its tests, and as a unit.
/// That the tests pass is seen where they come from: `templates/service` is a crate of this
/// workspace.
fn new_service(root: &Path, mode: Mode) -> Result<()> {
    let folder = root.join("target/tmp/new-service");
    if mode == Mode::Run && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut written = Command::new(std::env::current_exe()?);
    written.args(["new-service", "call-filter", "--into"]).arg(&folder);
    run_command(written, mode)?;
    // What it is made of was fetched for this workspace, and much of it was checked by `lint`.
    let mut check = cargo(root, &["check", "--tests", "--offline"]);
    check.arg("--manifest-path").arg(folder.join("Cargo.toml"));
    check.env("CARGO_TARGET_DIR", root.join("target"));
    run_command(check, mode)?;
    let mut unit = Command::new(std::env::current_exe()?);
    unit.arg("unit").arg(&folder).arg("--out").arg(folder.join("call-filter.wasm"));
    unit.env("CARGO_TARGET_DIR", root.join("target"));
    run_command(unit, mode)
}

/// The module of all tests that build a service in JavaScript.
const WITHOUT_JAVASCRIPT: [&str; 3] = ["--", "--skip", "javascript::"];

/// Two short runs, without a judgement of times: the machine may be anything.
fn soak(root: &Path, mode: Mode) -> Result<()> {
    if !own_network::is_possible() {
        println!("LEFT OUT: this system gives us no network and process namespace");
        return Ok(());
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(root).args(SOAK);
    run_command(command, mode)
}

/// Seeds of their own, so that the same happens each time.
const SOAK: [&str; 15] = [
    "soak",
    "--smoke",
    "--runs",
    "2",
    "--seed",
    "1",
    "--kind",
    "cut-cluster-1to2",
    "--kind",
    "restart1",
    "--rate=50",
    "--seconds",
    "10",
    "--talk-s",
    "4",
];

/// What the end-to-end tests start.
const RELEASE_BINARIES: [&str; 14] = [
    "build",
    "--release",
    "-p",
    "resilee-node",
    "-p",
    "resilee-balancer",
    "-p",
    "wake-up-call",
    "-p",
    "resilee-examples",
    "-p",
    "call-screening",
    "--bins",
    "--examples",
];

/// The simulator plays ten times as long in the dev profile: its tests are in the next step.
const CRATES: [&str; 7] = [
    "test",
    "--workspace",
    "--exclude",
    "resilee-examples",
    "--exclude",
    "resilee-sim",
    "--no-fail-fast",
];

/// The feature is on for these tests, and for nothing that is built for use.
const SIMULATOR: [&str; 7] =
    ["test", "--release", "-p", "resilee-sim", "--features", "planted-faults", "--no-fail-fast"];

/// One thread: the tests share the machine's time, ports and attention.
const END_TO_END: [&str; 7] =
    ["test", "--release", "-p", "resilee-examples", "--no-fail-fast", "--", "--test-threads=1"];

fn simulator(root: &Path, arguments: &[String]) -> std::process::Command {
    let mut command = cargo(root, &["run", "--release", "-p", "resilee-sim", "--"]);
    command.args(arguments);
    command
}

fn sweep_arguments(minutes: u32) -> [String; 3] {
    ["sweep".to_owned(), "--minutes".to_owned(), minutes.to_string()]
}
