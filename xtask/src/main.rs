//! Development tasks: what a person and continuous integration run, and nothing else.
//!
//! This file is the command line. What each task does is in the file of its name: [`lint`],
//! [`tidy`], [`full_test`], [`new_service`], [`mod@unit`], [`mod@bench`], [`bench_balancer`],
//! [`bench_slee`], [`bench_sip`], [`bench_registrations`], [`bench_units`], [`soak`], [`hosts`];
//! those with calls share [`pair`] (the processes under load), [`phones`] and [`own_network`], all
//! that measure [`figures`], two of them [`valgrind`]. The rest are [`steps`], [`packages`],
//! [`command`] (child processes), [`system_programs`], [`libtest_tally`] and [`deny`]. Nothing
//! here is part of Resilee itself.

mod bench;
mod bench_balancer;
mod bench_registrations;
mod bench_sip;
mod bench_slee;
mod bench_units;
mod command;
mod deny;
mod figures;
mod full_test;
mod hosts;
mod libtest_tally;
mod lint;
mod new_service;
mod own_network;
mod packages;
mod pair;
mod phones;
mod soak;
mod steps;
mod system_programs;
mod tidy;
mod unit;
mod valgrind;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::command::Mode;
use crate::steps::Steps;

/// Development tasks of Resilee.
///
/// `lint` and `test` are all that continuous integration runs (`.ci/run`). Each prints a header
/// and the time of every step, and stops at the first step that fails, with exit code 1.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check format, house rules, packages, clippy, docs and the dependencies' licences
    #[command(after_long_help = lint::HELP)]
    Lint(DryRun),
    /// Check the house rules only: the part of `lint` that takes a second
    #[command(after_long_help = tidy::HELP)]
    Tidy,
    /// Run every test: crates, seeds of the simulator, end to end with real programs
    #[command(after_long_help = full_test::HELP)]
    Test {
        /// Run this step only (may be given more than once)
        #[arg(long, value_enum, value_name = "STEP")]
        only: Vec<full_test::TestStep>,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Write a project with a service of one's own, which builds and has a test
    #[command(after_long_help = new_service::HELP)]
    NewService(new_service::Options),
    /// Build a service as a unit, which is uploaded to a cluster while it runs
    #[command(after_long_help = unit::HELP)]
    Unit(unit::Options),
    /// Let the simulator explore new seeds; a failing one prints the command that replays it
    Sweep {
        /// How long to explore
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        minutes: u32,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Measure the pair under calls: CPU, memory, delays; appends to bench/load.csv
    #[command(after_long_help = bench::HELP)]
    Bench(bench::Options),
    /// Measure the balancer, beside a bare forwarder and flooded; appends to bench/forward.csv
    /// and bench/flood.csv
    #[command(after_long_help = bench_balancer::HELP)]
    BenchBalancer(bench_balancer::Options),
    /// Measure the container alone: CPU per event, memory, takeover; appends to bench/slee.csv
    #[command(after_long_help = bench_slee::HELP)]
    BenchSlee(bench_slee::Options),
    /// Count what one SIP message costs, beside rsip; appends to bench/sip.csv
    #[command(after_long_help = bench_sip::HELP)]
    BenchSip(bench_sip::Options),
    /// Measure a million registered phones at one node; appends to bench/registrations.csv
    #[command(after_long_help = bench_registrations::HELP)]
    BenchRegistrations(bench_registrations::Options),
    /// Measure a delivery of a linked service and of units; appends to bench/units.csv
    #[command(after_long_help = bench_units::HELP)]
    BenchUnits(bench_units::Options),
    /// Break hosts of two balancers and two servers under calls, each in a network of its own
    #[command(after_long_help = hosts::HELP)]
    Hosts(hosts::Options),
    /// Break parts of the pair under calls and check every bill; appends to bench/failover.csv
    #[command(after_long_help = soak::HELP)]
    Soak(soak::Options),
}

#[derive(Args)]
struct DryRun {
    /// Print the commands instead of running them
    #[arg(long)]
    dry_run: bool,
}

impl DryRun {
    fn mode(&self) -> Mode {
        if self.dry_run { Mode::Print } else { Mode::Run }
    }
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match CommandLine::parse().task {
        Task::Lint(dry_run) => lint::run(&root, dry_run.mode()),
        Task::Tidy => {
            let mut steps = Steps::new();
            let checked = steps.run("tidy", || tidy::run(&root));
            checked.inspect(|()| steps.finish())
        }
        Task::Test { only, dry_run } => full_test::run(&root, &only, dry_run.mode()),
        Task::NewService(options) => new_service::run(&root, &options),
        Task::Unit(options) => unit::run(&root, &options),
        Task::Sweep { minutes, dry_run } => full_test::sweep(&root, minutes, dry_run.mode()),
        Task::Bench(options) => bench::run(&root, &options),
        Task::BenchBalancer(options) => bench_balancer::run(&root, &options),
        Task::BenchSlee(options) => bench_slee::run(&root, &options),
        Task::BenchSip(options) => bench_sip::run(&root, &options),
        Task::BenchRegistrations(options) => bench_registrations::run(&root, &options),
        Task::BenchUnits(options) => bench_units::run(&root, &options),
        Task::Hosts(options) => hosts::run(&root, &options),
        Task::Soak(options) => soak::run(&root, &options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nFAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Cargo names our package's folder at run time; its value at compile time serves a debugger.
fn workspace_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().expect("xtask is a folder of the workspace").to_path_buf()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_sweep_of_no_minutes_is_refused() {
        assert!(CommandLine::try_parse_from(["xtask", "sweep", "--minutes", "0"]).is_err());
        assert!(CommandLine::try_parse_from(["xtask", "sweep", "--minutes", "5"]).is_ok());
    }
}
