//! A child process: this executable in one of its roles, its output in a log file. It is killed
//! when it is dropped, by its own id.

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM: longer than a node may hand over.
const END_WITHIN: Duration = Duration::from_secs(15);

/// A running role.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts `role` with `config`; its output is appended to `NAME.log` beside the file.
    pub fn start(name: &str, role: &str, config: &Path) -> anyhow::Result<Self> {
        let folder = config.parent().unwrap_or(Path::new("."));
        let log = folder.join(format!("{name}.log"));
        let open = || -> anyhow::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(&log);
            file.with_context(|| format!("cannot write {}", log.display()))
        };
        let program = std::env::current_exe().context("cannot find this executable")?;
        let mut command = Command::new(program);
        command.args(["--role", role, "--config"]).arg(config).current_dir(folder);
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        // Colours are for terminals; Ctrl-C is for the story, which ends its children itself.
        command.env("NO_COLOR", "1").process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name: name.to_owned(), child, log })
    }

    /// An error with the end of its log, if it ended by itself.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait().context("cannot look at a child")? else {
            return Ok(());
        };
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
        bail!("{} ended by itself ({status}); its log ends:\n  {last}", self.name)
    }

    /// SIGKILL, and waits for the body.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM; the process ends by itself.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Waits for the end after [`Self::terminate`]; true if it was one with exit code 0.
    pub fn has_ended_well(&mut self) -> bool {
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return false,
            }
        }
        false
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id is 32 bits")?;
        kill(Pid::from_raw(pid), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
