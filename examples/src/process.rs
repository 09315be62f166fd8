//! A child process: this executable in one of its roles, its output in a log file. It is killed
//! when it is dropped, by its own id.

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a process may take to end after SIGTERM: longer than a node may hand over.
const END_WITHIN: Duration = Duration::from_secs(15);

/// Time between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Last lines of a log that are shown when its process died.
const SHOWN_LINES: usize = 5;

/// A running role.
#[derive(Debug)]
pub struct Process {
    name: String,
    life: Arc<Mutex<Life>>,
}

/// Shared with the task that watches over it.
#[derive(Debug)]
struct Life {
    child: Child,
    /// True once the story itself ends it.
    may_end: bool,
}

impl Process {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts `role` with `config`; its output is appended to `NAME.log` beside the file. If it
    /// ends before it is told to, `deaths` is told why.
    pub fn start(
        name: &str,
        role: &[&str],
        config: &Path,
        deaths: mpsc::Sender<String>,
    ) -> anyhow::Result<Self> {
        let folder = config.parent().unwrap_or(Path::new("."));
        let log = folder.join(format!("{name}.log"));
        let open = || -> anyhow::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(&log);
            file.with_context(|| format!("cannot write {}", log.display()))
        };
        let program = std::env::current_exe().context("cannot find this executable")?;
        let mut command = Command::new(program);
        command.arg("--role").args(role).arg("--config").arg(config).current_dir(folder);
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        // Colours are for terminals; Ctrl-C is for the story, which ends its children itself.
        command.env("NO_COLOR", "1").process_group(0);
        let said_before = open()?.metadata().map_or(0, |file| file.len());
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let life = Arc::new(Mutex::new(Life { child, may_end: false }));
        let (watched, name) = (life.clone(), name.to_owned());
        let who = name.clone();
        tokio::spawn(async move {
            if let Some(status) = early_end(&watched).await {
                // Full: several died at once, and the first ones are told.
                let _ = deaths.try_send(obituary(&who, &status, &log, said_before));
            }
        });
        Ok(Process { name, life })
    }

    /// SIGKILL, and waits for the body.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.life().child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
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
            let ended = self.life().child.try_wait();
            match ended {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Err(_) => return false,
            }
        }
        false
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let mut life = self.life();
        life.may_end = true;
        let pid = i32::try_from(life.child.id()).context("a process id is 32 bits")?;
        kill(Pid::from_raw(pid), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut life = self.life();
        life.may_end = true;
        // Both fail only if the child is gone already.
        let _ = life.child.kill();
        let _ = life.child.wait();
    }
}

/// Waits for the end of a child that nobody ordered; none if it was ordered.
async fn early_end(life: &Mutex<Life>) -> Option<ExitStatus> {
    loop {
        {
            let mut life = life.lock().unwrap_or_else(PoisonError::into_inner);
            if life.may_end {
                return None;
            }
            if let Ok(Some(status)) = life.child.try_wait() {
                return Some(status);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Who died, how, and the last that it said in this life.
fn obituary(name: &str, status: &ExitStatus, log: &Path, said_before: u64) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let said = usize::try_from(said_before).ok().and_then(|start| text.get(start..));
    let said = String::from_utf8_lossy(said.unwrap_or(&text));
    let lines: Vec<&str> = said.lines().collect();
    let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    match last.is_empty() {
        true => format!("{name} ended by itself ({status}) and said nothing"),
        false => format!("{name} ended by itself ({status}):\n  {}", last.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_that_nobody_ordered_is_told_with_its_status_and_last_words() {
        let child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        let life = Mutex::new(Life { child, may_end: false });
        let status = early_end(&life).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server1.log");
        std::fs::write(&log, "of a life before\nerror: no key\n").unwrap();
        let told = obituary("server1", &status, &log, 17);
        assert_eq!(told, "server1 ended by itself (exit status: 3):\n  error: no key");
        life.lock().unwrap().may_end = true;
        assert!(early_end(&life).await.is_none());
    }
}
