//! A child process with its output in a file. It is killed when it is dropped, by its own id;
//! after a failed test the end of its output is shown.

use super::condition::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Lines of a log that a failed test shows.
const SHOWN_LINES: usize = 30;

/// Time between two looks at whether it lives.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`; its output goes to `NAME.log` there.
    #[track_caller]
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let open = || {
            let file = File::options().create(true).append(true).open(&log);
            file.unwrap_or_else(|error| panic!("{}: {error}", log.display()))
        };
        command.current_dir(folder).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(open()).stderr(open());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {}: {error}", command.get_program().display())
        });
        Process { name: name.to_owned(), child, log }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it wrote so far, also in earlier lives of the same name.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// True until it ends.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL; returns when it is gone.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }

    /// Returns when it is gone: it was killed.
    #[track_caller]
    pub fn reap(&mut self) {
        self.child.wait().unwrap_or_else(|error| panic!("{} has no end: {error}", self.name));
    }

    /// SIGTERM, and nothing else.
    #[track_caller]
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// How it ended, by itself or after [`Self::terminate`].
    #[track_caller]
    pub fn wait_for_end(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, within, || self.child.try_wait().ok().flatten())
    }

    /// How it ended, if it does within this time.
    #[track_caller]
    pub fn end_within(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                return ended;
            }
            // sleep: between two looks at the process
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id has 31 bits");
        kill(Pid::from_raw(id), signal)
            .unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            println!("--- end of the output of {}\n{}", self.name, last.join("\n"));
        }
    }
}
