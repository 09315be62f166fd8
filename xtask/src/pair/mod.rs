//! A pair of nodes behind a balancer: the release binaries, with property files in a folder.
//!
//! Loopback addresses of their own let a firewall rule tell the processes apart. What is measured
//! or broken is decided by `bench` and `soak`.

mod log;
mod management;
mod process;
mod property_files;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

pub use log::first_line;
pub use management::{Alarm, Bill, Management, Order};
pub use process::{Process, Usage};
pub use property_files::{DOMAIN, KEY, SIP, TOKEN, TOKEN_FILE, USERS, service_tables, user};

/// Addresses of balancer, server1 and server2.
pub const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.11", "127.0.0.12"];

/// Names of the processes, in the same order; their logs are called `NAME.log`.
pub const NAMES: [&str; 3] = ["balancer", "server1", "server2"];

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until something is so; it is looked at so often.
pub fn wait_until(
    what: &str,
    within: Duration,
    every: Duration,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + within;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "in vain for {} s: {what}", within.as_secs());
        std::thread::sleep(every);
    }
    Ok(())
}

/// Where server 1 or 2 of a pair in `folder` stores what it has.
pub fn data_dir(folder: &Path, server: usize) -> PathBuf {
    folder.join(format!("{}.data", NAMES[server]))
}

/// See the module.
pub struct Pair {
    folder: PathBuf,
    binaries: PathBuf,
    /// Balancer, server1, server2; `None` while it is dead.
    processes: [Option<Process>; 3],
}

impl Pair {
    /// Starts all three in `folder`, and waits until every call is held twice.
    pub fn start(binaries: &Path, folder: &Path) -> Result<Self> {
        Pair::start_with(binaries, folder, "")
    }

    /// The same, with these tables more in the balancer's property file.
    pub fn start_with(binaries: &Path, folder: &Path, tables: &str) -> Result<Self> {
        property_files::write(folder, tables)?;
        let mut pair = Pair {
            folder: folder.to_owned(),
            binaries: binaries.to_owned(),
            processes: [None, None, None],
        };
        for index in 0..3 {
            pair.start_process(index)?;
        }
        pair.wait_until_backed(START_MAX)?;
        Ok(pair)
    }

    /// Starts a process, again if it was killed: with the same files.
    pub fn start_process(&mut self, index: usize) -> Result<()> {
        let name = NAMES[index];
        let program = if index == 0 { "resilee-balancer" } else { "resilee" };
        let mut command = std::process::Command::new(self.binaries.join(program));
        if index > 0 {
            command.arg("node");
        }
        command.arg("--config").arg(format!("{name}.toml"));
        self.processes[index] = Some(Process::start(name, &self.folder, command)?);
        Ok(())
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.processes[index].take().context("it is dead already")?.kill()
    }

    /// SIGTERM, as an operator ends it; returns when it has ended.
    pub fn end(&mut self, index: usize, within: Duration) -> Result<()> {
        let mut process = self.processes[index].take().context("it is dead already")?;
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(within)?;
        ensure!(status.success(), "{} ended with {status}", NAMES[index]);
        Ok(())
    }

    /// Sends a signal that it survives.
    pub fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        self.processes[index].as_ref().context("it is dead")?.signal(signal)
    }

    /// True until it was killed. An error if it ended by itself.
    pub fn is_up(&mut self, index: usize) -> Result<bool> {
        let Some(process) = &mut self.processes[index] else { return Ok(false) };
        if !process.is_running() {
            bail!("{} ended by itself; see its log", NAMES[index]);
        }
        Ok(true)
    }

    /// CPU time and memory of the balancer, and of both servers together.
    pub fn usage(&self) -> Result<[Usage; 2]> {
        let mut sum = [Usage::default(); 2];
        for (index, process) in self.processes.iter().enumerate() {
            if let Some(process) = process {
                sum[usize::from(index > 0)] += process.usage()?;
            }
        }
        Ok(sum)
    }

    /// Management of server 1 or 2.
    pub fn management(&self, server: usize) -> Management {
        Management::new(property_files::ADMIN[server - 1])
    }

    /// Where server 1 or 2 stores what it has.
    pub fn data_dir(&self, server: usize) -> PathBuf {
        data_dir(&self.folder, server)
    }

    /// Waits until both servers are members and hold every call twice.
    pub fn wait_until_backed(&mut self, within: Duration) -> Result<()> {
        wait_until("the servers are a pair", within, LOOK_EVERY, || {
            for index in 0..3 {
                self.is_up(index)?;
            }
            Ok((1..=2).all(|server| self.management(server).is_backed()))
        })
    }

    /// Has `resilee ctl` give an order to server 1 or 2.
    pub fn ctl(&self, server: usize, words: &[&str]) -> Result<()> {
        let mut command = std::process::Command::new(self.binaries.join("resilee"));
        command.current_dir(&self.folder).arg("ctl").args(words);
        command.args(["--admin", property_files::ADMIN[server - 1]]);
        command.args(["--token-file", property_files::TOKEN_FILE]);
        let output = command.output().context("cannot start resilee ctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "resilee ctl {}: {}", words.join(" "), said.trim());
        Ok(())
    }

    /// What a process wrote.
    pub fn log(&self, index: usize) -> String {
        let path = self.folder.join(format!("{}.log", NAMES[index]));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}
