//! The `resilee` command: runs a node, asks or orders a running one, or makes certificates for a
//! trial.

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use resilee_cluster::{TRIAL_DAYS, make_certificates};
use resilee_membership::NodeName;
use resilee_node::{
    AccountOrder, AdaptorOrder, CallOrder, ClusterOrder, Console, FacilityOrder, HousekeepingOrder,
    ProfileOrder, ServiceOrder, SleeOrder, Subject, UnitOrder, account, adaptor, call, facility,
    housekeeping, load, order, profile, report, run_from_file, service, slee, unit,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

// What one thread allocates, another frees: glibc's heaps are slow at that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A SLEE whose calls survive the death of a server.
#[derive(Debug, Parser)]
#[command(name = "resilee", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node until SIGTERM or Ctrl-C.
    Node {
        /// The node's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only check the configuration.
        #[arg(long)]
        check: bool,
    },
    /// Asks a running node, or tells it what to do.
    Ctl {
        /// Address of the node's admin interface.
        #[arg(long, global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
        admin: String,
        #[command(subcommand)]
        what: Ctl,
    },
}

#[derive(Debug, Subcommand)]
enum Ctl {
    #[command(flatten)]
    Ask(Subject),
    #[command(flatten)]
    Call(CallOrder),
    #[command(flatten)]
    Facility(FacilityOrder),
    #[command(flatten)]
    Unit(UnitOrder),
    /// What concerns the whole cluster.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Accounts, made from passwords.
    #[command(subcommand)]
    Account(AccountOrder),
    /// Profiles: accounts, tariffs, and what services of your own look up.
    #[command(subcommand)]
    Profile(ProfileOrder),
    /// States of services.
    #[command(subcommand)]
    Service(ServiceOrder),
    /// What was left over in cells: activities, SBB entities, timers, names.
    #[command(subcommand)]
    Housekeeping(HousekeepingOrder),
    /// Resource adaptors and their states.
    #[command(subcommand)]
    Adaptor(AdaptorOrder),
    /// Whether the SLEE takes calls.
    #[command(subcommand)]
    Slee(SleeOrder),
}

#[derive(Debug, Subcommand)]
enum Cluster {
    #[command(flatten)]
    Order(ClusterOrder),
    /// Makes certificates of the cluster links for a trial: an authority and one pair for each
    /// node. Asks no node.
    Certificates {
        /// Folder for the files; what is there already is not overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Name of a node, once for each.
        #[arg(long = "node", value_name = "NAME", required = true)]
        nodes: Vec<NodeName>,
        /// How long they hold.
        #[arg(
            long,
            default_value_t = TRIAL_DAYS,
            value_parser = clap::value_parser!(u32).range(1..=3650)
        )]
        days: u32,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Node { config, check: true } => {
            let name = load(&config)?.name;
            println!("{}: the configuration of {name} is sound", config.display());
        }
        Command::Node { config, check: false } => run_from_file(&config)?,
        Command::Ctl { admin, what: Ctl::Ask(subject) } => print!("{}", report(&admin, subject)?),
        Command::Ctl { admin, what: Ctl::Call(given) } => print!("{}", call(&admin, &given)?),
        Command::Ctl { admin, what: Ctl::Facility(given) } => {
            print!("{}", facility(&admin, &given)?);
        }
        Command::Ctl { admin, what: Ctl::Unit(given) } => {
            let is_terminal = std::io::stdin().is_terminal();
            let (input, output) = (&mut std::io::stdin().lock(), &mut std::io::stdout());
            unit(&admin, &given, &mut Console { input, output, is_terminal })?;
        }
        Command::Ctl { admin, what: Ctl::Cluster(Cluster::Order(given)) } => {
            print!("{}", order(&admin, &given)?);
        }
        Command::Ctl { admin, what: Ctl::Account(given) } => {
            print!("{}", account(&admin, &given, &mut std::io::stdin().lock())?);
        }
        Command::Ctl { admin, what: Ctl::Profile(given) } => print!("{}", profile(&admin, &given)?),
        Command::Ctl { admin, what: Ctl::Service(given) } => print!("{}", service(&admin, &given)?),
        Command::Ctl { admin, what: Ctl::Housekeeping(given) } => {
            print!("{}", housekeeping(&admin, &given)?);
        }
        Command::Ctl { admin, what: Ctl::Adaptor(given) } => print!("{}", adaptor(&admin, &given)?),
        Command::Ctl { admin, what: Ctl::Slee(given) } => print!("{}", slee(&admin, &given)?),
        Command::Ctl { what: Ctl::Cluster(Cluster::Certificates { out, nodes, days }), .. } => {
            certificates(&out, &nodes, days)?;
        }
    }
    Ok(())
}

fn certificates(out: &Path, nodes: &[NodeName], days: u32) -> anyhow::Result<()> {
    let names: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    for file in make_certificates(out, &names, SystemTime::now(), days)? {
        println!("{}", file.display());
    }
    println!(
        "\nFor a trial: they hold {days} days, and cannot be renewed. In [cluster] of each node:\n"
    );
    for node in names {
        let file = |name: String| out.join(name).display().to_string();
        println!("# {node}");
        println!("certificate_file = {:?}", file(format!("{node}.pem")));
        println!("private_key_file = {:?}", file(format!("{node}-key.pem")));
        println!("ca_file = {:?}\n", file("ca.pem".to_owned()));
    }
    Ok(())
}
