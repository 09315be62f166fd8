//! The keeper: a parent that binds the sockets and starts a worker with them, and again when that
//! one ends. What arrives meanwhile waits in the sockets for the next worker; nobody is refused.
//!
//! It reads no datagram and decides nothing but when to start the worker (`restarts.rs`): so
//! little that it has nothing to die of.

use super::inherited::{Inherited, KEPT_BY, RESTARTS};
use super::sockets::Sockets;
use super::{Loaded, load};
use crate::restarts::{End, Next, Restarts};
use anyhow::Context;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// The first file descriptor that is passed, by the protocol of systemd.
const FIRST_FD: RawFd = 3;

/// How long a worker that was told to end may take.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Binds all sockets of the configuration at `path` and runs `worker` with them, again if it
/// ends, until SIGTERM or SIGINT, which the worker gets too; blocks. The command must lead to
/// [`run_from_file`](super::run_from_file) with the same configuration. Returns how the last
/// worker ended.
///
/// # Errors
/// What is wrong with the configuration, or why a socket cannot be bound.
pub fn keep_sockets(path: &Path, worker: impl Fn() -> Command) -> anyhow::Result<ExitCode> {
    let Loaded { config, .. } = load(path)?;
    let sockets = Sockets::open(&config, &mut Inherited::take()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(keep(&sockets, worker))
}

async fn keep(sockets: &Sockets, worker: impl Fn() -> Command) -> anyhow::Result<ExitCode> {
    let mut stop = std::pin::pin!(super::told_to_stop()?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut restarts = Restarts::default();
    for count in 0_u64.. {
        let started = Instant::now();
        let mut child = start(worker(), sockets.passed()?, count)?;
        let pid = child.id().context("it was not waited for yet")?;
        tracing::info!("the worker is process {pid}; its sockets are kept");
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.context("cannot wait for the worker")?,
                () = &mut stop => return end(child, pid).await,
                Some(()) = hang_up.recv() => pass_on(pid, Signal::SIGHUP)?,
            }
        };
        let lived = started.elapsed();
        let how = if status.code().is_some_and(|code| code != 0) { End::Error } else { End::Other };
        match restarts.handle_end(lived, how) {
            Next::Start(wait) => {
                let (ms, wait_ms) = (lived.as_millis(), wait.as_millis());
                tracing::warn!(
                    "the worker, process {pid}, ended after {ms} ms ({status}); the next one \
                     starts in {wait_ms} ms; what arrives waits for it"
                );
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = &mut stop => return Ok(ExitCode::SUCCESS),
                }
            }
            Next::GiveUp => {
                tracing::error!("the worker ended at its start ({status}); giving up");
                return Ok(exit_code(status));
            }
        }
    }
    unreachable!("nobody starts 2^64 workers")
}

/// Starts a worker that takes the sockets, and ends when this process does.
fn start(mut command: Command, sockets: Vec<OwnedFd>, count: u64) -> anyhow::Result<Child> {
    command.env("LISTEN_FDS", sockets.len().to_string());
    // The number would have to be the child's, which nobody knows before it runs.
    command.env_remove("LISTEN_PID").env_remove("LISTEN_FDNAMES");
    command.env(KEPT_BY, std::process::id().to_string()).env(RESTARTS, count.to_string());
    let mapping = |(child_fd, parent_fd)| FdMapping { parent_fd, child_fd };
    command.fd_mappings((FIRST_FD..).zip(sockets).map(mapping).collect())?;
    let program = command.get_program().to_owned();
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

fn pass_on(pid: u32, order: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).context("a process id has 31 bits")?);
    // It may have ended just now; then it cannot be signalled, and whoever waits for it hears that.
    let _ = kill(pid, order);
    Ok(())
}

/// Passes the order to end on, and waits.
async fn end(mut child: Child, pid: u32) -> anyhow::Result<ExitCode> {
    pass_on(pid, Signal::SIGTERM)?;
    match tokio::time::timeout(END_WITHIN, child.wait()).await {
        Ok(status) => Ok(exit_code(status.context("cannot wait for the worker")?)),
        Err(_) => {
            tracing::error!("the worker did not end in {} s and is killed", END_WITHIN.as_secs());
            child.kill().await.context("cannot kill the worker")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// As a shell tells it: the exit code, or 128 and the signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
