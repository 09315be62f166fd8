//! Child processes: cargo and system programs, printed before they run, without input.
//!
//! Which commands run, and in which order, is not here.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::libtest_tally::Tally;

/// How long output is awaited after its command has ended.
///
/// A node left behind by a failed test holds the pipe open for ever: nobody waits for that one.
const OUTPUT_AFTER_END: Duration = Duration::from_secs(2);

/// Whether commands run or are only shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Print each command, then run it.
    Run,
    /// Print each command only.
    Print,
}

/// A cargo command in the workspace's root.
pub fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments);
    // What cargo told us about our own package would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"];
        if name.to_str().is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds programs in the release profile, as the rest of the workspace is built: with `-p` their
/// dependencies would have fewer features, and be compiled again for that.
pub fn build_programs(root: &Path, names: &[&str]) -> Result<()> {
    let mut command = cargo(root, &["build", "--release", "--workspace"]);
    for name in names {
        command.args(["--bin", name]);
    }
    run(command, Mode::Run)
}

/// Runs a command to its end; any exit code but 0 is an error.
pub fn run(mut command: Command, mode: Mode) -> Result<()> {
    let shown = announce(&command);
    if mode == Mode::Print {
        return Ok(());
    }
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a test command to its end, passing its output on, and adds libtest's results to `tally`.
pub fn run_tests(command: Command, mode: Mode, tally: &mut Tally) -> Result<()> {
    run_tests_to(std::io::stdout(), command, mode, tally)
}

fn run_tests_to(
    screen: impl Write + Send + 'static,
    mut command: Command,
    mode: Mode,
    tally: &mut Tally,
) -> Result<()> {
    let shown = announce(&command);
    if mode == Mode::Print {
        return Ok(());
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let output = child.stdout.take().expect("stdout is piped just above");
    let (sender, results) = mpsc::channel();
    std::thread::spawn(move || pass_on(output, screen, &sender));
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    while let Ok(part) = results.recv_timeout(OUTPUT_AFTER_END) {
        tally.add(&part);
    }
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Copies a test command's output as it comes; a half line is shown too, as it names the test
/// that runs now.
fn pass_on(mut output: impl Read, mut screen: impl Write, results: &mpsc::Sender<Tally>) {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let length = match output.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        // A reader of ours that has gone away is no reason to stop the tests.
        let _ = screen.write_all(&chunk[..length]).and_then(|()| screen.flush());
        for &byte in &chunk[..length] {
            line.push(byte);
            if byte == b'\n' {
                if let Some(part) = Tally::of_line(&String::from_utf8_lossy(&line)) {
                    // The receiver is gone once its command has ended: then nobody counts.
                    let _ = results.send(part);
                }
                line.clear();
            }
        }
    }
}

/// Prints a command as one could type it, and returns that text.
fn announce(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
        }
    }
    words.push(program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned());
    words.extend(command.get_args().map(|argument| quoted(&argument.to_string_lossy())));
    let shown = words.join(" ");
    println!("  $ {shown}");
    shown
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '*', '"', '$', ';']) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = cargo(Path::new("."), &["doc", "--no-deps"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(announce(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_failed_command_is_an_error_that_shows_it() {
        let error = run(shell("exit 3"), Mode::Run).unwrap_err();
        assert!(error.to_string().contains("`sh -c 'exit 3'` ended with"), "{error}");
        assert!(run(shell("exit 3"), Mode::Print).is_ok());
    }

    #[test]
    fn results_are_counted_and_a_left_behind_child_is_not_awaited() {
        let result = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured";
        let mut tally = Tally::default();
        let script = format!("sleep 10 & echo '{result}'");
        run_tests_to(std::io::sink(), shell(&script), Mode::Run, &mut tally).unwrap();
        assert_eq!((tally.passed, tally.ignored, tally.suites), (3, 1, 1));
    }
}
