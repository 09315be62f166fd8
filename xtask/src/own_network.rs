//! A network of the task's own: bench and soak run in a network, process and mount namespace, where
//! all ports are free, firewall rules and mounts hurt nobody else, and nothing outlives the task.
//!
//! The task starts itself again inside. Rules and processes are gone when it ends, however it ends.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Set inside.
const INSIDE: &str = "RESILEE_OWN_NETWORK";
/// Not exec'd by the shell: as process 1, the task would be deaf to Ctrl-C.
const ENTER: &str = "ip link set lo up; \"$0\" \"$@\"; exit $?";

/// True if this process is inside already.
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// True if the system lets us have one.
pub fn is_possible() -> bool {
    let mut command = unshare();
    command.arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs this very command line inside; its end is ours.
///
/// # Errors
/// The system gives no namespace, or the task failed.
pub fn enter() -> Result<()> {
    let program = env::current_exe().context("this program has no path")?;
    let mut command = unshare();
    command.arg(program).args(env::args_os().skip(1));
    let status = command
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .context("cannot start `unshare` (package util-linux)")?;
    if !status.success() {
        bail!("the task in its own network ended with {status}");
    }
    Ok(())
}

/// The command that runs another one inside.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["--", "sh", "-c", ENTER]);
    command
}

/// Datagrams and segments from one address to another are dropped from now on.
///
/// # Errors
/// No iptables, or no right to use it.
pub fn cut(from: &str, to: &str) -> Result<()> {
    rule("-A", from, to)
}

/// The reverse of [`cut`].
///
/// # Errors
/// As [`cut`].
pub fn mend(from: &str, to: &str) -> Result<()> {
    rule("-D", from, to)
}

/// A command that is run on a host of this network: a network namespace of that name; none: here.
pub fn command_on(host: Option<&str>, program: &str) -> Command {
    let Some(host) = host else { return Command::new(program) };
    // It becomes the program: its process id is the program's.
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}

fn rule(what: &str, from: &str, to: &str) -> Result<()> {
    // Rules of any other network are none of ours.
    anyhow::ensure!(is_inside(), "links are cut in a network of the task's own only");
    let arguments = ["-w", what, "INPUT", "-s", from, "-d", to, "-j", "DROP"];
    let output = Command::new("iptables").args(arguments).output();
    let output = output.context("cannot start `iptables` (package iptables)")?;
    if !output.status.success() {
        bail!("iptables: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
