//! One child process: its log, its end, what it used.

use std::fs::{self, File};
use std::ops::{AddAssign, Sub};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How often the end of a process is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A child that is killed when it is dropped.
pub struct Process {
    name: String,
    child: Child,
}

/// CPU time and memory so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time, also of its own children that have ended.
    pub cpu: Duration,
    /// Proportional set size: shared pages count once over all processes.
    pub pss_bytes: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.cpu += other.cpu;
        self.pss_bytes += other.pss_bytes;
    }
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            pss_bytes: self.pss_bytes.saturating_sub(earlier.pss_bytes),
        }
    }
}

impl Process {
    /// Starts `command` in `folder`; what it says is appended to `NAME.log` there.
    pub fn start(name: &str, folder: &Path, mut command: Command) -> Result<Self> {
        let path = folder.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        command.current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let program = command.get_program().to_owned();
        let child =
            command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Process { name: name.to_owned(), child })
    }

    /// True until it ends.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)
            .with_context(|| format!("{signal} to {}", self.name))
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} does not end within {} s", self.name, within.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What it used so far.
    pub fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{process}/stat"))?;
        let smaps = fs::read_to_string(format!("{process}/smaps_rollup"))?;
        let cpu_ticks = ticks(&stat).context("/proc/PID/stat has another shape")?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock has no ticks")?;
        let pss_kib = pss_kib(&smaps).context("/proc/PID/smaps_rollup has no Pss")?;
        Ok(Usage {
            cpu: Duration::from_secs_f64(cpu_ticks as f64 / per_second as f64),
            pss_bytes: pss_kib * 1024,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// utime, stime, cutime and cstime; the name before them may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split(' ').skip(11).take(4).map(str::parse::<u64>);
    times.sum::<Result<u64, _>>().ok()
}

fn pss_kib(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 9 0 5 6 7";
        assert_eq!(ticks(stat), Some(124));
        assert_eq!(ticks("7 (a) S 1"), Some(0));
        assert_eq!(pss_kib("Rss:     99 kB\nPss:      12 kB\nPss_Dirty: 3 kB\n"), Some(12));
    }
}
